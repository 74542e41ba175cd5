"""Wrong nodes, each a classic bug of Paxos in a line or two: the paper tests notice them.

Five of those from the zoo survive an exhaustive search with two ballots, one even with three;
a test that names its sentence finds each at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest

from clusterlab.core.errors import HandlerRaised
from clusterlab.core.node import Node, NodeId, volatile
from clusterlab.lessons.mutants.paxos import (
    AcceptsWithoutPromising,
    AddsUpBallots,
    ComparesWithWhatItAccepted,
    CountsPromisesOfOtherBallots,
    ForgetsItsPromise,
    ForgetsWhatItAccepted,
    IgnoresItsPromise,
    IsContentWithHalf,
    KeepsItsFirstValue,
    PicksTheLowestBallot,
    PicksTheMostFrequentValue,
    PrefersItsOwnValue,
    SharesItsNumbers,
)
from clusterlab.protocols.paxos import (
    Accepted,
    Acceptor,
    Ballot,
    Learner,
    Promise,
    Proposer,
)
from tests.protocols import bench
from tests.protocols import test_paxos_paper as paper


class PromisesAnything(Acceptor):
    def may_promise(self, ballot: Ballot) -> bool:
        return True


class ReportsNothing(Acceptor):
    def send(self, dst: NodeId, m: Any) -> None:
        super().send(dst, Promise(m.ballot, None) if isinstance(m, Promise) else m)


class ForgetsItsRound(Proposer):
    round: int = volatile(0)


class ProposesForEachPromise(Proposer):
    def on_promise(self, src: NodeId, m: Promise) -> None:
        self.proposed = None
        super().on_promise(src, m)


class LearnsFromHalf(Learner):
    def has_quorum(self, votes: Collection[NodeId]) -> bool:
        return len(votes) >= len(self.acceptors) // 2


class CountsMessages(Learner):
    def on_accepted(self, src: NodeId, m: Accepted) -> None:
        votes = self.votes.setdefault(m.ballot, set())
        super().on_accepted(f"a{len(votes) + 1}", m)


LOW = Ballot(2, "p1")

MUTANTS: list[tuple[type[Node], Callable[[], None]]] = [
    (IgnoresItsPromise, paper.test_an_acceptor_keeps_its_promise),
    (PromisesAnything, lambda: paper.test_an_acceptor_promises_only_higher_ballots(LOW)),
    (ComparesWithWhatItAccepted, paper.test_a_promise_after_accepting_is_kept),
    (AcceptsWithoutPromising, paper.test_accepting_is_a_promise_too),
    (KeepsItsFirstValue, paper.test_an_acceptor_may_accept_many_times),
    (ForgetsItsPromise, paper.test_a_promise_and_what_was_accepted_survive_a_crash),
    (ForgetsWhatItAccepted, paper.test_a_promise_and_what_was_accepted_survive_a_crash),
    (ReportsNothing, paper.test_an_acceptor_reports_what_it_has_accepted),
    (PrefersItsOwnValue, paper.test_the_highest_reported_proposal_binds),
    (PicksTheLowestBallot, paper.test_the_highest_reported_proposal_binds),
    (PicksTheMostFrequentValue, paper.test_the_highest_reported_proposal_binds),
    (CountsPromisesOfOtherBallots, paper.test_promises_for_another_ballot_do_not_count),
    (SharesItsNumbers, paper.test_a_proposer_begins_by_asking_for_promises),
    (ForgetsItsRound, paper.test_a_number_is_never_used_again_even_after_a_crash),
    (ProposesForEachPromise, paper.test_an_accept_request_goes_out_once_a_ballot),
    (IsContentWithHalf, lambda: paper.test_a_proposer_needs_promises_of_a_majority(4, 3)),
    (LearnsFromHalf, lambda: paper.test_a_value_is_chosen_when_a_majority_has_accepted_it(4, 3)),
    (AddsUpBallots, paper.test_acceptances_of_two_ballots_are_not_added_up),
    (CountsMessages, lambda: paper.test_a_value_is_chosen_when_a_majority_has_accepted_it(3, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("mutant", "test"), MUTANTS, ids=lambda value: value.__name__)
def test_a_wrong_node_is_noticed(
    mutant: type[Node], test: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    test()
    monkeypatch.setattr(bench, mutant.__bases__[0].__name__.upper(), mutant)

    with pytest.raises((AssertionError, HandlerRaised)):
        test()
