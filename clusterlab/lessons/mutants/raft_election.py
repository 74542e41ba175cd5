"""Rafts whose elections are wrong: R1 to R11 of the table of published bugs."""

from __future__ import annotations

from typing import Any

from clusterlab.check.invariants.raft import (
    ELECTION_SAFETY,
    ENTRY_COMMITTED,
    LEADER_COMPLETENESS,
    LEADER_ELECTED,
    MORE_THAN_ONE_LEADER,
)
from clusterlab.check.properties import Answer, always
from clusterlab.check.world import Envelope, World
from clusterlab.core.node import NodeId, volatile
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.hunts import arrives, asked, by_prefix, by_search, fires
from clusterlab.lessons.mutants.raft_worlds import (
    STATES_MAX,
    WISH,
    WRITE,
    elect,
    firing,
    servers,
    servers_and_a_client,
    up_to,
)
from clusterlab.protocols.client import Request
from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    Entry,
    HeartbeatDue,
    Raft,
    RequestVote,
    VoteReply,
)


class ForgetsItsVote(Raft):
    """R1: the vote is not on the disk."""

    voted_for: NodeId | None = volatile(None)


class ForgetsItsTerm(Raft):
    """R2: the term is not on the disk."""

    current_term: int = volatile(0)


class CountsOldReplies(Raft):
    """R3: an answer of an earlier term counts in this one."""

    def is_current(self, term: int) -> bool:
        """It does not look."""
        return True


class LeadsOnInAHigherTerm(Raft):
    """R4: a leader that hears of a higher term takes the term over and goes on leading."""

    def see_higher_term(self, term: int) -> None:
        """Nothing but the term changes."""
        self.current_term = term
        self.voted_for = None


class VotesForAll(Raft):
    """R5: who has voted votes again."""

    def grants_vote(self, candidate: NodeId, m: RequestVote) -> bool:
        """It does not look at `voted_for`."""
        return m.term >= self.current_term and self.is_up_to_date(m)


class NeedsHalf(Raft):
    """R6: half of the servers are a quorum; with an odd number nobody notices."""

    @property
    def quorum(self) -> int:
        """Lacks the `+ 1`."""
        return len(self.members) // 2


class IgnoresTheLog(Raft):
    """R7: votes for candidates whose logs lack entries."""

    def is_up_to_date(self, m: RequestVote) -> bool:
        """It does not look."""
        return True


class ComparesLengths(Raft):
    """R8: the longer log is the better one, whatever its last term."""

    def is_up_to_date(self, m: RequestVote) -> bool:
        """It does not look at the terms."""
        return m.last_log_index >= self.last_log_index


class ComparesTerms(Raft):
    """R9: the log with the later last term is the better one; the length does not count."""

    def is_up_to_date(self, m: RequestVote) -> bool:
        """It does not look at the lengths."""
        return m.last_log_term >= self.term_at(self.last_log_index)


class FreesItsVote(Raft):
    """R10: forgets its vote when it hears of the leader."""

    def on_append_entries(self, src: NodeId, m: AppendEntries) -> None:
        """The term goes on, and the vote is given away again."""
        super().on_append_entries(src, m)
        self.voted_for = None


class RefusesARepeatedRequest(Raft):
    """R11: a request that comes twice is granted once and refused once."""

    def grants_vote(self, candidate: NodeId, m: RequestVote) -> bool:
        """It does not look for whom it has voted."""
        return self.voted_for is None and super().grants_vote(candidate, m)


# --- how they are hunted -------------------------------------------------------------------------


def _vote_is_repeated(world: World) -> Answer:
    letters = world.messages
    asked = {(src, dst, m.term) for src, dst, m in letters if isinstance(m, RequestVote)}
    for candidate, voter_id, term in sorted(asked):
        voter = world[voter_id]
        if voter.current_term != term or voter.voted_for != candidate:
            continue
        # A refusal says only in which term the voter was: was it of another request, or of a log?
        if voter.log or any((candidate, voter_id, earlier) in asked for earlier in range(term)):
            continue
        if Envelope(voter_id, candidate, VoteReply(term, False)) in letters:
            return f"{voter_id} has voted for {candidate} in term {term}, and refuses it its vote"
    return True


VOTE_IDEMPOTENT = always(
    "VoteIdempotent",
    _vote_is_repeated,
    reads=("current_term", "voted_for", "log"),
    messages=("RequestVote", "VoteReply"),
)
"""§5.5: "Raft RPCs are idempotent": who asks twice is answered twice alike.

Otherwise a candidate whose first answer is lost can never be elected in its term. In a set network,
which forgets nothing, the messages tell whether a refusal had another reason.
"""

R8_PREFIX = (
    # n1 leads term 1, with a write that it tells nobody of: its log is the longest.
    *elect("n1", "n2", 1),
    asked("c1", WISH),
    arrives("c1", "n1", Request(1, WISH)),
    fires("n1", HeartbeatDue()),
    # n2 leads term 2: its log is the newest.
    *elect("n2", "n3", 2),
)

FIRST = (Entry(1),)
R9_PREFIX = (
    # n1 leads term 1; all have its blank entry, and its second entry of that term is on its way.
    *elect("n1", "n2", 1),
    arrives("n1", "n2", AppendEntries(1, 0, 0, FIRST, 0)),
    arrives("n1", "n3", AppendEntries(1, 0, 0, FIRST, 0)),
    arrives("n2", "n1", AppendReply(1, True, 1)),
    asked("c1", WISH),
    arrives("c1", "n1", Request(1, WISH)),
)

ONE_LEADER = (ELECTION_SAFETY, LEADER_ELECTED)
COMPLETE = (LEADER_COMPLETENESS, LEADER_ELECTED, ENTRY_COMMITTED)

_RESTART: dict[str, Any] = {
    "properties": ONE_LEADER,
    "bound": up_to(1, 1),
    "timers": firing(2),
    "crashes": 1,
}

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "R1",
        "forgets its vote",
        "akka-raft #56; camunda #5356",
        ForgetsItsVote,
        Raft,
        ELECTION_SAFETY.name,
        by_search(servers(3), **_RESTART),
        depth=7,
    ),
    Mutant(
        "R2",
        "forgets its term",
        "raft.tla, commit 496c0a5 (Raft_Term_Not_Persisted)",
        ForgetsItsTerm,
        Raft,
        ELECTION_SAFETY.name,
        by_search(servers(3), **_RESTART),
        depth=7,
    ),
    Mutant(
        "R3",
        "counts votes of an older term",
        "Xraft #33; SandTable Xraft#1",
        CountsOldReplies,
        Raft,
        ELECTION_SAFETY.name,
        by_search(
            servers(3),
            properties=ONE_LEADER,
            bound=up_to(2, 1),
            timers=firing(3),
            states_max=STATES_MAX,
        ),
        depth=7,
    ),
    Mutant(
        "R4",
        "leads on in a higher term",
        "Raft Fig. 2; akka-raft #55",
        LeadsOnInAHigherTerm,
        Raft,
        MORE_THAN_ONE_LEADER.name,
        by_search(
            servers(2),
            properties=(MORE_THAN_ONE_LEADER, LEADER_ELECTED),
            bound=up_to(2, 2),
            timers=firing(2),
        ),
        depth=7,
    ),
    Mutant(
        "R5",
        "votes for all who ask",
        "kerala #18",
        VotesForAll,
        Raft,
        ELECTION_SAFETY.name,
        by_search(servers(3), properties=ONE_LEADER, bound=up_to(1, 1), timers=firing(2)),
        depth=6,
    ),
    Mutant(
        "R6",
        "takes half for a majority",
        "classic; Elasticsearch minimum_master_nodes",
        NeedsHalf,
        Raft,
        ELECTION_SAFETY.name,
        by_search(servers(4), properties=ONE_LEADER, bound=up_to(1, 1), timers=firing(2)),
        depth=6,
    ),
    Mutant(
        "R7",
        "votes without a look at the log",
        "Raft §5.4.1",
        IgnoresTheLog,
        Raft,
        LEADER_COMPLETENESS.name,
        by_search(
            servers(3),
            properties=COMPLETE,
            bound=up_to(2, 2),
            timers=firing(2),
            states_max=STATES_MAX,
        ),
        depth=14,
    ),
    Mutant(
        "R8",
        "takes the longer log for the better",
        "Raft §5.4.1",
        ComparesLengths,
        Raft,
        LEADER_COMPLETENESS.name,
        by_prefix(
            servers_and_a_client,
            R8_PREFIX,
            properties=COMPLETE,
            invoke=WRITE,
            bound=up_to(3, 3),
            timers=firing(1),
            states_max=STATES_MAX,
        ),
        depth=24,
    ),
    Mutant(
        "R9",
        "compares last terms only",
        "Raft §5.4.1",
        ComparesTerms,
        Raft,
        LEADER_COMPLETENESS.name,
        by_prefix(
            servers_and_a_client,
            R9_PREFIX,
            properties=COMPLETE,
            invoke=WRITE,
            bound=up_to(2, 2),
            timers=firing(1),
        ),
    ),
    Mutant(
        "R10",
        "frees its vote when it hears the leader",
        "folklore of Raft Q&A",
        FreesItsVote,
        Raft,
        ELECTION_SAFETY.name,
        by_search(servers(3), properties=ONE_LEADER, bound=up_to(1, 1), timers=firing(2, 1)),
        depth=8,
    ),
    Mutant(
        "R11",
        "refuses who asks again",
        "nebula PR #2419",
        RefusesARepeatedRequest,
        Raft,
        VOTE_IDEMPOTENT.name,
        by_search(
            servers(2),
            properties=(VOTE_IDEMPOTENT, LEADER_ELECTED),
            bound=up_to(3, 1),
            timers=firing(4),
        ),
    ),
)
