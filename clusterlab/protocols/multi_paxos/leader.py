"""The leader: phase 1 once for all slots, then phase 2 for each round of commands.

Source: Lamport 2001, "Paxos Made Simple", section 3; quotations are from there. Which sets of
acceptors suffice in which phase may be chosen (Howard, Malkhi and Spiegelman 2016, "Flexible
Paxos").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from clusterlab.core.node import NodeId, volatile
from clusterlab.core.quorum import is_majority
from clusterlab.protocols.multi_paxos.acceptor import Acceptor
from clusterlab.protocols.multi_paxos.messages import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    Accept,
    Accepted,
    CatchUp,
    Command,
    ElectionTimeout,
    Heartbeat,
    HeartbeatDue,
    Learn,
    LeaseGranted,
    Nack,
    Prepare,
    Promise,
    ProposeDue,
    TakeSnapshot,
)
from clusterlab.protocols.paxos import Ballot, Proposal


class Leadership(Acceptor):
    """Whoever hears no leader asks for promises; who has a quorum of them proposes for all."""

    alpha: int = 4
    gather_ms: int | None = None

    # Of a candidate
    promises: dict[NodeId, Promise] = volatile({})

    # Of a leader. Its proposals of one message are a round, known by its first slot.
    rounds: dict[int, tuple[Command | None, ...]] = volatile({})  # those that are not chosen yet
    votes: dict[int, set[NodeId]] = volatile({})  # first slot -> who has accepted
    repeat_below: int = volatile(0)  # rounds below this slot were open at the last heartbeat
    recovered: int = volatile(0)  # up to here, slots were filled by what phase 1 reported
    received: tuple[Command, ...] = volatile(())  # what waits for the next round
    renewed_ms: dict[NodeId, int] = volatile({})  # granter -> when the lease was asked for

    # --- phase 1: for all slots at once ------------------------------------------------------

    def on_election_timeout(self, t: ElectionTimeout) -> None:
        """Nobody leads, as far as this replica can tell."""
        if self.role == LEADER:
            return
        self.reset_election_timer()
        if not self.is_leased_to_other(self.id):
            self.become_candidate()

    def become_candidate(self) -> None:
        """Phase 1 (a): a higher ballot than any that is known here, for all that is not chosen."""
        # "Using the same proposal number for all instances, it can do this by sending a single
        # reasonably short message to the other servers."
        self.promise(self.next_ballot())
        self.role = CANDIDATE
        first = self.executed + 1
        self.promises = {self.id: self.report(self.promised, first)}
        self.broadcast(Prepare(self.promised, first), self.peers)
        self.count_promises()

    def next_ballot(self) -> Ballot:
        """A number that nobody has used."""
        return Ballot(self.promised.round + 1, self.id)

    def on_promise(self, src: NodeId, m: Promise) -> None:
        """Count it, if it is of this ballot."""
        if self.role == CANDIDATE and m.ballot == self.promised:
            self.promises[src] = m
            self.count_promises()

    def count_promises(self) -> None:
        """Lead, once a quorum has promised; but learn first what is only in a snapshot."""
        if self.role != CANDIDATE or not self.has_phase_1_quorum(self.promises):
            return
        source = max(self.promises, key=lambda name: self.promises[name].first)
        if self.promises[source].first > self.executed + 1:
            self.send(source, CatchUp(self.executed + 1))
        else:
            self.become_leader()

    def become_leader(self) -> None:
        """Propose again what may have been chosen, and fill the holes."""
        self.role = LEADER
        self.leader_id = self.id
        self.note("leader", self.promised)
        reports, self.promises = list(self.promises.values()), {}
        last = max(report.first + len(report.accepted) - 1 for report in reports)
        self.recovered = max(last, self.executed)
        commands = [self.pick_command(slot, reports) for slot in range(self.executed + 1, last + 1)]
        self.repeat_below = 0
        self.propose(self.executed + 1, commands)
        self.beat()

    def pick_command(self, slot: int, reports: Iterable[Promise]) -> Command | None:
        """The command that this ballot must carry in a slot."""
        # §2.2: "v is the value of the highest-numbered proposal among the responses"
        reported = [p for p in (_reported(report, slot) for report in reports) if p is not None]
        if reported:
            command: Command | None = max(reported, key=lambda proposal: proposal.ballot).value
            return command
        # "we let it fill the gap immediately by proposing [...] a special "no-op" command that
        # leaves the state unchanged"
        self.note("no-op", slot)
        return None

    def on_learn(self, src: NodeId, m: Learn) -> None:
        """A candidate may have waited for this."""
        super().on_learn(src, m)
        self.count_promises()

    def on_take_snapshot(self, src: NodeId, m: TakeSnapshot) -> None:
        """A candidate may have waited for this."""
        super().on_take_snapshot(src, m)
        self.count_promises()

    def on_nack(self, src: NodeId, m: Nack) -> None:
        """Somebody is ahead: follow, and go higher only if nobody is heard of.

        Old news must not raise the promise of one that follows: it may have granted a lease.
        """
        if self.role != FOLLOWER and m.ballot == self.promised:
            self.promise(m.promised)

    def become_follower(self) -> None:
        """What a candidate or leader knew of others says nothing under another ballot."""
        if self.role == LEADER:
            self.cancel_timer(HeartbeatDue())
            self.reset_election_timer()
            self.rounds, self.votes, self.renewed_ms = {}, {}, {}
            self.received, self.waiting = (), {}
        self.promises = {}
        self.role = FOLLOWER

    # --- phase 2: a round of commands ----------------------------------------------------------

    def propose_received(self) -> None:
        """Propose what clients asked for, unless too many rounds are open."""
        # "suppose a leader can get α commands ahead". Here α counts rounds: while so many are
        # open, what clients ask for waits and goes into the next together.
        while self.received and len(self.rounds) < self.alpha:
            commands = self.received[: self.commands_max]
            self.received = self.received[self.commands_max :]
            self.propose(self.last_slot + 1, commands)

    def propose(self, first: int, commands: Collection[Command | None]) -> None:
        """Phase 2 (a): ask that these be accepted in the slots from `first` on."""
        commands = tuple(commands)
        for start in range(0, len(commands), self.commands_max):
            part = commands[start : start + self.commands_max]
            slot = first + start
            self.record(self.promised, slot, part)
            self.rounds[slot] = part
            self.votes[slot] = {self.id}
            self.broadcast(Accept(self.promised, slot, part, self.executed), self.peers)
            self.count_votes(slot)

    def on_accepted(self, src: NodeId, m: Accepted) -> None:
        """Count it, if the round is open."""
        if self.role == LEADER and m.ballot == self.promised and m.first in self.rounds:
            self.votes[m.first].add(src)
            self.count_votes(m.first)

    def count_votes(self, first: int) -> None:
        """A quorum of one ballot chooses; that may happen before an earlier slot is chosen."""
        if self.has_phase_2_quorum(self.votes[first]):
            self.learn(first, self.close(first))
            if self.gather_ms is None:
                self.propose_received()
            elif self.received:
                self.set_timer(ProposeDue(), self.gather_ms)

    def close(self, first: int) -> tuple[Command | None, ...]:
        """Nobody needs to be asked about this round again; returns what it proposed."""
        del self.votes[first]
        return self.rounds.pop(first)

    def on_propose_due(self, t: ProposeDue) -> None:
        """What arrived together goes into one round."""
        if self.role == LEADER:
            self.propose_received()

    # --- being heard ---------------------------------------------------------------------------

    def on_heartbeat_due(self, t: HeartbeatDue) -> None:
        """Be heard, and repeat what was not answered since the last time."""
        if self.role == LEADER:
            self.repeat_rounds()
            self.propose_received()
            self.beat()

    def beat(self) -> None:
        """Tell everybody who leads, how far the slots are chosen, and ask for the lease."""
        sent_ms = None if self.lease_ms is None else self.now_ms
        self.broadcast(Heartbeat(self.promised, self.executed, sent_ms), self.peers)
        self.set_timer(HeartbeatDue(), self.heartbeat_ms)

    def repeat_rounds(self) -> None:
        """Messages may be lost."""
        # "When the leader fails to receive the expected response to its phase 2 messages in
        # instance 141, it will retransmit those messages."
        for first in [slot for slot in self.rounds if slot < self.repeat_below]:
            commands = self.rounds[first]
            if first + len(commands) - 1 <= self.executed:  # another has told that it is chosen
                self.close(first)
                continue
            message = Accept(self.promised, first, commands, self.executed)
            self.broadcast(message, [p for p in self.peers if p not in self.votes[first]])
        self.repeat_below = self.last_slot + 1

    # --- quorums ---------------------------------------------------------------------------------

    def has_phase_1_quorum(self, promised: Collection[NodeId]) -> bool:
        """Whether these may elect."""
        if self.quorums is None:
            return is_majority(promised, self.members)
        return self.quorums.phase_1.is_quorum(promised)

    def has_phase_2_quorum(self, accepted: Collection[NodeId]) -> bool:
        """Whether these may choose."""
        if self.quorums is None:
            return is_majority(accepted, self.members)
        return self.quorums.phase_2.is_quorum(accepted)

    # --- the lease -------------------------------------------------------------------------------

    def on_lease_granted(self, src: NodeId, m: LeaseGranted) -> None:
        """It lasts from the time at which it was asked for."""
        if self.role == LEADER and m.ballot == self.promised:
            self.renewed_ms[src] = max(m.sent_ms, self.renewed_ms.get(src, m.sent_ms))

    def holds_lease(self) -> bool:
        """Whether nobody else can have won phase 1 by now.

        Every quorum of phase 1 meets those who granted the lease, if they are one of phase 2; the
        leader itself counts, since it answers nobody once it has promised another ballot.
        """
        if self.role != LEADER or self.lease_ms is None:
            return False
        # The slowest clock allowed is this one, and the granters' are the fastest.
        shortest_ms = self.lease_ms / self.clock_ratio
        now = self.now_ms
        granters = [who for who, sent in self.renewed_ms.items() if now - sent < shortest_ms]
        return self.has_phase_2_quorum([self.id, *granters])


def _reported(report: Promise, slot: int) -> Proposal | None:
    index = slot - report.first
    return report.accepted[index] if 0 <= index < len(report.accepted) else None
