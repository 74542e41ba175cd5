"""From any event of a run, the simulator goes on; with one thing changed, the outcome changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.replay import replay
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import Kill, Restart
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.spec import Put
from clusterlab.core.trace import Trace
from clusterlab.experiments.fork import fork
from clusterlab.experiments.raft_failover import committed_logs_agree, one_leader_a_term
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation
from tests.live.test_host import Add, Keeper, World, add

BAD_NETWORK = Network(loss=0.05, duplicate=0.05, reorder=0.1)


def storm() -> tuple[Trace, list[Node]]:
    """Raft with a client, a lossy network, and every fault of a node."""
    servers = Raft.group(3)
    client = Client("c1", servers=("n1", "n2", "n3"), workload=mixed_workload("c1"), every_ms=20)
    sim = Simulation(servers, network=BAD_NETWORK, seed=5)
    sim.add_client(client)
    sim.run(400)
    leader = sim.run_until_leader()
    sim.apply(Kill(leader, 1))
    sim.run(200)
    sim.apply(Restart(leader))
    sim.skew("n2", offset_ms=100, rate=1.5)
    sim.run(100)
    sim.partition(["n1"], ["n2", "n3", "c1"])
    sim.pause("n2")
    sim.run(200)
    sim.resume("n2")
    sim.run(50)
    sim.isolate("n3")
    sim.link("n1", "n2", loss=0.5, delay_ms=(1, 2))
    sim.kill("n1")
    sim.run(100)
    sim.heal()
    sim.restart("n1", disk="lose")
    sim.run(300)
    return sim.trace, [*servers, client]


STORM, NODES = storm()
AFTER_STARTS = 12


@pytest.mark.parametrize("at", range(AFTER_STARTS, len(STORM), len(STORM) // 25))
def test_from_any_event_the_run_goes_on_as_a_run_of_the_same_nodes(at: int) -> None:
    sim = fork(STORM, NODES, at, network=BAD_NETWORK, seed=at)
    past = len(sim.trace)
    assert past >= at - 1, "whole steps, and a restart with its start"
    assert sim.trace.events[:past] == STORM.events[:past]
    sim.heal()
    for node in sim.servers:
        sim.resume(node)
        sim.restart(node)
    sim.run(1_000)

    found = replay(sim.trace, NODES)
    assert not found, str(found)
    assert sum(found.steps.values()) > 100
    assert one_leader_a_term(sim.trace).holds
    assert committed_logs_agree(sim).holds
    assert [event.seq for event in sim.trace] == list(range(len(sim.trace)))
    arrivals = [event.cause for event in sim.trace.of("deliver", "drop") if event.cause is not None]
    assert len(arrivals) == len(set(arrivals)), "nothing arrives twice"


class Ball(Message):
    number: int


class Serve(Timer):
    pass


class Player(Node):
    """Draws nothing: with a network of one delay, its future is in its past."""

    friend: NodeId
    every_ms: int
    hits: int = durable(0)
    clock: int = volatile(0)

    def on_start(self) -> None:
        self.set_timer(Serve(), self.every_ms)

    def on_serve(self, t: Serve) -> None:
        self.send(self.friend, Ball(self.hits))
        self.set_timer(Serve(), self.every_ms)

    def on_ball(self, src: NodeId, m: Ball) -> None:
        self.hits += 1
        self.clock = self.now_ms
        self.note("clock", self.clock)
        if m.number % 3:
            self.send(src, Ball(self.hits))

    def status(self) -> dict[str, Any]:
        return {"role": "player", "epoch": 0, "label": f"{self.hits} hits"}


def test_what_is_not_drawn_happens_as_it_was_recorded() -> None:
    players = [Player("a", friend="b", every_ms=13), Player("b", friend="a", every_ms=7)]
    network = Network(delay_ms=(9, 9))
    sim = Simulation(players, network=network)
    sim.run(60)
    sim.skew("a", offset_ms=40, rate=1.25)
    sim.pause("b")
    sim.run(20)
    during = len(sim.trace)
    sim.resume("b")
    begin = len(sim.trace)
    sim.run(50)

    for at in range(begin, len(sim.trace), 7):
        forked = fork(sim.trace, players, at, network=network, seed=at)
        forked.run(until_ms=sim.now_ms)
        assert told(forked.trace) == told(sim.trace)
    resumed = fork(sim.trace, players, during, lambda it: it.resume("b"), network=network)
    resumed.run(until_ms=sim.now_ms)
    assert told(resumed.trace) == told(sim.trace)
    assert sim.state("b")["hits"] > 10


def told(trace: Trace) -> list[tuple[Any, ...]]:
    """The events, but for what the rounding of times leaves open."""
    return [(e.seq, round(e.at_ms, 2), e.node, e.kind, rounded(e.data), e.cause) for e in trace]


def rounded(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 2) if isinstance(v, float) else v for k, v in data.items()}


def lost_vote() -> Simulation:
    """n1 stands for election, and nobody hears of it."""
    sim = Simulation(Raft.group(3), seed=1)
    sim.fire("n1", "ElectionTimeout")
    sim.drop("n1", "n2", "RequestVote")
    sim.drop("n1", "n3", "RequestVote")
    return sim


def test_a_lost_message_that_arrives_after_all_makes_a_leader() -> None:
    sim = lost_vote()
    lost = sim.trace.of("drop")[0]
    as_it_was = fork(sim.trace, Raft.group(3), lost)
    assert as_it_was.state("n2")["voted_for"] is None

    other = fork(sim.trace, Raft.group(3), lost, "deliver")
    assert other.state("n2")["voted_for"] == "n1"
    other.run(40)
    assert other.leader() == "n1"
    arrival = next(e for e in other.trace.of("deliver") if e.node == "n2")
    assert (arrival.cause, arrival.seq) == (lost.cause, lost.seq)
    assert not replay(other.trace, Raft.group(3))


def test_a_message_that_was_lost_when_it_was_sent_can_arrive_as_well() -> None:
    sim = Simulation(Raft.group(3), seed=1, network=Network(loss=1.0))
    sim.run_until(lambda: bool(sim.trace.of("drop")))
    lost = sim.trace.of("drop")[0]
    other = fork(sim.trace, Raft.group(3), lost, "deliver")
    assert other.state(lost.node or "")["voted_for"] == lost.data["src"]
    assert len(other.trace.of("drop")) >= 2, "the step that sent it is whole"


def test_an_arrival_that_is_lost_instead_takes_its_consequences_with_it() -> None:
    sim = Simulation(Raft.group(3), seed=1)
    leader = sim.run_until_leader()
    vote = next(e for e in sim.trace.of("deliver", node=leader))
    other = fork(sim.trace, Raft.group(3), vote, "lose")
    assert other.trace.of("drop")[-1].cause == vote.cause
    other.run(1)
    assert other.leader() is None


def test_a_fault_or_anything_else_can_be_what_changes() -> None:
    sim = Simulation(Raft.group(3), seed=1, client=Client.for_servers)
    sim.put("x", 1)
    leader = sim.run_until_leader()
    nodes = [*Raft.group(3), Client("c1", servers=("n1", "n2", "n3"))]
    end = sim.trace.events[-1]
    other = fork(sim.trace, nodes, end, Kill(leader), seed=3)
    assert other.run_until_leader() != leader
    writes = fork(sim.trace, nodes, end, lambda it: it.submit("c1", Put("x", 2)))
    writes.run(200)
    assert [op.call for op in writes.history.ok()] == [Put("x", 1), Put("x", 2)]


def test_what_a_search_found_forks_too() -> None:
    report = explore(
        Raft.group(3), goal=lambda world: any(node.role == "leader" for node in world.nodes)
    )
    assert report.trace is not None
    sim = fork(report.trace, Raft.group(3), len(report.trace) - 1)
    assert sim.leader() is not None
    sim.run(1_000)
    assert one_leader_a_term(sim.trace).holds
    assert sim.state(sim.leader() or "")["commit_index"] > 0
    assert not replay(sim.trace, Raft.group(3))


def test_a_live_run_forks_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    host, _ = world.pair()
    add(host, 5)
    world.turn()
    trace, _ = world.trace()
    for one in world.bus.hosts.values():
        one._control_stop()
    copy = next(e for e in trace.of("deliver", node="b") if e.data["src"] == "a")
    nodes = [Keeper("a", friend="b"), Keeper("b", friend="a")]
    other = fork(trace, nodes, copy, "lose")
    assert (other.state("a")["total"], other.state("b")["total"]) == (5, 0)
    other.submit("a", Add(2))
    other.run(100)
    assert (other.state("a")["total"], other.state("b")["total"]) == (7, 7)
    assert not replay(other.trace, nodes)


def test_misuse_is_a_sentence() -> None:
    sim = lost_vote()
    with pytest.raises(ScenarioError, match="cannot be forked at event 12: it has n3 as well"):
        fork(sim.trace, Raft.group(3)[:2], 12)
    with pytest.raises(ScenarioError, match="is no loss of a message"):
        fork(sim.trace, Raft.group(3), sim.trace.of("fire")[0], "deliver")
    with pytest.raises(ScenarioError, match="change='lost': give a fault"):
        fork(sim.trace, Raft.group(3), 12, "lost")  # type: ignore[arg-type]
    sim.kill("n2")
    sim.fire("n1", "ElectionTimeout")
    sim.run(20)
    lost = next(event for event in sim.trace.of("drop") if event.data["why"] == "dead")
    with pytest.raises(ScenarioError, match="n2 is dead, so nothing can arrive there"):
        fork(sim.trace, Raft.group(3), lost, "deliver")
