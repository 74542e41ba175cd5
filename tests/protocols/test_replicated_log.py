"""Three logs and a controller: what a majority has stays, and the rest is cut off by epoch."""

from __future__ import annotations

from clusterlab.core.network import Network
from clusterlab.core.node import restart
from clusterlab.core.spec import Put
from clusterlab.protocols.client import Client, NotLeader, Reply, Request
from clusterlab.protocols.records import Record
from clusterlab.protocols.replicated_log import (
    AskEnd,
    Close,
    Controller,
    EndOf,
    Fetch,
    Fetched,
    Lead,
    LeaderSilent,
    LogEnd,
    Replica,
)
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench

THREE = ("n1", "n2", "n3")


def replica(name: str, *epochs: int, epoch: int = 0) -> Bench:
    """A replica whose log has a record of each of these epochs."""
    log = tuple(Record(e, "c", number, Put("x", number)) for number, e in enumerate(epochs))
    return Bench(restart(Replica(name, members=THREE), {"log": log, "epoch": epoch}))


def test_a_leader_acknowledges_what_a_majority_has() -> None:
    leader = replica("n1").receive("m", Lead(1, "n1")).receive("c", Request(1, Put("x", 1)))
    assert leader.sent(Reply) == []
    assert leader.receive("n2", Fetch(1, 2)).only(Reply).serial == 1


def test_a_leader_counts_no_copies_of_an_earlier_epoch() -> None:
    """Raft, section 5.4.2: what earlier epochs left counts once a record of this one does."""
    leader = replica("n1", 1, epoch=1).receive("m", Lead(2, "n1"))
    assert leader.receive("n2", Fetch(2, 1)).node.counts == 0
    assert leader.receive("n2", Fetch(2, 2)).node.counts == 2


def test_a_follower_asks_by_epoch_and_cuts_off_what_the_leader_does_not_have() -> None:
    """KIP-101: of epoch 1 both have one record, and only the leader has epoch 2."""
    leader = replica("n1", 1, 2, epoch=2).receive("m", Lead(3, "n1"))
    follower = replica("n2", 1, 1, 1, epoch=1).receive("m", Lead(3, "n1"))
    assert follower.only(AskEnd) == AskEnd(3, 1)
    answer = leader.receive("n2", AskEnd(3, 1)).only(EndOf)
    assert answer == EndOf(3, asked=1, found=1, length=1)
    assert follower.receive("n1", answer).only(Fetch) == Fetch(3, 1)
    told = leader.receive("n2", Fetch(3, 1)).only(Fetched)
    assert follower.receive("n1", told).node.log == leader.node.log


def test_a_follower_asks_again_if_the_leader_has_nothing_of_its_epoch() -> None:
    """KIP-279: it has epochs 1 and 3, the leader 1 and 2."""
    leader = replica("n1", 1, 2, epoch=2).receive("m", Lead(4, "n1"))
    follower = replica("n2", 1, 3, epoch=3).receive("m", Lead(4, "n1"))
    answer = leader.receive("n2", follower.only(AskEnd)).only(EndOf)
    assert answer == EndOf(4, asked=3, found=2, length=2)
    assert follower.receive("n1", answer).only(AskEnd) == AskEnd(4, 1)
    answer = leader.receive("n2", AskEnd(4, 1)).only(EndOf)
    assert follower.receive("n1", answer).only(Fetch) == Fetch(4, 1)


def test_a_restarted_follower_of_the_same_epoch_cuts_nothing_off() -> None:
    follower = replica("n2", 1, 1, epoch=1).receive("m", Lead(1, "n1"))
    assert follower.only(Fetch) == Fetch(1, 2)


def test_who_has_closed_an_epoch_follows_its_leader_no_more() -> None:
    leader = replica("n1").receive("m", Lead(1, "n1")).receive("c", Request(1, Put("x", 1)))
    assert leader.receive("m", Close(2)).only(LogEnd) == LogEnd(2, 1, 2)
    assert leader.only(NotLeader).leader is None
    assert leader.receive("n2", Fetch(1, 2)).effects == ()


def test_a_controller_waits_for_a_majority_and_names_whose_log_goes_furthest() -> None:
    controller = Bench(Controller("m", members=THREE))
    assert controller.receive("n1", LogEnd(1, 0, 9)).node.leader is None
    controller.receive("n3", LogEnd(1, 1, 2))
    assert controller.only_value(Lead) == Lead(1, "n3")
    controller.fire(LeaderSilent())
    assert controller.only_value(Close) == Close(2)
    assert controller.restart().only_value(Close) == Close(2), "nobody leads epoch 2 yet"


def test_a_leader_that_dies_is_replaced_and_nothing_is_lost() -> None:
    sim = Simulation(
        Replica.group(3), network=Network(delay_ms=(1, 5)), seed=1, client=Client.for_servers
    )
    first = sim.run_until_leader()
    for number in range(5):
        sim.put("x", number)
    sim.kill(first)
    sim.run_until(lambda: sim.leader() not in (None, first), what="another leader")
    assert sim.get("x") == 4
    sim.restart(first)
    sim.run(500)
    logs = [sim.state(node)["log"] for node in THREE]
    assert logs[0] == logs[1] == logs[2]
