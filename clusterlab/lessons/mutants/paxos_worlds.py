"""The worlds in which a wrong Paxos is hunted: a ballot for each proposer, every schedule.

The published figures were measured on a model in which a state is what was sent (a set network)
and what the acceptors remember. Its events are: a ballot is begun (1a), an acceptor promises (1b),
a value is proposed under a ballot (2a), an acceptor accepts (2b), an acceptor restarts. It has no
proposers with a memory, and what a majority accepted counts as learned.

We count alike: `events` are the distinct events of that model which a path carries out. So the
delivery of a promise counts only as the 2a that it leads to, two proposers that begin the same
ballot begin it once, and a ballot of which no acceptor has heard was not begun.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Any, cast

from clusterlab.check.explore import explore
from clusterlab.check.invariants.paxos import AGREEMENT
from clusterlab.check.properties import Answer, Property, always
from clusterlab.check.report import Report
from clusterlab.check.world import NodeView, World
from clusterlab.core.node import Deliver, Message, Node, NodeId, Note, step
from clusterlab.core.quorum import majority
from clusterlab.lessons.mutants import Caught, Hunt, Progress
from clusterlab.lessons.mutants.hunts import teller, told
from clusterlab.protocols.paxos import (
    Accept,
    Acceptor,
    Ballot,
    Learner,
    Prepare,
    Promise,
    Propose,
    Proposer,
)


class AnswersAgain(Acceptor):
    """Not wrong: promises again what it has promised, as servers do whose answers may be lost.

    With the paper's rule, "greater than", an acceptor promises a number once and to one proposer:
    two that share their numbers cannot both get a majority, and P4 costs progress only.
    """

    def may_promise(self, ballot: Ballot) -> bool:
        """Whether no higher ballot was promised."""
        return ballot >= self.promised


class Forgetful(Proposer):
    """Not wrong: a proposer that drops its promises once it has proposed, for fewer states."""

    def on_promise(self, src: NodeId, m: Promise) -> None:
        """They have done their work."""
        super().on_promise(src, m)
        if self.proposed is not None:
            self.promises = {}


LEARNERS = ("l1", "l2")


def duel(
    role: type[Node],
    ballots: int = 2,
    acceptors: int = 3,
    others: Sequence[type[Node]] = (),
) -> list[Node]:
    """Proposers p1, p2, ... for a ballot each, acceptors a1, a2, ..., and two learners.

    `role` and `others` take the place of the class that they derive from. Where proposers are
    wrong, learners are too, since a proposer is a learner.
    """
    kinds: dict[type[Node], type[Any]] = {kind: kind for kind in (Proposer, Acceptor, Learner)}
    for cls in (*others, role):
        kinds[next(kind for kind in kinds if issubclass(cls, kind))] = cls
    if issubclass(role, Proposer):
        kinds[Learner] = role
    names = tuple(f"a{i}" for i in range(1, acceptors + 1))
    return [
        *(kinds[Proposer](f"p{i}", acceptors=names) for i in range(1, ballots + 1)),
        *(kinds[Acceptor](name, learners=LEARNERS, nacks=False) for name in names),
        *(kinds[Learner](name, acceptors=names) for name in LEARNERS),
    ]


def wishes(ballots: int) -> list[tuple[NodeId, Message]]:
    """p1 wants x, p2 wants y, p3 wants x, ..."""
    return [(f"p{i}", Propose("xy"[(i + 1) % 2])) for i in range(1, ballots + 1)]


def events(report: Report) -> int:
    """The distinct events of the published model that a path carries out; see the module."""
    found: set[Any] = set()
    restarts = 0
    for move in report.path:
        if move.kind == "deliver" and isinstance(move.msg, Prepare):
            found |= {("1a", move.msg), ("1b", move.node, move.msg)}
        elif move.kind == "deliver" and isinstance(move.msg, Accept):
            found |= {("2a", move.msg), ("2b", move.node, move.msg)}
        elif move.kind == "restart" and move.node.startswith("a"):
            restarts += 1
    return len(found) + restarts


# --- the hunt ----------------------------------------------------------------------------------


def would_agree(learner: Learner) -> Property:
    """What a learner would learn that hears of every acceptance is one value at most.

    When a learner hears of an acceptance changes nothing for anybody else. So the search need not
    try every time: it holds the learners back, and this asks one where the messages lie.
    """

    def one_value(world: World) -> Answer:
        told_all: Node = learner
        values: list[Any] = []
        for letter in world.messages:
            if letter.dst == learner.id:
                told_all, effects = step(told_all, Deliver(letter.src, letter.msg))
                values += [e.data.value for e in effects if isinstance(e, Note)]
        return len(set(values)) <= 1 or f"{' and '.join(map(repr, values))} can both be learned"

    return always(AGREEMENT.name, one_value, reads=(), messages=("Accepted",))


def has_heard_nothing(node: NodeView) -> bool:
    """Learners are held back: a bound for the search."""
    return not getattr(node, "votes", None)


def hunting(
    ballots: int = 2,
    acceptors: int = 3,
    others: Sequence[type[Node]] = (),
    *,
    after: Iterable[str] = (),
    **world: Any,
) -> Hunt:
    """Every schedule of some ballots; then, if it can be, the learners learn two values.

    Acceptors do not tell whom they turn down. That is as safe, and without the refusals two ballots
    have 4,761 states instead of 2,263,060.
    """
    prefix = tuple(after)
    world = {"network": "set", "timers": 0, "invoke": wishes(ballots), **world}

    def hunt(role: type[Node], progress: Progress | None = None) -> Caught:
        begun = time.process_time()
        nodes = duel(role, ballots, acceptors, others)
        deaf = would_agree(cast(Learner, nodes[-1]))
        found = explore(
            nodes,
            properties=deaf,
            bound=has_heard_nothing,
            after=prefix,
            progress=teller(progress),
            **world,
        )
        if found.property == deaf.name:
            heard = explore(nodes, properties=AGREEMENT, after=found, **world)
            found = dataclasses.replace(heard, states=found.states)
        return told(found, nodes, "search", time.process_time() - begun, len(prefix), events)

    return hunt


def first_phase_done(ballots: int, acceptors: int = 3) -> Iterable[str]:
    """All proposers have begun, and p1, whose ballot is the lowest, has a majority of promises.

    Every run that can go wrong can be rearranged to begin so: in a set network it is never too
    early to ask, and a promise of the lowest ballot reports nothing and forbids nothing.
    """
    yield from (f"world -> {name} {wish!r}" for name, wish in wishes(ballots))
    lowest = Ballot(1, "p1")
    for name in [f"a{i}" for i in range(1, majority(acceptors) + 1)]:
        yield f"p1 -> {name} {Prepare(lowest)!r}"
        yield f"{name} -> p1 {Promise(lowest, None)!r}"
