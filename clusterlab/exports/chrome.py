"""A run in Chrome's Trace Event Format (Google 2016), which Perfetto opens.

A node is a process with up to three rows: its steps with an arrow for each message, its role as
`status()` tells it, and its downtime. A client's operations are a row as long as they took.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from clusterlab.core.node import WORLD, NodeId
from clusterlab.core.trace import Trace, TraceEvent

STEPS, ROLE, HEALTH, OPERATIONS = range(1, 5)
_ROWS = {STEPS: "steps", ROLE: "role", HEALTH: "down or paused", OPERATIONS: "operations"}
_BEGINS = {"kill": "dead", "error": "dead", "pause": "paused"}
_NETWORK = 1
"""The process that stands for what strikes no single node."""


def chrome(trace: Trace) -> str:
    """The trace as JSON for Perfetto or chrome://tracing; times are cluster time."""
    writer = _Writer()
    for event in trace:
        writer.add(event)
    events = [*writer.events, *writer.end(trace.events[-1].at_ms if trace.events else 0.0)]
    names = [*writer.names()]
    return json.dumps({"traceEvents": names + events, "displayTimeUnit": "ms"}, ensure_ascii=False)


class _Writer:
    """What a timeline needs to know of what came before."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._processes: dict[NodeId, int] = {}
        self._rows: set[tuple[int, int]] = set()
        self._open: dict[tuple[int, int], tuple[str, float, dict[str, Any]]] = {}

    def add(self, event: TraceEvent) -> None:
        """Write down one event of the trace."""
        kind, data = event.kind, event.data
        if WORLD in (data.get("src"), data.get("dst")):
            return
        if event.node is None:
            self._put(event, _NETWORK, STEPS, ph="i", s="g", name=event.words())
            return
        pid = self._processes.setdefault(event.node, _NETWORK + 1 + len(self._processes))
        if kind in ("start", "deliver", "fire"):
            self._put(event, pid, STEPS, ph="X", dur=1, name=_what(event))
            if kind == "deliver" and event.cause is not None:
                self._flow(event, pid, "f", event.cause)
        elif kind in ("send", "duplicate"):
            self._flow(event, pid, "s", event.seq)
        elif kind == "state":
            self._begin(event, pid, ROLE, f"{data.get('role')} {data.get('epoch', '')}".strip())
        elif kind in ("note", "skew", "isolate", "drop"):
            self._put(event, pid, STEPS, ph="i", s="p", name=_what(event))
        elif kind in _BEGINS:
            self._finish(pid, ROLE, event.at_ms)
            self._begin(event, pid, HEALTH, _BEGINS[kind])
        elif kind in ("restart", "resume"):
            self._finish(pid, HEALTH, event.at_ms)
        elif kind == "invoke":
            self._begin(event, pid, OPERATIONS, repr(data["operation"]))
        elif kind == "return":
            told = {"outcome": data["outcome"], "value": repr(data.get("value"))}
            self._finish(pid, OPERATIONS, event.at_ms, **told)

    def end(self, at_ms: float) -> list[dict[str, Any]]:
        """What was still going on when the trace ended."""
        begun = len(self.events)
        for pid, row in list(self._open):
            self._finish(pid, row, at_ms)
        rest = self.events[begun:]
        del self.events[begun:]
        return rest

    def names(self) -> Iterator[dict[str, Any]]:
        """What processes and rows are called."""
        called = {_NETWORK: "the network", **{pid: n for n, pid in self._processes.items()}}
        for pid, name in called.items():
            yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}
        for pid, row in sorted(self._rows):
            args = {"name": _ROWS[row]}
            yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": row, "args": args}

    def _put(self, event: TraceEvent, pid: int, row: int, **more: Any) -> None:
        self._rows.add((pid, row))
        args = {"event": event.seq, "what": event.words()}
        self.events.append({"pid": pid, "tid": row, "ts": _us(event.at_ms), "args": args, **more})

    def _flow(self, event: TraceEvent, pid: int, phase: str, message: int) -> None:
        more = {"bp": "e"} if phase == "f" else {}
        name = type(event.data["msg"]).__name__
        self._put(event, pid, STEPS, ph=phase, cat="message", id=message, name=name, **more)

    def _begin(self, event: TraceEvent, pid: int, row: int, name: str) -> None:
        self._finish(pid, row, event.at_ms)
        self._open[pid, row] = (name, event.at_ms, {"event": event.seq})

    def _finish(self, pid: int, row: int, at_ms: float, **more: Any) -> None:
        begun = self._open.pop((pid, row), None)
        if begun is None:
            return
        name, since_ms, args = begun
        self._rows.add((pid, row))
        self.events.append(
            {
                "ph": "X",
                "pid": pid,
                "tid": row,
                "ts": _us(since_ms),
                "dur": _us(at_ms - since_ms),
                "name": name,
                "args": {**args, **more},
            }
        )


def _what(event: TraceEvent) -> str:
    data = event.data
    match event.kind:
        case "deliver":
            return f"{type(data['msg']).__name__} from {data['src']}"
        case "drop":
            return f"{type(data['msg']).__name__} from {data['src']}: {data['why']}"
        case "fire":
            return f"{data['timer']!r}"
        case "note":
            told = data.get("data")
            return str(data["name"]) if told is None else f"{data['name']} {told!r}"
    return event.words()


def _us(ms: float) -> float:
    return round(ms * 1000, 3)
