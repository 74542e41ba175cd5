"""What goes into a step (an Event, and an Env to ask) and what comes out (Effects, in order)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from clusterlab.core.message import Message, NodeId, Timer

T = TypeVar("T")
Delay: TypeAlias = "int | tuple[int, int]"
"""Ms, or a range of ms from which the engine draws."""


class Start(NamedTuple):
    """The node comes up: at time 0 and after every restart."""


class Deliver(NamedTuple):
    """A message arrives."""

    src: NodeId
    msg: Message


class Fire(NamedTuple):
    """A timer goes off."""

    timer: Timer


Event: TypeAlias = Start | Deliver | Fire


class Save(NamedTuple):
    """Write these durable fields to disk: field -> new value, or a Splice if both are tuples."""

    values: Mapping[str, Any]


class Send(NamedTuple):
    """Hand a message to the network; `dst` may be WORLD."""

    dst: NodeId
    msg: Message


class SetTimer(NamedTuple):
    """Fire `timer` after so many ms of the node's own clock; the engine draws from a range."""

    timer: Timer
    after_ms: Delay


class CancelTimer(NamedTuple):
    """Forget `timer`; no harm if it is not pending."""

    timer: Timer


class Note(NamedTuple):
    """Something worth seeing in the trace: `leader`, `chosen`, `applied`."""

    name: str
    data: Any


Effect: TypeAlias = Save | Send | SetTimer | CancelTimer | Note


class Env:
    """What a step may ask of its engine: the node's clock, and a choice."""

    __slots__ = ("_now_ms",)

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    @property
    def now_ms(self) -> int:
        """The node's own clock."""
        return self._now_ms

    def choose(self, options: Sequence[T]) -> T:
        """The first option; engines draw, checkers try each."""
        return options[0]
