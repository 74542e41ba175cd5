"""The exercises of lab 14: an acceptor, and the choice of a proposer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from clusterlab.check.explore import explore
from clusterlab.check.invariants.paxos import AGREEMENT, PROMISED_COVERS_ACCEPTED
from clusterlab.check.properties import sometimes
from clusterlab.check.world import World
from clusterlab.core.history import Invoke
from clusterlab.core.node import Deliver, Fire, NodeId
from clusterlab.lessons.exercises.exercise import (
    STATES_MAX,
    Answer,
    Crash,
    Exercise,
    Finding,
    Look,
    Say,
    Try,
    afterwards,
    finding_of,
    has,
    sends,
    sends_no,
)
from clusterlab.lessons.mutants.paxos_worlds import duel, has_heard_nothing, wishes, would_agree
from clusterlab.protocols.paxos import (
    Accept,
    Accepted,
    Acceptor,
    Ballot,
    Learner,
    Prepare,
    Promise,
    Proposal,
    ProposalOverdue,
    Propose,
    Proposer,
)

ONE, TWO, THREE = Ballot(1, "p1"), Ballot(2, "p2"), Ballot(3, "p1")
LEARNERS = ("l1", "l2")
ACCEPTORS = ("a1", "a2", "a3")


def _can_be_chosen(learner: Any) -> Any:
    """Some majority accepts one ballot."""

    def chosen(world: World) -> bool:
        voters: dict[Any, set[NodeId]] = {}
        for src, dst, msg in world.messages:
            if dst == learner.id and isinstance(msg, Accepted):
                voters.setdefault(msg.ballot, set()).add(src)
        return any(learner.has_quorum(who) for who in voters.values())

    return sometimes("a value is chosen", chosen, reads=(), messages=("Accepted",))


def every_ballot(says: str, ballots: int, idle: str, **world: Any) -> Look:
    """Every schedule of so many ballots; then, if two values can be learned, they are.

    When a learner hears of an acceptance changes nothing for others, so the search holds them back.
    """
    world = {
        "network": "set",
        "timers": 0,
        "invoke": wishes(ballots),
        "states_max": STATES_MAX,
        "hygiene": False,
        **world,
    }

    def look(answer: Answer, say: Say) -> Finding:
        nodes = duel(answer, ballots)
        learner: Any = nodes[-1]
        assert isinstance(learner, Learner)
        deaf = would_agree(learner)
        found = explore(
            nodes,
            properties=(
                deaf,
                PROMISED_COVERS_ACCEPTED,
                _can_be_chosen(learner),
            ),
            bound=has_heard_nothing,
            progress=lambda now: say(f"{says}, {now.states:,} states"),
            **world,
        )
        if found.property == deaf.name:
            heard = explore(nodes, properties=AGREEMENT, after=found, **world)
            found = dataclasses.replace(heard, states=found.states)
        return finding_of(found, says, idle)

    return look


IDLE_ACCEPTOR = (
    "An acceptor that refuses everybody is safe and of no use: which requests must it answer?"
)
IDLE_PROPOSER = (
    "Count the acceptors that promised: with `self.has_quorum(self.promises)` it may go on."
)


def _acceptor(answer: Answer) -> Any:
    return answer("a1", learners=LEARNERS, nacks=False)


def _asked(*messages: tuple[NodeId, Any]) -> tuple[Deliver, ...]:
    return tuple(Deliver(src, msg) for src, msg in messages)


ACCEPTOR = Exercise(
    name="14/acceptor",
    base=Acceptor,
    writes=("on_prepare", "on_accept"),
    hides=("may_promise", "may_accept"),
    source="Lamport 2001, section 2.2",
    tries=(
        Try(
            "a first Prepare is promised",
            _acceptor,
            _asked(("p1", Prepare(ONE))),
            (sends("p1", Promise(ONE, None)), has(promised=ONE)),
            "Who has promised nothing yet has no reason to refuse.",
        ),
        Try(
            "what was promised may be accepted",
            _acceptor,
            _asked(("p1", Prepare(ONE)), ("p1", Accept(ONE, "red"))),
            (
                has(accepted=Proposal(ONE, "red")),
                sends("l1", Accepted(ONE, "red")),
                sends("l2", Accepted(ONE, "red")),
            ),
            "An acceptor remembers what it accepts, and tells all `self.learners`.",
        ),
        Try(
            "a Promise reports what was accepted last",
            _acceptor,
            _asked(
                ("p1", Accept(ONE, "red")),
                ("p2", Prepare(TWO)),
                ("p2", Accept(TWO, "green")),
                ("p1", Prepare(THREE)),
            ),
            (sends("p1", Promise(THREE, Proposal(TWO, "green"))),),
            "§2.2: it answers with “the highest-numbered proposal (if any) that it has accepted”.",
        ),
        Try(
            "a restart takes nothing of it",
            _acceptor,
            (*_asked(("p2", Prepare(TWO)), ("p2", Accept(TWO, "green"))), Crash()),
            (has(promised=TWO, accepted=Proposal(TWO, "green")),),
            "§2.2: it “must remember this information even if it fails and then restarts”.",
        ),
    ),
    looks=(
        every_ballot("every schedule of two ballots", 2, IDLE_ACCEPTOR),
        every_ballot(
            "every schedule of two ballots in which an acceptor may crash and return",
            2,
            IDLE_ACCEPTOR,
            crashes=1,
            crashing=("a1",),
        ),
    ),
)


def _proposer(answer: Answer) -> Any:
    return answer("p1", acceptors=ACCEPTORS)


def _promised(*promises: tuple[NodeId, Any]) -> Sequence[tuple[NodeId, Any]]:
    return [("world", Invoke(Propose("red"))), *((who, Promise(ONE, it)) for who, it in promises)]


PROPOSER = Exercise(
    name="14/proposer",
    base=Proposer,
    writes=("on_promise",),
    hides=("pick_value",),
    source="Lamport 2001, section 2.2",
    tries=(
        Try(
            "one promise of three is not enough",
            _proposer,
            _asked(*_promised(("a1", None))),
            (sends_no("Accept"),),
            "Phase 2 begins with the promises of a majority.",
        ),
        Try(
            "with a majority of promises it proposes",
            _proposer,
            _asked(*_promised(("a1", None), ("a2", None))),
            tuple(sends(name, Accept(ONE, "red")) for name in ACCEPTORS),
            "Nobody has accepted anything, so it may propose the wish of its user.",
        ),
        Try(
            "it proposes once",
            _proposer,
            _asked(*_promised(("a1", None), ("a2", None), ("a3", None))),
            (sends_no("Accept"),),
            "A third promise must not change what is proposed under this ballot.",
        ),
    ),
    looks=(
        every_ballot("every schedule of two ballots", 2, IDLE_PROPOSER),
        every_ballot(
            "every schedule of a proposer that crashes and tries again",
            1,
            IDLE_PROPOSER,
            crashes=1,
            crashing=("p1",),
            invoke=[("p1", Propose("x")), ("p1", Propose("y"))],
        ),
        afterwards(
            Try(
                "of several reported values it takes that of the highest ballot",
                _proposer,
                (
                    *_asked(("world", Invoke(Propose("red")))),
                    *(Fire(ProposalOverdue()), Fire(ProposalOverdue())),
                    Deliver("a1", Promise(THREE, Proposal(Ballot(2, "p2"), "green"))),
                    Deliver("a2", Promise(THREE, Proposal(Ballot(1, "p3"), "blue"))),
                ),
                (sends("a1", Accept(THREE, "green")),),
                "§2.2: “the value of the highest-numbered proposal among the responses”.",
            )
        ),
    ),
)

EXERCISES = (ACCEPTOR, PROPOSER)
