"""What a cluster looks like after some events: the fold of a trace that pictures start from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clusterlab.core.node import WORLD, NodeId
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.views.palette import LEADER
from clusterlab.views.records import type_of

FLIGHTS_LIMIT = 4_000
"""A message whose end was never recorded is forgotten after so many later ones."""

NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass
class NodeState:
    """One node as it looks now. Events are kept, so that the state can be told again from them."""

    name: NodeId
    client: bool
    dead: bool = False
    life: TraceEvent | None = None
    paused: TraceEvent | None = None
    isolated: TraceEvent | None = None
    shown: TraceEvent | None = None
    skew: TraceEvent | None = None
    operation: TraceEvent | None = None
    disk: str = ""
    """`saved` once it has saved anything, `lost` if it came back without its disk."""
    timers: dict[Any, TraceEvent] = field(default_factory=dict)

    @property
    def health(self) -> str:
        """`up`, `paused` or `dead`."""
        return "dead" if self.dead else "paused" if self.paused else "up"

    @property
    def role(self) -> str | None:
        """What it last showed itself to be; the dead are nothing."""
        role = None if self.dead or self.shown is None else self.shown.data.get("role")
        return None if role is None else str(role)

    @property
    def epoch(self) -> Any:
        """The epoch that it last showed."""
        return None if self.dead or self.shown is None else self.shown.data.get("epoch")

    @property
    def label(self) -> str:
        """The few words that it last showed."""
        return "" if self.dead or self.shown is None else str(self.shown.data.get("label") or "")

    def rate(self) -> float:
        """How fast its clock runs."""
        return 1.0 if self.skew is None else float(self.skew.data["rate"])

    def longest_timer(self) -> tuple[float, float] | None:
        """Set at, and due at (cluster time in ms) of the longest of its pending timers."""
        if self.dead or not self.timers:
            return None
        event = max(self.timers.values(), key=lambda e: float(e.data["after_ms"]))
        return event.at_ms, event.at_ms + event.data["after_ms"] / self.rate()

    def forget_memory(self) -> None:
        """What a process that dies loses."""
        self.paused = self.shown = self.operation = None
        self.timers.clear()

    def events(self) -> list[TraceEvent]:
        """The events that still matter."""
        kept = [self.life, self.paused, self.isolated, self.shown, self.skew, self.operation]
        return [*filter(None, kept), *self.timers.values()]


class State:
    """A cluster as it looks after the events that were added."""

    def __init__(self, servers: Iterable[NodeId] = (), clients: Iterable[NodeId] = ()) -> None:
        self.nodes: dict[NodeId, NodeState] = {}
        self.roles: list[str] = []
        self.types: list[str] = []
        self.flights: dict[int, TraceEvent] = {}
        self.held: dict[int, float] = {}
        """When each message that a hand holds was taken hold of, by the seq of its send."""
        self.cut: TraceEvent | None = None
        self.links: dict[tuple[NodeId, NodeId], TraceEvent] = {}
        self.at_ms = 0.0
        self.count = 0
        self._servers_known = False
        self.know(servers, clients)

    def know(self, servers: Iterable[NodeId], clients: Iterable[NodeId]) -> None:
        """These nodes exist, whether or not they have done anything yet."""
        for name in servers:
            self._servers_known = True
            self._node(name).client = False
        for name in clients:
            self._node(name).client = True

    @classmethod
    def of(cls, trace: Trace) -> State:
        """The state at the end of a trace."""
        state = cls(trace.meta.get("servers", ()), trace.meta.get("clients", ()))
        return state.add_all(trace.events)

    @property
    def servers(self) -> list[NodeId]:
        """The nodes of the ring."""
        return [node.name for node in self.nodes.values() if not node.client]

    @property
    def clients(self) -> list[NodeId]:
        """The nodes outside it."""
        return [node.name for node in self.nodes.values() if node.client]

    @property
    def groups(self) -> tuple[tuple[NodeId, ...], ...]:
        """The sides of the partition; empty if there is none."""
        return () if self.cut is None else self.cut.data["groups"]

    def add_all(self, events: Iterable[TraceEvent]) -> State:
        """Add these events; returns the state itself."""
        for event in events:
            self.add(event)
        return self

    def add(self, event: TraceEvent) -> None:
        """What `event` changes in the picture."""
        self.count += 1
        self.at_ms = max(self.at_ms, event.at_ms)
        kind, data = event.kind, event.data
        if kind in ("send", "duplicate"):
            self._send(event)
        elif kind in ("deliver", "drop"):
            if event.cause is not None:
                self.flights.pop(event.cause, None)
                self.held.pop(event.cause, None)
        elif kind == "hold_message":
            self.held[data["message"]] = event.at_ms
        elif kind == "release_message":
            self.held.pop(data["message"], None)
        elif kind == "partition":
            self.cut = event
        elif kind == "heal":
            self._heal()
        elif kind == "link":
            self._link(event)
        elif event.node is not None:
            self._change_node(self._node(event.node), event, kind, data)

    def base(self) -> list[TraceEvent]:
        """The few events that tell this state again, in order."""
        kept = [event for node in self.nodes.values() for event in node.events()]
        kept += self.flights.values()
        kept += self.links.values()
        if self.cut is not None:
            kept.append(self.cut)
        return sorted(kept, key=lambda event: event.seq)

    def _node(self, name: NodeId) -> NodeState:
        node = self.nodes.get(name)
        if node is None:
            node = self.nodes[name] = NodeState(name, client=self._servers_known)
        return node

    def _send(self, event: TraceEvent) -> None:
        if event.data["dst"] == WORLD:
            return
        for name in (event.node, event.data["dst"]):
            if name is not None:
                self._node(name)
        kind = type_of(event.data["msg"])
        if kind not in self.types:
            self.types.append(kind)
        self.flights[event.seq] = event
        if len(self.flights) > FLIGHTS_LIMIT:
            del self.flights[next(iter(self.flights))]

    def _heal(self) -> None:
        self.cut = None
        self.links.clear()
        self.held.clear()
        for node in self.nodes.values():
            node.isolated = None

    def _link(self, event: TraceEvent) -> None:
        data = event.data
        between = (data["src"], data["dst"])
        bad = data.get("block") or any(
            data.get(name) is not None for name in ("loss", "delay_ms", "duplicate", "reorder")
        )
        if bad:
            self.links[between] = event
        else:
            self.links.pop(between, None)

    def _change_node(self, node: NodeState, event: TraceEvent, kind: str, data: Any) -> None:
        if kind in ("kill", "error", "restart", "start"):
            node.life = event
            node.dead = kind in ("kill", "error")
            if data.get("disk") == "lose":
                node.disk = "lost"
            node.forget_memory()
        elif kind == "state":
            node.shown = event
            role = data.get("role")
            if role is not None and not node.client and str(role) not in self.roles:
                self.roles.append(str(role))
        elif kind == "save":
            node.disk = "saved"
        elif kind == "set_timer":
            node.timers[data["timer"]] = event
        elif kind in ("fire", "cancel_timer"):
            node.timers.pop(data["timer"], None)
        elif kind == "pause":
            node.paused = event
        elif kind == "resume":
            node.paused = None
        elif kind == "isolate":
            node.isolated = event
        elif kind == "skew":
            node.skew = event
        elif kind == "invoke":
            node.operation = event
        elif kind == "return":
            node.operation = None


def sentence(state: State) -> str:
    """The state in words: `Five nodes at 1,200 ms: n2 leads in epoch 3; n4 is dead.`."""
    servers = [state.nodes[name] for name in state.servers]
    count = NUMBERS[len(servers)] if len(servers) < len(NUMBERS) else str(len(servers))
    start = f"{count} node{'' if len(servers) == 1 else 's'} at {state.at_ms:,.0f} ms"
    said = [_who_leads(state, servers)]
    said += [_are([n.name for n in servers if n.health == h], h) for h in ("dead", "paused")]
    said.append(_are([n.name for n in servers if n.isolated], "isolated"))
    if state.groups:
        sides = " | ".join(", ".join(group) for group in state.groups)
        said.append(f"the network is cut: {sides}")
    inside = "; ".join(filter(None, said))
    return f"{start}: {inside}." if inside else f"{start}."


def _who_leads(state: State, servers: list[NodeState]) -> str:
    leaders = [node for node in servers if node.role == LEADER]
    if leaders:
        return ", ".join(
            f"{n.name} leads" + (f" in epoch {n.epoch}" if n.epoch is not None else "")
            for n in leaders
        )
    if LEADER in state.roles:
        return "no node leads"
    roles = [node.role for node in servers if node.role is not None]
    return ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))


def _are(names: list[NodeId], what: str) -> str:
    if len(names) < 2:
        return f"{names[0]} is {what}" if names else ""
    return f"{', '.join(names[:-1])} and {names[-1]} are {what}"
