"""Objects that only histories recorded elsewhere need, beside those of `core.spec`.

Their operations have long names, since a message's name is known to the whole process.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from clusterlab.core.node import Message
from clusterlab.core.spec import KeyValue


class AddElement(Message):
    """Put an element into a set; returns None."""

    element: Any


class RemoveElement(Message):
    """Take an element out of a set, if it is there; returns None."""

    element: Any


class ReadSet(Message):
    """Returns the elements of a set, as a frozenset."""


class GenerateId(Message):
    """Returns an id that nobody else was given."""


class AppendText(Message):
    """Append to the text under `key`; returns None."""

    key: str
    value: Any


class Set:
    """Elements without order: AddElement, RemoveElement, ReadSet.

    >>> state, _ = Set().apply(Set().initial(), AddElement(1))
    >>> Set().apply(state, ReadSet())
    (frozenset({1}), frozenset({1}))
    """

    def initial(self) -> frozenset[Any]:
        """Empty."""
        return frozenset()

    def apply(self, state: frozenset[Any], operation: Message) -> tuple[frozenset[Any], Any]:
        """Add, remove or read."""
        match operation:
            case AddElement(element=element):
                return state | {element}, None
            case RemoveElement(element=element):
                return state - {element}, None
            case ReadSet():
                return state, state
        raise TypeError(f"{self!r} has no operation {operation!r}")

    def part(self, operation: Message) -> Hashable:  # noqa: ARG002 - a read sees all elements
        """One part: the whole set."""
        return None

    def is_read(self, operation: Message) -> bool:
        """Whether it is a ReadSet."""
        return isinstance(operation, ReadSet)

    def __repr__(self) -> str:
        return "Set()"


class TextStore(KeyValue):
    """A KeyValue that can also append to a text.

    >>> TextStore().apply({"x": "a"}, AppendText("x", "b"))
    ({'x': 'ab'}, None)
    """

    def apply(self, state: dict[str, Any], operation: Message) -> tuple[dict[str, Any], Any]:
        """As KeyValue, or append; nothing is an empty text."""
        if isinstance(operation, AppendText):
            before = state.get(operation.key)
            return {**state, operation.key: f"{before or ''}{operation.value}"}, None
        return super().apply(state, operation)
