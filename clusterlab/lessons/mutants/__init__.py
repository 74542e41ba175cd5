"""The bug zoo: published and classic bugs, each a class that overrides the line or two it breaks.

A checker that never found a bug says nothing. Each mutant comes with its source, with the property
that must catch it, and with a hunt: a search, a directed prefix and a search behind it, or seeded
runs. The same hunt, with the same budget, must find nothing in the healthy class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from clusterlab.core.node import Node
from clusterlab.core.trace import Trace

CheckerName: TypeAlias = Literal["search", "prefix", "seeds", "history"]

Progress: TypeAlias = Callable[[str], None]
"""Is told, about once a second, how far a hunt has come."""


@dataclass(frozen=True)
class Caught:
    """What a hunt says of one class."""

    property: str | None
    """The property that was violated; None: silent."""
    explanation: str
    """The values that break it."""
    checker: CheckerName
    depth: int | None
    """Events of the shortest run that a search found, a death and its restart counted as one;
    of seeded runs, the events of the shrunk trace."""
    states: int | None
    """Distinct states that were seen; None if no states were searched."""
    seconds: float
    """CPU time."""
    trace: Trace | None = field(repr=False)
    """The shrunk run: `check.replay` agrees with it."""
    covered: str
    """What silence means: "81,234 states, the whole world" or "200 seeds"."""


Hunt: TypeAlias = Callable[[type[Node], Progress | None], Caught]


@dataclass(frozen=True)
class Mutant:
    """A wrong class, where it was seen, and how it is caught."""

    name: str
    """As in the table of published bugs, such as "R1"."""
    title: str
    """What it does wrong, in a few words."""
    source: str
    """A section of the paper, or an issue of a project that had the bug."""
    broken: type[Node]
    """Overrides what it breaks."""
    healthy: type[Node]
    """The class that must stay silent in the same hunt."""
    caught_by: str
    """The name of the property that must catch it."""
    hunt: Hunt
    """The same for the broken class and the healthy one."""
    depth: int | None = None
    """The published depth of the shortest violation; ours, counted alike, is not longer."""
