"""A manager that promotes, with a power switch and without."""

from __future__ import annotations

from clusterlab.core.history import Invoke, Returned
from clusterlab.core.node import Note
from clusterlab.protocols.failover import (
    FailoverManager,
    IsOff,
    Managed,
    OrdersDue,
    PowerSwitch,
    PrimarySilent,
    Serve,
    Serving,
    StandBy,
    Stonith,
    SwitchedOff,
    SwitchOff,
)
from clusterlab.protocols.records import BACKUP, PRIMARY
from clusterlab.protocols.shared_storage import Contents, ReadAll
from tests.protocols.bench import Bench


def test_a_manager_tells_everybody_who_serves_again_and_again() -> None:
    manager = Bench(FailoverManager("m"))
    for _ in range(2):
        assert manager.sent(Serve) == [("n1", Serve(1))]
        assert manager.sent(StandBy) == [("n2", StandBy(1))]
        manager.fire(OrdersDue())


def test_a_naive_manager_takes_silence_for_death() -> None:
    manager = Bench(FailoverManager("m")).fire(PrimarySilent())
    assert manager.sent(Serve) == [("n2", Serve(2))]


def test_a_manager_that_restarts_goes_on_with_whom_it_has_promoted() -> None:
    manager = Bench(FailoverManager("m")).fire(PrimarySilent()).restart()
    assert manager.sent(Serve) == [("n2", Serve(2))]


def test_stonith_promotes_nobody_before_the_switch_has_confirmed() -> None:
    manager = Bench(Stonith("m")).fire(PrimarySilent())
    assert manager.sent(SwitchOff) == [("pdu", SwitchOff("n1"))]
    manager.fire(PrimarySilent())
    assert manager.sent(SwitchOff) == [("pdu", SwitchOff("n1"))], "it asks again"
    assert manager.node.active == "n1"
    manager.receive("pdu", SwitchedOff("n1"))
    assert manager.sent(Serve) == [("n2", Serve(2))]
    manager.receive("pdu", SwitchedOff("n1"))
    assert manager.node.active == "n2", "a confirmation that comes twice is old news"


def test_a_switch_confirms_when_the_world_says_that_the_machine_is_dead() -> None:
    switch = Bench(PowerSwitch("pdu")).receive("m", SwitchOff("n1"))
    assert [e.data for e in switch.effects if isinstance(e, Note)] == ["n1"]
    assert switch.sent(SwitchedOff) == []
    assert switch.receive("m", SwitchOff("n1")).effects == (), "the hand is on the switch"
    switch.receive("world", Invoke(IsOff("n1")))
    assert switch.sent(SwitchedOff) == [("m", SwitchedOff("n1"))]
    assert switch.receive("world", Invoke(IsOff("n2"))).only(Returned).outcome == "fail"


def test_a_server_mounts_the_disk_once_for_each_order_and_again_after_a_crash() -> None:
    server = Bench(Managed("n1", partner="n2")).receive("m", Serve(1))
    assert server.only(ReadAll) == ReadAll(1)
    assert server.receive("disk", Contents(1, ())).node.role == PRIMARY
    assert server.receive("m", Serve(1)).sent(ReadAll) == []
    assert server.only(Serving) == Serving(1)
    assert server.restart().receive("m", Serve(1)).only(ReadAll) == ReadAll(1)


def test_a_server_stands_by_when_another_was_promoted() -> None:
    server = Bench(Managed("n1", partner="n2")).receive("m", Serve(1))
    server.receive("disk", Contents(1, ())).receive("m", StandBy(2))
    assert server.node.role == BACKUP
    assert server.receive("m", Serve(1)).sent(ReadAll) == [], "an old order"
