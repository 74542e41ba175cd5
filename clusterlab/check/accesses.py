"""Which key and which value an operation on registers reads or writes.

Most weak consistency models are defined for reads and writes alone: a write makes a version of its
key, a read sees one. A compare-and-set that succeeded is both at once, one that failed says only
what was not there, and counts for nothing here.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Operation
from clusterlab.core.node import Message
from clusterlab.core.spec import CompareAndSet, Get, Put, Read, Write
from clusterlab.core.values import freeze


class Access(NamedTuple):
    """What an operation did: `saw` and `wrote` are values, frozen; None if it did not do that."""

    key: Hashable
    saw: tuple[Hashable] | None
    wrote: tuple[Hashable] | None


def written(call: Message) -> tuple[Hashable, Hashable] | None:
    """The key and the value that a call writes if it has an effect; None if it writes none."""
    match call:
        case Put(key=key, value=value) | CompareAndSet(key=key, new=value):
            return key, freeze(value)
        case Write(value=value):
            return None, freeze(value)
    return None


def access(operation: Operation) -> Access | None:
    """What `operation` did as far as anyone knows; None if that is nothing.

    Raises ScenarioError if it is no access to a register.
    """
    call, done = operation.call, operation.outcome == "ok"
    if operation.outcome == "fail":
        return None
    match call:
        case Get(key=key):
            return Access(key, (freeze(operation.value),), None) if done else None
        case Read():
            return Access(None, (freeze(operation.value),), None) if done else None
        case Put(key=key, value=value):
            return Access(key, None, (freeze(value),))
        case Write(value=value):
            return Access(None, None, (freeze(value),))
        case CompareAndSet(key=key, expected=expected, new=new):
            if done and operation.value is not True:
                return None
            return Access(key, (freeze(expected),) if done else None, (freeze(new),))
    raise ScenarioError(
        f"{operation.client}'s {call!r} neither reads nor writes a register: judge this history "
        "by another check, such as linearizability."
    )
