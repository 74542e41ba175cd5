"""The simulator: one heap of things to come, virtual time, and every draw from one seed.

The same seed gives the same run, to the last message, on every machine:
ties in time are broken by a counter, and nothing depends on hashes, clocks or threads.

Between events the whole cluster stands still, so a learner can look at it, step it,
or take it by hand: `deliver`, `drop` and `fire` make one chosen thing happen now.
"""

from __future__ import annotations

import gc
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from threading import RLock
from typing import Any, ClassVar, NamedTuple, cast

from clusterlab.core.cluster import ClientFactory, Cluster, Health
from clusterlab.core.errors import LimitReached, NodeError, ScenarioError
from clusterlab.core.faults import Fault, Kill, Pause, Restart, Resume, Skew, check_name
from clusterlab.core.history import Invoke, Invoked, Returned
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
    restart,
    run_in_place,
)
from clusterlab.core.trace import TraceEvent
from clusterlab.sim.host import Host
from clusterlab.sim.pace import Pace

_MESSAGE, _TIMER = 0, 1
_event = tuple.__new__  # a NamedTuple from a tuple, without the cost of its keyword constructor


class InFlight(NamedTuple):
    """A message on its way."""

    src: NodeId
    dst: NodeId
    msg: Message
    due_ms: float


class PendingTimer(NamedTuple):
    """A timer that will fire."""

    node: NodeId
    timer: Timer
    due_ms: float


class _Waiting:
    """Somebody who waits for an operation to return."""

    __slots__ = ("answer", "begun", "operation")

    def __init__(self, operation: Message) -> None:
        self.operation = operation
        self.begun = False
        self.answer: Returned | None = None


class Simulation(Cluster):
    """A cluster in virtual time.

    Parameters beyond those of `Cluster`
    ----------
    record:
        False leaves messages and timers out of the trace (operations and faults stay in), for speed.

    >>> from clusterlab.core.node import Message, Node, volatile
    >>> class Hello(Message):
    ...     pass
    >>> class Greeter(Node):
    ...     friend: str
    ...     greeted: int = volatile(0)
    ...
    ...     def on_start(self):
    ...         self.send(self.friend, Hello())
    ...
    ...     def on_hello(self, src, m):
    ...         self.greeted += 1
    >>> sim = Simulation([Greeter("a", friend="b"), Greeter("b", friend="a")])
    >>> sim.run(20)
    >>> sim.state("a")
    {'greeted': 1}
    """

    engine: ClassVar[str] = "sim"

    def __init__(
        self,
        nodes: Iterable[Node],
        *,
        network: Network | None = None,
        client: ClientFactory | None = None,
        seed: int = 0,
        record: bool = True,
    ) -> None:
        nodes = list(nodes)
        super().__init__(nodes, network=network, client=client, seed=seed)
        self._random = Random(seed)
        self._draw = self._random.random
        self._switch = Switch(self.network)
        self._now = 0.0
        self._heap: list[tuple[Any, ...]] = []
        self._count = 0
        self._record = record
        self._taken: set[int] = set()  # heap entries that a hand has taken out
        self._last_due: dict[tuple[NodeId, NodeId], float] = {}
        self._waiting: dict[NodeId, list[_Waiting]] = {}
        self._lock = RLock()
        self._pace: Pace | None = None
        self._stopped = False
        self._hosts = {node.id: Host(self, node, self._random) for node in nodes}
        for host in self._hosts.values():
            self._start(host, None)

    # --- time ---

    @property
    def now_ms(self) -> float:
        """Virtual time."""
        return self._now

    def step(self) -> TraceEvent | None:
        """Let the next thing happen; returns the newest event of the trace, None if nothing is left."""
        with self._lock:
            before = len(self.trace.events)
            while self._heap:
                self._next()
                if len(self.trace.events) > before or not self._record:
                    return self.trace.events[-1] if self.trace.events else None
            return None

    def run(self, ms: float) -> None:
        """Let `ms` of virtual time pass."""
        end = self._now + ms
        if self._pace is not None:
            self._pace.wait(lambda: self._now >= end)
        else:
            self.advance_to(end)

    def advance_to(self, end_ms: float) -> None:
        """Let everything happen that is due up to `end_ms`, and set the time to it."""
        with self._lock, _no_garbage_collection():
            self._check_running()
            heap, next_ = self._heap, self._next
            while heap and heap[0][0] <= end_ms:
                next_()
            self._now = max(self._now, end_ms)

    def run_until(
        self, condition: Callable[[], bool], limit_ms: float = 60_000, what: str = "the condition"
    ) -> None:
        """Let time pass until `condition()` holds; it is asked after every event."""
        end = self._now + limit_ms
        if self._pace is not None:
            self._pace.wait(lambda: condition() or self._now >= end)
        else:
            with self._lock, _no_garbage_collection():
                self._check_running()
                while not condition() and self._heap and self._heap[0][0] <= end:
                    self._next()
        if not condition():
            quiet = "" if self._heap else "; nothing more can happen in this cluster"
            raise LimitReached(
                f"{what} did not come true within {limit_ms:.0f} ms{quiet}: "
                "look at the trace, or give it a larger limit_ms."
            )

    def play(self, speed: float = 1.0) -> None:
        """Let virtual time pass by itself, `speed` times as fast as real time, until `halt`."""
        self.halt()
        self._pace = Pace(self, speed)

    def halt(self) -> None:
        """Stop playing; time stands still again."""
        pace, self._pace = self._pace, None
        if pace is not None:
            pace.stop()

    def stop(self) -> None:
        """End the simulation; its trace and history stay readable."""
        self.halt()
        self._stopped = True

    # --- by hand ---

    def pending(self) -> tuple[list[InFlight], list[PendingTimer]]:
        """The messages in flight and the timers that will fire, each in the order of their time."""
        messages, timers = [], []
        for due, number, kind, host, a, b, _ in sorted(self._heap, key=lambda entry: entry[:2]):
            if number in self._taken:
                continue
            if kind == _MESSAGE:
                messages.append(InFlight(a, host.id, b, due))
            elif host.timers.get(a, (None,))[0] == number:
                timers.append(PendingTimer(host.id, a, due))
        return messages, timers

    def deliver(self, src: NodeId, dst: NodeId, message: str | None = None) -> TraceEvent:
        """Let the oldest message from `src` to `dst` (of that class, if named) arrive now."""
        with self._lock:
            *_, host, _, msg, cause = self._take(src, dst, message)
            self._arrive(host, src, msg, cause)
            return self.trace.events[-1]

    def drop(self, src: NodeId, dst: NodeId, message: str | None = None) -> None:
        """Lose the oldest message from `src` to `dst` (of that class, if named)."""
        with self._lock:
            *_, host, _, msg, cause = self._take(src, dst, message)
            self._dropped(host.id, src, msg, "lost", cause)

    def fire(self, node: NodeId, timer: str | None = None) -> None:
        """Let a pending timer of `node` (of that class, if named) fire now."""
        with self._lock:
            host = self._host(node)
            for candidate, (_, cause) in list(host.timers.items()):
                if timer in (None, type(candidate).__name__):
                    self._fire(host, candidate, cause)
                    return
            names = ", ".join(type(t).__name__ for t in host.timers) or "none"
            raise ScenarioError(f"{node} has no timer {timer} pending; it has {names}.")

    def _take(self, src: NodeId, dst: NodeId, message: str | None) -> tuple[Any, ...]:
        self._host(src), self._host(dst)
        found = [
            entry
            for entry in self._heap
            if entry[2] == _MESSAGE
            and entry[3].id == dst
            and entry[4] == src
            and message in (None, type(entry[5]).__name__)
            and entry[1] not in self._taken
        ]
        if not found:
            flying = ", ".join(f"{m.src}->{m.dst} {type(m.msg).__name__}" for m in self.pending()[0])
            raise ScenarioError(
                f"no {message or 'message'} is on its way from {src} to {dst}; in flight: {flying or 'nothing'}."
            )
        entry = min(found, key=lambda entry: cast(int, entry[1]))
        self._taken.add(entry[1])
        return entry

    # --- what a cluster has ---

    def state(self, node: NodeId) -> dict[str, Any]:
        """The declared fields of a node; of a dead one, what its disk holds."""
        with self._lock:
            host = self._host(node)
            return host.node.state() if host.alive else dict(host.disk)

    def health(self, node: NodeId) -> Health:
        """`up`, `paused` or `dead`."""
        host = self._host(node)
        return "dead" if not host.alive else "paused" if host.paused else "up"

    def _host(self, node: NodeId) -> Host:
        check_name(node, self._hosts)
        return self._hosts[node]

    def _add_client(self, node: Node) -> None:
        with self._lock:
            self._hosts[node.id] = host = Host(self, node, self._random)
            self._start(host, None)

    def _invoke(self, node: NodeId, operation: Message, limit_ms: float) -> Returned | None:
        waiting = self._submit(node, operation)
        try:
            self.run_until(lambda: waiting.answer is not None, limit_ms)
        except LimitReached:
            pass
        finally:
            if waiting in self._waiting.get(node, []):
                self._waiting[node].remove(waiting)
        return waiting.answer

    def submit(self, node: NodeId, operation: Message) -> None:
        """Hand an operation to a node without waiting: what comes of it is in the history."""
        check_name(node, self._hosts)
        self._submit(node, operation)

    def _submit(self, node: NodeId, operation: Message) -> _Waiting:
        with self._lock:
            self._check_running()
            waiting = _Waiting(operation)
            self._waiting.setdefault(node, []).append(waiting)
            self._push(self._now, _MESSAGE, self._host(node), WORLD, Invoke(operation), None)
            return waiting

    def _check_running(self) -> None:
        if self._stopped:
            raise ScenarioError("this cluster was stopped: make a new one to go on.")

    # --- faults ---

    def _apply(self, fault: Fault) -> bool:
        with self._lock:
            self._check_running()
            host = self._hosts.get(fault.about or "")
            if host is not None and not _can_strike(fault, host):
                return False
            if isinstance(fault, Kill) and fault.effects is not None and host is not None:
                host.crash_after = fault.effects  # the trace has it when it happens
                return True
            seq = self.trace.append(self._now, fault.about, fault.kind, fault.data())
            self._switch.apply(fault)
            if host is not None:
                self._strike(host, fault, seq)
            return True

    def _strike(self, host: Host, fault: Fault, seq: int) -> None:
        match fault:
            case Kill():
                self._die(host)
            case Restart(disk=disk):
                host.node = restart(host.node, host.disk if disk == "keep" else {})
                host.disk = host.node.saved()
                host.alive, host.crash_after, host.shown = True, None, None
                self._start(host, seq)
            case Pause():
                host.paused = True
            case Resume():
                host.paused = False
                for _, number, *rest in host.held:
                    heapq.heappush(self._heap, (self._now, number, *rest))
                host.held.clear()
            case Skew(offset_ms=offset_ms, rate=rate):
                host.clock.skew(self._now, offset_ms, rate)

    def _die(self, host: Host) -> None:
        host.alive = host.paused = False
        host.timers.clear()
        for entry in host.held:  # mail that waited for a paused process dies with it
            if entry[2] == _MESSAGE:
                self._dropped(host.id, entry[4], entry[5], "dead", entry[6])
        host.held.clear()

    # --- the engine ---

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
        if kind == _TIMER:
            pending = host.timers.get(a)
            if pending is None or pending[0] != number:
                return  # cancelled, set anew, or the node died
        self._now = due if due > self._now else self._now
        if host.paused:
            host.held.append(entry)
        elif kind == _TIMER:
            self._fire(host, a, b)
        else:
            self._arrive(host, a, b, c)

    def _fire(self, host: Host, timer: Timer, cause: int | None) -> None:
        host.timers.pop(timer, None)
        seq = self._log(host.id, "fire", {"timer": timer}, cause) if self._record else None
        self._run(host, Fire(timer), seq)

    def _arrive(self, host: Host, src: NodeId, msg: Message, cause: int | None) -> None:
        if src == WORLD:
            if host.alive:
                self._run(host, Deliver(src, msg), cause)
            return
        if not host.alive or (src, host.id) not in self._switch.plain:
            why = self._switch.cut(src, host.id) if host.alive else "dead"
            if why is not None:
                self._dropped(host.id, src, msg, why, cause)
                return
        seq = None
        if self._record:
            seq = self._log(host.id, "deliver", {"src": src, "msg": msg}, cause)
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

    def _run(self, host: Host, event: Event, cause: int | None) -> None:
        """One step of a node, and its effects: all of them, or a prefix if the process dies within."""
        try:
            effects = run_in_place(host.node, event, host.env)
        except NodeError as error:
            self._log(host.id, "error", {"error": str(error)}, cause)
            self._die(host)
            raise
        if host.crash_after is not None:
            kept, host.crash_after = host.crash_after, None
            self._perform(host, effects[:kept], cause)
            self._log(host.id, "kill", {"effects": kept}, cause)
            self._die(host)
            return
        self._perform(host, effects, cause)
        if host.shows:
            status = host.node.status()
            if status != host.shown:
                host.shown = self._shown[host.id] = status
                self._log(host.id, "state", status, cause)

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
        host.timers[timer] = (self._push(due, _TIMER, host, timer, seq, None), seq)

    def _send(self, host: Host, dst: NodeId, msg: Message, cause: int | None) -> None:
        src = host.id
        if dst == WORLD:
            self._tell_world(src, msg, cause)
            return
        target = self._hosts.get(dst)
        if target is None:
            error = f"{host.node} sends {msg!r} to {dst!r}, but there is no such node: send to {', '.join(self._hosts)}."
            self._log(src, "error", {"error": error}, cause)
            self._die(host)
            raise NodeError(error)
        link = (src, dst)
        plain = self._switch.plain.get(link)
        if plain is not None:
            self._fly("send", link, target, msg, plain[0] + self._draw() * plain[1], False, cause)
            return
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
            if last > due:
                due = last
            self._last_due[link] = due
        seq = None
        if self._record:
            data = {"dst": link[1], "msg": msg, "delay_ms": due - now}
            if reordered:
                data["reordered"] = True
            events = self.trace.events
            seq = len(events)
            events.append(_event(TraceEvent, (seq, now, link[0], kind, data, cause)))
        self._count = number = self._count + 1
        heapq.heappush(self._heap, (due, number, _MESSAGE, target, link[0], msg, seq))
        return seq

    def _tell_world(self, src: NodeId, msg: Message, cause: int | None) -> None:
        """Record what a node says to the users, and wake who waits for it."""
        waiting = self._waiting.get(src, [])
        if isinstance(msg, Invoked):
            self._log(src, "invoke", {"operation": msg.operation}, cause)
            for one in waiting:
                if not one.begun and one.operation == msg.operation:
                    one.begun = True
                    break
        elif isinstance(msg, Returned):
            self._log(src, "return", {"outcome": msg.outcome, "value": msg.value}, cause)
            for one in waiting:
                if one.begun:
                    one.answer = msg
                    waiting.remove(one)
                    break
        else:
            self._log(src, "send", {"dst": WORLD, "msg": msg, "delay_ms": None}, cause)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """The collector looks for cycles in all that is young; a trace has none, and grows by the million.

    It cost a third of the time of a traced run.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _can_strike(fault: Fault, host: Host) -> bool:
    """Whether `fault` would change anything: the dead cannot be killed nor the living restarted."""
    match fault:
        case Kill():
            return host.alive
        case Restart():
            return not host.alive
        case Pause():
            return host.alive and not host.paused
        case Resume():
            return host.paused
    return True
