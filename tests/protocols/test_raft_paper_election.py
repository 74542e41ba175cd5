"""Raft, sentence by sentence: sections 5.1 and 5.2, terms and elections.

The paper is Ongaro and Ousterhout 2014 (extended version).
Each test is one sentence of it: it sets a server up, acts, and checks.
`test_raft_mutants.py` shows that the tests fail on servers that break the sentence.
"""

from __future__ import annotations

import pytest

from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    ElectionTimeout,
    HeartbeatDue,
    RequestVote,
    VoteReply,
)
from tests.protocols.bench import (
    append,
    candidate,
    established,
    leader,
    log,
    server,
)

ROLES = {"follower": server, "candidate": candidate, "leader": leader}

# --- 5.1 Raft basics ---


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "message",
    [
        RequestVote(9, 0, 0),
        VoteReply(9, False),
        append(9),
        AppendReply(9, False, 0),
    ],
    ids=lambda m: type(m).__name__,
)
def test_whoever_sees_a_higher_term_adopts_it_and_follows(role: str, message: AppendReply) -> None:
    """If a server's current term is smaller than the other's, it updates its term to the larger
    value; a candidate or leader whose term is out of date reverts to follower at once.

    Reference: section 5.1
    """
    bench = ROLES[role]()

    bench.receive("n2", message)

    assert (bench.node.current_term, bench.node.role) == (9, "follower")
    assert bench.node.voted_for in (None, "n2")
    assert bench.saves()["current_term"] == 9


@pytest.mark.parametrize("role", ROLES)
def test_requests_of_an_old_term_are_rejected(role: str) -> None:
    """A server that receives a request with a stale term number rejects the request.

    Reference: section 5.1
    """
    bench = ROLES[role](current_term=5)
    term, log_before = bench.node.current_term, bench.node.log

    bench.receive("n2", RequestVote(4, 99, 4))
    vote = bench.only(VoteReply)
    bench.receive("n2", append(4, entries=log(4)))
    reply = bench.only(AppendReply)

    assert vote == VoteReply(term, False)
    assert (reply.term, reply.success) == (term, False)
    assert (bench.node.current_term, bench.node.role, bench.node.log) == (term, role, log_before)
    assert "ElectionTimeout" not in bench.set_timers()


# --- 5.2 Leader election ---


def test_servers_start_as_followers() -> None:
    """When servers start up, they begin as followers, and wait for a leader.

    Reference: section 5.2
    """
    bench = server()

    assert bench.node.role == "follower"
    assert bench.set_timers() == {"ElectionTimeout": (150, 300)}


def test_a_follower_that_hears_nothing_begins_an_election() -> None:
    """To begin an election, a follower increments its current term and transitions to candidate
    state; it votes for itself and issues RequestVote to each of the other servers.

    Reference: section 5.2
    """
    bench = server(size=5, current_term=2, log=log(1, 2))

    bench.fire(ElectionTimeout())

    assert (bench.node.role, bench.node.current_term, bench.node.voted_for) == (
        "candidate",
        3,
        "n1",
    )
    assert bench.sent(RequestVote) == [(f"n{i}", RequestVote(3, 2, 2)) for i in (2, 3, 4, 5)]
    assert bench.set_timers() == {"ElectionTimeout": (150, 300)}
    assert bench.saves() == {"current_term": 3, "voted_for": "n1"}


@pytest.mark.parametrize(
    ("size", "votes_needed"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)]
)
def test_a_candidate_wins_with_votes_of_a_majority(size: int, votes_needed: int) -> None:
    """A candidate wins an election if it receives votes from a majority of the servers in the full
    cluster for the same term.

    Reference: section 5.2
    """
    bench = candidate(size)

    for i in range(votes_needed):
        assert bench.node.role == "candidate"
        bench.receive(f"n{i + 2}", VoteReply(1, True))

    assert bench.node.role == "leader"
    assert bench.notes("leader") == [1]


def test_a_vote_that_arrives_twice_counts_once() -> None:
    """Each server will vote for at most one candidate in a given term: one vote a server.

    Reference: section 5.2
    """
    bench = candidate(size=5)

    bench.receive("n2", VoteReply(1, True), VoteReply(1, True), VoteReply(1, True))

    assert bench.node.role == "candidate"


def test_a_refusal_is_no_vote() -> None:
    """A candidate wins if it receives votes; a reply with voteGranted false is none.

    Reference: Figure 2
    """
    bench = candidate()

    bench.receive("n2", VoteReply(1, False)).receive("n3", VoteReply(1, False))

    assert bench.node.role == "candidate"


def test_votes_of_an_earlier_election_do_not_count() -> None:
    """The votes must be for the same term.

    Reference: section 5.2
    """
    bench = candidate()
    bench.fire(ElectionTimeout())

    bench.receive("n2", VoteReply(1, True)).receive("n3", VoteReply(1, True))

    assert (bench.node.role, bench.node.current_term) == ("candidate", 2)


def test_a_vote_that_comes_after_stepping_down_elects_nobody() -> None:
    """Only candidates count votes.

    Reference: Figure 2, rules for candidates
    """
    bench = candidate().receive("n2", append(1))

    bench.receive("n3", VoteReply(1, True))

    assert bench.node.role == "follower"


def test_votes_go_to_the_first_who_asks() -> None:
    """Each server will vote for at most one candidate in a given term, on a first-come-first-served
    basis.

    Reference: section 5.2
    """
    bench = server()

    first = bench.receive("n2", RequestVote(1, 0, 0)).only(VoteReply)
    second = bench.receive("n3", RequestVote(1, 0, 0)).only(VoteReply)

    assert (first, second) == (VoteReply(1, True), VoteReply(1, False))
    assert bench.node.voted_for == "n2"


def test_the_same_candidate_may_ask_again() -> None:
    """If votedFor is null or candidateId, grant the vote: the first reply may have been lost.

    Reference: Figure 2
    """
    bench = server().receive("n2", RequestVote(1, 0, 0))

    bench.receive("n2", RequestVote(1, 0, 0))

    assert bench.only(VoteReply) == VoteReply(1, True)


def test_hearing_of_the_leader_does_not_free_the_vote() -> None:
    """At most one vote a term: what is heard within the term changes nothing about it.

    Reference: section 5.2
    """
    bench = server().receive("n2", RequestVote(1, 0, 0), append(1))

    bench.receive("n3", RequestVote(1, 5, 1))

    assert bench.only(VoteReply) == VoteReply(1, False)


def test_a_new_term_brings_a_new_vote() -> None:
    """One vote in a given term.

    Reference: section 5.2
    """
    bench = server().receive("n2", RequestVote(1, 0, 0))

    bench.receive("n3", RequestVote(2, 0, 0))

    assert bench.only(VoteReply) == VoteReply(2, True)


@pytest.mark.parametrize("role", ["candidate", "leader"])
def test_candidates_and_leaders_vote_for_no_other(role: str) -> None:
    """Candidates vote for themselves, and at most once.

    Reference: section 5.2
    """
    bench = ROLES[role]()

    bench.receive("n3", RequestVote(1, 9, 9))

    assert bench.only(VoteReply) == VoteReply(1, False)


def test_a_new_leader_announces_itself_to_all() -> None:
    """Once a candidate wins an election it becomes leader; it then sends heartbeat messages to all
    of the other servers to establish its authority and prevent new elections.

    Reference: section 5.2
    """
    bench = leader(size=5)

    assert [dst for dst, _ in bench.sent(AppendEntries)] == ["n2", "n3", "n4", "n5"]
    assert bench.set_timers() == {"HeartbeatDue": 50}


def test_a_leader_is_heard_regularly() -> None:
    """Leaders send periodic heartbeats (AppendEntries that carry no log entries) to all followers.

    Reference: section 5.2
    """
    bench = established(size=5)

    bench.fire(HeartbeatDue())

    sent = bench.sent(AppendEntries)
    assert [dst for dst, _ in sent] == ["n2", "n3", "n4", "n5"]
    assert {m for _, m in sent} == {append(1, prev=(1, 1), commit=1)}
    assert bench.set_timers() == {"HeartbeatDue": 50}


def test_who_lost_the_leadership_sends_no_heartbeat() -> None:
    """Only leaders send heartbeats; the timer may fire when the term is over already.

    Reference: section 5.2
    """
    bench = leader().receive("n2", append(7))

    bench.fire(HeartbeatDue())

    assert bench.effects == ()


@pytest.mark.parametrize("term", [1, 2])
def test_a_candidate_that_hears_of_a_leader_follows_it(term: int) -> None:
    """If the leader's term is at least as large as the candidate's current term, then the candidate
    recognizes the leader as legitimate and returns to follower state.

    Reference: section 5.2
    """
    bench = candidate()

    bench.receive("n2", append(term))

    assert (bench.node.role, bench.node.leader_id) == ("follower", "n2")
    assert bench.only(AppendReply).success


def test_a_candidate_that_hears_of_an_old_leader_goes_on() -> None:
    """If the term in the RPC is smaller than the candidate's current term, then the candidate
    rejects the RPC and continues in candidate state.

    Reference: section 5.2
    """
    bench = candidate(current_term=3)

    bench.receive("n2", append(3))

    assert bench.node.role == "candidate"
    assert not bench.only(AppendReply).success


def test_a_candidate_without_a_majority_tries_again() -> None:
    """When votes are split, each candidate will time out and start a new election by incrementing
    its term and initiating another round of RequestVote RPCs.

    Reference: section 5.2
    """
    bench = candidate()

    bench.fire(ElectionTimeout())

    assert (bench.node.role, bench.node.current_term) == ("candidate", 2)
    assert len(bench.sent(RequestVote)) == 2
    assert bench.node.votes == {"n1"}


def test_election_timeouts_are_drawn_from_an_interval() -> None:
    """Election timeouts are chosen randomly from a fixed interval.

    Reference: section 5.2
    """
    bench = server(options={"election_timeout_ms": (1000, 2000)})

    assert bench.set_timers() == {"ElectionTimeout": (1000, 2000)}


def test_a_leader_does_not_run_against_itself() -> None:
    """The election timeout is a matter of followers and candidates.

    Reference: Figure 2, rules for servers
    """
    bench = leader()

    bench.fire(ElectionTimeout())

    assert (bench.node.role, bench.node.current_term, bench.effects) == ("leader", 1, ())


def test_a_granted_vote_or_a_leader_resets_the_clock_and_a_refusal_does_not() -> None:
    """Convert to candidate if the election timeout elapses without receiving AppendEntries from the
    current leader or granting a vote.

    Reference: Figure 2, rules for followers
    """
    granting = server().receive("n2", RequestVote(1, 0, 0)).set_timers()
    refusing = server(log=log(1)).receive("n2", RequestVote(1, 0, 0)).set_timers()
    hearing = server(current_term=1).receive("n2", append(1)).set_timers()

    assert (granting, refusing, hearing) == (
        {"ElectionTimeout": (150, 300)},
        {},
        {"ElectionTimeout": (150, 300)},
    )


def test_who_steps_down_waits_for_a_leader_again() -> None:
    """A follower has an election timeout.

    Reference: Figure 2, rules for followers
    """
    bench = leader()

    bench.receive("n2", VoteReply(5, False))

    assert bench.set_timers() == {"ElectionTimeout": (150, 300)}
