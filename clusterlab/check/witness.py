"""What a step asks of the world outside its node: clocks, chance, hashes, globals.

A profile function of this thread sees every call of a step, at any depth; nothing is patched, so
other threads are neither disturbed nor seen.
"""

from __future__ import annotations

import datetime as dt
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import CellType, CodeType, FrameType, FunctionType
from typing import Any

from clusterlab.core.garbage import no_garbage_collection
from clusterlab.core.node import Node
from clusterlab.core.values import MUTABLE, copy_value

_CLOCK_METHODS = ("now", "utcnow", "today")
_CHANCE = (
    "urandom",
    "getrandom",
    "getentropy",
    "token_bytes",
    "uuid4",
    "uuid1",
    "generate_time_safe",
)


@contextmanager
def watched(codes: frozenset[CodeType]) -> Iterator[dict[str, str]]:
    """Gather what the code in the block asks: cause -> the call, such as `clock` -> `time.time()`.

    `codes` are the functions of the node: only their own calls of `hash` and `id` count.
    """
    asked: dict[str, str] = {}

    def profile(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call":
            found = _asks(function, frame.f_code in codes)
            if found is not None:
                asked.setdefault(*found)

    before = sys.getprofile()
    with no_garbage_collection():  # what hangs on a collection (gc.callbacks) is not the node's
        sys.setprofile(profile)
        try:
            yield asked
        finally:
            sys.setprofile(before)


def _asks(function: Any, own: bool) -> tuple[str, str] | None:
    """What a call of this built-in function asks of the world, if anything."""
    name = getattr(function, "__name__", "")
    owner = getattr(function, "__self__", None)
    if getattr(function, "__module__", None) == "time":
        return ("clock", f"time.{name}()")
    if isinstance(owner, type) and issubclass(owner, dt.date) and name in _CLOCK_METHODS:
        return ("clock", f"{owner.__name__}.{name}()")
    if owner is random._inst or isinstance(owner, random.SystemRandom):
        return ("chance", f"the random module ({name})")
    if name in _CHANCE:
        return ("chance", f"{name}()")
    if own and function in (hash, id):
        return ("hash", f"{name}()")
    return None


def functions(kind: type[Node]) -> list[FunctionType]:
    """The functions that make up a node class, without those of `Node` itself."""
    found: list[FunctionType] = []
    for cls in kind.__mro__:
        if cls.__module__.startswith("clusterlab.core.") or cls is object:
            continue
        for value in vars(cls).values():
            inner = getattr(value, "__func__", getattr(value, "fget", value))
            if isinstance(inner, FunctionType):
                found.append(inner)
    return found


def codes_of(kind: type[Node]) -> frozenset[CodeType]:
    """Their code."""
    return frozenset(function.__code__ for function in functions(kind))


class Surroundings:
    """The globals, closures and class attributes that a node class could change."""

    def __init__(self, kind: type[Node]) -> None:
        self._readers: dict[str, Callable[[], Any]] = {}
        self._seen: dict[str, tuple[Any, Any]] = {}
        for function in functions(kind):
            code = function.__code__
            names = {name for inner in _codes_in(code) for name in inner.co_names}
            for name in names & set(function.__globals__):
                self._readers[f"the global {name}"] = _reader(function.__globals__, name)
            for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
                if name != "__class__":
                    self._readers[f"the variable {name}"] = partial(_contents, cell)
        for cls in kind.__mro__:
            if not cls.__module__.startswith("clusterlab.core.") and cls is not object:
                for name in vars(cls):
                    if not name.startswith("_"):
                        self._readers[f"the class attribute {name}"] = _reader(vars(cls), name)

    def look(self) -> None:
        """Remember how it all is."""
        for name, read in self._readers.items():
            value = read()
            self._seen[name] = (value, copy_value(value))

    def changed(self) -> list[str]:
        """What is not as it was."""
        found = []
        for name, (value, copied) in self._seen.items():
            now = self._readers[name]()
            if now is not value or (type(value) in MUTABLE and now != copied):
                found.append(name)
        return found


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None  # not assigned yet


def _reader(mapping: Any, name: str) -> Callable[[], Any]:
    return lambda: mapping.get(name)


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of what is defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)
