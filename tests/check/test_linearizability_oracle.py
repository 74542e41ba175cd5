"""The checker agrees with an oracle that tries every order, on ten thousand small histories."""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.history import Operation, Outcome
from clusterlab.core.node import Message
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
from tests.check.histories import explainable, legal, op

OBJECTS: dict[str, tuple[Spec, list[Message], list[Any]]] = {
    # the object, what one can ask of it, and what it could answer
    "register": (Register(), [Write(1), Write(2), Read(), Read()], [None, 1, 2]),
    "key-value": (
        KeyValue(),
        [
            *(Put("x", 1), Put("x", 2), Put("y", 1), Get("x"), Get("x"), Get("y")),
            *(CompareAndSet("x", 1, 2), CompareAndSet("x", None, 1), CompareAndSet("y", 1, 2)),
        ],
        [None, 1, 2, True, False],
    ),
    "counter": (Counter(), [Add(1), Add(1), Add(2), Read(), Read()], [None, 0, 1, 2, 3]),
    "queue": (Queue(), [Enqueue(1), Enqueue(2), Dequeue(), Dequeue()], [None, 1, 2]),
    "lock": (Lock(), [Acquire("a"), Acquire("b"), Release("a"), Release("b")], [True, False]),
}


class Draft(NamedTuple):
    """One operation before it is known what it returns; times are relative to its moment."""

    call: Message
    after_ms: int
    before_ms: int
    until_ms: int
    outcome: Outcome
    happens: bool
    returns: bool
    guess: Any


def histories(name: str) -> st.SearchStrategy[list[Operation]]:
    """Up to eight operations that overlap at will.

    Most are what the object would answer if each operation took effect at a moment of its own;
    in some of these histories an answer or two is a guess, and in some they all are.
    """
    spec, calls, answers = OBJECTS[name]
    parts: list[Sequence[Any]] = [
        calls,
        range(5),
        range(13),
        range(13),
        ("ok",) * 6 + ("info", "info", "fail"),
        (False, True),
        (False, True),
        answers,
    ]
    # One number for each operation: eight draws for each took four times as long.
    draft = st.integers(0, math.prod(map(len, parts)) - 1).map(partial(_draft, parts))
    drafts = st.lists(draft, min_size=1, max_size=8)
    return st.builds(partial(_answered, spec), drafts, st.sampled_from((0, 0, 1, 2, 8)))


def _draft(parts: list[Sequence[Any]], number: int) -> Draft:
    """The draft with this number: its digits choose its parts."""
    chosen = []
    for options in parts:
        number, digit = divmod(number, len(options))
        chosen.append(options[digit])
    return Draft(*chosen)


def _answered(spec: Spec, drafts: list[Draft], guesses: int) -> list[Operation]:
    state, moment, history = spec.initial(), 0, []
    for number, draft in enumerate(drafts):
        moment += draft.after_ms
        value = None
        if draft.outcome == "ok" or (draft.outcome == "info" and draft.happens):
            state, value = spec.apply(state, draft.call)
        if number >= len(drafts) - guesses:
            value = draft.guess
        ends = moment + draft.until_ms if draft.outcome != "info" or draft.returns else None
        begins = moment - draft.before_ms
        history.append(op(f"c{number}", draft.call, begins, ends, value, draft.outcome))
    return history


def check(history: Sequence[Operation], spec: Spec) -> bool:
    """The checker's verdict, if the oracle confirms it."""
    verdict = check_linearizability(history, spec)
    assert verdict.valid is explainable(history, spec)
    if verdict.valid:
        assert legal(verdict.order, history, spec)
    else:
        _check_misfit(verdict.order, verdict.misfit, history, spec)
    return verdict.valid is True


def _check_misfit(
    order: Sequence[Operation],
    misfit: Operation | None,
    history: Sequence[Operation],
    spec: Spec,
) -> None:
    """Without the misfit and all that returned later, its part can be explained: up to there."""
    assert misfit is not None
    assert misfit.returned_ms is not None
    assert misfit not in order
    part = [o for o in history if spec.part(o.call) == spec.part(misfit.call)]
    earlier = [
        o
        for o in part
        if o.outcome == "ok" and o.returned_ms is not None and o.returned_ms < misfit.returned_ms
    ]
    assert all(o in order for o in earlier)
    assert legal(order, [o for o in part if o in order], spec)


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTS)
def test_the_checker_agrees_with_the_oracle(name: str) -> None:
    tally: Tally[bool] = Tally()

    @settings(max_examples=2000)
    @given(histories(name))
    def agree(history: list[Operation]) -> None:
        tally[check(history, OBJECTS[name][0])] += 1

    agree()
    total = sum(tally.values())
    assert total >= 2000
    assert min(tally[True], tally[False]) > total / 10, f"the histories are one-sided: {tally}"
