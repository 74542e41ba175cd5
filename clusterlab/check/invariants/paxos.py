"""What single-decree Paxos promises, as properties.

Sources: Leslie Lamport, "Paxos Made Simple", 2001, section 2.1 (safety) and section 2.2 (P1 to
P2c); "The Part-Time Parliament", 1998, for the invariants B1 to B3 behind them.

They read the fields of acceptors (`promised`, `accepted`), of proposers (`ballot`, `proposed`) and
of learners (`chosen`), where an accepted, proposed or chosen proposal has a `ballot` and a `value`,
and the notes that clients cause: `invoke` with an operation that has a `value`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any, NamedTuple

from clusterlab.check.properties import Answer, Ghost, Property, always, always_step, sometimes
from clusterlab.check.world import NodeView, World
from clusterlab.core.node import NodeId
from clusterlab.core.quorum import majority


def _learned(world: World) -> Iterable[tuple[NodeId, Any]]:
    return ((n.id, n.chosen) for n in world.having("chosen") if n.chosen is not None)


def _one_value(world: World) -> Answer:
    for (a, one), (b, other) in combinations(_learned(world), 2):
        if one.value != other.value:
            return f"{a} learned {one.value!r} and {b} learned {other.value!r}"
    return True


AGREEMENT = always("Agreement", _one_value, reads=("chosen",))
"""§2.1: "only a single value is chosen", as far as learners have learned it."""


class Vote(NamedTuple):
    """An acceptor accepted a proposal."""

    acceptor: NodeId
    ballot: Any
    value: Any


class Proposed(NamedTuple):
    """A value under a number."""

    ballot: Any
    value: Any


def _votes(world: World) -> set[Vote]:
    """Every acceptance of which the acceptors or the network still know."""
    acceptors = world.having("promised", "accepted")
    seen = {
        Vote(n.id, n.accepted.ballot, n.accepted.value) for n in acceptors if n.accepted is not None
    }
    for letter in world.messages:
        if type(letter.msg).__name__ == "Accepted":
            seen.add(Vote(letter.src, letter.msg.ballot, letter.msg.value))  # type: ignore[attr-defined]
    return seen


def chosen(world: World) -> set[Proposed]:
    """Every proposal that a majority of acceptors accepted.

    In a set network no acceptance is forgotten; in others those are that have been delivered and
    overwritten, so that a proposal which was chosen may be missing.
    """
    everyone = world.having("promised", "accepted")
    voters: dict[Proposed, set[NodeId]] = {}
    for acceptor, ballot, value in _votes(world):
        voters.setdefault(Proposed(ballot, value), set()).add(acceptor)
    enough = majority(len(everyone))
    return {proposal for proposal, who in voters.items() if len(who) >= enough}


def _one_chosen(world: World) -> Answer:
    found = chosen(world)
    if len({value for _, value in found}) <= 1:
        return True
    told = ", ".join(f"{value!r} under {ballot}" for ballot, value in sorted(found, key=repr))
    return f"majorities have accepted different values: {told}"


CHOSEN_AGREEMENT = always(
    "ChosenAgreement", _one_chosen, reads=("promised", "accepted"), messages=("Accepted",)
)
"""The same of the values that are chosen, whether or not somebody has learned them. """


def _learned_were_chosen(world: World) -> Answer:
    values = {proposal.value for proposal in chosen(world)}
    for name, proposal in _learned(world):
        if proposal.value not in values:
            return f"{name} learned {proposal.value!r}, which no majority accepted under one ballot"
    return True


LEARNED_WAS_CHOSEN = always(
    "LearnedWasChosen",
    _learned_were_chosen,
    reads=("promised", "accepted", "chosen"),
    messages=("Accepted",),
)
"""§2.1: "a process never learns that a value has been chosen unless it actually has been". """


def _gather_wishes(ghost: frozenset[Any], _: NodeId, name: str, data: Any) -> frozenset[Any]:
    return ghost | {data.value} if name == "invoke" else ghost


WISHES = Ghost(frozenset(), _gather_wishes)
"""The values that users asked for."""


def _wished_for(world: World) -> Answer:
    for name, proposal in _learned(world):
        if proposal.value not in world.ghost:
            return f"{name} learned {proposal.value!r}, which nobody has proposed"
    return True


VALIDITY = always("Validity", _wished_for, ghost=WISHES, reads=("chosen",))
"""§2.1: "only a value that has been proposed may be chosen". """


def _proposals(world: World) -> set[tuple[Any, Any]]:
    """Every (ballot, value) that proposers, acceptors or the network know of."""
    found = {(vote.ballot, vote.value) for vote in _votes(world)}
    for proposer in world.having("ballot", "proposed"):
        if proposer.proposed is not None:
            found.add((proposer.proposed.ballot, proposer.proposed.value))
    for letter in world.messages:
        if type(letter.msg).__name__ == "Accept":
            found.add((letter.msg.ballot, letter.msg.value))  # type: ignore[attr-defined]
    return found


def _one_value_a_ballot(world: World) -> Answer:
    values: dict[Any, Any] = {}
    for ballot, value in sorted(_proposals(world), key=repr):
        if values.setdefault(ballot, value) != value:
            return f"ballot {ballot} carries both {values[ballot]!r} and {value!r}"
    return True


ONE_VALUE_PER_BALLOT = always(
    "OneValuePerBallot",
    _one_value_a_ballot,
    reads=("promised", "accepted", "ballot", "proposed"),
    messages=("Accept", "Accepted"),
)
"""A ballot is a proposal: two values under one number are two."""


def _proposals_are_safe(world: World) -> Answer:
    """Quorum by quorum, what a proposal requires of the acceptors' past."""
    acceptors = [n.id for n in world.having("promised", "accepted")]
    votes = _votes(world)
    for ballot, value in sorted(_proposals(world), key=repr):
        for quorum in combinations(acceptors, majority(len(acceptors))):
            below = [v for v in votes if v.acceptor in quorum and v.ballot < ballot]
            if not below or max(below, key=lambda vote: vote.ballot).value == value:
                break
        else:
            accepted = ", ".join(
                f"{v.acceptor} accepted {v.value!r} under {v.ballot}" for v in sorted(votes)
            )
            return f"{value!r} is proposed under {ballot}, but no majority allows it: {accepted}"
    return True


P2C = always(
    "P2c",
    _proposals_are_safe,
    reads=("promised", "accepted", "ballot", "proposed"),
    messages=("Accept", "Accepted"),
)
"""§2.2: "For any v and n, if a proposal with value v and number n is issued, then there is a set S
consisting of a majority of acceptors such that either (a) no acceptor in S has accepted any
proposal numbered less than n, or (b) v is the value of the highest-numbered proposal among all
proposals numbered less than n accepted by the acceptors in S". It needs a
set network without crashes, where every acceptance leaves a message that is never forgotten."""


def _acceptor_moves_on(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "promised"):
        return True
    if after.promised < before.promised:
        return f"the promise of {after.id} falls from {before.promised} to {after.promised}"
    if before.accepted is None:
        return True
    if after.accepted is None:
        return f"{after.id} has forgotten that it accepted {before.accepted}"
    if after.accepted.ballot < before.accepted.ballot:
        return f"{after.id} accepted {before.accepted} and then {after.accepted}"
    return True


ACCEPTOR_MONOTONIC = always_step("AcceptorMonotonic", _acceptor_moves_on, across_crashes=True)
"""§2.2: an acceptor's promise and the number of what it accepted never fall, not even by a
crash."""


def _promise_covers(world: World) -> Answer:
    for n in world.having("promised", "accepted"):
        if n.accepted is not None and n.accepted.ballot > n.promised:
            return f"{n.id} accepted {n.accepted} above its promise {n.promised}"
    return True


PROMISED_COVERS_ACCEPTED = always(
    "PromisedCoversAccepted", _promise_covers, reads=("promised", "accepted")
)
"""What an acceptor accepted is never above what it promised."""

VALUE_CHOSEN = sometimes(
    "a value is chosen", lambda world: any(True for _ in _learned(world)), reads=("chosen",)
)

SAFETY: tuple[Property, ...] = (
    *(AGREEMENT, VALIDITY, ACCEPTOR_MONOTONIC, PROMISED_COVERS_ACCEPTED),
)
"""What must always hold, as far as nodes alone show it: quick to check."""

ALL: tuple[Property, ...] = (
    *(*SAFETY, CHOSEN_AGREEMENT, LEARNED_WAS_CHOSEN, ONE_VALUE_PER_BALLOT, P2C),
)
"""These look at the messages too: they see a fault sooner, and take longer. For set networks."""
