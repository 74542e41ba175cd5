"""The state space as a picture."""

from __future__ import annotations

import json

import networkx as nx
import pytest

from clusterlab.check.explore import explore
from clusterlab.check.graph import GraphEdge, GraphState, StateGraph
from clusterlab.check.properties import always
from clusterlab.check.report import Report
from clusterlab.check.world import World
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Invoke
from clusterlab.core.node import Message, Node, durable
from clusterlab.views.state_space import LINES_MAX, layers, state_graph, state_space

EVIL = "<img src=x onerror=alert(1)>"


class Turn(Message):
    to: str


class Lamp(Node):
    colour: str = durable("off")

    def on_invoke(self, src: str, m: Invoke) -> None:
        self.colour = m.operation.to


def lamps(*colours: str, forbidden: str = "") -> Report:
    def allowed(world: World) -> bool:
        return all(node.colour != forbidden for node in world.nodes)

    wishes = [(name, Turn(colour)) for colour in colours for name in ("a", "b")]
    property_ = always("no such colour", allowed)
    return explore([Lamp("a"), Lamp("b")], properties=property_, invoke=wishes, keep_graph=True)


def grid(*edges: tuple[int, int], depths: tuple[int, ...]) -> StateGraph:
    states = tuple(GraphState(depth, {}, (), ()) for depth in depths)
    return StateGraph(states, tuple(GraphEdge(a, b, ("go",)) for a, b in edges))


def test_a_column_is_a_depth_and_no_two_states_share_a_place() -> None:
    report = lamps("red", "green")
    assert report.graph is not None
    places = layers(report.graph)
    assert [x for x, _ in places] == [state.depth for state in report.graph.states]
    assert len(set(places)) == len(places) == report.states


def test_states_stand_near_those_they_come_from() -> None:
    crossed = grid((0, 1), (0, 2), (1, 4), (2, 3), depths=(0, 1, 1, 2, 2))
    places = layers(crossed)
    assert (places[1][1] < places[2][1]) is (places[4][1] < places[3][1])


def test_all_states_are_drawn_and_the_path_ends_at_the_violation() -> None:
    report = lamps("red", "green", forbidden="green")
    chart = state_space(report)
    states = [line for line in chart.data if line.mode == "markers" and line.name]
    assert sum(len(line.x) for line in states) == report.states
    assert {line.name for line in states} >= {"a beginning", "the violation"}
    assert len({line.marker.symbol for line in states}) == len(states), "not by colour alone"
    (path,) = [line for line in chart.data if line.name == "the path"]
    (end,) = [line for line in states if line.name == "the violation"]
    assert (path.x[-2], path.y[-2]) == (end.x[0], end.y[0])
    assert "1 of them lead to where no such colour is violated" in chart.says


def test_a_state_is_told_by_what_is_not_as_in_the_beginning() -> None:
    chart = state_space(lamps("red"))
    texts = [text for line in chart.data if line.name == "a state" for text in line.text]
    assert "state 1, 1 moves from the beginning<br>a: colour=red" in texts
    moves = [text for line in chart.data if line.name is None for text in line.text]
    assert "world -&gt; a Turn(to='red')" in moves
    assert {note.text for note in chart.layout.annotations} == {
        "world→a Turn",
        "world→b Turn",
    }


def test_text_from_the_world_stays_text() -> None:
    drawn = json.loads(state_space(lamps(EVIL)).to_json())
    assert "<img" not in json.dumps(drawn)
    assert "&lt;img" in json.dumps(drawn)


def test_a_long_state_is_cut() -> None:
    state = GraphState(0, {}, (), tuple(f"m{n}" for n in range(40)))
    report = Report("holds", graph=StateGraph((state,), ()))
    (line,) = [line for line in state_space(report).data if line.name == "a beginning"]
    assert line.text[0].count("<br>") == LINES_MAX
    assert line.text[0].endswith("and 27 more")


def test_a_search_without_its_graph_says_how_to_keep_it() -> None:
    with pytest.raises(ScenarioError, match="keep_graph=True"):
        state_space(Report("holds"))


def test_the_states_are_a_graph_for_networkx_too() -> None:
    found = lamps("red", "green", forbidden="green")
    graph = state_graph(found)
    kept = found.graph
    assert kept is not None
    assert graph.number_of_nodes() == len(kept.states)
    # Breadth-first: the path is a shortest one, and a state's depth says how far it is.
    far = nx.single_source_shortest_path_length(graph, 0)
    assert all(graph.nodes[at]["depth"] == steps for at, steps in far.items())
    assert nx.shortest_path_length(graph, kept.path[0], kept.path[-1]) == len(kept.path) - 1
    assert graph.edges[kept.path[0], kept.path[1]]["moves"]
