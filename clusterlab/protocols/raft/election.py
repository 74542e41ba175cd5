"""Leader election (§5.2), and the restriction on who may be elected (§5.4.1).

A lost RequestVote is not sent again: the next election does that. A new leader's first
AppendEntries carries its no-op (§8), and so is not empty.
"""

from __future__ import annotations

from clusterlab.core.node import NodeId
from clusterlab.protocols.raft.messages import (
    CANDIDATE,
    LEADER,
    ElectionTimeout,
    Entry,
    HeartbeatDue,
    RequestVote,
    VoteReply,
)
from clusterlab.protocols.raft.replication import Replication


class Elections(Replication):
    """Whoever hears no leader asks for the votes of a new term."""

    def on_election_timeout(self, t: ElectionTimeout) -> None:
        """Nobody leads, as far as this server can tell."""
        # Fig. 2: "If election timeout elapses without receiving AppendEntries RPC from current
        # leader or granting vote to candidate: convert to candidate", and for candidates "start new
        # election".
        if self.role != LEADER:
            self.campaign()

    def campaign(self) -> None:
        """Try to become leader."""
        self.become_candidate()

    def become_candidate(self, request: type[RequestVote] = RequestVote) -> None:
        """Ask for the votes of a new term."""
        # Fig. 2: "On conversion to candidate, start election: Increment currentTerm, Vote for self,
        # Reset election timer, Send RequestVote RPCs to all other servers"
        self.role = CANDIDATE
        self.leader_id = None
        self.current_term += 1
        self.voted_for = self.id
        self.votes = {self.id}
        self.reset_election_timer()
        last = self.last_log_index
        self.broadcast(request(self.current_term, last, self.term_at(last)), self.peers)
        self.count_votes()

    def on_request_vote(self, src: NodeId, m: RequestVote) -> None:
        """Vote, or say no."""
        granted = self.grants_vote(src, m)
        if granted:
            self.voted_for = src
            self.reset_election_timer()
        self.send(src, VoteReply(self.current_term, granted))

    def grants_vote(self, candidate: NodeId, m: RequestVote) -> bool:
        """Whether this server votes for `candidate`."""
        # Fig. 2: "Reply false if term < currentTerm (§5.1)"
        if m.term < self.current_term:
            return False
        # Fig. 2: "If votedFor is null or candidateId, and candidate's log is at least as up-to-date
        # as receiver's log, grant vote (§5.2, §5.4)"
        return self.voted_for in (None, candidate) and self.is_up_to_date(m)

    def is_up_to_date(self, m: RequestVote) -> bool:
        """Whether the candidate's log is at least as up-to-date as this server's."""
        # §5.4.1: "If the logs have last entries with different terms, then the log with the later
        # term is more up-to-date. If the logs end with the same term, then whichever log is longer
        # is more up-to-date."
        last = self.last_log_index
        return (m.last_log_term, m.last_log_index) >= (self.term_at(last), last)

    def on_vote_reply(self, src: NodeId, m: VoteReply) -> None:
        """Count it, if it is of this election."""
        if m.granted and self.is_current(m.term) and self.role == CANDIDATE:
            self.votes.add(src)
            self.count_votes()

    def count_votes(self) -> None:
        """Lead, once a majority agrees."""
        # Fig. 2: "If votes received from majority of servers: become leader"
        if self.is_quorum(self.votes):
            self.become_leader()

    def become_leader(self) -> None:
        """Take up the term's work."""
        self.role = LEADER
        self.leader_id = self.id
        self.votes = set()
        self.forget_leadership()
        # Fig. 2: nextIndex[] is "initialized to leader last log index + 1" and matchIndex[] is
        # "initialized to 0, increases monotonically".
        self.next_index = dict.fromkeys(self.peers, self.last_log_index + 1)
        self.match_index = dict.fromkeys(self.peers, 0)
        self.note("leader", self.current_term)
        self.cancel_timer(ElectionTimeout())
        self.set_timer(HeartbeatDue(), self.heartbeat_ms)
        # §8: "Raft handles this by having each leader commit a blank no-op entry into the log at
        # the start of its term." It also serves as the first heartbeat.
        self.append((Entry(self.current_term),))
