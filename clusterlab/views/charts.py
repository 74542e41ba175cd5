"""Charts of a run, by plotly: what its clients got, and what its nodes did meanwhile.

Each function takes a trace and returns a plotly Figure that a notebook shows; the subtitle says in
words what the chart says, for those who cannot see it. Times are cluster time in seconds.

| function | question |
|---|---|
| `operations` | what did each operation take, and how did it end? |
| `availability` | when was nobody served, and for how long? |
| `messages` | which messages arrived, how many were lost? |
| `roles` | who led when, who was down? |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import History, Operation, Outcome
from clusterlab.core.node import WORLD, NodeId
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.views.palette import LEADER, MESSAGE_LOOKS, message_look, role_look
from clusterlab.views.records import call, type_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Colour, shape and word say the same.
_OUTCOMES: dict[Outcome, tuple[str, str, str]] = {
    "ok": ("#009E73", "circle", "ok"),
    "fail": ("#D55E00", "x", "fail: it did not happen"),
    "info": ("#CC79A7", "diamond-open", "info: nobody knows"),
}
_BAND = "rgba(110, 120, 130, 0.16)"
_GAP = "#D55E00"
_DOWN = "#4A545E"
DEAD = "dead"
"""The role of a node that has none."""


class Band(NamedTuple):
    """A fault while it lasted."""

    what: str
    since_ms: float
    until_ms: float


class Gap(NamedTuple):
    """A time in which no operation succeeded although somebody wanted one."""

    since_ms: float
    until_ms: float

    @property
    def ms(self) -> float:
        """How long it was."""
        return self.until_ms - self.since_ms


def bands(trace: Trace) -> list[Band]:
    """The faults of a trace as times: a node's death until its restart, a cut until it heals."""
    open_: dict[tuple[str, NodeId | None], tuple[str, float]] = {}
    found: list[Band] = []

    def close(key: tuple[str, NodeId | None], at_ms: float) -> None:
        begun = open_.pop(key, None)
        if begun is not None:
            found.append(Band(*begun, at_ms))

    for event in trace:
        kind, node, at_ms = event.kind, event.node, event.at_ms
        if kind in ("kill", "error"):
            close(("paused", node), at_ms)
            open_["dead", node] = (f"{node} is dead", at_ms)
        elif kind == "pause":
            open_["paused", node] = (f"{node} is paused", at_ms)
        elif kind in ("restart", "resume"):
            close(("dead" if kind == "restart" else "paused", node), at_ms)
        elif kind == "heal":
            close(("cut", None), at_ms)
        elif kind in ("partition", "isolate", "link"):
            open_.setdefault(("cut", None), ("the network is cut or bad", at_ms))
    for key in list(open_):
        close(key, trace.events[-1].at_ms)
    return sorted(found, key=lambda band: band.since_ms)


def gaps(trace: Trace, at_least_ms: float = 0.0) -> list[Gap]:
    """The times without a successful operation while at least one was wanted, longest first.

    A gap begins when an operation is invoked, or when the last one succeeded while others were
    under way, and ends when one succeeds; while nobody wants anything, nobody is kept waiting.
    """
    found: list[Gap] = []
    since: float | None = None
    under_way = 0
    for event in trace:
        if event.kind == "invoke":
            under_way += 1
            since = event.at_ms if since is None else since
        elif event.kind == "return":
            under_way -= 1
            if event.data["outcome"] == "ok" and since is not None:
                found.append(Gap(since, event.at_ms))
                since = event.at_ms if under_way else None
    if since is not None:
        found.append(Gap(since, trace.events[-1].at_ms))
    return sorted((g for g in found if g.ms > at_least_ms), key=lambda g: (-g.ms, g.since_ms))


class _Span(NamedTuple):
    """A node in one role."""

    node: NodeId
    role: str
    epoch: str
    since_ms: float
    until_ms: float


# --- charts ------------------------------------------------------------------------------------


def operations(trace: Trace) -> Figure:
    """Each operation at the time of its return, as high as it took long; faults are bands.

    Raises ScenarioError if the trace has no operations.
    """
    history = _history(trace)
    ended = [op for op in history if op.returned_ms is not None]
    counts = Counter(op.outcome for op in ended)
    said = ", ".join(f"{counts[name]:,} {name}" for name in _OUTCOMES if counts[name])
    waiting = len(history) - len(ended)
    figure = _figure(
        "Operations",
        f"{len(history):,} operations: {said or 'none ended'}"
        + (f", {waiting} still under way" if waiting else ""),
        "latency, ms",
    )
    for name, (colour, symbol, words) in _OUTCOMES.items():
        these = [op for op in ended if op.outcome == name]
        if these:
            figure.add_scatter(
                x=[_s(op.returned_ms or 0.0) for op in these],
                y=[op.latency_ms for op in these],
                mode="markers",
                name=words,
                marker={"color": colour, "symbol": symbol, "size": 7},
                text=[_told(op) for op in these],
                hovertemplate="%{text}<br>%{y:.1f} ms<extra></extra>",
            )
    figure.update_yaxes(type="log", tickvals=[n * 10**e for e in range(-2, 6) for n in (1, 2, 5)])
    _shade(figure, bands(trace))
    return figure


def availability(trace: Trace, every_ms: float = 100.0, gap_ms: float = 150.0) -> Figure:
    """Successful operations in each `every_ms`, and each time of more than `gap_ms` without one.

    The longest is what a user would call the outage: the time to recovery (RTO) of what caused it.
    Raises ScenarioError if the trace has no operations.
    """
    _check_positive("every_ms", every_ms)
    history = _history(trace)
    long = gaps(trace, gap_ms)
    total = sum(gap.ms for gap in long)
    figure = _figure(
        "Availability",
        f"{len(long)} times nobody was served for more than {gap_ms:.0f} ms, "
        f"{total:,.0f} ms together, the longest {long[0].ms:,.0f} ms"
        if long
        else f"somebody was served at least every {gap_ms:.0f} ms",
        f"operations that succeeded, in {every_ms:.0f} ms",
    )
    times, counts = _counted((op.returned_ms or 0.0 for op in history.ok()), trace, every_ms)
    figure.add_scatter(
        x=times, y=counts, mode="lines", line={"shape": "hv", "color": "#009E73"}, name="succeeded"
    )
    _shade(figure, bands(trace))
    for gap in long:
        figure.add_shape(
            type="line",
            xref="x",
            yref="paper",
            x0=_s(gap.since_ms),
            x1=_s(gap.until_ms),
            y0=0,
            y1=0,
            line={"color": _GAP, "width": 5},
        )
    if long:
        figure.add_annotation(
            x=_s((long[0].since_ms + long[0].until_ms) / 2),
            y=0,
            yref="paper",
            yshift=12,
            showarrow=False,
            text=f"{long[0].ms:,.0f} ms",
            font={"color": _GAP},
        )
    return figure


def messages(trace: Trace, every_ms: float = 100.0) -> Figure:
    """Messages between nodes that arrived in each `every_ms`, by type, and those that were lost."""
    _check_positive("every_ms", every_ms)
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
    figure = _figure(
        "Messages",
        f"{total:,} arrived, most of them {most}; {len(lost):,} were lost",
        f"messages in {every_ms:.0f} ms",
    )
    types = list(arrived)
    for name, at in arrived.items():
        times, counts = _counted(at, trace, every_ms)
        figure.add_bar(
            x=times,
            y=counts,
            name=name,
            width=every_ms / 1000,
            offset=0,
            marker={
                "color": message_look(name, types).colour,
                "pattern": {"shape": ("", "/", "x", "-", "|", "+", ".", "\\")[_slot(name, types)]},
            },
        )
    if lost:
        times, counts = _counted(lost, trace, every_ms)
        figure.add_scatter(
            x=times,
            y=counts,
            mode="lines",
            name="lost",
            line={"color": "black", "dash": "dot", "shape": "hv"},
        )
    figure.update_layout(barmode="stack", bargap=0)
    _shade(figure, bands(trace))
    return figure


def roles(trace: Trace) -> Figure:
    """A row for each node: its role as its `status()` tells it, with its epoch, and its death.

    Raises ScenarioError if no node of the trace tells its status.
    """
    spans = _role_spans(trace)
    if not spans:
        raise ScenarioError("no node of this trace tells its status: write status() in its class.")
    known = list(dict.fromkeys(span.role for span in spans if span.role != DEAD))
    leaders = list(dict.fromkeys(span.node for span in spans if span.role == LEADER))
    figure = _figure("Roles", f"led: {', '.join(leaders)}" if leaders else "nobody led", "")
    shown: set[str] = set()
    for span in spans:
        dead = span.role == DEAD
        figure.add_bar(
            orientation="h",
            y=[span.node],
            x=[_s(span.until_ms - span.since_ms)],
            base=[_s(span.since_ms)],
            name=span.role,
            legendgroup=span.role,
            showlegend=span.role not in shown,
            marker={
                "color": _DOWN if dead else role_look(span.role, known).colour,
                "pattern": {"shape": "x" if dead else ""},
                "line": {"color": "white", "width": 1},
            },
            text=[_plain(f"{span.role} {span.epoch}".strip())],
            textposition="inside",
            insidetextanchor="middle",
            hovertemplate=f"%{{y}}: %{{text}}<br>{span.until_ms - span.since_ms:,.0f} ms"
            "<extra></extra>",
        )
        shown.add(span.role)
    figure.update_layout(barmode="overlay", bargap=0.25)
    order = sorted({span.node for span in spans}, reverse=True)
    figure.update_yaxes(categoryorder="array", categoryarray=order, showgrid=False)
    return figure


# --- parts -------------------------------------------------------------------------------------


def _history(trace: Trace) -> History:
    history = History.of(trace)
    if not len(history):
        raise ScenarioError(
            "this trace has no operations of clients: add a client, or call cluster.put(...)."
        )
    return history


def _check_positive(name: str, ms: float) -> None:
    if not ms > 0:
        raise ScenarioError(f"{name}={ms!r}: give a number of ms above 0, such as 100.")


def _told(operation: Operation) -> str:
    value = "" if operation.value is None else f" → {operation.value!r}"
    return _plain(f"{operation.client}: {call(operation.call)}{value}")


def _plain(text: str) -> str:
    """A text that plotly, which reads some HTML, shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slot(name: str, types: list[str]) -> int:
    return types.index(name) % len(MESSAGE_LOOKS)


def _counted(at: Iterable[float], trace: Trace, every_ms: float) -> tuple[list[float], list[int]]:
    """The beginnings of all windows of `every_ms` up to the trace's end, in s, and the counts."""
    counts = Counter(int(ms // every_ms) for ms in at)
    last = trace.events[-1].at_ms if trace.events else 0.0
    windows = range(int(last // every_ms) + 1)
    return [_s(window * every_ms) for window in windows], [counts[window] for window in windows]


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


def _shade(figure: Figure, faults: list[Band]) -> None:
    """Mark faults behind the chart; what they are is said at their beginning."""
    for number, band in enumerate(faults):
        figure.add_vrect(
            x0=_s(band.since_ms), x1=_s(band.until_ms), fillcolor=_BAND, line_width=0, layer="below"
        )
        if len(faults) <= 8:  # more would cover each other
            figure.add_annotation(
                x=_s(band.since_ms),
                y=1,
                yref="paper",
                yanchor="bottom",
                yshift=12 * (number % 3),
                xanchor="left",
                showarrow=False,
                text=_plain(band.what),
                font={"size": 10, "color": _DOWN},
            )


def _figure(title: str, said: str, what: str) -> Figure:
    from plotly.graph_objects import Figure  # noqa: PLC0415 - heavy, and loads when used

    figure = Figure()
    figure.update_layout(
        template="plotly_white",
        title={"text": title, "subtitle": {"text": _plain(said)}, "x": 0.01, "xanchor": "left"},
        xaxis={"title": "cluster time, s"},
        yaxis={"title": what},
        legend={"orientation": "h", "y": -0.2},
        margin={"l": 70, "r": 20, "t": 110, "b": 60},
        height=420,
        meta={"says": f"{title}: {said}."},
    )
    return figure


def _s(ms: float) -> float:
    return round(ms / 1000, 6)
