"""The states of a small world and the moves between them, kept for a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from clusterlab.check.account import Account
from clusterlab.check.moves import Move
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import NodeId

GRAPH_MAX = 600
"""A graph of more states is no picture."""


class GraphState(NamedTuple):
    """A state of the cluster."""

    depth: int
    """Moves from a beginning to it."""
    fields: Mapping[NodeId, Mapping[str, Any]]
    dead: tuple[NodeId, ...]
    messages: tuple[str, ...]
    """What may still arrive."""


class GraphEdge(NamedTuple):
    """Moves that lead from one state to another."""

    source: int
    target: int
    moves: tuple[str, ...]


@dataclass(frozen=True)
class StateGraph:
    """What a search has seen; states are numbered in the order in which they were found."""

    states: tuple[GraphState, ...]
    edges: tuple[GraphEdge, ...]
    path: tuple[int, ...] = ()
    """The states that the run of the report goes through."""
    last_step: str = ""
    """The move that is wrong itself and leads to no state, at the end of the path."""
    open: tuple[int, ...] = ()
    """States from which moves lead on that the search has not followed."""


def _check_size(search: Account) -> None:
    if len(search.seen) > GRAPH_MAX:
        raise ScenarioError(
            f"keep_graph: this world has more than {GRAPH_MAX} states, which is no picture: "
            "make it smaller (fewer nodes, timers, crashes), or leave out keep_graph."
        )


def graph_of(search: Account, path: Sequence[Move]) -> StateGraph:
    """The graph of a search that has ended; `path` is the run of its report, its prefix included.

    With symmetry each state stands for all that differ only in which node is which.
    Raises ScenarioError if nobody could look at so many states.
    """
    _check_size(search)
    tables = search.tables
    number = {state: at for at, state in enumerate(search.seen)}
    depths: list[int] = []
    edges: list[GraphEdge] = []
    beyond: list[int] = []
    broken = list(tables.broken)
    for at, state in enumerate(search.seen):
        parent = search.seen[state]
        depths.append(0 if parent < 0 else depths[number[parent]] + 1)
        moves: dict[int, list[str]] = {}
        for move, new in tables.all_possible(tables.unpack(state)):
            target = number.get(search._representative(new))
            if target is None:
                beyond.append(at)
            elif target != at:
                moves.setdefault(target, []).append(str(move))
        edges += [GraphEdge(at, target, tuple(some)) for target, some in moves.items()]
    tables.broken[:] = broken
    walked, last = _walk(search, number, path)
    return StateGraph(
        tuple(_state(search, state, depth) for state, depth in zip(number, depths, strict=True)),
        tuple(edges),
        walked,
        last,
        tuple(dict.fromkeys(beyond)),
    )


def _state(search: Account, state: int, depth: int) -> GraphState:
    tables = search.tables
    fields = tables.unpack(state)
    cells = [tables.cells[i][fields[i]] for i in range(tables.nodes)]
    locals_ = [tables.locals.states[i][cell.local] for i, cell in enumerate(cells)]
    return GraphState(
        depth,
        {one.node.id: one.node.state() if one.up else one.node.saved() for one in locals_},
        tuple(one.node.id for one in locals_ if not one.up),
        tuple(map(str, tables.mail(cells))),
    )


def _walk(
    search: Account, number: Mapping[int, int], path: Sequence[Move]
) -> tuple[tuple[int, ...], str]:
    """The states on a path from one of the beginnings; its last move, if that leads nowhere."""
    moves = path[len(search._prefix) :]
    best: tuple[tuple[int, ...], str] = ((), "")
    for first, (_, begin) in search._first.items():
        walked, now = [number[first]], begin
        for at, move in enumerate(moves):
            possible = search.tables.all_possible(search.tables.unpack(now))
            new = next((new for one, new in possible if one == move), None)
            target = None if new is None else number.get(search._representative(new))
            if new is None or target is None:
                if at == len(moves) - 1:
                    best = (tuple(walked), str(move))
                break
            walked.append(target)
            now = new
        else:
            return tuple(walked), ""
    return best
