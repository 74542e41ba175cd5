"""Trace events as the browser gets them: the same fields, and of `data` only what a picture shows.

Values become short texts here, so the browser needs to know no class and no protocol,
and a message with a thousand entries costs as little as an empty one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from reprlib import Repr
from typing import Any

from clusterlab.core.node import WORLD
from clusterlab.core.trace import TraceEvent
from clusterlab.core.values import Splice

TEXT_LIMIT = 160

_short = Repr()
_short.maxtuple = _short.maxlist = _short.maxdict = _short.maxset = 3
_short.maxlevel = 3
_short.maxstring = _short.maxother = 48


def brief(value: Any) -> str:
    """`Reply(serial=3, result=None)`: the repr of a value, cut to what fits a label."""
    if isinstance(value, str):
        return cut(value)
    if is_dataclass(value) and not isinstance(value, type):
        inside = ", ".join(f"{f.name}={_short.repr(getattr(value, f.name))}" for f in fields(value))
        return cut(f"{type(value).__name__}({inside})" if inside else type(value).__name__)
    return cut(_short.repr(value))


def call(operation: Any) -> str:
    """`Put('x', 1)`: an operation without the names of its fields."""
    if is_dataclass(operation) and not isinstance(operation, type):
        inside = ", ".join(_short.repr(getattr(operation, f.name)) for f in fields(operation))
        return cut(f"{type(operation).__name__}({inside})")
    return brief(operation)


def cut(text: str) -> str:
    """A text of at most TEXT_LIMIT characters."""
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def type_of(msg: Any) -> str:
    """What a message is called; a text (in a trace written by hand) is its own name."""
    return cut(msg)[:24] if isinstance(msg, str) else type(msg).__name__


def _sent(d: Mapping[str, Any]) -> dict[str, Any]:
    msg = d["msg"]
    delay_ms = d.get("delay_ms")
    slim = {
        "dst": d["dst"],
        "type": type_of(msg),
        "text": brief(msg),
        "delay_ms": None if delay_ms is None else round(delay_ms, 3),
    }
    return {**slim, "reordered": True} if d.get("reordered") else slim


def _shown(d: Mapping[str, Any]) -> dict[str, Any]:
    role, epoch, label = d.get("role"), d.get("epoch"), d.get("label")
    return {
        "role": None if role is None else cut(str(role)),
        "epoch": epoch if isinstance(epoch, int) else None if epoch is None else brief(epoch),
        "label": "" if label is None else cut(str(label)),
    }


def _timer(d: Mapping[str, Any]) -> dict[str, Any]:
    return {"timer": brief(d["timer"]), "after_ms": d.get("after_ms")}


def _saved(d: Mapping[str, Any]) -> dict[str, Any]:
    return {"values": {cut(str(name)): saved(value) for name, value in d["values"].items()}}


def saved(value: Any) -> Any:
    """A value on a disk: a text, and of a tuple the splice that leads to it, item by item."""
    if type(value) is tuple:
        value = Splice(0, value)
    if type(value) is Splice:
        return {"keep": value.keep, "items": [brief(item) for item in value.items]}
    return brief(value)


def _plain(d: Mapping[str, Any]) -> dict[str, Any]:
    return dict(d)


_DATA: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "send": _sent,
    "duplicate": _sent,
    "deliver": lambda d: {"src": d["src"]},
    "drop": lambda d: {"src": d["src"], "why": d["why"]},
    "state": _shown,
    "save": _saved,
    "set_timer": _timer,
    "cancel_timer": _timer,
    "fire": _timer,
    "note": lambda d: {
        "name": cut(str(d["name"])),
        "text": "" if d.get("data") is None else brief(d["data"]),
    },
    "invoke": lambda d: {"text": call(d["operation"])},
    "return": lambda d: {"outcome": d["outcome"], "text": brief(d.get("value"))},
    "error": lambda d: {"error": cut(str(d["error"]))},
    "restart": _plain,
    "partition": _plain,
    "link": _plain,
    "skew": _plain,
    "hold_message": _plain,
    "release_message": _plain,
    "drop_message": _plain,
    "duplicate_message": _plain,
}


def record(event: TraceEvent) -> dict[str, Any] | None:
    """The event for a picture; None if no picture shows it (what is said to the world)."""
    kind, data = event.kind, event.data
    if data.get("dst") == WORLD or data.get("src") == WORLD:
        return None
    slim = _DATA.get(kind)
    return {
        "seq": event.seq,
        "at_ms": round(event.at_ms, 3),
        "node": event.node,
        "kind": kind,
        "data": slim(data) if slim else {},
        "cause": event.cause,
    }


def records_json(events: Iterable[TraceEvent]) -> str:
    """The records of these events, as one JSON array."""
    slim = [r for r in map(record, events) if r is not None]
    return json.dumps(slim, ensure_ascii=False, separators=(",", ":"))
