"""Histories to judge, recorded from a store that is in order or spoiled, and an oracle for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from clusterlab.core.history import Operation, Outcome
from clusterlab.core.node import Message
from clusterlab.core.spec import CompareAndSet, Get, KeyValue, Put, Spec


def op(
    client: str,
    call: Message,
    invoked_ms: float,
    returned_ms: float | None,
    value: Any = None,
    outcome: Outcome = "ok",
) -> Operation:
    return Operation(client, call, invoked_ms, returned_ms, outcome, value)


def precedes(first: Operation, second: Operation) -> bool:
    """Whether `first` was over when `second` began, as the checker promises to read the times."""
    if first.outcome != "ok" or first.returned_ms is None:
        return False
    if first.returned_ms == second.invoked_ms:
        took_no_time = first.invoked_ms == second.invoked_ms == second.returned_ms
        return not (took_no_time and second.outcome == "ok")
    return first.returned_ms < second.invoked_ms


def legal(
    order: Sequence[Operation],
    history: Sequence[Operation],
    spec: Spec,
    precedes: Callable[[Operation, Operation], bool] = precedes,
) -> bool:
    """Whether `order` is a linearization of `history`: everything that a verdict claims of it."""
    if len({id(o) for o in order}) != len(order):
        return False
    if any(o.outcome == "fail" or not any(o is h for h in history) for o in order):
        return False
    if any(o.outcome == "ok" and not any(o is x for x in order) for o in history):
        return False
    if any(precedes(b, a) for i, a in enumerate(order) for b in order[i + 1 :]):
        return False
    state = spec.initial()
    for o in order:
        state, result = spec.apply(state, o.call)
        if o.outcome == "ok" and result != o.value:
            return False
    return True


def explainable(
    history: Sequence[Operation],
    spec: Spec,
    precedes: Callable[[Operation, Operation], bool] = precedes,
) -> bool:
    """The oracle: tries every order, of the whole history at once, and remembers nothing."""

    def search(left: tuple[Operation, ...], state: Any) -> bool:
        if not any(o.outcome == "ok" for o in left):
            return True
        for i, candidate in enumerate(left):
            rest = left[:i] + left[i + 1 :]
            if any(precedes(other, candidate) for other in rest):
                continue
            after, result = spec.apply(state, candidate.call)
            if candidate.outcome == "ok" and result != candidate.value:
                continue
            if search(rest, after):
                return True
        return False

    return search(tuple(o for o in history if o.outcome != "fail"), spec.initial())


def recorded(
    seed: int,
    *,
    operations: int = 2000,
    clients: int = 50,
    keys: int = 10,
    unknown: float = 0.0,
    values: int | None = None,
) -> list[Operation]:
    """What `clients` would see of a store that is in order, each busy with one operation at a time.

    Written values are all different, or drawn from so many `values`. The share `unknown` of the
    writes is never answered; half of these happen, some of them late.
    """
    random = Random(seed)
    spec = KeyValue()
    moments: list[tuple[float, int]] = []
    begun: list[list[Any]] = []
    free_ms = [random.random() * 10 for _ in range(clients)]
    for number in range(operations):
        client = min(range(clients), key=free_ms.__getitem__)
        invoked = free_ms[client]
        length = random.expovariate(1 / 10) + 0.1
        key = f"k{random.randrange(keys)}"
        value = number if values is None else random.randrange(values)
        call: Message = Put(key, value)
        kind = random.random()
        if kind < 0.5:
            call = Get(key)
        elif kind < 0.6:
            call = CompareAndSet(key, random.randrange(values or number + 1), value)
        answered = isinstance(call, Get) or random.random() >= unknown
        moment = invoked + length * random.random()
        if not answered:
            moment = invoked + random.choice((random.random() * 100, float("inf")))
        moments.append((moment, number))
        begun.append([f"c{client}", call, invoked, invoked + length if answered else None, None])
        free_ms[client] = invoked + length + random.random()
    state = spec.initial()
    for moment, number in sorted(moments):
        if moment < float("inf"):
            state, begun[number][4] = spec.apply(state, begun[number][1])
    return [
        op(client, call, invoked, returned, value)
        if returned is not None
        else op(client, call, invoked, None, None, "info")
        for client, call, invoked, returned, value in begun
    ]


def spoiled(history: Sequence[Operation], at: float) -> list[Operation]:
    """The same history, but one read, at about this share of it, returns what was never written."""
    reads = [i for i, o in enumerate(history) if isinstance(o.call, Get)]
    index = reads[int(at * len(reads))]
    changed = list(history)
    changed[index] = dataclasses.replace(history[index], value="never written")
    return changed


def made_stale(history: Sequence[Operation], at: float) -> list[Operation]:
    """The same history, but one read returns what an earlier read of that key had returned.

    The one before last that ended before this one began, and whose value was overwritten since:
    both the value and the operations around it are as they should be.
    """
    reads = [o for o in history if isinstance(o.call, Get)]
    for late in reads[int(at * len(reads)) :]:
        before = [
            o
            for o in reads
            if o.call == late.call and precedes(o, late) and o.value not in (None, late.value)
        ]
        if len({o.value for o in before}) >= 4:
            changed = list(history)
            changed[history.index(late)] = dataclasses.replace(late, value=before[0].value)
            return changed
    raise AssertionError("this history has no read that could be made stale")
