"""Equal states in which sets and dicts come in another order, and what is mutable in a state."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Self, TypeAlias

from clusterlab.core.node import Message, Node
from clusterlab.core.values import MUTABLE, sort_key

Order: TypeAlias = Callable[[list[Any]], list[Any]]


def ascending(items: list[Any]) -> list[Any]:
    """In the order of `sort_key`."""
    return sorted(items, key=sort_key)


def descending(items: list[Any]) -> list[Any]:
    """The other way round."""
    return ascending(items)[::-1]


def rotated(items: list[Any]) -> list[Any]:
    """From the middle on, then the beginning."""
    items = ascending(items)
    return items[len(items) // 2 :] + items[: len(items) // 2]


class _Ordered:
    """What ordered sets share: whatever is made of one is ordered in the same way."""

    order: Order

    def __iter__(self) -> Iterator[Any]:
        return iter(self.order(list(super().__iter__())))  # type: ignore[misc]

    def _like(self, items: Iterable[Any]) -> Any:
        return type(self)(items, self.order)  # type: ignore[call-arg]


class OrderedSet(_Ordered, set[Any]):
    """A set that is gone through in an order of our choice."""

    def __init__(self, items: Iterable[Any], order: Order) -> None:
        super().__init__(items)
        self.order = order

    def pop(self) -> Any:
        """Take the first out."""
        first = next(iter(self))
        self.remove(first)
        return first


class OrderedFrozenSet(_Ordered, frozenset[Any]):
    """A frozenset that is gone through in an order of our choice."""

    def __new__(cls, items: Iterable[Any], order: Order) -> Self:
        """As OrderedSet."""
        new = super().__new__(cls, items)
        new.order = order
        return new


def _keeping_order(plain: type, name: str) -> Callable[..., Any]:
    method = getattr(plain, name)

    def ordered(self: _Ordered, *others: Any) -> Any:
        made = method(self, *others)
        return made if made is NotImplemented else self._like(made)

    ordered.__name__ = name
    return ordered


for _name in (
    *("__or__", "__and__", "__sub__", "__xor__", "__ror__", "__rand__", "__rsub__", "__rxor__"),
    *("union", "intersection", "difference", "symmetric_difference", "copy"),
):
    setattr(OrderedSet, _name, _keeping_order(set, _name))
    setattr(OrderedFrozenSet, _name, _keeping_order(frozenset, _name))


def rebuilt(
    value: Any,
    make_set: Callable[[Iterable[Any]], Any],
    make_frozenset: Callable[[Iterable[Any]], Any],
    make_dict: Callable[[dict[Any, Any]], Any],
) -> Any:
    """The value made anew from the inside, its sets and dicts by these functions."""

    def again(inner: Any) -> Any:
        return rebuilt(inner, make_set, make_frozenset, make_dict)

    if isinstance(value, dict):
        return make_dict({again(k): again(v) for k, v in value.items()})
    if isinstance(value, set):
        return make_set(map(again, value))
    if isinstance(value, frozenset):
        return make_frozenset(map(again, value))
    if isinstance(value, list):
        return [again(inner) for inner in value]
    if isinstance(value, tuple):
        items = map(again, value)
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, Message) and type(value).__dataclass_fields__:  # type: ignore[attr-defined]
        names = (field.name for field in dataclasses.fields(value))  # type: ignore[arg-type]
        return dataclasses.replace(value, **{name: again(getattr(value, name)) for name in names})  # type: ignore[type-var]
    return value


def reordered(value: Any, order: Order, *, sets: bool, dicts: bool) -> Any:
    """An equal value that shares nothing mutable, with its sets or dicts in another order."""
    make_set: Any = partial(OrderedSet, order=order) if sets else set
    make_frozenset: Any = partial(OrderedFrozenSet, order=order) if sets else frozenset
    return rebuilt(value, make_set, make_frozenset, partial(_in_order, order) if dicts else dict)


def _in_order(order: Order, items: dict[Any, Any]) -> dict[Any, Any]:
    return {key: items[key] for key in order(list(items))}


def plain(value: Any) -> Any:
    """The value with ordinary sets again."""
    return rebuilt(value, set, frozenset, dict)


def shuffled(node: Node, order: Order, *, sets: bool = False, dicts: bool = False) -> Node:
    """A copy of the node that equals it, with the sets or dicts of its fields in another order."""
    new = node.copy()
    for name in (*node._durable, *node._volatile, *node._config):
        new.__dict__[name] = reordered(node.__dict__[name], order, sets=sets, dicts=dicts)
    return new


def plainly(node: Node) -> Node:
    """Make the node's sets ordinary again, in place."""
    for name in (*node._durable, *node._volatile, *node._config):
        node.__dict__[name] = plain(node.__dict__[name])
    return node


def containers(value: Any) -> Iterator[Any]:
    """The dicts, lists and sets in a value, itself included."""
    if type(value) in MUTABLE:
        yield value
    if isinstance(value, dict):
        for item in value.items():
            yield from containers(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            yield from containers(inner)
    elif isinstance(value, Message):
        yield from containers(tuple(vars(value).values()))


def mutable_inside(value: Any) -> Any:
    """Something mutable inside a tuple or a message, where copies of a node do not reach it."""
    if isinstance(value, (tuple, Message)):
        return next(containers(value), None) or no_value(value)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, set)):
        return next((found for inner in value if (found := mutable_inside(inner))), None)
    return None


def no_value(value: Any) -> Any:
    """An object that can change though it has a hash, such as an instance of a plain class."""
    if isinstance(value, dict):
        value = (*value, *value.values())
    elif isinstance(value, Message):
        value = tuple(vars(value).values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return next((found for v in value if (found := no_value(v)) is not None), None)
    plain_class = getattr(type(value), "__hash__", None) is object.__hash__ and not callable(value)
    has_fields = isinstance(getattr(value, "__dict__", None), dict)
    return value if plain_class and has_fields else None
