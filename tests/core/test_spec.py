"""Sequential objects: what they return, and that they never change the state they were given."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from clusterlab.core.values import copy_value

SPECS: list[Spec] = [Register(), KeyValue(), Counter(), Queue(), Lock()]


def results(spec: Spec, *operations: Message) -> list[Any]:
    """What these operations return, one after the other."""
    state, returned = spec.initial(), []
    for operation in operations:
        before = copy_value(state)
        state, result = spec.apply(previous := state, operation)
        assert previous == before, f"{operation} changed the state that it was given"
        returned.append(result)
    return returned


def test_register() -> None:
    assert results(Register(), Read(), Write(1), Read(), Write(2), Read()) == [
        None,
        None,
        1,
        None,
        2,
    ]


def test_key_value() -> None:
    assert results(
        KeyValue(),
        Get("x"),
        Put("x", 1),
        Get("x"),
        CompareAndSet("x", 2, 3),
        CompareAndSet("x", 1, 3),
        Get("x"),
        Get("y"),
        CompareAndSet("y", None, 9),
        Get("y"),
    ) == [None, None, 1, False, True, 3, None, True, 9]


def test_counter() -> None:
    assert results(Counter(), Read(), Add(), Add(5), Read(), Add(-2), Read()) == [
        0,
        None,
        None,
        6,
        None,
        4,
    ]


def test_queue() -> None:
    assert results(
        Queue(), Dequeue(), Enqueue("a"), Enqueue("b"), Dequeue(), Dequeue(), Dequeue()
    ) == [None, None, None, "a", "b", None]


def test_lock() -> None:
    assert results(
        Lock(), Release("a"), Acquire("a"), Acquire("b"), Release("b"), Release("a"), Acquire("b")
    ) == [False, True, False, False, True, True]


@given(st.lists(st.one_of(st.integers(0, 9).map(Enqueue), st.just(Dequeue())), max_size=20))
def test_a_queue_is_what_python_takes_for_one(operations: list[Message]) -> None:
    model: deque[int] = deque()
    expected = []
    for operation in operations:
        if isinstance(operation, Enqueue):
            model.append(operation.value)
            expected.append(None)
        else:
            expected.append(model.popleft() if model else None)

    assert results(Queue(), *operations) == expected


keys = st.sampled_from(["x", "y"])
kv_operations = st.one_of(
    st.builds(Put, keys, st.integers(0, 2)),
    st.builds(Get, keys),
    st.builds(CompareAndSet, keys, st.none() | st.integers(0, 2), st.integers(0, 2)),
)


@given(st.lists(kv_operations, max_size=15))
def test_keys_never_affect_one_another(operations: list[Message]) -> None:
    """This is what lets a checker look at each key by itself."""
    spec = KeyValue()
    together = results(spec, *operations)

    for key in ("x", "y"):
        alone = [op for op in operations if spec.part(op) == key]
        assert results(spec, *alone) == [
            result for op, result in zip(operations, together, strict=True) if spec.part(op) == key
        ]


@pytest.mark.parametrize(
    ("spec", "read", "write"),
    [
        (Register(), Read(), Write(1)),
        (KeyValue(), Get("x"), Put("x", 1)),
        (KeyValue(), Get("x"), CompareAndSet("x", 1, 2)),
        (Counter(), Read(), Add()),
        (Queue(), None, Dequeue()),
        (Lock(), None, Acquire("a")),
    ],
)
def test_which_operations_only_read(spec: Spec, read: Message | None, write: Message) -> None:
    assert read is None or spec.is_read(read)
    assert not spec.is_read(write)


def test_a_read_that_was_defined_anew_is_still_a_read() -> None:
    class Get_(Message):  # noqa: N801 - stands for a second class of that name
        key: str

    Get_.__name__ = "Get"
    assert KeyValue().is_read(Get_("x"))


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_an_operation_that_it_does_not_know_is_an_error(spec: Spec) -> None:
    class Dance(Message):
        pass

    with pytest.raises(TypeError, match=r"\(\) has no operation Dance\(\)$"):
        spec.apply(spec.initial(), Dance())


def test_specs_are_values() -> None:
    assert KeyValue() == KeyValue() != Register()
    assert hash(KeyValue()) == hash(KeyValue())
    assert [repr(spec) for spec in SPECS] == [
        "Register()",
        "KeyValue()",
        "Counter()",
        "Queue()",
        "Lock()",
    ]


def test_objects_of_one_part_say_so() -> None:
    assert {Counter().part(Add()), Register().part(Write(1)), Queue().part(Dequeue())} == {None}
