"""What an interval chart of a verdict shows, and where: operations, lanes, moments, faults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from clusterlab.check.verdict import Verdict
from clusterlab.core.history import Operation
from clusterlab.core.node import NodeId
from clusterlab.core.trace import TraceEvent
from clusterlab.views.records import brief, call

OPERATIONS_MAX = 32
"""A chart of more would not be read; it shows those nearest to what is wrong."""

Style: TypeAlias = Literal["placed", "misfit", "because", "later", "failed", "judged"]
"""In the order; fits nowhere; shows the breach with it; after that, not looked at; did not happen;
took part in a verdict without an order."""


@dataclass
class Bar:
    """An operation in the chart."""

    operation: Operation
    style: Style
    number: int | None = None
    """Its place in the order, or among the operations that show a breach; from 1."""
    moment_ms: float | None = None
    """Where in the bar the number stands."""
    lane: int = 0

    @property
    def known(self) -> bool:
        """Whether anybody knows how it ended."""
        return self.operation.outcome != "info" and self.operation.returned_ms is not None

    def end_ms(self, last_ms: float) -> float:
        """Where it ends; what is of unknown outcome never does."""
        returned_ms = self.operation.returned_ms
        return returned_ms if self.known and returned_ms is not None else last_ms


class Strip(NamedTuple):
    """A fault: at a moment, or as long as it lasts."""

    words: str
    start_ms: float
    end_ms: float | None
    """None: it is a moment."""


@dataclass
class Chart:
    """All that is drawn."""

    verdict: Verdict
    bars: list[Bar]
    rows: dict[NodeId, int] = field(default_factory=dict)
    """Each client and how many lanes it needs."""
    faults: list[Strip] = field(default_factory=list)
    first_ms: float = 0.0
    last_ms: float = 1.0
    total: int = 0
    """How many operations the history has."""

    def labels(self) -> dict[int, str]:
        """For each bar what stands above it, by its id: `Get('x') → 1`."""
        # Only of what returns something somewhere is it worth telling that it returned None.
        telling = {
            type(bar.operation.call).__name__
            for bar in self.bars
            if bar.operation.outcome == "ok" and bar.operation.value is not None
        }
        found = {}
        for bar in self.bars:
            operation, name = bar.operation, type(bar.operation.call).__name__
            told = call(operation.call)
            if operation.outcome == "ok" and (name in telling or bar.style == "misfit"):
                told += f" → {_value(operation.value)}"
            if bar.style == "misfit" and self.verdict.valid is False and not self.verdict.breaches:
                told += f", not {_value(self.verdict.instead)}"
            found[id(bar)] = told + (" failed" if operation.outcome == "fail" else "")
        return found


def _value(value: Any) -> str:
    return repr(value)[:24] if isinstance(value, str) else brief(value)


def chart_of(verdict: Verdict, operations_max: int = OPERATIONS_MAX) -> Chart | None:
    """What to draw of a verdict; None if it does not know its history, or that is empty."""
    history = verdict.history
    if history is None or not history.operations:
        return None
    chosen = _chosen(verdict, history.operations, operations_max)
    bars = [_bar(verdict, operation, index) for index, operation in chosen]
    chart = Chart(verdict, bars, total=len(history.operations))
    starts = [bar.operation.invoked_ms for bar in bars]
    ends = [bar.operation.returned_ms for bar in bars if bar.operation.returned_ms is not None]
    chart.first_ms, chart.last_ms = min(starts), max([*starts, *ends])
    if chart.last_ms <= chart.first_ms:
        chart.last_ms = chart.first_ms + 1.0
    margin_ms = (chart.last_ms - chart.first_ms) * 0.02
    chart.last_ms += margin_ms
    _into_lanes(chart)
    _place_moments(chart)
    chart.faults = [
        strip
        for strip in _strips(history.faults, chart.last_ms)
        if strip.start_ms <= chart.last_ms and (strip.end_ms or strip.start_ms) >= chart.first_ms
    ]
    return chart


# --- which operations --------------------------------------------------------------------------


def _numbers(verdict: Verdict) -> dict[int, int]:
    """The numbers of operations, by their ids."""
    if verdict.breaches:
        shown: Sequence[Operation] = verdict.breaches[0].operations
        return {id(op): n for n, op in enumerate(shown, 1) if op is not verdict.misfit}
    return {id(op): n for n, op in enumerate(verdict.order, 1)}


def _chosen(
    verdict: Verdict, operations: Sequence[Operation], most: int
) -> list[tuple[int | None, Operation]]:
    """The operations to show, by their invocations, each with its number."""
    numbers = _numbers(verdict)
    about = [op for op in operations if verdict.part is None or _key(op) == verdict.part]
    if len(about) > most:
        about = _nearest(verdict, about, most)
    about.sort(key=lambda op: (op.invoked_ms, op.invoke_seq))
    return [(numbers.get(id(op)), op) for op in about]


def _key(operation: Operation) -> Any:
    return getattr(operation.call, "key", None)


def _nearest(verdict: Verdict, operations: list[Operation], most: int) -> list[Operation]:
    """Those of a breach, and beside them what is nearest in time to the misfit, or to the start."""
    misfit = verdict.misfit
    shown = verdict.breaches[0].operations if verdict.breaches else ()
    start_ms = operations[0].invoked_ms if misfit is None else misfit.invoked_ms
    keys = {_key(op) for op in shown} if shown else {None if misfit is None else _key(misfit)}

    def rank(operation: Operation) -> tuple[bool, bool, float]:
        must = operation is misfit or any(operation is op for op in shown)
        other = misfit is not None and _key(operation) not in keys
        distance_ms = abs(operation.invoked_ms - start_ms)
        if misfit is not None and operation.invoked_ms > (misfit.returned_ms or start_ms):
            distance_ms *= 6  # what came later says little
        return not must, other, distance_ms

    return sorted(operations, key=rank)[:most]


def _bar(verdict: Verdict, operation: Operation, number: int | None) -> Bar:
    if operation is verdict.misfit:
        return Bar(operation, "misfit")
    if operation.outcome == "fail":
        return Bar(operation, "failed")
    if verdict.breaches:
        return Bar(operation, "judged" if number is None else "because", number)
    if number is not None:
        return Bar(operation, "placed", number)
    return Bar(operation, "judged" if verdict.valid is None else "later")


# --- where -------------------------------------------------------------------------------------


def _into_lanes(chart: Chart) -> None:
    """Each client has a row; what overlaps in it, since nobody knows its end, has lanes of it."""
    for name in sorted({bar.operation.client for bar in chart.bars}, key=_natural):
        ends: list[float] = []
        for bar in (bar for bar in chart.bars if bar.operation.client == name):
            begin_ms = bar.operation.invoked_ms
            free = [i for i, end_ms in enumerate(ends) if end_ms <= begin_ms]
            bar.lane = free[0] if free else len(ends)
            ends[bar.lane : bar.lane + 1] = [bar.end_ms(float("inf"))]
        chart.rows[name] = len(ends)


def _natural(name: str) -> tuple[int, str]:
    """Sorts c2 before c10."""
    return len(name), name


def _place_moments(chart: Chart) -> None:
    """Give each numbered operation a moment in its bar, in their order if the bars allow it."""
    numbered = sorted(
        (bar for bar in chart.bars if bar.number is not None), key=lambda bar: bar.number or 0
    )
    earliest: list[float] = []
    latest: list[float] = []
    for bar in numbered:
        earliest.append(max([bar.operation.invoked_ms, *earliest[-1:]]))
    for bar in reversed(numbered):
        latest.append(min([bar.end_ms(chart.last_ms), *latest[-1:]]))
    latest.reverse()
    in_time = all(a <= b for a, b in zip(earliest, latest, strict=True))
    ranges = list(zip(earliest, latest, strict=True))
    for place, bar in enumerate(numbered):
        low, high = ranges[place]
        if not in_time or chart.verdict.breaches:
            low, high = bar.operation.invoked_ms, bar.end_ms(chart.last_ms)
            bar.moment_ms = (low + high) / 2
            continue
        # Those with one range share it evenly, so that their numbers do not hide each other.
        alike = [i for i, other in enumerate(ranges) if other == (low, high)]
        share = (alike.index(place) + 1) / (len(alike) + 1)
        bar.moment_ms = low + (high - low) * share


# --- faults ------------------------------------------------------------------------------------


def _strips(faults: Iterable[TraceEvent], last_ms: float) -> list[Strip]:
    """The faults as they lasted: a death until the restart, a cut until the network healed."""
    found: list[Strip] = []
    lasting: dict[Any, tuple[str, float]] = {}

    def end(key: Any, at_ms: float) -> None:
        if key in lasting:
            words, start_ms = lasting.pop(key)
            found.append(Strip(words, start_ms, at_ms))

    def begin(key: Any, words: str, at_ms: float) -> None:
        end(key, at_ms)
        lasting[key] = (words, at_ms)

    for event in faults:
        node, at_ms, data = event.node, event.at_ms, event.data
        match event.kind:
            case "kill":
                end(("pause", node), at_ms)
                begin(("kill", node), f"{node} dead", at_ms)
            case "restart":
                end(("kill", node), at_ms)
                if data.get("disk") == "lose":
                    found.append(Strip(f"{node} lost its disk", at_ms, None))
            case "pause":
                begin(("pause", node), f"{node} paused", at_ms)
            case "resume":
                end(("pause", node), at_ms)
            case "isolate":
                begin(("net", node), f"{node} isolated", at_ms)
            case "partition":
                begin(("net", "cut"), f"cut {_sides(data['groups'])}", at_ms)
            case "link":
                words = _link(data)
                end(("net", data["src"], data["dst"]), at_ms)
                if words:
                    begin(("net", data["src"], data["dst"]), words, at_ms)
            case "heal":
                for key in [key for key in lasting if key[0] == "net"]:
                    end(key, at_ms)
            case "skew":
                found.append(Strip(f"clock of {node} skewed", at_ms, None))
    found += (Strip(words, start_ms, last_ms) for words, start_ms in lasting.values())
    return sorted(found, key=lambda strip: strip.start_ms)


def _sides(groups: Iterable[Iterable[NodeId]]) -> str:
    return " | ".join(" ".join(group) for group in groups)


def _link(data: Mapping[str, Any]) -> str:
    conditions = ["blocked"] if data.get("block") else []
    conditions += [
        f"{name.removesuffix('_ms')} {brief(data[name])}"
        for name in ("loss", "delay_ms", "duplicate", "reorder")
        if data.get(name) is not None
    ]
    return f"{data['src']} to {data['dst']}: {', '.join(conditions)}" if conditions else ""
