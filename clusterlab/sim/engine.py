"""The engine of the simulator: one heap of things to come, and what happens when one of them does.

This is the hot path, run for every message of every simulation: it writes trace records by hand
and asks the network for the fate of a message only where a link is not plain.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from random import Random
from threading import RLock
from typing import Any, ClassVar, NoReturn, cast

from clusterlab.core.cluster import ClientFactory, Cluster, Health
from clusterlab.core.errors import NodeError, ScenarioError
from clusterlab.core.faults import check_name
from clusterlab.core.history import Invoked, Returned
from clusterlab.core.network import Network, Switch
from clusterlab.core.node import (
    WORLD,
    CancelTimer,
    Deliver,
    Event,
    Fire,
    Message,
    Node,
    NodeId,
    Note,
    Save,
    Send,
    SetTimer,
    Start,
    Timer,
    run_in_place,
)
from clusterlab.core.trace import TraceEvent
from clusterlab.core.values import copy_value
from clusterlab.sim.callers import Callers
from clusterlab.sim.host import Host

MESSAGE, TIMER = 0, 1
Entry = tuple[Any, ...]
"""What is to come: (due_ms, number, MESSAGE, receiver, src, msg, cause)
or (due_ms, number, TIMER, owner, timer, cause, None). The number breaks ties and is a name.
"""

_event = tuple.__new__  # a NamedTuple from a tuple, without the cost of its keyword constructor


class Engine(Cluster):
    """The nodes, the heap, and how an event becomes effects and effects become events."""

    engine: ClassVar[str] = "sim"

    def __init__(
        self,
        nodes: Iterable[Node],
        *,
        network: Network | None = None,
        client: ClientFactory | None = None,
        seed: int = 0,
        speed: float = 1.0,
        record: bool = True,
        start: bool = True,
    ) -> None:
        nodes = list(nodes)
        super().__init__(nodes, network=network, client=client, seed=seed, speed=speed)
        self.trace.meta["record"] = record
        self._random = Random(seed)
        self._draw = self._random.random
        self._switch = Switch(self.network)
        self._now = 0.0
        self._heap: list[Entry] = []
        self._count = 0
        self._record = record
        self._taken: set[int] = set()  # heap entries that a hand has taken out
        self._parked: dict[int, Entry] = {}  # the messages that are held, by the seq of their send
        self._last_due: dict[tuple[NodeId, NodeId], float] = {}
        self._callers = Callers()
        self._lock = RLock()
        self._stopped = False
        # The caller's nodes stay as they are: one list of nodes can start many clusters.
        self._hosts = {node.id: Host(self, node.copy(), self._random) for node in nodes}
        for host in self._hosts.values() if start else ():
            self._start(host, None)

    @property
    def now_ms(self) -> float:
        """Virtual time."""
        return self._now

    def state(self, node: NodeId) -> dict[str, Any]:
        """The declared fields of a node; of a dead one, what its disk holds."""
        with self._lock:
            host = self._host(node)
            if host.alive:
                return host.node.state()
            return {name: copy_value(value) for name, value in host.disk.items()}

    def health(self, node: NodeId) -> Health:
        """`up`, `paused` or `dead`."""
        host = self._host(node)
        return "dead" if not host.alive else "paused" if host.paused else "up"

    def _host(self, node: NodeId) -> Host:
        check_name(node, self._hosts)
        return self._hosts[node]

    def _add_client(self, node: Node) -> None:
        with self._lock:
            self._check_running()
            self._hosts[node.id] = host = Host(self, node.copy(), self._random)
            self._start(host, None)

    def _check_running(self) -> None:
        if self._stopped:
            raise ScenarioError("this cluster was stopped: make a new one to go on.")

    # --- events ---

    def _push(self, due_ms: float, kind: int, host: Host, a: Any, b: Any, c: Any) -> int:
        self._count = number = self._count + 1
        heapq.heappush(self._heap, (due_ms, number, kind, host, a, b, c))
        return number

    def _next(self) -> None:
        """Take the next entry off the heap and let it happen."""
        entry = heapq.heappop(self._heap)
        due, number, kind, host, a, b, c = entry
        if self._taken and number in self._taken:
            self._taken.discard(number)
            return
        if kind == TIMER:
            pending = host.timers.get(a)
            if pending is None or pending[0] != number:
                return  # cancelled, set anew, or the node died
        # Not so for mail that waited for a paused node. (max() would cost ten times as much.)
        if due > self._now:  # noqa: PLR1730
            self._now = due
        if host.paused:
            host.held.append(entry)
        elif kind == TIMER:
            self._fire(host, a, b)
        else:
            self._arrive(host, a, b, c)

    def _fire(self, host: Host, timer: Timer, cause: int | None) -> None:
        host.timers.pop(timer, None)
        seq = self._log(host.id, "fire", {"timer": timer}, cause) if self._record else None
        self._run(host, _event(Fire, (timer,)), seq)

    def _arrive(self, host: Host, src: NodeId, msg: Message, cause: int | None) -> None:
        dst = host.id
        if not host.alive or (src, dst) not in self._switch.plain:
            if src == WORLD:
                if host.alive:
                    data = {"src": src, "msg": msg}
                    seq = self._log(dst, "deliver", data, cause) if self._record else None
                    self._run(host, Deliver(src, msg), seq)
                else:
                    self._callers.forget(dst)
                return
            why = self._switch.cut(src, dst) if host.alive else "dead"
            if why is not None:
                self._dropped(dst, src, msg, why, cause)
                return
        seq = None
        if self._record:
            events = self.trace.events
            seq = len(events)
            record = (seq, self._now, dst, "deliver", {"src": src, "msg": msg}, cause)
            events.append(_event(TraceEvent, record))
        self._run(host, _event(Deliver, (src, msg)), seq)

    def _start(self, host: Host, cause: int | None) -> None:
        self._run(host, Start(), self._log(host.id, "start", {}, cause))

    def _log(self, node: NodeId, kind: str, data: Mapping[str, Any], cause: int | None) -> int:
        events = self.trace.events
        seq = len(events)
        events.append(_event(TraceEvent, (seq, self._now, node, kind, data, cause)))
        return seq

    def _dropped(self, dst: NodeId, src: NodeId, msg: Message, why: str, cause: int | None) -> None:
        self._log(dst, "drop", {"src": src, "msg": msg, "why": why}, cause)

    def _die(self, host: Host) -> None:
        host.alive = host.paused = False
        host.timers.clear()
        host.lose_cache()
        self._callers.forget(host.id)
        for _, _, kind, _, src, msg, cause in host.held:
            # Mail that waited for a paused process dies with it.
            if kind == MESSAGE and src != WORLD:
                self._dropped(host.id, src, msg, "dead", cause)
        host.held.clear()

    # --- a step and its effects ---

    def _run(self, host: Host, event: Event, cause: int | None) -> None:
        """One step of a node and its effects, or a prefix of them if it dies within the step."""
        try:
            effects = run_in_place(host.node, event, host.env)
        except NodeError as error:
            self._fail(host, error, cause)
        if host.crash_after is not None:
            kept, host.crash_after = host.crash_after, None
            self._perform(host, effects[:kept], cause)
            self._log(host.id, "kill", {"effects": kept}, cause)
            self._die(host)
            return
        if effects:
            self._perform(host, effects, cause)
        if host.shows:
            status = host.node.status()
            if status != host.shown:
                host.shown = self._shown[host.id] = status
                self._log(host.id, "state", status, cause)

    def _fail(self, host: Host, error: NodeError, cause: int | None) -> NoReturn:
        """A wrong node dies of its error, and whoever let time pass is told."""
        self._log(host.id, "error", {"error": str(error)}, cause)
        self._die(host)
        raise error

    def _perform(self, host: Host, effects: list[Any], cause: int | None) -> None:
        record = self._record
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                self._send(host, effect.dst, effect.msg, cause)
            elif kind is SetTimer:
                self._set_timer(host, effect, cause)
            elif kind is Save:
                host.save(effect)
                if record:
                    self._log(host.id, "save", {"values": effect.values}, cause)
            elif kind is Note:
                self._log(host.id, "note", {"name": effect.name, "data": effect.data}, cause)
            elif kind is CancelTimer and host.timers.pop(effect.timer, None) is not None and record:
                self._log(host.id, "cancel_timer", {"timer": effect.timer}, cause)

    def _set_timer(self, host: Host, effect: SetTimer, cause: int | None) -> None:
        timer, after_ms = effect
        if type(after_ms) is tuple:
            low, high = after_ms
            after: float = low + self._draw() * (high - low)
        else:
            after = cast(float, after_ms)
        seq = None
        if self._record:
            data = {"timer": timer, "after_ms": round(after, 3)}
            seq = self._log(host.id, "set_timer", data, cause)
        due = self._now + after / host.clock.rate
        host.timers[timer] = (self._push(due, TIMER, host, timer, seq, None), seq)

    def _send(self, host: Host, dst: NodeId, msg: Message, cause: int | None) -> None:
        src = host.id
        link = (src, dst)
        plain = self._switch.plain.get(link)
        if plain is not None:
            delay_ms = plain[0] + self._draw() * plain[1]
            self._fly("send", link, self._hosts[dst], msg, delay_ms, False, cause)
            return
        if dst == WORLD:
            self._tell_world(src, msg, cause)
            return
        target = self._hosts.get(dst)
        if target is None:
            names = ", ".join(self._hosts)
            sentence = f"{host.node} sends {msg!r} to {dst!r}, but there is no such node"
            self._fail(host, NodeError(f"{sentence}: send to one of {names}."), cause)
        flights = self._switch.fate(src, dst, self._draw)
        if isinstance(flights, str):
            data = {"dst": dst, "msg": msg, "delay_ms": None}
            seq = self._log(src, "send", data, cause) if self._record else None
            self._dropped(dst, src, msg, flights, seq)
            return
        kind = "send"
        for delay_ms, reordered in flights:
            cause = self._fly(kind, link, target, msg, delay_ms, reordered, cause)
            kind = "duplicate"  # of the send, which is its cause

    def _fly(
        self,
        kind: str,
        link: tuple[NodeId, NodeId],
        target: Host,
        msg: Message,
        delay_ms: float,
        reordered: bool,
        cause: int | None,
    ) -> int | None:
        """Put one copy of a message on its way; returns the seq of its record."""
        now = self._now
        due = now + delay_ms
        if not reordered:
            # A link keeps the order: a message never arrives before an earlier one.
            last = self._last_due.get(link, 0.0)
            if last > due:  # noqa: PLR1730 - as above
                due = last
            self._last_due[link] = due
        seq = None
        if self._record or kind == "duplicate":
            data = {"dst": link[1], "msg": msg, "delay_ms": due - now}
            if reordered:
                data["reordered"] = True
            events = self.trace.events
            seq = len(events)
            events.append(_event(TraceEvent, (seq, now, link[0], kind, data, cause)))
        self._count = number = self._count + 1
        heapq.heappush(self._heap, (due, number, MESSAGE, target, link[0], msg, seq))
        return seq

    def _tell_world(self, src: NodeId, msg: Message, cause: int | None) -> None:
        """Record what a node says to the users, and wake who waits for it."""
        if isinstance(msg, Invoked):
            self._log(src, "invoke", {"operation": msg.operation}, cause)
            self._callers.hear(src, msg)
        elif isinstance(msg, Returned):
            self._log(src, "return", {"outcome": msg.outcome, "value": msg.value}, cause)
            self._callers.hear(src, msg)
        else:
            self._log(src, "send", {"dst": WORLD, "msg": msg, "delay_ms": None}, cause)
