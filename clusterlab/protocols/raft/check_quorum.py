"""CheckQuorum: a leader must hear its quorum, and nobody deposes one who does (§6.2, §4.2.3).

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014; the name is etcd's.
"""

from __future__ import annotations

from clusterlab.core.node import Message, NodeId, Timer, volatile
from clusterlab.protocols.raft.contact import Contact
from clusterlab.protocols.raft.messages import LEADER, RequestVote


class QuorumDue(Timer):
    """Time for a leader to count whom it has heard."""


class CheckQuorum(Contact):
    """A server that leads only while a quorum answers, and ignores who would depose a leader."""

    heard: set[NodeId] = volatile(set())  # who answered this leader since it last counted

    def on_message(self, src: NodeId, m: Message) -> None:
        """A request for votes counts for nothing while the leader is heard."""
        if type(m) is RequestVote and self.hears_leader:
            # §4.2.3: "if a server receives a RequestVote request within the minimum election
            # timeout of hearing from a current leader, it does not update its term or grant its
            # vote"
            return
        if self.role == LEADER and src in self.peers and self.is_current(getattr(m, "term", 0)):
            self.heard.add(src)
        super().on_message(src, m)

    def become_leader(self) -> None:
        """Begin to count."""
        super().become_leader()
        self.set_timer(QuorumDue(), self.election_timeout_ms[1])

    def on_quorum_due(self, t: QuorumDue) -> None:
        """Step down if too few have answered."""
        if self.role != LEADER:
            return
        # §6.2: "A leader in Raft steps down if an election timeout elapses without a successful
        # round of heartbeats to a majority of its cluster; this allows clients to retry their
        # requests with another server."
        if self.is_quorum({self.id, *self.heard}):
            self.heard = set()
            self.set_timer(QuorumDue(), self.election_timeout_ms[1])
        else:
            self.note("quorum lost", self.current_term)
            self.leader_id = None
            self.become_follower()

    def forget_leadership(self) -> None:
        """Whom it has heard as well."""
        super().forget_leadership()
        self.heard = set()
        self.cancel_timer(QuorumDue())
