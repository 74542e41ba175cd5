"""What a split brain has left behind, counted and told in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clusterlab.core.cluster import Cluster
from clusterlab.core.history import Operation
from clusterlab.core.node import NodeId
from clusterlab.core.spec import CompareAndSet, KeyValue, Put
from clusterlab.protocols.records import Record
from clusterlab.protocols.shared_storage import corrupted, whole


@dataclass(frozen=True)
class Damage:
    """The report after the healing.

    >>> print(Damage(divergent=("x",), lost=(), corrupted=(4,)))
    1 key differed between the sides (x); no acknowledged write is lost; 1 record is corrupted.
    """

    divergent: tuple[str, ...] = ()
    """The keys that had two values when the network healed."""
    lost: tuple[Operation, ...] = ()
    """The writes that were acknowledged, and are in no log that is left."""
    corrupted: tuple[int, ...] = ()
    """The numbers of the records on the shared disk that cannot be read any more."""

    @property
    def none(self) -> bool:
        """Whether nothing was damaged."""
        return not (self.divergent or self.lost or self.corrupted)

    def __str__(self) -> str:
        keys = ", ".join(self.divergent)
        differed = _count(len(self.divergent), "key", "differed between the sides")
        lost = _count(len(self.lost), "acknowledged write", "is lost", "are lost")
        broken = _count(len(self.corrupted), "record", "is corrupted", "are corrupted")
        return f"{differed}{f' ({keys})' if keys else ''}; {lost}; {broken}."


def _count(number: int, noun: str, does: str, they: str | None = None) -> str:
    if number == 0:
        return f"no {noun} {does}"
    return f"{number:,} {noun}{'s' * (number > 1)} {does if number == 1 else they or does}"


def divergent_keys(one: Sequence[Record], other: Sequence[Record]) -> tuple[str, ...]:
    """The keys that have two values in logs which have grown apart.

    A log that is the beginning of the other is late, and nothing more.
    """
    together = min(len(one), len(other))
    if one[:together] == other[:together]:
        return ()
    mine, yours = _store(one), _store(other)
    keys = sorted({*mine, *yours})
    return tuple(key for key in keys if mine.get(key) != yours.get(key))


def _store(log: Iterable[Record]) -> dict[str, Any]:
    spec = KeyValue()
    state = spec.initial()
    for record in log:
        if record.operation is not None:
            state, _ = spec.apply(state, record.operation)
    return state


def lost_writes(cluster: Cluster, kept: Iterable[Record]) -> tuple[Operation, ...]:
    """The writes that a client was told are done, and that are not in the log `kept`."""
    done = {(record.client, record.operation) for record in kept}
    return tuple(
        op for op in cluster.history.ok() if wrote(op) and (op.client, op.call) not in done
    )


def wrote(operation: Operation) -> bool:
    """Whether an acknowledged operation wrote something."""
    call = operation.call
    return isinstance(call, Put) or (isinstance(call, CompareAndSet) and operation.value is True)


def damage_on_disk(
    cluster: Cluster, disk: NodeId = "disk", divergent: Iterable[str] = ()
) -> Damage:
    """The damage on a shared disk, once nobody writes to it any more."""
    blocks = cluster.state(disk)["blocks"]
    return Damage(tuple(divergent), lost_writes(cluster, whole(blocks)), corrupted(blocks))
