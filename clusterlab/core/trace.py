"""The one record of a run, whatever engine ran it.

A trace is a list of events; every picture, checker and export reads it and nothing else.
As a file it is JSON lines: a header, then one event a line.

| kind | node | data |
|---|---|---|
| start | the node that came up | - |
| deliver | receiver | src, msg; cause: the send or duplicate, none if src is WORLD |
| fire | owner | timer; cause: the set_timer |
| save | owner | values: field -> value or Splice |
| send | sender | dst, msg, delay_ms (its time of flight, if it arrives), reordered (if it is) |
| duplicate | sender | dst, msg, delay_ms: the network made a second copy; cause: the send |
| drop | receiver | src, msg, why (lost, partition, isolated, blocked, dead); cause: as of deliver |
| set_timer | owner | timer, after_ms as drawn, in ms of the owner's clock |
| cancel_timer | owner | timer |
| note | owner | name, data |
| state | owner | the node's status(), when it changed |
| kill, restart, pause, resume, skew, isolate, disk_lies | the node | the fault's fields |
| partition, heal, link | None | the fault's fields |
| hold_message, release_message, drop_message, duplicate_message | None | message: its send's seq |
| invoke | client | operation |
| return | client | outcome (ok, fail, info), value |
| error | the node | error: the sentence; the node is dead |

`at_ms` is cluster time: virtual in the simulator, real time times `speed` in a live cluster.
Where a run was taken by hand (`meta["by_hand"]`), it is room for a picture: a timer may fire before
it is due, and start, deliver and fire have `now_ms` if the clocks of nodes show another time.
`cause` is the seq of the event that made this one happen, so happens-before is in the record
(Lamport 1978): an event is after its cause and after the earlier events of its node.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clusterlab.core.errors import TraceError
from clusterlab.core.node import Node, NodeId, message_classes
from clusterlab.core.packing import Packed
from clusterlab.core.values import Splice, Vocabulary, decode, encode

FAULT_KINDS = frozenset(
    (
        *("kill", "restart", "pause", "resume", "skew", "isolate", "partition", "heal", "link"),
        "disk_lies",
        *("hold_message", "release_message", "drop_message", "duplicate_message"),
    )
)

KINDS = (
    *("start", "deliver", "fire", "save", "send", "duplicate", "drop", "set_timer"),
    *("cancel_timer", "note", "state", *sorted(FAULT_KINDS), "invoke", "return", "error"),
)

FORMAT = 1


class TraceEvent(NamedTuple):
    """One thing that happened; see the table above for `data`."""

    seq: int
    at_ms: float
    node: NodeId | None
    kind: str
    data: Mapping[str, Any]
    cause: int | None

    def __str__(self) -> str:
        """One line: seq, time, node, what."""
        return f"{self.seq:>5} {self.at_ms:>9.1f} ms  {self.node or '-':<4} {self.words()}"

    def words(self) -> str:
        """The event in words: `deliver n1 -> n2 RequestVote(term=1)`."""
        d = self.data
        if self.kind in ("send", "duplicate"):
            return f"{self.kind} {self.node} -> {d['dst']} {d['msg']!r}"
        if self.kind in ("deliver", "drop"):
            why = f" ({d['why']})" if self.kind == "drop" else ""
            return f"{self.kind} {d['src']} -> {self.node} {d['msg']!r}{why}"
        inside = ", ".join(f"{k}={v!r}" for k, v in d.items() if v is not None)
        return f"{self.kind} {inside}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """The event as JSON; `data` is encoded value by value (see `values.encode`)."""
        data = {k: encode(v) for k, v in self.data.items()}
        return {**self._asdict(), "data": data}


class Trace:
    """A run as a list of events, in an order that respects causes.

    >>> trace = Trace(engine="sim")
    >>> first = trace.append(0, "n1", "send", {"dst": "n2", "msg": "hello"})
    >>> second = trace.append(7, "n2", "deliver", {"src": "n1", "msg": "hello"}, cause=first)
    >>> [event.kind for event in trace.causes(second)]
    ['send']
    """

    def __init__(self, **meta: Any) -> None:
        self.meta: dict[str, Any] = meta
        self.events: list[TraceEvent] = []
        self.nodes: tuple[Node, ...] = ()
        """The nodes as they were before the first event, where the run was made here: with them
        its fields can be told. A file does not hold them."""

    def append(
        self,
        at_ms: float,
        node: NodeId | None,
        kind: str,
        data: Mapping[str, Any],
        cause: int | None = None,
    ) -> int:
        """Add an event; returns its seq."""
        seq = len(self.events)
        self.events.append(TraceEvent(seq, at_ms, node, kind, data, cause))
        return seq

    def __iter__(self) -> Iterator[TraceEvent]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, seq: int) -> TraceEvent:
        return self.events[seq]

    def __repr__(self) -> str:
        end = f", {self.events[-1].at_ms:.0f} ms" if self.events else ""
        return f"<Trace: {len(self.events)} events{end}>"

    def of(self, *kinds: str, node: NodeId | None = None) -> list[TraceEvent]:
        """The events of these kinds (all, if none is given), of `node` if one is given."""
        for kind in kinds:
            if kind not in KINDS:
                raise TraceError(
                    f"there is no kind of event {kind!r}; there are {', '.join(KINDS)}."
                )
        return [
            e
            for e in self.events
            if (not kinds or e.kind in kinds) and (node is None or e.node == node)
        ]

    def notes(self, name: str) -> list[TraceEvent]:
        """The notes with this name."""
        return [e for e in self.events if e.kind == "note" and e.data["name"] == name]

    def fired(self) -> dict[str, int]:
        """How often each fault really struck: of nodes and links, and messages by their fate.

        A fault that never bit makes a test green for nothing; so a message counts as reordered
        only when a later one of the same link arrived before it.
        """
        counts: Counter[str] = Counter()
        newest: dict[tuple[NodeId, NodeId | None], int] = {}  # the latest send that has arrived
        for event in self.events:
            if event.kind in FAULT_KINDS:
                counts[event.kind] += 1
            elif event.kind == "drop":
                counts[f"message {event.data['why']}"] += 1
            elif event.kind == "duplicate":
                counts["message duplicated"] += 1
            elif event.kind == "deliver" and event.cause is not None:
                link = (event.data["src"], event.node)
                if event.cause < newest.get(link, event.cause):
                    counts["message reordered"] += 1
                newest[link] = max(event.cause, newest.get(link, event.cause))
        return dict(counts)

    def causes(self, seq: int) -> list[TraceEvent]:
        """The causal past of an event: all that happened before it (Lamport 1978), in order."""
        # One pass backwards: an event is in the past if something in the past needs it,
        # and the earlier events of a node are in the past of its later ones.
        wanted, nodes = {seq}, set[NodeId]()
        past = []
        for event in reversed(self.events[: seq + 1]):
            own = event.node is not None and not _from_network(event)
            if event.seq in wanted or (own and event.node in nodes):
                past.append(event)
                if own:
                    nodes.add(event.node)
                if event.cause is not None:
                    wanted.add(event.cause)
        return past[:0:-1]

    def consequences(self, seq: int) -> list[TraceEvent]:
        """The causal future of an event: all that it happened before, in order."""
        first = self.events[seq]
        reached = {seq}
        nodes = set() if first.node is None or _from_network(first) else {first.node}
        future = []
        for event in self.events[seq + 1 :]:
            if event.cause in reached or (event.node in nodes and not _from_network(event)):
                future.append(event)
                reached.add(event.seq)
                if event.node is not None and not _from_network(event):
                    nodes.add(event.node)
        return future

    def lines(self) -> Iterator[str]:
        """The trace as JSON lines: a header, then one event a line."""
        yield json.dumps({"clusterlab_trace": FORMAT, "meta": self.meta}, sort_keys=True)
        for event in self.events:
            yield json.dumps(event.to_json(), ensure_ascii=False)

    def digest(self) -> str:
        """A hash of every event: two runs with one digest are the same run."""
        sha = hashlib.sha256()
        for event in self.events:
            sha.update(json.dumps(event.to_json(), sort_keys=True).encode())
        return sha.hexdigest()[:16]

    def save(self, path: str | Path) -> Path:
        """Write the trace as JSON lines; a file that was there stays whole until the new one is."""
        target = Path(path)
        part = target.with_name(target.name + ".part")
        try:
            with part.open("w", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in self.lines())
            part.replace(target)
        except OSError as error:
            raise TraceError(
                f"cannot write the trace to {target}: {error.strerror}; "
                "name a file in a folder that you can write to."
            ) from error
        return target

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Read a trace that `save` wrote."""
        try:
            # Not splitlines(): it also splits at U+2028 and others, which JSON leaves as they are.
            lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise TraceError(
                f"cannot read {path}: {error}; name a trace that was saved here."
            ) from error
        return cls.parse(lines if lines != [""] else [], name=str(path))

    @classmethod
    def parse(
        cls,
        lines: Iterable[str],
        *,
        name: str = "the trace",
        vocabulary: Vocabulary | None = None,
    ) -> Trace:
        """The trace that these JSON lines hold.

        Classes are found by name in `vocabulary` (default: all messages that are imported, and the
        NamedTuples beside them); one that is not there becomes a stand-in with the same fields.
        """
        known = {
            "Splice": Splice,
            "Packed": Packed,
            **(_vocabulary() if vocabulary is None else vocabulary),
        }
        trace = cls()
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                if number == 1:
                    if record["clusterlab_trace"] != FORMAT:
                        raise TraceError(
                            f"{name} was written in format {record['clusterlab_trace']}, "
                            f"this version reads {FORMAT}: record it again."
                        )
                    trace.meta = record["meta"]
                    continue
                trace.events.append(_event(record, len(trace.events), known))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise TraceError(
                    f"line {number} of {name} is not a trace record ({error}): "
                    "the file is cut off or is something else; record it again."
                ) from error
        if not trace.meta and not trace.events:
            raise TraceError(f"{name} is empty: record it again.")
        return trace


def _vocabulary() -> Vocabulary:
    """Every message class, and the NamedTuples that stand beside one in its module.

    The newest class of a name comes first: a notebook cell may have defined it anew.
    """
    found: dict[str, list[type]] = {}
    modules = []
    for cls in reversed(message_classes()):
        found.setdefault(cls.__name__, []).append(cls)
        if cls.__module__ not in modules:
            modules.append(cls.__module__)
    for name in modules:
        for value in list(vars(sys.modules.get(name, object)).values()):
            if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
                found.setdefault(value.__name__, []).append(value)
    return found


def _event(record: dict[str, Any], seq: int, known: Vocabulary) -> TraceEvent:
    """The event that a line holds; ValueError if another should stand there."""
    if record["seq"] != seq:
        raise ValueError(f"event {seq} should stand there, not {record['seq']}")
    data = {k: decode(v, known) for k, v in record["data"].items()}
    return TraceEvent(**{**record, "data": data})


def _from_network(event: TraceEvent) -> bool:
    """Loss and duplication are told at a node but are no events of its program."""
    return event.kind in ("drop", "duplicate")
