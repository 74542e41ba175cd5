"""Acts on one message: hold, release, drop, duplicate."""

from __future__ import annotations

import pytest

from clusterlab.check.replay import replay
from clusterlab.core.errors import BadFault
from clusterlab.core.faults import DropMessage, DuplicateMessage, HoldMessage, ReleaseMessage
from clusterlab.core.network import Network
from clusterlab.core.trace import Trace
from clusterlab.sim import Simulation
from tests.sim.nodes import Number, Peer, got

STEADY = Network(delay_ms=(100, 100))


def sending() -> Simulation:
    """At 30 ms, `a` has sent 1, 2 and 3 to `b`, and nothing has arrived."""
    sim = Simulation([Peer("a", to=("b",), count=5), Peer("b")], network=STEADY)
    sim.run(30)
    return sim


def sent(trace: Trace, number: int) -> int:
    """The seq of the send of a number."""
    return next(e.seq for e in trace.of("send") if e.data["msg"] == Number(number))


def test_a_message_that_is_held_waits_while_later_ones_overtake_it() -> None:
    sim = sending()
    assert sim.hold_message(sent(sim.trace, 2))
    sim.run(500)
    assert got(sim, "b", "a") == [1, 3, 4, 5]
    assert sim.release_message(sent(sim.trace, 2))
    sim.run(0)
    assert got(sim, "b", "a") == [1, 3, 4, 5, 2], "what is overdue arrives at once"


def test_a_message_released_in_time_arrives_as_if_nothing_had_been() -> None:
    sim = sending()
    sim.hold_message(sent(sim.trace, 1))
    sim.run(20)
    sim.release_message(sent(sim.trace, 1))
    sim.run(500)
    assert got(sim, "b", "a") == [1, 2, 3, 4, 5]
    assert next(e.at_ms for e in sim.trace.of("deliver")) == 110


@pytest.mark.parametrize("hold_first", [False, True])
def test_a_message_is_dropped_on_its_way_or_while_it_is_held(hold_first: bool) -> None:
    sim = sending()
    seq = sent(sim.trace, 2)
    if hold_first:
        sim.hold_message(seq)
    assert sim.drop_message(seq)
    sim.run(500)
    assert got(sim, "b", "a") == [1, 3, 4, 5]
    (lost,) = sim.trace.of("drop")
    assert (lost.cause, lost.data["why"], lost.node) == (seq, "lost", "b")


def test_a_second_copy_has_a_name_of_its_own() -> None:
    sim = sending()
    seq = sent(sim.trace, 2)
    assert sim.duplicate_message(seq)
    (copy,) = sim.trace.of("duplicate")
    assert (copy.cause, copy.node, copy.data["delay_ms"]) == (seq, "a", 90)
    assert sim.drop_message(seq)
    sim.run(500)
    assert got(sim, "b", "a").count(2) == 1, "the first is lost, the copy arrives"


def test_an_act_that_comes_too_late_changes_nothing_and_is_not_recorded() -> None:
    sim = sending()
    seq = sent(sim.trace, 1)
    assert not sim.release_message(seq), "nobody held it"
    sim.run(500)
    before = len(sim.trace)
    acts = (sim.hold_message, sim.release_message, sim.drop_message, sim.duplicate_message)
    assert [act(seq) for act in acts] == [False] * 4
    assert len(sim.trace) == before


def test_healing_releases_what_is_held_and_a_cut_stops_it() -> None:
    sim = sending()
    for number in (1, 2):
        sim.hold_message(sent(sim.trace, number))
    sim.run(500)
    sim.link("a", "b", block=True)
    sim.release_message(sent(sim.trace, 1))
    sim.run(0)
    sim.heal()
    sim.run(0)
    assert got(sim, "b", "a") == [3, 4, 5, 2]
    assert [e.data["why"] for e in sim.trace.of("drop")] == ["blocked"]


def test_the_acts_are_faults_so_a_schedule_plays_them_again() -> None:
    def play() -> Simulation:
        sim = sending()
        for fault in (HoldMessage(sent(sim.trace, 1)), DuplicateMessage(sent(sim.trace, 3))):
            assert sim.apply(fault)
        sim.run(200)
        sim.apply(ReleaseMessage(sent(sim.trace, 1)))
        sim.apply(DropMessage(sent(sim.trace, 5)))
        sim.run(500)
        return sim

    first, second = play(), play()
    assert first.trace.digest() == second.trace.digest()
    assert {"hold_message", "duplicate_message", "release_message"} <= {
        event.kind for event in first.trace
    }
    nodes = [Peer("a", to=("b",), count=5), Peer("b")]
    assert not replay(first.trace, nodes).disagreements


def test_a_message_is_named_by_a_number() -> None:
    with pytest.raises(BadFault, match="give the seq of the trace event that sent it"):
        sending().hold_message("Number")  # type: ignore[arg-type]
