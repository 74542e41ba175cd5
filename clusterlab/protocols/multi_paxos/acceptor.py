"""The acceptor of all slots: one promise for all of them, and, if asked for, a lease.

Sources: Lamport 2001, "Paxos Made Simple", sections 2.2 and 3; Chandra, Griesemer and Redstone
2007, "Paxos Made Live", for the lease: as long as it lasts, its granters promise nobody else a
ballot, so that whoever leads knows that nobody else does, and may answer reads from its own state.

The lease rests on clocks that run evenly: no clock may run more than `clock_ratio` times as fast
as another, and none may jump. Without `lease_ms` nothing here looks at a clock.
"""

from __future__ import annotations

from clusterlab.core.node import NodeId, durable, volatile
from clusterlab.core.quorum import Flexible
from clusterlab.protocols.multi_paxos.messages import (
    FOLLOWER,
    Accept,
    Accepted,
    CatchUp,
    ElectionTimeout,
    Heartbeat,
    LeaseGranted,
    Nack,
    Prepare,
    Promise,
)
from clusterlab.protocols.multi_paxos.replica import Replica
from clusterlab.protocols.paxos import ZERO, Ballot

AHEAD_MAX = 4096
"""So many slots ahead of what it has executed, an acceptor accepts; further on it first learns."""


class Acceptor(Replica):
    """Promises ballots for all slots at once, accepts what a leader proposes, and follows it."""

    members: tuple[NodeId, ...]
    quorums: Flexible | None = None
    election_timeout_ms: tuple[int, int] = (150, 300)
    heartbeat_ms: int = 50
    lease_ms: int | None = None
    clock_ratio: float = 1.25

    # Lamport §2.2: "an acceptor must remember this information even if it fails and then restarts";
    # what it accepted is in `log`.
    promised: Ballot = durable(ZERO)

    role: str = volatile(FOLLOWER)
    leader_id: NodeId | None = volatile(None)
    leased_until_ms: int = volatile(0)  # by its own clock; whoever owns `promised` has the lease

    def on_start(self) -> None:
        """Begin as a follower; a lease that an earlier life granted may still last."""
        assert self.id in self.members, f"members={self.members} must name {self.id} as well"
        self.restore()
        if self.lease_ms is not None and self.promised != ZERO:
            self.leased_until_ms = self.now_ms + self.lease_ms
        self.reset_election_timer()

    @property
    def peers(self) -> tuple[NodeId, ...]:
        """The other replicas."""
        return tuple(member for member in self.members if member != self.id)

    def reset_election_timer(self) -> None:
        """Wait for a leader, anew."""
        self.set_timer(ElectionTimeout(), self.election_timeout_ms)

    # --- phase 1 (b) -------------------------------------------------------------------------

    def on_prepare(self, src: NodeId, m: Prepare) -> None:
        """Promise to ignore lower ballots in all slots, and tell what was accepted in them."""
        if not self.may_promise(m.ballot):
            self.send(src, Nack(m.ballot, self.promised))
        elif not self.is_leased_to_other(src):
            # §3: "a server (acting as acceptor) can respond for all instances with a single
            # reasonably short message"
            self.promise(m.ballot)
            self.reset_election_timer()
            self.send(src, self.report(m.ballot, m.first))

    def may_promise(self, ballot: Ballot) -> bool:
        """Whether no higher ballot was promised; the same one may be asked for twice."""
        return ballot >= self.promised

    def promise(self, ballot: Ballot) -> None:
        """From now on nothing below `ballot`; whoever led does so no more."""
        if ballot > self.promised:
            self.promised = ballot
            self.leader_id = None
            self.become_follower()

    def report(self, ballot: Ballot, first: int) -> Promise:
        """What was accepted in the slots from `first` on, as far as they are not in a snapshot."""
        first = max(first, self.snapshot.slot + 1)
        return Promise(ballot, first, self.slots_from(first))

    def become_follower(self) -> None:
        """Step down, or go on following."""
        self.role = FOLLOWER

    # --- phase 2 (b) -------------------------------------------------------------------------

    def on_accept(self, src: NodeId, m: Accept) -> None:
        """Accept, unless a higher ballot was promised."""
        # §2.2: "it accepts the proposal unless it has already responded to a prepare request
        # having a number greater than n"
        if not self.may_accept(m.ballot):
            self.send(src, Nack(m.ballot, self.promised))
            return
        self.follow(src, m.ballot)
        if m.first <= self.executed + AHEAD_MAX:
            self.record(m.ballot, m.first, m.commands)
            self.send(src, Accepted(m.ballot, m.first))
        self.learn_through(m.ballot, m.chosen)

    def may_accept(self, ballot: Ballot) -> bool:
        """Whether no higher ballot was promised."""
        return ballot >= self.promised

    def follow(self, leader: NodeId, ballot: Ballot) -> None:
        """Whoever proposes under a ballot leads in it."""
        self.promise(ballot)
        self.leader_id = leader
        self.reset_election_timer()

    def on_heartbeat(self, src: NodeId, m: Heartbeat) -> None:
        """Hear the leader, learn what was chosen, ask for what is missing."""
        if not self.may_accept(m.ballot):
            self.send(src, Nack(m.ballot, self.promised))
            return
        self.follow(src, m.ballot)
        self.learn_through(m.ballot, m.chosen)
        if self.executed < m.chosen:
            self.send(src, CatchUp(self.executed + 1))
        if m.sent_ms is not None:
            self.grant_lease(src, m.ballot, m.sent_ms)

    # --- the lease ---------------------------------------------------------------------------

    def grant_lease(self, leader: NodeId, ballot: Ballot, sent_ms: int) -> None:
        """Promise nobody else a ballot for so long by this clock; the leader counts from earlier.

        It counts from `sent_ms` of its own clock, which was before this.
        """
        if self.lease_ms is not None:
            self.leased_until_ms = self.now_ms + self.lease_ms
            self.send(leader, LeaseGranted(ballot, sent_ms))

    def is_leased_to_other(self, candidate: NodeId) -> bool:
        """Whether somebody else than `candidate` may still hold a lease of this acceptor."""
        if self.lease_ms is None or candidate == self.promised.proposer:
            return False
        return self.now_ms < self.leased_until_ms
