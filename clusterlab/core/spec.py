"""Sequential objects: what an application does when nobody else is there.

A Spec is the replicated application (Raft applies its operations in log order) and the oracle
(the checker asks whether some order of the operations explains what the clients saw).
One object for both, so that what runs and what judges cannot drift apart.

`apply` is pure: it returns a new state and never changes the one that it was given.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

from clusterlab.core.node import Message


class Put(Message):
    """Write `value` under `key`; returns None."""

    key: str
    value: Any


class Get(Message):
    """Read `key`; returns its value, or None if it was never written."""

    key: str


class CompareAndSet(Message):
    """Write `new` under `key` if it holds `expected`; returns whether it did."""

    key: str
    expected: Any
    new: Any


class Write(Message):
    """Write the one register; returns None."""

    value: Any


class Read(Message):
    """Read the one register, or the counter."""


class Add(Message):
    """Add to a counter; returns None."""

    amount: int = 1


class Enqueue(Message):
    """Append to the queue; returns None."""

    value: Any


class Dequeue(Message):
    """Take the oldest value out of the queue; returns it, or None if the queue is empty."""


class Acquire(Message):
    """Take the lock for `owner`; returns whether it was free."""

    owner: str


class Release(Message):
    """Give the lock back; returns whether `owner` held it."""

    owner: str


class Spec(Protocol):
    """A sequential object."""

    def initial(self) -> Any:
        """The state before the first operation."""

    def apply(self, state: Any, operation: Message) -> tuple[Any, Any]:
        """The state after `operation`, and what it returns."""

    def part(self, operation: Message) -> Hashable:
        """Operations of different parts never affect one another; each part is judged by itself."""

    def is_read(self, operation: Message) -> bool:
        """Whether `operation` leaves every state as it is."""


class _Object:
    """What most specs share: one part, and the operations that only read."""

    reads: tuple[type[Message], ...] = (Read, Get)

    def part(self, operation: Message) -> Hashable:  # noqa: ARG002 - subclasses look at it
        """One part: the whole object."""
        return None

    def is_read(self, operation: Message) -> bool:
        """By the class of the operation; by name, since a notebook may have defined it anew."""
        return type(operation).__name__ in {cls.__name__ for cls in self.reads}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(type(self).__name__)


class Register(_Object):
    """One value: Write, Read."""

    def initial(self) -> Any:
        """None: never written."""
        return None

    def apply(self, state: Any, operation: Message) -> tuple[Any, Any]:
        """Write or read the value."""
        match operation:
            case Write(value=value):
                return value, None
            case Read():
                return state, state
        raise _unknown(self, operation)


class KeyValue(_Object):
    """Values under keys: Put, Get, CompareAndSet.

    >>> store = KeyValue()
    >>> state, result = store.apply(store.initial(), Put("x", 1))
    >>> store.apply(state, CompareAndSet("x", 1, 2))
    ({'x': 2}, True)
    """

    def initial(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def apply(self, state: dict[str, Any], operation: Message) -> tuple[dict[str, Any], Any]:
        """Put, get, or compare and set one key."""
        match operation:
            case Get(key=key):
                return state, state.get(key)
            case Put(key=key, value=value):
                return {**state, key: value}, None
            case CompareAndSet(key=key, expected=expected, new=new):
                if state.get(key) == expected:
                    return {**state, key: new}, True
                return state, False
        raise _unknown(self, operation)

    def part(self, operation: Message) -> Hashable:
        """The key: keys never affect one another."""
        return getattr(operation, "key", None)


class Counter(_Object):
    """A number: Add, Read."""

    def initial(self) -> int:
        """Zero."""
        return 0

    def apply(self, state: int, operation: Message) -> tuple[int, Any]:
        """Add to the number or read it."""
        match operation:
            case Add(amount=amount):
                return state + amount, None
            case Read():
                return state, state
        raise _unknown(self, operation)


class Queue(_Object):
    """First in, first out: Enqueue, Dequeue."""

    reads = ()

    def initial(self) -> tuple[Any, ...]:
        """Empty."""
        return ()

    def apply(self, state: tuple[Any, ...], operation: Message) -> tuple[tuple[Any, ...], Any]:
        """Append a value or take the oldest."""
        match operation:
            case Enqueue(value=value):
                return (*state, value), None
            case Dequeue():
                return (state[1:], state[0]) if state else (state, None)
        raise _unknown(self, operation)


class Lock(_Object):
    """One owner at a time: Acquire, Release."""

    reads = ()

    def initial(self) -> str | None:
        """Free."""
        return None

    def apply(self, state: str | None, operation: Message) -> tuple[str | None, bool]:
        """Take the lock or give it back; false if that is not possible now."""
        match operation:
            case Acquire(owner=owner):
                return (owner, True) if state is None else (state, False)
            case Release(owner=owner):
                return (None, True) if state == owner else (state, False)
        raise _unknown(self, operation)


def _unknown(spec: _Object, operation: Message) -> TypeError:
    return TypeError(f"{spec!r} has no operation {operation!r}")
