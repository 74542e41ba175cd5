"""The dial between consistency and availability as a table and as a chart.

What stands in them was counted from histories; see `experiments.cap_store.Measures`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from clusterlab.core.errors import ScenarioError
from clusterlab.experiments.cap_store import Measures
from clusterlab.views.chart_parts import plain

if TYPE_CHECKING:
    from clusterlab.views.chart import Chart


class Column(NamedTuple):
    """A figure of each store."""

    head: str
    cell: Callable[[Measures], str]


COLUMNS = (
    Column("smaller side answered", lambda m: f"{m.minority:.0%}"),
    Column("larger side answered", lambda m: f"{m.majority:.0%}"),
    Column("read, ms", lambda m: f"{m.read_ms:.0f}"),
    Column("write, ms", lambda m: f"{m.write_ms:.0f}"),
    Column("linearizable", lambda m: {True: "yes", False: "no", None: "unknown"}[m.linearizable]),
    Column("stale reads", lambda m: f"{m.stale_reads}"),
    Column("divergent keys", lambda m: f"{len(m.divergent)}"),
    Column("lost updates", lambda m: f"{m.lost}"),
    Column("keys to merge", lambda m: f"{m.siblings}"),
)


class DialTable:
    """A row for each store; HTML in a notebook, aligned letters elsewhere."""

    def __init__(self, measures: Sequence[Measures]) -> None:
        self._head = ["store", *(column.head for column in COLUMNS), "it ..."]
        self._rows = [[m.store, *(c.cell(m) for c in COLUMNS), m.chose] for m in measures]

    def text(self) -> str:
        """The same in letters; what a store chose stands below its figures."""
        figures = [self._head[:-1], *(row[:-1] for row in self._rows)]
        widths = [max(map(len, column)) for column in zip(*figures, strict=True)]
        head, *rows = (
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in figures
        )
        told = [f"{row[0].ljust(widths[0])}  {row[-1]}" for row in self._rows]
        return "\n".join([head, *rows, "", *told])

    def html(self) -> str:
        """A table without colours of its own, so that it suits any theme."""
        head = "".join(f"<th style='text-align:center'>{escape(name)}</th>" for name in self._head)
        rows = "".join(f"<tr>{self._row(row)}</tr>" for row in self._rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    @staticmethod
    def _row(row: Sequence[str]) -> str:
        store, *figures, chose = map(escape, row)
        told = "".join(f"<td style='text-align:right'>{figure}</td>" for figure in figures)
        left = "text-align:left;min-width:18em"
        return f"<th scope='row'>{store}</th>{told}<td style='{left}'>{chose}</td>"

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.text()}


def dial_table(measures: Sequence[Measures]) -> DialTable:
    """A table of what each store answered, lost and cost.

    Parameters
    ----------
    measures:
        What `CapDial` counted: its `table` after a run.
    """
    return DialTable(_some(measures))


class Bar(NamedTuple):
    """A figure of each store as a bar: its panel, name, colour and pattern."""

    panel: int
    name: str
    colour: str
    pattern: str
    figure: Callable[[Measures], float]


# Okabe and Ito 2008; each has a pattern of its own within its panel as well.
BARS = (
    Bar(1, "smaller side", "#E69F00", "", lambda m: 100 * m.minority),
    Bar(1, "larger side", "#56B4E9", "/", lambda m: 100 * m.majority),
    Bar(2, "reads", "#009E73", "", lambda m: m.read_ms),
    Bar(2, "writes", "#0072B2", "/", lambda m: m.write_ms),
    Bar(3, "stale reads", "#D55E00", "", lambda m: m.stale_reads),
    Bar(3, "divergent keys", "#CC79A7", "/", lambda m: len(m.divergent)),
    Bar(3, "lost updates", "#4A545E", "x", lambda m: m.lost),
)
PANELS = (
    ("answered during the cut, %", (0.0, 0.28)),
    ("latency without a cut, ms", (0.36, 0.64)),
    ("what went wrong, times", (0.72, 1.0)),
)


def dial_chart(measures: Sequence[Measures]) -> Chart:
    """The same as bars, a row for each store: answers, latency, anomalies.

    Parameters
    ----------
    measures:
        What `CapDial` counted: its `table` after a run.
    """
    from clusterlab.views.chart import Chart  # noqa: PLC0415 - plotly is heavy, and loads when used

    measures = _some(measures)
    figure = Chart()
    stores = [plain(m.store) for m in measures]
    for number, bar in enumerate(BARS):
        figure.add_bar(
            orientation="h",
            x=[bar.figure(m) for m in measures],
            y=stores,
            name=bar.name,
            offsetgroup=str(number),
            marker={"color": bar.colour, "pattern": {"shape": bar.pattern, "fgcolor": "#ffffff"}},
            xaxis=f"x{bar.panel}" if bar.panel > 1 else "x",
            yaxis=f"y{bar.panel}" if bar.panel > 1 else "y",
            hovertemplate=f"%{{y}}, {bar.name}: %{{x:.3g}}<extra></extra>",
        )
    said = _said(measures)
    axes: dict[str, dict[str, object]] = {}
    for number, (title, domain) in enumerate(PANELS, 1):
        suffix = str(number) if number > 1 else ""
        axes[f"xaxis{suffix}"] = {
            "domain": domain, "title": title, "rangemode": "tozero", "anchor": f"y{suffix}",
        }  # fmt: skip
        axes[f"yaxis{suffix}"] = {
            "autorange": "reversed", "showticklabels": number == 1, "anchor": f"x{suffix}",
        }  # fmt: skip
    figure.update_layout(
        template="plotly_white",
        title={"text": "The dial", "subtitle": {"text": plain(said)}, "x": 0.01, "xanchor": "left"},
        barmode="group",
        legend={"orientation": "h", "y": -0.2},
        margin={"l": 70, "r": 20, "t": 80, "b": 60},
        height=160 + 60 * len(stores),
        meta={"says": f"The dial: {said}."},
        **axes,
    )
    return figure


def _said(measures: Sequence[Measures]) -> str:
    there = [m for m in measures if m.minority > 0]
    silent = [m.store for m in measures if m.minority == 0]
    both = sum(m.linearizable is True for m in there)
    return (
        f"on the smaller side {', '.join(m.store for m in there) or 'nobody'} answered and "
        f"{', '.join(silent) or 'nobody'} did not; {both} of {len(there)} that did were "
        f"linearizable, and {sum(m.lost for m in measures)} updates were lost"
    )


def _some(measures: Sequence[Measures]) -> Sequence[Measures]:
    if not measures:
        raise ScenarioError("there is nothing to show yet: run the dial first, `dial.run()`.")
    return measures
