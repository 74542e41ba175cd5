"""With `gather_ms`, requests that arrive together share a round; without, the first goes alone."""

from __future__ import annotations

import pytest

from clusterlab.core.network import Network
from clusterlab.core.node import Node
from clusterlab.core.spec import Put
from clusterlab.experiments.raft_failover import RaftFailover
from clusterlab.protocols.client import Client
from clusterlab.protocols.raft import AppendEntries, Raft
from clusterlab.sim import Simulation


def rounds(gather_ms: int | None, clients: int = 5) -> list[int]:
    """How many entries each AppendEntries to one follower carried, for requests of one moment."""
    sim = Simulation(
        Raft.group(3, gather_ms=gather_ms),
        network=Network(delay_ms=(5, 5)),
        client=Client.for_servers,
    )
    leader = sim.run_until_leader()
    for number in range(clients):
        sim.invoke(f"c{number}", Put("x", number))  # each now knows the leader
    sim.run(200)
    before = len(sim.trace)
    for number in range(clients):
        sim.submit(f"c{number}", Put("y", number))
    sim.run(200)
    follower = next(node for node in sim.servers if node != leader)
    sent = [event for event in sim.trace.of("send", node=leader)[:] if event.seq >= before]
    return [
        len(event.data["msg"].entries)
        for event in sent
        if event.data["dst"] == follower
        and isinstance(event.data["msg"], AppendEntries)
        and event.data["msg"].entries
    ]


def test_requests_that_arrive_together_share_a_round():
    assert rounds(gather_ms=0) == [5]


def test_without_gathering_the_first_goes_alone():
    assert rounds(gather_ms=None) == [1, 4]


def test_a_gathered_request_waits_no_longer_than_it_is_told():
    assert rounds(gather_ms=3, clients=1) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_gathering_raft_survives_the_storm(seed):
    class Gathering(RaftFailover):
        def nodes(self) -> list[Node]:
            return list(Raft.group(5, gather_ms=0))

    outcome = Gathering().run(seed=seed)
    assert outcome.passed, outcome.failures()
