"""Log replication (§5.3) and what makes an entry committed (§5.4.2).

Where it differs from Figure 2:
- `AppendReply` says how far the logs agree, because it may arrive late, twice or out of order; a
  refusal says where they may still agree (§5.3, at its end).
- A follower that owes an answer to entries gets no more of them, and while most followers owe one,
  what clients ask for waits for the next round: the busier the cluster, the fuller the messages.
  Heartbeats go on, empty. Entries count as lost if two heartbeats later a heartbeat is answered
  and they are not.
"""

from __future__ import annotations

from clusterlab.core.node import NodeId
from clusterlab.protocols.raft.machine import StateMachine
from clusterlab.protocols.raft.messages import (
    LEADER,
    AppendDue,
    AppendEntries,
    AppendReply,
    Entry,
    HeartbeatDue,
)

OVERDUE = 2
"""Entries still unanswered after so many heartbeats may be lost."""


class Replication(StateMachine):
    """A leader makes the logs of the others agree with its own."""

    # --- the leader ----------------------------------------------------------------------------

    def is_majority_free(self) -> bool:
        """Whether enough followers could take entries at once to commit them."""
        return len(self.members) - len(self.unanswered) >= self.quorum

    def append_received(self) -> None:
        """Append what clients asked for."""
        # Fig. 2: "If command received from client: append entry to local log, respond after entry
        # applied to state machine (§5.3)"
        if self.received:
            entries = tuple(Entry(self.current_term, command) for command in self.received)
            self.received = ()
            self.append(entries)

    def append(self, entries: tuple[Entry, ...]) -> None:
        """Append to this leader's log, and send to all who are free."""
        assert self.role == LEADER, "only a leader appends"
        self.store(entries)
        for peer in self.peers:
            self.replicate(peer)
        self.advance_commit_index()  # a cluster of one is a majority by itself

    def replicate(self, peer: NodeId) -> None:
        """Send the entries that `peer` lacks, unless it owes an answer to some already."""
        # Fig. 2: "If last log index >= nextIndex for a follower: send AppendEntries RPC with log
        # entries starting at nextIndex"
        if self.last_log_index >= self.next_index[peer] and peer not in self.unanswered:
            self.unanswered[peer] = 0
            self.send_append(peer, self.entries_max)

    def send_append(self, peer: NodeId, entries_max: int) -> None:
        """Send at most `entries_max` entries from `next_index` on."""
        prev = self.next_index[peer] - 1
        entries = self.entries_after(prev, entries_max)
        self.send(
            peer,
            AppendEntries(self.current_term, prev, self.term_at(prev), entries, self.commit_index),
        )

    def on_heartbeat_due(self, t: HeartbeatDue) -> None:
        """Be heard."""
        # Fig. 2: "repeat during idle periods to prevent election timeouts (§5.2)"
        if self.role == LEADER:
            for peer, beats in self.unanswered.items():
                self.unanswered[peer] = min(beats + 1, OVERDUE)
            for peer in self.peers:
                self.send_append(peer, 0)
            self.append_received()
            self.set_timer(HeartbeatDue(), self.heartbeat_ms)

    def on_append_reply(self, src: NodeId, m: AppendReply) -> None:
        """A follower has what it was sent, or could not place it."""
        if not self.is_current(m.term) or self.role != LEADER:
            return
        # §5.3: "If followers crash or run slowly, or if network packets are lost, the leader
        # retries AppendEntries RPCs indefinitely". It sends no entries to one that is silent.
        if self.unanswered.get(src) == OVERDUE:
            del self.unanswered[src]
        if m.success:
            self.record_match(src, m.match_index)
        else:
            self.back_up(src, m.match_index)
        if self.is_majority_free():
            if self.gather_ms is None:
                self.append_received()
            elif self.received:
                self.set_timer(AppendDue(), self.gather_ms)
        self.replicate(src)

    def record_match(self, peer: NodeId, index: int) -> None:
        """`peer` holds this leader's log up to `index`."""
        # Fig. 2: "If successful: update nextIndex and matchIndex for follower (§5.3)".
        # An answer that comes late or twice says less than is known already.
        if index > self.match_index[peer]:
            assert index <= self.last_log_index, f"{peer} has entries that were never sent"
            self.match_index[peer] = index
            self.next_index[peer] = index + 1
            self.unanswered.pop(peer, None)
            self.advance_commit_index()

    def back_up(self, peer: NodeId, hint: int) -> None:
        """`peer` lacks the entry before those it was sent: try where the logs may still agree."""
        # Fig. 2: "If AppendEntries fails because of log inconsistency: decrement nextIndex and
        # retry (§5.3)". A refusal that comes late or twice takes nothing away again, and never what
        # is known to match.
        index = max(hint, self.match_index[peer]) + 1
        if index < self.next_index[peer]:
            self.next_index[peer] = index
            self.unanswered.pop(peer, None)

    def advance_commit_index(self) -> None:
        """Commit what a majority holds."""
        # Fig. 2: "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N,
        # and log[N].term == currentTerm: set commitIndex = N (§5.3, §5.4)". The greatest N will do:
        # terms never fall along a log, so behind an older term there is only older.
        index = self.held_by_quorum()
        if index > self.commit_index and self.may_commit(index):
            self.commit(index)

    def held_by_quorum(self) -> int:
        """The greatest index up to which a majority holds this leader's log."""
        held = sorted((self.synced_index, *self.match_index.values()), reverse=True)
        return held[self.quorum - 1]

    def may_commit(self, index: int) -> bool:
        """Whether a majority that holds entry `index` makes it committed."""
        # §5.4.2: "Only log entries from the leader's current term are committed by counting
        # replicas"; Figure 8 shows what happens otherwise.
        return self.term_at(index) == self.current_term

    # --- followers -----------------------------------------------------------------------------

    def on_append_entries(self, src: NodeId, m: AppendEntries) -> None:
        """Hear the leader, and take over what it sends."""
        # Fig. 2: "Reply false if term < currentTerm (§5.1)". The term in the reply makes that
        # leader step down.
        if m.term < self.current_term:
            self.send(src, AppendReply(self.current_term, False, 0))
            return
        assert self.role != LEADER, f"{self.id} and {src} both lead in term {m.term}"
        # Fig. 2: "If AppendEntries RPC received from new leader: convert to follower"
        self.follow(src)
        # Fig. 2: "Reply false if log doesn't contain an entry at prevLogIndex whose term matches
        # prevLogTerm (§5.3)"
        if not self.has_entry(m.prev_log_index, m.prev_log_term):
            self.send(src, AppendReply(self.current_term, False, self.match_hint(m)))
            return
        self.take_over(m.prev_log_index, m.entries)
        last_new = m.prev_log_index + len(m.entries)
        self.follow_commit(m.leader_commit, last_new)
        self.acknowledge(src, last_new)

    def follow_commit(self, leader_commit: int, last_new: int) -> None:
        """Commit what the leader has committed, as far as this message reaches."""
        # Fig. 2: "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last
        # new entry)". What stands behind the last new entry may be left from an earlier term.
        index = min(leader_commit, last_new)
        if index > self.commit_index:
            self.commit(index)

    def acknowledge(self, leader: NodeId, last_new: int) -> None:
        """Tell the leader what it may count on; not this log's last index, for the same reason."""
        self.send(leader, AppendReply(self.current_term, True, last_new))

    def has_entry(self, index: int, term: int) -> bool:
        """Whether the log has an entry of this term at `index`; before the first all logs agree."""
        return index == 0 or (index <= self.last_log_index and self.term_at(index) == term)

    def match_hint(self, m: AppendEntries) -> int:
        """The greatest index at which the logs may still agree."""
        # §5.3: "the leader can decrement nextIndex to bypass all of the conflicting entries in that
        # term"
        hint = min(m.prev_log_index - 1, self.last_log_index)
        if m.prev_log_index <= self.last_log_index:
            conflicting = self.term_at(m.prev_log_index)
            while hint > self.commit_index and self.term_at(hint) == conflicting:
                hint -= 1
        return hint

    def take_over(self, prev: int, entries: tuple[Entry, ...]) -> None:
        """Make the log agree with the leader's from `prev` through the last of `entries`."""
        for i, entry in enumerate(entries):
            index = prev + 1 + i
            if index > self.last_log_index or self.term_at(index) != entry.term:
                # Fig. 2: "If an existing entry conflicts with a new one (same index but different
                # terms), delete the existing entry and all that follow it (§5.3)"
                self.truncate(index - 1)
                # Fig. 2: "Append any new entries not already in the log"
                self.store(entries[i:])
                return
        # All were there: a repetition, or older than what came since. What follows stays.

    def truncate(self, last: int) -> None:
        """Keep the entries through `last`."""
        if last < self.last_log_index:
            assert last >= self.commit_index, f"entry {last + 1} is committed and must stay"
            self.note("truncate", last)
            self.rewrite(self.log[: last - self.offset])
