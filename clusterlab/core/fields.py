"""The fields of a Node class: from annotations to configuration, durable and volatile state.

What is wrong with a class is said when the class is made, not when a run meets it.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar, cast, dataclass_transform

from clusterlab.core.errors import DeclarationError
from clusterlab.core.message import Timer, message_handlers
from clusterlab.core.values import copy_value

T = TypeVar("T")


# `init` is there for type checkers: it says that no constructor takes the field.
def durable(initial: T, *, init: Literal[False] = False) -> T:  # noqa: ARG001
    """A field on disk: it survives a restart and is saved before the step's messages leave."""
    return _field(initial, "durable")


def volatile(initial: T, *, init: Literal[False] = False) -> T:  # noqa: ARG001
    """A field in memory: `initial` again after a restart."""
    return _field(initial, "volatile")


def _field(initial: T, kind: str) -> T:
    return cast(
        T,
        dataclasses.field(
            init=False, default_factory=partial(copy_value, initial), metadata={"kind": kind}
        ),
    )


_METHODS = (
    *("send", "broadcast", "set_timer", "cancel_timer", "note", "choose", "now_ms", "status"),
    *("state", "saved", "copy", "configuration", "frozen_key", "in_words", "marks"),
)


# dataclass_transform makes fields of subclasses only, so `Node.id` needs a class above Node.
@dataclass_transform(kw_only_default=True, field_specifiers=(durable, volatile, dataclasses.field))
class Declared:
    """Turns the annotations of a Node class into fields, and checks its handlers."""

    _config: ClassVar[frozenset[str]] = frozenset()
    _durable: ClassVar[tuple[str, ...]] = ()
    _volatile: ClassVar[tuple[str, ...]] = ()
    _assignable: ClassVar[frozenset[str]] = frozenset()
    _handlers: ClassVar[dict[str, Callable[..., None]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        try:
            dataclasses.dataclass(eq=False, repr=False, kw_only=True)(cls)
        except (TypeError, ValueError) as error:
            raise DeclarationError(
                f"{cls.__name__} cannot be a node ({error}): declare a field as "
                "`name: type = durable(initial)` or `= volatile(initial)`, and configuration as "
                "`name: type` or `name: type = default`, where the default is no list, dict or set."
            ) from error
        kinds = {
            f.name: f.metadata.get("kind", "config")
            for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        }
        for name in kinds:
            if name in _METHODS:
                raise DeclarationError(
                    f"{cls.__name__} has a field named {name}, which is a method of every node: "
                    "give the field another name."
                )
        _check_overrides(cls)
        cls._config = frozenset(n for n, kind in kinds.items() if kind == "config")
        cls._durable = tuple(n for n, kind in kinds.items() if kind == "durable")
        cls._volatile = tuple(n for n, kind in kinds.items() if kind == "volatile")
        cls._assignable = frozenset(cls._durable + cls._volatile)
        cls._handlers = {}
        _check_handlers(cls)


def _check_overrides(cls: type) -> None:
    """An inherited field that gets another value needs its annotation, or nothing happens."""
    fields = cls.__dict__["__dataclass_fields__"]
    for base in cls.__mro__[1:]:
        for name, inherited in base.__dict__.get("__dataclass_fields__", {}).items():
            if fields.get(name) is inherited and name in vars(cls):
                raise DeclarationError(
                    f"{cls.__name__} sets {name} without saying its type, which would have no "
                    f"effect: write `{name}: {inherited.type} = ...`."
                )


def _check_handlers(cls: type) -> None:
    """Every `on_...` method must be the handler of a message or timer that exists (rule 6)."""
    for name, function in vars(cls).items():
        if not name.startswith("on_") or not callable(function):
            continue
        allowed: list[tuple[str, ...]]  # what it may take, the likeliest last
        if name == "on_start":
            allowed = [()]
        elif name == "on_message":
            allowed = [("src", "m")]
        elif name == "on_timer":
            allowed = [("t",)]
        else:
            messages = message_handlers.get(name[3:])
            if messages is None:
                near = difflib.get_close_matches(name[3:], message_handlers, n=1)
                hint = f"did you mean `on_{near[0]}`?" if near else "is it defined further down?"
                raise DeclarationError(
                    f"{cls.__name__} has a handler {name}, but there is no message or timer for "
                    f"it: {hint} A handler is `on_` and the message's name in small letters, "
                    "and the message's class stands above the node's."
                )
            allowed = [("t",) if issubclass(m, Timer) else ("src", "m") for m in messages]
        takes = allowed[-1]
        given = len(inspect.signature(function).parameters) - 1
        if given not in map(len, allowed):
            raise DeclarationError(
                f"{cls.__name__}.{name} takes {given} arguments beside self, not {len(takes)}: "
                f"write `def {name}({', '.join(('self', *takes))}):`."
            )
