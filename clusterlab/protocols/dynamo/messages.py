"""What replicas and coordinators say to each other.

`number` tells a coordinator which of its operations an answer belongs to. It counts lives as well:
what was asked before a crash may be answered after it.
"""

from __future__ import annotations

from typing import TypeAlias

from clusterlab.core.node import Message, NodeId, Timer
from clusterlab.protocols.dynamo.versions import Version

Ticket: TypeAlias = tuple[int, int]
"""Which life of the coordinator, and which of its operations in that life."""

NOBODY: Ticket = (0, 0)
"""Of what no operation waits for."""


class Fetch(Message):
    """Coordinator to replica: which versions of `key` do you have?"""

    number: Ticket
    key: str


class Fetched(Message):
    """The answer to Fetch."""

    number: Ticket
    versions: tuple[Version, ...]


class Keep(Message):
    """Coordinator to replica: keep these; for `home`, if it is named, until that is back."""

    number: Ticket
    key: str
    versions: tuple[Version, ...]
    home: NodeId | None = None


class Kept(Message):
    """The answer to Keep: they are on disk."""

    number: Ticket


class HandOff(Message):
    """A stand-in to the home of a version: this came while you were away (hinted hand-off)."""

    key: str
    versions: tuple[Version, ...]


class HandedOff(Message):
    """The answer to HandOff: you need not keep them for me any longer."""

    key: str
    versions: tuple[Version, ...]


class HintsDue(Timer):
    """Time to try whether a home is back."""


class FallBack(Timer):
    """Not enough homes have answered: try others as well."""

    number: Ticket


class Abandon(Timer):
    """Too few have answered for too long."""

    number: Ticket
