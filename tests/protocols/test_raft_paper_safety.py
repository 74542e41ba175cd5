"""Raft, sentence by sentence: sections 5.4 to 8, safety, crashes and clients.

The paper is Ongaro and Ousterhout 2014 (extended version).
Each test is one sentence of it: it sets a server up, acts, and checks.
`test_raft_mutants.py` shows that the tests fail on servers that break the sentence.
"""

from __future__ import annotations

import pytest

from clusterlab.core.spec import Get
from clusterlab.protocols.client import NotLeader, Refused, Reply, Request
from clusterlab.protocols.raft import (
    AppendEntries,
    Command,
    Entry,
    RequestVote,
    VoteReply,
)
from tests.protocols.bench import (
    Bench,
    acknowledge,
    append,
    candidate,
    established,
    leader,
    log,
    put,
    server,
)

# --- 5.4 Safety ---


@pytest.mark.parametrize(
    ("mine", "last", "granted"),
    [
        ((), (0, 0), True),
        ((1,), (0, 0), False),
        ((1, 1), (2, 1), True),
        ((1, 1), (1, 1), False),  # same term: the longer log
        ((1, 1), (3, 1), True),
        ((1, 1, 1), (1, 2), True),  # the later term, however short the log
        ((1, 2), (9, 1), False),  # an older term, however long the log
    ],
)
def test_a_voter_with_a_better_log_refuses(
    mine: tuple[int, ...], last: tuple[int, int], granted: bool
) -> None:
    """The voter denies its vote if its own log is more up-to-date than that of the candidate.

    Reference: section 5.4.1
    """
    bench = server(current_term=2, log=log(*mine))

    bench.receive("n2", RequestVote(3, *last))

    assert bench.only(VoteReply) == VoteReply(3, granted)


def test_a_refused_vote_is_not_spent() -> None:
    """votedFor: candidateId that received vote in current term (or null if none).

    Reference: Figure 2
    """
    bench = server(log=log(1)).receive("n2", RequestVote(2, 0, 0))

    bench.receive("n3", RequestVote(2, 1, 1))

    assert (bench.only(VoteReply).granted, bench.node.voted_for) == (True, "n3")


def test_entries_of_earlier_terms_are_not_committed_by_counting() -> None:
    """Raft never commits log entries from previous terms by counting replicas.

    Reference: section 5.4.2
    """
    bench = leader(log=log(1, 2), current_term=3)

    acknowledge(bench, "n2", "n3", index=2)

    assert bench.node.commit_index == 0


def test_an_entry_of_the_leaders_term_commits_those_before_it() -> None:
    """Once an entry from the current term has been committed in this way, then all prior entries
    are committed indirectly because of the Log Matching Property.

    Reference: section 5.4.2
    """
    bench = leader(log=log(1, 2), current_term=3)
    acknowledge(bench, "n2", "n3", index=2)

    acknowledge(bench, "n2", index=3)

    assert bench.node.commit_index == 3


# --- 5.5 Crashes ---


def test_terms_votes_and_log_survive_a_crash_and_nothing_else_does() -> None:
    """Persistent state on all servers: currentTerm, votedFor, log[].

    Reference: Figure 2
    """
    bench = established(log=log(1, 1), current_term=3).receive("c1", Request(1, put(1)))
    term, vote, kept = bench.node.current_term, bench.node.voted_for, bench.node.log

    bench.restart()

    assert (bench.node.current_term, bench.node.voted_for, bench.node.log) == (term, vote, kept)
    assert (bench.node.role, bench.node.commit_index, bench.node.last_applied) == ("follower", 0, 0)
    assert (bench.node.machine, bench.node.sessions, bench.node.leader_id) == ({}, {}, None)


def test_a_vote_is_on_disk_before_it_is_told() -> None:
    """Updated on stable storage before responding to RPCs; a server that crashed does not vote
    twice.

    Reference: Figure 2
    """
    bench = server().receive("n2", RequestVote(1, 0, 0))
    saved = bench.saves()

    bench.restart().receive("n3", RequestVote(1, 0, 0))

    assert saved == {"current_term": 1, "voted_for": "n2"}
    assert bench.only(VoteReply) == VoteReply(1, False)


def test_a_restarted_server_rebuilds_its_application_from_the_log() -> None:
    """lastApplied is volatile: the state machine is run again from the log.

    Reference: section 5.3, Figure 2
    """
    bench = server(current_term=1).receive("n2", append(1, entries=log(1, 1, 1), commit=3))
    before = (bench.node.machine, bench.node.sessions)

    bench.restart().receive("n2", append(1, prev=(3, 1), commit=3))

    assert (bench.node.machine, bench.node.sessions) == before


# --- 8 Client interaction ---


def test_a_leader_begins_with_a_blank_entry() -> None:
    """Each leader commits a blank no-op entry into the log at the start of its term.

    Reference: section 8
    """
    bench = leader(log=log(1), current_term=1)

    assert bench.node.log[-1] == Entry(2, None)
    assert bench.to("n2", AppendEntries).entries == (Entry(2, None),)


def test_who_does_not_lead_names_the_leader() -> None:
    """That server will reject the client's request and supply information about the most recent
    leader it has heard from.

    Reference: section 8
    """
    follower = server().receive("n2", append(1)).receive("c1", Request(4, put(1)))
    newcomer = server().receive("c1", Request(4, put(1)))
    standing = candidate().receive("c1", Request(4, put(1)))

    assert follower.sent(NotLeader) == [("c1", NotLeader(4, "n2"))]
    assert newcomer.only(NotLeader) == NotLeader(4, None)
    assert standing.only(NotLeader) == NotLeader(4, None)
    assert follower.node.log == ()


def test_a_new_term_makes_the_old_leader_unknown() -> None:
    """The most recent leader it has heard from leads no more.

    Reference: section 8
    """
    bench = server().receive("n2", append(1)).receive("n3", RequestVote(2, 0, 0))

    bench.receive("c1", Request(1, put(1)))

    assert bench.only(NotLeader) == NotLeader(1, None)


def test_a_command_that_was_executed_is_answered_and_not_executed_again() -> None:
    """If it receives a command whose serial number has already been executed, it responds
    immediately without re-executing the request.

    Reference: section 8
    """
    bench = established().receive("c1", Request(1, Get("x")))
    acknowledge(bench, "n2")

    bench.receive("c1", Request(1, Get("x")))

    assert bench.sent(Reply) == [("c1", Reply(1, None))]
    assert len(bench.node.log) == 2


def test_a_command_that_stands_in_the_log_twice_is_executed_once() -> None:
    """The state machine tracks the latest serial number processed for each client: the leader may
    crash after committing the entry but before responding, and the client asks the next one.

    Reference: section 8
    """
    again = Command("c1", 1, put(1))
    entries = (Entry(1, again), Entry(1, Command("c2", 1, put(2))), Entry(2, again))
    bench = server(current_term=2)

    bench.receive("n2", append(2, entries=entries, commit=3))

    assert bench.node.machine == {"x": 2}
    assert bench.node.sessions == {"c1": (1, None), "c2": (1, None)}


def test_a_new_leader_answers_for_a_command_of_the_old_one() -> None:
    """The client retries the command with a new leader, and gets the result of its first execution.

    Reference: section 8
    """
    old = Entry(1, Command("c1", 1, put(1)))
    bench = leader(log=(old,), current_term=1)
    bench.receive("c1", Request(1, put(1)))

    acknowledge(bench, "n2")
    told = bench.sent(Reply)
    acknowledge(bench, "n2")

    assert told == [("c1", Reply(1, None))]
    assert bench.node.log == (old, Entry(2), Entry(2, Command("c1", 1, put(1))))
    assert (bench.node.commit_index, bench.sent(Reply)) == (3, [])


def test_a_repetition_that_waits_already_is_not_appended_again() -> None:
    """The client's second attempt reaches the same leader, which is still at work on the first.

    Reference: section 8
    """
    bench = established().receive("c1", Request(1, put(1)), Request(1, put(1)))

    acknowledge(bench, "n2")

    assert len(bench.node.log) == 2
    assert bench.sent(Reply) == [("c1", Reply(1, None))]


def test_a_command_older_than_the_newest_of_its_client_is_not_executed() -> None:
    """Only the latest serial number is tracked; a client that has gone on does not wait for an old
    one.

    Reference: dissertation, section 6.3
    """
    bench = established().receive("c1", Request(2, put(2)))
    acknowledge(bench, "n2")

    bench.receive("c1", Request(1, put(1)))

    assert (bench.effects, bench.node.machine) == ((), {"x": 2})


def test_reads_take_the_way_of_writes() -> None:
    """A read without the log might return stale data, since the leader may have been superseded.

    Reference: section 8
    """
    bench = established()

    bench.receive("c1", Request(1, Get("x")))

    assert bench.sent(Reply) == []
    assert bench.node.log[-1] == Entry(1, Command("c1", 1, Get("x")))


def test_an_operation_that_the_application_does_not_know_never_enters_the_log() -> None:
    """Each state machine processes the same series of commands: one that none can process would
    stop them all.

    Reference: section 2
    """
    bench = established()

    bench.receive("c1", Request(1, append(1)))

    assert len(bench.node.log) == 1
    assert "no operation AppendEntries" in bench.only(Refused).reason


def test_who_loses_the_leadership_forgets_who_waits() -> None:
    """Volatile state on leaders is reinitialized after election; a reply may come from the leader
    only.

    Reference: Figure 2
    """
    bench = established().receive("c1", Request(1, put(1))).receive("c2", Request(1, put(2)))

    bench.receive("n2", append(2, prev=(2, 1), entries=(Entry(2),), commit=3))

    assert bench.sent(Reply) == []
    assert (bench.node.waiting, bench.node.received, bench.node.match_index) == ({}, (), {})
    assert (bench.node.commit_index, bench.node.machine) == (3, {"x": 1})


# --- what a picture shows ---


def test_status_tells_role_term_and_progress() -> None:
    def shown(bench: Bench) -> tuple[object, ...]:
        status = bench.node.status()
        return status["role"], status["epoch"], status["label"]

    assert shown(server()) == ("follower", 0, "term 0 · 0 committed")
    assert shown(established()) == ("leader", 1, "term 1 · 1 committed")
