"""The checker that replays traces agrees with a live run, deaths and losses included."""

from __future__ import annotations

import pytest

from clusterlab.check.replay import replay
from clusterlab.core.network import Network
from clusterlab.core.node import Node
from clusterlab.live import LiveCluster
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.raft import Raft


@pytest.mark.ray
@pytest.mark.slow
def test_a_live_run_with_a_kill_agrees() -> None:
    servers: list[Node] = list(Raft.group(3, election_timeout_ms=(300, 600), heartbeat_ms=60))
    client = Client("c1", servers=("n1", "n2", "n3"), workload=mixed_workload("c1"))
    with LiveCluster(
        servers,
        network=Network(delay_ms=(0, 2), loss=0.02, duplicate=0.02),
        progress=lambda _: None,
    ) as cluster:
        leader = cluster.run_until_leader()
        cluster.add_client(client)
        cluster.run_until(lambda: len(cluster.history.ok()) >= 20)
        cluster.kill(leader)
        cluster.run_until_leader()
        cluster.restart(leader)
        cluster.run(300)
        trace = cluster.trace
    found = replay(trace, [*servers, client])
    assert not found, str(found)
    assert sum(found.steps.values()) > 200
    assert trace.fired()["kill"] == 1
