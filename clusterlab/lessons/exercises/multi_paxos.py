"""The third exercise of lab 14: what a new leader puts into slots that others left open."""

from __future__ import annotations

from typing import Any

from clusterlab.check.invariants import multi_paxos as promises
from clusterlab.core.node import Deliver, Fire, Node
from clusterlab.core.spec import Put
from clusterlab.experiments.fuzz import Trial
from clusterlab.experiments.fuzz_subjects import SUBJECTS
from clusterlab.lessons.exercises.exercise import (
    Answer,
    Exercise,
    Try,
    afterwards,
    every_schedule,
    sends,
    sends_no,
    storms,
)
from clusterlab.lessons.mutants.hunts import arrives, asked, fires
from clusterlab.protocols.client import Client, Request
from clusterlab.protocols.multi_paxos import (
    Accept,
    Accepted,
    Command,
    ElectionTimeout,
    Heartbeat,
    Prepare,
    Promise,
)
from clusterlab.protocols.multi_paxos.server import MultiPaxos
from clusterlab.protocols.paxos import Ballot, Proposal

RED = Command("c1", 1, Put("colour", "red"))
ONE, TWO, THREE = Ballot(1, "n3"), Ballot(2, "n2"), Ballot(3, "n1")


def _first_of_three(answer: Answer) -> Any:
    return answer.group(3)[0]


def _reported(*accepted: Proposal | None) -> tuple[Any, ...]:
    """n1 stands three times, and n2 answers the third time with what it has accepted."""
    stands = (Fire(ElectionTimeout()),) * 3
    return (*stands, Deliver("n2", Promise(THREE, 1, accepted)))


def _proposes(*commands: Any) -> Any:
    return sends("n2", Accept(THREE, 1, commands, 0))


_FIRST = Ballot(1, "n1")
CHOSEN = (
    fires("n1", ElectionTimeout()),
    arrives("n1", "n2", Prepare(_FIRST, 1)),
    arrives("n2", "n1", Promise(_FIRST, 1, ())),
    asked("c1", RED.operation),
    arrives("c1", "n1", Request(1, RED.operation)),
    arrives("n1", "n2", Accept(_FIRST, 1, (RED,), 0)),
    arrives("n2", "n1", Accepted(_FIRST, 1)),
)
"""n1 leads, and a command is chosen for slot 1; n3 has heard nothing."""


def _three_and_a_client(answer: Answer) -> list[Node]:
    return [*answer.group(3), Client("c1", servers=("n1",))]


def _storms(answer: Answer) -> Trial:
    return SUBJECTS["multipaxos"].trials(answer, 3)[0]


SLOTS = Exercise(
    name="14/slots",
    base=MultiPaxos,
    writes=("pick_command",),
    returns_none=("pick_command",),
    source="Lamport 2001, section 3",
    tries=(
        Try(
            "where nothing was accepted, nothing is filled",
            _first_of_three,
            _reported(),
            (sends("n2", Heartbeat(THREE, 0, None)), sends_no("Accept")),
        ),
    ),
    looks=(
        every_schedule(
            "what may follow when a command is chosen and another replica stands",
            _three_and_a_client,
            after=CHOSEN,
            properties=(promises.AGREEMENT, promises.CHOSEN_IS_KEPT, promises.SLOT_EXECUTED),
            invoke=[("c1", RED.operation)],
            timers={"ElectionTimeout": 1},
            bound=lambda node: getattr(node, "promised", ONE).round <= 1,
            partly=True,
            states_max=20_000,
        ),
        afterwards(
            Try(
                "a slot of which nobody reports anything is a hole, and gets a no-op",
                _first_of_three,
                _reported(None, Proposal(TWO, "green")),
                (_proposes(None, "green"),),
                "§3: “a special ‘noop’ command that leaves the state unchanged”; here it is None.",
            )
        ),
        afterwards(
            Try(
                "of several reports of a slot it takes that of the highest ballot",
                lambda answer: answer.group(5)[0],
                (
                    *_reported(Proposal(ONE, "red")),
                    Deliver("n3", Promise(THREE, 1, (Proposal(TWO, "green"),))),
                ),
                (_proposes("green"),),
                "§2.2: “the value of the highest-numbered proposal among the responses”.",
            )
        ),
        storms("storms of faults over three replicas and three clients", _storms, seeds=range(3)),
    ),
)

EXERCISES = (SLOTS,)
