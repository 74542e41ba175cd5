"""The client: it asks again with the same serial, follows hints without haste, never guesses."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from clusterlab.core.errors import OperationFailed, OperationUnknown
from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import WORLD, CancelTimer
from clusterlab.core.spec import Add, CompareAndSet, Get, Put
from clusterlab.protocols.client import (
    AnswerOverdue,
    Client,
    GiveUp,
    NextOperation,
    NotLeader,
    Refused,
    Reply,
    Request,
    TryAgain,
    counting_writes,
    mixed_workload,
)
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench

SERVERS = ("n1", "n2", "n3")


def client(**options: Any) -> Bench:
    return Bench(Client("c1", servers=SERVERS, **options))


def asking(operation: Any = None, **options: Any) -> Bench:
    """A client that has just asked n1."""
    return client(**options).receive(WORLD, Invoke(operation or Put("x", 1)))


# --- one operation ---


def test_it_tells_when_it_begins_and_asks_a_server() -> None:
    bench = asking()

    assert bench.told_world() == [Invoked(Put("x", 1))]
    assert bench.sent(Request) == [("n1", Request(1, Put("x", 1)))]
    assert bench.set_timers() == {"GiveUp": 8000, "AnswerOverdue": 500}


def test_a_reply_ends_the_operation() -> None:
    bench = asking(Get("x")).receive("n1", Reply(1, 7))

    assert bench.told_world() == [Returned("ok", 7)]
    assert bench.node.operation is None
    cancelled = {type(e.timer) for e in bench.effects if isinstance(e, CancelTimer)}
    assert cancelled == {AnswerOverdue, GiveUp, TryAgain}


def test_a_reply_to_an_earlier_operation_is_ignored() -> None:
    bench = asking().receive("n1", Reply(1, None)).receive(WORLD, Invoke(Get("x")))

    bench.receive("n1", Reply(1, None))

    assert bench.told_world() == []
    assert bench.receive("n1", Reply(2, 1)).told_world() == [Returned("ok", 1)]


def test_a_reply_that_comes_twice_ends_it_once() -> None:
    bench = asking().receive("n1", Reply(1, None))

    assert bench.receive("n1", Reply(1, None)).effects == ()


def test_whoever_answered_is_asked_next() -> None:
    bench = asking().receive("n3", Reply(1, None))

    bench.receive(WORLD, Invoke(Get("x")))

    assert bench.sent(Request) == [("n3", Request(2, Get("x")))]


def test_operations_wait_for_each_other() -> None:
    bench = asking().receive(WORLD, Invoke(Get("x"))).receive(WORLD, Invoke(Get("y")))
    assert bench.effects == ()

    bench.receive("n1", Reply(1, None))

    assert bench.told_world() == [Returned("ok", None), Invoked(Get("x"))]
    assert bench.sent(Request) == [("n1", Request(2, Get("x")))]
    assert bench.receive("n1", Reply(2, 1)).told_world() == [Returned("ok", 1), Invoked(Get("y"))]


# --- when servers do not answer, or send it away ---


def test_without_an_answer_it_asks_the_next_server_with_the_same_serial() -> None:
    bench = asking()

    asked = [bench.fire(AnswerOverdue()).sent(Request)[0] for _ in range(3)]

    same = Request(1, Put("x", 1))
    assert asked == [("n2", same), ("n3", same), ("n1", same)]


def test_a_hint_is_followed_at_once() -> None:
    bench = asking().receive("n1", NotLeader(1, "n3"))

    assert bench.sent(Request) == [("n3", Request(1, Put("x", 1)))]


def test_a_second_hint_is_followed_after_a_pause() -> None:
    """Two servers that name each other would be asked as fast as the network carries it."""
    bench = asking().receive("n1", NotLeader(1, "n2"))

    bench.receive("n2", NotLeader(1, "n1"))
    at_once = bench.sent(Request)

    assert (at_once, bench.set_timers()) == ([], {"TryAgain": (20, 60)})
    assert bench.fire(TryAgain()).sent(Request) == [("n1", Request(1, Put("x", 1)))]


def test_without_a_hint_it_asks_the_next_server_after_a_pause() -> None:
    bench = asking().receive("n1", NotLeader(1, None))

    assert (bench.sent(Request), bench.set_timers()) == ([], {"TryAgain": (20, 60)})
    assert bench.fire(TryAgain()).sent(Request) == [("n2", Request(1, Put("x", 1)))]


def test_a_hint_to_a_server_that_was_silent_is_not_followed() -> None:
    """After the leader's death the others still name it until they elect another."""
    bench = asking().fire(AnswerOverdue())

    bench.receive("n2", NotLeader(1, "n1"))

    assert bench.sent(Request) == []
    assert bench.fire(TryAgain()).sent(Request) == [("n3", Request(1, Put("x", 1)))]


def test_a_server_that_was_silent_may_be_followed_again_once_somebody_answered() -> None:
    bench = asking().fire(AnswerOverdue()).receive("n2", Reply(1, None))

    bench.receive(WORLD, Invoke(Get("x"))).receive("n2", NotLeader(2, "n1"))

    assert bench.sent(Request) == [("n1", Request(2, Get("x")))]


@pytest.mark.parametrize(("src", "serial"), [("n1", 7), ("n2", 1)])
def test_a_redirection_that_was_not_asked_for_is_ignored(src: str, serial: int) -> None:
    bench = asking().receive(src, NotLeader(serial, "n3"))

    assert bench.effects == ()


def test_what_the_application_does_not_know_has_certainly_failed() -> None:
    bench = asking().receive("n1", Refused(1, "no such operation"))

    assert bench.told_world() == [Returned("fail", "no such operation")]


def test_what_nobody_answered_is_unknown_and_its_serial_is_spent() -> None:
    bench = asking().fire(GiveUp())

    assert bench.told_world() == [Returned("info", None)]
    assert bench.receive("n1", Reply(1, None)).effects == ()
    assert bench.receive(WORLD, Invoke(Get("x"))).sent(Request)[0][1].serial == 2


@pytest.mark.parametrize("timer", [GiveUp(), AnswerOverdue(), TryAgain()])
def test_a_timer_that_comes_too_late_does_nothing(timer: Any) -> None:
    bench = asking().receive("n1", Reply(1, None))

    assert bench.fire(timer).effects == ()


# --- serial numbers ---


def test_serials_are_reserved_on_disk_before_they_are_used_and_a_thousand_at_a_time() -> None:
    bench = asking()
    first = bench.saves()
    bench.receive("n1", Reply(1, None)).receive(WORLD, Invoke(Get("x")))

    assert (first, bench.saves()) == ({"reserved": 1000}, {})


def test_a_restart_never_uses_a_serial_again() -> None:
    """The servers would take the new operation for a repetition, and answer without doing it."""
    bench = asking().restart()

    bench.receive(WORLD, Invoke(Put("x", 2)))

    assert bench.only(Request).serial == 1001
    assert bench.saves() == {"reserved": 2000}


def test_a_restarted_client_still_gets_its_writes_done() -> None:
    sim = Simulation(Raft.group(3), client=Client.for_servers)
    sim.put("x", 1)

    sim.kill("c1")
    sim.restart("c1")
    sim.put("x", 2)

    assert sim.get("x") == 2


# --- workloads ---


def test_a_workload_is_a_function_of_the_serial() -> None:
    bench = client(workload=lambda n: Put("x", n * 10), operations=2)
    assert bench.set_timers() == {"NextOperation": 0}

    bench.fire(NextOperation())
    assert bench.only(Request) == Request(1, Put("x", 10))
    bench.receive("n1", Reply(1, None))
    assert bench.only(Request) == Request(2, Put("x", 20))
    bench.receive("n1", Reply(2, None))

    assert (bench.sent(Request), bench.set_timers()) == ([], {})


def test_a_workload_may_be_a_tuple() -> None:
    bench = client(workload=(Put("x", 1), Get("x"))).fire(NextOperation())

    bench.receive("n1", Reply(1, None))
    second = bench.only(Request)
    bench.receive("n1", Reply(2, 1))

    assert second == Request(2, Get("x"))
    assert bench.told_world() == [Returned("ok", 1)]


def test_between_operations_there_is_time_to_think() -> None:
    bench = client(workload=lambda n: Put("x", n), every_ms=(10, 30)).fire(NextOperation())

    bench.receive("n1", Reply(1, None))

    assert bench.sent(Request) == []
    assert bench.set_timers() == {"NextOperation": (10, 30)}
    assert bench.fire(NextOperation()).only(Request).serial == 2


def test_an_operation_from_outside_comes_in_between() -> None:
    bench = client(workload=lambda n: Put("x", n), every_ms=10).fire(NextOperation())
    bench.receive(WORLD, Invoke(Get("y")))

    bench.receive("n1", Reply(1, None))
    assert bench.only(Request) == Request(2, Get("y"))
    assert bench.fire(NextOperation()).effects == ()
    bench.receive("n1", Reply(2, None))

    assert bench.set_timers() == {"NextOperation": 10}


def test_counting_writes_never_write_a_value_twice() -> None:
    write = counting_writes("w", keys=3)

    operations = [write(n) for n in range(1, 100)]

    assert len({op.value for op in operations if isinstance(op, Put)}) == 99
    assert {op.key for op in operations if isinstance(op, Put)} == {"w0", "w1", "w2"}
    assert counting_writes("w")(5) == Put("w", "w:5")


def test_a_mixed_workload_mixes_and_repeats() -> None:
    work = mixed_workload("a", seed=1)

    operations = [work(n) for n in range(1, 1001)]

    assert operations == [work(n) for n in range(1, 1001)]
    assert operations != [mixed_workload("a", seed=2)(n) for n in range(1, 1001)]
    kinds = Counter(type(op) for op in operations)
    assert set(kinds) == {Put, Get, CompareAndSet}
    assert min(kinds.values()) > 100
    written = [op.value for op in operations if isinstance(op, Put)]
    written += [op.new for op in operations if isinstance(op, CompareAndSet)]
    assert len(set(written)) == len(written)
    assert {op.key for op in operations} == {"x", "y", "z"}  # type: ignore[attr-defined]


def test_a_mixed_workload_of_a_client_alone_sometimes_swaps() -> None:
    """Compare-and-set that never succeeds would test nothing."""
    sim = Simulation(Raft.group(3))
    sim.add_client(Client("c1", servers=sim.servers, workload=mixed_workload("a"), operations=200))

    sim.run_until(lambda: sim.state("c1")["begun"] == 200 and sim.status("c1")["label"] == "idle")

    assert len(sim.history.ok()) == 200
    swapped = [op.value for op in sim.history if isinstance(op.call, CompareAndSet)]
    assert True in swapped
    assert False in swapped


# --- in a cluster ---


def test_put_get_and_compare_and_set_in_a_cluster() -> None:
    sim = Simulation(Raft.group(3), client=Client.for_servers)

    sim.put("x", 1)

    assert sim.get("x") == 1
    assert sim.compare_and_set("x", 1, 2)
    assert not sim.compare_and_set("x", 1, 3)
    assert [sim.get("x"), sim.get("never")] == [2, None]


def test_a_client_finds_the_new_leader() -> None:
    sim = Simulation(Raft.group(5), client=Client.for_servers)
    sim.put("x", 1)
    old = sim.leader()
    assert old is not None

    sim.kill(old)
    sim.put("x", 2)

    assert sim.leader() not in (None, old)
    assert sim.get("x") == 2


def test_without_a_majority_the_outcome_is_unknown() -> None:
    sim = Simulation(Raft.group(3), client=Client.for_servers)
    sim.put("x", 1)
    for name in sim.servers:
        if name != sim.leader():
            sim.kill(name)

    with pytest.raises(OperationUnknown, match="may or may not have happened"):
        sim.put("x", 2)

    assert [op.outcome for op in sim.history] == ["ok", "info"]


def test_an_operation_that_the_application_does_not_know_is_refused() -> None:
    sim = Simulation(Raft.group(3), client=Client.for_servers)

    with pytest.raises(OperationFailed, match="KeyValue\\(\\) has no operation Add\\(amount=1\\)"):
        sim.invoke("c1", Add(1))

    assert all(sim.health(name) == "up" for name in sim.servers)
    sim.put("x", 1)


def test_status() -> None:
    assert client().node.status() == {"role": "client", "epoch": 0, "label": "idle"}
    assert asking().node.status()["label"] == "asking"
