"""Each ready-made property says no to a world that breaks it, with the values that do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusterlab.check.invariants import paxos, raft
from clusterlab.check.properties import Property
from clusterlab.check.world import Envelope, NodeView, World, world_of
from clusterlab.core.node import Node
from clusterlab.protocols.paxos import (
    Accept,
    Accepted,
    Acceptor,
    Ballot,
    Learner,
    Proposal,
    Propose,
    roles,
)
from clusterlab.protocols.raft import Entry, Raft

B1, B2 = Ballot(1, "p1"), Ballot(2, "p2")
OLD, NEW = Entry(1), Entry(2)


def servers(*fields: dict[str, Any]) -> World:
    """A Raft cluster whose servers have these fields."""
    nodes = Raft.group(len(fields))
    for node, values in zip(nodes, fields, strict=True):
        for name, value in values.items():
            setattr(node, name, value)
    return world_of({node.id: node for node in nodes})


def paxos_world(letters: tuple[Envelope, ...] = (), **fields: dict[str, Any]) -> World:
    """Two proposers and three acceptors, some of whom have these fields."""
    nodes: dict[str, Node] = {node.id: node for node in roles(2, 3, 0)}
    for name, values in fields.items():
        for field, value in values.items():
            setattr(nodes[name], field, value)
    views = {name: NodeView(node) for name, node in nodes.items()}
    return World(views, frozenset(nodes), lambda: letters, frozenset({"x", "y"}))


NOTHING: dict[str, Any] = {}
RAFT: list[tuple[Property, World, str]] = [
    (
        raft.MORE_THAN_ONE_LEADER,
        servers(*[{"role": "leader", "current_term": 3}] * 2),
        "n1 and n2 both lead in term 3",
    ),
    (
        raft.LOG_MATCHING,
        servers({"log": (OLD, NEW)}, {"log": (NEW, NEW)}),
        "entries of term 2 at index 2, but differ",
    ),
    (
        raft.LEADER_COMPLETENESS,
        servers(
            {"role": "leader", "current_term": 3},
            {"log": (OLD,), "commit_index": 1, "current_term": 2},
        ),
        "n1 leads in term 3 without what n2 took for committed in term 2",
    ),
    (
        raft.STATE_MACHINE_SAFETY,
        servers({"log": (OLD,), "last_applied": 1}, {"log": (NEW,), "last_applied": 1}),
        "applied different entries at index 1",
    ),
    (
        raft.LOG_INV,
        servers({"log": (OLD,), "commit_index": 1}, {"log": (NEW,), "commit_index": 1}),
        "n1 has committed",
    ),
    (
        raft.QUORUM_LOG_INV,
        servers({"log": (OLD,), "commit_index": 1}, NOTHING, NOTHING),
        "n2 and n3, who are a majority, do not hold it",
    ),
    (
        raft.COMMITTED_IS_DURABLE,
        servers({"log": (OLD,), "commit_index": 2}),
        "has committed 2 entries and holds 1",
    ),
    (
        raft.MORE_UP_TO_DATE_CORRECT,
        servers({"log": (OLD,), "commit_index": 1}, {"log": (NEW,)}),
        "n2's log is at least as up-to-date as n1's, but lacks",
    ),
    (raft.INDICES_IN_ORDER, servers({"last_applied": 1}), "has applied 1, committed 0"),
    (raft.INDICES_IN_ORDER, servers({"log": (NEW, OLD)}), "the terms fall"),
    (
        raft.INDICES_IN_ORDER,
        servers({"match_index": {"n2": 0}, "next_index": {"n2": 0}}),
        "n2 matches up to 0 and sends from 0",
    ),
]
ACCEPTED_X = {"promised": B1, "accepted": Proposal(B1, "x")}
PAXOS: list[tuple[Property, World, str]] = [
    (
        paxos.AGREEMENT,
        paxos_world(p1={"chosen": Proposal(B1, "x")}, p2={"chosen": Proposal(B2, "y")}),
        "p1 learned 'x' and p2 learned 'y'",
    ),
    (paxos.VALIDITY, paxos_world(p1={"chosen": Proposal(B1, "z")}), "'z', which nobody has"),
    (
        paxos.PROMISED_COVERS_ACCEPTED,
        paxos_world(a1={"accepted": Proposal(B1, "x")}),
        "above its promise",
    ),
    (
        paxos.CHOSEN_AGREEMENT,
        paxos_world(
            (Envelope("a1", "p1", Accepted(B2, "y")), Envelope("a3", "p1", Accepted(B2, "y"))),
            a1=ACCEPTED_X,
            a2=ACCEPTED_X,
        ),
        "'x' under 1.p1, 'y' under 2.p2",
    ),
    (
        paxos.CHOSEN_AGREEMENT,
        paxos_world(
            (Envelope("a1", "p1", Accepted(B1, "y")), Envelope("a3", "p1", Accepted(B1, "y"))),
            a1=ACCEPTED_X,
            a2=ACCEPTED_X,
        ),
        "'x' under 1.p1, 'y' under 1.p1",
    ),
    (
        paxos.LEARNED_WAS_CHOSEN,
        paxos_world(
            (Envelope("a2", "p1", Accepted(B2, "x")),),
            a1=ACCEPTED_X,
            p1={"chosen": Proposal(B1, "x")},
        ),
        "p1 learned 'x', which no majority accepted under one ballot",
    ),
    (
        paxos.ONE_VALUE_PER_BALLOT,
        paxos_world((Envelope("p1", "a1", Accept(B1, "y")),), a1=ACCEPTED_X),
        "carries both 'x' and 'y'",
    ),
    (
        paxos.P2C,
        paxos_world((Envelope("p2", "a1", Accept(B2, "y")),), a1=ACCEPTED_X, a2=ACCEPTED_X),
        "'y' is proposed under 2.p2, but no majority allows it",
    ),
]


@pytest.mark.parametrize(
    ("broken", "world", "sentence"), RAFT + PAXOS, ids=lambda value: getattr(value, "name", "")
)
def test_a_state_that_breaks_it(broken: Property, world: World, sentence: str) -> None:
    answer = broken.predicate(world)
    assert isinstance(answer, str)
    assert sentence in answer


@pytest.mark.parametrize("one", [p for p in raft.SAFETY if p.kind == "always"], ids=str)
def test_the_first_state_of_raft_is_fine(one: Property) -> None:
    world = servers(NOTHING, NOTHING, NOTHING)
    if one.ghost is not None:
        world.ghost = one.ghost.initial
    assert one.predicate(world) is True


@pytest.mark.parametrize("one", [p for p in paxos.ALL if p.kind == "always"], ids=str)
def test_the_first_state_of_paxos_is_fine(one: Property) -> None:
    assert one.predicate(paxos_world()) is True


def node(of: Callable[[], Node], **fields: Any) -> NodeView:
    made = of()
    for name, value in fields.items():
        setattr(made, name, value)
    return NodeView(made)


def server(**fields: Any) -> NodeView:
    return node(lambda: Raft.group(2)[0], **fields)


def acceptor(**fields: Any) -> NodeView:
    return node(lambda: Acceptor("a1", learners=()), **fields)


LEADS = {"role": "leader", "current_term": 2}
STEPS: list[tuple[Property, NodeView, NodeView, str]] = [
    (
        raft.LEADER_APPEND_ONLY,
        server(log=(OLD,), **LEADS),
        server(log=(NEW,), **LEADS),
        "n1 leads, and changes its log",
    ),
    (raft.MONOTONIC, server(current_term=2), server(), "current_term of n1 falls from 2 to 0"),
    (raft.MONOTONIC, server(commit_index=1), server(), "commit_index of n1 falls from 1 to 0"),
    (
        raft.MONOTONIC,
        server(match_index={"n2": 1}, **LEADS),
        server(match_index={"n2": 0}, **LEADS),
        "match_index of n1 for n2 falls from 1 to 0",
    ),
    (
        raft.MONOTONIC_ACROSS_RESTARTS,
        server(current_term=1, voted_for="n1"),
        server(current_term=1),
        "the vote of n1 changes from n1 to None",
    ),
    (raft.MONOTONIC_ACROSS_RESTARTS, server(current_term=1), server(), "the term of n1 falls"),
    (paxos.ACCEPTOR_MONOTONIC, acceptor(promised=B2), acceptor(promised=B1), "promise of a1 falls"),
    (
        paxos.ACCEPTOR_MONOTONIC,
        acceptor(accepted=Proposal(B1, "x")),
        acceptor(),
        "has forgotten that it accepted",
    ),
    (
        paxos.ACCEPTOR_MONOTONIC,
        acceptor(accepted=Proposal(B2, "x")),
        acceptor(accepted=Proposal(B1, "y")),
        "and then",
    ),
]


@pytest.mark.parametrize(
    ("broken", "before", "after", "sentence"), STEPS, ids=lambda value: getattr(value, "name", "")
)
def test_a_step_that_breaks_it(
    broken: Property, before: NodeView, after: NodeView, sentence: str
) -> None:
    answer = broken.predicate(before, after)
    assert isinstance(answer, str)
    assert sentence in answer
    assert broken.predicate(before, before) is True
    other = NodeView(Learner("l1", acceptors=()))
    assert broken.predicate(other, other) is True, "it is about other nodes"


def test_leaders_of_the_past_count() -> None:
    ghost = raft.ELECTION_SAFETY.ghost
    assert ghost is not None
    world = servers(NOTHING, NOTHING)
    past = ghost.initial
    for who, term in (("n1", 1), ("n2", 2), ("n1", 1)):
        past = ghost.fold(past, who, "leader", term)
    world.ghost = ghost.fold(past, "n2", "commit", 1)
    assert raft.ELECTION_SAFETY.predicate(world) is True
    world.ghost = ghost.fold(past, "n2", "leader", 1)
    assert raft.ELECTION_SAFETY.predicate(world) == "n1 and n2 both became leader of term 1"


def test_a_value_that_was_wished_for_is_valid() -> None:
    ghost = paxos.VALIDITY.ghost
    assert ghost is not None
    asked = ghost.fold(ghost.initial, "p1", "invoke", Propose("x"))
    assert asked == {"x"}
    assert ghost.fold(asked, "p1", "return", ("ok", "z")) == {"x"}
