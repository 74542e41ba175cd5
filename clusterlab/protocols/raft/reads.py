"""Reads without the log: by a round of heartbeats (§6.4), or by a lease (§6.4.1).

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014, sections 6.4 and 6.4.1;
ReadIndex is the name that etcd gave to the first.

Where it differs from the dissertation:
- The heartbeats of a round are messages of their own, which carry the number of the round: an
  answer to an AppendEntries does not say which one it answers.
- A lease is not kept up by heartbeats: the round of a read that finds none brings one, and reads
  within it cost no message. Who does not read pays nothing.
"""

from __future__ import annotations

from clusterlab.core.node import Message, NodeId, Timer, volatile
from clusterlab.protocols.client import Refused, Reply, Request
from clusterlab.protocols.raft.check_quorum import CheckQuorum
from clusterlab.protocols.raft.messages import LEADER, HeartbeatDue
from clusterlab.protocols.raft.server import Raft


class Heartbeat(Message):
    """Leader to all, before it answers reads: do you still follow me?"""

    term: int
    round: int


class HeartbeatReply(Message):
    """The answer; what counts is that it was sent after the round had begun."""

    term: int
    round: int


class ReadIndex(Raft):
    """A server that answers reads from its state, once it knows that it still leads."""

    # client -> what it asked; those who ask during a round wait for the next and share it
    reads_waiting: dict[NodeId, Request] = volatile({})
    reads_in_round: dict[NodeId, Request] = volatile({})
    read_round: int = volatile(0)
    read_replies: set[NodeId] = volatile(set())

    def on_request(self, src: NodeId, m: Request) -> None:
        """Reads take the short way; writes go through the log."""
        if self.role != LEADER or not self.spec.is_read(m.operation):
            super().on_request(src, m)
            return
        reason = self.refusal(m.operation)
        if reason is not None:
            self.send(src, Refused(m.serial, reason))
        else:
            self.take_read(src, m)

    def take_read(self, client: NodeId, m: Request) -> None:
        """Answer it after a round that begins from now on."""
        self.reads_waiting[client] = m
        if not self.reads_in_round:
            self.begin_reads()

    def may_read(self) -> bool:
        """Whether this leader knows everything that was ever acknowledged."""
        # §6.4: "If the leader has not yet marked an entry from its current term committed, it waits
        # until it has done so."
        return self.term_at(self.commit_index) == self.current_term

    def begin_reads(self) -> None:
        """Ask all whether this server still leads, on behalf of all reads that wait."""
        if self.reads_waiting and self.may_read():
            # §6.4: "The leader saves its current commit index in a local variable readIndex." There
            # is no need to: here all that is committed is applied at once, and the commit index
            # never falls.
            self.reads_in_round, self.reads_waiting = self.reads_waiting, {}
            self.open_reads()
            self.ask_quorum()
            self.count_replies()  # a cluster of one is a majority by itself

    def open_reads(self) -> None:
        """A new one; nobody but this server has answered it."""
        self.read_round += 1
        self.read_replies = {self.id}

    def ask_quorum(self) -> None:
        """Send the round's heartbeat to those who have not answered it."""
        # §6.4: "It issues a new round of heartbeats and waits for their acknowledgments from a
        # majority of the cluster."
        missing = [peer for peer in self.peers if peer not in self.read_replies]
        self.broadcast(Heartbeat(self.current_term, self.read_round), missing)

    def on_heartbeat(self, src: NodeId, m: Heartbeat) -> None:
        """Hear the leader; a deposed one learns the newer term from the reply."""
        if self.is_current(m.term):
            self.follow(src)
        self.send(src, HeartbeatReply(self.current_term, m.round))

    def on_heartbeat_reply(self, src: NodeId, m: HeartbeatReply) -> None:
        """Count it, if it is of this round."""
        if self.is_current(m.term) and self.role == LEADER and m.round == self.read_round:
            self.read_replies.add(src)
            self.count_replies()

    def count_replies(self) -> None:
        """Answer, once a majority has said that there was no newer leader after all these reads."""
        # §6.4: "Once these acknowledgments are received, the leader knows that there could not have
        # existed a leader for a greater term at the moment it sent the heartbeats."
        if self.reads_in_round and self.is_quorum(self.read_replies):
            self.close_reads()

    def close_reads(self) -> None:
        """Answer, and begin the next round for those who came meanwhile."""
        reads, self.reads_in_round = self.reads_in_round, {}
        self.answer_reads(reads)
        self.begin_reads()

    def answer_reads(self, reads: dict[NodeId, Request]) -> None:
        """Look into the state machine, which has applied all that was committed."""
        assert self.last_applied == self.commit_index
        for client, m in reads.items():
            _, result = self.spec.apply(self.machine, m.operation)
            self.send(client, Reply(m.serial, result))

    def commit(self, index: int) -> None:
        """Reads may have waited for the first entry of this term."""
        super().commit(index)
        if self.role == LEADER and not self.reads_in_round:
            self.begin_reads()

    def on_heartbeat_due(self, t: HeartbeatDue) -> None:
        """A heartbeat of the round may have been lost."""
        super().on_heartbeat_due(t)
        if self.role == LEADER and self.reads_in_round:
            self.ask_quorum()

    def forget_leadership(self) -> None:
        """Nobody waits any more; clients ask the next leader."""
        super().forget_leadership()
        self.reads_waiting, self.reads_in_round, self.read_replies = {}, {}, set()


class LeaseOver(Timer):
    """The lease of the newest round has ended, if it ever began."""


class LeaseReads(ReadIndex, CheckQuorum):
    """A server that answers reads at once while no other can have been elected.

    Parameters
    ----------
    clock_rate_bound:
        No clock of the cluster runs more than so many times as fast as another. If one does, reads
        may be stale: this is the one promise of a Raft server that rests on clocks.
    """

    clock_rate_bound: float = 1.25

    lease_began_ms: int | None = volatile(None)  # of the newest round, by this server's clock
    leased: bool = volatile(False)  # a majority has answered that round

    def on_start(self) -> None:
        """It may have heard a leader before it crashed, and then it has promised."""
        super().on_start()
        self.keep_to_the_leader()

    @property
    def lease_ms(self) -> int:
        """How long a lease lasts by this server's clock."""
        # §6.4.1: the lease extends to "start + election timeout / clock drift bound": until then
        # the fastest clock of a follower shows less than the least election timeout.
        return int(self.election_timeout_ms[0] / self.clock_rate_bound)

    def has_lease(self) -> bool:
        """Whether surely nobody else leads."""
        # Both the clock and a timer end it: a process that was paused may meet a read before its
        # timer, and a clock may be set while the lease runs. A transfer frees the others of their
        # promise, and its message may still arrive at any time.
        return (
            self.leased
            and self.lease_began_ms is not None
            and self.now_ms < self.lease_began_ms + self.lease_ms
            and self.released_term < self.current_term
        )

    def begin_reads(self) -> None:
        """With a lease, what waits needs no round."""
        if self.has_lease() and self.may_read():
            reads, self.reads_waiting = self.reads_waiting, {}
            self.answer_reads(reads)
        else:
            super().begin_reads()

    def open_reads(self) -> None:
        """The promises begin when the heartbeats arrive; the lease counts from before they left."""
        super().open_reads()
        self.leased = False
        self.lease_began_ms = self.now_ms
        self.set_timer(LeaseOver(), self.lease_ms)

    def close_reads(self) -> None:
        """A majority has promised to vote for nobody for a while."""
        self.leased = True
        super().close_reads()

    def on_lease_over(self, t: LeaseOver) -> None:
        """The next read asks again."""
        self.leased, self.lease_began_ms = False, None

    def forget_leadership(self) -> None:
        """The lease as well."""
        super().forget_leadership()
        self.leased, self.lease_began_ms = False, None
        self.cancel_timer(LeaseOver())
