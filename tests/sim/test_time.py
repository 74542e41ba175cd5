"""How time passes: by command, until something holds, by itself; and what ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from clusterlab.core.errors import HandlerRaised, LimitReached, ScenarioError
from clusterlab.core.network import Network
from clusterlab.sim import Simulation
from clusterlab.sim.pace import LAG_S_MAX, Pace
from tests.sim.nodes import Fragile, Peer, Server, Store, Watch, client, got

STEADY = Network(delay_ms=(10, 10))


def counting(count: int = 1000) -> Simulation:
    return Simulation([Peer("a", to=("b",), count=count), Peer("b")], network=STEADY)


def in_thread(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises when another thread runs it."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(work())
        except Exception as error:  # noqa: BLE001 - it is raised below
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "the other thread hangs"
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


# ---- run and run_until ---------------------------------------------------------------------------


def test_run_lets_exactly_so_much_time_pass() -> None:
    sim = counting()
    sim.run(25)
    assert (sim.now_ms, sim.state("a")["sent"], got(sim, "b", "a")) == (25, 2, [1])
    sim.run(5)
    assert (sim.now_ms, sim.state("a")["sent"], got(sim, "b", "a")) == (30, 3, [1, 2])
    sim.run(0)
    assert sim.now_ms == 30


def test_time_passes_when_nothing_happens() -> None:
    sim = Simulation([Watch("n1")])
    sim.run(1234.5)
    assert sim.now_ms == 1234.5


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ScenarioError, match=r"run\(-1\) needs at least 0 ms"):
        counting().run(-1)


def test_run_until_stops_at_the_event_that_made_it_true() -> None:
    sim = counting()
    sim.run_until(lambda: sim.state("a")["sent"] == 7)
    assert (sim.now_ms, sim.trace[-1].kind) == (70, "set_timer")
    sim.run_until(lambda: sim.state("a")["sent"] == 7)
    assert sim.now_ms == 70, "what holds already takes no time"


def test_run_until_reports_its_limit() -> None:
    sim = counting()
    with pytest.raises(LimitReached) as caught:
        sim.run_until(lambda: False, limit_ms=105, what="the impossible")
    assert str(caught.value) == (
        "the impossible did not come true within 105 ms: "
        "look at the trace, or give it a larger limit_ms."
    )
    assert sim.now_ms == 105
    sim.run_until(lambda: sim.now_ms >= 110, limit_ms=5)


def test_run_until_says_when_nothing_more_can_happen() -> None:
    sim = counting(count=3)
    with pytest.raises(LimitReached, match="nothing more can happen in this cluster"):
        sim.run_until(lambda: False, limit_ms=1000)
    assert sim.state("a")["sent"] == 3
    assert sim.now_ms == 1000


def test_what_was_cancelled_is_nothing_that_can_happen() -> None:
    sim = counting()
    sim.kill("a")
    with pytest.raises(LimitReached, match="nothing more can happen"):
        sim.run_until(lambda: False, limit_ms=5)


# ---- play and halt -------------------------------------------------------------------------------


def test_while_it_plays_time_passes_by_itself() -> None:
    sim = counting()
    sim.play(speed=50)
    try:
        in_thread(lambda: sim.run_until(lambda: sim.state("a")["sent"] >= 20))
        assert sim.now_ms >= 200
    finally:
        sim.stop()
    assert got(sim, "b", "a") == list(range(1, len(got(sim, "b", "a")) + 1))


def test_at_play_run_waits_and_another_thread_can_run_and_invoke() -> None:
    sim = Simulation([Server("n1")], network=STEADY, client=client)
    sim.play(speed=50)
    try:
        before = sim.now_ms
        sim.run(100)
        assert sim.now_ms >= before + 100
        assert in_thread(lambda: sim.invoke("c1", Store("x"))) == 1
        assert sim.invoke("c1", Store("y")) == 2
        assert in_thread(lambda: sim.run(50)) is None
        assert in_thread(lambda: sim.kill("n1"))
        assert sim.health("n1") == "dead"
    finally:
        sim.stop()
    assert [op.outcome for op in sim.history] == ["ok", "ok"]


def test_the_limit_holds_at_play() -> None:
    sim = counting()
    sim.play(speed=100)
    try:
        with pytest.raises(LimitReached, match="within 50 ms"):
            sim.run_until(lambda: False, limit_ms=50)
        assert sim.now_ms >= 50
    finally:
        sim.stop()


def test_after_halt_time_stands_still() -> None:
    sim = counting()
    sim.play(speed=50)
    sim.run(100)
    sim.halt()
    now, events = sim.now_ms, len(sim.trace)
    for thread in threading.enumerate():
        if thread.name == "clusterlab-pace":
            thread.join(10)
            assert not thread.is_alive()
    assert (sim.now_ms, len(sim.trace)) == (now, events)
    sim.run(10)
    assert sim.now_ms == now + 10
    sim.halt()  # harmless


def test_playing_does_not_change_the_run() -> None:
    played, run = counting(count=30), counting(count=30)
    played.play(speed=100)
    played.run_until(lambda: len(got(played, "b", "a")) == 30)
    played.halt()
    run.run(1000)
    assert played.trace.digest() == run.trace.digest()


class Door(AbstractContextManager[None]):
    """A lock in which somebody stops the pace at the moment when the pace has taken it."""

    pace: Pace

    def __init__(self) -> None:
        self.ready, self.taken = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        self.ready.wait(10)
        if not self.taken.is_set():
            self.taken.set()
            self.pace.stop()

    def __exit__(self, *error: object) -> None:
        pass


def test_a_pace_that_is_stopped_while_it_waits_for_the_lock_does_not_advance() -> None:
    door, advanced = Door(), []
    pace = Pace(advanced.append, door, speed=1.0)
    door.pace = pace
    door.ready.set()
    assert door.taken.wait(10)
    assert pace.wait(lambda: False) is False
    for thread in threading.enumerate():
        if thread.name == "clusterlab-pace":
            thread.join(10)
    assert advanced == []


@pytest.mark.slow
def test_what_a_slow_machine_missed_is_left_out() -> None:
    advanced: list[float] = []
    enough = threading.Event()

    def advance(ms: float) -> None:
        advanced.append(ms)
        if len(advanced) == 1:
            time.sleep(3 * LAG_S_MAX)  # the machine is busy: a slow one only makes this longer
        elif len(advanced) == 2:
            enough.set()

    pace = Pace(advance, threading.RLock(), speed=2.0)
    assert enough.wait(10)
    pace.stop()
    assert advanced[1] == pytest.approx(LAG_S_MAX * 1000 * 2)


def test_play_with_another_speed_replaces_the_first() -> None:
    sim = counting()
    sim.play(speed=0.001)
    sim.play(speed=100)
    sim.run(200)
    sim.halt()
    running = [t for t in threading.enumerate() if t.name == "clusterlab-pace"]
    for thread in running:
        thread.join(10)
    assert not any(thread.is_alive() for thread in running)


def test_a_condition_may_halt_the_play_and_the_run_goes_on_without() -> None:
    sim = counting()
    sim.play(speed=50)

    def condition() -> bool:
        if sim.state("a")["sent"] >= 5:
            sim.halt()
        return bool(sim.state("a")["sent"] == 500)

    in_thread(lambda: sim.run_until(condition))
    assert sim.state("a")["sent"] == 500


def test_an_error_in_a_handler_reaches_who_waits_and_the_cluster_can_go_on() -> None:
    sim = Simulation([Fragile("f"), Peer("a", to=("f",), count=100)], network=STEADY)
    sim.play(speed=50)
    with pytest.raises(HandlerRaised, match="three is too many"):
        sim.run(1000)
    assert sim.health("f") == "dead"
    sim.run(1000)  # time stands still after an error, so this is a plain run
    assert sim.state("a")["sent"] == 100


def test_an_error_before_anyone_waits_is_not_lost() -> None:
    sim = Simulation([Fragile("f"), Peer("a", to=("f",), count=100)], network=STEADY)
    sim.play(speed=50)
    for thread in threading.enumerate():
        if thread.name == "clusterlab-pace":
            thread.join(10)
    with pytest.raises(HandlerRaised, match="three is too many"):
        sim.run(1)


@pytest.mark.parametrize("speed", [0, -1])
def test_a_speed_that_stands_still_is_refused(speed: float) -> None:
    with pytest.raises(ScenarioError, match="give a speed above 0"):
        counting().play(speed=speed)


# ---- stop ----------------------------------------------------------------------------------------


def test_a_stopped_cluster_can_be_read_but_not_used() -> None:
    sim = Simulation([Server("n1")], network=STEADY, client=client)
    sim.invoke("c1", Store("x"))
    sim.stop()
    sim.stop()
    assert sim.state("n1") == {"values": ("x",)}
    assert len(sim.history) == 1
    assert sim.health("n1") == "up"
    uses: list[Callable[[], object]] = [
        lambda: sim.run(1),
        lambda: sim.run_until(lambda: True),
        sim.step,
        sim.play,
        lambda: sim.kill("n1"),
        lambda: sim.partition(["n1"]),
        lambda: sim.invoke("c1", Store("y")),
        lambda: sim.submit("c1", Store("y")),
        lambda: sim.add_client(Peer("c2")),
        lambda: sim.deliver("c1", "n1"),
        lambda: sim.drop("c1", "n1"),
        lambda: sim.fire("n1"),
    ]
    for use in uses:
        with pytest.raises(ScenarioError, match="was stopped: make a new one"):
            use()


def test_leaving_the_context_stops_the_cluster() -> None:
    with counting() as sim:
        sim.play(speed=10)
    with pytest.raises(ScenarioError, match="was stopped"):
        sim.run(1)


def test_who_waits_for_a_cluster_that_is_stopped_is_told() -> None:
    sim = counting()
    sim.play(speed=0.01)
    asked = threading.Event()

    def condition() -> bool:
        asked.set()
        return False

    result: list[Exception] = []

    def wait() -> None:
        try:
            sim.run_until(condition)
        except ScenarioError as error:
            result.append(error)

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    assert asked.wait(10)
    sim.stop()
    waiter.join(10)
    assert [str(error) for error in result] == [
        "this cluster was stopped: make a new one to go on."
    ]
