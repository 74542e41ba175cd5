"""Rafts that change their members wrongly: R34 to R39 of the table of published bugs.

Two majorities that miss each other take an election in each to be seen, and that is too deep for a
search from the beginning: all but R37 begin with a prefix.
"""

from __future__ import annotations

from typing import Any

from clusterlab.check.invariants.raft import ELECTION_SAFETY, LEADER_COMPLETENESS, LEADER_ELECTED
from clusterlab.check.invariants.raft_logs import LOG, last_index, last_term
from clusterlab.check.invariants.raft_membership import COMMITTED_HELD_BY_QUORUM
from clusterlab.check.moves import Move
from clusterlab.check.properties import Answer, always
from clusterlab.check.world import Envelope, World
from clusterlab.core.node import NodeId
from clusterlab.core.quorum import majority
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.hunts import arrives, asked, by_prefix, by_search, fires
from clusterlab.lessons.mutants.raft_worlds import elect, firing, servers, up_to
from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    Command,
    ElectionTimeout,
    Entry,
    HeartbeatDue,
    RequestVote,
    VoteReply,
)
from clusterlab.protocols.raft.configuration import Configuration
from clusterlab.protocols.raft.membership import (
    AddServer,
    ChangeMembers,
    Membership,
    RemoveServer,
)


class ChangesAtOnce(Membership):
    """R34: a new leader changes members before anything of its own term is committed."""

    def has_committed(self) -> bool:
        """It does not look."""
        return True


class ChangesInOneStep(Membership):
    """R35: any members take the place of any others in one step."""

    def transition(self, wanted: Configuration) -> Configuration:
        """Never through a joint configuration."""
        return wanted


class KeepsWhatWasTaken(Membership):
    """R36: goes by a configuration whose entry is not in its log any more."""

    def configure(self) -> None:
        """Without one in the log it stays with the last that was."""
        last = self.config
        super().configure()
        if last.voters and self.config_index == self.offset:
            self.config = last


class CountsItself(Membership):
    """R37: a leader counts itself although it has to go."""

    def held_by_quorum(self) -> int:
        """Its own log is among those of which a majority is needed."""
        held = [self.match_index.get(peer, 0) for peer in self.config.voters if peer != self.id]
        held = sorted((self.synced_index, *held), reverse=True)
        return held[majority(len(self.config.voters)) - 1]


class VotesOnlyAsAMember(Membership):
    """R38: a server that is no voter in its own log refuses its vote."""

    def grants_vote(self, candidate: NodeId, m: RequestVote) -> bool:
        """The candidate may know better."""
        return self.config.is_voter(self.id) and super().grants_vote(candidate, m)


class MergesBoth(Membership):
    """R39: in a joint configuration it counts one majority of all."""

    def is_quorum(self, servers: Any) -> bool:
        """Old and new together."""
        everybody = {*self.config.voters, *self.config.old}
        return len(everybody & set(servers)) >= majority(len(everybody))


# --- how they are hunted -------------------------------------------------------------------------


def _refuses_without_reason(world: World) -> Answer:
    letters = world.messages
    for src, dst, m in letters:
        if not isinstance(m, RequestVote):
            continue
        voter = world[dst]
        behind = (m.last_log_term, m.last_log_index) < (last_term(voter), last_index(voter))
        if voter.current_term != m.term or voter.voted_for is not None or behind:
            continue
        if Envelope(dst, src, VoteReply(m.term, False)) in letters:
            return f"{dst} has a vote in term {m.term}, and refuses it to {src}, who is up-to-date"
    return True


VOTES_WHEN_ASKED = always(
    "VotesWhenAsked",
    _refuses_without_reason,
    reads=(*LOG, "voted_for"),
    messages=("RequestVote", "VoteReply"),
)
"""§4.1: "it is the caller's configuration that is used in reaching consensus". A server that does
not know yet that it votes may be the one whose vote is missing."""

NOOP = (Entry(1),)


def _gets(
    follower: NodeId, leader: NodeId, m: AppendEntries, match: int, *, ok: bool = True
) -> list[Move]:
    """Of a prefix: entries arrive, and so does the answer."""
    reply = AppendReply(m.term, ok, match)
    return [arrives(leader, follower, m), arrives(follower, leader, reply)]


def _catches_up(newcomer: NodeId) -> list[Move]:
    """Of a prefix: n1, whose one entry is committed, finds out what is missing, and sends it."""
    return [
        *_gets(newcomer, "n1", AppendEntries(1, 1, 1, (), 1), 0, ok=False),
        *_gets(newcomer, "n1", AppendEntries(1, 0, 0, NOOP, 1), 1),
    ]


def _votes(candidate: NodeId, voter: NodeId, m: RequestVote) -> list[Move]:
    return [arrives(candidate, voter, m), arrives(voter, candidate, VoteReply(m.term, True))]


TWO_REMOVALS = (("n1", RemoveServer("n4")), ("n2", RemoveServer("n1")))
R34_PREFIX = (
    # n1 leads term 1 and, if it may, goes on without n4: so says its own log alone.
    *elect("n1", "n2", 1),
    *_votes("n1", "n3", RequestVote(1, 0, 0)),
    asked(*TWO_REMOVALS[0]),
    # n2 leads term 2 by the votes of n3 and n4, and would go on without n1.
    *elect("n2", "n3", 2),
    *_votes("n2", "n4", RequestVote(2, 0, 0)),
    *_gets("n4", "n2", AppendEntries(2, 0, 0, (Entry(2),), 0), 1),
    asked(*TWO_REMOVALS[1]),
    arrives("n2", "n1", RequestVote(2, 0, 0)),
)

SWAP = ("n1", ChangeMembers(("n3", "n4", "n5")))
SWAP_PREFIX = (
    # n1 leads; what it is asked for is in its log once n4 and n5 have caught up.
    *elect("n1", "n2", 1),
    *_gets("n2", "n1", AppendEntries(1, 0, 0, NOOP, 0), 1),
    asked(*SWAP),
    fires("n1", HeartbeatDue()),
    *_catches_up("n4"),
    *_catches_up("n5"),
    # n2 and n3, a majority of the old three, have not heard of it, and go on to term 2.
    *elect("n2", "n3", 2, (1, 1)),
)

SECOND = (Entry(2),)
THIRD = (Entry(2, Command("n2", 3, Configuration(("n2", "n3", "n4")))),)
R36_PREFIX = (
    # n1 leads term 1: its own log alone says that n4 is gone.
    *elect("n1", "n2", 1),
    *_votes("n1", "n3", RequestVote(1, 0, 0)),
    *_gets("n2", "n1", AppendEntries(1, 0, 0, NOOP, 0), 1),
    *_gets("n3", "n1", AppendEntries(1, 0, 0, NOOP, 0), 1),
    asked(*TWO_REMOVALS[0]),
    # n2 leads term 2, and what n1 had appended is overwritten.
    *elect("n2", "n3", 2, (1, 1)),
    *_votes("n2", "n4", RequestVote(2, 1, 1)),
    arrives("n2", "n1", RequestVote(2, 1, 1)),
    *_gets("n1", "n2", AppendEntries(2, 1, 1, SECOND, 0), 2),
    *_gets("n3", "n2", AppendEntries(2, 1, 1, SECOND, 0), 2),
    # Now n1 is removed: n2 and n4 know.
    asked(*TWO_REMOVALS[1]),
    *_gets("n4", "n2", AppendEntries(2, 1, 1, SECOND, 0), 0, ok=False),
    *_gets("n4", "n2", AppendEntries(2, 0, 0, NOOP + SECOND + THIRD, 2), 3),
    # n1 asks n3, who does not: those two would be a majority of what is not so any more.
    fires("n1", ElectionTimeout()),
    arrives("n1", "n3", RequestVote(3, 2, 2)),
)

R38_WISH = ("n1", AddServer("n3"))
R38_PREFIX = (
    # n1 and n2 vote. n3 is to vote as well: it has all but the entry that says so.
    *elect("n1", "n2", 1),
    *_gets("n2", "n1", AppendEntries(1, 0, 0, NOOP, 0), 1),
    asked(*R38_WISH),
    fires("n1", HeartbeatDue()),
    *_catches_up("n3"),
    arrives(
        "n1",
        "n2",
        AppendEntries(1, 1, 1, (Entry(1, Command("n1", 2, Configuration(("n1", "n2", "n3")))),), 1),
    ),
)

ENOUGH = 100_000
"""States; what is wrong takes less than 20,000."""
ONE_LEADER = (ELECTION_SAFETY, LEADER_ELECTED)
COMPLETE = (LEADER_COMPLETENESS, LEADER_ELECTED)
QUIET: dict[str, Any] = {"HeartbeatDue": 0, "RoundDue": 0}


def _elections(number: int) -> dict[str, int]:
    return {**firing(number), **QUIET}


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "R34",
        "changes members before it has committed in its term",
        "Ongaro, raft-dev, July 2015: bug in single-server membership changes",
        ChangesAtOnce,
        Membership,
        LEADER_COMPLETENESS.name,
        by_prefix(
            servers(4),
            R34_PREFIX,
            properties=COMPLETE,
            invoke=TWO_REMOVALS,
            bound=up_to(3, 3),
            timers=_elections(1),
            states_max=ENOUGH,
        ),
    ),
    Mutant(
        "R35",
        "swaps several servers in one step",
        "Raft §6",
        ChangesInOneStep,
        Membership,
        ELECTION_SAFETY.name,
        by_prefix(
            servers(5, voters=("n1", "n2", "n3")),
            SWAP_PREFIX,
            properties=ONE_LEADER,
            invoke=(SWAP,),
            bound=up_to(2, 3),
            timers=_elections(1),
            states_max=ENOUGH,
        ),
    ),
    Mutant(
        "R36",
        "keeps a configuration that was taken out of its log",
        "canonical/raft #250",
        KeepsWhatWasTaken,
        Membership,
        LEADER_COMPLETENESS.name,
        by_prefix(
            servers(4),
            R36_PREFIX,
            properties=COMPLETE,
            invoke=TWO_REMOVALS,
            bound=up_to(3, 4),
            timers=_elections(1),
            states_max=ENOUGH,
        ),
    ),
    Mutant(
        "R37",
        "counts itself although it has to go",
        "etcd testdata/confchange_v1_remove_leader.txt",
        CountsItself,
        Membership,
        COMMITTED_HELD_BY_QUORUM.name,
        by_search(
            servers(3),
            properties=(COMMITTED_HELD_BY_QUORUM, LEADER_ELECTED),
            invoke=(("n1", RemoveServer("n1")),),
            bound=up_to(1, 2),
            timers=_elections(1),
            states_max=ENOUGH,
        ),
    ),
    Mutant(
        "R38",
        "refuses its vote while it does not know that it has one",
        "etcd PR #10998, testdata/campaign_learner_must_vote.txt",
        VotesOnlyAsAMember,
        Membership,
        VOTES_WHEN_ASKED.name,
        by_prefix(
            servers(3, voters=("n1", "n2")),
            R38_PREFIX,
            properties=(VOTES_WHEN_ASKED, LEADER_ELECTED),
            invoke=(R38_WISH,),
            bound=up_to(2, 3),
            timers=_elections(1),
            states_max=ENOUGH,
        ),
    ),
    Mutant(
        "R39",
        "counts one majority of old and new together",
        "etcd quorum/testdata/joint_commit.txt; Raft §6",
        MergesBoth,
        Membership,
        ELECTION_SAFETY.name,
        by_prefix(
            servers(5, voters=("n1", "n2", "n3")),
            SWAP_PREFIX,
            properties=ONE_LEADER,
            invoke=(SWAP,),
            bound=up_to(2, 3),
            timers=_elections(1),
            states_max=ENOUGH,
        ),
    ),
)
