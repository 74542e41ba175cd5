"""Single-decree Paxos, step by step: why a second proposer adopts, and what phase 1 is for.

The network is slow, so that a link can be cut while a message is on its way, on real processes too.
Nobody tries again by itself.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any, ClassVar

from clusterlab.check.explore import explore
from clusterlab.check.invariants.paxos import AGREEMENT
from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import OperationUnknown
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.protocols.paxos import ZERO, Accept, Acceptor, Learner, Proposal, Propose, Proposer

SLOW = Network(delay_ms=(80.0, 100.0))
NEVER_MS = 600_000
ACCEPTORS = ("a1", "a2", "a3")
LEARNERS = ("p1", "p2", "l1")
PATIENCE_MS = 5_000


def ask(cluster: Cluster, node: NodeId, operation: Message) -> None:
    """Hand an operation to a node, and do not wait for what comes of it."""
    with suppress(OperationUnknown):
        cluster.invoke(node, operation, limit_ms=1)


def told(cluster: Cluster) -> dict[NodeId, list[Any]]:
    """What the users of each proposer were told was chosen."""
    found: dict[NodeId, list[Any]] = {}
    for operation in cluster.history.ok():
        found.setdefault(operation.client, []).append(operation.value)
    return found


class SingleDecree(Experiment):
    """Two proposers, three acceptors and a learner."""

    network: ClassVar[Network] = SLOW
    proposer: ClassVar[type[Proposer]] = Proposer

    def nodes(self) -> list[Node]:
        """Roles apart, so that each can be seen, and killed, by itself."""
        return [
            *(self.proposer(p, acceptors=ACCEPTORS, retry_ms=NEVER_MS) for p in ("p1", "p2")),
            *(Acceptor(name, learners=LEARNERS) for name in ACCEPTORS),
            Learner("l1", acceptors=ACCEPTORS),
        ]


class PaxosByHand(SingleDecree):
    """p1 dies when one acceptor has accepted its value; p2 must go on with it."""

    name: ClassVar[str] = "paxos-by-hand"
    question: ClassVar[str] = "A proposer dies half-way: may the next one propose its own value?"
    prediction: ClassVar[Prediction] = Prediction(
        "a3 is dead. p1 wants blue: a1 has accepted it, the message to a2 was lost, and p1 dies. "
        "Now p2 wants green, and hears from a1 and a2. What is chosen?",
        (
            "Green: only one of three acceptors has blue, so it was not chosen.",
            "Blue: p2 must propose what a1 reports.",
            "Nothing, until a3 is back and can say whether it accepted blue.",
        ),
        1,
        "p2 cannot know whether the dead a3 accepted blue as well, which would have made it "
        "chosen. So it proposes the value that a1 reports: that is safe in either case.",
    )
    source: ClassVar[str] = "Lamport 2001, Paxos Made Simple, §2.2"

    def script(self, cluster: Cluster, story: Story) -> None:
        """Blue half-way; then green; then all are back, and somebody wants red."""
        cluster.kill("a3")
        story.say("a3 is dead")
        ask(cluster, "p1", Propose("blue"))
        cluster.run_until(lambda: cluster.state("a2")["promised"] != ZERO, what="a2's promise")
        cluster.link("p1", "a2", block=True)
        story.say("a1 and a2 have promised p1 its ballot; then the link from p1 to a2 breaks")
        cluster.run_until(lambda: cluster.state("a1")["accepted"] is not None, what="an acceptance")
        cluster.kill("p1")
        self.accepted = {name: cluster.state(name)["accepted"] for name in ("a1", "a2")}
        story.say("a1 has accepted blue, a2 has not, and p1 dies")
        value = cluster.invoke("p2", Propose("green"), PATIENCE_MS)
        story.say(f"p2 wants green, and is told that {value} is chosen")
        cluster.heal()
        cluster.restart("a3")
        cluster.restart("p1")
        value = cluster.invoke("p1", Propose("red"), PATIENCE_MS)
        story.say(f"a3 and p1 are back; p1 wants red, and is told that {value} is chosen")
        cluster.run_until(lambda: cluster.state("l1")["chosen"] is not None, what="the learner")

    def checks(self, cluster: Cluster) -> list[Check]:
        """Blue, for everybody."""
        had = {name: one.value if one else None for name, one in self.accepted.items()}
        values = told(cluster)
        learned = cluster.state("l1")["chosen"].value
        return [
            Check(
                "nothing was chosen when p1 died",
                had == {"a1": "blue", "a2": None},
                f"a1 had accepted {had['a1']}, a2 {had['a2']}, and a3 was dead",
            ),
            Check("p2 adopts", values.get("p2") == ["blue"], f"p2 was told {values.get('p2')}"),
            Check("it stays chosen", values.get("p1") == ["blue"], f"p1: {values.get('p1')}"),
            Check("the learner learned the same", learned == "blue", f"l1 learned {learned}"),
        ]


class SkipsPhase1(Proposer):
    """A proposer in a hurry: a number, its own value, and straight to phase 2."""

    def begin(self) -> None:
        """Ask nobody what was accepted before."""
        assert self.wish is not None
        self.ballot = self.next_ballot()
        self.proposed = Proposal(self.ballot, self.wish.value)
        self.broadcast(Accept(self.ballot, self.wish.value), self.acceptors)


class PaxosNoPhase1(SingleDecree):
    """Both proposers skip phase 1, and each gets its own value chosen."""

    name: ClassVar[str] = "paxos-no-phase-1"
    question: ClassVar[str] = "What is phase 1 for, if the values travel in phase 2 only?"
    prediction: ClassVar[Prediction] = Prediction(
        "Two proposers with different numbers skip phase 1. Blue is chosen; later the other one, "
        "who has not heard of that, proposes green under a higher number. What becomes of it?",
        (
            "The acceptors refuse: they have accepted a value already.",
            "The acceptors accept it, and two values have been chosen.",
            "Green is accepted by one acceptor at most.",
        ),
        1,
        "An acceptor must be able to accept more than one proposal, or a dead proposer could stop "
        "everything. That later ones carry the same value is the proposers' duty, and phase 1 is "
        "how they learn of it.",
    )
    source: ClassVar[str] = "Lamport 2001, Paxos Made Simple, §2.2, P2c"
    proposer: ClassVar[type[Proposer]] = SkipsPhase1

    def script(self, cluster: Cluster, story: Story) -> None:
        """Blue while p2 is cut off; then green."""
        cluster.isolate("p2")
        value = cluster.invoke("p1", Propose("blue"), PATIENCE_MS)
        story.say(f"p2 is cut off; p1 is told that {value} is chosen")
        cluster.run(500)
        cluster.heal()
        value = cluster.invoke("p2", Propose("green"), PATIENCE_MS)
        story.say(f"the network heals; p2 is told that {value} is chosen")
        cluster.run(500)

    def checks(self, cluster: Cluster) -> list[Check]:
        """What is expected: that it goes wrong; and how soon it can."""
        notes = [note for note in cluster.trace.notes("chosen") if note.node == "l1"]
        learned = list(dict.fromkeys(note.data["data"].value for note in notes))
        events, found = shortest_disagreement()
        return [
            Check(
                "two users were told different things",
                told(cluster) == {"p1": ["blue"], "p2": ["green"]},
                f"they were told {told(cluster)}",
            ),
            Check("one learner learned both", learned == ["blue", "green"], f"l1: {learned}"),
            Check(
                "the search finds the shortest such run",
                events > 0,
                f"{events} events: {found}",
            ),
        ]


@cache
def shortest_disagreement() -> tuple[int, str]:
    """The length of the shortest run in which two learners disagree, and how; 0 if there is none.

    The proposers are learners too.
    """
    report = explore(
        PaxosNoPhase1().nodes(),
        properties=AGREEMENT,
        network="multiset",
        invoke=[("p1", Propose("blue")), ("p2", Propose("green"))],
        timers=0,
        symmetry=ACCEPTORS,
    )
    return len(report.path), report.explanation
