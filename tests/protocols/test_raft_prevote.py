"""Pre-vote and CheckQuorum, sentence by sentence: who may depose a leader, and when it goes.

The source is Ongaro's dissertation, "Consensus: Bridging Theory and Practice", 2014: §9.6, §6.2 and
§4.2.3. What the two are together is what etcd learned (raft.go; decentralizedthoughts 2020-12-12).
"""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.core.faults import Link
from clusterlab.protocols.raft import (
    AppendReply,
    ElectionTimeout,
    HeartbeatDue,
    Raft,
    RequestVote,
    VoteReply,
)
from clusterlab.protocols.raft.check_quorum import CheckQuorum, QuorumDue
from clusterlab.protocols.raft.contact import LeaderQuiet
from clusterlab.protocols.raft.prevote import PreVote, PreVoteReply, RequestPreVote
from clusterlab.protocols.raft.production import ProductionRaft
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench, append, log


def server(raft: type[Raft], size: int = 3, **fields: Any) -> Bench:
    return Bench(raft.group(size)[0], **fields)


def leader(raft: type[Raft], size: int = 3, **fields: Any) -> Bench:
    bench = server(raft, size, **fields).fire(ElectionTimeout())
    voters = [f"n{i}" for i in range(2, size // 2 + 2)]
    for voter in voters if issubclass(raft, PreVote) else ():
        bench.receive(
            voter, PreVoteReply(bench.node.current_term, bench.node.current_term + 1, True)
        )
    for voter in voters:
        bench.receive(voter, VoteReply(bench.node.current_term, True))
    assert bench.node.role == "leader"
    return bench


# --- §9.6, pre-vote ---


def test_a_candidate_asks_before_it_raises_its_term() -> None:
    """The source: "In the Pre-Vote algorithm, a candidate only increments its term if it first
    learns from a majority of the cluster that they would be willing to grant the candidate their
    votes".

    Reference: section 9.6
    """
    bench = server(PreVote, size=5, current_term=2, voted_for="n3", log=log(1, 2))

    bench.fire(ElectionTimeout())
    assert bench.only_value(RequestPreVote) == RequestPreVote(3, 2, 2)
    assert [dst for dst, _ in bench.sent(RequestPreVote)] == ["n2", "n3", "n4", "n5"]
    assert (bench.node.current_term, bench.node.voted_for, bench.saves()) == (2, "n3", {})
    assert bench.set_timers() == {"ElectionTimeout": (150, 300)}

    bench.receive("n2", PreVoteReply(2, 3, True))
    assert bench.node.current_term == 2
    bench.receive("n2", PreVoteReply(2, 3, True))  # the same again
    assert bench.node.current_term == 2
    bench.receive("n3", PreVoteReply(2, 3, True))
    assert (bench.node.current_term, bench.node.role) == (3, "candidate")
    assert bench.only_value(RequestVote) == RequestVote(3, 2, 2)


def test_a_candidate_that_is_refused_stays_in_its_term_and_asks_again() -> None:
    """Whoever is cut off does not raise its term, however long it lasts.

    Reference: section 9.6
    """
    bench = server(PreVote, current_term=2)
    for _ in range(10):
        bench.fire(ElectionTimeout())
        bench.receive("n2", PreVoteReply(2, 3, False)).receive("n3", PreVoteReply(2, 3, False))
    assert (bench.node.current_term, bench.node.role) == (2, "pre-candidate")


@pytest.mark.parametrize(
    ("request_", "granted"),
    [
        (RequestPreVote(3, 2, 2), True),
        (RequestPreVote(9, 2, 2), True),
        (RequestPreVote(3, 1, 2), False),  # its log is shorter
        (RequestPreVote(3, 5, 1), False),  # ... older
        (RequestPreVote(2, 2, 2), False),  # of a term that has begun
    ],
)
def test_a_pre_vote_is_granted_to_an_up_to_date_log(
    request_: RequestPreVote, granted: bool
) -> None:
    """The source: "(if the candidate's log is sufficiently up-to-date [...])"; nothing is promised
    by it.

    Reference: section 9.6
    """
    bench = server(PreVote, current_term=2, log=log(1, 2))
    for candidate in ("n2", "n3"):  # both may have it
        bench.receive(candidate, request_)
        assert bench.only(PreVoteReply) == PreVoteReply(2, request_.next_term, granted)
        assert bench.saves() == {}
        assert bench.set_timers() == {}
    assert (bench.node.current_term, bench.node.voted_for) == (2, None)


def test_a_pre_vote_is_refused_while_the_leader_is_heard() -> None:
    """The source: "and the voters have not received heartbeats from a valid leader for at least a
    baseline election timeout".

    Reference: section 9.6
    """
    bench = server(PreVote).receive("n2", append(1))
    assert bench.set_timers()["LeaderQuiet"] == 150

    bench.receive("n3", RequestPreVote(2, 0, 0))
    assert not bench.only(PreVoteReply).granted
    bench.fire(LeaderQuiet()).receive("n3", RequestPreVote(2, 0, 0))
    assert bench.only(PreVoteReply).granted


def test_a_leader_refuses_a_pre_vote() -> None:
    """Whoever leads hears a leader: itself (R14).

    Reference: section 9.6; DaosRaft #70
    """
    bench = leader(PreVote)
    bench.receive("n3", RequestPreVote(9, 9, 9))
    assert not bench.only(PreVoteReply).granted


def test_who_asks_in_an_old_term_learns_the_new_one_and_asks_again() -> None:
    """Otherwise the server with the best log, left behind in an old term, could never be elected.

    Reference: etcd, raft.go: "a node with higher term but less log"
    """
    bench = server(PreVote, current_term=2, log=log(1, 2)).fire(ElectionTimeout())

    bench.receive("n2", PreVoteReply(7, 3, False))
    assert (bench.node.current_term, bench.node.role) == (7, "follower")
    bench.fire(ElectionTimeout())
    assert bench.only_value(RequestPreVote) == RequestPreVote(8, 2, 2)


def test_answers_to_an_earlier_question_do_not_count() -> None:
    """A late answer is about another term."""
    bench = server(PreVote, current_term=5).fire(ElectionTimeout())
    bench.receive("n2", PreVoteReply(4, 5, True))
    assert (bench.node.current_term, bench.node.role) == (5, "pre-candidate")


def test_a_pre_candidate_follows_a_leader_that_it_hears() -> None:
    """It was impatient, and no more."""
    bench = server(PreVote).fire(ElectionTimeout()).receive("n2", append(0))
    assert (bench.node.role, bench.node.leader_id) == ("follower", "n2")
    bench.receive("n2", PreVoteReply(0, 1, True))
    assert bench.node.role == "follower"


# --- §6.2, a leader must hear its quorum ---


def test_a_leader_that_hears_no_quorum_steps_down() -> None:
    """The source: "A leader in Raft steps down if an election timeout elapses without a successful
    round of heartbeats to a majority of its cluster".

    Reference: section 6.2
    """
    bench = leader(CheckQuorum, size=5)
    term = bench.node.current_term
    assert bench.set_timers()["QuorumDue"] == 300
    bench.receive("n2", AppendReply(term, False, 0))

    bench.fire(QuorumDue())
    assert (bench.node.role, bench.node.leader_id, bench.node.current_term) == (
        "follower",
        None,
        term,
    )
    assert bench.notes("quorum lost") == [term]
    assert "ElectionTimeout" in bench.set_timers()


def test_a_leader_that_hears_its_quorum_leads_on_and_counts_anew() -> None:
    """Each election timeout needs a round of its own.

    Reference: section 6.2
    """
    bench = leader(CheckQuorum, size=5)
    term = bench.node.current_term
    bench.receive("n2", AppendReply(term, False, 0)).receive("n3", AppendReply(term, True, 1))

    bench.fire(QuorumDue())
    assert bench.node.role == "leader"
    assert bench.set_timers() == {"QuorumDue": 300}
    bench.fire(QuorumDue())
    assert bench.node.role == "follower"


def test_answers_of_an_earlier_term_count_for_nothing() -> None:
    """They do not say that anybody follows this leader now."""
    bench = leader(CheckQuorum, current_term=4)
    bench.receive("n2", AppendReply(4, True, 0)).receive("n3", VoteReply(4, True))
    assert bench.fire(QuorumDue()).node.role == "follower"


def test_a_cluster_of_one_is_its_own_quorum() -> None:
    """It need not hear anybody."""
    bench = server(ProductionRaft, size=1).fire(ElectionTimeout())
    assert bench.fire(QuorumDue()).node.role == "leader"


# --- §4.2.3, disruptive servers ---


def test_a_server_that_hears_its_leader_ignores_requests_for_votes() -> None:
    """The source: "if a server receives a RequestVote request within the minimum election timeout
    of hearing from a current leader, it does not update its term or grant its vote".

    Reference: section 4.2.3
    """
    bench = server(CheckQuorum).receive("n2", append(1))

    bench.receive("n3", RequestVote(9, 9, 9))
    assert (bench.effects, bench.node.current_term) == ((), 1)
    bench.fire(LeaderQuiet()).receive("n3", RequestVote(9, 9, 9))
    assert bench.only(VoteReply) == VoteReply(9, True)


def test_a_leader_ignores_requests_for_votes() -> None:
    """It would step down for a server that nobody needs.

    Reference: section 4.2.3
    """
    bench = leader(CheckQuorum)
    bench.receive("n3", RequestVote(9, 9, 9))
    assert (bench.effects, bench.node.role) == ((), "leader")


def test_a_server_in_a_higher_term_is_not_shut_out() -> None:
    """Its refusal of the leader's entries deposes the leader: so it gets entries again.

    Reference: section 4.2.3; etcd, raft.go: "stuck" candidates
    """
    bench = server(CheckQuorum, current_term=7).receive("n2", append(3))
    refusal = bench.only(AppendReply)
    assert (refusal.term, refusal.success) == (7, False)
    assert leader(CheckQuorum).receive("n3", refusal).node.role == "follower"


# --- together ---

ONE_WAY = (Link("n2", "n1", block=True), Link("n3", "n1", block=True))


@pytest.mark.parametrize("seed", range(6))
def test_together_they_replace_a_leader_that_hears_nobody(seed: int) -> None:
    """Its heartbeats arrive, so nobody would vote for another: it has to go by itself (R13)."""
    sim = Simulation(ProductionRaft.group(3), seed=seed)
    sim.run_until(lambda: sim.leader() == "n1" or sim.now_ms > 400)
    for link in ONE_WAY:
        sim.apply(link)
    sim.run(2_000)
    leader_now = sim.leader()
    assert leader_now in ("n2", "n3")
    term = sim.state(leader_now)["current_term"]
    sim.run(3_000)
    assert (sim.leader(), sim.state(leader_now)["current_term"]) == (leader_now, term)


def test_a_server_that_comes_back_disturbs_nobody() -> None:
    """It was cut off for a long time, and the term is the same when it returns.

    Reference: section 9.6
    """
    sim = Simulation(ProductionRaft.group(5), seed=3)
    first = sim.run_until_leader()
    lone = next(name for name in sim.servers if name != first)
    sim.isolate(lone)
    sim.run(5_000)
    sim.heal()
    sim.run(1_000)
    assert sim.leader() == first
    assert len(list(sim.trace.notes("leader"))) == 1
    assert sim.state(lone)["leader_id"] == first


def test_a_heartbeat_is_enough_to_keep_the_quorum() -> None:
    """An idle cluster keeps its leader."""
    bench = leader(ProductionRaft)
    term = bench.node.current_term
    for _ in range(3):
        bench.fire(HeartbeatDue()).receive("n2", AppendReply(term, True, 0)).fire(QuorumDue())
    assert bench.node.role == "leader"
