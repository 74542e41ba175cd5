"""Raft's snapshots, sentence by sentence: section 7 and Figure 13 of the paper."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.core.faults import Kill, Restart
from clusterlab.core.spec import Put
from clusterlab.experiments.fuzz_subjects import find
from clusterlab.protocols.client import Client, Reply, Request
from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    ElectionTimeout,
    Entry,
    HeartbeatDue,
    RequestVote,
    VoteReply,
)
from clusterlab.protocols.raft.snapshots import (
    InstallSnapshot,
    Snapshot,
    SnapshotReply,
    Snapshots,
    pieces,
)
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench, append, entry, log, put

STATE = {"machine": {"x": 5, "y": 6}, "sessions": {"c1": (2, None)}}
DATA = pieces(STATE)
SNAPSHOT = Snapshot(5, 2, DATA)


def server(**fields: Any) -> Bench:
    options = {"snapshot_entries": 3, "chunk_pieces": 2}
    return Bench(Snapshots("n1", members=("n1", "n2", "n3"), **options), **fields)


def leader(**fields: Any) -> Bench:
    """n1, elected by n2; nobody has acknowledged its blank entry."""
    bench = server(**fields).fire(ElectionTimeout())
    return bench.receive("n2", VoteReply(bench.node.current_term, True))


def install(offset: int = 0, *, term: int = 2, index: int = 5, most: int = 2) -> InstallSnapshot:
    chunk = DATA[offset : offset + most]
    return InstallSnapshot(term, index, 2, offset, chunk, offset + len(chunk) == len(DATA))


# --- taking one ----------------------------------------------------------------------------------


def test_a_snapshot_takes_the_place_of_the_entries_that_it_covers() -> None:
    """Once a server completes writing a snapshot, it may delete all log entries up through the last
    included index, as well as any prior snapshot.

    Reference: section 7
    """
    bench = server(log=log(1, 1, 1, 1), current_term=1)

    bench.receive("n2", append(1, prev=(4, 1), commit=3))

    snapshot = bench.node.snapshot
    assert (snapshot.last_index, snapshot.last_term) == (3, 1)
    assert snapshot.state()["machine"] == {"x": 3}
    assert bench.node.log == (entry(1, 4),)
    assert bench.saves().keys() == {"log", "snapshot"}, "one write to the disk"


def test_a_log_below_its_size_is_kept() -> None:
    """One simple strategy is to take a snapshot when the log reaches a fixed size.

    Reference: section 7
    """
    bench = server(log=log(1, 1, 1, 1), current_term=1)
    bench.receive("n2", append(1, prev=(4, 1), commit=2))
    assert (bench.node.offset, len(bench.node.log)) == (0, 4)


def test_metadata_supports_the_consistency_check_behind_the_snapshot() -> None:
    """These are preserved to support the AppendEntries consistency check for the first log entry
    following the snapshot, since that entry needs a previous log index and term.

    Reference: section 7
    """
    bench = server(snapshot=SNAPSHOT, current_term=2)
    bench.receive("n2", append(2, prev=(5, 2), entries=(Entry(2),)))
    assert bench.only(AppendReply) == AppendReply(2, True, 6)
    assert bench.node.last_log_index == 6


def test_a_vote_looks_at_the_snapshot_if_the_log_is_empty() -> None:
    """The last entry of the log may be the last that the snapshot includes.

    Reference: section 5.4.1
    """
    bench = server(snapshot=SNAPSHOT, current_term=2)
    bench.receive("n2", RequestVote(3, 4, 2))
    assert not bench.only(VoteReply).granted
    bench.receive("n3", RequestVote(3, 5, 2))
    assert bench.only(VoteReply).granted


def test_a_restart_begins_with_what_the_snapshot_holds() -> None:
    """The application and the sessions come back; what follows waits until it is committed again.

    Reference: section 7, and chapter 5 of the dissertation
    """
    bench = server(snapshot=SNAPSHOT, log=(entry(2, 6),), current_term=2).restart()
    node = bench.node
    assert (node.machine, node.sessions) == (STATE["machine"], STATE["sessions"])
    assert (node.last_applied, node.commit_index, node.last_log_index) == (5, 5, 6)


def test_what_was_answered_before_the_snapshot_is_not_done_again() -> None:
    """The sessions belong to the snapshot.

    Reference: section 8, and chapter 6 of the dissertation
    """
    bench = leader(snapshot=SNAPSHOT, current_term=2)
    bench.receive("c1", Request(2, put(5)))
    assert bench.only(Reply) == Reply(2, None)
    assert bench.node.received == ()


# --- sending one ------------------------------------------------------------------------------


def test_a_leader_sends_its_snapshot_if_the_next_entry_is_gone() -> None:
    """The leader must occasionally send snapshots to followers that lag behind. This happens when
    the leader has already discarded the next log entry that it needs to send to a follower.

    Reference: section 7
    """
    bench = leader(snapshot=SNAPSHOT, current_term=2)
    bench.receive("n2", AppendReply(3, False, 2))
    assert bench.to("n2", InstallSnapshot) == install(term=3)


def test_the_entry_right_behind_the_snapshot_is_sent_as_an_entry() -> None:
    bench = leader(snapshot=SNAPSHOT, current_term=2)
    assert bench.to("n2", AppendEntries) == append(3, prev=(5, 2), entries=(Entry(3),), commit=5)


def test_the_pieces_go_one_chunk_after_the_other() -> None:
    """The leader sends each chunk when the one before has arrived.

    Reference: Figure 13
    """
    bench = leader(snapshot=SNAPSHOT, current_term=2).receive("n2", AppendReply(3, False, 2))
    sent = []
    for offset in (2, 4):
        bench.receive("n2", SnapshotReply(3, 5, offset))
        sent.append(bench.to("n2", InstallSnapshot))
    assert sent == [install(2, term=3), install(4, term=3)]
    assert sent[-1].done
    bench.receive("n2", AppendReply(3, True, 5))
    assert bench.to("n2", AppendEntries).prev_log_index == 5
    assert bench.node.transfers == {}


def test_a_reply_that_comes_late_or_twice_sends_nothing() -> None:
    bench = leader(snapshot=SNAPSHOT, current_term=2).receive("n2", AppendReply(3, False, 2))
    bench.receive("n2", SnapshotReply(3, 5, 2)).receive("n2", SnapshotReply(3, 5, 2))
    assert bench.sent(InstallSnapshot) == []
    bench.receive("n2", SnapshotReply(2, 5, 4)).receive("n2", SnapshotReply(3, 4, 4))
    assert bench.sent(InstallSnapshot) == [], "of another term, and of another snapshot"


def test_a_chunk_that_was_lost_is_sent_again() -> None:
    """The leader retries indefinitely: from the beginning, since the follower may have lost all.

    Reference: section 5.3
    """
    bench = leader(snapshot=SNAPSHOT, current_term=2).receive("n2", AppendReply(3, False, 2))
    bench.receive("n2", SnapshotReply(3, 5, 2)).fire(HeartbeatDue()).fire(HeartbeatDue())
    assert bench.to("n2", AppendEntries) == append(3, prev=(5, 2), commit=5), "is it there?"
    bench.receive("n2", AppendReply(3, False, 2))
    assert bench.to("n2", InstallSnapshot) == install(term=3)
    bench.receive("n2", SnapshotReply(3, 5, 4))
    assert bench.to("n2", InstallSnapshot) == install(4, term=3), "it has more than was thought"


def test_a_snapshot_on_its_way_goes_on_when_a_newer_one_is_taken() -> None:
    """Else a busy leader might never come to the end of one."""
    bench = leader(snapshot=SNAPSHOT, current_term=2).receive("n2", AppendReply(3, False, 2))
    for serial in (3, 4):
        bench.receive("c1", Request(serial, put(serial))).fire(HeartbeatDue())
    bench.receive("n3", AppendReply(3, True, 8)).receive("n3", AppendReply(3, True, 8))
    assert bench.node.offset == 8
    bench.receive("n2", SnapshotReply(3, 5, 2))
    assert bench.to("n2", InstallSnapshot) == install(2, term=3)


# --- getting one ------------------------------------------------------------------------------


def test_a_snapshot_is_installed_when_all_its_pieces_are_there() -> None:
    """Discard the entire log; reset state machine using snapshot contents.

    Reference: Figure 13, steps 7 and 8
    """
    bench = server(log=log(1, 1), current_term=2)
    bench.receive("n2", install(0)).receive("n2", install(2))
    assert bench.only(SnapshotReply) == SnapshotReply(2, 5, 4)
    assert bench.node.offset == 0
    bench.receive("n2", install(4))
    node = bench.node
    assert (node.snapshot, node.log) == (SNAPSHOT, ())
    assert (node.machine, node.sessions) == (STATE["machine"], STATE["sessions"])
    assert (node.commit_index, node.last_applied) == (5, 5)
    assert bench.only(AppendReply) == AppendReply(2, True, 5)


@pytest.mark.parametrize("order", [(0, 0, 2, 2, 4), (4, 0, 2, 0, 4), (2, 0, 4, 2, 4)])
def test_pieces_that_come_twice_or_out_of_order_do_no_harm(order: tuple[int, ...]) -> None:
    """Write data into snapshot file at given offset.

    Reference: Figure 13, step 3
    """
    bench = server(current_term=2)
    for offset in order:
        bench.receive("n2", install(offset))
    assert bench.node.snapshot == SNAPSHOT


def test_a_snapshot_of_an_older_term_is_refused() -> None:
    """Reply immediately if term < currentTerm.

    Reference: Figure 13, step 1
    """
    bench = server(current_term=3)
    bench.receive("n2", install(0))
    assert bench.only(SnapshotReply) == SnapshotReply(3, 5, 0)
    assert (bench.node.arriving, bench.node.leader_id) == (None, None)


def test_a_snapshot_older_than_what_is_committed_is_ignored() -> None:
    """It says nothing that is not known: the logs agree up to its end.

    Reference: section 7
    """
    bench = server(snapshot=SNAPSHOT._replace(last_index=7), current_term=2)
    bench.receive("n2", install(0, most=9))
    assert bench.node.offset == 7
    assert bench.only(AppendReply) == AppendReply(2, True, 5)


def test_entries_behind_the_snapshot_stay_if_its_last_entry_is_there() -> None:
    """If existing log entry has same index and term as snapshot's last included entry, retain log
    entries following it and reply.

    Reference: Figure 13, step 6
    """
    bench = server(log=log(1, 1, 1, 2, 2, 2), current_term=2)
    bench.receive("n2", install(0, most=9))
    assert bench.node.log == (entry(2, 6),)


def test_entries_behind_the_snapshot_go_if_its_last_entry_is_another() -> None:
    """Discard the entire log.

    Reference: Figure 13, step 7
    """
    bench = server(log=log(1, 1, 1, 1, 1, 1), current_term=2)
    bench.receive("n2", install(0, most=9))
    assert bench.node.log == ()


def test_another_snapshot_begins_anew() -> None:
    """Discard any existing or partial snapshot with a smaller index.

    Reference: Figure 13, step 5
    """
    bench = server(current_term=2).receive("n2", install(0))
    bench.receive("n2", install(0, index=6, most=1))
    assert bench.node.arriving == Snapshot(6, 2, DATA[:1])


def test_entries_that_the_snapshot_covers_are_not_appended_again() -> None:
    """They are committed, and so agree.

    Reference: section 7; WRaft #118
    """
    bench = server(snapshot=SNAPSHOT, current_term=2)
    bench.receive("n2", append(2, entries=(*log(1, 1, 1, 2, 2), Entry(2))))
    assert bench.node.log == (Entry(2),)
    assert bench.only(AppendReply) == AppendReply(2, True, 6)


# --- runs ------------------------------------------------------------------------------


def test_memory_of_the_log_is_bounded() -> None:
    """However much is written, a log holds at most what one snapshot and one round bring."""
    sim = Simulation(Snapshots.group(3, snapshot_entries=10), client=Client.for_servers, seed=1)
    longest = 0
    for number in range(100):
        sim.put("x", number)
        longest = max(longest, *(len(sim.state(name)["log"]) for name in sim.servers))
    assert longest <= 20


def test_all_crash_and_nothing_is_lost() -> None:
    """Restart restores the application from the snapshot and the entries behind it."""
    sim = Simulation(Snapshots.group(3, snapshot_entries=4), client=Client.for_servers, seed=2)
    for number in range(10):
        sim.put(f"k{number}", number)
    for fault in (Kill, Restart):
        for name in sim.servers:
            sim.apply(fault(name))
    assert [sim.get(f"k{number}") for number in range(10)] == list(range(10))
    assert sim.invoke("c1", Put("x", 1)) is None


@pytest.mark.parametrize("what", ["raft-snapshots", "raft-disk"])
def test_storms_break_nothing(what: str) -> None:
    trials = find(what)
    for seed in range(2):
        run = trials[seed % len(trials)].run(seed)
        assert not run.violations
        assert "a snapshot is taken" in run.reached
