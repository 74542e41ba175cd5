"""What a cluster does by itself: the first steps of its nodes, one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from clusterlab.core.history import Invoke
from clusterlab.core.node import (
    WORLD,
    CancelTimer,
    Deliver,
    Effect,
    Event,
    Fire,
    Message,
    Node,
    NodeId,
    Send,
    SetTimer,
    Start,
    Timer,
)


class FirstSteps(Iterator[tuple[NodeId, Event]]):
    """What nodes do by themselves: all start, mail arrives in order, then each timer in turn."""

    def __init__(
        self, cluster: Mapping[NodeId, Node], operations: Iterable[tuple[NodeId, Message]]
    ) -> None:
        self._known = set(cluster)
        self._mail: deque[tuple[NodeId, Event]] = deque((name, Start()) for name in cluster)
        self._mail.extend((name, Deliver(WORLD, Invoke(call))) for name, call in operations)
        self._timers: dict[tuple[NodeId, Timer], None] = {}

    def __next__(self) -> tuple[NodeId, Event]:
        if self._mail:
            return self._mail.popleft()
        for name, timer in self._timers:
            del self._timers[name, timer]
            return name, Fire(timer)
        raise StopIteration

    def perform(self, name: NodeId, effects: Iterable[Effect]) -> None:
        """What comes of a step."""
        for effect in effects:
            match effect:
                case Send(dst=dst, msg=msg) if dst in self._known:
                    self._mail.append((dst, Deliver(name, msg)))
                case SetTimer(timer=timer):
                    self._timers.pop((name, timer), None)
                    self._timers[name, timer] = None
                case CancelTimer(timer=timer):
                    self._timers.pop((name, timer), None)
