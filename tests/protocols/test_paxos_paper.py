"""Single-decree Paxos, sentence by sentence: Lamport 2001, "Paxos Made Simple".

Each test is one sentence of the paper: it sets a node up, acts, and checks.
`test_paxos_mutants.py` shows that the tests fail on nodes that break the sentence.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import WORLD
from clusterlab.protocols.paxos import (
    Accept,
    Accepted,
    Nack,
    Prepare,
    Promise,
    Proposal,
    ProposalOverdue,
    Propose,
)
from tests.protocols.bench import Bench, acceptor, ballot, learner, proposer


def promised(bench: Bench, *acceptors: str, accepted: Proposal | None = None) -> Bench:
    """These acceptors promise the ballot that the proposer is at."""
    for name in acceptors:
        bench.receive(name, Promise(bench.node.ballot, accepted))
    return bench


# --- 2.2 Choosing a value: the acceptor ---


def test_an_acceptor_promises_the_first_ballot_it_sees() -> None:
    """An acceptor responds to a prepare request with a promise not to accept any more proposals
    numbered less than n and with the highest-numbered proposal (if any) that it has accepted.

    Reference: section 2.2, phase 1 (b)
    """
    bench = acceptor()

    bench.receive("p1", Prepare(ballot(1)))

    assert bench.sent(Promise) == [("p1", Promise(ballot(1), None))]
    assert bench.saves() == {"promised": ballot(1)}


def test_an_acceptor_reports_what_it_has_accepted() -> None:
    """... with the highest-numbered proposal (if any) that it has accepted.

    Reference: section 2.2, phase 1 (b)
    """
    bench = acceptor().receive("p1", Accept(ballot(1), "x"), Accept(ballot(2), "y"))

    bench.receive("p2", Prepare(ballot(3, "p2")))

    assert bench.only(Promise) == Promise(ballot(3, "p2"), Proposal(ballot(2), "y"))


@pytest.mark.parametrize("low", [ballot(1, "p9"), ballot(2, "p1"), ballot(2, "p2")])
def test_an_acceptor_promises_only_higher_ballots(low: Any) -> None:
    """If an acceptor receives a prepare request with number n greater than that of any prepare
    request to which it has already responded, then it responds.

    Reference: section 2.2, phase 1 (b)
    """
    bench = acceptor(promised=ballot(2, "p2"))

    bench.receive("p1", Prepare(low))

    assert bench.sent(Promise) == []
    assert bench.only(Nack) == Nack(low, ballot(2, "p2"))
    assert bench.saves() == {}


@pytest.mark.parametrize("high", [ballot(2, "p2"), ballot(2, "p3"), ballot(3, "p1")])
def test_an_acceptor_accepts_unless_it_promised_a_higher_ballot(high: Any) -> None:
    """An acceptor accepts the proposal unless it has already responded to a prepare request having
    a number greater than n.

    Reference: section 2.2, phase 2 (b)
    """
    bench = acceptor(promised=ballot(2, "p2"))

    bench.receive("p1", Accept(high, "x"))

    assert bench.node.accepted == Proposal(high, "x")
    assert bench.saves()["accepted"] == Proposal(high, "x")


def test_an_acceptor_keeps_its_promise() -> None:
    """P1a: an acceptor can accept a proposal numbered n iff it has not responded to a prepare
    request having a number greater than n.

    Reference: section 2.2
    """
    bench = acceptor().receive("p2", Prepare(ballot(1, "p2")))

    bench.receive("p1", Accept(ballot(1, "p1"), "x"))

    assert (bench.node.accepted, bench.sent(Accepted)) == (None, [])


def test_a_promise_after_accepting_is_kept() -> None:
    """It is the promise that counts, not what was accepted last.

    Reference: section 2.2
    """
    bench = acceptor().receive("p1", Accept(ballot(1), "x"), Prepare(ballot(5)))

    bench.receive("p2", Accept(ballot(3, "p2"), "y"))

    assert bench.node.accepted == Proposal(ballot(1), "x")


def test_accepting_is_a_promise_too() -> None:
    """An acceptor that accepted a proposal ignores prepare requests with lower numbers: whoever
    sent them would be told a proposal above its own.

    Reference: section 2.2
    """
    bench = acceptor().receive("p2", Accept(ballot(5, "p2"), "y"))

    bench.receive("p1", Prepare(ballot(4)))
    bench.receive("p1", Accept(ballot(4), "x"))

    assert bench.node.accepted == Proposal(ballot(5, "p2"), "y")
    assert bench.sent(Accepted) == []


def test_an_acceptor_may_accept_many_times() -> None:
    """We must allow an acceptor to accept more than one proposal.

    Reference: section 2.2
    """
    bench = acceptor().receive("p1", Accept(ballot(1), "x"))

    bench.receive("p2", Accept(ballot(2, "p2"), "y"))

    assert bench.node.accepted == Proposal(ballot(2, "p2"), "y")


def test_a_promise_and_what_was_accepted_survive_a_crash() -> None:
    """An acceptor must remember this information even if it fails and then restarts.

    Reference: section 2.2
    """
    bench = acceptor().receive("p1", Accept(ballot(1), "x"), Prepare(ballot(7)))

    bench.restart().receive("p2", Accept(ballot(6, "p2"), "y"))
    refused = bench.only(Nack)
    bench.receive("p2", Prepare(ballot(8, "p2")))

    assert refused == Nack(ballot(6, "p2"), ballot(7))
    assert bench.only(Promise).accepted == Proposal(ballot(1), "x")


def test_an_acceptor_writes_down_its_response_before_sending_it() -> None:
    """It records its intended response in stable storage before actually sending the response.

    Reference: section 2.5
    """
    bench = acceptor()

    saved = [
        bench.receive("p1", Prepare(ballot(2))).saves(),
        bench.receive("p1", Accept(ballot(2), "x")).saves(),
    ]

    assert saved == [{"promised": ballot(2)}, {"accepted": Proposal(ballot(2), "x")}]


def test_an_acceptor_tells_who_is_too_low() -> None:
    """If an acceptor ignores a request because it has already received a prepare request with a
    higher number, then it should probably inform the proposer.

    Reference: section 2.2
    """
    bench = acceptor(promised=ballot(3, "p2"))

    bench.receive("p1", Accept(ballot(1), "x"))

    assert bench.sent(Nack) == [("p1", Nack(ballot(1), ballot(3, "p2")))]


# --- 2.2 Choosing a value: the proposer ---


def test_a_proposer_begins_by_asking_for_promises() -> None:
    """A proposer selects a proposal number n and sends a prepare request with number n.

    Reference: section 2.2, phase 1 (a)
    """
    bench = proposer()

    assert bench.sent(Prepare) == [(f"a{i}", Prepare(ballot(1))) for i in (1, 2, 3)]
    assert bench.told_world() == [Invoked(Propose("mine"))]
    assert bench.saves() == {"round": 1}


@pytest.mark.parametrize(("size", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_proposer_needs_promises_of_a_majority(size: int, needed: int) -> None:
    """If the proposer receives a response to its prepare requests from a majority of acceptors,
    then it sends an accept request.

    Reference: section 2.2, phase 2 (a)
    """
    bench = proposer(acceptors=size)

    for i in range(1, needed + 1):
        assert bench.sent(Accept) == []
        promised(bench, f"a{i}")

    assert [dst for dst, _ in bench.sent(Accept)] == [f"a{i}" for i in range(1, size + 1)]


def test_a_promise_that_arrives_twice_counts_once() -> None:
    """A majority of acceptors, not of messages.

    Reference: section 2.2
    """
    bench = promised(proposer(), "a1", "a1", "a1")

    assert bench.sent(Accept) == []


def test_promises_for_another_ballot_do_not_count() -> None:
    """... a response to its prepare requests (numbered n).

    Reference: section 2.2, phase 2 (a)
    """
    bench = promised(proposer(), "a1")
    bench.fire(ProposalOverdue())

    bench.receive("a2", Promise(ballot(1), None)).receive("a3", Promise(ballot(1), None))

    assert (bench.node.ballot, bench.sent(Accept)) == (ballot(2), [])


def test_without_earlier_proposals_the_value_is_free() -> None:
    """v is any value if the responses reported no proposals.

    Reference: section 2.2, phase 2 (a)
    """
    bench = promised(proposer("mine"), "a1", "a3")

    assert bench.only_value(Accept) == Accept(ballot(1), "mine")


def test_the_highest_reported_proposal_binds() -> None:
    """v is the value of the highest-numbered proposal among the responses.

    Reference: section 2.2, phase 2 (a)
    """
    reports = [
        ("a1", Proposal(ballot(2, "p2"), "low")),
        ("a2", Proposal(ballot(4, "p2"), "high")),
        ("a3", Proposal(ballot(2, "p2"), "low")),
    ]

    for order in itertools.permutations(reports):
        bench = proposer("mine", acceptors=5, round=5)
        for name, accepted in order:
            promised(bench, name, accepted=accepted)
        assert bench.only_value(Accept) == Accept(ballot(6), "high")


def test_an_accept_request_goes_out_once_a_ballot() -> None:
    """A proposal is a number and a value: late promises must not bring a second value under it.

    Reference: section 2.2 (P2c)
    """
    bench = promised(proposer("mine"), "a1", "a2")

    promised(bench, "a3", accepted=Proposal(ballot(0, "p2"), "other"))

    assert bench.sent(Accept) == []


def test_no_two_proposers_use_the_same_number() -> None:
    """Different proposers choose their numbers from disjoint sets of numbers.

    Reference: section 2.5
    """
    first, second = ballot(1, "p1"), ballot(1, "p2")

    assert first != second
    assert first < second < ballot(2, "p1")


def test_a_number_is_never_used_again_even_after_a_crash() -> None:
    """Each proposer remembers (in stable storage) the highest-numbered proposal it has tried to
    issue and begins phase 1 with a higher proposal number than any it has already used.

    Reference: section 2.5
    """
    bench = proposer().fire(ProposalOverdue())

    bench.restart().receive(WORLD, Invoke(Propose("again")))

    assert {m.ballot for _, m in bench.sent(Prepare)} == {ballot(3)}


def test_an_overtaken_proposer_abandons_its_proposal_and_goes_higher() -> None:
    """If some proposer has begun trying to issue a higher-numbered one, it is probably a good idea
    to abandon a proposal.

    Reference: section 2.2
    """
    bench = proposer().receive("a1", Nack(ballot(1), ballot(6, "p2")))

    promised_late = bench.receive("a2", Promise(ballot(1), None)).receive(
        "a3", Promise(ballot(1), None)
    )
    assert promised_late.sent(Accept) == []
    bench.fire(ProposalOverdue())

    assert {m.ballot for _, m in bench.sent(Prepare)} == {ballot(7)}


def test_old_news_of_being_overtaken_is_ignored() -> None:
    """A proposer can abandon a proposal at any time; but not because of an answer to an earlier
    one.

    Reference: section 2.2
    """
    bench = proposer().fire(ProposalOverdue())

    bench.receive("a1", Nack(ballot(1), ballot(1, "p2")))

    assert bench.node.ballot == ballot(2)


def test_proposers_wait_for_a_time_drawn_at_random() -> None:
    """Two proposers each keep issuing a sequence of proposals with increasing numbers, none of
    which are ever chosen: unless one of them waits longer than the other.

    Reference: section 2.4
    """
    bench = proposer()
    begun = bench.set_timers()

    bench.receive("a1", Nack(ballot(1), ballot(2, "p2")))

    assert begun == bench.set_timers() == {"ProposalOverdue": (100, 300)}


# --- 2.3 Learning a chosen value ---


def test_acceptors_tell_all_learners_what_they_accept() -> None:
    """Have each acceptor, whenever it accepts a proposal, respond to all learners, sending them the
    proposal.

    Reference: section 2.3
    """
    bench = acceptor()

    bench.receive("p1", Accept(ballot(1), "x"))

    assert bench.sent(Accepted) == [
        ("l1", Accepted(ballot(1), "x")),
        ("l2", Accepted(ballot(1), "x")),
    ]


@pytest.mark.parametrize(("size", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_value_is_chosen_when_a_majority_has_accepted_it(size: int, needed: int) -> None:
    """A learner must find out that a proposal has been accepted by a majority of acceptors.

    Reference: section 2.3
    """
    bench = learner(size)

    for i in range(1, needed + 1):
        assert bench.node.chosen is None
        bench.receive(f"a{i}", Accepted(ballot(1), "x"), Accepted(ballot(1), "x"))

    assert bench.node.chosen == Proposal(ballot(1), "x")


def test_acceptances_of_two_ballots_are_not_added_up() -> None:
    """A proposal is chosen, not a value: two acceptors with the same value of two ballots choose
    nothing.

    Reference: section 2.2
    """
    bench = learner()

    bench.receive("a1", Accepted(ballot(1), "x")).receive("a2", Accepted(ballot(2), "x"))

    assert bench.node.chosen is None


def test_what_was_chosen_stays_chosen() -> None:
    """Only a single value is chosen; later ballots choose it again.

    Reference: section 2.1
    """
    bench = learner()
    bench.receive("a1", Accepted(ballot(1), "x")).receive("a2", Accepted(ballot(1), "x"))
    noted = bench.notes("chosen")

    bench.receive("a2", Accepted(ballot(2), "x")).receive("a3", Accepted(ballot(2), "x"))

    assert noted == [Proposal(ballot(1), "x")]
    assert (bench.node.chosen, bench.notes("chosen")) == (Proposal(ballot(1), "x"), [])


def test_a_learner_shows_it_when_agreement_is_broken() -> None:
    """Only a single value is chosen: a second one is a note in the trace for every check to find.

    Reference: section 2.1
    """
    bench = learner()
    bench.receive("a1", Accepted(ballot(1), "x")).receive("a2", Accepted(ballot(1), "x"))

    bench.receive("a2", Accepted(ballot(2), "y")).receive("a3", Accepted(ballot(2), "y"))

    assert bench.notes("chosen") == [Proposal(ballot(2), "y")]
    assert bench.node.chosen == Proposal(ballot(1), "x")


def test_a_user_is_told_what_was_chosen() -> None:
    """A process never learns that a value has been chosen unless it actually has been.

    Reference: section 2.1
    """
    bench = promised(proposer("mine"), "a1", "a2").receive("a1", Accepted(ballot(1), "mine"))
    too_early = bench.told_world()

    bench.receive("a2", Accepted(ballot(1), "mine"))

    assert too_early == []
    assert bench.told_world() == [Returned("ok", "mine")]
    assert bench.node.status()["label"] == "chosen: mine"


def test_a_user_may_be_told_the_value_of_another() -> None:
    """Only a single value is chosen, whoever proposed it.

    Reference: section 2.1
    """
    bench = proposer("mine")

    bench.receive("a1", Accepted(ballot(9, "p2"), "theirs"))
    bench.receive("a2", Accepted(ballot(9, "p2"), "theirs"))

    assert bench.told_world() == [Returned("ok", "theirs")]


def test_wishes_are_seen_to_one_at_a_time() -> None:
    """One operation of a user at a time; once a value is chosen, all get the same answer.

    Reference: section 2.1
    """
    bench = proposer("first")
    bench.receive(WORLD, Invoke(Propose("second")))
    waiting = bench.told_world()
    bench.receive("a1", Accepted(ballot(1), "first"))

    bench.receive("a2", Accepted(ballot(1), "first"))

    assert waiting == []
    assert bench.told_world() == [
        Returned("ok", "first"),
        Invoked(Propose("second")),
        Returned("ok", "first"),
    ]


# --- what a picture shows ---


def test_status_tells_roles_and_ballots() -> None:
    waiting = proposer().receive("a1", Nack(ballot(1), ballot(4, "p2")))

    assert acceptor().node.status()["label"] == "nothing promised"
    accepted = acceptor().receive("p1", Accept(ballot(2), "x")).node.status()
    assert accepted == {"role": "acceptor", "epoch": 2, "label": "promised 2.p1 · x"}
    assert learner().node.status() == {"role": "learner", "epoch": 0, "label": "nothing chosen"}
    assert proposer(wish=None).node.status()["label"] == "idle"
    assert proposer().node.status()["label"] == "preparing 1.p1"
    assert promised(proposer(), "a1", "a2").node.status()["label"] == "proposing 1.p1"
    assert waiting.node.status() == {"role": "proposer", "epoch": 4, "label": "waiting"}
