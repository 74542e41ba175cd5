"""Each property of Multi-Paxos says no to a world that breaks it, with the values that do."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.check.invariants import multi_paxos as promises
from clusterlab.check.properties import Property
from clusterlab.check.world import NodeView, World, world_of
from clusterlab.core.packing import pack
from clusterlab.core.quorum import Flexible
from clusterlab.core.spec import Put
from clusterlab.protocols.multi_paxos import CHOSEN, Command, MultiPaxos, Snapshot
from clusterlab.protocols.paxos import Ballot, Proposal

X, Y = (Command(f"c-{value}", 1, Put("x", value)) for value in "xy")
B1, B2 = Ballot(1, "n1"), Ballot(2, "n2")
ONE = (Proposal(B1, X),)
DONE = {"log": ONE, "executed": 1, "promised": B1, "machine": {"x": "x"}}
DONE["sessions"] = {"c-x": (1, None)}
EMPTY: dict[str, Any] = {"machine": {}}


def replicas(*fields: dict[str, Any], **options: Any) -> World:
    """A cluster whose replicas have these fields."""
    nodes = MultiPaxos.group(len(fields), **options)
    for node, values in zip(nodes, fields, strict=True):
        for name, value in {**EMPTY, **values}.items():
            setattr(node, name, value)
    return world_of({node.id: node for node in nodes})


BROKEN: list[tuple[Property, World, str]] = [
    (
        promises.AGREEMENT,
        replicas(DONE, {**DONE, "log": (Proposal(B2, Y),)}, {}),
        "for slot 1, and n2 takes",
    ),
    (
        promises.AGREEMENT,
        replicas(DONE, {"learned": {1: Y}}, {}),
        "for slot 1, and n2 takes",
    ),
    (
        promises.AGREEMENT,
        replicas(*({"snapshot": Snapshot(5, pack({"x": v}), pack({}))} for v in "xy")),
        "after slot 5, n1 has",
    ),
    (
        promises.ONE_VALUE_PER_BALLOT,
        replicas({"log": ONE}, {"log": (Proposal(B1, Y),)}),
        "ballot 1.n1 carries both",
    ),
    (
        promises.CHOSEN_IS_KEPT,
        replicas(DONE, {}, {}),
        "n2 and n3, who suffice to elect a leader, do not hold it",
    ),
    (
        promises.PROMISED_COVERS_ACCEPTED,
        replicas({"log": (Proposal(B2, X),), "promised": B1}),
        "in slot 1, above 1.n1",
    ),
    (
        promises.NO_HOLES,
        replicas({"log": (None, *ONE), "executed": 2}),
        "nothing is in slot 1",
    ),
    (promises.NO_HOLES, replicas({"executed": 2}), "which it does not have"),
    (
        promises.EXECUTED_IN_ORDER,
        replicas({**DONE, "machine": {"x": "y"}}),
        "its machine is {'x': 'y'}",
    ),
]
KEPT: list[tuple[Property, World]] = [
    *((one, replicas(DONE, DONE, {})) for one in promises.SAFETY if one.kind == "always"),
    # What the snapshot of another covers is held by it.
    (promises.CHOSEN_IS_KEPT, replicas(DONE, {"snapshot": Snapshot(3, pack({}), pack({}))}, {})),
    # What is known to be chosen needs no promise.
    (promises.PROMISED_COVERS_ACCEPTED, replicas({"log": (Proposal(CHOSEN, X),)})),
    # Chosen twice, executed once.
    (promises.EXECUTED_IN_ORDER, replicas({**DONE, "log": (*ONE, *ONE), "executed": 2})),
]


@pytest.mark.parametrize(("one", "world", "told"), BROKEN)
def test_a_broken_promise_is_told_with_its_values(one: Property, world: World, told: str) -> None:
    answer = one.predicate(world)

    assert isinstance(answer, str)
    assert told in answer


@pytest.mark.parametrize(("one", "world"), KEPT)
def test_a_kept_promise_is_no_news(one: Property, world: World) -> None:
    assert one.predicate(world) is True


def test_it_is_the_quorums_of_phase_1_that_must_hear_of_it() -> None:
    names = ("n1", "n2", "n3", "n4")
    rules = Flexible.of_sizes(names, phase_1=3, phase_2=2)

    assert promises.CHOSEN_IS_KEPT.predicate(replicas(DONE, DONE, {}, {}, quorums=rules)) is True
    assert promises.CHOSEN_IS_KEPT.predicate(replicas(DONE, {}, {}, {}, quorums=rules)) is not True


def views(before: dict[str, Any], after: dict[str, Any]) -> list[NodeView]:
    return [NodeView(replicas(fields)["n1"]._node) for fields in (before, after)]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"promised": B2}, {"promised": B1}, "falls from 2.n2 to 1.n1"),
        ({"log": ONE}, {}, "has forgotten that it accepted"),
        ({"log": (Proposal(B2, Y),)}, {"log": ONE}, "and then"),
        ({"snapshot": Snapshot(5, None, None)}, {}, "falls back to slot 0"),
    ],
)
def test_an_acceptor_never_goes_back(
    before: dict[str, Any], after: dict[str, Any], told: str
) -> None:
    assert told in str(promises.ACCEPTOR_MONOTONIC.predicate(*views(before, after)))
    assert promises.ACCEPTOR_MONOTONIC.predicate(*views(after, after)) is True


def test_what_a_snapshot_covers_is_not_forgotten() -> None:
    covered = {"snapshot": Snapshot(1, pack({}), pack({}))}

    assert promises.ACCEPTOR_MONOTONIC.predicate(*views({"log": ONE}, covered)) is True


def test_what_was_executed_stays_executed() -> None:
    assert "had executed 2" in str(
        promises.EXECUTED_MONOTONIC.predicate(*views({"executed": 2}, {"executed": 1}))
    )
