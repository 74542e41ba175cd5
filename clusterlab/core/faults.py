"""Faults as values: one vocabulary for the simulator, the live cluster, the checker and the views.

A fault is a frozen value; a schedule is a list of `(at_ms, fault)`.
The same values are what a button does, what an experiment scripts, what a fuzzer draws,
what the shrinker removes and what a trace records.

Times are ms of cluster time, probabilities are 0..1.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from clusterlab.core.errors import BadFault, UnknownNode
from clusterlab.core.node import NodeId

Range: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Fault:
    """Something that happens to a cluster, not something that its program does."""

    @property
    def kind(self) -> str:
        """The kind of its trace event: `Kill` -> `kill`, `HoldMessage` -> `hold_message`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def about(self) -> NodeId | None:
        """The one node that it strikes, or None if it strikes the network."""
        return getattr(self, "node", None)

    def data(self) -> dict[str, Any]:
        """Its fields, for the trace event (whose `node` is `about`)."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "node"}


@dataclass(frozen=True)
class Kill(Fault):
    """The process dies: memory and pending timers are gone, the disk stays.

    With `effects=k` it dies within its next step, after performing the first k effects of that step
    (0: even the save is lost).
    """

    node: NodeId
    effects: int | None = None


@dataclass(frozen=True)
class Restart(Fault):
    """A dead process comes back, with its disk (`keep`) or with an empty one (`lose`)."""

    node: NodeId
    disk: Literal["keep", "lose"] = "keep"


@dataclass(frozen=True)
class Pause(Fault):
    """The process stops without dying (SIGSTOP, a long collection): mail waits, timers are late."""

    node: NodeId


@dataclass(frozen=True)
class Resume(Fault):
    """A paused process goes on as if nothing had happened."""

    node: NodeId


@dataclass(frozen=True)
class Partition(Fault):
    """Messages pass only within a group, even those in flight. Replaces an earlier partition.

    Every server stands in exactly one group. A client in no group reaches everyone.
    """

    groups: tuple[tuple[NodeId, ...], ...]


@dataclass(frozen=True)
class Isolate(Fault):
    """The node's network cable is pulled: nothing goes in or out, not even to clients."""

    node: NodeId


@dataclass(frozen=True)
class Heal(Fault):
    """The network is as it was at the start: no partition, isolation, bad link or held message."""


@dataclass(frozen=True)
class Link(Fault):
    """The conditions of one link, one way; None leaves a field as the network has it."""

    src: NodeId
    dst: NodeId
    block: bool = False
    loss: float | None = None
    delay_ms: Range | None = None
    duplicate: float | None = None
    reorder: float | None = None


@dataclass(frozen=True)
class Skew(Fault):
    """The node's clock shows `offset_ms` more than the true time and runs `rate` times as fast."""

    node: NodeId
    offset_ms: int = 0
    rate: float = 1.0


@dataclass(frozen=True)
class DiskLies(Fault):
    """From now on the node's disk confirms writes that are only in its cache; a death loses those.

    With `lies=False` it writes its cache out. It is honest again after that, and after a death.
    """

    node: NodeId
    lies: bool = True


@dataclass(frozen=True)
class MessageFault(Fault):
    """Something that happens to one message on its way, not to a whole link.

    `message` is the seq of the trace event that sent it (a `send` or a `duplicate`).
    A fault that comes too late, when the message has arrived or is lost, changes nothing.
    """

    message: int


@dataclass(frozen=True)
class HoldMessage(MessageFault):
    """The message waits where it is; later ones may overtake it, until it is released or all heals.

    It cannot outlive a live receiver: there it waits in the receiver's process.
    """


@dataclass(frozen=True)
class ReleaseMessage(MessageFault):
    """A message that was held goes on: it arrives when it would have, or now if that is past."""


@dataclass(frozen=True)
class DropMessage(MessageFault):
    """The message is lost."""


@dataclass(frozen=True)
class DuplicateMessage(MessageFault):
    """A second copy of the message goes on its way and arrives when the first would have."""


Schedule: TypeAlias = list[tuple[float, Fault]]


def check_name(name: str, known: Iterable[str], what: str = "node") -> None:
    """Raise UnknownNode unless `name` is one of `known`."""
    known = list(known)
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UnknownNode(f"there is no {what} {name!r}; there are {', '.join(known)}.{hint}")


def check_fault(fault: Fault, servers: Iterable[NodeId], clients: Iterable[NodeId] = ()) -> None:
    """Raise UnknownNode or BadFault, with the mend, if `fault` cannot happen to this cluster."""
    servers, clients = list(servers), list(clients)
    everyone = servers + clients
    if fault.about is not None:
        check_name(fault.about, everyone)
    if isinstance(fault, Partition):
        _check_partition(fault.groups, servers, everyone)
    elif isinstance(fault, Link):
        check_name(fault.src, everyone)
        check_name(fault.dst, everyone)
        for name in ("loss", "duplicate", "reorder"):
            check_probability(name, getattr(fault, name))
        check_delay(fault.delay_ms)
    elif isinstance(fault, Restart) and fault.disk not in ("keep", "lose"):
        raise BadFault(f"restart with disk={fault.disk!r}: write disk='keep' or disk='lose'.")
    elif isinstance(fault, Skew) and fault.rate <= 0:
        raise BadFault(
            f"a clock with rate {fault.rate} would stand still or run backwards: "
            "give a rate above 0 (1.0 is true, 1.1 is ten per cent fast)."
        )
    elif isinstance(fault, Kill) and fault.effects is not None and fault.effects < 0:
        raise BadFault(f"kill after {fault.effects} effects: give 0 or more, or leave it out.")
    elif isinstance(fault, MessageFault) and type(fault.message) is not int:
        raise BadFault(
            f"a message is named by a number, not by {fault.message!r}: "
            "give the seq of the trace event that sent it."
        )


def _check_partition(
    groups: tuple[tuple[NodeId, ...], ...], servers: list[NodeId], everyone: list[NodeId]
) -> None:
    seen: list[NodeId] = []
    for group in groups:
        if isinstance(group, str):
            raise BadFault(
                f"a partition takes groups of nodes, not the text {group!r}: "
                f"write partition([{group!r}, ...], [...])."
            )
        for name in group:
            check_name(name, everyone)
            if name in seen:
                raise BadFault(f"{name} stands twice in the partition: put it into one group.")
            seen.append(name)
    forgotten = [name for name in servers if name not in seen]
    if forgotten:
        raise BadFault(
            f"the partition forgets {', '.join(forgotten)}: every node stands in one group, "
            f"so add a group [{', '.join(map(repr, forgotten))}] or put them into one of yours "
            "(to cut off a single node, isolate it)."
        )


def check_probability(name: str, value: float | None) -> None:
    """Raise BadFault unless 0 <= value <= 1 (None passes)."""
    if value is not None and not 0 <= value <= 1:
        raise BadFault(f"{name}={value} is not a probability: give a number from 0 to 1.")


def check_delay(delay_ms: Range | None) -> None:
    """Raise BadFault unless `delay_ms` is a range (low, high) of at least 0 ms (None passes)."""
    if delay_ms is None:
        return
    try:
        low, high = delay_ms
        wrong = not 0 <= low <= high
    except (TypeError, ValueError):
        wrong = True
    if wrong:
        raise BadFault(
            f"delay_ms={delay_ms} is not a range: give (low, high) in ms, such as (5, 15)."
        )
