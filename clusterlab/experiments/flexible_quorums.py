"""Flexible Paxos: small quorums that choose, large ones that elect, and what each survives."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import BadValue, OperationUnknown
from clusterlab.core.node import Node, NodeId
from clusterlab.core.quorum import Flexible, Grid
from clusterlab.core.spec import Put
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.protocols.client import Client
from clusterlab.protocols.multi_paxos import MultiPaxos

SIX = ("n1", "n2", "n3", "n4", "n5", "n6")
ROWS = (("n1", "n2", "n3"), ("n4", "n5", "n6"))
PATIENCE_MS = 1_500
"""So long an answer, or a leader, is waited for: several election timeouts."""
SOURCE = "Howard, Malkhi and Spiegelman 2016, Flexible Paxos: Quorum Intersection Revisited"


class Flexibly(Experiment):
    """Six replicas with quorums of their own for each phase, and a client."""

    source: ClassVar[str] = SOURCE

    @abstractmethod
    def quorums(self) -> Flexible:
        """Which of the six suffice."""

    def nodes(self) -> list[Node]:
        """Six replicas."""
        rules = self.quorums()
        timeouts: dict[str, Any] = {"election_timeout_ms": (300, 600), "heartbeat_ms": 100}
        return [MultiPaxos(name, members=SIX, quorums=rules, **timeouts) for name in SIX]

    def begin(self, cluster: Cluster) -> NodeId:
        """Elect, and write for the first time."""
        leader = cluster.run_until_leader()
        cluster.add_client(Client("c1", servers=SIX, retry_ms=300, give_up_ms=120_000))
        cluster.put("x", 0)
        return leader

    def writes(self, cluster: Cluster, value: int, limit_ms: float = PATIENCE_MS) -> bool:
        """Whether a write is acknowledged in time."""
        try:
            cluster.invoke("c1", Put("x", value), limit_ms)
        except OperationUnknown:
            return False
        return True

    def elects(self, cluster: Cluster, not_these: tuple[NodeId, ...] = ()) -> bool:
        """Whether somebody leads after a while."""
        cluster.run(PATIENCE_MS)
        return cluster.leader() not in (None, *not_these)


class FlexibleQuorums(Flexibly):
    """Any two choose, any five elect: writes survive four deaths, elections one."""

    name: ClassVar[str] = "flexible-quorums"
    question: ClassVar[str] = "Must a majority accept each command?"
    prediction: ClassVar[Prediction] = Prediction(
        "Six replicas; five must promise to elect a leader, and two must accept a command, the "
        "leader being one of them. Four others die, and later the leader too. When do writes stop?",
        (
            "With the third death: three of six are no majority.",
            "With the death of the leader: with four of six back there is no leader either.",
            "With the death of the leader: it takes two others who are up to elect the next.",
            "Never, but acknowledged writes are lost.",
        ),
        1,
        "Only quorums of different phases must meet, since 5 + 2 > 6. While the leader lives, two "
        "suffice; whoever wants to lead must hear five, so that one of them knows what any two "
        "have chosen.",
    )

    def quorums(self) -> Flexible:
        """Five and two."""
        return Flexible.of_sizes(SIX, phase_1=5, phase_2=2)

    def script(self, cluster: Cluster, story: Story) -> None:
        """Kill four, write; kill the leader; bring back three, then one more."""
        leader = self.begin(cluster)
        others = [name for name in SIX if name != leader]
        self.written = []
        for number, name in enumerate(others[:4], 1):
            cluster.kill(name)
            self.written.append(self.writes(cluster, number))
        story.say(f"{leader} leads; four others die, and {sum(self.written)} writes succeed")
        cluster.kill(leader)
        for name in others[:3]:
            cluster.restart(name)
        self.four = self.elects(cluster, (leader,))
        story.say(f"{leader} dies and three are back: four are up, and lead: {self.four}")
        cluster.restart(others[3])
        cluster.run_until(lambda: cluster.leader() not in (None, leader), what="a leader")
        self.value = cluster.get("x")
        story.say(f"a fifth is back: {cluster.leader()} leads, and x is {self.value}")

    def checks(self, cluster: Cluster) -> list[Check]:  # noqa: ARG002
        """Phase 2 goes on with two, phase 1 needs five, nothing is lost, bad pairs are refused."""
        try:
            Flexible.of_sizes(SIX, phase_1=4, phase_2=2)
            refusal = ""
        except BadValue as error:
            refusal = str(error)
        return [
            Check("two of six go on writing", all(self.written), f"{self.written}"),
            Check("four of six elect nobody", not self.four, f"somebody led: {self.four}"),
            Check("no acknowledged write is lost", self.value == 4, f"x is {self.value}"),
            Check("four and two are refused", "share nobody" in refusal, refusal or "accepted"),
        ]


class FlexibleGrid(Flexibly):
    """A whole row chooses, one of each row elects: elections survive what writes do not."""

    name: ClassVar[str] = "flexible-grid"
    question: ClassVar[str] = "Can six replicas elect with two votes, and what is the price?"
    prediction: ClassVar[Prediction] = Prediction(
        "Six replicas in two rows of three. One of each row elects a leader; one whole row must "
        "accept a command. In each row one replica dies, neither of them the leader. What works?",
        (
            "Elections and writes: four of six are a majority.",
            "Elections only: no row is whole.",
            "Writes only: the leader is still there.",
        ),
        1,
        "Quorums of phase 1 are columns: two who are up are enough. Those of phase 2 are rows, and "
        "each lacks one. Availability is moved from one phase to the other, and not won.",
    )

    def quorums(self) -> Flexible:
        """Columns elect, rows choose."""
        return Flexible.of_grid(ROWS)

    def script(self, cluster: Cluster, story: Story) -> None:
        """Break both rows; kill the leader; mend the row in which it was not."""
        leader = self.begin(cluster)
        mine, other = sorted(ROWS, key=lambda row: leader not in row)
        victims = [next(name for name in row if name != leader) for row in (mine, other)]
        for name in victims:
            cluster.kill(name)
        self.broken = self.writes(cluster, 1)
        story.say(f"{leader} leads; {' and '.join(victims)} die; a write succeeds: {self.broken}")
        cluster.kill(leader)
        self.elected = self.elects(cluster, (leader,))
        story.say(f"{leader} dies; with three of six up, somebody leads: {self.elected}")
        cluster.restart(victims[1])
        self.mended = self.writes(cluster, 2, 20_000)
        self.value = cluster.get("x")
        story.say(f"{victims[1]} is back, so one row is whole: x is {self.value}")

    def checks(self, cluster: Cluster) -> list[Check]:  # noqa: ARG002
        """Each phase by itself."""
        try:
            Flexible(Grid(ROWS), Grid(ROWS))
            refusal = ""
        except BadValue as error:
            refusal = str(error)
        return [
            Check("without a whole row nothing is written", not self.broken, f"{self.broken}"),
            Check("one of each row elects a leader", self.elected, f"{self.elected}"),
            Check("a whole row writes again", self.mended and self.value == 2, f"x: {self.value}"),
            Check("two rows are refused", "share nobody" in refusal, refusal or "accepted"),
        ]
