"""The cluster taken by hand: what is to come, and one chosen thing at a time."""

from __future__ import annotations

import pytest

from clusterlab.core.errors import ScenarioError, UnknownNode
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD
from clusterlab.sim import InFlight, PendingTimer, Simulation
from tests.sim.nodes import (
    Append,
    Appended,
    Client,
    Journal,
    Number,
    Peer,
    Reminder,
    Server,
    Store,
    Tick,
    Writer,
    got,
)

STEADY = Network(delay_ms=(100, 100))


def sending() -> Simulation:
    """At 30 ms, `a` has sent 1, 2 and 3 to `b`, and nothing has arrived."""
    sim = Simulation([Peer("a", to=("b",), count=5), Peer("b")], network=STEADY)
    sim.run(30)
    return sim


# ---- pending -------------------------------------------------------------------------------------


def test_pending_tells_what_is_in_flight_and_which_timers_run() -> None:
    messages, timers = sending().pending()
    assert messages == [InFlight("a", "b", Number(n), 100.0 + 10 * n) for n in (1, 2, 3)]
    assert timers == [PendingTimer("a", Tick(), 40.0)]


def test_pending_leaves_out_what_can_no_longer_happen() -> None:
    sim = sending()
    sim.drop("a", "b")
    sim.kill("a")
    messages, timers = sim.pending()
    assert [message.msg for message in messages] == [Number(2), Number(3)]
    assert timers == []


def test_a_timer_that_is_set_anew_is_pending_once() -> None:
    nodes = [Journal("j", copy_to="w"), Writer("w", to="j")]
    sim = Simulation(nodes, network=Network(delay_ms=(10, 10)))
    sim.run(10)
    assert sim.pending()[1] == [PendingTimer("j", Reminder(), 60.0)]
    sim.kill("w")
    sim.restart("w")
    sim.run(10)
    assert sim.pending()[1] == [PendingTimer("j", Reminder(), 70.0)]
    sim.run(200)
    assert sim.state("j")["reminded"] == 1


def test_what_waits_at_a_paused_node_is_not_pending_until_it_resumes() -> None:
    sim = sending()
    sim.pause("b")
    sim.run(200)
    assert sim.pending() == ([], [])
    sim.resume("b")
    due = [(message.msg, message.due_ms) for message in sim.pending()[0]]
    assert due == [(Number(n), sim.now_ms) for n in range(1, 6)]


# ---- step ----------------------------------------------------------------------------------------


def test_step_lets_one_thing_happen() -> None:
    sim = Simulation([Peer("a", to=("b",), count=1), Peer("b")], network=STEADY)
    event = sim.step()
    assert event is not None
    assert (event.kind, event.at_ms) == ("send", 10.0)
    event = sim.step()
    assert event is not None
    assert (event.kind, event.node, event.at_ms) == ("deliver", "b", 110.0)
    assert sim.step() is None


def test_step_passes_over_what_can_no_longer_happen() -> None:
    sim = sending()
    sim.drop("a", "b")
    sim.kill("a")
    event = sim.step()
    assert event is not None
    assert (event.kind, event.data["msg"]) == ("deliver", Number(2))


# ---- deliver, drop, fire -------------------------------------------------------------------------


def test_deliver_lets_the_oldest_message_arrive_now() -> None:
    sim = sending()
    event = sim.deliver("a", "b")
    assert (event.kind, event.node, event.data) == ("deliver", "b", {"src": "a", "msg": Number(1)})
    assert event.at_ms == sim.now_ms == 30
    sim.deliver("a", "b")
    assert got(sim, "b", "a") == [1, 2]
    sim.run(1000)
    assert got(sim, "b", "a") == [1, 2, 3, 4, 5], "what a hand delivered does not arrive again"


def test_a_named_class_is_taken_out_of_its_turn() -> None:
    sim = Simulation([Journal("j", copy_to="w"), Writer("w", to="j")], network=STEADY)
    sim.deliver("w", "j", "Append")
    assert [message.msg for message in sim.pending()[0]] == [Appended(1), Appended(1)]
    sim.kill("w")
    sim.restart("w")
    assert Append("x") in [message.msg for message in sim.pending()[0]]
    sim.drop("j", "w", "Appended")
    sim.deliver("j", "w", "Appended")
    assert sim.state("w")["answers"] == 1
    sim.deliver("w", "j", "Append")
    assert sim.state("j")["log"] == ("x", "x")


def test_drop_loses_one_message_and_counts_it() -> None:
    sim = sending()
    sim.drop("a", "b")
    (drop,) = sim.trace.of("drop")
    assert (drop.data["msg"], drop.data["why"]) == (Number(1), "lost")
    assert drop.cause is not None
    assert sim.trace[drop.cause].data["msg"] == Number(1)
    sim.run(1000)
    assert got(sim, "b", "a") == [2, 3, 4, 5]
    assert sim.trace.fired() == {"message lost": 1}


def test_a_copy_can_be_delivered_and_the_other_dropped() -> None:
    nodes = [Peer("a", to=("b",), count=1), Peer("b")]
    sim = Simulation(nodes, network=Network(duplicate=1, delay_ms=(100, 100)))
    sim.run(10)
    assert [message.msg for message in sim.pending()[0]] == [Number(1), Number(1)]
    first = sim.deliver("a", "b")
    sim.drop("a", "b")
    assert sim.pending()[0] == []
    assert first.cause is not None
    assert sim.trace[first.cause].kind == "send", "the original comes before its copy"


def test_fire_lets_the_next_timer_go_off_now() -> None:
    sim = sending()
    sim.fire("a")
    assert sim.state("a")["sent"] == 4
    assert sim.now_ms == 30
    assert sim.pending()[1] == [PendingTimer("a", Tick(), 40.0)]
    sim.fire("a", "Tick")
    assert sim.pending()[1] == []
    sim.run(1000)
    assert sim.state("a")["sent"] == 5


def test_a_hand_cannot_reach_through_a_partition() -> None:
    sim = sending()
    sim.partition(["a"], ["b"])
    event = sim.deliver("a", "b")
    assert (event.kind, event.data["why"]) == ("drop", "partition")
    assert got(sim, "b", "a") == []


def test_a_hand_delivers_to_the_dead_in_vain() -> None:
    sim = sending()
    sim.kill("b")
    event = sim.deliver("a", "b")
    assert (event.kind, event.data["why"]) == ("drop", "dead")


def test_a_submitted_operation_comes_from_the_world_and_can_be_delivered_by_hand() -> None:
    sim = Simulation([Server("n1")], network=STEADY)
    sim.add_client(Client("c1", servers=("n1",)))
    sim.submit("c1", Store("v"))
    assert [message.src for message in sim.pending()[0]] == [WORLD]
    sim.deliver(WORLD, "c1")
    sim.deliver("c1", "n1", "Ask")
    sim.deliver("n1", "c1", "Answer")
    (operation,) = sim.history
    assert (operation.outcome, operation.value) == ("ok", 1)
    assert sim.now_ms == 0


# ---- errors --------------------------------------------------------------------------------------


def test_what_is_not_on_its_way_cannot_be_taken() -> None:
    sim = sending()
    wanted = r"no message is on its way from b to a: choose one that is \(a->b Number, a->b Number"
    with pytest.raises(ScenarioError, match=wanted):
        sim.deliver("b", "a")
    with pytest.raises(ScenarioError, match=r"no Append is on its way from a to b"):
        sim.drop("a", "b", "Append")
    for _ in range(3):
        sim.deliver("a", "b")
    with pytest.raises(ScenarioError, match=r"from a to b: .*\(there is none\)"):
        sim.deliver("a", "b")


def test_a_timer_that_is_not_pending_cannot_fire() -> None:
    sim = sending()
    with pytest.raises(ScenarioError, match=r"a has no Reminder pending: .*\(Tick\)"):
        sim.fire("a", "Reminder")
    with pytest.raises(ScenarioError, match=r"b has no timer pending: .*\(none\)"):
        sim.fire("b")


def test_nothing_moves_by_hand_at_a_paused_node() -> None:
    sim = sending()
    sim.pause("a")
    sim.pause("b")
    with pytest.raises(ScenarioError, match=r"b is paused.*resume it first"):
        sim.deliver("a", "b")
    with pytest.raises(ScenarioError, match=r"a is paused"):
        sim.fire("a")
    sim.drop("a", "b")  # the network is not paused
    assert len(sim.pending()[0]) == 2


def test_names_are_checked() -> None:
    sim = sending()
    with pytest.raises(UnknownNode, match="no node 'x'"):
        sim.deliver("x", "b")
    with pytest.raises(UnknownNode, match="no node 'x'"):
        sim.drop("a", "x")
    with pytest.raises(UnknownNode, match="no node 'x'"):
        sim.fire("x")
    with pytest.raises(UnknownNode, match="no node 'world'"):
        sim.drop(WORLD, "a")
