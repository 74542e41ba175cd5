"""Two ways in which stores with quorums are not what R + W > N makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.cluster import Cluster
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Get, KeyValue, Put
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.experiments.several import Several
from clusterlab.protocols.client import Client
from clusterlab.protocols.dynamo import QuorumStore
from clusterlab.protocols.dynamo.versions import Order

SLOW_MS = 1500
KEY = "seat"
"""Its homes are n1, n2 and n3."""


def ask(cluster: Cluster, name: NodeId, server: NodeId) -> None:
    """A client that asks this server only, and once: a repeated write would be another write."""
    cluster.add_client(Client(name, servers=(server,), retry_ms=60_000, give_up_ms=30_000))


class Inversion(Experiment):
    """A slow write; one reader meets it, a later one does not."""

    question: ClassVar[str] = "R + W > N: may a later read return an older value?"
    prediction: ClassVar[Prediction] = Prediction(
        "R + W > N, a write is under way, and a read returned the new value. A later read may ...",
        ("... return the old value.", "... only return the new one."),
        0,
        "Each quorum meets the quorums of writes that are done; this one is not.",
    )
    source: ClassVar[str] = (
        "Attiya, Bar-Noy and Dolev 1995, Sharing Memory Robustly in Message-Passing Systems"
    )
    network: ClassVar[Network] = Network(delay_ms=(1, 3))

    def __init__(self, name: str, *, write_back: bool) -> None:
        self.name = name  # type: ignore[misc]  # the two ways are two experiments
        self.write_back = write_back

    def nodes(self) -> list[Node]:
        """Six servers; n1, n2 and n3 keep the key, and the others coordinate."""
        return [
            *QuorumStore.group(
                6, n=3, write_back=self.write_back, read_repair=False, abandon_ms=9_000
            )
        ]

    def script(self, cluster: Cluster, story: Story) -> None:
        """The writer's way to n2 and n3 is slow; Alice does not reach n3 soon, nor Bob n1."""
        for name, server in (("writer", "n4"), ("alice", "n5"), ("bob", "n6")):
            ask(cluster, name, server)
        cluster.invoke("writer", Put(KEY, "old"))
        cluster.run(100)
        for src, dst in (("n4", "n2"), ("n4", "n3"), ("n5", "n3"), ("n6", "n1")):
            cluster.link(src, dst, delay_ms=(SLOW_MS, SLOW_MS))
        write = (Put(KEY, "new"),)
        cluster.add_client(
            Client("late", servers=("n4",), workload=write, operations=1, retry_ms=60_000)
        )
        cluster.run_until(
            lambda: cluster.state("n1")["versions"][KEY][0].value == "new", what="new at n1"
        )
        story.say("the new value is at n1, and on its way to n2 and n3")
        self.first = cluster.invoke("alice", Get(KEY))
        story.say(f"alice reads {self.first}")
        self.second = cluster.invoke("bob", Get(KEY))
        story.say(f"then bob reads {self.second}")
        cluster.run(2 * SLOW_MS)

    def checks(self, cluster: Cluster) -> list[Check]:
        """Inverted without write-back, linearizable with it."""
        verdict = check_linearizability(cluster.history, KeyValue())
        told = f"alice read {self.first}, then bob {self.second}; {verdict.explain()}"
        if self.write_back:
            return [
                Check("a reader who saw the new value passed it on", self.second == "new", told),
                Check("linearizable", verdict.valid is True, told),
            ]
        return [Check("the later read is older", (self.first, self.second) == ("new", "old"), told)]


class QuorumNotLinearizable(Several):
    """The same reads, without and with write-back."""

    name: ClassVar[str] = "quorum-not-linearizable"
    question: ClassVar[str] = (
        "Every read meets every write (R + W > N): is the register linearizable?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "Three replicas, R = W = 2. A write is under way. Alice reads the new value and tells Bob, "
        "who reads then. What does Bob get?",
        ("The new value: quorums intersect.", "Maybe the old one.", "An error."),
        1,
        "Bob's quorum meets those of writes that are done, and this one is not. Had Alice waited "
        "until two replicas have what she returns (write-back), Bob could not miss it.",
    )
    source: ClassVar[str] = Inversion.source

    def parts(self) -> Sequence[Experiment]:
        """Without, then with."""
        return [
            Inversion("without write-back", write_back=False),
            Inversion("with write-back", write_back=True),
        ]


class Skewed(Experiment):
    """Two writes, one after the other, by way of two servers whose clocks differ."""

    question: ClassVar[str] = (
        "Which of two writes survives, the later one or that of the fast clock?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "One server's clock is ten seconds ahead. Which write survives?",
        ("The later one.", "That of the server whose clock is ahead."),
        1,
        "A time stamp says what the clock of the writer said, and nothing else.",
    )
    source: ClassVar[str] = (
        "Kingsbury 2013, The trouble with timestamps; "
        "Lamport 1978, Time, Clocks, and the Ordering of Events in a Distributed System"
    )
    network: ClassVar[Network] = Network(delay_ms=(1, 5))

    def __init__(self, name: str, order: Order) -> None:
        self.name = name  # type: ignore[misc]  # the two ways are two experiments
        self.order = order

    def nodes(self) -> list[Node]:
        """Three replicas."""
        return [*QuorumStore.group(3, order=self.order)]

    def script(self, cluster: Cluster, story: Story) -> None:
        """A clock is set forward; then first it, then another writes."""
        ask(cluster, "fast", "n1")
        ask(cluster, "slow", "n2")
        cluster.run(50)
        cluster.skew("n1", offset_ms=10_000)
        story.say("n1's clock is set ten seconds forward")
        cluster.invoke("fast", Put("x", "first"))
        cluster.run(200)
        cluster.invoke("slow", Put("x", "second"))
        cluster.run(200)
        self.read = cluster.invoke("slow", Get("x"))
        story.say(f"first, then second were acknowledged; x is {self.read}")

    def checks(self, cluster: Cluster) -> list[Check]:
        """The later write is lost where clocks decide, and not where counts do."""
        verdict = check_linearizability(cluster.history, KeyValue())
        if self.order == "counter":
            return [Check("the later write survives", self.read == "second", verdict.explain())]
        lost = self.read == "first" and verdict.valid is False
        return [Check("an acknowledged write is lost", lost, verdict.explain())]


class ClockSkewLww(Several):
    """Last writer wins, by clocks and by counts."""

    name: ClassVar[str] = "clock-skew-lww"
    question: ClassVar[str] = (
        "The last writer wins, by the clock of whoever takes the write: what if one clock is fast?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "x is written by way of a server whose clock is ten seconds ahead, and a moment later by "
        "way of another. Both are acknowledged. What is x?",
        ("The second value.", "The first value, for ten seconds.", "The first value."),
        2,
        "The second write carries the smaller time stamp, so every replica throws it away, though "
        "its writer was told that it is done. Time does not help: x stays at the first value until "
        "somebody writes with a greater stamp.",
    )
    source: ClassVar[str] = Skewed.source

    def parts(self) -> Sequence[Experiment]:
        """By clock, then by count."""
        return [Skewed("by clock", "clock"), Skewed("by count", "counter")]
