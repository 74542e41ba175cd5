"""State in a message: dicts, lists and sets as tuples, and back.

What is sent must be hashable (rule 2 of `node.py`), and the state of an application seldom is: a
replica that is sent a snapshot gets it packed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from clusterlab.core.values import sort_key


class Packed(NamedTuple):
    """A dict, list or set that nobody can change; a dict as its pairs."""

    kind: str
    items: tuple[Any, ...]


def pack(value: Any) -> Any:
    """A hashable copy; equal values have equal copies, in whatever order they were filled.

    >>> pack({"b": {1}, "a": 2})
    Packed(kind='dict', items=(('a', 2), ('b', Packed(kind='set', items=(1,)))))
    """
    if type(value) is dict:
        keys = sorted(value, key=sort_key)
        return Packed("dict", tuple((key, pack(value[key])) for key in keys))
    if type(value) is list:
        return Packed("list", tuple(map(pack, value)))
    if type(value) is set:
        return Packed("set", tuple(sorted(value, key=sort_key)))
    return value


def unpack(value: Any) -> Any:
    """What was packed.

    >>> unpack(pack({"b": {1}, "a": [2, {}]}))
    {'a': [2, {}], 'b': {1}}
    """
    if type(value) is not Packed:
        return value
    if value.kind == "dict":
        return {key: unpack(item) for key, item in value.items}
    return list(map(unpack, value.items)) if value.kind == "list" else set(value.items)
