"""What a primary with a backup, a fence and a lease promise, as properties.

Sources: Budhiraja, Marzullo, Schneider and Toueg, "The Primary-Backup Approach", 1993, section 2
(at most one primary, acknowledged updates survive a failover); Gray and Cheriton, "Leases", 1989;
Kleppmann, "How to do distributed locking", 2016 (fencing tokens).

| what | is |
|---|---|
| field `role` | "leader" of whoever serves |
| field `epoch` | of whoever serves, if epochs are noted: a deposed primary may not know it yet |
| field `log` | records, each with the `client` and the `operation` that it stems from |
| note `leader` | the epoch, from a node that begins to serve |
| note `applied` | the token of a write, from the resource that carries it out |
| note `granted` | (to whom, the token), from the service that grants a lock |
| note `lease` | a Lease, from a node that has one |
| notes `invoke`, `return` | what clients ask and are told; every client makes them |
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any, NamedTuple

from clusterlab.check.properties import Answer, Ghost, Property, always
from clusterlab.check.world import World
from clusterlab.core.node import NodeId

SERVING = "leader"

# --- who serves --------------------------------------------------------------------------------


def _one_serves(world: World) -> Answer:
    serving = [n.id for n in world.having("role") if n.role == SERVING and n.id in world.up]
    return len(serving) <= 1 or f"{' and '.join(serving)} serve at the same time"


ONE_PRIMARY = always("OnePrimary", _one_serves, reads=("role",))
"""Property Pb1: "at any time, there is at most one server whose state satisfies Prmy": without it,
a split brain."""


def _begun(ghost: tuple[Any, ...], node: NodeId, name: str, data: Any) -> tuple[Any, ...]:
    return (*ghost, (data, node)) if name == "leader" else ghost


TERMS_OF_OFFICE = Ghost((), _begun)
"""Who began to serve in which epoch, in the order of time."""


def _one_writer(world: World) -> Answer:
    for (a, one), (b, other) in combinations(world.ghost, 2):
        if a == b and one != other:
            return f"{one} and {other} both began to serve in epoch {a}"
    return True


ONE_WRITER_PER_EPOCH = always("OneWriterPerEpoch", _one_writer, ghost=TERMS_OF_OFFICE, reads=())
"""An epoch has one writer, so that what it writes can be told from what others do."""


def _epochs_grow(world: World) -> Answer:
    for (a, one), (b, other) in pairwise(world.ghost):
        if b < a or (b == a and one != other):
            return f"{other} began to serve in epoch {b} after {one} had in epoch {a}"
    return True


EPOCHS_GROW = always("EpochsGrow", _epochs_grow, ghost=TERMS_OF_OFFICE, reads=())
"""Whoever is promoted has an epoch above all earlier ones."""

# --- what was acknowledged ---------------------------------------------------------------------


class Told(NamedTuple):
    """What clients wait for, as (client, operation), and what they were told is done."""

    waiting: frozenset[tuple[NodeId, Any]] = frozenset()
    acked: frozenset[tuple[NodeId, Any]] = frozenset()
    newest: int | None = None
    """The highest epoch in which anybody began to serve."""


def _listen(ghost: Told, node: NodeId, name: str, data: Any) -> Told:
    if name == "leader":
        return ghost._replace(newest=max(data, ghost.newest or 0))
    if name == "invoke":
        return ghost._replace(waiting=ghost.waiting | {(node, data)})
    if name == "return":
        over = frozenset(pair for pair in ghost.waiting if pair[0] == node)
        done = over if data[0] == "ok" else frozenset()
        return ghost._replace(waiting=ghost.waiting - over, acked=ghost.acked | done)
    return ghost


ACKNOWLEDGED = Ghost(Told(), _listen)


def _acked_is_kept(world: World) -> Answer:
    for node in world.having("role", "log"):
        if node.role != SERVING or node.id not in world.up:
            continue
        newest = world.ghost.newest
        if newest is not None and getattr(node, "epoch", newest) < newest:
            continue  # deposed: it can acknowledge nothing any more, and does not know it
        has = {(getattr(r, "client", None), getattr(r, "operation", None)) for r in node.log}
        for client, operation in sorted(world.ghost.acked - has, key=repr):
            return f"{node.id} serves without {client}'s {operation!r}, which was acknowledged"
    return True


ACKED_IS_KEPT = always(
    "AckedIsKept", _acked_is_kept, ghost=ACKNOWLEDGED, reads=("role", "epoch", "log")
)
"""Durability: what a client was told is done is in the log of every server that serves later. For
worlds with fewer faults than the protocol tolerates, and logs that are not cut off in front."""

# --- fences and leases -------------------------------------------------------------------------


class Applied(NamedTuple):
    """The greatest token that each resource has applied, and the first that came too late."""

    newest: tuple[tuple[NodeId, int], ...] = ()
    late: tuple[NodeId, int, int] | None = None


def _apply(ghost: Applied, node: NodeId, name: str, data: Any) -> Applied:
    if name != "applied" or ghost.late is not None:
        return ghost
    newest = dict(ghost.newest)
    before = newest.get(node, data)
    if data < before:
        return ghost._replace(late=(node, data, before))
    return Applied(tuple(sorted({**newest, node: data}.items())))


def _tokens_never_fall(world: World) -> Answer:
    if world.ghost.late is None:
        return True
    resource, token, before = world.ghost.late
    return f"{resource} applied a write with token {token} after one with token {before}"


FENCING = always("Fencing", _tokens_never_fall, ghost=Ghost(Applied(), _apply), reads=())
"""A resource applies tokens in an order that never falls: whoever lost the lock is kept out."""


def _granted(ghost: tuple[Any, ...], _: NodeId, name: str, data: Any) -> tuple[Any, ...]:
    return (*ghost, data) if name == "granted" else ghost


def _grants_grow(world: World) -> Answer:
    for (one, before), (other, token) in pairwise(world.ghost):
        if token <= before:
            return f"{other} is granted the lock with token {token}, after {one} with {before}"
    return True


GRANTS_GROW = always("GrantsGrow", _grants_grow, ghost=Ghost((), _granted), reads=())
"""Each grant of a lock has a token above all earlier ones, so that it can be told from them."""


class Lease(NamedTuple):
    """From when to when, by the clock that all share, its holder believes that it has the lease."""

    start_ms: int
    until_ms: int


def _grant(ghost: frozenset[Any], node: NodeId, name: str, data: Any) -> frozenset[Any]:
    return ghost | {(node, *data)} if name == "lease" else ghost


def _leases_are_disjoint(world: World) -> Answer:
    for (a, *one), (b, *other) in combinations(sorted(world.ghost), 2):
        if a != b and max(one[0], other[0]) < min(one[1], other[1]):
            return (
                f"{a} holds the lease from {one[0]} to {one[1]} ms, and {b} from {other[0]} to "
                f"{other[1]} ms"
            )
    return True


LEASES_DISJOINT = always(
    "LeasesDisjoint", _leases_are_disjoint, ghost=Ghost(frozenset(), _grant), reads=()
)
"""No two nodes hold the lease at one time, within the bound on clocks that the world assumes."""

SAFETY: tuple[Property, ...] = (
    *(ONE_PRIMARY, ONE_WRITER_PER_EPOCH, EPOCHS_GROW, ACKED_IS_KEPT),
    *(FENCING, GRANTS_GROW, LEASES_DISJOINT),
)
"""Everything that must always hold; leave out what your protocol does not promise."""
