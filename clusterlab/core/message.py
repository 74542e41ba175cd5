"""Messages and timers: what nodes tell one another, and themselves later."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, TypeAlias, dataclass_transform

from clusterlab.core.errors import DeclarationError
from clusterlab.core.values import show

NodeId: TypeAlias = str

WORLD: NodeId = "world"
"""Where operations come from and results go: the users of the cluster, outside all nodes."""

message_handlers: dict[str, list[type[Message]]] = {}
"""Message classes by the name of their handler: `request_vote` -> RequestVote; the newest last.

Two protocols of one process may each have a class of that name, one a message, one a timer.
"""

_message_classes: list[type[Message]] = []


def snake_case(name: str) -> str:
    """`RequestVote` -> `request_vote`: the part of a handler's name after `on_`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@dataclass_transform(frozen_default=True)
class Message:
    """What nodes send: subclass it and list the fields.

    A subclass is a frozen dataclass; its fields must be hashable, because a message that its
    sender can still change would arrive changed.

    >>> class Ping(Message):
    ...     number: int
    >>> Ping(1)
    Ping(number=1)
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        try:
            dataclasses.dataclass(frozen=True, repr=False)(cls)
        except (TypeError, ValueError) as error:
            raise DeclarationError(
                f"{cls.__name__} cannot be a message ({error}): "
                "list its fields as `name: type`, those with a default last, and let no default be "
                "a list, dict or set (a tuple serves)."
            ) from error
        message_handlers.setdefault(snake_case(cls.__name__), []).append(cls)
        _message_classes.append(cls)

    __repr__ = show


class Timer(Message):
    """A message to my own future; equal timers are the same timer."""


def message_classes() -> Sequence[type[Message]]:
    """Every message class of this process, the newest last."""
    return tuple(_message_classes)
