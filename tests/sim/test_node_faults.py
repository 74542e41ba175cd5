"""Kills, crashes within a step, restarts, pauses and skewed clocks."""

from __future__ import annotations

import pytest

from clusterlab.check.lives import lives_of
from clusterlab.check.replay import replay
from clusterlab.core.faults import Kill
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId, durable
from clusterlab.sim import Simulation
from tests.sim.nodes import Journal, Number, Peer, Watch, Writer, clock, got

STEADY = Network(delay_ms=(10, 10))


def journal() -> Simulation:
    """`w` hands one value to the journal `j` (it arrives at 10 ms), which copies to `k`."""
    nodes = [Journal("j", copy_to="k"), Journal("k", copy_to="j"), Writer("w", to="j")]
    return Simulation(nodes, network=STEADY)


# ---- kill and restart ----------------------------------------------------------------------------


def test_a_kill_takes_memory_and_timers_and_leaves_the_disk() -> None:
    sim = journal()
    sim.run(15)
    assert sim.state("j") == {"log": ("x",), "appended": 1, "reminded": 0}
    assert sim.kill("j")
    assert sim.health("j") == "dead"
    assert sim.state("j") == {"log": ("x",)}
    assert [timer for timer in sim.pending()[1] if timer.node == "j"] == []
    sim.run(200)
    assert sim.trace.of("fire") == []
    sim.restart("j")
    assert sim.health("j") == "up"
    assert sim.state("j") == {"log": ("x",), "appended": 0, "reminded": 0}
    sim.run(200)
    assert sim.trace.of("fire") == [], "a timer of the old process went off in the new one"
    assert sim.trace.fired()["kill"] == sim.trace.fired()["restart"] == 1


def test_a_restart_is_the_cause_of_the_start() -> None:
    sim = journal()
    sim.kill("j")
    sim.restart("j")
    start = sim.trace.of("start", node="j")[-1]
    assert start.cause is not None
    assert sim.trace[start.cause].kind == "restart"


def test_a_restart_with_a_lost_disk_begins_anew() -> None:
    sim = journal()
    sim.run(15)
    sim.kill("j")
    sim.restart("j", disk="lose")
    assert sim.state("j")["log"] == ()
    sim.kill("j")
    assert sim.state("j") == {"log": ()}


def test_mail_for_the_dead_is_dropped_and_mail_for_the_restarted_arrives() -> None:
    sim = Simulation([Peer("a", to=("b",), count=6), Peer("b")], network=STEADY)
    sim.run(25)  # 1 has arrived, 2 is in flight
    sim.kill("b")
    sim.run(20)  # 2 and 3 arrive at a dead node, 4 is in flight
    sim.restart("b")
    sim.run(100)
    assert got(sim, "b", "a") == [4, 5, 6]
    drops = sim.trace.of("drop")
    assert [(event.data["msg"].number, event.data["why"]) for event in drops] == [
        (2, "dead"),
        (3, "dead"),
    ]
    assert sim.trace.fired()["message dead"] == 2


class Tally(Node):
    """Changes what is durable in place."""

    counts: dict[str, list[int]] = durable({})

    def on_number(self, src: NodeId, m: Number) -> None:
        self.counts.setdefault(src, []).append(m.number)


def test_a_change_in_place_whose_save_is_lost_is_not_on_the_disk() -> None:
    sim = Simulation([Tally("t"), Peer("a", to=("t",), count=9)], network=STEADY)
    sim.run(35)
    assert sim.state("t") == {"counts": {"a": [1, 2]}}
    sim.kill("t", effects=0)
    sim.run(10)
    assert sim.health("t") == "dead"
    assert sim.state("t") == {"counts": {"a": [1, 2]}}
    sim.restart("t")
    assert sim.state("t") == {"counts": {"a": [1, 2]}}


def test_the_disk_is_no_window_into_the_process() -> None:
    sim = journal()
    sim.run(15)
    sim.kill("j")
    sim.state("j")["log"] = ("forged",)
    sim.restart("j")
    assert sim.state("j")["log"] == ("x",)


# ---- a crash within a step -----------------------------------------------------------------------

STEP = ["save", "send k", "send w", "set_timer", "note"]


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4, 5, 9])
def test_a_crash_performs_exactly_the_first_effects_of_the_step(kept: int) -> None:
    sim = journal()
    assert sim.kill("j", effects=kept)
    assert "kill" not in sim.trace.fired(), "it strikes only with the next step"
    assert sim.health("j") == "up"
    sim.run(500)
    (deliver,) = sim.trace.of("deliver", node="j")
    done = [
        f"send {event.data['dst']}" if event.kind == "send" else event.kind
        for event in sim.trace
        if event.node == "j" and event.cause == deliver.seq
    ]
    assert done == [*STEP[:kept], "kill"]
    assert sim.health("j") == "dead"
    assert sim.state("j") == {"log": ("x",) if kept >= 1 else ()}
    assert sim.state("w")["answers"] == (1 if kept >= 3 else 0)
    assert sim.trace.of("fire") == [], "the timer of a dead process went off"
    (kill,) = sim.trace.of("kill")
    assert (kill.at_ms, kill.data) == (10.0, {"effects": kept})
    assert sim.trace.fired()["kill"] == 1
    sim.restart("j")
    assert sim.state("j") == {"log": ("x",) if kept >= 1 else (), "appended": 0, "reminded": 0}


def test_a_crash_that_was_ordered_dies_with_another_kill() -> None:
    sim = journal()
    sim.kill("j", effects=0)
    sim.kill("j")
    sim.restart("j")
    sim.run(20)
    assert sim.health("j") == "up"
    assert sim.state("j")["log"] == ("x",)


def test_a_crash_can_strike_the_step_of_a_timer() -> None:
    sim = Simulation([Peer("a", to=("b",), count=9), Peer("b")], network=STEADY)
    sim.run(25)
    sim.apply(Kill("a", 1))
    sim.run(100)
    assert got(sim, "b", "a") == [1, 2, 3], "the third was sent, the timer for the fourth not set"
    assert sim.health("a") == "dead"


# ---- pause ---------------------------------------------------------------------------------------


def test_a_paused_node_holds_mail_and_timers_until_it_resumes() -> None:
    sim = Simulation([Peer("a", to=("b",), count=20), Peer("b", count=20)], network=STEADY)
    sim.run(35)
    assert (got(sim, "b", "a"), sim.state("b")["sent"]) == ([1, 2], 3)
    assert sim.pause("b")
    assert sim.health("b") == "paused"
    sim.run(50)
    assert (got(sim, "b", "a"), sim.state("b")["sent"]) == ([1, 2], 3)
    assert sim.resume("b")
    assert sim.health("b") == "up"
    sim.run(0)
    assert (got(sim, "b", "a"), sim.state("b")["sent"]) == ([1, 2, 3, 4, 5, 6, 7], 4)
    late = [event for event in sim.trace.of("deliver", node="b") if event.at_ms == 85]
    assert len(late) == 5, "what waited is handled when the node resumes"
    sim.run(500)
    assert got(sim, "b", "a") == list(range(1, 21))
    assert sim.trace.fired() == {"pause": 1, "resume": 1}


def test_what_waited_is_handled_in_the_order_of_its_arrival() -> None:
    sim = Simulation(
        [
            Peer("slow", to=("z",), count=1, every_ms=1),
            Peer("fast", to=("z",), count=1, every_ms=2),
            Peer("z"),
        ]
    )
    sim.link("slow", "z", delay_ms=(50, 50))
    sim.link("fast", "z", delay_ms=(10, 10))
    sim.pause("z")
    sim.run(60)
    sim.resume("z")
    sim.run(0)
    assert sim.state("z")["got"] == (("fast", 1), ("slow", 1))


def test_time_does_not_run_back_for_mail_that_waited() -> None:
    sim = Simulation([Peer("a", to=("b",), count=5), Peer("b")], network=STEADY)
    sim.pause("b")
    sim.run(100)
    sim.resume("b")
    sim.run(10)
    times = [event.at_ms for event in sim.trace]
    assert times == sorted(times)
    assert sim.now_ms == 110


def test_the_kill_of_a_paused_node_loses_what_waited() -> None:
    sim = Simulation([Peer("a", to=("b",), count=3), Peer("b", count=9)], network=STEADY)
    sim.pause("b")
    sim.run(100)
    assert sim.kill("b")
    assert sim.health("b") == "dead"
    assert [event.data["why"] for event in sim.trace.of("drop")] == ["dead"] * 3
    assert not sim.resume("b"), "the dead do not resume"
    assert sim.restart("b")
    assert sim.health("b") == "up"
    sim.run(25)
    assert got(sim, "b", "a") == []
    assert sim.state("b")["sent"] == 2, "the new process runs on timers of its own"


def test_a_crash_within_a_step_waits_for_the_resume() -> None:
    sim = journal()
    sim.pause("j")
    sim.kill("j", effects=1)
    sim.run(50)
    assert sim.health("j") == "paused"
    sim.resume("j")
    sim.run(0)
    assert (sim.health("j"), sim.state("j")) == ("dead", {"log": ("x",)})


# ---- disks that lie ------------------------------------------------------------------------------


def hand_another(sim: Simulation) -> None:
    """`w` comes again, and hands one more value to `j`."""
    sim.kill("w")
    sim.restart("w")
    sim.run(15)


def test_a_disk_that_lies_loses_with_the_process_what_it_confirmed() -> None:
    sim = journal()
    nodes = sim.trace.nodes
    sim.run(15)
    assert sim.disk_lies("j")
    hand_another(sim)
    assert sim.state("j")["log"] == ("x", "x")
    sim.kill("j")
    assert sim.state("j") == {"log": ("x",)}
    sim.restart("j")
    hand_another(sim)
    sim.kill("j")
    assert sim.state("j") == {"log": ("x", "x")}, "after a death it is honest again"
    assert sim.trace.fired()["disk_lies"] == 1
    found = replay(sim.trace, nodes)
    assert not list(found)
    assert found.disks["j"] == {"log": ("x", "x")}
    lives = lives_of(sim.trace, nodes)
    born = [lives[event.seq][1].state()["log"] for event in sim.trace.of("restart", node="j")]
    assert born == [("x",)]


def test_a_disk_that_has_written_its_cache_out_loses_nothing() -> None:
    sim = journal()
    sim.disk_lies("j")
    sim.run(15)
    assert sim.disk_lies("j", lies=False)
    assert not sim.disk_lies("j", lies=False), "it is honest already"
    sim.kill("j")
    assert sim.state("j") == {"log": ("x",)}
    assert not sim.disk_lies("j"), "the dead do not lie"


# ---- clocks --------------------------------------------------------------------------------------


def test_a_skewed_clock_shows_its_offset() -> None:
    sim = Simulation([Watch("n1", alarms=(("a", 100), ("b", 200)))])
    sim.run(150)
    sim.skew("n1", offset_ms=5000)
    sim.run(100)
    assert clock(sim) == [(0, 0), (100, 100), (200, 5200)]
    assert sim.trace.fired() == {"skew": 1}


@pytest.mark.parametrize(("rate", "fires_ms"), [(2.0, 50), (0.5, 200), (1.25, 80)])
def test_a_clock_with_another_rate_shows_and_times_by_it(rate: float, fires_ms: float) -> None:
    sim = Simulation([Watch("n1", alarms=(("a", 100),)), Watch("n2", alarms=(("b", 100),))])
    sim.skew("n1", rate=rate)
    sim.run(300)
    fired = {event.node: event.at_ms for event in sim.trace.of("fire")}
    assert fired == {"n1": pytest.approx(fires_ms), "n2": 100}
    shown = {event.node: event.data["data"] for event in sim.trace.notes("clock")}
    assert shown == {"n1": 100, "n2": 100}, "each believes that 100 ms have passed"


def test_a_timer_that_is_pending_when_the_rate_changes_runs_on_at_the_new_rate() -> None:
    sim = Simulation([Watch("n1", alarms=(("a", 100),))])
    sim.run(40)
    sim.skew("n1", rate=3.0)  # 60 ms of the node's clock are left: 20 ms of true time
    sim.run(100)
    (fire,) = sim.trace.of("fire")
    assert fire.at_ms == pytest.approx(60)
    assert sim.trace[fire.cause or 0].kind == "set_timer"


@pytest.mark.parametrize("rate", [2.0, 0.5])
def test_a_timer_that_is_set_after_the_skew_runs_at_its_rate(rate: float) -> None:
    sim = Simulation([Watch("n1", alarms=(("a", 100),))])
    sim.kill("n1")
    sim.skew("n1", rate=rate)
    sim.restart("n1")
    sim.run(300)
    assert [event.at_ms for event in sim.trace.of("fire")] == [100 / rate]


def test_a_rate_counts_from_the_time_at_which_it_was_set() -> None:
    sim = Simulation([Watch("n1"), Peer("n2", to=("n1",), count=1, every_ms=150)], network=STEADY)
    sim.run(100)
    sim.skew("n1", rate=3.0)
    sim.run(100)
    assert clock(sim)[-1] == (160, 280)


def test_a_clock_can_be_set_right_again() -> None:
    sim = Simulation([Watch("n1"), Peer("n2", to=("n1",), count=3, every_ms=100)], network=STEADY)
    sim.skew("n1", offset_ms=-30, rate=2.0)
    sim.run(115)
    sim.skew("n1")
    sim.run(300)
    assert clock(sim) == [(0, 0), (110, 190), (210, 210), (310, 310)]


def test_a_skewed_clock_stays_skewed_over_a_restart() -> None:
    sim = Simulation([Watch("n1")])
    sim.skew("n1", offset_ms=77)
    sim.kill("n1")
    sim.run(10)
    sim.restart("n1")
    assert clock(sim) == [(0, 0), (10, 87)]


# ---- what does not strike ------------------------------------------------------------------------


def test_a_fault_that_changes_nothing_says_so_and_leaves_no_trace() -> None:
    sim = Simulation([Peer("a"), Peer("b")])
    before = len(sim.trace)
    assert not sim.restart("a")
    assert not sim.resume("a")
    assert len(sim.trace) == before
    sim.kill("a")
    before = len(sim.trace)
    assert not sim.kill("a")
    assert not sim.kill("a", effects=1)
    assert not sim.pause("a")
    assert len(sim.trace) == before
    sim.pause("b")
    assert not sim.pause("b")
    assert sim.trace.fired() == {"kill": 1, "pause": 1}
