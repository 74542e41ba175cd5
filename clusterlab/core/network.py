"""What a network does to messages, as arithmetic: both engines ask it for the fate of each message.

`Network` is one struct with a field for each fault of a link; `Switch` is the table of all links
as faults have left it. Neither draws random numbers nor reads a clock: the engine hands in its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from clusterlab.core.faults import (
    Fault,
    Heal,
    Isolate,
    Link,
    Partition,
    Range,
    check_delay,
    check_probability,
)
from clusterlab.core.node import NodeId

REORDER_DELAYS = 4
"""A reordered message is held back up to so many times the link's greatest delay."""


@dataclass(frozen=True)
class Network:
    """The conditions of a link in one direction, and of all links where no fault says otherwise."""

    delay_ms: Range = (5.0, 15.0)
    """A message takes a time drawn evenly from this range; a link keeps the order, as TCP does."""
    loss: float = 0.0
    """The share of messages that vanish."""
    duplicate: float = 0.0
    """The share of messages that arrive twice, each copy with a delay of its own."""
    reorder: float = 0.0
    """The share of messages that leave the order: later ones may overtake them."""
    block: bool = False
    """Nothing passes, and what is in flight is lost."""

    def __post_init__(self) -> None:
        check_delay(self.delay_ms)
        for name in ("loss", "duplicate", "reorder"):
            check_probability(name, getattr(self, name))


class Flight(NamedTuple):
    """One copy of a message on its way."""

    delay_ms: float
    reordered: bool


class Switch:
    """Every link of a cluster: who can reach whom, and how well.

    >>> switch = Switch(Network())
    >>> switch.apply(Partition((("a",), ("b", "c"))))
    >>> switch.cut("a", "b"), switch.cut("b", "c")
    ('partition', None)
    >>> switch.apply(Heal())
    >>> switch.cut("a", "b") is None
    True
    """

    def __init__(self, default: Network) -> None:
        self.default = default
        self._groups: dict[NodeId, int] = {}
        self._isolated: set[NodeId] = set()
        self._links: dict[tuple[NodeId, NodeId], Network] = {}
        # Asked for each message, changed only by a fault: worth remembering.
        self._known: dict[tuple[NodeId, NodeId], tuple[str | None, Network]] = {}
        self.plain: dict[tuple[NodeId, NodeId], Range] = {}
        """The open links without loss, duplicates or reordering: their delay as (low, high - low).
        Filled as links are used, emptied by every fault; an engine may look here before it asks."""

    def apply(self, fault: Fault) -> None:
        """Change the links as `fault` says; faults of nodes change nothing here."""
        self._known.clear()
        self.plain.clear()
        if isinstance(fault, Partition):
            self._groups = {name: i for i, group in enumerate(fault.groups) for name in group}
        elif isinstance(fault, Isolate):
            self._isolated.add(fault.node)
        elif isinstance(fault, Heal):
            self._groups, self._isolated, self._links = {}, set(), {}
        elif isinstance(fault, Link):
            given = {
                name: getattr(fault, name)
                for name in ("loss", "delay_ms", "duplicate", "reorder")
                if getattr(fault, name) is not None
            }
            self._links[fault.src, fault.dst] = replace(self.default, block=fault.block, **given)

    def link(self, src: NodeId, dst: NodeId) -> tuple[str | None, Network]:
        """Why nothing passes from `src` to `dst` (None if it does), and the link's conditions."""
        known = self._known.get((src, dst))
        if known is None:
            why, link = self._why(src, dst), self._conditions(src, dst)
            known = self._known[src, dst] = (why, link)
            if why is None and not (link.loss or link.duplicate or link.reorder):
                low, high = link.delay_ms
                self.plain[src, dst] = (low, high - low)
        return known

    def cut(self, src: NodeId, dst: NodeId) -> str | None:
        """`partition`, `isolated` or `blocked` if nothing passes from `src` to `dst`, else None."""
        return self.link(src, dst)[0]

    def fate(self, src: NodeId, dst: NodeId, draw: Callable[[], float]) -> list[Flight] | str:
        """The copies of a message that go on their way, or why there is none.

        `draw` gives numbers from [0, 1), in an order that depends on the conditions alone.
        """
        why, link = self.link(src, dst)
        if why is not None:
            return why
        if link.loss and draw() < link.loss:
            return "lost"
        flights = [self._flight(link, draw)]
        if link.duplicate and draw() < link.duplicate:
            flights.append(self._flight(link, draw))
        return flights

    def _flight(self, link: Network, draw: Callable[[], float]) -> Flight:
        low, high = link.delay_ms
        delay_ms = low + draw() * (high - low) if high > low else low
        if link.reorder and draw() < link.reorder:
            return Flight(delay_ms + draw() * REORDER_DELAYS * max(high, 1.0), True)
        return Flight(delay_ms, False)

    def _conditions(self, src: NodeId, dst: NodeId) -> Network:
        return self._links.get((src, dst), self.default)

    def _why(self, src: NodeId, dst: NodeId) -> str | None:
        if src == dst:
            return None
        if src in self._isolated or dst in self._isolated:
            return "isolated"
        groups = self._groups
        if src in groups and dst in groups and groups[src] != groups[dst]:
            return "partition"
        return "blocked" if self._conditions(src, dst).block else None
