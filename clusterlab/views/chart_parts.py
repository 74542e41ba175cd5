"""What all charts are made of: a figure that says in words what it shows, faults as bands.

Plotly reads some HTML in its texts, so whatever comes from a trace goes through `plain`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import History
from clusterlab.core.node import NodeId
from clusterlab.core.trace import Trace

if TYPE_CHECKING:
    from clusterlab.views.chart import Chart

BAND = "rgba(110, 120, 130, 0.16)"
GAP = "#D55E00"
DOWN = "#4A545E"


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


def history_of(trace: Trace) -> History:
    """The operations of a trace; ScenarioError if it has none."""
    history = History.of(trace)
    if not len(history):
        raise ScenarioError(
            "this trace has no operations of clients: add a client, or call cluster.put(...)."
        )
    return history


def check_positive(name: str, ms: float) -> None:
    """ScenarioError if a width of windows is none."""
    if not ms > 0:
        raise ScenarioError(f"{name}={ms!r}: give a number of ms above 0, such as 100.")


def plain(text: str) -> str:
    """A text that plotly, which reads some HTML, shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def counted(at: Iterable[float], trace: Trace, every_ms: float) -> tuple[list[float], list[int]]:
    """The beginnings of all windows of `every_ms` up to the trace's end, in s, and the counts."""
    counts = Counter(int(ms // every_ms) for ms in at)
    last = trace.events[-1].at_ms if trace.events else 0.0
    windows = range(int(last // every_ms) + 1)
    return [seconds(window * every_ms) for window in windows], [
        counts[window] for window in windows
    ]


def shade(figure: Chart, faults: list[Band]) -> None:
    """Mark faults behind the chart; what they are is said at their beginning."""
    for number, band in enumerate(faults):
        figure.add_vrect(
            x0=seconds(band.since_ms),
            x1=seconds(band.until_ms),
            fillcolor=BAND,
            line_width=0,
            layer="below",
        )
        if len(faults) <= 8:  # more would cover each other
            figure.add_annotation(
                x=seconds(band.since_ms),
                y=1,
                yref="paper",
                yanchor="bottom",
                yshift=12 * (number % 3),
                xanchor="left",
                showarrow=False,
                text=plain(band.what),
                font={"size": 10, "color": DOWN},
            )


def figure_of(title: str, said: str, what: str) -> Chart:
    """An empty chart over time that says `said`; `what` goes up."""
    from clusterlab.views.chart import Chart  # noqa: PLC0415 - plotly is heavy, and loads when used

    figure = Chart()
    figure.update_layout(
        template="plotly_white",
        title={"text": title, "subtitle": {"text": plain(said)}, "x": 0.01, "xanchor": "left"},
        xaxis={"title": "cluster time, s"},
        yaxis={"title": what},
        legend={"orientation": "h", "y": -0.2},
        margin={"l": 70, "r": 20, "t": 110, "b": 60},
        height=420,
        meta={"says": f"{title}: {said}."},
    )
    return figure


def seconds(ms: float) -> float:
    """A time as the charts have it."""
    return round(ms / 1000, 6)
