"""Wrong servers, each a bug in a line or two: the paper tests must notice them.

A test that passes on every server says nothing. Most of them are those of the bug zoo
(`clusterlab/lessons/mutants`), where searches must find them too; a few more stand here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusterlab.core.errors import HandlerRaised
from clusterlab.core.node import NodeId, durable, volatile
from clusterlab.lessons.mutants.clients import ReadsItsOwnState, RemembersNoSession
from clusterlab.lessons.mutants.raft_election import (
    ComparesLengths,
    ComparesTerms,
    CountsOldReplies,
    ForgetsItsTerm,
    ForgetsItsVote,
    FreesItsVote,
    IgnoresTheLog,
    LeadsOnInAHigherTerm,
    NeedsHalf,
    RefusesARepeatedRequest,
    VotesForAll,
)
from clusterlab.lessons.mutants.raft_replication import (
    AcknowledgesItsOwnLog,
    AlwaysTruncates,
    BelievesTheLastReply,
    CommitsOldTerms,
    GoesBackForEachRefusal,
    LetsTheCommitIndexFall,
    NeverTruncates,
    ObeysOldLeaders,
    StopsAtAnOldTerm,
    TrustsLeaderCommit,
)
from clusterlab.protocols.client import Request
from clusterlab.protocols.raft import (
    Command,
    Entry,
    HeartbeatDue,
    Raft,
    VoteReply,
)
from tests.protocols import bench
from tests.protocols import test_raft_paper_election as election
from tests.protocols import test_raft_paper_log as log
from tests.protocols import test_raft_paper_safety as safety


class ForgetsItsLog(Raft):
    log: tuple[Entry, ...] = volatile(())


class CountsRefusals(Raft):
    def on_vote_reply(self, src: NodeId, m: VoteReply) -> None:
        super().on_vote_reply(src, VoteReply(m.term, True))


class KeepsConflicts(Raft):
    def take_over(self, prev: int, entries: tuple[Entry, ...]) -> None:
        self.log += entries[max(0, self.last_log_index - prev) :]


class NeverGoesBack(Raft):
    def back_up(self, peer: NodeId, hint: int) -> None:
        pass


class NeverSendsAgain(Raft):
    def on_heartbeat_due(self, t: HeartbeatDue) -> None:
        super().on_heartbeat_due(t)
        self.unanswered = dict.fromkeys(self.unanswered, 0)


class AcceptsWithoutPredecessor(Raft):
    def has_entry(self, index: int, term: int) -> bool:
        return True


class ExecutesRepetitions(Raft):
    def is_new(self, command: Command) -> bool:
        return True


class AppendsRepetitions(Raft):
    def on_request(self, src: NodeId, m: Request) -> None:
        self.waiting.pop(src, None)
        super().on_request(src, m)


class AnswersBeforeCommitment(Raft):
    def append(self, entries: tuple[Entry, ...]) -> None:
        super().append(entries)
        if self.commit_index < self.last_log_index and self.match_index:
            self.commit(self.last_log_index)


class BeginsWithoutBlankEntry(Raft):
    def append(self, entries: tuple[Entry, ...]) -> None:
        super().append(tuple(entry for entry in entries if entry.command is not None))


class AppliesNoSession(Raft):
    sessions: dict[NodeId, Any] = durable({})


class KeepsWaitersAfterwards(Raft):
    def forget_leadership(self) -> None:
        waiting = self.waiting
        super().forget_leadership()
        self.waiting = waiting


MUTANTS: list[tuple[type[Raft], Callable[[], None]]] = [
    (ForgetsItsVote, safety.test_a_vote_is_on_disk_before_it_is_told),
    (ForgetsItsTerm, safety.test_terms_votes_and_log_survive_a_crash_and_nothing_else_does),
    (ForgetsItsLog, safety.test_a_restarted_server_rebuilds_its_application_from_the_log),
    (CountsOldReplies, election.test_votes_of_an_earlier_election_do_not_count),
    (CountsOldReplies, log.test_replies_of_an_earlier_term_are_ignored),
    (LeadsOnInAHigherTerm, election.test_who_steps_down_waits_for_a_leader_again),
    (VotesForAll, election.test_votes_go_to_the_first_who_asks),
    (VotesForAll, lambda: election.test_candidates_and_leaders_vote_for_no_other("leader")),
    (NeedsHalf, lambda: election.test_a_candidate_wins_with_votes_of_a_majority(4, 2)),
    (IgnoresTheLog, lambda: safety.test_a_voter_with_a_better_log_refuses((1,), (0, 0), False)),
    (ComparesLengths, lambda: safety.test_a_voter_with_a_better_log_refuses((1, 2), (9, 1), False)),
    (ComparesTerms, lambda: safety.test_a_voter_with_a_better_log_refuses((1, 1), (1, 1), False)),
    (FreesItsVote, election.test_hearing_of_the_leader_does_not_free_the_vote),
    (RefusesARepeatedRequest, election.test_the_same_candidate_may_ask_again),
    (CountsRefusals, election.test_a_refusal_is_no_vote),
    (CommitsOldTerms, safety.test_entries_of_earlier_terms_are_not_committed_by_counting),
    (ObeysOldLeaders, lambda: election.test_requests_of_an_old_term_are_rejected("follower")),
    (AlwaysTruncates, log.test_entries_that_are_there_already_stay_with_what_follows),
    (NeverTruncates, log.test_conflicting_entries_are_deleted_with_all_that_follow),
    (KeepsConflicts, log.test_conflicting_entries_are_deleted_with_all_that_follow),
    (TrustsLeaderCommit, log.test_a_follower_commits_no_further_than_the_last_new_entry),
    (StopsAtAnOldTerm, safety.test_an_entry_of_the_leaders_term_commits_those_before_it),
    (LetsTheCommitIndexFall, log.test_the_commit_index_never_falls),
    (BelievesTheLastReply, log.test_an_acknowledgement_that_comes_late_takes_nothing_back),
    (AcknowledgesItsOwnLog, log.test_a_follower_acknowledges_what_it_was_sent_and_not_what_it_has),
    (GoesBackForEachRefusal, log.test_a_refusal_that_comes_late_or_twice_changes_nothing),
    (NeverGoesBack, log.test_after_a_refusal_the_leader_goes_back_and_tries_again),
    (NeverSendsAgain, log.test_entries_that_were_lost_are_sent_again),
    (AcceptsWithoutPredecessor, lambda: log.test_entries_need_their_predecessor((3, 1))),
    (
        RemembersNoSession,
        safety.test_a_command_that_was_executed_is_answered_and_not_executed_again,
    ),
    (ReadsItsOwnState, safety.test_reads_take_the_way_of_writes),
    (ExecutesRepetitions, safety.test_a_command_that_stands_in_the_log_twice_is_executed_once),
    (AppendsRepetitions, safety.test_a_repetition_that_waits_already_is_not_appended_again),
    (AnswersBeforeCommitment, log.test_an_entry_is_committed_once_a_majority_holds_it),
    (BeginsWithoutBlankEntry, safety.test_a_leader_begins_with_a_blank_entry),
    (AppliesNoSession, safety.test_terms_votes_and_log_survive_a_crash_and_nothing_else_does),
    (KeepsWaitersAfterwards, safety.test_who_loses_the_leadership_forgets_who_waits),
]  # fmt: skip


@pytest.mark.parametrize(("mutant", "test"), MUTANTS, ids=lambda value: value.__name__)
def test_a_wrong_server_is_noticed(
    mutant: type[Raft], test: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    test()
    monkeypatch.setattr(bench, "RAFT", mutant)

    with pytest.raises((AssertionError, HandlerRaised)):
        test()
