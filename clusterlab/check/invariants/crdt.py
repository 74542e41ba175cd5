"""What conflict-free replicated data types promise, as properties.

Source: Shapiro, Preguiça, Baquero and Zawirski, "Conflict-free Replicated Data Types", 2011,
section 2: states form a join semilattice, updates inflate, and replicas that have delivered the
same updates are equal.

| what | is |
|---|---|
| field `payload` | of a replica: its state |
| method `merge(one, other)` | of its class: the join of two states |
| field `delivered` | of a replica: a set of the names of the updates that it knows |
"""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

from clusterlab.check.properties import Answer, Property, always, always_step, eventually
from clusterlab.check.world import NodeView, World

# --- the laws of merge -------------------------------------------------------------------------


def _states(world: World) -> tuple[Any, list[Any]]:
    """The merge, and the different states of the replicas."""
    replicas = world.having("payload", "merge")
    states: list[Any] = []
    for replica in replicas:
        if replica.payload not in states:
            states.append(replica.payload)
    return (replicas[0].merge if replicas else None), states


def _idempotent(world: World) -> Answer:
    merge, states = _states(world)
    for s in states:
        if merge(s, s) != s:
            return f"merging {s} with itself gives {merge(s, s)}"
    return True


MERGE_IDEMPOTENT = always("MergeIdempotent", _idempotent, reads=("payload", "merge"))
"""merge(s, s) = s: a state that arrives twice changes nothing."""


def _commutative(world: World) -> Answer:
    merge, states = _states(world)
    for s, t in combinations(states, 2):
        if merge(s, t) != merge(t, s):
            return f"{s} merged with {t} is {merge(s, t)}, and the other way round {merge(t, s)}"
    return True


MERGE_COMMUTATIVE = always("MergeCommutative", _commutative, reads=("payload", "merge"))
"""merge(s, t) = merge(t, s): it does not matter who tells whom."""


def _associative(world: World) -> Answer:
    merge, states = _states(world)
    for s, t, u in product(states, repeat=3):
        left, right = merge(merge(s, t), u), merge(s, merge(t, u))
        if left != right:
            return f"{s}, {t} and {u} merge to {left} from the left and to {right} from the right"
    return True


MERGE_ASSOCIATIVE = always("MergeAssociative", _associative, reads=("payload", "merge"))
"""merge(merge(s, t), u) = merge(s, merge(t, u)): it does not matter in which order news travels."""


def _inflates(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "payload") or not hasattr(before, "merge"):
        return True
    if after.merge(before.payload, after.payload) == after.payload:
        return True
    return f"{after.id} goes from {before.payload} to {after.payload}, which is not above it"


INFLATES = always_step("Inflates", _inflates)
"""Every step leaves a state that is at or above the one before: nothing is ever taken back."""

# --- convergence -------------------------------------------------------------------------------


def _same_news_same_state(world: World) -> Answer:
    for a, b in combinations(world.having("payload", "delivered"), 2):
        if set(a.delivered) == set(b.delivered) and a.payload != b.payload:
            return (
                f"{a.id} and {b.id} have both delivered {sorted(a.delivered)}, but have "
                f"{a.payload} and {b.payload}"
            )
    return True


STRONG_CONVERGENCE = always(
    "StrongConvergence", _same_news_same_state, reads=("payload", "delivered")
)
"""Replicas that have delivered the same updates have equal states, in whatever order they came."""


def _all_equal(world: World) -> Answer:
    replicas = world.having("payload")
    for replica in replicas[1:]:
        if replica.payload != replicas[0].payload:
            first = replicas[0]
            return f"{first.id} has {first.payload} and {replica.id} has {replica.payload}"
    return True


EVENTUAL_CONVERGENCE = eventually("EventualConvergence", _all_equal)
"""Once updates and faults have stopped, all replicas come to one state."""

LAWS: tuple[Property, ...] = (MERGE_IDEMPOTENT, MERGE_COMMUTATIVE, MERGE_ASSOCIATIVE)
SAFETY: tuple[Property, ...] = (*LAWS, INFLATES, STRONG_CONVERGENCE)
"""Everything that must always hold. What the value should be (add-wins, the sum of all increments)
is the type's own promise: state it with `always`."""
