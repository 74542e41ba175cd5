"""A live run, kills included, replays through `step` node by node: the trace is what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from clusterlab.core.faults import Kill, Restart
from clusterlab.core.network import Network
from clusterlab.core.node import (
    Deliver,
    Effect,
    Event,
    Fire,
    Node,
    Note,
    Save,
    Send,
    SetTimer,
    Start,
    restart,
    step,
    write,
)
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.live import LiveCluster
from clusterlab.protocols.client import Client, counting_writes
from clusterlab.protocols.raft import Raft

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def told(effects: tuple[Effect, ...]) -> list[tuple[Any, ...]]:
    """Effects as the trace tells them."""
    found: list[tuple[Any, ...]] = []
    for effect in effects:
        match effect:
            case Save(values=values):
                found.append(("save", dict(values)))
            case Send(dst=dst, msg=msg):
                found.append(("send", dst, msg))
            case SetTimer(timer=timer):
                found.append(("set_timer", timer))
            case Note(name=name, data=data):
                found.append(("note", name, data))
    return found


def recorded(event: TraceEvent) -> tuple[Any, ...] | None:
    data: Mapping[str, Any] = event.data
    match event.kind:
        case "save":
            return ("save", dict(data["values"]))
        case "send":
            return ("send", data["dst"], data["msg"])
        case "set_timer":
            return ("set_timer", data["timer"])
        case "note":
            return ("note", data["name"], data["data"])
    return None


def replay(node: Node, trace: Trace) -> tuple[int, Node, dict[str, Any]]:
    """Run a node's recorded events; returns how many, the node at the end, and its disk."""
    disk = node.saved()
    expected: list[tuple[Any, ...]] = []
    found: list[tuple[Any, ...]] = []
    steps = 0
    for record in trace.of(node=node.id):
        event: Event
        match record.kind:
            case "start":
                event = Start()
            case "deliver":
                event = Deliver(record.data["src"], record.data["msg"])
            case "fire":
                event = Fire(record.data["timer"])
            case "restart":
                node = restart(node, disk)
                continue
            case _:
                out = recorded(record)
                if out is not None:
                    found.append(out)
                continue
        assert found == expected, f"{node} in the step before {record}"
        node, effects = step(node, event)
        expected, found = told(effects), []
        for effect in effects:
            if isinstance(effect, Save):
                write(disk, effect)
        steps += 1
    assert found == expected
    return steps, node, disk


def test_every_step_of_a_run_with_kills_replays_to_the_same_effects_and_disks() -> None:
    servers = Raft.group(3, election_timeout_ms=(300, 600), heartbeat_ms=60)
    with LiveCluster(
        servers,
        network=Network(delay_ms=(0, 2)),
        client=Client.for_servers,
        progress=lambda _: None,
    ) as cluster:
        for number in range(8):
            workload = counting_writes(f"k{number}")
            cluster.add_client(Client(f"w{number}", servers=cluster.servers, workload=workload))
        for _ in range(3):
            leader = cluster.run_until_leader()
            written = len(cluster.history.ok())
            cluster.run_until(lambda: len(cluster.history.ok()) >= written + 50)  # noqa: B023
            cluster.apply(Kill(leader))  # in the middle of its work
            cluster.run_until_leader()
            cluster.apply(Restart(leader))
        cluster.run(200)
        disks = {}
        for server in cluster.servers:
            cluster.kill(server)
            disks[server] = cluster.state(server)
    trace = cluster.trace
    assert len(trace.of("kill")) == 6
    total = 0
    for server in servers:
        steps, _, disk = replay(server, trace)
        assert disk == disks[server.id]
        total += steps
    assert total > 500
    for event in trace:
        assert event.cause is None or event.cause < event.seq
