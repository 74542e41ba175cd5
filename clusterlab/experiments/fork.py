"""What if? From any event of a recorded run, the simulator goes on with one thing changed.

The nodes are replayed through `step` up to that event, so a live run forks as a simulated one does.
As recorded are: the state and disk of every node, who is dead or paused, the messages on their way
and when they would have arrived, the timers and when they would have fired, clocks, cuts and links.

What a trace does not hold, and a fork therefore draws anew or leaves out:

- everything that is still to be drawn: delays, losses, lengths of timers, choices (from `seed`);
- what a node chose, where it never showed: one choice that explains the record is taken;
- a death that was ordered for "within the next step" and has not come yet;
- the conditions of links that no fault has touched: give `network`, or all links are plain;
- in a run that was taken by hand (of a search, or a shrunk one), times mean nothing: the timers
  that are pending begin anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

from clusterlab.check.agreement import STEPS
from clusterlab.check.replay import replay
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import Fault, Heal, Isolate, Link, Partition
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD, Node, NodeId, Timer
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.sim import Simulation
from clusterlab.sim.situation import Clock, Flight, Situation, Waiting, go_on

Change: TypeAlias = "Fault | Literal['lose', 'deliver'] | Callable[[Simulation], Any] | None"


def fork(
    trace: Trace,
    nodes: Iterable[Node],
    at: int | TraceEvent,
    change: Change = None,
    *,
    seed: int = 0,
    network: Network | None = None,
) -> Simulation:
    """A cluster as it was just before an event, with one thing changed; no time has passed yet.

    Parameters
    ----------
    trace, nodes:
        The run, and its nodes as they were given to the cluster, clients too.
    at:
        The event or its number. A step of a node is whole: before an event that came out of one
        means after that step.
    change:
        A fault, which strikes now; "lose", of an arrival: the message is lost instead; "deliver",
        of a loss: the message arrives now instead; or a function that is handed the cluster.
    seed:
        For what is drawn from here on.
    network:
        As that of the run, which a trace does not hold.

    Its trace begins with what was recorded, so the player shows the past as well.
    Raises ScenarioError if the trace is not of these nodes, or the change does not fit the event.
    """
    event = trace[at] if isinstance(at, int) else at
    past = trace.events[: _cut(trace, event)]
    sim = go_on(
        _situation(trace, past, list(nodes), event),
        seed=seed,
        network=network,
    )
    if isinstance(change, Fault):
        sim.apply(change)
    elif change in ("lose", "deliver"):
        _redirect(sim, event, change == "deliver")
    elif callable(change):
        change(sim)
    elif change is not None:
        raise ScenarioError(
            f"change={change!r}: give a fault such as Kill('n1'), 'lose', 'deliver', or a function "
            "that takes the cluster."
        )
    return sim


def _cut(trace: Trace, event: TraceEvent) -> int:
    """How many events have happened: all before this one, and whole steps."""
    if event.kind == "start" and event.cause is not None:
        return event.cause  # the restart, of which it is a part
    begin = _step_of(trace, event)
    if begin is None:
        return event.seq
    return 1 + max(one.seq for one in trace.events[begin:] if _step_of(trace, one) == begin)


def _step_of(trace: Trace, event: TraceEvent) -> int | None:
    """The event that began the step out of which this one came; None if it came out of none."""
    if event.kind in STEPS or event.cause is None:
        return None
    cause = trace[event.cause]
    if event.kind == "drop" and cause.data.get("delay_ms") is not None:
        return None  # it was lost where it arrived
    return cause.seq if cause.kind in STEPS else _step_of(trace, cause)


def _situation(
    trace: Trace, past: list[TraceEvent], nodes: list[Node], event: TraceEvent
) -> Situation:
    recorded = Trace(**trace.meta)
    recorded.events = past
    began = list(dict.fromkeys(one.node for one in past if one.kind == "start" and one.node))
    clients = [name for name in trace.meta.get("clients", ()) if name in began]
    servers = trace.meta.get("servers") or [name for name in began if name not in clients]
    found = replay(recorded, [node for node in nodes if node.id in began])
    lacking = [*found.left_out, *(name for name in servers if name not in began)]
    if found or lacking:
        what = found.disagreements[0] if found else f"it has {', '.join(lacking)} as well."
        raise ScenarioError(
            f"the run cannot be forked at event {event.seq}: {what} Give the nodes of that run, "
            "clients too, and an event after they have started."
        )
    by_hand = bool(trace.meta.get("by_hand"))
    reader = _Reader(past)
    now_ms = max(reader.now_ms, event.at_ms)
    timers = [reader.timers[name, one] for name, some in found.timers.items() for one in some]
    if by_hand:
        timers = [one._replace(due_ms=now_ms + reader.lengths[one.cause]) for one in timers]
    return Situation(
        now_ms=now_ms,
        servers=[found.nodes[name] for name in servers],
        clients=[found.nodes[name] for name in clients],
        disks=found.disks,
        dead=frozenset(reader.dead),
        paused=frozenset(reader.paused),
        flights=list(reader.flights.values()),
        timers=sorted(timers, key=lambda one: (one.due_ms, one.cause)),
        clocks=reader.clocks,
        faults=reader.faults,
        shown=reader.shown,
        past=past,
        meta={"forked_at": event.seq} | ({"by_hand": True} if by_hand else {}),
        born=[node.copy() for node in nodes],
    )


class _Reader:
    """What the events of a run leave behind, beside the nodes themselves."""

    def __init__(self, past: Iterable[TraceEvent]) -> None:
        self.now_ms = 0.0
        self.dead: set[NodeId] = set()
        self.paused: set[NodeId] = set()
        self.flights: dict[int, Flight] = {}
        self.timers: dict[tuple[NodeId, Timer], Waiting] = {}
        self.lengths: dict[int, float] = {}
        """By the event that set a timer: after how many ms it was to fire."""
        self.clocks: dict[NodeId, Clock] = {}
        self.faults: list[Fault] = []
        self.shown: dict[NodeId, Any] = {}
        for event in past:
            self.now_ms = max(self.now_ms, event.at_ms)
            self._read(event, event.node or "")

    def _read(self, event: TraceEvent, node: NodeId) -> None:
        kind, data = event.kind, event.data
        if kind in ("send", "duplicate") and data["dst"] != WORLD:
            if data["delay_ms"] is not None:
                due = event.at_ms + data["delay_ms"]
                in_order = not data.get("reordered", False)
                flight = Flight(node, data["dst"], data["msg"], due, event.seq, in_order)
                self.flights[event.seq] = flight
        elif kind in ("deliver", "drop"):
            self.flights.pop(event.cause if event.cause is not None else -1, None)
        elif kind == "set_timer":
            rate = self.clocks[node].rate if node in self.clocks else 1.0
            due = event.at_ms + data["after_ms"] / rate
            self.lengths[event.seq] = data["after_ms"]
            self.timers[node, data["timer"]] = Waiting(node, data["timer"], due, event.seq)
        elif kind == "state":
            self.shown[node] = dict(data)
        elif kind in ("kill", "error"):
            self.dead.add(node)
            self.paused.discard(node)
        elif kind == "restart":
            self.dead.discard(node)
        elif kind == "pause":
            self.paused.add(node)
        elif kind == "resume":
            self.paused.discard(node)
        elif kind == "skew":
            self._skew(event, node)
        else:
            self._cut_or_heal(event, node)

    def _skew(self, event: TraceEvent, node: NodeId) -> None:
        """What is left of a timer takes as long as the new rate makes it."""
        old = self.clocks[node].rate if node in self.clocks else 1.0
        new = event.data["rate"]
        self.clocks[node] = Clock(event.data["offset_ms"], new, event.at_ms)
        for key, one in self.timers.items():
            if one.node == node and one.due_ms > event.at_ms:
                left = (one.due_ms - event.at_ms) * old / new
                self.timers[key] = one._replace(due_ms=event.at_ms + left)

    def _cut_or_heal(self, event: TraceEvent, node: NodeId) -> None:
        data = event.data
        match event.kind:
            case "partition":
                self.faults.append(Partition(tuple(tuple(group) for group in data["groups"])))
            case "isolate":
                self.faults.append(Isolate(node))
            case "heal":
                self.faults.append(Heal())
            case "link":
                self.faults.append(Link(**data))


def _redirect(sim: Simulation, event: TraceEvent, deliver: bool) -> None:
    """Let a message arrive that was lost, or lose one that arrived."""
    wanted = "drop" if deliver else "deliver"
    if event.kind != wanted or event.data["src"] == WORLD:
        raise ScenarioError(
            f"event {event.seq} is no {'loss' if deliver else 'arrival'} of a message "
            f"({event.words()}): choose one that is, such as "
            f"trace.of({wanted!r})[0]."
        )
    src, dst, msg = event.data["src"], event.node or "", event.data["msg"]
    if not deliver:
        sim.lose(src, dst, msg)
    elif sim.health(dst) != "up":
        raise ScenarioError(
            f"{dst} is {sim.health(dst)}, so nothing can arrive there: restart or resume it first."
        )
    else:
        sim.hand_over(src, dst, msg, event.cause)
