"""The states of a small world as a graph, with the path to what went wrong.

A column is a depth: so many moves from the beginning, which is how a breadth-first search goes.
Within a column states stand near those that they come from and lead to: the barycentre heuristic
of Sugiyama, Tagawa & Toda, "Methods for visual understanding of hierarchical system structures"
(1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from clusterlab.check.graph import GraphState, StateGraph
from clusterlab.check.report import Report
from clusterlab.core.errors import ScenarioError
from clusterlab.views.chart_parts import DOWN, GAP, figure_of, plain
from clusterlab.views.records import brief, cut

if TYPE_CHECKING:
    import networkx as nx

    from clusterlab.views.chart import Chart

SWEEPS = 8
LABELS_MAX = 30
"""So many moves are written beside their edges; of more, only those of the path."""
LINES_MAX = 14

Place: TypeAlias = tuple[float, float]


def state_space(report: Report) -> Chart:
    """Every state that a search saw, and every move; the run of the report stands out.

    Raises ScenarioError if the search has not kept its graph.
    """
    graph = _kept(report)
    places = layers(graph)
    figure = figure_of("State space", _said(report, graph), "")
    _draw_edges(figure, graph, places)
    _draw_states(figure, report, graph, places)
    figure.update_layout(height=560, hovermode="closest")
    figure.update_xaxes(title="moves from the beginning", dtick=1, showgrid=False, zeroline=False)
    figure.update_yaxes(visible=False)
    return figure


def state_graph(report: Report) -> nx.DiGraph[int]:
    """The same as a graph of networkx, for whatever else one wants to ask of it.

    States are numbers from 0 with `depth`, `fields` (by node), `dead` and `messages`;
    edges have `moves`, as text. Raises ScenarioError if the search has not kept its graph.
    """
    return _as_networkx(_kept(report))


def _kept(report: Report) -> StateGraph:
    if report.graph is None:
        raise ScenarioError(
            "this search has not kept its states: call explore(..., keep_graph=True) on a world "
            "of some hundred states."
        )
    return report.graph


def _as_networkx(graph: StateGraph) -> nx.DiGraph[int]:
    import networkx as nx  # noqa: PLC0415 - loads when a graph is asked for

    made: nx.DiGraph[int] = nx.DiGraph()
    for at, state in enumerate(graph.states):
        made.add_node(at, **state._asdict())
    for edge in graph.edges:
        made.add_edge(edge.source, edge.target, moves=edge.moves)
    return made


def layers(graph: StateGraph) -> list[Place]:
    """Where each state stands: its depth, and its height around 0."""
    columns: dict[int, list[int]] = {}
    for at, state in enumerate(graph.states):
        columns.setdefault(state.depth, []).append(at)
    linked = _as_networkx(graph).to_undirected(as_view=True)
    beside = {at: sorted(linked[at]) for at in linked}
    height: dict[int, float] = {}
    for column in columns.values():
        height.update(_spread(column))
    depths = sorted(columns)
    for sweep in range(SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        for depth in depths[::step]:
            before = depth - step
            column = columns[depth]
            middles = {
                at: _mean([height[n] for n in beside[at] if graph.states[n].depth == before])
                for at in column
            }
            known = {at: height[at] if (m := middles[at]) is None else m for at in column}
            column.sort(key=lambda at: (known[at], at))
            height.update(_spread(column))
    return [(float(state.depth), height[at]) for at, state in enumerate(graph.states)]


def _spread(column: Sequence[int]) -> dict[int, float]:
    return {state: place - (len(column) - 1) / 2 for place, state in enumerate(column)}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _said(report: Report, graph: StateGraph) -> str:
    said = f"{len(graph.states):,} states, {len(graph.edges):,} moves between them"
    if report.verdict == "violated":
        return f"{said}; {len(report.path)} of them lead to where {report.property} is violated"
    if report.verdict == "reached":
        return f"{said}; {len(report.path)} of them lead to the goal"
    return f"{said}; verdict: {report.verdict}"


# --- drawing -----------------------------------------------------------------------------------


def _draw_edges(figure: Chart, graph: StateGraph, places: Sequence[Place]) -> None:
    path = list(zip(graph.path, graph.path[1:], strict=False))
    onward = [(edge.source, edge.target) for edge in graph.edges]
    _line(figure, onward, places, "a move", {"color": "#B8BEC6", "width": 1})
    if path:
        _line(figure, path, places, "the path", {"color": GAP, "width": 4})
    moves = {(edge.source, edge.target): edge.moves for edge in graph.edges}
    middles = [_middle(places, pair) for pair in moves]
    figure.add_scatter(
        x=[x for x, _ in middles],
        y=[y for _, y in middles],
        mode="markers",
        marker={"size": 9, "opacity": 0},
        showlegend=False,
        text=["<br>".join(map(plain, some)) for some in moves.values()],
        hovertemplate="%{text}<extra></extra>",
    )
    for at, pair in enumerate(moves if len(moves) <= LABELS_MAX else path):
        x, y = _middle(places, pair)
        figure.add_annotation(
            x=x,
            y=y,
            yshift=13 if at % 2 else -13,  # so that neighbours leave each other room
            text=plain(_label(moves.get(pair, ()))),
            showarrow=False,
            font={"size": 10},
            bgcolor="rgba(255, 255, 255, 0.8)",
        )


def _label(moves: Sequence[str]) -> str:
    """A move without its details, which stand where the mouse is."""
    short = [move.partition("(")[0].replace(" -> ", "→") for move in dict.fromkeys(moves)]
    return cut(" or ".join(dict.fromkeys(short)))


def _line(
    figure: Chart,
    pairs: Iterable[tuple[int, int]],
    places: Sequence[Place],
    name: str,
    line: Mapping[str, Any],
) -> None:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for a, b in pairs:
        xs += [places[a][0], places[b][0], None]
        ys += [places[a][1], places[b][1], None]
    figure.add_scatter(x=xs, y=ys, mode="lines", name=name, line=dict(line), hoverinfo="skip")


def _middle(places: Sequence[Place], pair: tuple[int, int]) -> Place:
    (x0, y0), (x1, y1) = places[pair[0]], places[pair[1]]
    return (x0 + x1) / 2, (y0 + y1) / 2


def _draw_states(figure: Chart, report: Report, graph: StateGraph, places: Sequence[Place]) -> None:
    end = graph.path[-1] if graph.path else None
    wrong = report.verdict == "violated"
    kinds: dict[str, list[int]] = {}
    for at, state in enumerate(graph.states):
        if at == end and report.verdict in ("violated", "reached"):
            last = "its next step is wrong" if graph.last_step else "the violation"
            kind = last if wrong else "the goal"
        elif state.depth == 0:
            kind = "a beginning"
        else:
            kind = "not followed on" if at in graph.open else "a state"
        kinds.setdefault(kind, []).append(at)
    looks = {
        "a state": ("#56B4E9", "circle"),
        "a beginning": ("#009E73", "square"),
        "not followed on": ("#CC79A7", "circle-open"),
        "the goal": ("#E69F00", "star"),
    }
    first = graph.states[0]
    for kind, some in kinds.items():
        colour, symbol = looks.get(kind, (GAP, "x"))
        figure.add_scatter(
            x=[places[at][0] for at in some],
            y=[places[at][1] for at in some],
            mode="markers",
            name=kind,
            marker={
                "color": colour,
                "symbol": symbol,
                "size": 11 if kind == "a state" else 15,
                "line": {"color": DOWN, "width": 1},
            },
            text=[_told(at, graph.states[at], first) for at in some],
            hovertemplate="%{text}<extra></extra>",
        )


def _told(number: int, state: GraphState, first: GraphState) -> str:
    """A state in short: what is not as it was in the beginning, and what may still arrive."""
    lines = [f"state {number}, {state.depth} moves from the beginning"]
    for node, fields in state.fields.items():
        before = first.fields[node]
        news = [f"{k}={brief(v)}" for k, v in fields.items() if before.get(k, ...) != v]
        dead = "dead" if node in state.dead else ""
        if news or dead:
            lines.append(f"{node}: {', '.join(filter(None, [dead, *news]))}")
    lines += [f"on its way: {message}" for message in state.messages]
    if len(lines) > LINES_MAX:
        lines = [*lines[:LINES_MAX], f"and {len(lines) - LINES_MAX} more"]
    return "<br>".join(plain(cut(line)) for line in lines)
