"""Measured values, comparisons with a peer, and how both are shown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Measured:
    """One quantity, measured once in each round."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Measured:
        """From the values of all rounds."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """The middle one of the rounds."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return digits(self.median)
        return f"{digits(self.median)} ({digits(min(self.values))}-{digits(max(self.values))})"


@dataclass(frozen=True)
class Target:
    """What is to be reached: by our own figure, or by its ratio to the peer's."""

    of: Literal["ours", "ratio"]
    bound: float
    at_least: bool
    """False: at most."""

    def is_met(self, value: float) -> bool:
        """Whether `value` reaches the target."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        times = "x" if self.of == "ratio" else ""
        return f"{'≥' if self.at_least else '≤'} {digits(self.bound)}{times}"


@dataclass(frozen=True)
class Comparison:
    """One line of the report."""

    what: str
    unit: str
    ours: Measured
    peer_name: str = ""
    peer: Measured | None = None
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Ours in terms of the peer's: round by round, since neighbours in time share the noise."""
        if self.peer is None or not all(self.peer.values):
            return None
        if len(self.ours.values) != len(self.peer.values):
            return self.ours.median / self.peer.median
        pairs = zip(self.ours.values, self.peer.values, strict=True)
        return statistics.median(ours / peer for ours, peer in pairs)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if there is none, or nothing to compare with."""
        if self.target is None:
            return None
        value = self.ours.median if self.target.of == "ours" else self.ratio
        return None if value is None else self.target.is_met(value)

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": list(self.ours.values),
            "ours_median": self.ours.median,
            "peer": self.peer_name or None,
            "peer_values": None if self.peer is None else list(self.peer.values),
            "peer_median": None if self.peer is None else self.peer.median,
            "ratio": self.ratio,
            "target": None if self.target is None else str(self.target),
            "met": self.met,
        }


@dataclass
class Section:
    """What one part of the benchmark found."""

    title: str
    lines: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """How it was measured, and what a figure does not say."""
    skipped: list[str] = field(default_factory=list)
    """What was left out, and why."""
    load: tuple[float, float] | None = None
    """The load average of one minute, before and after."""

    def as_json(self) -> dict[str, Any]:
        """The section as JSON."""
        return {
            "title": self.title,
            "load_before_and_after": self.load,
            "lines": [line.as_json() for line in self.lines],
            "notes": self.notes,
            "skipped": self.skipped,
        }


def table(section: Section) -> Table:
    """A section as it is printed."""
    load = f", load {section.load[0]:.1f} to {section.load[1]:.1f}" if section.load else ""
    shown = Table(
        title=f"{section.title}{load}",
        title_justify="left",
        caption="\n".join(section.notes + [f"Left out: {text}" for text in section.skipped]),
        caption_justify="left",
    )
    for heading in ("", "unit", "ours", "peer", "peer's", "ratio", "target"):
        shown.add_column(heading, justify="left" if heading in ("", "unit", "peer") else "right")
    seen: set[str] = set()
    for line in section.lines:
        ratio = "" if line.ratio is None else f"{digits(line.ratio)}x"
        again = line.what in seen  # beside a further peer
        seen.add(line.what)
        shown.add_row(
            "" if again else line.what,
            "" if again else line.unit,
            "" if again else str(line.ours),
            line.peer_name,
            "" if line.peer is None else str(line.peer),
            ratio,
            _verdict(line),
        )
    return shown


def _verdict(line: Comparison) -> Text:
    if line.target is None:
        return Text("")
    words = {
        True: ("met", "green"),
        False: ("MISSED", "bold red"),
        None: ("not compared", "yellow"),
    }
    word, style = words[line.met]
    return Text(f"{line.target} {word}", style=style)


def digits(value: float) -> str:
    """Three digits that count, thousands apart.

    >>> digits(173449.2), digits(8.3041), digits(0.0213), digits(20)
    ('173,000', '8.3', '0.0213', '20')
    """
    if not value or not math.isfinite(value):
        return f"{value:g}"
    places = 2 - math.floor(math.log10(abs(value)))
    text = f"{round(value, places):,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed.

    >>> percentile(range(1, 101), 0.99)
    99
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
