"""Whether what a node does is what a trace says that it did, effect by effect."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from clusterlab.core.history import Invoked, Returned
from clusterlab.core.node import (
    WORLD,
    CancelTimer,
    Effect,
    NodeId,
    Note,
    Save,
    Send,
    SetTimer,
    Timer,
)
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.core.values import encode

STEPS = frozenset(("start", "deliver", "fire"))
OUTPUTS = frozenset(
    ("save", "send", "set_timer", "cancel_timer", "note", "state", "invoke", "return", "error")
)
ROUNDED_MS = 0.001
"""Traces round drawn times."""


class Record:
    """A trace, sorted: the events of each node, and the outputs of each step."""

    def __init__(self, trace: Trace, until: int | None) -> None:
        self.trace = trace
        self.timed = not trace.meta.get("by_hand")
        self.of: dict[NodeId, list[TraceEvent]] = defaultdict(list)
        self.outputs: dict[int, list[TraceEvent]] = defaultdict(list)
        end = len(trace) if until is None else until
        for event in trace.events:
            if event.node is None:
                if event.kind == "note" and event.data["name"] == "trace is full":
                    break  # what comes after it has gaps
                continue
            if event.seq < end:
                self.of[event.node].append(event)
            # A step that began before `until` is run whole.
            if event.cause is not None and (event.kind in OUTPUTS or _dies_within(event)):
                self.outputs[event.cause].append(event)

    def sent(self, event: TraceEvent) -> bool:
        """Whether what was delivered is what its cause sent."""
        msg, src = event.data["msg"], event.data["src"]
        if event.cause is None:
            return bool(src == WORLD)
        cause = self.trace[event.cause]
        return (
            cause.kind in ("send", "duplicate")
            and (cause.node, cause.data["dst"]) == (src, event.node)
            and same(cause.data["msg"], msg)
        )


def _dies_within(event: TraceEvent) -> bool:
    return event.kind == "kill" and event.data.get("effects") is not None


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same as a trace writes them.

    A class that a notebook cell has defined anew, and a stand-in for one that is not at hand,
    count as the class of that name.
    """
    if a is b or a == b:
        return True
    return bool(_plain(encode(a)) == _plain(encode(b)))


def _plain(data: Any) -> Any:
    """Encoded data in which the items of dicts have an order."""
    if isinstance(data, list):
        return [_plain(item) for item in data]
    if isinstance(data, dict):
        plain = {key: _plain(value) for key, value in data.items()}
        if plain.get("$") == "dict":
            plain["items"] = sorted(
                plain["items"], key=lambda item: json.dumps(item, sort_keys=True)
            )
        return plain
    return data


def tells(effect: Effect, pending: set[Timer]) -> bool:
    """Whether an engine records the effect, which it does but for vain cancelling."""
    if isinstance(effect, SetTimer):
        pending.add(effect.timer)
    elif isinstance(effect, CancelTimer):
        if effect.timer not in pending:
            return False
        pending.discard(effect.timer)
    return True


def agrees(effect: Effect, event: TraceEvent, *, timed: bool = True) -> bool:
    """Whether the event records this effect; the length of a timer counts if it is `timed`."""
    kind, data = event.kind, event.data
    match effect:
        case Send(dst=dst, msg=Invoked(operation=operation)) if dst == WORLD:
            return kind == "invoke" and same(operation, data["operation"])
        case Send(dst=dst, msg=Returned(outcome=outcome, value=value)) if dst == WORLD:
            told = kind == "return" and data["outcome"] == outcome
            return told and same(value, data["value"])
        case Send(dst=dst, msg=msg):
            return kind == "send" and dst == data["dst"] and same(msg, data["msg"])
        case Save(values=values):
            return kind == "save" and same(dict(values), dict(data["values"]))
        case SetTimer(timer=timer, after_ms=after_ms):
            low, high = after_ms if isinstance(after_ms, tuple) else (after_ms, after_ms)
            return (
                kind == "set_timer"
                and same(timer, data["timer"])
                and (not timed or low - ROUNDED_MS <= data["after_ms"] <= high + ROUNDED_MS)
            )
        case CancelTimer(timer=timer):
            return kind == "cancel_timer" and same(timer, data["timer"])
        case Note(name=name, data=noted):
            return kind == "note" and name == data["name"] and same(noted, data["data"])
    return False


def words(effect: Effect) -> str:
    """An effect as `TraceEvent.words` would tell it."""
    match effect:
        case Send(dst=dst, msg=msg):
            return f"send to {dst} {msg!r}"
        case Save(values=values):
            return f"save {dict(values)!r}"
        case SetTimer(timer=timer, after_ms=after_ms):
            return f"set_timer timer={timer!r}, after_ms={after_ms!r}"
        case CancelTimer(timer=timer):
            return f"cancel_timer timer={timer!r}"
        case Note(name=name, data=data):
            return f"note name={name!r}, data={data!r}"
    return repr(effect)


def name(event: TraceEvent) -> str:
    """The event as a sentence calls it."""
    return f"event {event.seq} ({event.words()})"
