"""Who hears its leader promises to vote for nobody else (dissertation §4.2.3, §6.4.1, §9.6).

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014. The promise lasts for the
least election timeout, by the follower's own clock. Pre-vote and CheckQuorum keep it, leases rest
on it, and only the leader itself can release others from it, when it hands its office over.
"""

from __future__ import annotations

from clusterlab.core.node import NodeId, Timer, volatile
from clusterlab.protocols.raft.messages import LEADER, RequestVote
from clusterlab.protocols.raft.server import Raft


class LeaderQuiet(Timer):
    """The leader was not heard for the least election timeout."""


class CalledElection(RequestVote):
    """A request for votes at the leader's own wish: the promise to it does not stand against it."""


class Contact(Raft):
    """A server that knows whether its leader was heard lately."""

    in_contact: bool = volatile(False)
    released_term: int = volatile(0)  # in which this leader told another to take over

    @property
    def hears_leader(self) -> bool:
        """Whether a leader was heard within the least election timeout; a leader hears itself."""
        return self.in_contact or self.role == LEADER

    def follow(self, leader: NodeId) -> None:
        """Each word of the leader renews the promise."""
        super().follow(leader)
        self.keep_to_the_leader()

    def keep_to_the_leader(self) -> None:
        """Vote for nobody else for the least election timeout."""
        self.in_contact = True
        self.set_timer(LeaderQuiet(), self.election_timeout_ms[0])

    def on_leader_quiet(self, t: LeaderQuiet) -> None:
        """The promise is over."""
        self.in_contact = False

    def on_called_election(self, src: NodeId, m: CalledElection) -> None:
        """It is a request for a vote like any other."""
        self.on_request_vote(src, m)
