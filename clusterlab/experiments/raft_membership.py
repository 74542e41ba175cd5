"""Three servers are to become five: in one step, and through a joint configuration."""

from __future__ import annotations

from typing import Any, ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import OperationFailed, OperationUnknown
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.core.spec import Get, Put
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.experiments.raft_failover import linearizable
from clusterlab.protocols.client import Client
from clusterlab.protocols.raft.configuration import Configuration
from clusterlab.protocols.raft.membership import ChangeMembers, Membership

FIVE = ("n1", "n2", "n3", "n4", "n5")
THREE = FIVE[:3]
LIMIT_MS = 20_000
PATIENCE_MS = 2_000
"""So long an answer is waited for that may never come."""
ATTEMPTS = 50
UNANSWERED = "no answer"
DISSERTATION = "Ongaro 2014, Consensus: Bridging Theory and Practice"


class ChangesInOneStep(Membership):
    """Whatever is wanted is the next configuration."""

    def transition(self, wanted: Configuration) -> Configuration:
        """Not even two servers more go through a joint one."""
        return wanted


class RaftMembershipUnsafe(Experiment):
    """The leader and the two new servers are cut off from the two others, and go on."""

    name: ClassVar[str] = "raft-membership-unsafe"
    question: ClassVar[str] = "Can three servers become five in one step?"
    prediction: ClassVar[Prediction] = Prediction(
        "A leader of three is cut off together with two new servers when it is told that the "
        "cluster is these five now. What do the two old servers on the other side do?",
        (
            "Nothing: two of five are no majority.",
            "They elect a leader, for they are two of three as far as they know.",
            "They learn of the five first, since a change must reach all.",
        ),
        1,
        "A majority of the old three and a majority of the new five need not share a server: each "
        "side has its leader, and each acknowledges writes. No election and no log was wrong.",
    )
    source: ClassVar[str] = f"{DISSERTATION}, §4.1 and Figure 4.2"
    raft: ClassVar[type[Membership]] = ChangesInOneStep

    def nodes(self) -> list[Node]:
        """Five servers, of whom the first three are the cluster."""
        return list(self.raft.group(5, voters=THREE))

    def script(self, cluster: Cluster, story: Story) -> None:
        """A change on one side of a cut, a write on each, a read on the first."""
        leader = cluster.run_until_leader()
        self.stay = [name for name in THREE if name != leader]
        self.grow = [leader, "n4", "n5"]
        patience: dict[str, Any] = {"retry_ms": 100, "give_up_ms": 60_000}
        for name, side in (("east", self.grow), ("west", self.stay)):
            cluster.add_client(Client(name, servers=tuple(side), **patience))
        cluster.invoke("east", Put("x", "before"))
        cluster.partition([*self.grow, "east"], [*self.stay, "west"])
        self.change = self.ask(cluster, leader, ChangeMembers(FIVE))
        story.say(f"{leader} is cut off with n4 and n5, and is to lead all five: {self.change!r}")
        self.east = self.ask(cluster, "east", Put("x", "east"))
        story.say(f"x = 'east' at {leader}: {self.told(self.east)}")
        cluster.run_until(lambda: self.leading(cluster, self.stay) != [], LIMIT_MS, "a leader")
        self.west = self.ask(cluster, "west", Put("x", "west"))
        story.say(f"{' and '.join(self.stay)} elect a leader; x = 'west': {self.told(self.west)}")
        self.end(cluster, story)

    def end(self, cluster: Cluster, story: Story) -> None:
        """Who leads, and what the first side reads."""
        self.leaders = self.leading(cluster, FIVE)
        self.read = self.ask(cluster, "east", Get("x"))
        story.say(f"{' and '.join(self.leaders)} lead; in the east, x is {self.read!r}")

    def ask(self, cluster: Cluster, whom: NodeId, wish: Message) -> Any:
        """What the answer is, if there is one."""
        try:
            return cluster.invoke(whom, wish, PATIENCE_MS)
        except (OperationFailed, OperationUnknown):
            return UNANSWERED

    def told(self, answer: Any) -> str:
        """As it is said in a story."""
        return UNANSWERED if answer == UNANSWERED else "acknowledged"

    def leading(self, cluster: Cluster, side: Any) -> list[NodeId]:
        """Who leads on that side."""
        return [name for name in side if cluster.status(name).get("role") == "leader"]

    def checks(self, cluster: Cluster) -> list[Check]:
        """Two clusters where there was one."""
        verdict = check_linearizability(cluster.history, self.raft.spec)
        acknowledged = [
            value
            for value, answer in (("east", self.east), ("west", self.west))
            if answer != UNANSWERED
        ]
        return [
            Check("the change is done", self.change == FIVE, f"the answer was {self.change!r}"),
            Check("two lead", len(self.leaders) == 2, f"{' and '.join(self.leaders)} lead"),
            Check(
                "both acknowledge a write",
                len(acknowledged) == 2,
                f"acknowledged: {' and '.join(acknowledged)}",
            ),
            Check("the last write is lost", self.read == "east", f"x is {self.read!r} in the east"),
            Check("the history shows it", verdict.valid is False, verdict.explain()),
        ]


class RaftMembershipSafe(RaftMembershipUnsafe):
    """The same cut and the same wish; in between, majorities of both are needed."""

    name: ClassVar[str] = "raft-membership-safe"
    question: ClassVar[str] = "How do three servers become five without ever being two clusters?"
    prediction: ClassVar[Prediction] = Prediction(
        "The same cut and the same wish, but the leader first enters a joint configuration. What "
        "becomes of the change while the network is cut?",
        (
            "It is done: three of the new five are there.",
            "It waits: of the old three, only the leader is there.",
            "It fails, and the leader steps down at once.",
        ),
        1,
        "A joint configuration decides with a majority of the old and one of the new servers; that "
        "meets whatever either of them decides alone. One server at a time is safe for the same "
        "reason: majorities of three and of four share one.",
    )
    source: ClassVar[str] = f"{DISSERTATION}, §4.1 to §4.3"
    raft: ClassVar[type[Membership]] = Membership

    def end(self, cluster: Cluster, story: Story) -> None:
        """Peace, and the same wish again."""
        cluster.heal()
        story.say("the network heals, and whoever leads is asked again for all five")
        self.later: Any = UNANSWERED
        for _ in range(ATTEMPTS):
            self.later = self.ask(cluster, cluster.run_until_leader(), ChangeMembers(FIVE))
            if self.later == FIVE:
                break
            cluster.run(100)
        auditor = Client("auditor", servers=FIVE, retry_ms=100)
        cluster.add_client(auditor)
        self.read = cluster.invoke("auditor", Get("x"))
        story.say(f"the members are {', '.join(self.later)}; x is {self.read!r}")

    def checks(self, cluster: Cluster) -> list[Check]:
        """Nothing on one side, and all of it later."""
        east = f"the change: {self.change!r}, the write: {self.told(self.east)}"
        return [
            Check("the cut side decides nothing", self.change == self.east == UNANSWERED, east),
            Check("the old majority goes on", self.west != UNANSWERED, self.told(self.west)),
            Check("the change is made in the end", self.later == FIVE, f"it was {self.later!r}"),
            linearizable(cluster),
        ]
