"""Leadership transfer: a leader hands its office to a server of its choice (§3.10).

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 3.10.
"""

from __future__ import annotations

from clusterlab.core.history import Administration
from clusterlab.core.node import Message, NodeId, Timer, volatile
from clusterlab.protocols.client import NotLeader, Request
from clusterlab.protocols.raft.administration import Administered
from clusterlab.protocols.raft.contact import CalledElection, Contact
from clusterlab.protocols.raft.messages import LEADER


class TransferLeadership(Administration):
    """Administrator to leader: let `target` lead; returns who leads then."""

    target: NodeId


class TimeoutNow(Message):
    """Leader to target: your log is complete, so ask for votes at once."""

    term: int


class TransferOverdue(Timer):
    """The target has not taken over in time."""


class LeadershipTransfer(Administered, Contact):
    """A server whose leadership can be handed over."""

    transfer_to: NodeId | None = volatile(None)

    def on_transfer_leadership(self, src: NodeId, m: TransferLeadership) -> None:
        """Begin, if this server leads and can."""
        if self.role != LEADER:
            known = self.leader_id or "nobody that it knows of"
            self.tell_administrator("fail", f"{self.id} does not lead; {known} does")
        elif self.transfer_to is not None:
            self.tell_administrator("fail", f"{self.id} is handing over to {self.transfer_to}")
        elif m.target == self.id:
            self.tell_administrator("ok", self.id)
        elif not self.may_take_over(m.target):
            self.tell_administrator("fail", f"{m.target} is no server whose vote counts")
        else:
            self.transfer_to = m.target
            self.set_timer(TransferOverdue(), self.election_timeout_ms[1])
            self.hand_over()

    def may_take_over(self, target: NodeId) -> bool:
        """Whether `target` is a server that can be elected."""
        return target in self.peers and self.is_voter(target)

    def on_request(self, src: NodeId, m: Request) -> None:
        """Clients had better ask the target."""
        # §3.10: "The prior leader stops accepting new client requests."
        if self.role == LEADER and self.transfer_to is not None:
            self.send(src, NotLeader(m.serial, self.transfer_to))
        else:
            super().on_request(src, m)

    def hand_over(self) -> None:
        """Tell the target, once its log is complete."""
        # §3.10: "The prior leader fully updates the target server's log to match its own, using
        # the normal log replication mechanism described in Section 3.5. The prior leader sends a
        # TimeoutNow request to the target server."
        target = self.transfer_to
        if target is not None and self.match_index.get(target) == self.last_log_index:
            self.released_term = self.current_term
            self.send(target, TimeoutNow(self.current_term))

    def record_match(self, peer: NodeId, index: int) -> None:
        """The target may have all by now."""
        before = self.match_index[peer]
        super().record_match(peer, index)
        if peer == self.transfer_to and index > before:
            self.hand_over()

    def on_timeout_now(self, src: NodeId, m: TimeoutNow) -> None:
        """Ask for votes, whatever was heard of the leader: it is the leader's wish."""
        # §3.10: "This request has the same effect as the target server's election timer firing: the
        # target server starts a new election". Not a pre-vote: everybody hears the leader.
        if self.is_current(m.term) and self.role != LEADER:
            self.become_candidate(CalledElection)

    def follow(self, leader: NodeId) -> None:
        """A new leader was heard: the transfer has ended, whoever it is."""
        super().follow(leader)
        if self.transfer_to is not None:
            self.transfer_to = None
            self.cancel_timer(TransferOverdue())
            self.tell_administrator("ok", leader)

    def on_transfer_overdue(self, t: TransferOverdue) -> None:
        """Serve clients again."""
        # §3.10: "If leadership transfer does not complete after about an election timeout, the
        # prior leader aborts the transfer and resumes accepting client requests. If the prior
        # leader was mistaken and the target server is actually operational, then at worst this
        # mistake will result in an extra election"
        if self.transfer_to is not None:
            self.transfer_to = None
            self.tell_administrator("info", self.leader_id)
