"""Each fault of a network bites as its field says, is counted when it did, and can be healed."""

from __future__ import annotations

import pytest

from clusterlab.core.network import Network
from clusterlab.sim import Simulation
from tests.sim.nodes import Number, Peer, got


def pair(
    count: int = 400, *, every_ms: int = 10, seed: int = 0, **conditions: object
) -> Simulation:
    """`a` sends numbers to `b`, and `b` as many to `a`."""
    nodes = [
        Peer("a", to=("b",), every_ms=every_ms, count=count),
        Peer("b", to=("a",), every_ms=every_ms, count=count),
    ]
    return Simulation(nodes, network=Network(**conditions), seed=seed)  # type: ignore[arg-type]


def flights(sim: Simulation) -> list[float]:
    """How long every delivered message was on its way."""
    return [
        event.at_ms - sim.trace[event.cause].at_ms
        for event in sim.trace.of("deliver")
        if event.cause is not None
    ]


def overtaken(numbers: list[int]) -> int:
    """How many came after a greater one."""
    return sum(number < max(numbers[:i], default=0) for i, number in enumerate(numbers))


def in_order(numbers: list[int]) -> bool:
    return numbers == sorted(numbers)


# ---- the fields of Network -----------------------------------------------------------------------


def test_a_faultless_network_delivers_everything_once_and_counts_no_fault() -> None:
    sim = pair()
    sim.run(10_000)
    assert got(sim, "b", "a") == got(sim, "a", "b") == list(range(1, 401))
    assert sim.trace.fired() == {}


def test_delays_are_drawn_from_the_whole_range_and_from_nowhere_else() -> None:
    sim = pair(every_ms=100, delay_ms=(20, 60))
    sim.run(50_000)
    assert len(flights(sim)) == 800
    assert 20 <= min(flights(sim)) < 22
    assert 58 < max(flights(sim)) <= 60


def test_a_range_without_width_is_an_exact_delay() -> None:
    sim = pair(count=20, delay_ms=(7, 7))
    sim.run(1000)
    assert flights(sim) == pytest.approx([7.0] * 40)


def test_the_trace_predicts_the_flight() -> None:
    sim = pair(delay_ms=(1, 80), duplicate=0.2, reorder=0.2)
    sim.run(10_000)
    predicted = {event.seq: event.data["delay_ms"] for event in sim.trace.of("send", "duplicate")}
    for event in sim.trace.of("deliver"):
        assert event.cause is not None
        flown = event.at_ms - sim.trace[event.cause].at_ms
        assert flown == pytest.approx(predicted[event.cause])


def test_a_link_keeps_the_order_however_wide_the_delays() -> None:
    sim = pair(every_ms=5, delay_ms=(1, 500))
    sim.run(10_000)
    assert got(sim, "b", "a") == list(range(1, 401))
    assert max(flights(sim)) > 10 * 5, "no message could have been overtaken"


def test_loss_loses_its_share_and_is_counted() -> None:
    sim = pair(loss=0.25)
    sim.run(10_000)
    arrived = len(got(sim, "b", "a")) + len(got(sim, "a", "b"))
    lost = sim.trace.of("drop")
    assert 0.2 < len(lost) / 800 < 0.3
    assert arrived == 800 - len(lost)
    assert {event.data["why"] for event in lost} == {"lost"}
    assert sim.trace.fired() == {"message lost": len(lost)}
    assert all(sim.trace[event.cause].kind == "send" for event in lost if event.cause is not None)
    assert all(event.cause is not None for event in lost)


def test_a_loss_of_one_loses_all() -> None:
    sim = pair(count=20, loss=1)
    sim.run(1000)
    assert got(sim, "b", "a") == got(sim, "a", "b") == []
    assert sim.trace.fired() == {"message lost": 40}


def test_duplicates_arrive_twice_and_are_counted() -> None:
    sim = pair(duplicate=0.25)
    sim.run(10_000)
    copies = sim.trace.of("duplicate")
    assert 0.2 < len(copies) / 800 < 0.3
    assert sim.trace.fired() == {"message duplicated": len(copies)}
    assert len(got(sim, "b", "a")) + len(got(sim, "a", "b")) == 800 + len(copies)
    for copy in copies:
        assert copy.cause is not None
        original = sim.trace[copy.cause]
        assert (original.kind, original.data["msg"]) == ("send", copy.data["msg"])
    assert in_order(got(sim, "b", "a")), "copies keep the order as well"


def test_reordering_lets_later_messages_overtake_and_the_rest_stays_in_order() -> None:
    sim = pair(reorder=0.2)
    sim.run(10_000)
    numbers = got(sim, "b", "a"), got(sim, "a", "b")
    assert sorted(numbers[0]) == sorted(numbers[1]) == list(range(1, 401))
    assert sim.trace.fired() == {"message reordered": sum(map(overtaken, numbers))}
    assert overtaken(numbers[0]) > 10
    marked = {
        event.data["msg"].number
        for event in sim.trace.of("send", node="a")
        if event.data.get("reordered")
    }
    assert 0.14 < len(marked) / 400 < 0.26
    assert in_order([number for number in numbers[0] if number not in marked])


def test_reordering_that_nobody_overtakes_is_not_counted() -> None:
    sim = pair(count=20, every_ms=1000, reorder=1)
    sim.run(30_000)
    assert any(event.data.get("reordered") for event in sim.trace.of("send"))
    assert sim.trace.fired() == {}


def test_a_message_to_oneself_needs_no_network() -> None:
    sim = Simulation([Peer("a", to=("a",), count=5), Peer("b")])
    sim.isolate("a")
    sim.run(200)
    assert got(sim, "a", "a") == [1, 2, 3, 4, 5]


# ---- faults of links -----------------------------------------------------------------------------


def test_a_link_fault_holds_in_one_direction_only_until_the_heal() -> None:
    sim = pair(count=300)
    assert sim.link("a", "b", loss=1)
    sim.run(1000)
    assert got(sim, "b", "a") == []
    before = got(sim, "a", "b")
    assert len(before) > 90
    assert in_order(before)
    sim.heal()
    sim.run(5000)
    late = got(sim, "b", "a")
    assert late == list(range(late[0], 301))
    assert 95 < late[0] < 105
    assert sim.trace.fired() == {"link": 1, "heal": 1, "message lost": late[0] - 1}


def test_each_field_of_a_link_bites() -> None:
    delayed = pair(count=50, every_ms=500)
    delayed.link("a", "b", delay_ms=(200, 210))
    delayed.run(30_000)
    assert sum(200 <= flight <= 210 for flight in flights(delayed)) == 50
    assert sum(5 <= flight <= 15 for flight in flights(delayed)) == 50

    doubled = pair(count=50)
    doubled.link("a", "b", duplicate=1)
    doubled.run(5000)
    assert (len(got(doubled, "b", "a")), len(got(doubled, "a", "b"))) == (100, 50)

    shuffled = pair(count=200)
    shuffled.link("a", "b", reorder=0.5)
    shuffled.run(5000)
    assert overtaken(got(shuffled, "b", "a")) > 10
    assert in_order(got(shuffled, "a", "b"))


def test_a_field_that_a_link_leaves_out_stays_as_the_network_has_it() -> None:
    sim = pair(count=20, loss=1, delay_ms=(30, 30))
    sim.link("a", "b", loss=0)
    sim.run(1000)
    assert got(sim, "b", "a") == list(range(1, 21))
    assert flights(sim) == pytest.approx([30.0] * 20)


def test_a_blocked_link_lets_nothing_pass_one_way_and_eats_what_is_in_flight() -> None:
    sim = pair(count=50, delay_ms=(25, 25))
    sim.run(45)  # 1, 2, 3, 4 were sent; 1 and 2 have arrived
    sim.link("a", "b", block=True)
    sim.run(500)
    assert got(sim, "b", "a") == [1, 2]
    assert got(sim, "a", "b")[:10] == list(range(1, 11))
    drops = sim.trace.of("drop", node="b")
    assert {event.data["why"] for event in drops} == {"blocked"}
    assert sorted(event.data["msg"].number for event in drops) == list(range(3, 51))
    assert sim.trace.fired() == {"link": 1, "message blocked": len(drops)}


# ---- partitions and isolation --------------------------------------------------------------------


def five(count: int = 1000) -> Simulation:
    names = ("n1", "n2", "n3", "n4", "n5")
    nodes = [
        Peer(name, to=tuple(n for n in names if n != name), count=count, every_ms=10)
        for name in names
    ]
    return Simulation(nodes, network=Network(delay_ms=(25, 25)))


def heard_since(sim: Simulation, since_ms: float) -> set[tuple[str, str]]:
    """The links that carried something that was sent after `since_ms`."""
    return {
        (event.data["src"], event.node)
        for event in sim.trace.of("deliver")
        if event.node is not None
        and event.cause is not None
        and sim.trace[event.cause].at_ms >= since_ms
    }


def test_a_partition_lets_messages_pass_within_its_groups_only() -> None:
    sim = five()
    sim.run(100)
    sim.partition(["n1", "n2"], ["n3", "n4", "n5"])
    sim.run(100)
    within = {(a, b) for a in ("n1", "n2") for b in ("n1", "n2") if a != b}
    within |= {(a, b) for a in ("n3", "n4", "n5") for b in ("n3", "n4", "n5") if a != b}
    assert heard_since(sim, 100) == within


def test_a_partition_eats_what_is_in_flight() -> None:
    sim = Simulation([Peer("a", to=("b",), count=1), Peer("b")], network=Network(delay_ms=(25, 25)))
    sim.run(20)
    assert [message.msg for message in sim.pending()[0]] == [Number(1)]
    sim.partition(["a"], ["b"])
    sim.run(100)
    assert got(sim, "b", "a") == []
    (drop,) = sim.trace.of("drop")
    assert (drop.at_ms, drop.node, drop.data["why"]) == (35.0, "b", "partition")
    assert sim.trace.fired() == {"partition": 1, "message partition": 1}


def test_a_heal_makes_all_links_whole_again() -> None:
    sim = five()
    sim.partition(["n1", "n2"], ["n3", "n4", "n5"])
    sim.isolate("n5")
    sim.link("n3", "n4", block=True)
    sim.run(100)
    assert len(heard_since(sim, 0)) == 2 + 1  # n1 and n2; n4 to n3
    sim.heal()
    sim.run(100)
    assert len(heard_since(sim, 100)) == 20


def test_a_new_partition_replaces_the_old_one() -> None:
    sim = five()
    sim.partition(["n1"], ["n2", "n3", "n4", "n5"])
    sim.partition(["n1", "n2", "n3", "n4"], ["n5"])
    sim.run(100)
    heard = heard_since(sim, 0)
    assert ("n1", "n2") in heard
    assert not any("n5" in link for link in heard)


def test_an_isolated_node_neither_hears_nor_is_heard() -> None:
    sim = five()
    sim.isolate("n1")
    sim.isolate("n2")
    sim.run(100)
    assert heard_since(sim, 0) == {
        (a, b) for a in ("n3", "n4", "n5") for b in ("n3", "n4", "n5") if a != b
    }
    assert {event.data["why"] for event in sim.trace.of("drop")} == {"isolated"}
    fired = sim.trace.fired()
    assert fired["isolate"] == 2
    assert fired["message isolated"] == len(sim.trace.of("drop"))


def test_a_client_stands_outside_a_partition_unless_it_is_put_into_a_group() -> None:
    sim = five(count=0)
    sim.add_client(Peer("c1", to=("n1", "n5"), count=1000))
    sim.partition(["n1", "n2"], ["n3", "n4", "n5"])
    sim.run(100)
    assert heard_since(sim, 0) == {("c1", "n1"), ("c1", "n5")}
    sim.partition(["n1", "n2", "c1"], ["n3", "n4", "n5"])
    sim.run(100)
    assert heard_since(sim, 100) == {("c1", "n1")}
