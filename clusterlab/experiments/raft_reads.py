"""Reads at a leader that was replaced: from its own state, by ReadIndex, and by a lease."""

from __future__ import annotations

from typing import Any, ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import OperationUnknown
from clusterlab.core.history import History
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Get, KeyValue, Put
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.protocols.client import Client, Reply, Request
from clusterlab.protocols.raft import LEADER, Raft
from clusterlab.protocols.raft.production import LeasedRaft
from clusterlab.protocols.raft.reads import ReadIndex

DISSERTATION = "Ongaro 2014, Consensus: Bridging Theory and Practice"
UNANSWERED = "no answer"
PATIENCE_MS = 400
"""So long a read is waited for while the old leader is cut off."""


class ReadsLocally(Raft):
    """A leader that answers reads from its own state, and asks nobody."""

    def on_request(self, src: NodeId, m: Request) -> None:
        """Writes go through the log, reads do not."""
        if self.role == LEADER and self.spec.is_read(m.operation):
            _, result = self.spec.apply(self.machine, m.operation)
            self.send(src, Reply(m.serial, result))
        else:
            super().on_request(src, m)


class ReadsAtAnOldLeader(Experiment):
    """Five servers; the leader, one more and a reader are cut off from the rest and the writer."""

    network: ClassVar[Network] = Network()
    raft: ClassVar[type[Raft]]

    def nodes(self) -> list[Node]:
        """Five servers."""
        return list(self.raft.group(5))

    def begin(self, cluster: Cluster) -> tuple[list[NodeId], list[NodeId]]:
        """A writer and a reader who both know the leader; returns the sides of the cut to come."""
        leader = cluster.run_until_leader()
        others = [name for name in cluster.servers if name != leader]
        small, large = [leader, others[0]], others[1:]
        if not cluster.clients:
            patience: dict[str, Any] = {"retry_ms": 100, "give_up_ms": 60_000}
            cluster.add_client(Client("writer", servers=tuple(large), **patience))
            cluster.add_client(Client("reader", servers=tuple(small), **patience))
        return small, large

    def read(self, cluster: Cluster, limit_ms: float = PATIENCE_MS) -> Any:
        """What the reader is told, if it is told anything."""
        try:
            return cluster.invoke("reader", Get("x"), limit_ms)
        except OperationUnknown:
            return UNANSWERED

    def cut(self, cluster: Cluster, small: list[NodeId], large: list[NodeId]) -> None:
        """The writer is on the large side, the reader on the small one."""
        cluster.partition([*small, "reader"], [*large, "writer"])

    def write_on_the_large_side(self, cluster: Cluster, large: list[NodeId], value: str) -> NodeId:
        """Wait for its leader, and write."""
        cluster.run_until(lambda: self._leader_of(cluster, large) is not None, what="a new leader")
        cluster.invoke("writer", Put("x", value))
        leader = self._leader_of(cluster, large)
        assert leader is not None, "it has just acknowledged a write"
        return leader

    def _leader_of(self, cluster: Cluster, side: list[NodeId]) -> NodeId | None:
        leading = [name for name in side if cluster.status(name).get("role") == "leader"]
        return leading[0] if leading else None

    def script(self, cluster: Cluster, story: Story) -> None:
        """Write, cut, write on one side, read on the other, heal, read."""
        small, large = self.begin(cluster)
        cluster.invoke("writer", Put("x", "old"))
        self.before = self.read(cluster, 5_000)
        self.cut(cluster, small, large)
        story.say(f"{small[0]} leads; it is cut off with {small[1]} and a reader")
        leader = self.write_on_the_large_side(cluster, large, "new")
        story.say(f"{leader} is elected by the others, and x = 'new' is acknowledged there")
        self.during = self.read(cluster)
        story.say(f"the reader asks {small[0]} for x: {self.during!r}")
        cluster.heal()
        cluster.run(1_500)
        self.after = self.read(cluster, 5_000)
        story.say(f"the network heals; the reader asks again: {self.after!r}")


class RaftStaleRead(ReadsAtAnOldLeader):
    """The leader answers reads from its own state."""

    name: ClassVar[str] = "raft-stale-read"
    question: ClassVar[str] = "May a Raft leader answer a read from its own state, without a word?"
    prediction: ClassVar[Prediction] = Prediction(
        "A leader is cut off; the others have elected a new one and written x = 'new'. A client "
        "that can only reach the old leader reads x. What does it get?",
        (
            "'new': what is acknowledged is acknowledged everywhere.",
            "'old': the old leader does not know that it was replaced.",
            "Nothing: the old leader has stepped down.",
        ),
        1,
        "Nothing tells a leader that it was replaced but a message, and none arrives. etcd 0.4 and "
        "Consul read so by default.",
    )
    source: ClassVar[str] = f"{DISSERTATION}, §6.4; Kingsbury 2014, Jepsen: etcd and Consul"
    raft: ClassVar[type[Raft]] = ReadsLocally

    def checks(self, cluster: Cluster) -> list[Check]:
        """A stale read, and the checker sees it."""
        verdict = check_linearizability(cluster.history, KeyValue())
        return [
            Check("the old leader answers", self.during == "old", f"it says {self.during!r}"),
            Check("the history is not linearizable", verdict.valid is False, verdict.explain()),
            Check("healed, it is as it should be", self.after == "new", f"then {self.after!r}"),
        ]


class RaftReadIndex(ReadsAtAnOldLeader):
    """The leader asks a majority whether it still leads, before it answers."""

    name: ClassVar[str] = "raft-read-index"
    question: ClassVar[str] = "What does it cost to make such reads linearizable, without the log?"
    prediction: ClassVar[Prediction] = Prediction(
        "Before it answers, the leader now sends a heartbeat and waits until a majority has "
        "answered it. The same reader asks the same old leader. What does it get?",
        ("'new'.", "'old'.", "No answer, until the network heals."),
        2,
        "The old leader hears one other server only, so it never learns that it still leads: it "
        "does not. Availability on its side is the price, and one round trip for each batch of "
        "reads on the other.",
    )
    source: ClassVar[str] = f"{DISSERTATION}, §6.4"
    raft: ClassVar[type[Raft]] = ReadIndex

    def checks(self, cluster: Cluster) -> list[Check]:
        """No stale read, no entry in the log for any read."""
        verdict = check_linearizability(cluster.history, KeyValue())
        log = cluster.state(cluster.leader() or "n1")["log"]
        read = [e for e in log if e.command and isinstance(e.command.operation, Get)]
        return [
            Check(
                "the old leader does not answer",
                self.during == UNANSWERED,
                f"the reader got {self.during!r}",
            ),
            Check("healed, the reader is told", self.after == "new", f"then {self.after!r}"),
            Check("history linearizable", verdict.valid is True, verdict.explain()),
            Check("no read is in the log", not read, f"{len(log)} entries, {len(read)} of reads"),
        ]


SLOW = 0.05
"""A clock that runs so slowly is far beyond the bound of the leases."""


class RaftLeaseSkew(ReadsAtAnOldLeader):
    """Leases: reads without a message, as long as all clocks run about equally fast."""

    name: ClassVar[str] = "raft-lease-skew"
    question: ClassVar[str] = "A leader with a lease reads without a message: what can go wrong?"
    prediction: ClassVar[Prediction] = Prediction(
        "For 320 ms after a round of heartbeats the leader answers reads by itself, since for 400 "
        "ms nobody votes for another. It is cut off. When is a read stale?",
        (
            "Never: the lease ends before anybody else is elected.",
            "Always: the others elect a leader as soon as they miss it.",
            "Only if the leader's clock runs much more slowly than those of the others.",
        ),
        2,
        "The lease is counted by the leader's clock and the promise by those of the others. The "
        "margin covers clocks that differ by a quarter. One that runs at a twentieth of the rate "
        "holds the lease for six seconds.",
    )
    source: ClassVar[str] = f"{DISSERTATION}, §6.4.1"
    raft: ClassVar[type[Raft]] = LeasedRaft

    def nodes(self) -> list[Node]:
        """Five patient servers, so that a lease is long enough to be seen on real processes."""
        options = {"election_timeout_ms": (400, 800), "heartbeat_ms": 100}
        return list(LeasedRaft.group(5, clock_rate_bound=1.25, **options))

    def script(self, cluster: Cluster, story: Story) -> None:
        """Cut the leader off within its lease: with a good clock, and with a slow one."""
        self.before = self._act(cluster, story, "first", "second", rate=1.0)
        self.good_until_ms = cluster.now_ms
        cluster.heal()
        for name in cluster.servers:
            cluster.skew(name)
        cluster.run(2_500)
        self.after = self._act(cluster, story, "third", "fourth", rate=SLOW)
        cluster.heal()
        cluster.run(500)

    def _act(
        self, cluster: Cluster, story: Story, old: str, new: str, *, rate: float
    ) -> tuple[Any, Any]:
        """What the reader gets right after the cut, and after a write on the other side."""
        small, large = self.begin(cluster)
        leader = small[0]
        cluster.invoke("writer", Put("x", old))
        cluster.run(600)  # until no lease is left
        if rate != 1.0:
            cluster.skew(leader, rate=rate)
            story.say(f"the clock of {leader} now runs {1 / rate:.0f} times too slowly")
        cluster.invoke("reader", Get("x"))  # brings a lease
        self.cut(cluster, small, large)
        at_once = self.read(cluster, 250)
        story.say(f"{leader} leads with a lease, and is cut off; the reader gets {at_once!r}")
        elected = self.write_on_the_large_side(cluster, large, new)
        story.say(f"{elected} is elected by the others, and x = {new!r} is acknowledged there")
        later = self.read(cluster)
        story.say(f"the reader asks {leader} again: {later!r}")
        return at_once, later

    def checks(self, cluster: Cluster) -> list[Check]:
        """Linearizable within the bound, and not beyond it."""
        operations = [op for op in cluster.history if op.invoked_ms < self.good_until_ms]
        within = check_linearizability(History(operations), KeyValue())
        whole = check_linearizability(cluster.history, KeyValue())
        return [
            Check(
                "with a lease, the leader answers by itself",
                self.before[0] == "first",
                f"cut off, it says {self.before[0]!r}",
            ),
            Check(
                "within the bound, its lease is over in time",
                self.before[1] == UNANSWERED,
                f"when another leads, the reader gets {self.before[1]!r}",
            ),
            Check("... and the history linearizable", within.valid is True, within.explain()),
            Check(
                "beyond the bound, it reads what is no longer so",
                self.after[1] == "third",
                f"when another leads, the reader gets {self.after[1]!r}",
            ),
            Check("... and the history is not", whole.valid is False, whole.explain()),
        ]
