"""One trace from the journals of several processes, ordered by cause and never by comparing clocks.

Each process's records are a stream in its own order. A step that a message began waits at the head
of its stream until the sending of that message has been merged, wherever that is.
Among those that could come next the one with the smaller time does; that is for the eye only.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from clusterlab.core.node import WORLD, NodeId, Timer
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.live import records as r

DRIVER = ""
"""The stream of what the driver itself does."""

_event = tuple.__new__


class Death(NamedTuple):
    """A node that died by itself, as its process told: within a step, or because it was wrong."""

    node: NodeId
    sentence: str = ""
    """The error; empty if the death was asked for."""
    kind: str = ""
    details: str = ""


class _Flight(NamedTuple):
    """A message of which the trace does not yet say what became of it."""

    seq: int | None
    src: NodeId
    dst: NodeId
    msg: Any
    due_ms: float
    dst_life: int


class Merger:
    """Takes records and appends events to a trace."""

    def __init__(
        self,
        trace: Trace,
        shown: dict[NodeId, Mapping[str, Any]],
        died: Callable[[Death], None],
        limit: int,
    ) -> None:
        self._events = trace.events
        self._limit = limit
        self._full = False
        self._shown = shown
        self._died = died
        self._streams: dict[str, deque[r.Record]] = {}
        self._lives: dict[str, int] = {}  # of each stream, as far as it is merged
        self._ready: list[tuple[float, str]] = []
        self._queued: set[str] = set()  # streams whose head is in `_ready` or blocked
        self._blocked: dict[r.MessageName, str] = {}  # the message that a stream's head waits for
        self._flights: dict[r.MessageName, _Flight] = {}
        self._over: set[int] = set()  # lives that have ended
        self._told: set[tuple[int, NodeId]] = set()  # who told of their own end
        self._timers: dict[tuple[NodeId, Timer], int | None] = {}
        self._restarts: dict[NodeId, int] = {}

    # --- in ---

    def feed(self, stream: str, records: Iterable[r.Record]) -> None:
        """Append to the stream of a process."""
        queue = self._streams.setdefault(stream, deque())
        queue.extend(records)
        if queue:
            self._queue(stream)

    def waiting(self, stream: str) -> int:
        """How many records of a stream are not merged yet."""
        queue = self._streams.get(stream)
        return len(queue) if queue else 0

    def flight(self, seq: int) -> tuple[r.MessageName, NodeId] | None:
        """Name and receiver of the message that this event sent, if it is on its way."""
        found = ((name, f.dst) for name, f in self._flights.items() if f.seq == seq)
        return next(found, None)

    def note(self, data: Mapping[str, Any]) -> None:
        """A note of the collector's own, at the end of the trace."""
        self._add(self._events[-1].at_ms if self._events else 0.0, None, "note", data, None)

    # --- out ---

    def merge(self, seconds: float | None = None) -> bool:
        """Append all that can be, or what can in so many seconds; returns whether it is done."""
        end = None if seconds is None else time.perf_counter() + seconds
        ready = self._ready
        count = 0
        while ready:
            _, name = heapq.heappop(ready)
            stream = self._streams[name]
            head = stream[0]
            cause = _waits_for(head)
            if cause is not None and cause not in self._flights:
                self._blocked[cause] = name
                continue
            self._next(name, stream)
            count += 1
            if end is not None and not count & 63 and time.perf_counter() > end:
                return not ready
        return True

    def release(self) -> None:
        """Append also what waits for causes that never came."""
        self.merge()
        while self._blocked:
            cause, name = min(self._blocked.items(), key=lambda item: self._streams[item[1]][0][1])
            del self._blocked[cause]
            self._next(name, self._streams[name])
            self.merge()

    def _next(self, name: str, stream: deque[r.Record]) -> None:
        record = stream.popleft()
        self._queued.discard(name)
        self._emit(name, record)
        if stream:
            self._queue(name)

    def _queue(self, name: str) -> None:
        if name not in self._queued:
            self._queued.add(name)
            heapq.heappush(self._ready, (self._streams[name][0][1], name))

    # --- records to events ---

    def _add(
        self, at_ms: float, node: NodeId | None, kind: str, data: Any, cause: int | None
    ) -> int:
        events = self._events
        seq = len(events)
        events.append(_event(TraceEvent, (seq, round(at_ms, 3), node, kind, data, cause)))
        return seq

    def _bulk(
        self, at_ms: float, node: NodeId | None, kind: str, data: Any, cause: int | None
    ) -> int | None:
        """Add an event of a kind that comes by the million, unless the trace is full."""
        if self._full:
            return None
        if len(self._events) >= self._limit:
            self._full = True
            note = {"events": self._limit, "left_out": "messages, timers and saves from here on"}
            self._add(at_ms, None, "note", {"name": "trace is full", "data": note}, None)
            return None
        return self._add(at_ms, node, kind, data, cause)

    def _emit(self, name: str, record: r.Record) -> None:
        kind = record[0]
        if kind == r.STEP:
            self._step(self._lives[name], *record[1:])
        elif kind == r.DROPPED:
            self._drop(record[3], record[1], record[4])
        elif kind == r.FAULT:
            _, at_ms, node, what, data = record
            seq = self._add(at_ms, node, what, data, None)
            if what == "restart":
                self._restarts[node] = seq
                self._shown.pop(node, None)
        elif kind == r.LIFE:
            self._lives[name] = record[2]
        elif kind == r.COPIED:
            self._copied(record[1], *record[3:])
        else:
            self._end(*record[1:])

    def _end(self, at_ms: float, life: int, nodes: Iterable[NodeId]) -> None:
        """A life is over: nobody will receive what is on its way to it."""
        self._over.add(life)
        for node in nodes:
            if (life, node) not in self._told:
                self._add(at_ms, node, "kill", {"effects": None}, None)
        lost = [(max(f.due_ms, at_ms), n) for n, f in self._flights.items() if f.dst_life == life]
        for due_ms, name in sorted(lost):
            self._drop(name, due_ms, "dead")

    def _drop(self, name: r.MessageName, at_ms: float, why: str) -> None:
        flight = self._flights.pop(name, None)
        if flight is not None:
            data = {"src": flight.src, "msg": flight.msg, "why": why}
            self._bulk(at_ms, flight.dst, "drop", data, flight.seq)

    def _copied(
        self, at_ms: float, name: r.MessageName, copy: r.MessageName, delay_ms: float
    ) -> None:
        flight = self._flights.get(name)
        if flight is not None:
            data = {"dst": flight.dst, "msg": flight.msg, "delay_ms": round(delay_ms, 3)}
            seq = self._bulk(at_ms, flight.src, "duplicate", data, flight.seq)
            self._flights[copy] = flight._replace(seq=seq, due_ms=at_ms + delay_ms)

    def _step(
        self, life: int, at_ms: float, node: NodeId, trigger: tuple[Any, ...], outs: list[Any]
    ) -> None:
        cause: int | None = None
        what = trigger[0]
        if what == r.DELIVERED:
            flight = self._flights.pop(trigger[1], None)
            if flight is not None:
                data = {"src": flight.src, "msg": flight.msg}
                cause = self._bulk(at_ms, node, "deliver", data, flight.seq)
        elif what == r.ASKED:
            cause = self._bulk(at_ms, node, "deliver", {"src": WORLD, "msg": trigger[1]}, None)
        elif what == r.FIRED:
            set_by = self._timers.pop((node, trigger[1]), None)
            cause = self._bulk(at_ms, node, "fire", {"timer": trigger[1]}, set_by)
        elif what == r.STARTED:
            cause = self._add(at_ms, node, "start", {}, self._restarts.pop(node, None))
        sent = cause
        for out in outs:
            kind = out[0]
            if kind == r.SEND:
                sent = self._sent(life, at_ms, node, out, "send", cause)
            elif kind == r.SAVE:
                self._bulk(at_ms, node, "save", {"values": out[1]}, cause)
            elif kind == r.SET_TIMER:
                data = {"timer": out[1], "after_ms": out[2]}
                self._timers[node, out[1]] = self._bulk(at_ms, node, "set_timer", data, cause)
            elif kind == r.DUPLICATE:
                self._sent(life, at_ms, node, out, "duplicate", sent)
            else:
                self._rare(life, at_ms, node, out, cause)

    def _sent(
        self,
        life: int,
        at_ms: float,
        node: NodeId,
        out: tuple[Any, ...],
        kind: str,
        cause: int | None,
    ) -> int | None:
        _, number, dst, msg, delay_ms, reordered, dst_life = out
        data = {"dst": dst, "msg": msg, "delay_ms": round(delay_ms, 3)}
        if reordered:
            data["reordered"] = True
        seq = self._bulk(at_ms, node, kind, data, cause)
        name = (life, number)
        self._flights[name] = _event(_Flight, (seq, node, dst, msg, at_ms + delay_ms, dst_life))
        blocked = self._blocked.pop(name, None)
        if blocked is not None:
            heapq.heappush(self._ready, (self._streams[blocked][0][1], blocked))
        elif dst_life in self._over:
            self._drop(name, at_ms + delay_ms, "dead")
        return seq

    def _rare(
        self, life: int, at_ms: float, node: NodeId, out: tuple[Any, ...], cause: int | None
    ) -> None:
        kind = out[0]
        if kind == r.STATE:
            self._shown[node] = out[1]
            self._add(at_ms, node, "state", out[1], cause)
        elif kind == r.NOTE:
            self._add(at_ms, node, "note", {"name": out[1], "data": out[2]}, cause)
        elif kind == r.INVOKED:
            self._add(at_ms, node, "invoke", {"operation": out[1]}, cause)
        elif kind == r.RETURNED:
            self._add(at_ms, node, "return", {"outcome": out[1], "value": out[2]}, cause)
        elif kind == r.CANCEL_TIMER:
            self._timers.pop((node, out[1]), None)
            self._bulk(at_ms, node, "cancel_timer", {"timer": out[1]}, cause)
        elif kind == r.KILLED:
            self._told.add((life, node))
            self._add(at_ms, node, "kill", {"effects": out[1]}, cause)
            self._died(Death(node))
        elif kind == r.FAILED:
            self._told.add((life, node))
            self._add(at_ms, node, "error", {"error": out[1]}, cause)
            self._died(Death(node, *out[1:]))
        elif kind == r.LOST:
            _, dst, msg, why = out
            seq = self._bulk(at_ms, node, "send", {"dst": dst, "msg": msg, "delay_ms": None}, cause)
            self._bulk(at_ms, dst, "drop", {"src": node, "msg": msg, "why": why}, seq)
        else:
            self._bulk(at_ms, node, "send", {"dst": WORLD, "msg": out[1], "delay_ms": None}, cause)


def _waits_for(record: r.Record) -> r.MessageName | None:
    """The message whose sending must be in the trace before this record."""
    name: r.MessageName | None = None
    if record[0] == r.STEP:
        trigger = record[3]
        name = trigger[1] if trigger[0] == r.DELIVERED else None
    elif record[0] in (r.DROPPED, r.COPIED):
        name = record[3]
    return name
