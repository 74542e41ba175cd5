"""What changes of the members, and gossip about who is alive, promise as properties.

Sources: Ongaro's dissertation, 2014, chapter 4 (one change at a time); Lamport, Malkhi and Zhou,
"Reconfiguring a State Machine", 2010; Das, Gupta and Motivala, "SWIM", 2002, sections 2 and 4.2.

| what | is |
|---|---|
| field `configurations` | frozensets of members, a tuple of all that a server has had |
| field `settled` | how many of them it knows to be committed |
| field `beliefs` | {member: Belief}: what gossip says of the others |
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import NamedTuple

from clusterlab.check.properties import Answer, Property, always, always_step, eventually
from clusterlab.check.world import NodeView, World
from clusterlab.core.node import NodeId
from clusterlab.core.quorum import majority

# --- configurations ----------------------------------------------------------------------------


def _one_at_a_time(world: World) -> Answer:
    for server in world.having("configurations", "settled"):
        if len(server.configurations) - server.settled > 1:
            pending = server.configurations[server.settled :]
            told = " and ".join("{" + ", ".join(sorted(members)) + "}" for members in pending)
            return f"{server.id} has {len(pending)} changes on the way at once: {told}"
    return True


ONE_UNCOMMITTED = always(
    "OneUncommittedConfiguration", _one_at_a_time, reads=("configurations", "settled")
)
"""A server has at most one configuration that is not committed yet."""


def quorums_can_miss(one: AbstractSet[NodeId], other: AbstractSet[NodeId]) -> bool:
    """Whether a majority of one and a majority of the other may have no member in common.

    >>> quorums_can_miss({"a", "b", "c"}, {"a", "b", "c", "d"})  # one more
    False
    >>> quorums_can_miss({"a", "b", "c"}, {"b", "c", "d"})  # one for another: ab and cd
    True
    """
    shared = len(one & other)
    needed = sum(max(0, majority(len(c)) - (len(c) - shared)) for c in (one, other))
    return needed <= shared


def _active_intersect(world: World) -> Answer:
    for a, b in combinations(world.having("configurations"), 2):
        if not a.configurations or not b.configurations:
            continue
        one, other = a.configurations[-1], b.configurations[-1]
        if quorums_can_miss(one, other):
            return (
                f"{a.id} goes by {sorted(one)} and {b.id} by {sorted(other)}: majorities of the "
                "two need not meet"
            )
    return True


CONFIGURATIONS_INTERSECT = always(
    "ConfigurationsIntersect", _active_intersect, reads=("configurations",)
)
"""Of two configurations that servers go by at one time, every two majorities meet. It is what
changing one member at a time is for; protocols that let a removed server lag behind for long
promise it only of those that can still win a vote."""

# --- who is alive ------------------------------------------------------------------------------

ALIVE, SUSPECT, DEAD = "alive", "suspect", "dead"


class Belief(NamedTuple):
    """What a node takes another for, and of which incarnation it heard that."""

    status: str
    incarnation: int


def _incarnations_grow(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "beliefs"):
        return True
    for member, old in before.beliefs.items():
        new = after.beliefs.get(member)
        if new is not None and new.incarnation < old.incarnation:
            return (
                f"{after.id} falls back from incarnation {old.incarnation} of {member} to "
                f"{new.incarnation}"
            )
    return True


INCARNATION_MONOTONIC = always_step("IncarnationMonotonic", _incarnations_grow)
"""Section 4.2: what is known of a member is never replaced by what is older."""


def _dead_stays_dead(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "beliefs"):
        return True
    for member, old in before.beliefs.items():
        new = after.beliefs.get(member)
        if new is None or old.status != DEAD or new.status == DEAD:
            continue
        if new.incarnation <= old.incarnation:
            return (
                f"{after.id} takes {member} for {new.status} again, though it was dead in "
                f"incarnation {old.incarnation} and this is {new.incarnation}"
            )
    return True


DEAD_UNTIL_NEWER = always_step("DeadUntilNewer", _dead_stays_dead)
"""A dead mark is undone only by a newer incarnation, which the member itself has begun."""


def _nobody_alive_is_dead(world: World) -> Answer:
    for node in world.having("beliefs"):
        for member, belief in sorted(node.beliefs.items()):
            if belief.status == DEAD and member in world.up and node.id in world.up:
                return f"{node.id} takes {member} for dead, which is up"
    return True


ACCURACY = always("Accuracy", _nobody_alive_is_dead, reads=("beliefs",))
"""Nobody who is up is taken for dead: for worlds without loss and with timers that suffice."""


def _everybody_dead_is_known(world: World) -> Answer:
    for node in world.having("beliefs"):
        for member, belief in sorted(node.beliefs.items()):
            if node.id in world.up and member not in world.up and belief.status != DEAD:
                return f"{node.id} takes {member} for {belief.status}, which is dead"
    return True


COMPLETENESS = eventually("Completeness", _everybody_dead_is_known)
"""Section 2: every crash is known at every node that is up, some time later."""

SAFETY: tuple[Property, ...] = (
    *(ONE_UNCOMMITTED, CONFIGURATIONS_INTERSECT, INCARNATION_MONOTONIC, DEAD_UNTIL_NEWER),
)
"""Everything that must always hold."""
