"""How stale a read is: known cases, and an oracle that tries every moment of every operation."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.staleness import check_staleness
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Operation
from clusterlab.core.spec import Get, Put, Read, Register, Write
from tests.check.histories import made_stale, op, precedes, recorded


def test_a_follower_that_lags_is_within_its_bound_or_not() -> None:
    writes = [op("a", Put("x", i), 10 * i, 10 * i + 5) for i in range(1, 5)]
    late = op("b", Get("x"), 60, 61, 2)
    verdict = check_staleness([*writes, late], ms=25)
    assert verdict.figures == {"reads": 1, "stale": 1, "stalest_ms": 25.0, "most_versions": 2}
    assert verdict.valid
    assert check_staleness([*writes, late], versions=2).valid
    broken = check_staleness([*writes, late], ms=24, versions=1)
    assert broken.explain() == (
        "bounded staleness broken: b Get(key='x') -> ok 2 [60.0, 61.0] ms returned what a "
        "Put(key='x', value=3) had overwritten 25.0 ms before; it is 2 versions behind, and the "
        "bound is 1 version and 24 ms."
    )
    assert broken.breaches[0].operations == (*writes[2:], late)


def test_overlapping_and_unknown_writes_get_the_benefit_of_the_doubt() -> None:
    first, second = op("a", Write(1), 0, 100), op("b", Write(2), 50, 60)
    assert check_staleness([first, second, op("c", Read(), 70, 71, 1)]).figures["stale"] == 0
    unknown = op("a", Write(1), 0, None, None, "info")
    assert check_staleness([unknown, second, op("c", Read(), 90, 91, 1)]).figures["stale"] == 0


def test_what_was_never_written_is_worse_than_stale() -> None:
    verdict = check_staleness([op("c", Read(), 0, 1, 9)], ms=1e9)
    assert verdict.valid is False
    assert "returned what nobody had begun to write" in str(verdict)
    with pytest.raises(ScenarioError, match="a bound is at least 0"):
        check_staleness([], ms=-1)
    assert check_staleness([]).valid is None


def test_a_linearizable_history_has_no_stale_read() -> None:
    assert check_staleness(recorded(1)).figures["stale"] == 0
    assert check_staleness(made_stale(recorded(1), 0.8)).valid is False


def least_stale(read: Operation, writes: list[Operation]) -> tuple[int, float] | None:
    """The oracle: the least that any order of the writes and moments of each allow."""
    best: tuple[int, float] | None = None
    for order in permutations([*writes, read]):
        if any(precedes(b, a) for i, a in enumerate(order) for b in order[i + 1 :]):
            continue
        before = list(order[: order.index(read)])
        values = [None, *(w.call.value for w in before)]  # type: ignore[attr-defined]
        for place, value in enumerate(values):
            if value != read.value:
                continue
            newer = before[place:]
            age = 0.0
            if newer:
                # It was overwritten at the latest when all that are newer could still follow.
                ends = [w.returned_ms for w in newer if w.returned_ms is not None]
                age = max(0.0, read.invoked_ms - min(ends)) if ends else 0.0
            found = (len(newer), age)
            best = found if best is None else (min(best[0], found[0]), min(best[1], found[1]))
    return best


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    operations = []
    for number in range(1, draw(st.integers(2, 5)) + 1):
        begin, length = draw(st.integers(0, 30)), draw(st.integers(1, 20))
        operations.append(op(f"w{number}", Write(number), begin, begin + length))
    begin = draw(st.integers(0, 60))
    value = draw(st.sampled_from([None, *range(1, len(operations) + 1)]))
    return [*operations, op("r", Read(), begin, begin + draw(st.integers(1, 9)), value)]


@settings(max_examples=150)
@given(histories())
def test_it_agrees_with_an_oracle_that_tries_every_order(history: list[Operation]) -> None:
    *writes, read = history
    least = least_stale(read, writes)
    verdict = check_staleness(history, ms=0, versions=0)
    if least is None:
        assert verdict.breaches[0].what == "a read of what cannot be"
        return
    assert (verdict.figures["most_versions"], verdict.figures["stalest_ms"]) == least
    if check_linearizability(history, Register()):
        assert verdict.valid
