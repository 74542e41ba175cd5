"""Versions of a value, and which of two survives when replicas meet.

| `order` | a version is known by | of two concurrent ones |
|---|---|---|
| `clock` | the wall clock of who wrote it | the later survives: last writer wins |
| `counter` | a number above all that a quorum knew | the greater survives; clocks have no say |
| `vector` | how many writes of each coordinator it has seen | both survive, as siblings |
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

from clusterlab.core.message import Message
from clusterlab.core.node import NodeId

Order: TypeAlias = Literal["clock", "counter", "vector"]
Vector: TypeAlias = tuple[tuple[NodeId, int], ...]
"""Pairs of a node and a count, sorted by node."""


class Version(NamedTuple):
    """A value, and what tells it from others.

    `tag` is a time or a count, the client and the serial of its request: no two writes have the
    same, even if one coordinator makes them at the same moment.
    """

    value: Any
    tag: tuple[int, NodeId, int]
    vector: Vector = ()


class Siblings(Message):
    """What a read returns where several writes never met: all their values, oldest tag first."""

    values: tuple[Any, ...]


def descends(one: Vector, other: Vector) -> bool:
    """Whether `one` has seen all that `other` has (Dynamo, section 4.4).

    >>> descends((("a", 2), ("b", 1)), (("a", 1),)), descends((("a", 1),), (("b", 1),))
    (True, False)
    """
    seen = dict(one)
    return all(seen.get(node, 0) >= count for node, count in other)


def merged(versions: Iterable[Version], order: Order) -> tuple[Version, ...]:
    """Those that survive, in the order of their tags: the same whatever the order of arrival."""
    distinct = sorted(set(versions), key=lambda version: (version.tag, version.vector))
    if order != "vector":
        return tuple(distinct[-1:])
    return tuple(
        version
        for version in distinct
        if not any(
            descends(other.vector, version.vector) and other.vector != version.vector
            for other in distinct
        )
    )


def advanced(versions: Iterable[Version], node: NodeId, count: int) -> Vector:
    """The vector of the write number `count` at `node`, which has seen all of these."""
    counts: dict[NodeId, int] = {}
    for version in versions:
        for name, seen in version.vector:
            counts[name] = max(seen, counts.get(name, 0))
    counts[node] = count
    return tuple(sorted(counts.items()))
