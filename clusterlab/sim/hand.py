"""The cluster taken by hand: look at what is to come, and let one chosen thing happen now."""

from __future__ import annotations

from typing import NamedTuple, cast

from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import (
    DropMessage,
    DuplicateMessage,
    HoldMessage,
    MessageFault,
    ReleaseMessage,
)
from clusterlab.core.node import WORLD, Deliver, Message, NodeId, Timer
from clusterlab.core.trace import TraceEvent
from clusterlab.sim.engine import MESSAGE, TIMER, Engine, Entry
from clusterlab.sim.host import Host


class InFlight(NamedTuple):
    """A message on its way; `src` is WORLD for an operation that was just handed to a client."""

    src: NodeId
    dst: NodeId
    msg: Message
    due_ms: float


class PendingTimer(NamedTuple):
    """A timer that will fire."""

    node: NodeId
    timer: Timer
    due_ms: float


class Hand(Engine):
    """The controls of a hand.

    A hand may do what no network would: deliver out of order, and before or after the due time.
    Virtual time stands still meanwhile. What the network has cut stays cut.
    """

    def step(self) -> TraceEvent | None:
        """Let the next thing happen; the newest event of the trace, None if nothing is left."""
        with self._lock:
            self._check_running()
            before = len(self.trace.events)
            while self._heap:
                self._next()
                if len(self.trace.events) > before or not self._record:
                    return self.trace.events[-1]
            return None

    def pending(self) -> tuple[list[InFlight], list[PendingTimer]]:
        """The messages in flight and the timers that will fire, each in the order of their time.

        What has reached a paused node is in neither list: it waits there until the node resumes.
        Nor is a message that is held: it waits until it is released.
        """
        messages, timers = [], []
        with self._lock:
            for entry in self._to_come():
                _, _, kind, host, a, b, _ = entry
                due_ms = max(entry[0], self._now)
                if kind == MESSAGE:
                    messages.append(InFlight(a, host.id, b, due_ms))
                else:
                    timers.append(PendingTimer(host.id, a, due_ms))
        return messages, timers

    def deliver(self, src: NodeId, dst: NodeId, message: str | None = None) -> TraceEvent:
        """Let the oldest message from `src` to `dst` (of that class, if named) arrive now.

        Returns the newest event of the trace. An operation that was submitted comes from "world".
        Raises ScenarioError if no such message is on its way, or if `dst` is paused.
        """
        with self._lock:
            host = self._awake(dst)
            *_, msg, cause = self._take(src, dst, message)
            self._arrive(host, src, msg, cause)
            return self.trace.events[-1]

    def drop(self, src: NodeId, dst: NodeId, message: str | None = None) -> None:
        """Lose the oldest message from `src` to `dst` (of that class, if named).

        Raises ScenarioError if no such message is on its way.
        """
        with self._lock:
            self._host(src)
            *_, msg, cause = self._take(src, dst, message)
            self._dropped(dst, src, msg, "lost", cause)

    def lose(self, src: NodeId, dst: NodeId, msg: Message) -> None:
        """Lose this very message, the oldest that is equal to it.

        Raises ScenarioError if it is not on its way.
        """
        with self._lock:
            entry = self._find(src, dst, msg)
            if entry is None:
                raise ScenarioError(f"{msg!r} is not on its way from {src} to {dst}.")
            self._dropped(dst, src, msg, "lost", entry[-1])

    def hand_over(self, src: NodeId, dst: NodeId, msg: Message, cause: int | None) -> None:
        """Let a message arrive now, whatever the network thinks of it.

        If it is on its way, it has arrived with that; `cause` is the event that sent it.
        """
        with self._lock:
            host = self._awake(dst)
            self._find(src, dst, msg)
            seq = self._log(dst, "deliver", {"src": src, "msg": msg}, cause)
            self._run(host, Deliver(src, msg), seq)

    def _find(self, src: NodeId, dst: NodeId, msg: Message) -> Entry | None:
        """Take the oldest message that is equal off the heap."""
        found = [e for e in self._to_come(MESSAGE) if (e[4], e[3].id, e[5]) == (src, dst, msg)]
        if not found:
            return None
        self._taken.add(found[0][1])
        return found[0]

    def _handle(self, fault: MessageFault) -> bool:
        """Carry out a fault of one message, if that is still on its way."""
        seq = fault.message
        held = seq in self._parked
        entry = self._parked.get(seq) or self._flying(seq)
        if entry is None or isinstance(fault, ReleaseMessage if not held else HoldMessage):
            return False
        self.trace.append(self._now, None, fault.kind, fault.data())
        due, number, _, host, src, msg, _ = entry
        if not held and not isinstance(fault, DuplicateMessage):
            self._taken.add(number)
        match fault:
            case HoldMessage():
                self._parked[seq] = entry
            case ReleaseMessage():
                self._release(seq)
            case DropMessage():
                self._parked.pop(seq, None)
                self._dropped(host.id, src, msg, "lost", seq)
            case DuplicateMessage():
                due = max(due, self._now)
                data = {"dst": host.id, "msg": msg, "delay_ms": due - self._now}
                copy = self._log(src, "duplicate", data, seq)
                self._push(due, MESSAGE, host, src, msg, copy)
        return True

    def _flying(self, seq: int) -> Entry | None:
        """The message that this event sent, if it is on its way."""
        for entry in self._heap:
            if entry[2] == MESSAGE and entry[6] == seq and entry[1] not in self._taken:
                return entry
        return None

    def _release(self, seq: int) -> None:
        due, _, _, host, src, msg, _ = self._parked.pop(seq)
        self._push(max(due, self._now), MESSAGE, host, src, msg, seq)

    def fire(self, node: NodeId, timer: str | None = None) -> None:
        """Let the next timer of `node` (of that class, if named) fire now.

        Raises ScenarioError if none is pending, or if `node` is paused.
        """
        with self._lock:
            host = self._awake(node)
            pending = [entry for entry in self._to_come(TIMER) if entry[3] is host]
            for _, _, _, _, candidate, cause, _ in pending:
                if timer in (None, type(candidate).__name__):
                    self._fire(host, candidate, cause)
                    return
            names = ", ".join(type(entry[4]).__name__ for entry in pending) or "none"
            raise ScenarioError(
                f"{node} has no {timer or 'timer'} pending: fire one that it has ({names})."
            )

    def _to_come(self, kind: int | None = None) -> list[Entry]:
        """The entries of the heap (of one kind) that are still true, in the order of their time."""
        return [
            entry
            for entry in sorted(self._heap, key=lambda entry: entry[:2])
            if kind in (None, entry[2])
            and entry[1] not in self._taken
            and (entry[2] == MESSAGE or entry[3].timers.get(entry[4], (None,))[0] == entry[1])
        ]

    def _awake(self, node: NodeId) -> Host:
        self._check_running()
        host = self._host(node)
        if host.paused:
            raise ScenarioError(f"{node} is paused, so nothing can happen there: resume it first.")
        return host

    def _take(self, src: NodeId, dst: NodeId, message: str | None) -> Entry:
        self._check_running()
        self._host(dst)
        if src != WORLD:
            self._host(src)
        flying = self._to_come(MESSAGE)
        found = [
            entry
            for entry in flying
            if entry[3].id == dst and entry[4] == src and message in (None, type(entry[5]).__name__)
        ]
        if not found:
            names = ", ".join(f"{e[4]}->{e[3].id} {type(e[5]).__name__}" for e in flying)
            raise ScenarioError(
                f"no {message or 'message'} is on its way from {src} to {dst}: "
                f"choose one that is ({names or 'there is none'})."
            )
        entry = min(found, key=lambda entry: cast(int, entry[1]))
        self._taken.add(entry[1])
        return entry
