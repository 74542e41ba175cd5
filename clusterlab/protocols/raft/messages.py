"""What Raft servers say to each other, what their logs hold, and their timers.

Source: Ongaro and Ousterhout 2014 (extended version), Figure 2. `candidateId` and `leaderId` are
the sender of the message; replies are messages of their own.
"""

from __future__ import annotations

from typing import NamedTuple

from clusterlab.core.node import Message, NodeId, Timer

FOLLOWER, CANDIDATE, LEADER = "follower", "candidate", "leader"


class Command(NamedTuple):
    """What a client wants done; `serial` tells a repetition from a new wish."""

    client: NodeId
    serial: int
    operation: Message


class Entry(NamedTuple):
    """One place in the log: the term in which a leader received it, and a command.

    The no-op of a new leader has none.
    """

    term: int
    command: Command | None = None


class RequestVote(Message):
    """Candidate to all: vote for me."""

    term: int
    last_log_index: int
    last_log_term: int


class VoteReply(Message):
    """The answer to RequestVote."""

    term: int
    granted: bool


class AppendEntries(Message):
    """Leader to follower: what follows after an entry that you have; if empty, a heartbeat."""

    term: int
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int


class AppendReply(Message):
    """The answer to AppendEntries.

    If it succeeded, the logs agree up to `match_index`; if not, they certainly differ behind it.
    """

    term: int
    success: bool
    match_index: int


class ElectionTimeout(Timer):
    """No leader was heard of for a while."""


class HeartbeatDue(Timer):
    """Time for a leader to be heard."""


class AppendDue(Timer):
    """Requests were gathered; only with `gather_ms`."""
