"""Charts of a run, by plotly: what its clients got, and what its nodes did meanwhile.

Each function takes a trace and returns a plotly figure that a notebook shows; the subtitle says in
words what the chart says, for those who cannot see it. Times are cluster time in seconds.

| function | question |
|---|---|
| `operations` | what did each operation take, and how did it end? |
| `availability` | when was nobody served, and for how long? |
| `outages` | how long did recovery take, and which writes were lost? |
| `messages` | which messages arrived, how many were lost? |
| `queues` | how much was on its way to each node? |
| `roles` | who led when, who was down? |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from clusterlab.check.staleness import Missing, missing_writes
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Operation, Outcome
from clusterlab.core.node import WORLD, NodeId
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.views.chart_parts import (
    DOWN,
    GAP,
    Band,
    Gap,
    bands,
    check_positive,
    counted,
    figure_of,
    gaps,
    history_of,
    plain,
    seconds,
    shade,
)
from clusterlab.views.palette import LEADER, MESSAGE_LOOKS, message_look, role_look
from clusterlab.views.records import call, type_of

if TYPE_CHECKING:
    from clusterlab.views.chart import Chart

__all__ = [
    "DEAD",
    "Band",
    "Gap",
    "availability",
    "bands",
    "gaps",
    "messages",
    "operations",
    "outages",
    "queues",
    "roles",
]

# Colour, shape and word say the same.
_OUTCOMES: dict[Outcome, tuple[str, str, str]] = {
    "ok": ("#009E73", "circle", "ok"),
    "fail": ("#D55E00", "x", "fail: it did not happen"),
    "info": ("#CC79A7", "diamond-open", "info: nobody knows"),
}
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
DEAD = "dead"
"""The role of a node that has none."""


class _Span(NamedTuple):
    """A node in one role."""

    node: NodeId
    role: str
    epoch: str
    since_ms: float
    until_ms: float


# --- charts ------------------------------------------------------------------------------------


def operations(trace: Trace) -> Chart:
    """Each operation at the time of its return, as high as it took long; faults are bands.

    Raises ScenarioError if the trace has no operations.
    """
    history = history_of(trace)
    ended = [op for op in history if op.returned_ms is not None]
    counts = Counter(op.outcome for op in ended)
    said = ", ".join(f"{counts[name]:,} {name}" for name in _OUTCOMES if counts[name])
    waiting = len(history) - len(ended)
    figure = figure_of(
        "Operations",
        f"{len(history):,} operations: {said or 'none ended'}"
        + (f", {waiting} still under way" if waiting else ""),
        "latency, ms",
    )
    for name, (colour, symbol, words) in _OUTCOMES.items():
        these = [op for op in ended if op.outcome == name]
        if these:
            figure.add_scatter(
                x=[seconds(op.returned_ms or 0.0) for op in these],
                y=[op.latency_ms for op in these],
                mode="markers",
                name=words,
                marker={"color": colour, "symbol": symbol, "size": 7},
                text=[_told(op) for op in these],
                hovertemplate="%{text}<br>%{y:.1f} ms<extra></extra>",
            )
    figure.update_yaxes(type="log", tickvals=[n * 10**e for e in range(-2, 6) for n in (1, 2, 5)])
    shade(figure, bands(trace))
    return figure


def availability(trace: Trace, every_ms: float = 100.0, gap_ms: float = 150.0) -> Chart:
    """Successful operations in each `every_ms`, and each time of more than `gap_ms` without one.

    The longest is what a user would call the outage: the time to recovery (RTO) of what caused it.
    Raises ScenarioError if the trace has no operations.
    """
    check_positive("every_ms", every_ms)
    history = history_of(trace)
    long = gaps(trace, gap_ms)
    total = sum(gap.ms for gap in long)
    often = "once" if len(long) == 1 else f"{len(long)} times"
    figure = figure_of(
        "Availability",
        f"{often} nobody was served for more than {gap_ms:.0f} ms, "
        f"{total:,.0f} ms together, the longest {long[0].ms:,.0f} ms"
        if long
        else f"somebody was served at least every {gap_ms:.0f} ms",
        f"operations that succeeded, in {every_ms:.0f} ms",
    )
    times, counts = counted((op.returned_ms or 0.0 for op in history.ok()), trace, every_ms)
    figure.add_scatter(
        x=times, y=counts, mode="lines", line={"shape": "hv", "color": "#009E73"}, name="succeeded"
    )
    shade(figure, bands(trace))
    for gap in long:
        figure.add_shape(
            type="line",
            xref="x",
            yref="paper",
            x0=seconds(gap.since_ms),
            x1=seconds(gap.until_ms),
            y0=0,
            y1=0,
            line={"color": GAP, "width": 5},
        )
    if long:
        figure.add_annotation(
            x=seconds((long[0].since_ms + long[0].until_ms) / 2),
            y=0,
            yref="paper",
            yshift=12,
            showarrow=False,
            text=f"{long[0].ms:,.0f} ms",
            font={"color": GAP},
        )
    return figure


def outages(trace: Trace, gap_ms: float = 150.0, lost: Iterable[Operation] | None = None) -> Chart:
    """Each time of more than `gap_ms` in which nobody was served, and the writes that were lost.

    The longest time is the recovery time (RTO); the writes that were acknowledged and are not there
    in the end are what the recovery point (RPO) is about. They are those that came after what the
    last read of their key has seen (see `missing_writes`), or `lost`, from who knows it better.
    Raises ScenarioError if the trace has no operations.
    """
    history = history_of(trace)
    missing = missing_writes(history) if lost is None else Missing(tuple(lost), 0)
    long = gaps(trace, gap_ms)
    said = f"recovery took {long[0].ms:,.0f} ms at the longest" if long else "no outage"
    said += f"; {len(missing.lost):,} acknowledged writes were lost"
    if missing.unread:
        said += f" ({missing.unread:,} were not read any more, so nobody knows)"
    figure = figure_of("Outages", said, "")
    figure.add_bar(
        orientation="h",
        y=["nobody was served"] * len(long),
        x=[seconds(gap.ms) for gap in long],
        base=[seconds(gap.since_ms) for gap in long],
        name=f"nobody was served for more than {gap_ms:.0f} ms",
        marker={"color": GAP, "pattern": {"shape": "/"}},
        text=[f"{gap.ms:,.0f} ms" for gap in long],
        textposition="outside",
        hovertemplate="%{text} from %{base:.3f} s<extra></extra>",
    )
    figure.add_scatter(
        x=[seconds(op.returned_ms or 0.0) for op in missing.lost],
        y=["lost writes"] * len(missing.lost),
        mode="markers",
        name="acknowledged here, then lost",
        marker={"color": DOWN, "symbol": "x", "size": 9},
        text=[_told(op) for op in missing.lost],
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_yaxes(categoryorder="array", categoryarray=["lost writes", "nobody was served"])
    end = trace.events[-1].at_ms if trace.events else 0.0
    figure.update_xaxes(range=[0, seconds(end) * 1.06])
    shade(figure, bands(trace))
    return figure


def messages(trace: Trace, every_ms: float = 100.0) -> Chart:
    """Messages between nodes that arrived in each `every_ms`, by type, and those that were lost."""
    check_positive("every_ms", every_ms)
    arrived: dict[str, list[float]] = {}
    lost: list[float] = []
    for event in trace:
        if event.kind not in ("deliver", "drop") or event.data["src"] == WORLD:
            continue
        if event.kind == "drop":
            lost.append(event.at_ms)
        else:
            arrived.setdefault(type_of(event.data["msg"]), []).append(event.at_ms)
    total = sum(map(len, arrived.values()))
    most = max(arrived, key=lambda name: len(arrived[name]), default="none")
    figure = figure_of(
        "Messages",
        f"{total:,} arrived, most of them {most}; {len(lost):,} were lost",
        f"messages in {every_ms:.0f} ms",
    )
    types = list(arrived)
    for name, at in arrived.items():
        times, counts = counted(at, trace, every_ms)
        figure.add_bar(
            x=times,
            y=counts,
            name=plain(name),
            width=every_ms / 1000,
            offset=0,
            marker={
                "color": message_look(name, types).colour,
                "pattern": {"shape": ("", "/", "x", "-", "|", "+", ".", "\\")[_slot(name, types)]},
            },
        )
    if lost:
        times, counts = counted(lost, trace, every_ms)
        figure.add_scatter(
            x=times,
            y=counts,
            mode="lines",
            name="lost",
            line={"color": "black", "dash": "dot", "shape": "hv"},
        )
    figure.update_layout(barmode="stack", bargap=0)
    shade(figure, bands(trace))
    return figure


def queues(trace: Trace, every_ms: float = 100.0) -> Chart:
    """For each node, the most messages in each `every_ms` that were on their way to it or waited.

    Mail waits for a node that is paused, and for one that takes messages more slowly than they
    come: a queue that only grows is overload (compare Little 1961: waiting = rate times delay).
    """
    check_positive("every_ms", every_ms)
    end = trace.events[-1].at_ms if trace.events else 0.0
    windows = int(end // every_ms) + 1
    most = {name: [0] * windows for name in trace.meta.get("servers", ())}
    waiting: Counter[NodeId] = Counter()
    looked_at: dict[NodeId, int] = {}
    under_way: dict[int, NodeId] = {}

    def count(node: NodeId, by: int, at_ms: float) -> None:
        row, window = most.setdefault(node, [0] * windows), int(at_ms // every_ms)
        for quiet in range(looked_at.get(node, 0) + 1, window + 1):
            row[quiet] = waiting[node]  # nothing came or went since then
        looked_at[node] = max(window, looked_at.get(node, 0))
        waiting[node] += by
        row[looked_at[node]] = max(row[looked_at[node]], waiting[node])

    for event in trace:
        if event.kind in ("send", "duplicate") and event.data["dst"] != WORLD:
            under_way[event.seq] = event.data["dst"]
            count(event.data["dst"], 1, event.at_ms)
        elif event.kind in ("deliver", "drop") and event.cause in under_way:
            count(under_way.pop(event.cause), -1, event.at_ms)
    for node in most:
        count(node, 0, end)
    peak = max(most, key=lambda node: max(most[node]), default=None)
    said = f"at most {max(most[peak]):,}, to {peak}" if peak and any(most[peak]) else "nothing"
    figure = figure_of("Queues", f"on the way to a node: {said}", "messages on the way to a node")
    for number, (node, row) in enumerate(most.items()):
        look = MESSAGE_LOOKS[number % len(MESSAGE_LOOKS)]
        figure.add_scatter(
            x=[seconds(window * every_ms) for window in range(windows)],
            y=row,
            mode="lines",
            name=plain(node),
            line={"shape": "hv", "color": look.colour, "dash": _DASHES[number % len(_DASHES)]},
        )
    shade(figure, bands(trace))
    return figure


def roles(trace: Trace) -> Chart:
    """A row for each node: its role as its `status()` tells it, with its epoch, and its death.

    Raises ScenarioError if no node of the trace tells its status.
    """
    spans = _role_spans(trace)
    if not spans:
        raise ScenarioError("no node of this trace tells its status: write status() in its class.")
    known = list(dict.fromkeys(span.role for span in spans if span.role != DEAD))
    leaders = list(dict.fromkeys(span.node for span in spans if span.role == LEADER))
    figure = figure_of("Roles", f"led: {', '.join(leaders)}" if leaders else "nobody led", "")
    shown: set[str] = set()
    for span in spans:
        dead = span.role == DEAD
        figure.add_bar(
            orientation="h",
            y=[plain(span.node)],
            x=[seconds(span.until_ms - span.since_ms)],
            base=[seconds(span.since_ms)],
            name=plain(span.role),
            legendgroup=plain(span.role),
            showlegend=span.role not in shown,
            marker={
                "color": DOWN if dead else role_look(span.role, known).colour,
                "pattern": {"shape": "x" if dead else ""},
                "line": {"color": "white", "width": 1},
            },
            text=[plain(f"{span.role} {span.epoch}".strip())],
            textposition="inside",
            insidetextanchor="middle",
            hovertemplate=f"%{{y}}: %{{text}}<br>{span.until_ms - span.since_ms:,.0f} ms"
            "<extra></extra>",
        )
        shown.add(span.role)
    figure.update_layout(barmode="overlay", bargap=0.25)
    order = sorted({plain(span.node) for span in spans}, reverse=True)
    figure.update_yaxes(categoryorder="array", categoryarray=order, showgrid=False)
    return figure


# --- parts -------------------------------------------------------------------------------------


def _told(operation: Operation) -> str:
    value = "" if operation.value is None else f" → {operation.value!r}"
    return plain(f"{operation.client}: {call(operation.call)}{value}")


def _slot(name: str, types: list[str]) -> int:
    return types.index(name) % len(MESSAGE_LOOKS)


def _role_spans(trace: Trace) -> list[_Span]:
    """What each server was, while it was it; clients only ask, so they have no row."""
    changes: dict[NodeId, list[tuple[float, str, str]]] = {}
    clients = trace.meta.get("clients", ())
    for event in trace:
        now = _role(event)
        if now is None or event.node is None or event.node in clients:
            continue
        told = changes.setdefault(event.node, [])
        if not told or told[-1][1:] != now:
            told.append((event.at_ms, *now))
    spans = []
    end = trace.events[-1].at_ms if trace.events else 0.0
    for node, told in changes.items():
        if any(role not in (DEAD, "") for _, role, _ in told):
            for (since, role, epoch), (until, _, _) in pairwise([*told, (end, "", "")]):
                if role and until > since:
                    spans.append(_Span(node, role, epoch, since, until))
    return spans


def _role(event: TraceEvent) -> tuple[str, str] | None:
    """What the event says of its node's role and epoch; None if nothing."""
    if event.kind == "state" and event.data.get("role") is not None:
        epoch = event.data.get("epoch")
        return str(event.data["role"]), "" if epoch is None else str(epoch)
    if event.kind in ("kill", "error"):
        return DEAD, ""
    return ("", "") if event.kind == "restart" else None
