"""A disk for two: blocks, halves of records, a fence, and servers that mount it."""

from __future__ import annotations

from clusterlab.core.spec import Put
from clusterlab.protocols.client import NotLeader, Reply, Request
from clusterlab.protocols.records import BACKUP, PRIMARY, Record
from clusterlab.protocols.shared_storage import (
    Alive,
    BlockWritten,
    Contents,
    DiskPair,
    DiskSilent,
    Fenced,
    FencedStorage,
    ReadAll,
    Silence,
    Storage,
    WriteBlock,
)
from tests.protocols.bench import Bench

OLD, NEW = Record(1, "c1", 1, Put("x", 1)), Record(2, "c2", 1, Put("x", 2))


def server() -> Bench:
    return Bench(DiskPair.pair()[0])


def serving(*blocks: Record) -> Bench:
    """n1 has mounted a disk under token 1."""
    return server().fire(Silence()).receive("disk", Contents(1, blocks))


# --- the disk ---


def test_a_disk_writes_what_it_is_told() -> None:
    disk = Bench(Storage("disk")).receive("n2", ReadAll(2)).receive("n1", WriteBlock(1, OLD, 1))
    assert disk.only(BlockWritten) == BlockWritten(1, 1)
    assert disk.node.blocks == (None, OLD)
    assert disk.restart().receive("n1", ReadAll(1)).only(Contents).blocks == (None, OLD)


def test_a_fenced_disk_refuses_whoever_is_older() -> None:
    disk = Bench(FencedStorage("disk")).receive("n2", WriteBlock(0, NEW, 2))
    assert disk.receive("n1", WriteBlock(0, OLD, 1)).only(Fenced).newest == 2
    assert disk.receive("n1", ReadAll(1)).only(Fenced).newest == 2
    assert disk.restart().receive("n1", WriteBlock(0, OLD, 1)).only(Fenced).newest == 2
    assert disk.node.blocks == (NEW,)


def test_reading_raises_the_fence() -> None:
    disk = Bench(FencedStorage("disk")).receive("n1", WriteBlock(0, OLD, 1))
    disk.receive("n2", ReadAll(2))
    assert disk.receive("n1", WriteBlock(1, OLD, 1)).only(Fenced).newest == 2


def test_of_two_with_the_same_token_a_fenced_disk_admits_the_first() -> None:
    disk = Bench(FencedStorage("disk")).receive("n1", ReadAll(1))
    assert disk.receive("n2", ReadAll(1)).only(Fenced).newest == 1
    assert disk.receive("n1", WriteBlock(0, OLD, 1)).only(BlockWritten).block == 0


# --- the servers ---


def test_a_record_counts_when_both_its_halves_are_on_the_disk() -> None:
    primary = serving().receive("c1", Request(1, Put("x", 1)))
    assert primary.only(WriteBlock) == WriteBlock(0, OLD, 1)
    assert primary.receive("disk", BlockWritten(0, 1)).sent(Reply) == []
    assert primary.only(WriteBlock) == WriteBlock(1, OLD, 1)
    assert primary.receive("disk", BlockWritten(1, 1)).only(Reply).serial == 1


def test_a_confirmation_that_comes_twice_counts_once() -> None:
    primary = serving().receive("c1", Request(1, Put("x", 1)))
    primary.receive("disk", BlockWritten(0, 1), BlockWritten(0, 1))
    assert primary.sent(WriteBlock) == []
    assert primary.node.written == 1


def test_what_the_disk_does_not_confirm_is_said_again() -> None:
    primary = serving().receive("c1", Request(1, Put("x", 1))).fire(DiskSilent())
    assert primary.only(WriteBlock) == WriteBlock(0, OLD, 1)
    assert server().fire(Silence()).fire(DiskSilent()).only(ReadAll).token == 1


def test_an_unfinished_record_at_the_end_was_never_acknowledged_and_is_written_over() -> None:
    primary = serving(OLD, OLD, NEW)
    assert primary.node.log == (OLD,)
    primary.receive("c3", Request(1, Put("y", 1)))
    assert primary.only(WriteBlock).block == 2


def test_a_request_that_was_carried_out_under_another_primary_is_not_carried_out_again() -> None:
    assert serving(OLD, OLD).receive("c1", Request(1, Put("x", 1))).only(Reply).serial == 1


def test_who_is_refused_by_the_disk_serves_no_more() -> None:
    primary = serving().receive("c1", Request(1, Put("x", 1))).receive("disk", Fenced(3))
    assert (primary.node.role, primary.node.epoch) == (BACKUP, 3)
    assert primary.only(NotLeader).leader == "n2"


def test_of_two_that_serve_in_one_epoch_the_first_by_name_goes_on() -> None:
    one, two = (Bench(node).fire(Silence()) for node in DiskPair.pair())
    for each in (one, two):
        each.receive("disk", Contents(1, ()))
    assert one.receive("n2", Alive(1)).node.role == PRIMARY
    assert two.receive("n1", Alive(1)).node.role == BACKUP


def test_who_stops_serving_finishes_the_record_it_has_begun() -> None:
    """Well meant, since half a record is of no use; a pause makes it dangerous."""
    late = Bench(DiskPair.pair()[1]).fire(Silence()).receive("disk", Contents(1, ()))
    late.receive("c1", Request(1, Put("x", 1))).receive("n1", Alive(1))
    assert late.receive("disk", BlockWritten(0, 1)).only(WriteBlock).block == 1
    assert late.receive("disk", BlockWritten(1, 1)).sent(Reply) == []
