"""A Raft server and its disk: it goes on while the disk writes, and counts what is written."""

from __future__ import annotations

from typing import Any

from clusterlab.protocols.client import Reply, Request
from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    ElectionTimeout,
    Entry,
    RequestVote,
    VoteReply,
)
from clusterlab.protocols.raft.async_disk import AsyncDisk, DiskDone
from tests.protocols.bench import Bench, append, entry, put

ONE = (entry(1, 1),)


def server(size: int = 3, **fields: Any) -> Bench:
    members = tuple(f"n{i}" for i in range(1, size + 1))
    return Bench(AsyncDisk("n1", members=members), **fields)


def leader() -> Bench:
    """n1, elected by n2; its blank entry is with the disk."""
    return server().fire(ElectionTimeout()).receive("n2", VoteReply(1, True))


def test_a_follower_acknowledges_what_its_disk_has_written() -> None:
    """Servers' disks must have an entry before it counts.

    Reference: Figure 2, "updated on stable storage before responding to RPCs"
    """
    bench = server().receive("n2", append(1, entries=ONE))
    assert bench.only(AppendReply) == AppendReply(1, True, 0)
    assert "log" not in bench.saves()

    bench.fire(DiskDone())

    assert bench.only(AppendReply) == AppendReply(1, True, 1)
    assert bench.saves()["log"].items == ONE


def test_a_leader_sends_before_its_disk_has_written() -> None:
    """The leader writes to its disk in parallel with replicating to the followers.

    Reference: dissertation, section 10.2.1
    """
    bench = leader()
    assert bench.to("n2", AppendEntries).entries == (Entry(1),)
    assert bench.node.log == ()


def test_a_leader_counts_itself_when_its_disk_has_written() -> None:
    """It has a match index of its own.

    Reference: dissertation, section 10.2.1
    """
    bench = leader().receive("n2", AppendReply(1, True, 1))
    assert bench.node.commit_index == 0
    bench.fire(DiskDone())
    assert bench.node.commit_index == 1


def test_a_cluster_of_one_waits_for_its_disk() -> None:
    """A client is answered when the entry is safe (etcd #14370)."""
    bench = server(1).fire(ElectionTimeout()).fire(DiskDone()).receive("c1", Request(1, put(1)))
    assert bench.sent(Reply) == []
    bench.fire(DiskDone())
    assert bench.only(Reply) == Reply(1, None)


def test_what_came_while_the_disk_wrote_is_written_together() -> None:
    bench = server().receive("n2", append(1, entries=ONE))
    two = (entry(1, 2), entry(1, 3))
    bench.receive("n2", append(1, prev=(1, 1), entries=two[:1]))
    bench.receive("n2", append(1, prev=(2, 1), entries=two[1:]))
    assert "DiskDone" not in bench.set_timers()
    bench.fire(DiskDone())
    assert (bench.node.log, bench.node.unsynced) == (ONE, two)
    assert "DiskDone" in bench.set_timers()
    bench.fire(DiskDone())
    assert bench.node.log == ONE + two
    assert bench.only(AppendReply) == AppendReply(1, True, 3)


def test_a_crash_loses_what_was_not_written() -> None:
    bench = server().receive("n2", append(1, entries=ONE)).restart()
    assert bench.node.last_log_index == 0
    assert bench.node.current_term == 1, "terms are saved at once"


def test_nothing_is_committed_that_is_not_on_the_own_disk() -> None:
    bench = server().receive("n2", append(1, entries=ONE, commit=1))
    assert bench.node.commit_index == 0
    bench.fire(DiskDone())
    assert (bench.node.commit_index, bench.node.machine) == (1, {"x": 1})


def test_entries_that_conflict_go_before_they_are_written() -> None:
    bench = server().receive("n2", append(1, entries=(*ONE, entry(1, 2))))
    bench.receive("n3", append(2, prev=(1, 1), entries=(Entry(2),)))
    assert bench.node.unsynced == (*ONE, Entry(2))
    bench.fire(DiskDone()).fire(DiskDone())
    assert bench.node.log == (*ONE, Entry(2))
    assert bench.only(AppendReply) == AppendReply(2, True, 2)


def test_entries_that_conflict_go_from_the_disk_too() -> None:
    bench = server(log=(*ONE, entry(1, 2)), current_term=1)
    bench.receive("n2", append(1, prev=(2, 1), entries=(entry(1, 3),)))
    bench.receive("n3", append(2, prev=(1, 1), entries=(Entry(2),)))
    assert (bench.node.log, bench.node.unsynced) == (ONE, (Entry(2),))


def test_a_leader_of_an_earlier_term_is_owed_nothing() -> None:
    bench = server().receive("n2", append(1, entries=ONE))
    bench.receive("n3", RequestVote(2, 1, 1)).receive("n3", append(2))
    bench.fire(DiskDone())
    assert bench.sent(AppendReply) == []
    assert bench.node.log == ONE


def test_a_vote_looks_at_entries_that_are_not_written_yet() -> None:
    """Whoever lacks them is behind this server, as long as it lives."""
    bench = server().receive("n2", append(1, entries=ONE)).receive("n3", RequestVote(2, 0, 0))
    assert not bench.only(VoteReply).granted
