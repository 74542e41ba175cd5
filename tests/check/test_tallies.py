"""Sets, ids and counters: the examples of Jepsen's own tests, and oracles that try everything."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.models import AddElement, GenerateId, ReadSet, RemoveElement, Set
from clusterlab.check.tallies import check_counter, check_ids, check_set
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Operation
from clusterlab.core.node import Message
from clusterlab.core.spec import Add, Counter, Put, Read
from tests.check.histories import op, precedes


def history(*events: tuple[Any, ...]) -> list[Operation]:
    """Events at 0, 1, 2 ... ms: (process, call) begins, (process, "ok"|"fail"|"info", value) ends.

    What has not ended at the end is of unknown outcome.
    """
    operations: list[Operation] = []
    pending: dict[Any, int] = {}
    for at_ms, (process, what, *rest) in enumerate(events):
        if isinstance(what, Message):
            pending[process] = len(operations)
            operations.append(op(str(process), what, at_ms, None, None, "info"))
        else:
            i = pending.pop(process)
            begun = operations[i]
            end_ms = None if what == "info" else at_ms
            operations[i] = op(begun.client, begun.call, begun.invoked_ms, end_ms, *rest, what)
    return operations


# ---- sets: set-full-test in jepsen/test/jepsen/checker_test.clj ----------------------------------

A, A_OK = (0, AddElement(0)), (0, "ok", None)
R, FOUND, MISSED = (1, ReadSet()), (1, "ok", frozenset({0})), (1, "ok", frozenset())


@pytest.mark.parametrize(
    ("events", "valid", "stable", "lost", "never_read"),
    [
        pytest.param([A, A_OK], None, 0, [], [0], id="never read"),
        pytest.param([A, R, MISSED], None, 0, [], [0], id="never confirmed, never read"),
        *(
            pytest.param(events, True, 1, [], [], id="successful read, concurrently or after")
            for events in (
                *([R, A, FOUND, A_OK], [R, A, A_OK, FOUND], [A, R, FOUND, A_OK]),
                *([A, R, A_OK, FOUND], [A, A_OK, R, FOUND]),
            )
        ),
        pytest.param([A, A_OK, R, MISSED], False, 0, [(0, 0.0)], [], id="absent read after"),
        *(
            pytest.param(events, None, 0, [], [0], id="absent read concurrently")
            for events in (
                *([R, A, MISSED, A_OK], [R, A, A_OK, MISSED]),
                *([A, R, MISSED, A_OK], [A, R, A_OK, MISSED]),
            )
        ),
    ],
)
def test_one_element(
    events: Any, valid: bool | None, stable: int, lost: Any, never_read: Any
) -> None:
    verdict = check_set(history(*events))
    assert verdict.valid is valid
    assert verdict.figures["attempts"] == 1
    assert verdict.figures["stable"] == stable
    assert verdict.figures["lost"] == lost
    assert verdict.figures["never_read"] == never_read
    assert verdict.figures["stale"] == []


def read(*elements: int) -> tuple[int, str, frozenset[int]]:
    return 2, "ok", frozenset(elements)


def test_written_present_and_missing() -> None:
    """We write 0 and 1 concurrently, read 1 before its add returns, then both, 0, nothing."""
    r2 = (2, ReadSet())
    verdict = check_set(
        history(
            *((0, AddElement(0)), (1, AddElement(1)), r2, read(1), (0, "ok", None)),
            *((1, "ok", None), r2, read(0, 1), r2, read(0), r2, read()),
        )
    )
    assert verdict.valid is False
    assert verdict.figures["lost"] == [(0, 4.0), (1, 3.0)]
    assert verdict.figures["stable"] == 0
    assert "0 was added by 0 at 4.0 ms, last seen by 2 at 8.0 ms, and is missing" in str(verdict)


def test_written_flickering_one_stable_one_lost() -> None:
    """1 is missed at 6 and is back at 7, 0 is missed from 7 on."""
    events = [
        *((0, AddElement(0)), (0, "ok", None), (1, AddElement(1)), (2, ReadSet()), read(1)),
        *((1, "ok", None), (2, ReadSet()), (3, ReadSet()), (3, "ok", frozenset({1})), read(0)),
    ]
    verdict = check_set(history(*events))
    assert verdict.figures["lost"] == [(0, 5.0)]
    assert verdict.figures["stale"] == [(1, 2.0)]
    assert verdict.figures["stale_ms_max"] == 2.0
    whats = [b.what for b in check_set(history(*events), stale_allowed=False).breaches]
    assert whats == ["lost elements", "stale elements"]


def test_elements_that_nobody_added_or_that_were_removed() -> None:
    verdict = check_set(history(R, FOUND))
    assert str(verdict) == "unexpected elements broken: 1 read 0, which nobody has added."
    removed = history(A, A_OK, (0, RemoveElement(0)), (0, "ok", None), R, MISSED)
    assert check_set(removed).valid is None
    with pytest.raises(ScenarioError, match="no operation of a set"):
        check_set([op("c", Put("x", 1), 0, 1)])


@st.composite
def set_histories(draw: st.DrawFn) -> list[Operation]:
    """Adds of different elements, and reads of any of those that were begun."""
    operations = []
    added: list[int] = []
    for number in range(draw(st.integers(1, 7))):
        begin = 4 * number - draw(st.integers(0, 8))
        end = 4 * number + draw(st.integers(0, 8))
        if draw(st.booleans()):
            added.append(number)
            operations.append(op(f"c{number}", AddElement(number), begin, end))
        else:
            seen = frozenset(x for x in added if draw(st.integers(0, 3)))
            operations.append(op(f"c{number}", ReadSet(), begin, end, seen))
    return operations


@settings(max_examples=200)
@given(set_histories())
def test_lost_and_stale_by_their_definition(operations: list[Operation]) -> None:
    """Every moment is tried: from which one on do all reads that begin later see the element?"""
    verdict = check_set(operations, stale_allowed=False)
    reads = [o for o in operations if isinstance(o.call, ReadSet)]
    lost, stale = set(), set()
    for add in operations:
        if not isinstance(add.call, AddElement):
            continue
        x = add.call.element
        knowing = [add, *(r for r in reads if x in r.value)]
        late = [r for r in reads if any(precedes(k, r) for k in knowing)]
        last = max((r.invoked_ms for r in reads), default=None)
        missing = [r for r in late if x not in r.value]
        newest = [r for r in reads if r.invoked_ms == last]
        if len(newest) != 1 or not missing:
            continue  # two reads that begin at once: either may count as the last
        (lost if x not in newest[0].value else stale).add(x)
    if len({o.invoked_ms for o in operations}) == len(operations):
        assert {e for e, _ in verdict.figures["lost"]} == lost
        assert {e for e, _ in verdict.figures["stale"]} == stale
    if check_linearizability(operations, Set()):
        assert not verdict.breaches


# ---- ids: unique-ids in jepsen.checker -----------------------------------------------------------


def test_ids_that_are_given_twice_are_named() -> None:
    ids = [op(f"c{i}", GenerateId(), i, i + 5, value) for i, value in enumerate((1, 2, 1, 3, 1))]
    verdict = check_ids([*ids, op("d", GenerateId(), 0, None, None, "info")])
    assert verdict.figures == {"attempts": 6, "acknowledged": 5, "duplicates": 1}
    assert str(verdict) == (
        "unique ids broken: 1 was given to c0 at 5.0 ms, to c2 at 7.0 ms and to c4 at 9.0 ms."
    )
    assert verdict.misfit == ids[4]
    assert check_ids(ids[1:4])
    assert check_ids([]).valid is None


@given(st.lists(st.integers(0, 6), max_size=7))
def test_ids_are_unique_if_no_two_are_equal(values: Sequence[int]) -> None:
    ids = [op("c", GenerateId(), i, i, value) for i, value in enumerate(values)]
    assert check_ids(ids).valid is (len(set(values)) == len(values) if values else None)


# ---- counters: counter-test in jepsen/test/jepsen/checker_test.clj -------------------------------


def test_the_examples_of_jepsen() -> None:
    assert check_counter([]).valid is None
    assert check_counter(history((0, Read()), (0, "ok", 0)))
    failed = history((0, Add(1)), (0, "fail", None), (0, Read()), (0, "ok", 0))
    assert check_counter(failed)
    assert check_counter(history((0, Read()), (0, "ok", 1))).valid is False
    interleaved = history(
        *((0, Read()), (1, Add(1)), (2, Read()), (3, Add(2)), (4, Read()), (5, Add(4))),
        *((6, Read()), (7, Add(8)), (8, Read()), (0, "ok", 6), (1, "ok", None), (2, "ok", 0)),
        *((3, "ok", None), (4, "ok", 3), (5, "ok", None), (6, "ok", 100), (7, "ok", None)),
        (8, "ok", 15),
    )
    verdict = check_counter(interleaved)
    assert [b.sentence for b in verdict.breaches] == [
        "6 read 100 at 6.0 ms, when the counter was at least 0 and at most 15."
    ]
    rolling = history(
        *((0, Read()), (1, Add(1)), (0, "ok", 0), (0, Read()), (1, "ok", None), (1, Add(2))),
        *((0, "ok", 3), (0, Read()), (1, "ok", None), (0, "ok", 5)),
    )
    verdict = check_counter(rolling)
    assert [b.sentence for b in verdict.breaches] == [
        "0 read 5 at 7.0 ms, when the counter was at least 1 and at most 3."
    ]


@st.composite
def counter_histories(draw: st.DrawFn) -> list[Operation]:
    operations = []
    for number in range(draw(st.integers(1, 6))):
        begin, length = draw(st.integers(0, 20)), draw(st.integers(1, 10))
        call = draw(st.sampled_from((Add(1), Add(3), Add(-2), Read())))
        outcome = draw(st.sampled_from(("ok", "ok", "ok", "info", "fail")))
        value = draw(st.integers(-4, 7)) if isinstance(call, Read) else None
        end = begin + length if outcome != "info" else None
        operations.append(op(f"c{number}", call, begin, end, value, outcome))
    return operations


@settings(max_examples=200)
@given(counter_histories())
def test_bounds_are_what_some_choice_of_adds_comes_to(operations: list[Operation]) -> None:
    verdict = check_counter(operations)
    wrong = []
    adds = [o for o in operations if isinstance(o.call, Add) and o.outcome != "fail"]
    for o in operations:
        if not isinstance(o.call, Read) or o.outcome != "ok":
            continue
        sums = []
        for chosen in product((False, True), repeat=len(adds)):
            fits = all(
                (yes or not precedes(add, o)) and not (yes and precedes(o, add))
                for add, yes in zip(adds, chosen, strict=True)
            )
            if fits:
                amounts = [a.call.amount for a, yes in zip(adds, chosen, strict=True) if yes]  # type: ignore[attr-defined]
                sums.append(sum(amounts))
        if not min(sums) <= o.value <= max(sums):
            wrong.append(o)
    assert [b.operations[0] for b in verdict.breaches] == sorted(
        wrong, key=lambda o: (o.invoked_ms, operations.index(o))
    )
    if check_linearizability(operations, Counter()):
        assert not verdict.breaches


def test_what_is_no_counter_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no operation of a counter"):
        check_counter([op("c", Put("x", 1), 0, 1)])
