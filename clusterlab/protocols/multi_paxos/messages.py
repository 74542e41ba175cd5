"""What Multi-Paxos replicas say to each other, what their slots hold, and their timers.

A ballot, and a value under a ballot, are those of single-decree Paxos: each slot is an instance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from clusterlab.core.node import Message, NodeId, Timer
from clusterlab.protocols.paxos import Ballot, Proposal

FOLLOWER, CANDIDATE, LEADER = "follower", "candidate", "leader"

CHOSEN = Ballot(10**9, "chosen")
"""Above every ballot that is used: a value that is known to be chosen was accepted for good."""


class Command(NamedTuple):
    """What a client wants done; `serial` tells a repetition from a new wish.

    A slot that was filled without one, with a no-op, holds None instead.
    """

    client: NodeId
    serial: int
    operation: Message


class Snapshot(NamedTuple):
    """The application after all slots through `slot`, and the results its clients may ask for."""

    slot: int
    machine: Any
    sessions: Any


class Prepare(Message):
    """Phase 1, candidate to all: promise me this ballot, for all slots from `first` on."""

    ballot: Ballot
    first: int


class Promise(Message):
    """I accept nothing below `ballot`; `accepted` is what I accepted in the slots from `first` on.

    If `first` is higher than was asked for, the slots before it are in my snapshot.
    """

    ballot: Ballot
    first: int
    accepted: tuple[Proposal | None, ...]


class Accept(Message):
    """Phase 2, leader to all: accept these commands in the slots from `first` on.

    All slots through `chosen` are chosen.
    """

    ballot: Ballot
    first: int
    commands: tuple[Command | None, ...]
    chosen: int


class Accepted(Message):
    """I have accepted what you proposed for the slots from `first` on."""

    ballot: Ballot
    first: int


class Nack(Message):
    """Not `ballot`: I have promised a higher one."""

    ballot: Ballot
    promised: Ballot


class Heartbeat(Message):
    """Leader to all: I lead; all slots through `chosen` are chosen.

    `sent_ms` is the leader's clock, if it asks for a lease.
    """

    ballot: Ballot
    chosen: int
    sent_ms: int | None


class LeaseGranted(Message):
    """From now on I promise nobody a ballot but you, for the time of a lease."""

    ballot: Ballot
    sent_ms: int


class CatchUp(Message):
    """Which commands were chosen for the slots from `first` on?"""

    first: int


class Learn(Message):
    """These were chosen for the slots from `first` on; I have executed all through `executed`."""

    first: int
    commands: tuple[Command | None, ...]
    executed: int


class TakeSnapshot(Message):
    """I keep no single commands of what you lack; take their result."""

    snapshot: Snapshot


class ElectionTimeout(Timer):
    """No leader was heard of for a while."""


class HeartbeatDue(Timer):
    """Time for a leader to be heard, and to repeat what was not answered."""


class ProposeDue(Timer):
    """Requests were gathered; only with `gather_ms`."""
