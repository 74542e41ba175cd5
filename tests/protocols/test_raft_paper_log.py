"""Raft, sentence by sentence: section 5.3, log replication.

The paper is Ongaro and Ousterhout 2014 (extended version).
Each test is one sentence of it: it sets a server up, acts, and checks.
`test_raft_mutants.py` shows that the tests fail on servers that break the sentence.
"""

from __future__ import annotations

import pytest

from clusterlab.protocols.client import Reply, Request
from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    Command,
    Entry,
    HeartbeatDue,
    RequestVote,
)
from tests.protocols.bench import (
    acknowledge,
    append,
    beat,
    entry,
    established,
    leader,
    log,
    put,
    server,
)

# --- 5.3 Log replication: the leader ---


def test_a_command_is_appended_and_sent_to_all_in_parallel() -> None:
    """The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in
    parallel to each of the other servers.

    Reference: section 5.3
    """
    bench = established(size=5)

    bench.receive("c1", Request(1, put(1)))

    new = Entry(1, Command("c1", 1, put(1)))
    assert bench.node.log[1:] == (new,)
    assert bench.sent(AppendEntries) == [
        (f"n{i}", append(1, prev=(1, 1), entries=(new,), commit=1)) for i in (2, 3, 4, 5)
    ]
    assert bench.saves()["log"].items == (new,)


def test_an_entry_is_committed_once_a_majority_holds_it() -> None:
    """A log entry is committed once the leader that created the entry has replicated it on a
    majority of the servers; then the leader applies it and returns the result to the client.

    Reference: section 5.3
    """
    bench = established(size=5).receive("c1", Request(1, put(7)))

    acknowledge(bench, "n2")
    too_early = (bench.node.commit_index, bench.sent(Reply))
    acknowledge(bench, "n3")

    assert too_early == (1, [])
    assert (bench.node.commit_index, bench.node.machine) == (2, {"x": 7})
    assert bench.sent(Reply) == [("c1", Reply(1, None))]


def test_an_acknowledgement_that_arrives_twice_counts_once() -> None:
    """A majority of matchIndex[i]: one match index a follower.

    Reference: Figure 2, rules for leaders
    """
    bench = established(size=5).receive("c1", Request(1, put(7)))

    acknowledge(bench, "n2", "n2", "n2")

    assert bench.node.commit_index == 1


def test_commitment_reaches_back() -> None:
    """This also commits all preceding entries in the leader's log, including entries created by
    previous leaders.

    Reference: section 5.3
    """
    bench = leader(log=log(1, 1, 2), current_term=2)

    acknowledge(bench, "n2")

    assert (bench.node.commit_index, bench.node.last_applied) == (4, 4)
    assert bench.node.machine == {"x": 3}


def test_followers_are_told_how_far_the_log_is_committed() -> None:
    """The leader keeps track of the highest index it knows to be committed, and includes that index
    in future AppendEntries RPCs (including heartbeats).

    Reference: section 5.3
    """
    bench = established().receive("c1", Request(1, put(1)))
    acknowledge(bench, "n2")

    bench.fire(HeartbeatDue())

    assert bench.to("n2", AppendEntries).leader_commit == 2


def test_the_entry_before_the_new_ones_is_named() -> None:
    """The leader includes the index and term of the entry in its log that immediately precedes the
    new entries.

    Reference: section 5.3
    """
    bench = established(log=log(1, 1, 3), current_term=3)

    bench.receive("c1", Request(1, put(1)))

    sent = bench.to("n2", AppendEntries)
    assert (sent.prev_log_index, sent.prev_log_term) == (4, 4)


def test_a_new_leader_assumes_that_all_have_its_log() -> None:
    """When a leader first comes to power, it initializes all nextIndex values to the index just
    after the last one in its log.

    Reference: section 5.3
    """
    bench = leader(log=log(1, 1, 3), current_term=3)

    assert bench.node.next_index == {"n2": 4, "n3": 4}
    assert bench.node.match_index == {"n2": 0, "n3": 0}
    assert bench.to("n2", AppendEntries).prev_log_index == 3


def test_after_a_refusal_the_leader_goes_back_and_tries_again() -> None:
    """After a rejection, the leader decrements nextIndex and retries; eventually nextIndex will
    reach a point where the leader and follower logs match.

    Reference: section 5.3
    """
    bench = leader(log=log(1, 1, 3, 3), current_term=3)

    bench.receive("n2", AppendReply(4, False, 2))

    assert bench.node.next_index["n2"] == 3
    sent = bench.to("n2", AppendEntries)
    assert (sent.prev_log_index, sent.entries) == (2, bench.node.log[2:])


def test_a_refusal_that_comes_late_or_twice_changes_nothing() -> None:
    """matchIndex increases monotonically, and nextIndex stays above it.

    Reference: Figure 2
    """
    bench = leader(log=log(1, 1, 3, 3), current_term=3)
    bench.receive("n2", AppendReply(4, False, 2))

    bench.receive("n2", AppendReply(4, False, 2))
    twice = (bench.node.next_index["n2"], bench.sent(AppendEntries))
    acknowledge(bench, "n2").receive("n2", AppendReply(4, False, 2))
    late = (bench.node.next_index["n2"], bench.sent(AppendEntries))

    assert twice == (3, [])
    assert late == (6, [])


def test_an_acknowledgement_that_comes_late_takes_nothing_back() -> None:
    """matchIndex[] increases monotonically.

    Reference: Figure 2
    """
    bench = established().receive("c1", Request(1, put(1)))
    acknowledge(bench, "n2")

    bench.receive("n2", AppendReply(1, True, 1))

    assert (bench.node.match_index["n2"], bench.node.next_index["n2"]) == (2, 3)
    assert bench.node.commit_index == 2


def test_replies_of_an_earlier_term_are_ignored() -> None:
    """What a follower said in an earlier term it said of another leader's log.

    Reference: section 5.1
    """
    bench = leader(current_term=4, log=log(1, 1))

    bench.receive("n2", AppendReply(4, True, 3)).receive("n3", AppendReply(4, True, 3))

    assert (bench.node.commit_index, bench.node.match_index) == (0, {"n2": 0, "n3": 0})


def test_entries_that_were_lost_are_sent_again() -> None:
    """If followers crash or run slowly, or if network packets are lost, the leader retries
    AppendEntries RPCs indefinitely (even after it has responded to the client).

    Reference: section 5.3
    """
    bench = established(size=3).receive("c1", Request(1, put(1)))
    acknowledge(bench, "n3")

    beat(bench, times=2)
    bench.receive("n2", AppendReply(1, True, 1))  # the answer to a heartbeat: n2 lacks entry 2

    assert bench.sent(AppendEntries) == [
        ("n2", append(1, prev=(1, 1), entries=bench.node.log[1:], commit=2))
    ]


def test_a_silent_follower_gets_heartbeats_but_no_entries() -> None:
    """Retry for ever, but do not pile up: a server that is down for long costs a heartbeat each
    time.

    Reference: section 5.3
    """
    bench = established().receive("c1", Request(1, put(1)))
    acknowledge(bench, "n2")

    for serial in range(2, 6):
        beat(bench, times=3)
        assert [m.entries for dst, m in bench.sent(AppendEntries) if dst == "n3"] == [()]
        bench.receive("c1", Request(serial, put(serial)))
        assert [dst for dst, _ in bench.sent(AppendEntries)] == ["n2"]
        acknowledge(bench, "n2")


def test_while_followers_are_busy_commands_wait_for_the_next_round() -> None:
    """Several commands in one AppendEntries ("may send more than one for efficiency").

    Reference: Figure 2
    """
    bench = established(size=5).receive("c1", Request(1, put(1)))
    for i in range(2, 7):
        bench.receive(f"c{i}", Request(1, put(i)))
        assert (bench.effects, len(bench.node.log)) == ((), 2)

    acknowledge(bench, "n2")
    still = bench.sent(AppendEntries)
    acknowledge(bench, "n3", index=2)

    assert still == []
    assert len(bench.node.log) == 7
    assert [(dst, len(m.entries)) for dst, m in bench.sent(AppendEntries)] == [("n2", 5), ("n3", 5)]


def test_commands_do_not_wait_longer_than_to_the_next_heartbeat() -> None:
    """A leader that cannot reach a majority appends all the same; it cannot know.

    Reference: section 5.3
    """
    bench = established().receive("c1", Request(1, put(1)))
    bench.receive("c2", Request(1, put(2)))

    bench.fire(HeartbeatDue())

    assert len(bench.node.log) == 3


def test_no_message_carries_more_entries_than_allowed() -> None:
    """A limit on everything: a follower that lacks much gets it in pieces.

    Reference: Figure 2
    """
    bench = leader(log=log(*[1] * 10), current_term=1, options={"entries_max": 4})

    bench.receive("n2", AppendReply(2, False, 0))
    first = bench.to("n2", AppendEntries)
    bench.receive("n2", AppendReply(2, True, 4))
    second = bench.to("n2", AppendEntries)

    assert [first.prev_log_index, len(first.entries)] == [0, 4]
    assert [second.prev_log_index, len(second.entries)] == [4, 4]


def test_a_leader_never_overwrites_or_deletes_its_own_entries() -> None:
    """Leader Append-Only: a leader never overwrites or deletes entries in its log; it only appends.

    Reference: Figure 3, section 5.3
    """
    bench = leader(log=log(1, 2, 2), current_term=2)
    before = bench.node.log

    bench.receive("n2", AppendReply(3, False, 0), AppendReply(3, True, 4))
    bench.receive("n3", append(2, entries=log(2, 2)), RequestVote(3, 9, 3))
    bench.receive("c1", Request(1, put(1)))

    assert bench.node.log[: len(before)] == before


# --- 5.3 Log replication: followers ---


def test_a_follower_takes_over_new_entries_and_saves_them_first() -> None:
    """Persistent state is updated on stable storage before responding to RPCs.

    Reference: Figure 2
    """
    bench = server(current_term=1)

    bench.receive("n2", append(1, entries=log(1, 1)))

    assert bench.node.log == log(1, 1)
    assert bench.saves()["log"].items == log(1, 1)
    assert bench.only(AppendReply) == AppendReply(1, True, 2)


def test_a_committed_entry_is_applied_in_log_order() -> None:
    """Once a follower learns that a log entry is committed, it applies the entry to its local state
    machine (in log order).

    Reference: section 5.3
    """
    bench = server(current_term=1).receive("n2", append(1, entries=log(1, 1, 1)))

    bench.receive("n2", append(1, prev=(3, 1), commit=2))

    assert (bench.node.last_applied, bench.node.machine) == (2, {"x": 2})
    assert bench.notes("commit") == [2]
    assert bench.sent(Reply) == []


@pytest.mark.parametrize(
    "prev", [(3, 1), (2, 2)], ids=["no entry at prevLogIndex", "an entry of another term"]
)
def test_entries_need_their_predecessor(prev: tuple[int, int]) -> None:
    """If the follower does not find an entry in its log with the same index and term, then it
    refuses the new entries.

    Reference: section 5.3
    """
    bench = server(current_term=2, log=log(1, 1))

    bench.receive("n2", append(2, prev=prev, entries=log(2)))

    reply = bench.only(AppendReply)
    assert (reply.success, bench.node.log) == (False, log(1, 1))


def test_a_refusal_skips_all_entries_of_the_conflicting_term() -> None:
    """With this information, the leader can decrement nextIndex to bypass all of the conflicting
    entries in that term.

    Reference: section 5.3
    """
    bench = server(current_term=5, log=log(1, 1, 3, 3, 3))

    conflicting = bench.receive("n2", append(5, prev=(5, 4))).only(AppendReply)
    too_short = bench.receive("n2", append(5, prev=(9, 4))).only(AppendReply)

    assert conflicting == AppendReply(5, False, 2)
    assert too_short == AppendReply(5, False, 5)


def test_conflicting_entries_are_deleted_with_all_that_follow() -> None:
    """If an existing entry conflicts with a new one (same index but different terms), delete the
    existing entry and all that follow it.

    Reference: Figure 2, Figure 7
    """
    bench = server(current_term=3, log=log(1, 2, 2, 2))

    bench.receive("n2", append(3, prev=(1, 1), entries=(entry(3, 2),)))

    assert bench.node.log == (*log(1), entry(3, 2))
    assert bench.notes("truncate") == [1]
    assert bench.saves()["log"] == (1, (entry(3, 2),))


def test_entries_that_are_there_already_stay_with_what_follows() -> None:
    """If a follower receives an AppendEntries request that includes log entries already present in
    its log, it ignores those entries in the new request: it may be an old message.

    Reference: section 5.5
    """
    bench = server(current_term=1, log=log(1, 1, 1, 1))

    bench.receive("n2", append(1, prev=(1, 1), entries=log(1, 1)[1:]))
    bench.receive("n2", append(1, prev=(1, 1)))

    assert (bench.node.log, bench.notes("truncate")) == (log(1, 1, 1, 1), [])


def test_a_follower_acknowledges_what_it_was_sent_and_not_what_it_has() -> None:
    """What stands behind the last new entry may differ from the leader's log.

    Reference: Figure 2 ("index of last new entry")
    """
    bench = server(current_term=2, log=log(1, 1, 1))

    bench.receive("n2", append(2, prev=(1, 1)))

    assert bench.only(AppendReply) == AppendReply(2, True, 1)


def test_a_follower_commits_no_further_than_the_last_new_entry() -> None:
    """If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry).

    Reference: Figure 2
    """
    bench = server(current_term=2, log=log(1, 1, 1))

    bench.receive("n2", append(2, prev=(1, 1), commit=3))
    behind = bench.node.commit_index
    bench.receive("n2", append(2, prev=(1, 1), entries=(entry(2, 2), entry(2, 3)), commit=2))
    before = bench.node.commit_index

    assert (behind, before) == (1, 2)


def test_the_commit_index_never_falls() -> None:
    """commitIndex: index of highest log entry known to be committed (increases monotonically).

    Reference: Figure 2
    """
    bench = server(current_term=1).receive("n2", append(1, entries=log(1, 1, 1), commit=3))

    bench.receive("n2", append(1, prev=(1, 1), commit=1), append(1, commit=3))

    assert bench.node.commit_index == 3


def test_a_repeated_request_does_no_harm() -> None:
    """Raft RPCs are idempotent, so this causes no harm.

    Reference: section 5.5
    """
    bench = server(current_term=1)
    message = append(1, entries=log(1, 1), commit=2)

    bench.receive("n2", message)
    once = (bench.node.frozen_key(), bench.only(AppendReply))
    bench.receive("n2", message)

    assert (bench.node.frozen_key(), bench.only(AppendReply)) == once
    assert bench.saves() == {}
