"""The state of a Raft server, its terms and its roles (§5.1; Figure 2, "State" and "All Servers").

Quotations are from the paper; "Fig. 2" is its summary.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from clusterlab.core.node import Message, Node, NodeId, durable, volatile
from clusterlab.core.quorum import majority
from clusterlab.core.spec import KeyValue, Spec
from clusterlab.protocols.raft.messages import (
    FOLLOWER,
    LEADER,
    Command,
    ElectionTimeout,
    Entry,
    HeartbeatDue,
)


class State(Node):
    """What every Raft server knows, and what it does in any role."""

    members: tuple[NodeId, ...]
    election_timeout_ms: tuple[int, int] = (150, 300)
    heartbeat_ms: int = 50
    spec: Spec = KeyValue()
    entries_max: int = 256
    gather_ms: int | None = None

    # Fig. 2: "Persistent state on all servers: (Updated on stable storage before responding to
    # RPCs)"
    current_term: int = durable(0)
    voted_for: NodeId | None = durable(None)
    log: tuple[Entry, ...] = durable(())  # the paper counts from 1: log[0] is entry 1

    # Fig. 2: "Volatile state on all servers"
    commit_index: int = volatile(0)
    last_applied: int = volatile(0)
    role: str = volatile(FOLLOWER)
    leader_id: NodeId | None = volatile(None)
    machine: Any = volatile(None)  # the state of the replicated application
    sessions: dict[NodeId, tuple[int, Any]] = volatile({})  # client -> newest serial and its result

    # On candidates
    votes: set[NodeId] = volatile(set())

    # Fig. 2: "Volatile state on leaders: (Reinitialized after election)"
    next_index: dict[NodeId, int] = volatile({})
    match_index: dict[NodeId, int] = volatile({})
    unanswered: dict[NodeId, int] = volatile({})  # follower that owes an answer -> heartbeats since
    received: tuple[Command, ...] = volatile(())  # what waits for the next round
    waiting: dict[NodeId, int] = volatile({})  # client that waits -> its newest serial

    @classmethod
    def group(cls, size: int = 5, **options: Any) -> list[Self]:
        """The servers n1, n2, ... of one cluster, all configured alike."""
        members = tuple(f"n{i}" for i in range(1, size + 1))
        return [cls(name, members=members, **options) for name in members]

    # --- all servers -------------------------------------------------------------------------

    def on_start(self) -> None:
        """Begin as a follower, with an application that has seen nothing yet."""
        assert self.id in self.members, f"members={self.members} must name {self.id} as well"
        self.machine = self.spec.initial()
        # §5.2: "When servers start up, they begin as followers."
        self.reset_election_timer()

    def on_message(self, src: NodeId, m: Message) -> None:
        """Look at the term first, whatever the message is."""
        # Fig. 2: "If RPC request or response contains term T > currentTerm:
        # set currentTerm = T, convert to follower (§5.1)"
        term = getattr(m, "term", 0)
        if term > self.current_term:
            self.see_higher_term(term)
        super().on_message(src, m)

    def see_higher_term(self, term: int) -> None:
        """A newer term began: whatever this server was in the old one, it follows in this."""
        assert term > self.current_term, "terms only grow"
        self.current_term = term
        self.voted_for = None
        self.leader_id = None
        self.become_follower()

    def become_follower(self) -> None:
        """Step down, or go on following."""
        if self.role == FOLLOWER:
            return
        if self.role == LEADER:
            self.cancel_timer(HeartbeatDue())
            self.reset_election_timer()
            self.forget_leadership()
        self.role = FOLLOWER
        self.votes = set()

    def follow(self, leader: NodeId) -> None:
        """The leader of this term was heard."""
        self.become_follower()
        self.leader_id = leader
        self.reset_election_timer()

    def is_current(self, term: int) -> bool:
        """Whether a reply belongs to the present term; an old one says nothing about it."""
        return term == self.current_term

    def reset_election_timer(self) -> None:
        """Wait for a leader, anew."""
        # §5.2: "election timeouts are chosen randomly from a fixed interval (e.g., 150-300ms)"
        self.set_timer(ElectionTimeout(), self.election_timeout_ms)

    @property
    def peers(self) -> tuple[NodeId, ...]:
        """The other servers."""
        return tuple(member for member in self.members if member != self.id)

    @property
    def quorum(self) -> int:
        """How many servers are a majority of the cluster."""
        return majority(len(self.members))

    def is_voter(self, server: NodeId) -> bool:
        """Whether that server's vote counts."""
        return server in self.members

    def is_quorum(self, servers: Collection[NodeId]) -> bool:
        """Whether these servers can decide for all."""
        return len(servers) >= self.quorum

    # --- the log -----------------------------------------------------------------------------

    @property
    def offset(self) -> int:
        """The index before that of `log[0]`; only a server with snapshots (§7) has more than 0."""
        return 0

    @property
    def last_log_index(self) -> int:
        """The index of the last entry; 0 if the log is empty."""
        return self.offset + len(self.log)

    @property
    def synced_index(self) -> int:
        """How far the log is on this server's disk: all of it, since saves go before messages."""
        return self.last_log_index

    def store(self, entries: tuple[Entry, ...]) -> None:
        """Put entries behind the log."""
        self.log += entries

    def rewrite(self, entries: tuple[Entry, ...]) -> None:
        """Let the log consist of these entries."""
        self.log = entries

    def entry(self, index: int) -> Entry:
        """The entry at `index`, which counts from 1."""
        return self.log[index - self.offset - 1]

    def entries_after(self, index: int, most: int | None = None) -> tuple[Entry, ...]:
        """What follows the entry at `index`, at most so many."""
        first = index - self.offset
        return self.log[first:] if most is None else self.log[first : first + most]

    def term_at(self, index: int) -> int:
        """The term of the entry at `index`; 0 before the first."""
        return self.entry(index).term if index > self.offset else 0

    def forget_leadership(self) -> None:
        """What a leader knew of others says nothing in another term."""
        self.next_index, self.match_index, self.unanswered = {}, {}, {}
        self.received, self.waiting = (), {}
