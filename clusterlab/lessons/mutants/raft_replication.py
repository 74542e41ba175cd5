"""Rafts whose replication is wrong: R15 to R24 of the table of published bugs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from clusterlab.check.invariants.raft import (
    ENTRY_COMMITTED,
    INDICES_IN_ORDER,
    LEADER,
    LEADER_COMPLETENESS,
    LEADER_ELECTED,
    MONOTONIC,
    QUORUM_LOG_INV,
)
from clusterlab.check.invariants.raft_logs import servers as servers_of
from clusterlab.check.properties import Answer, always
from clusterlab.check.world import World
from clusterlab.core.node import NodeId
from clusterlab.core.quorum import majority
from clusterlab.experiments.fuzz import Trial
from clusterlab.experiments.fuzz_subjects import CONVERGES
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.hunts import arrives, by_prefix, by_search, by_seeds
from clusterlab.lessons.mutants.raft_worlds import STATES_MAX, elect, firing, servers, up_to
from clusterlab.protocols.raft import AppendEntries, AppendReply, Entry, Raft, RequestVote


class CommitsOldTerms(Raft):
    """R15: commits entries of earlier terms by counting them (Figure 8)."""

    def may_commit(self, index: int) -> bool:
        """It does not look at the term."""
        return True


class ObeysOldLeaders(Raft):
    """R16: takes entries from the leader of an older term."""

    def on_append_entries(self, src: NodeId, m: AppendEntries) -> None:
        """Who does not lead itself takes any leader for that of its own term."""
        if self.role != LEADER:
            m = replace(m, term=max(m.term, self.current_term))
        super().on_append_entries(src, m)


class AlwaysTruncates(Raft):
    """R17: cuts its log off behind the entries that it was sent."""

    def take_over(self, prev: int, entries: tuple[Entry, ...]) -> None:
        """It does not look whether anything conflicts."""
        self.truncate(prev)
        self.log += entries


class NeverTruncates(Raft):
    """R18: keeps entries that conflict, and appends behind them."""

    def truncate(self, last: int) -> None:
        """Nothing goes."""


class TrustsLeaderCommit(Raft):
    """R19: commits as far as the leader has, even entries that it was not sent."""

    def follow_commit(self, leader_commit: int, last_new: int) -> None:
        """Takes its own last entry for the last new one."""
        super().follow_commit(leader_commit, self.last_log_index)


class LetsTheCommitIndexFall(Raft):
    """R20: takes over whatever the leader says to have committed, even less than before."""

    def follow_commit(self, leader_commit: int, last_new: int) -> None:
        """Lacks the `max`."""
        super().follow_commit(leader_commit, last_new)
        self.commit_index = min(leader_commit, last_new)


class BelievesTheLastReply(Raft):
    """R21: a late answer takes back what an earlier one said."""

    def record_match(self, peer: NodeId, index: int) -> None:
        """Lacks the `max`."""
        super().record_match(peer, index)
        self.match_index[peer] = index
        self.next_index[peer] = index + 1


class AcknowledgesItsOwnLog(Raft):
    """R22: acknowledges its whole log, and not only what it was sent."""

    def acknowledge(self, leader: NodeId, last_new: int) -> None:
        """Its last entries may be of an earlier leader."""
        super().acknowledge(leader, self.last_log_index)


class GoesBackForEachRefusal(Raft):
    """R23: goes back for a refusal that comes late or twice."""

    def back_up(self, peer: NodeId, hint: int) -> None:
        """It does not look at what is known to match."""
        self.next_index[peer] = max(1, self.next_index[peer] - 1)
        self.unanswered.pop(peer, None)


class StopsAtAnOldTerm(Raft):
    """R24: looks for what to commit, and stops at the first entry of an earlier term."""

    def advance_commit_index(self) -> None:
        """Breaks off where it should go on."""
        held = sorted((self.last_log_index, *self.match_index.values()), reverse=True)
        for index in range(self.commit_index + 1, held[self.quorum - 1] + 1):
            if not self.may_commit(index):
                break
            self.commit(index)


# --- how they are hunted -------------------------------------------------------------------------


def _what_counts_is_committed(world: World) -> Answer:
    everyone = servers_of(world)
    for leader in everyone:
        if leader.role != LEADER:
            continue
        held = sorted((len(leader.log), *leader.match_index.values()), reverse=True)
        index = held[majority(len(everyone)) - 1]
        if index > leader.commit_index and leader.log[index - 1].term == leader.current_term:
            return (
                f"{leader.id} knows that a majority holds entry {index} of its own term "
                f"{leader.current_term}, and has committed {leader.commit_index}"
            )
    return True


COMMITS_WHAT_A_MAJORITY_HOLDS = always(
    "CommitsWhatAMajorityHolds",
    _what_counts_is_committed,
    reads=("current_term", "role", "log", "commit_index", "match_index"),
)
"""Fig. 2: "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
log[N].term == currentTerm: set commitIndex = N". Who does not is stuck: nothing safe is lost, and
nothing is ever committed again."""

FIGURE_8 = (
    # (a) n1 leads term 1 with an entry that nobody else has.
    *elect("n1", "n2", 1),
    # (b) n2 leads term 2 and has another entry there.
    *elect("n2", "n3", 2),
    arrives("n2", "n1", RequestVote(2, 0, 0)),
    # (c) n1 leads term 3, and copies its entry from term 1 to n3: a majority holds it.
    *elect("n1", "n3", 3, (1, 1)),
    arrives("n1", "n3", AppendEntries(3, 1, 1, (Entry(3),), 0)),
    arrives("n3", "n1", AppendReply(3, False, 0)),
    arrives("n1", "n3", AppendEntries(3, 0, 0, (Entry(1),), 0)),
    arrives("n3", "n1", AppendReply(3, True, 1)),
)


def storm_and_peace(server: type[Raft]) -> Trial:
    """Three servers in a short storm, and then at peace: all must be committed everywhere."""
    return Trial(partial(server.group, 3), properties=(CONVERGES, *HAPPENS), storm_ms=1_000)


HAPPENS = (LEADER_ELECTED, ENTRY_COMMITTED)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "R15",
        "commits old terms by counting",
        "Raft Figure 8; LogCabin #44, PySyncObj #169",
        CommitsOldTerms,
        Raft,
        LEADER_COMPLETENESS.name,
        by_prefix(
            servers(3, entries_max=1),  # so that the old entry travels alone
            FIGURE_8,
            properties=(LEADER_COMPLETENESS, *HAPPENS),
            bound=up_to(4, 2),
            timers=firing(1),
            states_max=STATES_MAX,
        ),
        depth=28,
    ),
    Mutant(
        "R16",
        "obeys leaders of older terms",
        "Raft Fig. 2",
        ObeysOldLeaders,
        Raft,
        QUORUM_LOG_INV.name,
        by_search(
            servers(3),
            properties=(QUORUM_LOG_INV, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2),
            states_max=STATES_MAX,
        ),
        depth=14,
    ),
    Mutant(
        "R17",
        "always truncates",
        "RaftOS #26",
        AlwaysTruncates,
        Raft,
        QUORUM_LOG_INV.name,
        by_search(
            servers(3),
            properties=(QUORUM_LOG_INV, *HAPPENS),
            bound=up_to(1, 1),
            timers=firing(1, 1),
        ),
        depth=9,
    ),
    Mutant(
        "R18",
        "never truncates",
        "Raft Fig. 2",
        NeverTruncates,
        Raft,
        QUORUM_LOG_INV.name,
        by_search(
            servers(3),
            properties=(QUORUM_LOG_INV, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2),
            states_max=STATES_MAX,
        ),
        depth=13,
    ),
    Mutant(
        "R19",
        "commits what it was not sent",
        "scylladb #9965, copycat PR #266, CCF PR #8172",
        TrustsLeaderCommit,
        Raft,
        LEADER_COMPLETENESS.name,
        by_search(
            servers(3),
            properties=(LEADER_COMPLETENESS, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2, 1),
            states_max=STATES_MAX,
        ),
        depth=13,
    ),
    Mutant(
        "R20",
        "lets its commit index fall",
        "PySyncObj #166",
        LetsTheCommitIndexFall,
        Raft,
        MONOTONIC.name,
        by_search(
            servers(2),
            properties=(MONOTONIC, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2, 2),
        ),
        depth=13,
    ),
    Mutant(
        "R21",
        "lets a late reply take back a match",
        "RaftOS #25; PySyncObj #167",
        BelievesTheLastReply,
        Raft,
        MONOTONIC.name,
        by_search(
            servers(2),
            properties=(MONOTONIC, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2, 2),
        ),
        depth=10,
    ),
    Mutant(
        "R22",
        "acknowledges what it was not sent",
        "CCF PR #6001, #6016",
        AcknowledgesItsOwnLog,
        Raft,
        QUORUM_LOG_INV.name,
        by_search(
            servers(3),
            properties=(QUORUM_LOG_INV, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2, 1),
            states_max=STATES_MAX,
        ),
        depth=11,
    ),
    Mutant(
        "R23",
        "goes back for each refusal",
        "etcd raft, commit 91ff7cd",
        GoesBackForEachRefusal,
        Raft,
        INDICES_IN_ORDER.name,
        by_search(
            servers(2),
            properties=(INDICES_IN_ORDER, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2),
            crashes=1,
        ),
    ),
    Mutant(
        "R24",
        "stops counting at an old term",
        "RaftOS #30",
        StopsAtAnOldTerm,
        Raft,
        COMMITS_WHAT_A_MAJORITY_HOLDS.name,
        by_search(
            servers(2),
            properties=(COMMITS_WHAT_A_MAJORITY_HOLDS, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2),
            crashes=1,
        ),
        depth=31,
    ),
    Mutant(
        "R24b",
        "the same, as its users see it: stuck",
        "RaftOS #30",
        StopsAtAnOldTerm,
        Raft,
        CONVERGES.name,
        by_seeds(storm_and_peace, range(100)),
    ),
)
