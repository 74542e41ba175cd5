"""State as values: copy it, compare it, hash it, write it as JSON and read it back.

Node state is made of ints, floats, strings, booleans, None, tuples, NamedTuples, Messages,
and dicts, lists and sets of those (rule 2 of `node.py`).
Because that is all there is, the same few functions serve the checker (`freeze`),
the engines (`copy_value`, `changes`) and every file we write (`encode`, `decode`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, make_dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, cast

from clusterlab.core.errors import BadValue, TraceError

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None

Vocabulary: TypeAlias = Mapping[str, type | Sequence[type]]
"""The class of each name in a record; several protocols may have a class of one name."""

_SCALARS = (int, str, float, bool, type(None))
MUTABLE = (dict, list, set)


class Splice(NamedTuple):
    """A change to a tuple: keep its first `keep` items, then append `items`.

    Logs are tuples that grow at the end; a disk that rewrote the whole log for each entry
    would cost the square of its length.
    """

    keep: int
    items: tuple[Any, ...]


def freeze(value: Any) -> Hashable:
    """The canonical hashable key of a value: equal states have equal keys.

    Dicts and sets freeze without regard to order, lists and tuples with it; no list equals a tuple.

    >>> freeze({"b": [1], "a": {2, 3}}) == freeze({"a": {3, 2}, "b": [1]})
    True
    >>> freeze([1]) == freeze((1,))
    False
    """
    kind = type(value)
    if kind in _SCALARS:
        return cast(Hashable, value)
    # The marks are types, which no state holds: a text could be in a tuple of a learner's.
    if kind is dict:
        return (dict, frozenset((freeze(k), freeze(v)) for k, v in value.items()))
    if kind is list:
        return (list, *map(freeze, value))
    if kind is set or kind is frozenset:
        return (set, frozenset(map(freeze, value)))
    if isinstance(value, tuple):
        if kind is not tuple:  # two NamedTuples with equal items are two states
            return (tuple, kind.__name__, *map(freeze, value))
        return tuple(map(freeze, value))
    if hasattr(value, "frozen_key"):  # a Node freezes to its fields
        return cast(Hashable, value.frozen_key())
    try:
        hash(value)
    except TypeError:
        raise BadValue(
            f"{value!r} (a {kind.__name__}) cannot be part of a node's state: "
            "use ints, strings, tuples, NamedTuples, Messages, and dicts, lists and sets of those."
        ) from None
    return cast(Hashable, value)


def copy_value(value: Any) -> Any:
    """A copy that shares nothing mutable with the original; what is immutable is not copied."""
    kind = type(value)
    if kind is dict:
        return {k: copy_value(v) if type(v) in MUTABLE else v for k, v in value.items()}
    if kind is list:
        return [copy_value(v) if type(v) in MUTABLE else v for v in value]
    if kind is set:
        return set(value)
    return value


def change(old: Any, new: Any) -> Any:
    """What a disk must write to turn `old` into `new`: a Splice for two tuples, else the new value.

    A NamedTuple is one value, never spliced.
    """
    if type(old) is not tuple or type(new) is not tuple:
        return copy_value(new)
    keep = len(old)
    if new[:keep] != old:
        keep = next(
            (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
            min(len(old), len(new)),
        )
    return Splice(keep, new[keep:])


def apply_change(old: Any, written: Any) -> Any:
    """The value after a change: the inverse of `change`."""
    if type(written) is Splice:
        return old[: written.keep] + written.items
    return copy_value(written)


# --- JSON ------------------------------------------------------------------------------------
# Scalars are themselves, a tuple is an array, all else is an object with a "$" that names it.


def encode(value: Any) -> JSON:
    """A value as JSON that `decode` reads back whole.

    >>> encode((1, {"x": 2}))
    [1, {'$': 'dict', 'items': [['x', 2]]}]
    """
    kind = type(value)
    if kind in _SCALARS:
        return cast(JSON, value)
    if kind is tuple:
        return [encode(v) for v in value]
    if kind is dict:
        return {"$": "dict", "items": [[encode(k), encode(v)] for k, v in value.items()]}
    if kind is list:
        return {"$": "list", "items": [encode(v) for v in value]}
    if kind is set or kind is frozenset:
        # Sorted, so that one state has one encoding whatever PYTHONHASHSEED is.
        return {"$": "set", "items": [encode(v) for v in sorted(value, key=sort_key)]}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        named = {name: encode(v) for name, v in zip(value._fields, value, strict=True)}
        return {"$": kind.__name__, **named}
    if hasattr(kind, "__dataclass_fields__"):
        named = {f.name: encode(getattr(value, f.name)) for f in fields(value)}
        return {"$": kind.__name__, **named}
    raise BadValue(
        f"{value!r} (a {kind.__name__}) cannot be written to a trace: "
        "use ints, strings, tuples, NamedTuples, Messages, and dicts, lists and sets of those."
    )


def decode(data: JSON, vocabulary: Vocabulary) -> Any:
    """The value that `encode` wrote; `vocabulary` gives the class of each name, or several to try.

    If none of them has the fields that were written, the value is of a stand-in class with the same
    name and fields, so that a trace can be drawn without the protocol that wrote it.
    """
    if isinstance(data, list):
        return tuple(decode(v, vocabulary) for v in data)
    if not isinstance(data, dict):
        return data
    try:
        name = cast(str, data["$"])
        if name in ("dict", "list", "set"):
            items = [decode(v, vocabulary) for v in cast(list[JSON], data["items"])]
            if name == "dict":
                return dict(items)
            return items if name == "list" else set(items)
        named = {k: decode(v, vocabulary) for k, v in data.items() if k != "$"}
        known = vocabulary.get(name, ())
        candidates = (known,) if isinstance(known, type) else known
        fitting = (kind for kind in candidates if _field_names(kind) == named.keys())
        kind = next(fitting, None) or stand_in(name, tuple(named))
        return kind(**named)
    except (KeyError, TypeError, ValueError) as error:
        raise TraceError(
            f"cannot read {str(data)[:80]} back ({error}): "
            "the class that wrote it has other fields now, or the record is damaged; "
            "run it again to record it anew."
        ) from error


def _field_names(kind: type) -> AbstractSet[str]:
    """The fields of a NamedTuple or a Message class."""
    if issubclass(kind, tuple):
        return set(getattr(kind, "_fields", ()))
    return cast(dict[str, Any], getattr(kind, "__dataclass_fields__", {})).keys()


@lru_cache(maxsize=1024)
def stand_in(name: str, field_names: tuple[str, ...]) -> type:
    """A frozen class for a recorded value whose own class is not at hand."""
    return make_dataclass(name, field_names, frozen=True, repr=False, namespace={"__repr__": show})


def sort_key(value: Any) -> tuple[str, Any]:
    """Orders values of mixed types, always in the same way."""
    return (type(value).__name__, value if isinstance(value, _SCALARS[:3]) else repr(value))


def show(value: Any) -> str:
    """`RequestVote(term=1)`: the repr of messages and their stand-ins."""
    inside = ", ".join(f"{f.name}={getattr(value, f.name)!r}" for f in fields(value))
    return f"{type(value).__name__}({inside})"
