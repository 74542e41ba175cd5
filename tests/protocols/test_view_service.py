"""Views, and two baskets that merge."""

from __future__ import annotations

import pytest

from clusterlab.core.network import Network
from clusterlab.core.spec import Put
from clusterlab.protocols.active_active import ActiveActive, AddItem, Basket
from clusterlab.protocols.client import Client, Refused, Reply, Request
from clusterlab.protocols.view_service import (
    Forward,
    Forwarded,
    ServerSilent,
    Transfer,
    Transferred,
    View,
    ViewIs,
    ViewPing,
    ViewServer,
    ViewService,
)
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench

ALONE, PAIR = View(1, "n1"), View(2, "n1", "n2")


def service() -> Bench:
    """A service whose view is (n1, n2), not yet known to n1."""
    asked = Bench(ViewService("v")).receive("n1", ViewPing(0)).receive("n1", ViewPing(1))
    return asked.receive("n2", ViewPing(0))


def primary() -> Bench:
    """n1, told of a backup that has no state yet."""
    return Bench(ViewServer("n1")).receive("v", ViewIs(ALONE)).receive("v", ViewIs(PAIR))


def test_a_view_is_followed_by_another_only_when_its_primary_knows_it() -> None:
    views = service()
    assert views.node.view == PAIR
    assert views.fire(ServerSilent("n1")).node.view == PAIR, "n1 has not said that it knows it"
    known = service().receive("n1", ViewPing(2)).fire(ServerSilent("n1"))
    assert known.node.view == View(3, "n2", None)


def test_a_primary_knows_a_view_when_its_backup_has_everything() -> None:
    first = primary()
    assert first.only(Transfer).number == 2
    assert first.receive("n2", Transferred(2)).only(ViewPing) == ViewPing(2)


def test_an_operation_counts_when_the_backup_has_it() -> None:
    first = primary().receive("n2", Transferred(2)).receive("c", Request(1, Put("x", 1)))
    assert first.sent(Reply) == []
    assert first.only(Forward).at == 0
    assert first.receive("n2", Forwarded(2, 1)).only(Reply).serial == 1


def test_a_backup_takes_nothing_from_the_primary_of_another_view() -> None:
    record = primary().receive("n2", Transferred(2)).receive("c", Request(1, Put("x", 1)))
    forward = record.only(Forward)
    backup = Bench(ViewServer("n2")).receive("v", ViewIs(PAIR))
    assert backup.receive("n1", forward).effects == (), "it has no state yet"
    backup.receive("n1", Transfer(2, ()))
    assert backup.receive("n1", forward).only(Forwarded).length == 1
    backup.receive("v", ViewIs(View(3, "n2", None)))
    assert backup.receive("n1", forward).effects == ()


@pytest.mark.parametrize("seed", range(3))
def test_two_deaths_one_after_the_other_lose_nothing(seed: int) -> None:
    sim = Simulation(
        ViewServer.group(3), network=Network(delay_ms=(1, 5)), seed=seed, client=Client.for_servers
    )
    sim.run_until_leader()
    sim.run(500)
    for number in range(2):
        old = sim.run_until_leader()
        sim.put("x", number)
        sim.kill(old)
        sim.run_until(lambda old=old: sim.leader() not in (None, old), what="another primary")
        sim.run(500)
    assert sim.get("x") == 1


def test_two_baskets_merge_in_any_order_and_any_number_of_times() -> None:
    one, two = (Bench(node) for node in ActiveActive.pair())
    one.receive("c1", Request(1, AddItem("apple")))
    two.receive("c2", Request(1, AddItem("pear")))
    mine, yours = (Basket(each.node.stamp, each.node.items) for each in (one, two))
    one.receive("n2", yours, yours)
    two.receive("n1", mine)
    assert one.node.items == two.node.items == ("apple", "pear")


def test_a_basket_refuses_what_it_cannot_merge() -> None:
    server = Bench(ActiveActive.pair()[0])
    assert server.receive("c", Request(1, Put("x", 1))).only(Refused).serial == 1
