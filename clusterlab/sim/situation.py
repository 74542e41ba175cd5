"""A cluster at one moment, as a value from which a simulation can go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clusterlab.core.faults import Fault
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId, Timer
from clusterlab.core.trace import TraceEvent
from clusterlab.sim.engine import MESSAGE, TIMER
from clusterlab.sim.simulation import Simulation


class Flight(NamedTuple):
    """A message on its way."""

    src: NodeId
    dst: NodeId
    msg: Message
    due_ms: float
    cause: int | None
    """The event that sent it."""
    in_order: bool = True
    """Later messages of its link may not overtake it."""


class Waiting(NamedTuple):
    """A timer that will fire."""

    node: NodeId
    timer: Timer
    due_ms: float
    cause: int
    """The event that set it."""


class Clock(NamedTuple):
    """How a node's clock is wrong, and since when."""

    offset_ms: float
    rate: float
    since_ms: float


@dataclass
class Situation:
    """Everything that a simulation needs to go on."""

    now_ms: float
    servers: Sequence[Node]
    clients: Sequence[Node]
    disks: Mapping[NodeId, Mapping[str, Any]]
    dead: frozenset[NodeId]
    paused: frozenset[NodeId]
    flights: Sequence[Flight]
    timers: Sequence[Waiting]
    clocks: Mapping[NodeId, Clock]
    faults: Sequence[Fault]
    """What struck the network so far, in order."""
    shown: Mapping[NodeId, Mapping[str, Any]]
    """The newest status of each node."""
    past: Sequence[TraceEvent] = ()
    """What happened before: the trace goes on from there."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    born: Sequence[Node] = ()
    """The nodes as they were before the past began."""


def go_on(
    situation: Situation, *, seed: int = 0, network: Network | None = None, speed: float = 1.0
) -> Simulation:
    """A simulation that goes on from there; no time has passed in it yet."""
    nodes = [*situation.servers, *situation.clients]
    sim = Simulation(nodes, network=network, seed=seed, speed=speed, start=False)
    sim.servers = tuple(node.id for node in situation.servers)
    sim.clients = tuple(node.id for node in situation.clients)
    sim.trace.meta.update(servers=list(sim.servers), clients=list(sim.clients), **situation.meta)
    sim.trace.events.extend(situation.past)
    sim.trace.nodes = tuple(situation.born)
    sim._now = situation.now_ms
    for fault in situation.faults:
        sim._switch.apply(fault)
    for name, host in sim._hosts.items():
        host.alive = name not in situation.dead
        host.paused = name in situation.paused
        host.disk = dict(situation.disks[name])
        if name in situation.clocks:
            clock = situation.clocks[name]
            host.clock.skew(clock.since_ms, clock.offset_ms, clock.rate)
        if name in situation.shown:
            host.shown = sim._shown[name] = situation.shown[name]
    for waiting in situation.timers:
        host = sim._hosts[waiting.node]
        number = sim._push(waiting.due_ms, TIMER, host, waiting.timer, waiting.cause, None)
        host.timers[waiting.timer] = (number, waiting.cause)
    for flight in sorted(situation.flights, key=lambda one: one.cause or 0):
        sim._push(
            flight.due_ms, MESSAGE, sim._hosts[flight.dst], flight.src, flight.msg, flight.cause
        )
        if flight.in_order:
            link = (flight.src, flight.dst)
            sim._last_due[link] = max(flight.due_ms, sim._last_due.get(link, 0.0))
    return sim
