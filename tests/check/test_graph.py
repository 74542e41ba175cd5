"""The graph that a search of a small world keeps."""

from __future__ import annotations

import pytest

from clusterlab.check import graph as graphs
from clusterlab.check.explore import explore
from clusterlab.check.properties import always
from clusterlab.check.report import Report
from clusterlab.check.world import World
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Message, Node, durable
from clusterlab.protocols.paxos import Propose, roles


def paxos(**options: object) -> Report:
    nodes = roles(proposers=1, acceptors=2, learners=1)
    wishes = [("p1", Propose("red"))]
    return explore(nodes, invoke=wishes, timers=0, keep_graph=True, **options)  # type: ignore[arg-type]


def nothing_is_chosen(world: World) -> bool:
    return all(node.chosen is None for node in world.having("chosen"))


class Push(Message):
    pass


class Fuse(Node):
    """Blows at the second push."""

    pushed: int = durable(0)

    def on_push(self, src: str, m: Push) -> None:
        self.pushed += 1
        assert self.pushed < 2

    def on_start(self) -> None:
        self.send(self.id, Push())


def test_every_state_is_there_and_the_edges_explain_the_depths() -> None:
    report = paxos()
    graph = report.graph
    assert graph is not None
    assert len(graph.states) == report.states == 122
    assert graph.open == ()
    assert max(state.depth for state in graph.states) == report.depth
    shortest = {0: 0}
    for edge in sorted(graph.edges, key=lambda edge: graph.states[edge.source].depth):
        shortest.setdefault(edge.target, shortest[edge.source] + 1)
    assert [shortest[at] for at in range(122)] == [state.depth for state in graph.states]


def test_a_state_has_the_fields_of_its_nodes_and_what_may_arrive() -> None:
    graph = paxos().graph
    assert graph is not None
    first = graph.states[0]
    assert set(first.fields) == {"p1", "a1", "a2", "l1"}
    assert first.fields["a1"]["accepted"] is None
    (edge,) = [edge for edge in graph.edges if edge.source == 0]
    assert edge.moves == ("world -> p1 Propose(value='red')",)
    assert "p1 -> a1 Prepare" in graph.states[edge.target].messages[0]


def test_the_path_of_a_violation_goes_along_edges() -> None:
    report = paxos(properties=always("nothing is chosen", nothing_is_chosen))
    graph = report.graph
    assert graph is not None
    assert report.verdict == "violated"
    assert len(graph.path) == len(report.path) + 1
    moves = {(edge.source, edge.target): edge.moves for edge in graph.edges}
    for pair, move in zip(zip(graph.path, graph.path[1:], strict=False), report.path, strict=True):
        assert str(move) in moves[pair]
    assert graph.open, "the search ended before it had followed everything"


def test_with_symmetry_the_path_goes_along_edges_too() -> None:
    plain = paxos(properties=always("nothing is chosen", nothing_is_chosen)).graph
    found = paxos(
        properties=always("nothing is chosen", nothing_is_chosen), symmetry=("a1", "a2")
    ).graph
    assert plain is not None
    assert found is not None
    assert len(found.path) == len(plain.path)
    assert len(found.states) < len(plain.states)
    pairs = {(edge.source, edge.target) for edge in found.edges}
    assert set(zip(found.path, found.path[1:], strict=False)) <= pairs


def test_a_step_that_is_wrong_itself_ends_the_path() -> None:
    report = explore([Fuse("f")], keep_graph=True)
    assert report.verdict == "violated"
    assert report.graph is not None
    assert len(report.graph.path) == len(report.path)
    assert report.graph.last_step == str(report.path[-1])


def test_a_world_that_is_no_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "GRAPH_MAX", 50)
    with pytest.raises(ScenarioError, match="more than 50 states, which is no picture"):
        paxos()
    with pytest.raises(ScenarioError, match="leave out workers"):
        paxos(workers=2)
    assert paxos(depth_max=3).graph is not None
