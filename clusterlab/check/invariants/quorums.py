"""What a store of replicas that are read and written by quorums promises, as properties.

Sources: Gifford, "Weighted Voting for Replicated Data", 1979 (R + W > N); Lamport, "On Interprocess
Communication", 1986 (regular and atomic registers); Attiya, Bar-Noy and Dolev, "Sharing Memory
Robustly in Message-Passing Systems", 1995 (a read must write back). The guarantees of sessions are
judged on histories: `check.sessions`.

| what | is |
|---|---|
| field `store` | of a replica: {key: version}; a version grows, such as (7, "c1") |
| fields `n`, `r`, `w` | of a coordinator: replicas, and how many a read and a write wait for |
| note `reading` | the key, from a client that begins to read |
| note `read` | (key, version), from a client that is done; None for what was never written |
| note `wrote` | (key, version), from a client whose write is acknowledged |
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from clusterlab.check.properties import Answer, Ghost, Property, always, eventually
from clusterlab.check.world import World
from clusterlab.core.node import NodeId

# --- reads and writes in time ------------------------------------------------------------------


class Seen(NamedTuple):
    """What has been written and read so far; versions are kept by key."""

    wrote: tuple[tuple[Any, Any], ...] = ()
    """The newest version whose write was acknowledged."""
    read: tuple[tuple[Any, Any], ...] = ()
    """The newest version that a read that is over returned."""
    floors: tuple[tuple[NodeId, Any, Any], ...] = ()
    """Of each read that goes on: the newest version written, and read, when it began."""
    stale: tuple[NodeId, Any, Any, Any] | None = None
    """The first read that missed a write: who, key, what it returned, what was there."""
    inverted: tuple[NodeId, Any, Any, Any] | None = None
    """The first read that missed what an earlier read had returned."""


def _older(version: Any, floor: Any) -> bool:
    return floor is not None and (version is None or version < floor)


def _raise(newest: tuple[tuple[Any, Any], ...], key: Any, version: Any) -> tuple[Any, ...]:
    known = dict(newest)
    if _older(known.get(key), version):
        known[key] = version
    return tuple(sorted(known.items()))


def _watch(ghost: Seen, node: NodeId, name: str, data: Any) -> Seen:
    if name == "wrote":
        return ghost._replace(wrote=_raise(ghost.wrote, *data))
    if name == "reading":
        floor = (node, dict(ghost.wrote).get(data), dict(ghost.read).get(data))
        others = [one for one in ghost.floors if one[0] != node]
        return ghost._replace(floors=tuple(sorted([*others, floor], key=lambda one: one[0])))
    if name != "read":
        return ghost
    key, version = data
    begun = next((one for one in ghost.floors if one[0] == node), (node, None, None))
    if ghost.stale is None and _older(version, begun[1]):
        ghost = ghost._replace(stale=(node, key, version, begun[1]))
    if ghost.inverted is None and _older(version, begun[2]):
        ghost = ghost._replace(inverted=(node, key, version, begun[2]))
    floors = tuple(one for one in ghost.floors if one[0] != node)
    return ghost._replace(read=_raise(ghost.read, key, version), floors=floors)


SEEN = Ghost(Seen(), _watch)


def _regular(world: World) -> Answer:
    if world.ghost.stale is None:
        return True
    who, key, version, there = world.ghost.stale
    return f"{who} read version {version} of {key!r}, though {there} was written before it began"


REGULARITY = always("Regularity", _regular, ghost=SEEN, reads=())
"""A read that starts after a write was acknowledged returns it or something newer."""


def _atomic(world: World) -> Answer:
    if world.ghost.inverted is None:
        return True
    who, key, version, there = world.ghost.inverted
    return (
        f"{who} read version {version} of {key!r}, though an earlier read had returned {there}: "
        "new and old are inverted"
    )


ATOMICITY = always("Atomicity", _atomic, ghost=SEEN, reads=())
"""A read that starts after another is over returns what that did, or something newer. Quorums that
intersect are not enough for this: a read must write back what it returns."""

# --- replicas ----------------------------------------------------------------------------------


def _intersect(world: World) -> Answer:
    for node in world.having("n", "r", "w"):
        if node.r + node.w <= node.n:
            return f"{node.id} reads {node.r} and writes {node.w} of {node.n}: they need not meet"
    return True


QUORUMS_INTERSECT = always("QuorumsIntersect", _intersect, reads=())
"""R + W > N: every read quorum meets every write quorum."""


def _acked_is_readable(world: World) -> Answer:
    replicas = world.having("store")
    for coordinator in world.having("n", "r", "w"):
        for key, version in world.ghost.wrote:
            lack = [n.id for n in replicas if _older(n.store.get(key), version)]
            if len(lack) >= coordinator.r:
                return (
                    f"version {version} of {key!r} is acknowledged, but {', '.join(lack)} lack it "
                    f"and are enough for a read by {coordinator.id}"
                )
    return True


ACKED_IN_EVERY_READ_QUORUM = always(
    "AckedInEveryReadQuorum", _acked_is_readable, ghost=SEEN, reads=("store",)
)
"""What was acknowledged is on some replica of every set that a read may ask."""


def _replicas_agree(world: World) -> Answer:
    for a, b in pairwise(world.having("store")):
        if a.store != b.store:
            return f"{a.id} has {a.store} and {b.id} has {b.store}"
    return True


REPLICAS_CONVERGE = eventually("ReplicasConverge", _replicas_agree)
"""After faults have stopped and replicas have compared what they have, all are equal."""

SAFETY: tuple[Property, ...] = (REGULARITY, ATOMICITY, ACKED_IN_EVERY_READ_QUORUM)
"""Everything that must always hold; without write-back leave out ATOMICITY."""
