"""What a picture asks for, as faults; and how to take back what was done last by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clusterlab.core.cluster import Cluster
from clusterlab.core.faults import (
    DropMessage,
    DuplicateMessage,
    Fault,
    Heal,
    HoldMessage,
    Isolate,
    Kill,
    Link,
    Partition,
    Pause,
    ReleaseMessage,
    Restart,
    Resume,
    Skew,
)
from clusterlab.core.node import NodeId
from clusterlab.core.trace import TraceEvent

Command = Mapping[str, Any]


def _links(command: Command) -> tuple[Fault, ...]:
    """The link one way, or both ways."""
    names = ("loss", "duplicate", "reorder")
    delay_ms = command.get("delay_ms")
    given: dict[str, Any] = {
        "block": bool(command.get("block")),
        "delay_ms": None if delay_ms is None else (delay_ms[0], delay_ms[1]),
        **{name: command.get(name) for name in names},
    }
    src, dst = command["src"], command["dst"]
    pairs = [(src, dst), (dst, src)] if command.get("both") else [(src, dst)]
    return tuple(Link(a, b, **given) for a, b in pairs)


COMMANDS: dict[str, Callable[[Command], tuple[Fault, ...]]] = {
    "kill": lambda c: (Kill(c["node"]),),
    "restart": lambda c: (Restart(c["node"], c.get("disk", "keep")),),
    "pause": lambda c: (Pause(c["node"]),),
    "resume": lambda c: (Resume(c["node"]),),
    "isolate": lambda c: (Isolate(c["node"]),),
    "skew": lambda c: (Skew(c["node"], c.get("offset_ms", 0), c.get("rate", 1.0)),),
    "partition": lambda c: (Partition(tuple(tuple(group) for group in c["groups"])),),
    "link": _links,
    "heal": lambda _: (Heal(),),
    "hold": lambda c: (HoldMessage(c["message"]),),
    "release": lambda c: (ReleaseMessage(c["message"]),),
    "drop": lambda c: (DropMessage(c["message"]),),
    "duplicate": lambda c: (DuplicateMessage(c["message"]),),
}


class Deeds:
    """Carries out faults on a cluster, and remembers how each is taken back."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._done: list[tuple[Fault, tuple[Fault, ...]]] = []
        self._seen = 0
        self._partition: Partition | None = None
        self._isolated: dict[NodeId, Fault] = {}
        self._links: dict[tuple[NodeId, NodeId], Fault] = {}
        self._skewed: dict[NodeId, Fault] = {}

    def do(self, faults: tuple[Fault, ...]) -> bool:
        """Make these faults happen; returns whether they changed anything."""
        self._look()
        back: tuple[Fault, ...] = ()
        changed: list[Fault] = []
        for fault in faults:
            undone = self._inverse(fault)
            if self._cluster.apply(fault):
                changed.append(fault)
                back = (*undone, *back)
        if back:
            self._done.append((changed[0], back))
        return bool(changed)

    def undo(self) -> str:
        """Take back what was done last; in words, what that was."""
        if not self._done:
            return "there is nothing to undo"
        fault, back = self._done.pop()
        changed = [self._cluster.apply(one) for one in back]
        what = " ".join(filter(None, (fault.kind.replace("_", " "), fault.about)))
        return f"{what} is undone" if any(changed) else f"{what} was undone already"

    def _inverse(self, fault: Fault) -> tuple[Fault, ...]:
        """The faults that take this one back; a message that was lost or doubled stays so."""
        match fault:
            case Kill(node=node):
                return (Restart(node),)
            case Restart(node=node):
                return (Kill(node),)
            case Pause(node=node):
                return (Resume(node),)
            case Resume(node=node):
                return (Pause(node),)
            case Skew(node=node):
                return (self._skewed.get(node, Skew(node)),)
            case Link(src=src, dst=dst):
                return (self._links.get((src, dst), Link(src, dst)),)
            case Partition():  # all in one group is no partition
                return (self._partition or Partition((self._cluster.servers,)),)
            case Isolate():  # only healing plugs a cable in again
                return (Heal(), *self._network())
            case Heal():
                return self._network()
            case HoldMessage(message=seq):
                return (ReleaseMessage(seq),)
            case ReleaseMessage(message=seq):
                return (HoldMessage(seq),)
        return ()

    def _network(self) -> tuple[Fault, ...]:
        """The faults that make the network what it is."""
        cut = () if self._partition is None else (self._partition,)
        return (*cut, *self._isolated.values(), *self._links.values())

    def _look(self) -> None:
        """Take in what happened to the network and the clocks since the last time."""
        events = self._cluster.trace.events
        for event in events[self._seen :]:
            if event.kind in ("partition", "isolate", "link", "heal", "skew"):
                self._take(event)
        self._seen = len(events)

    def _take(self, event: TraceEvent) -> None:
        data, node = event.data, event.node or ""
        match event.kind:
            case "partition":
                self._partition = Partition(data["groups"])
            case "isolate":
                self._isolated[node] = Isolate(node)
            case "link":
                self._links[data["src"], data["dst"]] = Link(**data)
            case "skew":
                self._skewed[node] = Skew(node, **data)
            case "heal":
                self._partition = None
                self._isolated.clear()
                self._links.clear()
