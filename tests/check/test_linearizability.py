"""Histories with known verdicts: what is and what is not one object in one place."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clusterlab.check.linearizability import MOVES, check_linearizability
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import History, Invoked, Operation, Returned
from clusterlab.core.node import WORLD, Message
from clusterlab.core.spec import (
    Acquire,
    Add,
    CompareAndSet,
    Counter,
    Dequeue,
    Enqueue,
    Get,
    KeyValue,
    Lock,
    Put,
    Queue,
    Read,
    Register,
    Release,
    Spec,
    Write,
)
from clusterlab.core.trace import Trace
from tests.check.histories import explainable, legal, made_stale, op, recorded, spoiled

ROOT = Path(__file__).parent.parent.parent


def valid(history: list[Operation], spec: Spec) -> bool | None:
    """The verdict, after a look at what it claims and at what the oracle says."""
    verdict = check_linearizability(history, spec)
    if verdict.valid:
        assert legal(verdict.order, history, spec)
    if len(history) <= 8:
        assert verdict.valid is explainable(history, spec)
    return verdict.valid


# ---- histories from the papers -------------------------------------------------------------------


def test_herlihy_and_wing_figure_1_a_queue() -> None:
    """After figure 1 of Herlihy & Wing 1990: H1 and H3 are linearizable, H2 and H4 are not."""
    h1 = [
        op("A", Enqueue("x"), 0, 10),
        op("B", Enqueue("y"), 5, 15),
        op("B", Dequeue(), 20, 30, "x"),
        op("A", Dequeue(), 25, 35, "y"),
        op("A", Enqueue("z"), 40, 50),
    ]
    assert valid(h1, Queue())
    h2 = [
        op("A", Enqueue("x"), 0, 10),
        op("B", Enqueue("y"), 20, 30),
        op("A", Dequeue(), 40, 50, "y"),
    ]
    assert valid(h2, Queue()) is False
    h3 = [op("A", Enqueue("x"), 0, 30), op("B", Dequeue(), 10, 20, "x")]
    assert valid(h3, Queue())
    h4 = [
        op("A", Enqueue("x"), 0, 10),
        op("B", Enqueue("y"), 0, 10),
        op("A", Dequeue(), 20, 30, "y"),
        op("C", Dequeue(), 40, 50, "y"),
    ]
    assert valid(h4, Queue()) is False


def test_herlihy_and_wing_figure_2_a_register() -> None:
    """After figure 2 of Herlihy & Wing 1990: writes that overlap take effect in some order."""
    overlapping = [
        op("A", Write(0), 0, 10),
        op("A", Write(1), 20, 60),
        op("B", Read(), 30, 40, 1),
        op("C", Write(0), 45, 80),
        op("B", Read(), 50, 70, 0),
    ]
    assert valid(overlapping, Register())
    back_and_forth = [
        op("A", Write(0), 0, 10),
        op("A", Write(1), 20, 60),
        op("B", Read(), 30, 40, 1),
        op("B", Read(), 45, 50, 0),
        op("A", Read(), 65, 70, 1),
    ]
    assert valid(back_and_forth, Register()) is False


def test_two_clients_that_both_miss_the_write_of_the_other() -> None:
    """Each key could be explained if time did not count; Dekker's lock breaks on such memory."""
    history = [
        op("A", Put("p", "A"), 0, 10),
        op("B", Put("q", "B"), 0, 10),
        op("A", Get("q"), 20, 30, None),
        op("B", Get("p"), 20, 30, None),
    ]
    assert valid(history, KeyValue()) is False
    verdict = check_linearizability(history, KeyValue())
    assert (verdict.part, verdict.parts) == ("p", 2)


# ---- known anomalies -----------------------------------------------------------------------------


def test_a_stale_read() -> None:
    history = [
        op("c1", Put("x", 1), 0, 10),
        op("c1", Put("x", 2), 20, 30),
        op("c2", Get("x"), 40, 50, 1),
    ]
    assert valid(history, KeyValue()) is False
    assert valid([*history[:2], op("c2", Get("x"), 25, 50, 1)], KeyValue()), "overlaps the write"


def test_a_lost_update() -> None:
    read = [
        op("c1", CompareAndSet("x", None, 1), 0, 10, True),
        op("c2", CompareAndSet("x", None, 2), 5, 15, True),
    ]
    assert valid(read, KeyValue()) is False
    assert valid([read[0], dataclasses.replace(read[1], value=False)], KeyValue())
    counted = [
        op("c1", Add(1), 0, 10),
        op("c2", Add(1), 0, 10),
        op("c3", Read(), 20, 30, 1),
    ]
    assert valid(counted, Counter()) is False
    assert valid([*counted[:2], op("c3", Read(), 5, 30, 1)], Counter())


def test_a_read_that_is_not_repeatable() -> None:
    history = [
        op("c1", Put("x", 1), 0, 100),
        op("c2", Get("x"), 10, 20, 1),
        op("c2", Get("x"), 30, 40, None),
    ]
    assert valid(history, KeyValue()) is False
    history[1:] = [op("c2", Get("x"), 10, 20, None), op("c2", Get("x"), 30, 40, 1)]
    assert valid(history, KeyValue())


def test_two_readers_that_see_two_writes_in_two_orders() -> None:
    history = [
        op("c1", Put("x", 1), 0, 100),
        op("c2", Put("x", 2), 0, 100),
        op("c3", Get("x"), 10, 20, 1),
        op("c3", Get("x"), 30, 40, 2),
        op("c4", Get("x"), 10, 20, 2),
        op("c4", Get("x"), 30, 40, 1),
    ]
    assert valid(history, KeyValue()) is False
    assert valid(history[:5], KeyValue())


def test_a_value_out_of_thin_air() -> None:
    assert valid([op("c1", Get("x"), 0, 10, 42)], KeyValue()) is False


def test_a_lock_with_two_owners() -> None:
    history = [
        op("c1", Acquire("c1"), 0, 10, True),
        op("c2", Acquire("c2"), 20, 30, True),
        op("c1", Release("c1"), 25, 40, True),
    ]
    assert valid(history, Lock())
    history[2] = op("c1", Release("c1"), 35, 40, True)
    assert valid(history, Lock()) is False


def test_an_element_that_is_dequeued_twice() -> None:
    history = [
        op("c1", Enqueue("job"), 0, 10),
        op("c2", Dequeue(), 20, 30, "job"),
        op("c3", Dequeue(), 20, 30, "job"),
    ]
    assert valid(history, Queue()) is False
    history[2] = op("c3", Dequeue(), 20, 30, None)
    assert valid(history, Queue())


# ---- ok, fail, info ------------------------------------------------------------------------------


def test_a_write_of_unknown_outcome_may_appear_late_or_never() -> None:
    lost = op("c1", Put("x", 1), 0, None, None, "info")
    first = op("c2", Put("x", 0), 0, 5)
    never = [first, lost, op("c2", Get("x"), 10, 20, 0), op("c2", Get("x"), 30, 40, 0)]
    assert valid(never, KeyValue())
    late = [first, lost, op("c2", Get("x"), 10, 20, 0), op("c2", Get("x"), 1000, 1010, 1)]
    assert valid(late, KeyValue())
    back = [*late, op("c2", Get("x"), 1020, 1030, 0)]
    assert valid(back, KeyValue()) is False


def test_a_write_of_unknown_outcome_may_appear_after_later_operations_of_its_client() -> None:
    history = [
        op("c1", Put("x", 1), 0, 10, None, "info"),
        op("c1", Put("x", 2), 20, 30),
        op("c1", Get("x"), 40, 50, 2),
        op("c1", Get("x"), 60, 70, 1),
    ]
    assert valid(history, KeyValue())
    history[0] = op("c1", Put("x", 1), 0, 10)
    assert valid(history, KeyValue()) is False


def test_a_write_of_unknown_outcome_does_not_appear_before_it_was_begun() -> None:
    history = [
        op("c2", Get("x"), 0, 10, 1),
        op("c1", Put("x", 1), 20, None, None, "info"),
    ]
    assert valid(history, KeyValue()) is False


def test_a_write_of_unknown_outcome_appears_once() -> None:
    history = [
        op("c1", CompareAndSet("x", 0, 1), 0, None, None, "info"),
        op("c2", Put("x", 0), 0, 5),
        op("c2", Get("x"), 10, 20, 1),
        op("c2", Put("x", 0), 30, 40),
        op("c2", Get("x"), 50, 60, 1),
    ]
    assert valid(history, KeyValue()) is False
    twice = op("c3", CompareAndSet("x", 0, 1), 0, None, None, "info")
    assert valid([*history, twice], KeyValue()), "two equal ones may appear once each"


def test_a_write_that_failed_did_not_happen() -> None:
    history = [
        op("c1", Put("x", 1), 0, 10, "no leader", "fail"),
        op("c2", Get("x"), 20, 30, 1),
    ]
    assert valid(history, KeyValue()) is False
    assert valid([history[0], op("c2", Get("x"), 20, 30, None)], KeyValue())


def test_reads_of_unknown_outcome_say_nothing() -> None:
    history = [op(f"c{i}", Get("x"), i, None, None, "info") for i in range(50)]
    verdict = check_linearizability([*history, op("d", Put("x", 1), 0, 9)], KeyValue())
    assert (verdict.valid, verdict.judged) == (True, 1)


def test_the_order_tells_which_of_unknown_outcome_happened() -> None:
    seen = op("c1", Put("x", 1), 0, None, None, "info")
    unseen = op("c2", Put("x", 2), 0, None, None, "info")
    read = op("c3", Get("x"), 10, 20, 1)
    verdict = check_linearizability([unseen, seen, read], KeyValue())
    assert verdict.order == (seen, read)
    assert verdict.explain() == (
        "linearizable: 1 operation has a legal order; "
        "of 2 with unknown outcome, 1 took effect in it."
    )


# ---- time ----------------------------------------------------------------------------------------


def test_an_operation_that_returned_when_another_was_invoked_was_first() -> None:
    history = [op("c1", Put("x", 1), 0, 10), op("c2", Get("x"), 10, 20, None)]
    assert valid(history, KeyValue()) is False
    history[1] = op("c2", Get("x"), 9.999, 20, None)
    assert valid(history, KeyValue())


def test_operations_that_took_no_time_at_the_same_time_have_no_order() -> None:
    history = [op("c1", Put("x", 1), 10, 10), op("c2", Get("x"), 10, 10, None)]
    assert valid(history, KeyValue())
    assert valid(list(reversed(history)), KeyValue())
    after = op("c3", Get("x"), 10, 20, None)
    assert valid([history[0], after], KeyValue()) is False


def test_what_a_trace_numbers_is_ordered_by_its_numbers() -> None:
    def at(seq: int, returned_seq: int, call: Message, value: object = None) -> Operation:
        return Operation("c", call, 10.0, 10.0, "ok", value, seq, returned_seq)

    overlapping = [at(1, 3, Put("x", 1)), at(2, 4, Get("x"))]
    assert check_linearizability(overlapping, KeyValue()).valid
    one_after_the_other = [at(1, 2, Put("x", 1)), at(3, 4, Get("x"))]
    assert check_linearizability(one_after_the_other, KeyValue()).valid is False


def test_the_history_may_stand_in_any_order() -> None:
    history = recorded(3, operations=60, clients=5, keys=2)
    assert valid(list(reversed(history)), KeyValue())
    assert valid(list(reversed(spoiled(history, 0.5))), KeyValue()) is False


def test_the_history_of_a_trace_is_judged() -> None:
    trace = Trace(engine="sim")

    def say(client: str, at_ms: float, said: Message) -> None:
        kind = "invoke" if isinstance(said, Invoked) else "return"
        data = {name: getattr(said, name) for name in said.__dataclass_fields__}
        trace.append(at_ms, client, kind, data)

    say("c1", 0, Invoked(Put("x", 1)))
    say("c1", 10, Returned("ok"))
    say("c2", 10, Invoked(Get("x")))
    say("c2", 10, Returned("ok", None))
    history = History.of(trace)
    verdict = check_linearizability(history, KeyValue())
    assert verdict.valid is False
    assert verdict.misfit == history.operations[1]
    assert WORLD not in verdict.explain()


# ---- what the verdict tells ----------------------------------------------------------------------


def test_a_verdict_is_true_only_if_valid() -> None:
    assert check_linearizability([op("c1", Get("x"), 0, 1, None)], KeyValue())
    assert not check_linearizability([op("c1", Get("x"), 0, 1, 5)], KeyValue())
    hard = recorded(0, operations=400, clients=40, keys=1)
    assert not check_linearizability(spoiled(hard, 0.9), KeyValue(), states_max=100)


def test_a_failure_shows_the_longest_legal_order_and_what_fits_nowhere() -> None:
    one, two = op("c1", Put("x", 1), 0, 10), op("c1", Put("x", 2), 20, 30)
    stale, later = op("c2", Get("x"), 40, 50, 1), op("c2", Get("x"), 60, 70, 2)
    other = op("c3", Put("y", 1), 0, 100)
    verdict = check_linearizability([one, two, stale, later, other], KeyValue())
    assert verdict.valid is False
    assert verdict.order == (one, two)
    assert verdict.misfit == stale
    assert (verdict.part, verdict.instead) == ("x", 2)
    assert (
        str(verdict)
        == verdict.explain()
        == (
            "not linearizable at 'x': c2 Get(key='x') -> ok 1 [40.0, 50.0] ms fits nowhere. "
            "The order that gets furthest is c1 Put(key='x', value=1), c1 Put(key='x', value=2); "
            "after it, Get(key='x') returns 2."
        )
    )


def test_a_failure_at_the_first_operation_says_so() -> None:
    verdict = check_linearizability([op("c1", Read(), 0, 5, 7)], Register())
    assert verdict.order == ()
    assert verdict.explain() == (
        "not linearizable: c1 Read() -> ok 7 [0.0, 5.0] ms fits nowhere. "
        "Before anything else, Read() returns None."
    )


def test_the_sentence_about_a_long_order_is_short() -> None:
    history = spoiled(recorded(1, operations=300, clients=3, keys=1), 0.9)
    verdict = check_linearizability(history, KeyValue())
    assert verdict.valid is False
    assert f"explains {len(verdict.order)} operations and ends in " in verdict.explain()
    assert len(verdict.explain()) < 600


@pytest.mark.parametrize("seed", range(10))
def test_what_a_failure_claims_is_so(seed: int) -> None:
    history = spoiled(recorded(seed, operations=200, clients=8, keys=3, unknown=0.1), 0.5)
    verdict = check_linearizability(history, KeyValue())
    assert verdict.valid is False
    assert verdict.misfit is not None
    assert verdict.misfit.value == "never written"
    part = [o for o in history if o.call.key == verdict.part]  # type: ignore[attr-defined]
    explained = [o for o in part if any(o is x for x in verdict.order)]
    assert legal(verdict.order, explained, KeyValue())
    returned_ms = verdict.misfit.returned_ms
    assert returned_ms is not None
    for o in part:
        if o.outcome == "ok" and o.returned_ms is not None and o.returned_ms < returned_ms:
            assert any(o is x for x in verdict.order), "an earlier return was left unexplained"


def test_the_misfit_does_not_depend_on_the_order_of_the_history() -> None:
    history = made_stale(recorded(5, operations=300, clients=10, keys=2), 0.5)
    misfits = {
        check_linearizability(h, KeyValue()).misfit for h in (history, list(reversed(history)))
    }
    assert len(misfits) == 1
    assert misfits != {None}


def test_the_order_of_all_parts_together_is_legal() -> None:
    history = recorded(2, operations=400, clients=20, keys=8, unknown=0.05)
    verdict = check_linearizability(history, KeyValue())
    assert verdict.valid
    assert verdict.parts == 8
    assert legal(verdict.order, history, KeyValue())


def test_nothing_to_judge_is_told() -> None:
    nothing = check_linearizability([], KeyValue())
    assert nothing.valid
    assert nothing.explain() == (
        "linearizable, but for nothing: no operation returned ok, so nothing was judged."
    )
    unanswered = [op("c1", Put("x", 1), 0, None, None, "info")]
    assert "for nothing" in check_linearizability(unanswered, KeyValue()).explain()


def test_a_long_history_of_one_object_needs_no_recursion() -> None:
    history = [op("c1", Add(), 10 * i, 10 * i + 5) for i in range(20_000)]
    history.append(op("c1", Read(), 300_000, 300_001, 20_000))
    verdict = check_linearizability(history, Counter())
    assert verdict.valid
    assert len(verdict.order) == 20_001


# ---- limits --------------------------------------------------------------------------------------


def test_a_search_that_reaches_its_limit_says_so() -> None:
    history = spoiled(recorded(0, operations=400, clients=40, keys=1), 0.9)
    verdict = check_linearizability(history, KeyValue(), states_max=5_000)
    assert verdict.valid is None
    assert verdict.part == "k0"
    assert verdict.order == ()
    assert verdict.states <= 5_000 + MOVES
    assert verdict.explain().startswith("unknown: 'k0' (400 operations, up to ")
    assert "needs more than 5,000 states to be remembered. Give a larger states_max, or " in str(
        verdict
    )


def test_a_part_that_is_plainly_wrong_ends_the_search_however_hard_another_is() -> None:
    hard = spoiled(recorded(0, operations=400, clients=40, keys=1), 0.9)
    wrong = [
        op("z1", Put("z", 1), 0, 1),
        op("z1", Get("z"), 2, 3, 2),
    ]
    for history in ([*hard, *wrong], [*wrong, *hard]):
        verdict = check_linearizability(history, KeyValue())
        assert (verdict.valid, verdict.part) == (False, "z")
        assert verdict.states < 10_000


def test_a_part_that_is_given_up_leaves_its_room_to_the_others() -> None:
    wrong = spoiled(recorded(2, operations=100, clients=14, keys=1), 0.9)
    both = wrong + [
        dataclasses.replace(o, call=dataclasses.replace(o.call, key="z"))  # type: ignore[call-arg]
        for o in wrong
    ]
    alone = check_linearizability(wrong, KeyValue())
    assert alone.valid is False
    assert alone.states > 5 * MOVES
    too_little = check_linearizability(both, KeyValue(), states_max=alone.states // 2)
    assert (too_little.valid, too_little.part) == (None, "k0")
    assert "'k0' and 1 more part (" in too_little.explain()
    for_one = check_linearizability(both, KeyValue(), states_max=alone.states * 3 // 2)
    assert (for_one.valid, for_one.part) == (False, "z")


def test_a_limit_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ScenarioError, match="states_max=0 leaves no room"):
        check_linearizability([], KeyValue(), states_max=0)


def test_a_tiny_limit_is_kept() -> None:
    history = recorded(0, operations=50, clients=5, keys=5)
    verdict = check_linearizability(history, KeyValue(), states_max=3)
    assert verdict.valid is None
    assert "'k" in verdict.explain()
    assert "more parts" in verdict.explain()


class Weary(KeyValue):
    """Somebody presses Ctrl-C after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def apply(self, state: dict[str, Any], operation: Message) -> tuple[dict[str, Any], Any]:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().apply(state, operation)


@pytest.mark.parametrize("steps", [100, 150, 200])
def test_an_interrupt_ends_the_search_and_tells_how_far_it_came(steps: int) -> None:
    history = recorded(1, operations=200, clients=4, keys=2)
    verdict = check_linearizability(history, Weary(steps))
    assert (verdict.valid, verdict.interrupted) == (None, True)
    assert not verdict
    found = re.search(r"So far (\d) of 2 parts have .* explained up to (\d+) of", str(verdict))
    assert found is not None, str(verdict)
    assert int(found[1]) + int(found[2]) > 0


# ---- determinism ---------------------------------------------------------------------------------

TELL = """
from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.spec import KeyValue
from tests.check.histories import made_stale, recorded
for history in (recorded(1, unknown=0.1), made_stale(recorded(2, unknown=0.1), 0.5)):
    verdict = check_linearizability(history, KeyValue())
    print(verdict.valid, verdict.states, verdict, [str(o) for o in verdict.order])
"""


@pytest.mark.slow
def test_the_verdict_is_the_same_in_two_processes_with_two_hash_seeds() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", TELL],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert "True" in told[0]
    assert "not linearizable" in told[0]


# ---- errors --------------------------------------------------------------------------------------


def test_an_operation_that_the_object_does_not_have() -> None:
    with pytest.raises(ScenarioError, match=r"KeyValue\(\) cannot judge c1's Add\(amount=1\)"):
        check_linearizability([op("c1", Add(1), 0, 1)], KeyValue())


class Careless(Register):
    def part(self, operation: Message) -> str:
        return operation.key  # type: ignore[attr-defined, no-any-return]


def test_an_operation_that_belongs_to_no_part() -> None:
    with pytest.raises(ScenarioError, match=r"cannot say to which part Write\(value=1\) belongs"):
        check_linearizability([op("c1", Write(1), 0, 1)], Careless())


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        (op("c1", Read(), 5, 3), "returned before it was invoked"),
        (op("c1", Read(), 5, None), "is ok but never returned"),
        (op("c1", Read(), 5, 6, None, "maybe"), "has the outcome 'maybe'"),  # type: ignore[arg-type]
        ("read", "is made of operations, not of 'read'"),
    ],
)
def test_a_history_that_cannot_be(operation: Operation, sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        check_linearizability([operation], Register())


def test_values_that_cannot_be_hashed_are_judged_all_the_same() -> None:
    history = [
        op("c1", Write([1]), 0, 1),
        op("c1", Read(), 2, 3, [1]),
        op("c1", Write({"a": {1}}), 4, 5),
        op("c1", Read(), 6, 7, {"a": {1}}),
    ]
    assert valid(history, Register())
    assert valid([*history, op("c1", Read(), 8, 9, [1])], Register()) is False


# ---- size ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("unknown", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("values", [None, 5])
def test_two_thousand_operations_of_fifty_clients_on_ten_keys(
    unknown: float, values: int | None
) -> None:
    history = recorded(7, operations=2000, clients=50, keys=10, unknown=unknown, values=values)
    verdict = check_linearizability(history, KeyValue())
    assert verdict.valid
    assert legal(verdict.order, history, KeyValue())
    for at in (0.3, 0.95):
        wrong = spoiled(history, at) if values else made_stale(history, at)
        assert check_linearizability(wrong, KeyValue()).valid is False
