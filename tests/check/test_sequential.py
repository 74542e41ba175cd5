"""Sequential consistency: known verdicts, and an oracle that tries every order."""

from __future__ import annotations

from collections import Counter as Tally
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.sequential import check_sequential
from clusterlab.core.history import Operation
from clusterlab.core.node import Message
from clusterlab.core.spec import (
    Add,
    CompareAndSet,
    Counter,
    Dequeue,
    Enqueue,
    Get,
    KeyValue,
    Put,
    Queue,
    Read,
    Register,
    Spec,
    Write,
)
from tests.check.histories import explainable, legal, made_stale, op, precedes, recorded


def in_program_order(first: Operation, second: Operation) -> bool:
    """Whether `first` comes before `second` in the program of their client."""
    return first.client == second.client and precedes(first, second)


def valid(history: list[Operation], spec: Spec) -> bool | None:
    """The verdict, if the oracle agrees and the order is what it claims to be."""
    verdict = check_sequential(history, spec)
    assert verdict.valid is explainable(history, spec, in_program_order)
    if verdict.valid:
        assert legal(verdict.order, history, spec, in_program_order)
    else:
        assert verdict.misfit is not None
        part = [o for o in history if o in verdict.order]
        assert legal(verdict.order, part, spec, in_program_order)
    return verdict.valid


def test_a_stale_read_is_sequentially_consistent_unless_it_is_one_s_own_write() -> None:
    """Attiya & Welch 1994, section 1: time between different processes does not count."""
    stale = [op("p", Write(1), 0, 10), op("q", Read(), 20, 30, None)]
    assert valid(stale, Register())
    assert not check_linearizability(stale, Register())
    assert valid([stale[0], op("p", Read(), 20, 30, None)], Register()) is False


def test_dekker_each_key_alone_is_in_order_but_not_the_whole() -> None:
    """Lamport 1979, the protocol at the beginning: both enter their critical section."""
    history = [
        op("p", Put("a", 1), 0, 10),
        op("q", Put("b", 1), 0, 10),
        op("p", Get("b"), 20, 30, None),
        op("q", Get("a"), 20, 30, None),
    ]
    assert valid(history, KeyValue()) is False
    for key in "ab":
        assert valid([o for o in history if o.call.key == key], KeyValue())  # type: ignore[attr-defined]


class TwoQueues:
    """Queues under names; a queue is not to be judged without the other."""

    def initial(self) -> dict[str, tuple[Any, ...]]:
        return {}

    def apply(self, state: dict[str, Any], call: Message) -> tuple[dict[str, Any], Any]:
        name, what = call.value if isinstance(call, Enqueue) else (call.key, None)  # type: ignore[attr-defined]
        queue = state.get(name, ())
        if isinstance(call, Enqueue):
            return {**state, name: (*queue, what)}, None
        return ({**state, name: queue[1:]}, queue[0]) if queue else (state, None)

    def part(self, call: Message) -> None:
        return None

    def is_read(self, call: Message) -> bool:
        return False


def test_herlihy_and_wing_section_3_3_it_is_not_local() -> None:
    """Two queues, each sequentially consistent, and together not."""
    history = [
        op("A", Enqueue(("p", "x")), 0, 1),
        op("B", Enqueue(("q", "y")), 2, 3),
        op("A", Enqueue(("q", "x")), 4, 5),
        op("B", Enqueue(("p", "y")), 6, 7),
        op("A", Get("p"), 8, 9, "y"),
        op("B", Get("q"), 10, 11, "x"),
    ]
    assert valid(history, TwoQueues()) is False
    for queue, names in (("p", "AAB"), ("q", "BAB")):
        alone = [o for o in history if queue in (getattr(o.call, "key", None), *_name(o.call))]
        assert len(alone) == len(names)
        assert valid(alone, TwoQueues())


def _name(call: Message) -> tuple[str, ...]:
    return (call.value[0],) if isinstance(call, Enqueue) else ()


def test_readers_must_agree_on_the_order_of_writes() -> None:
    history = [
        op("a", Write(1), 0, 10),
        op("b", Write(2), 0, 10),
        *(op("c", Read(), 20, 30, 1), op("c", Read(), 40, 50, 2)),
        *(op("d", Read(), 20, 30, 2), op("d", Read(), 40, 50, 1)),
    ]
    assert valid(history, Register()) is False
    assert valid(history[:-1], Register())


def test_the_sentence_names_the_operation_and_what_it_would_return() -> None:
    history = [op("p", Put("x", 1), 0, 10), op("p", Get("x"), 20, 30, None)]
    verdict = check_sequential(history, KeyValue())
    assert str(verdict) == (
        "not sequentially consistent: no order of the operations keeps each client's own. "
        "The one that gets furthest is p Put(key='x', value=1); then "
        "p Get(key='x') -> ok None [20.0, 30.0] ms is next, but it would return 1."
    )
    assert (verdict.misfit, verdict.instead) == (history[1], 1)
    elsewhere = [*history, op("q", Put("y", 1), 0, 10)]
    assert check_sequential(elsewhere, KeyValue()).part == "x"


CALLS: dict[str, tuple[Spec, list[Message], list[Any]]] = {
    "register": (Register(), [Write(1), Write(2), Read(), Read()], [None, 1, 2]),
    "key-value": (
        KeyValue(),
        [*(Put("x", 1), Put("x", 2), Put("y", 1), Get("x"), Get("y")), CompareAndSet("x", 1, 3)],
        [None, 1, 2, 3, True, False],
    ),
    "counter": (Counter(), [Add(1), Add(2), Read()], [None, 0, 1, 2, 3]),
    "queue": (Queue(), [Enqueue(1), Enqueue(2), Dequeue(), Dequeue()], [None, 1, 2]),
}


@st.composite
def histories(draw: st.DrawFn, name: str) -> list[Operation]:
    """Up to seven operations of up to three clients, who mostly saw what one object would say."""
    spec, calls, answers = CALLS[name]
    state, history = spec.initial(), []
    for number in range(draw(st.integers(1, 7))):
        call = draw(st.sampled_from(calls))
        outcome = draw(st.sampled_from(("ok",) * 6 + ("info", "fail")))
        value = None
        if outcome == "ok":
            state, value = spec.apply(state, call)
            if draw(st.integers(0, 5)) == 0:
                value = draw(st.sampled_from(answers))
        client = draw(st.sampled_from("pqr"))
        # Where clients take turns, what each of them did is all that counts.
        begins = number * 10 + draw(st.sampled_from((0, -15)))
        history.append(op(client, call, begins, number * 10 + 5, value, outcome))  # type: ignore[arg-type]
    order = draw(st.permutations(range(len(history))))
    moved = draw(st.booleans())  # as if the clocks of the clients were not one
    return [
        op(o.client, o.call, 10 * i, 10 * i + 5, o.value, o.outcome) if moved else o
        for i, o in ((order[k], o) for k, o in enumerate(history))
    ]


def test_it_agrees_with_an_oracle_that_tries_every_order() -> None:
    tally: Tally[bool | None] = Tally()
    weaker = 0

    @settings(max_examples=400)
    @given(st.sampled_from(list(CALLS)).flatmap(lambda n: st.tuples(st.just(n), histories(n))))
    def agree(drawn: tuple[str, list[Operation]]) -> None:
        nonlocal weaker
        name, history = drawn
        spec = CALLS[name][0]
        verdict = valid(history, spec)
        tally[verdict] += 1
        linearizable = check_linearizability(history, spec).valid
        assert verdict or not linearizable
        weaker += bool(verdict and not linearizable)

    agree()
    assert min(tally[True], tally[False]) > sum(tally.values()) / 20, tally
    assert weaker, "no history was sequentially consistent and not linearizable"


def test_long_histories_are_judged() -> None:
    history = recorded(1, operations=400, clients=8, keys=3)
    assert check_sequential(history, KeyValue())
    stale = made_stale(history, 0.7)
    assert not check_linearizability(stale, KeyValue())
    verdict = check_sequential(stale, KeyValue())
    assert verdict.valid is not None, str(verdict)
    assert verdict.states < 50_000


def test_a_search_that_reaches_its_limit_says_so() -> None:
    history = made_stale(recorded(1, operations=400, clients=8, keys=3), 0.7)
    verdict = check_sequential(history, KeyValue(), states_max=10)
    assert verdict.valid is None
    assert "needs more than 10 states to be remembered" in str(verdict)
