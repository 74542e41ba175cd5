"""Proposers that overtake each other: for ever, until chance ends it, or not at all."""

from __future__ import annotations

from typing import Any, ClassVar

from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import LimitReached
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.experiments.paxos_by_hand import ask
from clusterlab.protocols.distinguished import Distinguished
from clusterlab.protocols.paxos import Paxos, Prepare, Propose

DELAY_MS = 100
WAIT_MS = 250
"""A ballot takes three delays to be accepted; another begins before, and arrives after it.

So one proposer alone succeeds, and a second one that begins half a wait later is always in time to
overtake the first, and to be overtaken by it.
"""
DUEL_MS = 4_000
LIMIT_MS = 60_000
EQUAL, DRAWN = ("n1", "n2", "n3"), ("r1", "r2", "r3")


def servers(names: tuple[NodeId, ...], **options: Any) -> list[Node]:
    """Paxos servers in all roles."""
    return [Paxos(name, acceptors=names, learners=names, **options) for name in names]


def chosen(cluster: Cluster, names: tuple[NodeId, ...]) -> set[Any]:
    """What these servers have learned."""
    found = (cluster.state(name).get("chosen") for name in names if cluster.health(name) == "up")
    return {proposal.value for proposal in found if proposal is not None}


def ballots(cluster: Cluster) -> dict[NodeId, int]:
    """How many ballots each server has begun."""
    sent = [event for event in cluster.trace.of("send") if isinstance(event.data["msg"], Prepare)]
    begun: dict[NodeId, set[Any]] = {}
    for event in sent:
        begun.setdefault(event.node or "", set()).add(event.data["msg"].ballot)
    return {name: len(numbers) for name, numbers in begun.items()}


class PaxosDuel(Experiment):
    """Two duels side by side: n1 and n2 wait equally long, r1 and r2 draw how long they wait."""

    name: ClassVar[str] = "paxos-duel"
    question: ClassVar[str] = "Can two proposers keep each other from ever succeeding?"
    prediction: ClassVar[Prediction] = Prediction(
        "Nothing fails and nothing is lost. Two proposers, each of which would succeed alone, wait "
        "equally long before they try a higher number. What happens?",
        (
            "The one with the greater name wins: its numbers are higher.",
            "They overtake each other for ever; times drawn at random end it.",
            "They overtake each other for ever, whatever they wait.",
            "The acceptors choose the value that they saw first.",
        ),
        1,
        "Each begins a higher number just before the other's value arrives. That is not unsafe, "
        "only endless. A drawn time soon leaves one of them alone for long enough.",
    )
    source: ClassVar[str] = "Lamport 2001, Paxos Made Simple, §2.4"
    network: ClassVar[Network] = Network(delay_ms=(DELAY_MS, DELAY_MS))

    def nodes(self) -> list[Node]:
        """Two groups of three that have nothing to do with each other."""
        drawn: dict[str, Any] = {"retry_ms": (WAIT_MS // 2, 2 * WAIT_MS), "back_off": 2}
        return [*servers(EQUAL, retry_ms=WAIT_MS), *servers(DRAWN, **drawn)]

    def script(self, cluster: Cluster, story: Story) -> None:
        """Four proposers begin; after a while one of the equal two dies."""
        for one in (0, 1):
            for group in (EQUAL, DRAWN):
                ask(cluster, group[one], Propose(f"of {group[one]}"))
            cluster.run(WAIT_MS / 2)
        cluster.run(DUEL_MS)
        self.begun = ballots(cluster)
        self.equal = chosen(cluster, EQUAL)
        told = ", ".join(f"{name} {count}" for name, count in sorted(self.begun.items()))
        story.say(f"ballots begun after {DUEL_MS} ms: {told}")
        cluster.run_until(lambda: bool(chosen(cluster, DRAWN)), LIMIT_MS, "a choice by r1 to r3")
        story.say(f"those who draw their waits have chosen {chosen(cluster, DRAWN)}")
        cluster.kill("n2")
        story.say("n2, one of those who wait equally long, dies")
        cluster.run_until(lambda: bool(chosen(cluster, ("n1",))), LIMIT_MS, "a choice by n1")
        story.say(f"n1, alone, has chosen {chosen(cluster, ('n1',))}")

    def checks(self, cluster: Cluster) -> list[Check]:
        """Endless, then not."""
        rounds = min(self.begun.get(name, 0) for name in EQUAL[:2])
        drawn, alone = chosen(cluster, DRAWN), chosen(cluster, EQUAL)
        return [
            Check(
                "equal waits end in a live-lock",
                rounds >= 8 and not self.equal,
                f"at least {rounds} ballots each, chosen: {self.equal or 'nothing'}",
            ),
            Check("drawn waits end it", len(drawn) == 1, f"chosen: {drawn}"),
            Check("one alone succeeds", len(alone) == 1, f"chosen: {alone}"),
        ]


class PaxosDistinguished(Experiment):
    """The same two proposers, who leave it to a third; the third dies at once."""

    name: ClassVar[str] = "paxos-distinguished"
    question: ClassVar[str] = "What does a distinguished proposer cost when it dies?"
    prediction: ClassVar[Prediction] = Prediction(
        "Servers leave their wishes to the one with the greatest name that they hear of. It dies "
        "before it has done anything. What happens?",
        (
            "Nothing any more: nobody else may propose.",
            "After a silence the next one takes over, and something is chosen.",
            "Two values may be chosen, since the servers may disagree about who is distinguished.",
        ),
        1,
        "Who is distinguished is a guess that only progress depends on. A wrong guess is a duel or "
        "a pause; numbers and promises keep what was chosen.",
    )
    source: ClassVar[str] = "Lamport 2001, Paxos Made Simple, §2.4"
    network: ClassVar[Network] = Network(delay_ms=(DELAY_MS, DELAY_MS))

    def nodes(self) -> list[Node]:
        """Waits as equal as in the duel, and somewhat longer than a round trip."""
        options: dict[str, Any] = {"beat_ms": 100, "silence_ms": 500, "retry_ms": 4 * DELAY_MS}
        return list(Distinguished.group(3, **options))

    def script(self, cluster: Cluster, story: Story) -> None:
        """Two wishes; the one who should propose dies; who is next?"""
        cluster.run(3 * DELAY_MS)
        cluster.kill("n3")
        story.say("n3, the distinguished proposer, dies")
        for name in ("n1", "n2"):
            ask(cluster, name, Propose(f"of {name}"))
            cluster.run(WAIT_MS / 2)

        def both_know() -> bool:
            return all(cluster.state(name)["chosen"] is not None for name in ("n1", "n2"))

        try:
            cluster.run_until(both_know, LIMIT_MS, "a choice")
        except LimitReached:  # the checks will say so
            return
        story.say(f"n1 and n2 have chosen {chosen(cluster, ('n1', 'n2'))}")

    def checks(self, cluster: Cluster) -> list[Check]:
        """Somebody took over, and nobody duelled."""
        values, begun = chosen(cluster, ("n1", "n2")), ballots(cluster)
        return [
            Check("one value is chosen", len(values) == 1, f"chosen: {values}"),
            Check(
                "only the next in line has proposed",
                set(begun) == {"n2"},
                f"ballots begun: {begun}",
            ),
        ]
