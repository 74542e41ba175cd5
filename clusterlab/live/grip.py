"""Takes hold of single messages that have reached a process and wait there for their time.

The receiver's process is where a live network's delay passes, so that is where a message on its
way can be held, released, lost or doubled. What is held dies with the process.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from clusterlab.core.faults import (
    DropMessage,
    DuplicateMessage,
    HoldMessage,
    MessageFault,
    ReleaseMessage,
)
from clusterlab.live import records as r
from clusterlab.live.outbox import Outbox

Entry = tuple[Any, ...]
"""Of the host's heap: (due_ms, number, kind, receiver, src, msg, name)."""


class Grip:
    """The messages that are held, and what can be done to them and to those that are not."""

    def __init__(self, heap: list[Entry], push: Callable[..., int], outbox: Outbox) -> None:
        self._heap = heap
        self._push = push
        self._outbox = outbox
        self._held: dict[r.MessageName, Entry] = {}

    def handle(self, fault: MessageFault, name: r.MessageName, now_ms: float) -> bool:
        """Carry out the fault, if the message is still on its way; returns whether it is."""
        held = name in self._held
        entry = self._held.get(name) or next((e for e in self._heap if e[6] == name), None)
        if entry is None or isinstance(fault, HoldMessage if held else ReleaseMessage):
            return False
        records = self._outbox.records
        records.append((r.FAULT, now_ms, None, fault.kind, fault.data()))
        if not held and not isinstance(fault, DuplicateMessage):
            self._heap.remove(entry)
            heapq.heapify(self._heap)
        match fault:
            case HoldMessage():
                self._held[name] = entry
            case ReleaseMessage():
                self._release(name, now_ms)
            case DropMessage():
                self._held.pop(name, None)
                records.append((r.DROPPED, now_ms, entry[3], name, "lost"))
            case DuplicateMessage():
                due_ms, copy = max(entry[0], now_ms), self._outbox.new_name()
                records.append((r.COPIED, now_ms, entry[3], name, copy, due_ms - now_ms))
                self._push(due_ms, *entry[2:6], copy)
        return True

    def release_all(self, now_ms: float) -> None:
        """The network is whole again."""
        for name in list(self._held):
            self._release(name, now_ms)

    def _release(self, name: r.MessageName, now_ms: float) -> None:
        due_ms, _, *entry = self._held.pop(name)
        self._push(max(due_ms, now_ms), *entry)
