"""What Raft rests on: disks that hold what they confirm, and snapshots for those who come late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.cluster import Cluster
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.core.spec import Get, KeyValue, Put
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.experiments.raft_failover import linearizable
from clusterlab.protocols.client import Client, counting_writes
from clusterlab.protocols.raft import AppendEntries, Raft
from clusterlab.protocols.raft.snapshots import InstallSnapshot, Snapshots

LIMIT_MS = 20_000
PRECIOUS = "precious"


class RaftLostFsync(Experiment):
    """One disk of three confirms a write that it has not written, and power fails."""

    name: ClassVar[str] = "raft-lost-fsync"
    question: ClassVar[str] = "What if fsync returns before the write is safe?"
    prediction: ClassVar[Prediction] = Prediction(
        "Two of three servers confirm a write while the third is cut off. One of their two disks "
        "lied. Both die; the liar comes back and meets the third. Is the acknowledged write there?",
        (
            "Yes: the server with the honest disk has it.",
            "Yes: a majority has confirmed it.",
            "No: the two that are there elect a leader, and neither has the write.",
        ),
        2,
        "Any two majorities share a server, and Raft relies on what that server remembers. Here it "
        "has forgotten. One disk that lies undoes what the others wrote.",
    )
    source: ClassVar[str] = (
        "Ongaro and Ousterhout 2014, Figure 2: persistent state is 'updated on stable storage "
        "before responding to RPCs'; Jepsen: NATS 2.12.1"
    )
    lies: ClassVar[bool] = True

    def nodes(self) -> list[Node]:
        """Three servers."""
        return list(Raft.group(3))

    def script(self, cluster: Cluster, story: Story) -> None:
        """A write on two disks, two deaths, and an election without the one that remembers."""
        leader = cluster.run_until_leader()
        witness, late = (name for name in cluster.servers if name != leader)
        cluster.add_client(Client("writer", servers=cluster.servers, retry_ms=200))
        cluster.invoke("writer", Put("x", "old"))
        cluster.run_until(
            lambda: all(_applied(cluster, name).get("x") == "old" for name in cluster.servers),
            LIMIT_MS,
            "the first write everywhere",
        )
        if self.lies:
            cluster.disk_lies(witness)
        cluster.partition([leader, witness], [late])
        cluster.invoke("writer", Put("x", PRECIOUS))
        story.say(f"x = {PRECIOUS!r} is acknowledged: {leader} and {witness} confirmed it")
        cluster.kill(witness)
        cluster.kill(leader)
        cluster.restart(witness)
        cluster.heal()
        story.say(f"both die; {witness} comes back and meets {late}")
        cluster.run_until(
            lambda: cluster.leader() in (witness, late), LIMIT_MS, "a leader of the two"
        )
        self.read = cluster.invoke("writer", Get("x"))
        story.say(f"{cluster.leader()} leads; x is {self.read!r}")
        cluster.restart(leader)
        cluster.run(1_000)
        self.read_again = cluster.invoke("writer", Get("x"))
        story.say(f"{leader} comes back too; x is {self.read_again!r}")

    def checks(self, cluster: Cluster) -> list[Check]:
        """The write is gone if a disk lied, and there if not."""
        seen = f"x was read as {self.read!r}, and later as {self.read_again!r}"
        both = {self.read, self.read_again}
        verdict = check_linearizability(cluster.history, KeyValue())
        if self.lies:
            return [
                Check("the acknowledged write is lost", both == {"old"}, seen),
                Check("the history shows it", verdict.valid is False, verdict.explain()),
            ]
        return [
            Check("the acknowledged write is there", both == {PRECIOUS}, seen),
            Check("history linearizable", verdict.valid is True, verdict.explain()),
        ]


class RaftHonestFsync(RaftLostFsync):
    """The same deaths, with disks that hold what they confirm."""

    name: ClassVar[str] = "raft-honest-fsync"
    question: ClassVar[str] = "And the same deaths, if fsync tells the truth?"
    prediction: ClassVar[Prediction] = Prediction(
        "Two of three servers confirm a write and die; one comes back and meets the third, which "
        "never heard of it. Both disks were honest. Is the write there?",
        (
            "Yes: the one that came back has it, so only that one can be elected.",
            "It depends on which of the two is elected.",
            "No: a leader must be told of it by a majority.",
        ),
        0,
        "Who lacks the write is behind, and does not get the vote of the one that has it.",
    )
    source: ClassVar[str] = "Ongaro and Ousterhout 2014, §5.4.1"
    lies: ClassVar[bool] = False


def _applied(cluster: Cluster, name: NodeId) -> dict[str, Any]:
    return cluster.state(name).get("machine") or {}


class RaftSnapshotCatchUp(Experiment):
    """A server sleeps while the others write more than their logs keep."""

    name: ClassVar[str] = "raft-snapshot-catch-up"
    question: ClassVar[str] = "How does a server catch up if the entries that it lacks are gone?"
    prediction: ClassVar[Prediction] = Prediction(
        "A server was dead for 150 writes to 10 keys; the others keep at most 20 entries of their "
        "logs. What is it sent when it comes back?",
        (
            "All 150 entries: the leader has them in its snapshot.",
            "The 10 keys and the newest number of each client, and then a few entries.",
            "The last 20 entries; it does without the others.",
        ),
        1,
        "A snapshot holds what the entries came to, not the entries. With the state of the "
        "application goes what the servers remember of clients, so no write is done twice.",
    )
    source: ClassVar[str] = (
        "Ongaro and Ousterhout 2014, In Search of an Understandable Consensus Algorithm, §7"
    )
    writes: ClassVar[int] = 150
    keys: ClassVar[int] = 10
    kept: ClassVar[int] = 20

    def nodes(self) -> list[Node]:
        """Three servers with short logs, and snapshots in several messages."""
        return list(Snapshots.group(3, snapshot_entries=self.kept, chunk_pieces=4))

    def script(self, cluster: Cluster, story: Story) -> None:
        """One dies, 150 writes, it comes back; then all die and come back."""
        leader = cluster.run_until_leader()
        self.late = next(name for name in cluster.servers if name != leader)
        cluster.kill(self.late)
        story.say(f"{self.late} dies; {leader} leads")
        workload = counting_writes("k", keys=self.keys)
        cluster.add_client(
            Client("c1", servers=cluster.servers, workload=workload, operations=self.writes)
        )
        last = workload(self.writes) if callable(workload) else workload[-1]
        self._wait_for(cluster, last, [leader])
        self.back_at = len(cluster.trace)
        cluster.restart(self.late)
        # A write of this moment: it is applied only by who has all before it.
        cluster.invoke("c2", Put("last", "write"))
        self._wait_for(cluster, Put("last", "write"), cluster.servers)
        self.lengths = {name: len(cluster.state(name)["log"]) for name in cluster.servers}
        story.say(f"{self.late} is back; the logs hold {self.lengths} entries")
        for name in cluster.servers:
            cluster.kill(name)
        for name in cluster.servers:
            cluster.restart(name)
        cluster.invoke("c2", Put("last", "after all had died"))
        self._wait_for(cluster, Put("last", "after all had died"), cluster.servers)
        self.machines = {name: _applied(cluster, name) for name in cluster.servers}
        story.say(f"all have died and come back, with {len(self.machines[self.late])} keys")

    def _wait_for(self, cluster: Cluster, write: Message, servers: Sequence[NodeId]) -> None:
        assert isinstance(write, Put)
        key, value = write.key, write.value
        cluster.run_until(
            lambda: all(_applied(cluster, name).get(key) == value for name in servers),
            LIMIT_MS,
            f"{write!r} on {', '.join(servers)}",
        )

    def checks(self, cluster: Cluster) -> list[Check]:
        """It got a snapshot, the logs are short, and nothing is lost or done twice."""
        since = cluster.trace.events[self.back_at :]
        out = [event.data for event in since if event.kind in ("send", "duplicate")]
        sent = [data["msg"] for data in out if data["dst"] == self.late]
        chunks = [m for m in sent if isinstance(m, InstallSnapshot)]
        entries = sum(len(m.entries) for m in sent if isinstance(m, AppendEntries))
        got = f"{self.late} was sent {len(chunks)} chunks of a snapshot, and {entries} entries"
        installed = [e for e in cluster.trace.notes("snapshot installed") if e.node == self.late]
        first, *others = self.machines.values()
        same = all(one == first for one in others) and len(first) == self.keys + 1
        return [
            Check("it got a snapshot", bool(installed) and entries < self.writes, got),
            Check(
                "logs are short",
                max(self.lengths.values()) <= 2 * self.kept,
                f"the logs held {self.lengths} entries after {self.writes} writes",
            ),
            Check("all have the same state", same, f"{len(first)} keys on each of the servers"),
            linearizable(cluster),
        ]
