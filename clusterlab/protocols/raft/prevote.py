"""Pre-vote: ask whether one could win before a term is spent on it (dissertation §9.6).

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014. A server that was cut off
would otherwise come back with a higher term and depose a leader that serves everybody well.

By itself it can hold up a leader that nobody answers: its heartbeats arrive, so nobody would vote
for another. That is why it goes with CheckQuorum (`check_quorum`).
"""

from __future__ import annotations

from clusterlab.core.node import Message, NodeId
from clusterlab.protocols.raft.contact import Contact
from clusterlab.protocols.raft.messages import RequestVote

PRE_CANDIDATE = "pre-candidate"


class RequestPreVote(Message):
    """Would-be candidate to all: would you vote for me in `next_term`?

    The field is not called `term`: no server is in that term yet, and nobody must move on to it.
    """

    next_term: int
    last_log_index: int
    last_log_term: int


class PreVoteReply(Message):
    """The answer; `term` is that of the server which answers."""

    term: int
    next_term: int
    granted: bool


class PreVote(Contact):
    """A server that begins an election only if it could win it."""

    def campaign(self) -> None:
        """Ask before the term is raised."""
        # §9.6: "a candidate only increments its term if it first learns from a majority of the
        # cluster that they would be willing to grant the candidate their votes"
        self.role = PRE_CANDIDATE
        self.leader_id = None
        self.votes = {self.id}
        self.reset_election_timer()
        last = self.last_log_index
        request = RequestPreVote(self.current_term + 1, last, self.term_at(last))
        self.broadcast(request, self.peers)
        self.count_pre_votes()

    def on_request_pre_vote(self, src: NodeId, m: RequestPreVote) -> None:
        """Say what would become of a real request; nothing is promised, and nothing saved."""
        granted = self.would_vote(m)
        # Who asks in an old term learns the new one from the reply, and asks again.
        self.send(src, PreVoteReply(self.current_term, m.next_term, granted))

    def would_vote(self, m: RequestPreVote) -> bool:
        """Whether this server would vote for who asks."""
        # §9.6: "(if the candidate's log is sufficiently up-to-date, and the voters have not
        # received heartbeats from a valid leader for at least a baseline election timeout)"
        request = RequestVote(m.next_term, m.last_log_index, m.last_log_term)
        return (
            m.next_term > self.current_term
            and not self.hears_leader
            and self.is_up_to_date(request)
        )

    def on_pre_vote_reply(self, src: NodeId, m: PreVoteReply) -> None:
        """Count it, if it is about the next term."""
        if m.granted and m.next_term == self.current_term + 1 and self.role == PRE_CANDIDATE:
            self.votes.add(src)
            self.count_pre_votes()

    def count_pre_votes(self) -> None:
        """Begin the election, once a majority would vote for this server."""
        if self.is_quorum(self.votes):
            super().campaign()
