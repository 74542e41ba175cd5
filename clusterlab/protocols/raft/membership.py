"""Changing the members while the cluster goes on (dissertation, chapter 4).

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014, §4.1 to §4.3, with the mend
of July 2015 (raft-dev, "bug in single-server membership changes"): a leader changes nothing before
it has committed an entry of its own term.

One server more or less is changed in one step, since any two majorities meet then; more than that
goes through a joint configuration, in which two majorities are needed. New voters receive the log
first, in rounds: one that is far behind would cost the cluster its majority.
"""

from __future__ import annotations

from typing import Any

from clusterlab.core.history import Administration
from clusterlab.core.node import NodeId, Timer, volatile
from clusterlab.protocols.raft.administration import Administered
from clusterlab.protocols.raft.configuration import Configurable, Configuration
from clusterlab.protocols.raft.messages import LEADER, AppendReply, Command, Entry

ROUNDS_MAX = 10
"""After so many rounds a server that has not caught up is refused (§4.2.1)."""


class AddServer(Administration):
    """Administrator to leader: let this server vote; returns the voters."""

    server: NodeId


class RemoveServer(Administration):
    """Administrator to leader: go on without this server; returns the voters."""

    server: NodeId


class AddLearner(Administration):
    """Administrator to leader: let this server have the log without a vote; returns the voters."""

    server: NodeId


class ChangeMembers(Administration):
    """Administrator to leader: let these be all the voters; returns them."""

    voters: tuple[NodeId, ...]


class RoundDue(Timer):
    """A round of catching up should have ended by now."""


class Membership(Administered, Configurable):
    """A server whose cluster can be changed while it runs."""

    proposed: Configuration | None = volatile(None)  # that an administrator waits for
    round_goal: int = volatile(0)  # a round has ended when the newcomers have this entry
    rounds: int = volatile(0)  # election timeouts that went by in catching up
    on_time: bool = volatile(True)  # no election timeout went by in this round

    # --- what an administrator may ask ---------------------------------------------------------

    def on_add_server(self, src: NodeId, m: AddServer) -> None:
        """One voter more; a learner may become one."""
        now = self.config
        learners = tuple(one for one in now.learners if one != m.server)
        voters = now.voters if m.server in now.voters else (*now.voters, m.server)
        self.propose(Configuration(voters, learners))

    def on_remove_server(self, src: NodeId, m: RemoveServer) -> None:
        """One server fewer."""
        now = self.config
        voters, learners = (
            tuple(one for one in group if one != m.server) for group in (now.voters, now.learners)
        )
        self.propose(Configuration(voters, learners))

    def on_add_learner(self, src: NodeId, m: AddLearner) -> None:
        """One listener more; a voter stays a voter."""
        now = self.config
        new = () if m.server in now.servers else (m.server,)
        self.propose(Configuration(now.voters, (*now.learners, *new)))

    def on_change_members(self, src: NodeId, m: ChangeMembers) -> None:
        """Any voters instead of the present ones."""
        voters = tuple(dict.fromkeys(m.voters))
        learners = tuple(one for one in self.config.learners if one not in voters)
        self.propose(Configuration(voters, learners))

    def propose(self, wanted: Configuration) -> None:
        """Begin a change, or say why not."""
        reason = self.reason_against(wanted)
        if reason is not None:
            self.tell_administrator("fail", reason)
        elif wanted == self.config:
            self.tell_administrator("ok", wanted.voters)
        else:
            self.proposed, self.rounds = wanted, 0
            self.begin_round()

    def reason_against(self, wanted: Configuration) -> str | None:
        """Why this server does not begin that change now."""
        if self.role != LEADER:
            known = self.leader_id or "nobody that it knows of"
            return f"{self.id} does not lead; {known} does"
        if self.proposed is not None or self.config_index > self.commit_index:
            return "another change is on its way: wait for its end"
        if not self.has_committed():
            return (
                f"{self.id} has not committed anything in term {self.current_term} yet: ask again"
            )
        strangers = sorted(set(wanted.servers) - set(self.members))
        if strangers:
            return f"there is no server {', '.join(strangers)}: members names all that may join"
        return None if wanted.voters else "a cluster needs at least one voter"

    def has_committed(self) -> bool:
        """Whether an entry of this leader's own term is committed."""
        # Ongaro 2015: until it has, a leader of an earlier term may have left a configuration
        # behind of which this one has never heard, and whose majorities miss those of the next.
        return self.term_at(self.commit_index) == self.current_term

    # --- catching up (§4.2.1) ------------------------------------------------------------------

    @property
    def newcomers(self) -> tuple[NodeId, ...]:
        """Who is to vote and does not yet."""
        if self.proposed is None or self.config.old:
            return ()
        present = self.config.voters
        return tuple(one for one in self.proposed.voters if one not in present)

    @property
    def peers(self) -> tuple[NodeId, ...]:
        """The other servers, and those that are to join."""
        return tuple(dict.fromkeys((*super().peers, *self.newcomers)))

    def begin_round(self) -> None:
        """Newcomers are to get what is in the log by now."""
        # §4.2.1: each round replicates what was in the leader's log when the round began.
        self.round_goal, self.on_time = self.last_log_index, True
        self.meet_peers()
        self.set_timer(RoundDue(), self.election_timeout_ms[0])
        for newcomer in self.newcomers:
            self.replicate(newcomer)
        self.end_round()

    def end_round(self) -> None:
        """Change the members once a round was short: what is still missing will be there soon."""
        # §4.2.1: after a round that was shorter than an election timeout, so little is missing that
        # nobody will notice the wait for it.
        if self.proposed is None or self.is_changing():
            return
        if all(self.match_index[one] >= self.round_goal for one in self.newcomers):
            if self.on_time:
                self.cancel_timer(RoundDue())
                self.enter(self.transition(self.proposed))
            else:
                self.begin_round()

    def is_changing(self) -> bool:
        """Whether the change is in the log already."""
        return self.config_index > self.commit_index or bool(self.config.old)

    def on_round_due(self, t: RoundDue) -> None:
        """An election timeout went by."""
        if self.proposed is None or self.is_changing():
            return
        self.on_time = False
        self.rounds += 1
        if self.rounds < ROUNDS_MAX:
            self.set_timer(RoundDue(), self.election_timeout_ms[0])
            return
        slow = [one for one in self.newcomers if self.match_index[one] < self.round_goal]
        self.proposed = None
        self.meet_peers()
        self.tell_administrator("fail", f"{', '.join(slow) or 'a newcomer'} does not catch up")

    def on_append_reply(self, src: NodeId, m: AppendReply) -> None:
        """Who has left the cluster is not served any more."""
        if src in self.next_index or self.role != LEADER:
            super().on_append_reply(src, m)

    def record_match(self, peer: NodeId, index: int) -> None:
        """A newcomer may have caught up."""
        super().record_match(peer, index)
        if self.role == LEADER:
            self.end_round()

    # --- the change ----------------------------------------------------------------------------

    def transition(self, wanted: Configuration) -> Configuration:
        """The next configuration on the way to that one."""
        present = self.config.voters
        if len(set(present) ^ set(wanted.voters)) <= 1:
            # §4.1: any majority of these and any majority of those have a server in common.
            return wanted
        # §4.3: first a joint configuration, C_old,new, in which nothing is decided without both.
        return Configuration(wanted.voters, wanted.learners, old=present)

    def enter(self, configuration: Configuration) -> None:
        """Put a configuration into the log."""
        command = Command(self.id, self.last_log_index + 1, configuration)
        self.append((Entry(self.current_term, command),))

    def commit(self, index: int) -> None:
        """What is committed may have been the configuration."""
        super().commit(index)
        if self.role == LEADER and self.config_index <= self.commit_index:
            self.go_on()

    def go_on(self) -> None:
        """The newest configuration is committed: leave the joint one, answer, or step down."""
        now = self.config
        if now.old:
            # §4.3: with C_old,new committed, neither side decides alone, and C_new may follow.
            self.enter(Configuration(now.voters, now.learners))
            return
        if self.proposed == now:
            self.proposed = None
            self.tell_administrator("ok", now.voters)
        if not now.is_voter(self.id):
            # §4.2.2: a leader that is not in C_new steps down once C_new is committed.
            self.leader_id = None
            self.become_follower()

    def forget_leadership(self) -> None:
        """A change that has begun may still come true; another leader knows."""
        if self.proposed is not None:
            self.proposed = None
            self.tell_administrator("info", "the leader stepped down before the change had ended")
        super().forget_leadership()
        self.cancel_timer(RoundDue())

    def status(self) -> dict[str, Any]:
        """Who does not vote is shown as such."""
        shown = super().status()
        if self.config.is_voter(self.id):
            return shown
        listens = self.id in self.config.learners
        return {**shown, "role": "learner" if listens else "outside"}
