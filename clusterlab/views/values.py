"""What every node has in its fields at each moment of a run, as short texts for the browser.

The state panel asks for a window of the run and gets the values at its beginning and every change
within it. A log is told as cells with a number each. Which field is a log is seen from its shape:
a tuple of entries that begin with a number (an epoch, say), with None for holes, or a dict from
slots to such entries. What the number means, and how far a log has come, the protocol knows
(`Node.marks`).
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import islice
from operator import attrgetter
from reprlib import Repr
from typing import Any, NamedTuple, TypeAlias

from clusterlab.check.follow import Seen, Walk
from clusterlab.core.node import Node, NodeId
from clusterlab.core.trace import Trace

JSON: TypeAlias = Any

SHORT, WHOLE = 44, 600
"""So many characters of a value stand in the table, and so many beside it when it is pointed at."""
CELLS_MAX = 200
"""So many of the newest entries of a log are told where a window begins."""
WINDOW = 4_000
"""So many events are in the window that a panel gets."""
SAVED_MAX = 20_000
"""So many changes are saved in a page."""
HOLES_MAX = 4
"""A dict whose slots lie further apart than this is no log."""
CHUNK = 200
"""So many steps are followed between two looks at the clock."""
BUDGET_S = 0.4
"""A question is answered within about this time; a long run is followed in several."""

_whole = Repr()
_whole.maxtuple = _whole.maxlist = _whole.maxdict = _whole.maxset = 60
_whole.maxlevel, _whole.maxstring, _whole.maxother = 8, WHOLE, WHOLE


class Log(NamedTuple):
    """A log as cells; None is a slot that nothing stands in."""

    start: int
    """How many entries come before the first."""
    entries: tuple[Any, ...]


class Change(NamedTuple):
    """What an event changed in a node's fields, ready to be sent."""

    seq: int
    node: NodeId
    fields: Mapping[str, JSON]
    """Field -> text, [short, whole], or cells of a log; None: it is gone."""
    marks: Mapping[str, Mapping[str, int]] | None
    """Field -> word -> how many entries, if they have changed."""
    state: str
    """`up`, `dead`, or `disk` if only what is on disk is known."""


class Values:
    """The values of a run, found as far as somebody looks.

    Args:
        trace: of any engine; it may grow.
        nodes: as they were before the first event (default: as the trace has them).
    """

    def __init__(self, trace: Trace, nodes: Iterable[Node] = ()) -> None:
        self._trace = trace
        self._given = tuple(nodes)
        self._walk = Walk(trace, self._given)
        self._changes: list[Change] = []
        self._now: dict[NodeId, dict[str, Any]] = {}
        self._marks: dict[NodeId, Mapping[str, Mapping[str, int]]] = {}
        self._states: dict[NodeId, str] = {}
        self._lock = threading.Lock()

    def window(
        self, start: int, end: int, budget_s: float | None = BUDGET_S, *, base: bool = True
    ) -> dict[str, JSON]:
        """The values before the event `start`, and the changes from there to before `end`.

        `reached` says how far the run was followed; where that is less than was asked for, ask
        again. Without a budget it is followed at once. Who goes on from the window before needs no
        `base`.
        """
        with self._lock:
            self._follow(end, budget_s)
            reached = self._walk.count
            first = bisect_left(self._changes, start, key=attrgetter("seq"))
            last = bisect_left(self._changes, end, key=attrgetter("seq"))
            ready = reached >= start
            before = self._changes[:first] if ready and base else []
            values: dict[NodeId, Change] = {}
            for change in before:
                values[change.node] = _joined(values.get(change.node), change)
            return {
                "from": start,
                "until": min(end, reached),
                "reached": reached,
                "of": len(self._trace),
                "kinds": self._kinds(),
                "base": [_shortened(change) for change in values.values()],
                "changes": self._changes[first:last] if ready else [],
            }

    def saved(self, start: int) -> dict[str, JSON]:
        """What a page keeps of the run from the event `start` on: at most SAVED_MAX changes."""
        found = self.window(start, len(self._trace), None)
        kept = found["changes"][:SAVED_MAX]
        until = found["until"] if len(kept) == len(found["changes"]) else kept[-1].seq + 1
        return {**found, "changes": kept, "until": until}

    def _kinds(self) -> dict[str, str]:
        """Each field, in the order of the classes, and where it is kept: `disk` or `memory`."""
        kinds: dict[str, str] = {}
        for node in self._given or self._trace.nodes:
            kinds |= dict.fromkeys(node._durable, "disk")
            kinds |= dict.fromkeys(node._volatile, "memory")
        for fields in self._now.values():
            for name in fields:
                kinds.setdefault(name, "disk")  # of a node that is not at hand: it was saved
        return kinds

    def _follow(self, end: int, budget_s: float | None) -> None:
        begun = time.perf_counter()
        steps = self._walk.until(end)
        while some := list(islice(steps, CHUNK)):
            self._changes += [change for seen in some if (change := self._change(seen)) is not None]
            if budget_s is not None and time.perf_counter() - begun > budget_s:
                return

    def _change(self, seen: Seen) -> Change | None:
        """What is new about a node; None if nothing."""
        old = self._now.get(seen.node, {})
        new = dict(seen.fields)
        told: dict[str, JSON] = {}
        for name, value in new.items():
            before = old.get(name, _NOTHING)
            if before is _NOTHING or (before is not value and before != value):
                start = seen.marks.get(name, {}).get("start", 0)
                told[name] = _told(before, value, start)
        told |= {name: None for name in old if name not in new}
        marks = None if seen.marks == self._marks.get(seen.node, {}) else _plain(seen.marks)
        state = "dead" if seen.dead else "up" if seen.whole else "disk"
        same = not told and marks is None and state == self._states.get(seen.node)
        self._now[seen.node], self._marks[seen.node] = new, seen.marks
        self._states[seen.node] = state
        if same:
            return None
        return Change(seen.seq, seen.node, told, marks, state)


_NOTHING = object()


def shown(value: Any) -> JSON:
    """A value as a text, or as a short and a whole one."""
    text = _whole.repr(value)
    text = text if len(text) <= WHOLE else text[: WHOLE - 1] + "…"
    return text if len(text) <= SHORT else [text[: SHORT - 1] + "…", text]


def number_of(entry: Any) -> int | None:
    """The number that an entry of a log begins with; None if it has none."""
    if not isinstance(entry, tuple) or not entry:
        return None
    first = entry[0]
    return first if type(first) is int else number_of(first)


def as_log(value: Any, start: int = 0) -> Log | None:
    """The value as a log, if that is its shape.

    >>> as_log(((1, "x"), (2, "y")))
    Log(start=0, entries=((1, 'x'), (2, 'y')))
    >>> as_log({3: (1, "x"), 5: (2, "y")})
    Log(start=2, entries=((1, 'x'), None, (2, 'y')))
    >>> as_log((1, 2)) is None
    True
    """
    if type(value) is dict and value and all(type(key) is int for key in value):
        first, last = min(value), max(value)
        if last - first < HOLES_MAX * len(value) and None not in value.values():
            return as_log(tuple(value.get(slot) for slot in range(first, last + 1)), first - 1)
    elif (
        type(value) is tuple
        and any(entry is not None for entry in value)
        and all(entry is None or number_of(entry) is not None for entry in value)
    ):
        return Log(start, value)
    return None


def _told(old: Any, new: Any, start: int) -> JSON:
    """A new value, of a log only what it has beyond the old one."""
    log = as_log(new, start)
    if log is None:
        return shown(new)
    before = as_log(old, start)
    keep = 0
    if before is not None and before.start == log.start:
        pairs = zip(before.entries, log.entries, strict=False)
        shorter = min(len(before.entries), len(log.entries))
        keep = next((at for at, (a, b) in enumerate(pairs) if a is not b and a != b), shorter)
    return {"start": log.start, "keep": keep, "cells": [_cell(one) for one in log.entries[keep:]]}


def _cell(entry: Any) -> JSON:
    if entry is None:
        return None
    text = _whole.repr(entry)
    return [number_of(entry), text if len(text) <= WHOLE else text[: WHOLE - 1] + "…"]


def _plain(marks: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Marks without what is no mark."""
    return {
        field: {word: count for word, count in some.items() if word != "start"}
        for field, some in marks.items()
    }


def _joined(old: Change | None, new: Change) -> Change:
    """What two changes come to."""
    if old is None:
        return new
    fields = dict(old.fields)
    for name, value in new.fields.items():
        before = fields.get(name)
        if isinstance(value, dict) and isinstance(before, dict) and value["keep"]:
            cells = before["cells"][: value["keep"]] + value["cells"]
            fields[name] = {**value, "keep": 0, "cells": cells}
        else:
            fields[name] = value
    marks = old.marks if new.marks is None else new.marks
    return Change(new.seq, new.node, fields, marks, new.state)


def _shortened(change: Change) -> Change:
    """A beginning with the newest cells of its logs only."""
    fields = dict(change.fields)
    for name, value in fields.items():
        if isinstance(value, dict) and len(value["cells"]) > CELLS_MAX:
            hidden = len(value["cells"]) - CELLS_MAX
            fields[name] = {**value, "hidden": hidden, "cells": value["cells"][hidden:]}
    return change._replace(fields=fields)
