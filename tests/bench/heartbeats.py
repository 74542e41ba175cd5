"""The simulator beside SimPy: five nodes that send heartbeats and acknowledge them."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from clusterlab.core.node import Message, Node, NodeId, Timer, volatile
from clusterlab.sim import Simulation
from tests.bench.figures import Comparison, Measured, Section, Target
from tests.bench.machine import Plan, is_installed, version

NODES = 5
EVERY_MS = 50
LATENCY_MS = (5.0, 15.0)  # what Network() has by default
SETTLE_MS = 40
"""A heartbeat and its answer take at most 30 ms, so nothing is in flight when a run ends."""


class Heartbeat(Message):
    """I am alive."""

    number: int


class HeartbeatAck(Message):
    """So I heard."""

    number: int


class HeartbeatDue(Timer):
    """Time to be heard."""


class Beating(Node):
    """Sends a heartbeat to each peer and counts the answers."""

    peers: tuple[NodeId, ...]
    number: int = volatile(0)
    received: int = volatile(0)

    def on_start(self) -> None:
        """Begin."""
        self.set_timer(HeartbeatDue(), EVERY_MS)

    def on_heartbeat_due(self, t: HeartbeatDue) -> None:
        """Send to all, and again after a while."""
        self.number += 1
        self.broadcast(Heartbeat(self.number), self.peers)
        self.set_timer(t, EVERY_MS)

    def on_heartbeat(self, src: NodeId, m: Heartbeat) -> None:
        """Acknowledge."""
        self.received += 1
        self.send(src, HeartbeatAck(m.number))

    def on_heartbeat_ack(self, src: NodeId, m: HeartbeatAck) -> None:
        """Count."""
        self.received += 1


class Run(NamedTuple):
    """One run of either simulator."""

    delivered: int
    cpu_s: float


def ours(beats: int, *, record: bool) -> Run:
    """The simulator of clusterlab."""
    names = tuple(f"n{i}" for i in range(1, NODES + 1))
    nodes = [Beating(n, peers=tuple(peer for peer in names if peer != n)) for n in names]
    simulation = Simulation(nodes, record=record)
    cpu_s = _cpu_s(lambda: simulation.run(beats * EVERY_MS + SETTLE_MS))
    delivered = sum(simulation.state(name)["received"] for name in names)
    if record:
        recorded = sum(event.kind == "deliver" for event in simulation.trace)
        assert recorded == delivered, "the trace must hold every delivery that is counted"
    return Run(delivered, cpu_s)


def simpy(beats: int) -> Run:
    """The same in SimPy: a Store a node, and a process a message for its latency."""
    import simpy as sp

    env = sp.Environment()
    stores = [sp.Store(env) for _ in range(NODES)]
    received = [0] * NODES
    draw = random.Random(0)
    low, high = LATENCY_MS

    def fly(dst: int, message: tuple[str, int, int]) -> Generator[Any, Any, None]:
        yield env.timeout(low + draw.random() * (high - low))
        yield stores[dst].put(message)

    def beat(me: int) -> Generator[Any, Any, None]:
        number = 0
        while True:
            yield env.timeout(EVERY_MS)
            number += 1
            for peer in range(NODES):
                if peer != me:
                    env.process(fly(peer, ("heartbeat", me, number)))

    def node(me: int) -> Generator[Any, Any, None]:
        while True:
            kind, src, number = yield stores[me].get()
            received[me] += 1
            if kind == "heartbeat":
                env.process(fly(src, ("ack", me, number)))

    for me in range(NODES):
        env.process(beat(me))
        env.process(node(me))
    cpu_s = _cpu_s(lambda: env.run(beats * EVERY_MS + SETTLE_MS))
    return Run(sum(received), cpu_s)


def expected(beats: int) -> int:
    """How many messages either of them must deliver."""
    return beats * NODES * (NODES - 1) * 2


def _cpu_s(work: Callable[[], object]) -> float:
    gc.collect()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def measure(plan: Plan) -> Section:
    """Take turns: with a trace, SimPy, without a trace."""
    section = Section(
        f"Simulator: {NODES} nodes with heartbeats, messages delivered per CPU second"
    )
    beats, rounds = (400, 3) if plan.quick else (2000, 5)
    has_simpy = is_installed("simpy")
    if not has_simpy:
        section.skipped.append("SimPy, which is not installed: run `make setup`.")
    rates: dict[str, list[float]] = {"traced": [], "bare": [], "simpy": []}
    for number in range(1, rounds + 1):
        plan.say(f"simulator, round {number} of {rounds}")
        runs = {"traced": ours(beats, record=True)}
        if has_simpy:
            runs["simpy"] = simpy(beats)
        runs["bare"] = ours(beats, record=False)
        for name, run in runs.items():
            assert run.delivered == expected(beats), f"{name} delivered {run.delivered} messages"
            rates[name].append(run.delivered / run.cpu_s)
    peer = Measured.of(rates["simpy"]) if has_simpy else None
    name = f"SimPy {version('simpy')}" if has_simpy else ""
    for what, key, bound in (("full trace", "traced", 1.0), ("no trace", "bare", 2.0)):
        ours_ = Measured.of(rates[key])
        target = Target("ratio", bound, at_least=True)
        section.lines.append(Comparison(what, "messages/s", ours_, name, peer, target))
    section.notes.append(
        f"{expected(beats):,} messages in each run, the same number in both; median (range) of "
        f"{rounds} rounds in turns. SimPy: a Store a node, a process a message; it keeps no trace."
    )
    return section
