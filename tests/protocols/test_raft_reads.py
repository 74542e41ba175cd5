"""Reads without the log, sentence by sentence (dissertation, §6.4 and §6.4.1)."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.core.spec import CompareAndSet, Get, Put, Read
from clusterlab.protocols.client import NotLeader, Refused, Reply, Request
from clusterlab.protocols.raft import AppendReply, ElectionTimeout, HeartbeatDue, Raft, VoteReply
from clusterlab.protocols.raft.contact import CalledElection, LeaderQuiet
from clusterlab.protocols.raft.messages import AppendEntries, RequestVote
from clusterlab.protocols.raft.reads import (
    Heartbeat,
    HeartbeatReply,
    LeaseOver,
    LeaseReads,
    ReadIndex,
)
from tests.protocols.bench import Bench, acknowledge, append, log


def elected(raft: type[Raft] = ReadIndex, size: int = 3, **fields: Any) -> Bench:
    """n1 leads, and nobody has acknowledged its no-op yet."""
    bench = Bench(raft.group(size)[0], **fields).fire(ElectionTimeout())
    for i in range(2, size // 2 + 2):
        bench.receive(f"n{i}", VoteReply(bench.node.current_term, True))
    return bench


def established(raft: type[Raft] = ReadIndex, size: int = 3) -> Bench:
    """n1 leads, and its log is committed."""
    bench = elected(raft, size)
    return acknowledge(bench, *(f"n{i}" for i in range(2, size + 1)))


def read(bench: Bench, serial: int = 1, client: str = "c1") -> Bench:
    return bench.receive(client, Request(serial, Get("x")))


# --- §6.4, ReadIndex ---


def test_a_read_is_answered_after_a_round_of_heartbeats() -> None:
    """The source: "It issues a new round of heartbeats and waits for their acknowledgments from a
    majority of the cluster. [...] Finally, the leader issues the query against its state machine
    and replies to the client with the results."

    Reference: section 6.4
    """
    bench = read(established(size=5))
    assert bench.sent(Heartbeat) == [(f"n{i}", Heartbeat(1, 1)) for i in (2, 3, 4, 5)]
    assert bench.sent(Reply) == []

    assert bench.receive("n2", HeartbeatReply(1, 1)).sent(Reply) == []
    assert bench.receive("n2", HeartbeatReply(1, 1)).sent(Reply) == []  # the same again
    assert bench.receive("n5", HeartbeatReply(1, 1)).sent(Reply) == [("c1", Reply(1, None))]
    assert bench.receive("n4", HeartbeatReply(1, 1)).effects == ()


def test_a_read_leaves_no_trace_in_the_log() -> None:
    """To serve a read without the log: nothing is written, by nobody.

    Reference: section 6.4
    """
    bench = established()
    before = bench.node.log
    read(bench).receive("n2", HeartbeatReply(1, 1))
    assert (bench.node.log, bench.saves()) == (before, {})
    assert bench.sent(AppendEntries) == []


@pytest.mark.parametrize("operation", [Put("x", 1), CompareAndSet("x", None, 1)])
def test_writes_go_through_the_log(operation: Put) -> None:
    """The application says which operations only read."""
    bench = established().receive("c1", Request(1, operation))
    assert (len(bench.node.log), bench.sent(Heartbeat)) == (2, [])


def test_a_leader_waits_for_the_first_entry_of_its_term() -> None:
    """The source: "If the leader has not yet marked an entry from its current term committed, it
    waits until it has done so."

    Reference: section 6.4
    """
    bench = read(elected(current_term=4, log=log(1, 4)))
    assert bench.effects == ()

    bench.receive("n2", AppendReply(5, True, 3))
    assert bench.sent(Heartbeat) == [(f"n{i}", Heartbeat(5, 1)) for i in (2, 3)]
    assert bench.receive("n2", HeartbeatReply(5, 1)).sent(Reply) == [("c1", Reply(1, 2))]


def test_reads_that_come_during_a_round_share_the_next_one() -> None:
    """The source: "To improve efficiency further, the leader can amortize the cost of confirming
    its leadership: it can use a single round of heartbeats for any number of read-only queries that
    it has accumulated."

    Reference: section 6.4
    """
    bench = read(established())
    for number in range(2, 30):
        read(bench, client=f"c{number}")
        assert bench.sent(Heartbeat) == []

    bench.receive("n3", HeartbeatReply(1, 1))
    assert [dst for dst, _ in bench.sent(Reply)] == ["c1"]  # the others asked after it had begun
    assert bench.only_value(Heartbeat) == Heartbeat(1, 2)
    bench.receive("n3", HeartbeatReply(1, 1))
    assert bench.sent(Reply) == []
    bench.receive("n3", HeartbeatReply(1, 2))
    assert [dst for dst, _ in bench.sent(Reply)] == [f"c{number}" for number in range(2, 30)]


def test_a_lost_heartbeat_is_sent_again_to_those_who_have_not_answered() -> None:
    bench = read(established(size=5)).receive("n4", HeartbeatReply(1, 1))
    bench.fire(HeartbeatDue())
    assert [dst for dst, _ in bench.sent(Heartbeat)] == ["n2", "n3", "n5"]
    assert bench.receive("n5", HeartbeatReply(1, 1)).sent(Reply) == [("c1", Reply(1, None))]


def test_a_client_that_asks_again_is_answered_once() -> None:
    bench = read(read(read(established())), serial=2)
    bench.receive("n2", HeartbeatReply(1, 1))
    bench.receive("n2", HeartbeatReply(1, 2))
    assert bench.sent(Reply) == [("c1", Reply(2, None))]


def test_a_leader_that_is_deposed_answers_nobody() -> None:
    """Somebody else may have committed more.

    Reference: section 6.4
    """
    bench = read(established()).receive("n2", HeartbeatReply(2, 1))
    assert (bench.node.role, bench.sent(Reply)) == ("follower", [])
    assert (bench.node.reads_in_round, bench.node.reads_waiting) == ({}, {})
    read(bench, serial=2)
    assert bench.sent(NotLeader) == [("c1", NotLeader(2, None))]


def test_answers_of_an_earlier_leadership_do_not_count() -> None:
    """Rounds are numbered, and the number goes on when a server leads again."""
    bench = read(established()).receive("n2", append(2))
    bench.fire(ElectionTimeout()).receive("n2", VoteReply(3, True))
    read(acknowledge(bench, "n2"))
    assert bench.only_value(Heartbeat) == Heartbeat(3, 2)
    assert bench.receive("n3", HeartbeatReply(1, 1)).sent(Reply) == []
    assert bench.receive("n3", HeartbeatReply(3, 1)).sent(Reply) == []


def test_a_follower_hears_its_leader_and_tells_a_deposed_one() -> None:
    """A heartbeat is a word of the leader; one of an old term is answered with the new one.

    Reference: section 6.4
    """
    bench = Bench(ReadIndex.group(3)[0], current_term=2)
    assert bench.receive("n2", Heartbeat(2, 7)).only(HeartbeatReply) == HeartbeatReply(2, 7)
    assert bench.node.leader_id == "n2"
    assert bench.set_timers() == {"ElectionTimeout": (150, 300)}
    assert bench.receive("n3", Heartbeat(1, 9)).only(HeartbeatReply) == HeartbeatReply(2, 9)
    assert bench.node.leader_id == "n2"


def test_a_cluster_of_one_answers_at_once() -> None:
    bench = read(elected(size=1))
    assert bench.sent(Reply) == [("c1", Reply(1, None))]


def test_a_read_that_the_application_does_not_know_is_refused() -> None:
    bench = established()
    bench.receive("c1", Request(1, Read()))
    assert [dst for dst, _ in bench.sent(Refused)] == ["c1"]
    assert bench.node.reads_waiting == {}


# --- §6.4.1, leases ---


def leased(**options: Any) -> Bench:
    """n1 leads, and has a lease since its clock showed 1000."""
    bench = Bench(LeaseReads.group(3, **options)[0]).fire(ElectionTimeout())
    acknowledge(bench.receive("n2", VoteReply(1, True)), "n2")
    bench.now_ms = 1000
    read(bench)
    bench.now_ms = 1020
    return bench.receive("n2", HeartbeatReply(1, 1))


def answered_at(bench: Bench, now_ms: int) -> bool:
    bench.now_ms = now_ms
    return bool(read(bench, serial=9).sent(Reply))


def test_within_its_lease_a_leader_answers_without_a_message() -> None:
    """The source: "Once the leader's heartbeats were acknowledged by a majority of the cluster,
    the leader would assume that no other server will become leader for about an election timeout,
    and it could extend its lease accordingly [...]. The leader would then reply to read-only
    queries during that period without any additional communication."

    Reference: section 6.4.1
    """
    bench = leased()
    assert bench.sent(Reply) == [("c1", Reply(1, None))]
    read(bench, serial=2)
    assert bench.sent(Reply) == [("c1", Reply(2, None))]
    assert bench.sent(Heartbeat) == []


@pytest.mark.parametrize(("bound", "length_ms"), [(1.0, 150), (1.25, 120), (2.0, 75), (4.0, 37)])
def test_a_lease_counts_from_the_begin_of_the_round_and_leaves_a_margin(
    bound: float, length_ms: int
) -> None:
    """The lease extends to "start + election timeout / clock drift bound".

    Reference: section 6.4.1
    """
    assert answered_at(leased(clock_rate_bound=bound), 1000 + length_ms - 1)
    assert not answered_at(leased(clock_rate_bound=bound), 1000 + length_ms)


def test_a_lease_ends_by_its_timer_even_if_the_clock_was_set_back() -> None:
    """The timer begins with the round, as the promises of the others do."""
    bench = leased()
    assert answered_at(bench, 500)
    bench.fire(LeaseOver())
    assert not answered_at(bench, 500)


def test_an_answer_that_comes_after_its_end_brings_no_lease() -> None:
    bench = leased().fire(LeaseOver())
    bench.now_ms = 2000
    read(bench, serial=2).fire(LeaseOver()).receive("n2", HeartbeatReply(1, 2))
    assert bench.sent(Reply) == [("c1", Reply(2, None))]  # by the round, as without leases
    assert not answered_at(bench, 2001)


def test_a_follower_votes_for_nobody_during_the_lease() -> None:
    """A heartbeat of the round is what its promise counts from.

    Reference: section 6.4.1
    """
    bench = Bench(LeaseReads.group(3)[2]).fire(LeaderQuiet()).receive("n1", Heartbeat(1, 1))
    assert bench.receive("n2", RequestVote(2, 0, 0)).effects == ()
    assert bench.fire(LeaderQuiet()).receive("n2", RequestVote(2, 0, 0)).only(VoteReply).granted


def test_a_promise_outlives_a_crash() -> None:
    """Who has just come back does not know what it promised, and so keeps to it for a while."""
    bench = Bench(LeaseReads.group(3)[2]).fire(LeaderQuiet()).receive("n1", Heartbeat(1, 1))
    bench.restart()
    assert bench.set_timers()["LeaderQuiet"] == 150
    assert bench.receive("n2", RequestVote(2, 0, 0)).effects == ()


def test_a_leader_that_steps_down_has_no_lease() -> None:
    bench = leased().receive("n2", CalledElection(2, 9, 9))
    assert (bench.node.role, bench.node.leased) == ("follower", False)
