"""A path of moves, lived through again: the trace that an engine would have written of it.

Nothing here looks into the tables of a search. The moves are carried out with `step` on fresh
nodes, so a trace is also a proof that the run exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clusterlab.check.locals import CheckerEnv, Clock
from clusterlab.check.moves import Move
from clusterlab.check.world import Envelope
from clusterlab.core.errors import NodeError
from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import (
    WORLD,
    CancelTimer,
    Deliver,
    Effect,
    Event,
    Fire,
    Node,
    NodeId,
    Note,
    Save,
    Send,
    SetTimer,
    Start,
    Timer,
    restart,
    run_in_place,
    write,
)
from clusterlab.core.trace import Trace
from clusterlab.core.values import copy_value

MOVE_MS = 20.0
"""The time between two moves of the story: no claim about real time, only room for a picture."""


class Teller:
    """Carries out moves and writes them down."""

    def __init__(self, nodes: Iterable[Node], clock: Clock, **meta: Any) -> None:
        self.nodes = {node.id: node.copy() for node in nodes}
        clients = [n.id for n in self.nodes.values() if n.status().get("role") == "client"]
        self.trace = Trace(
            engine="explore",
            by_hand=True,  # times are room for a picture, not claims
            servers=[name for name in self.nodes if name not in clients],
            clients=clients,
            classes={n.id: type(n).__name__ for n in self.nodes.values()},
            **meta,
        )
        self.trace.nodes = tuple(node.copy() for node in self.nodes.values())
        self.up: dict[NodeId, bool] = dict.fromkeys(self.nodes, True)
        self._clock = clock
        self._ticks = 0
        self._groups: tuple[tuple[NodeId, ...], ...] = ()
        self._now = 0.0
        self._disks = {name: node.saved() for name, node in self.nodes.items()}
        self._sent: dict[Envelope, list[int]] = {}  # the sends that have not arrived
        self._last_sent: dict[Envelope, int] = {}
        self._timers: dict[NodeId, dict[Timer, int]] = {name: {} for name in self.nodes}
        self._shown: dict[NodeId, Mapping[str, Any] | None] = dict.fromkeys(self.nodes)

    def tell(self, begin: Sequence[Move], moves: Sequence[Move]) -> Trace:
        """The trace of a run: the starts, all at time 0, and then one move after another."""
        for move in begin:
            self.do(move)
        for move in moves:
            self._now += MOVE_MS
            self.do(move)
        self._time_flights_and_timers()
        return self.trace

    def do(self, move: Move) -> None:
        """Let one thing happen."""
        name = move.node
        if move.kind == "tick":
            self._ticks += 1
        elif move.kind in ("partition", "heal"):
            self._groups = move.groups
            how = {"groups": move.groups} if move.groups else {}
            self.trace.append(self._now, None, move.kind, how)
        elif move.kind == "kill":
            self._kill(name, None, None)
        elif move.kind == "drop":
            self._drop(move)
        elif move.kind == "restart":
            saved = self._disks[name] if move.disk == "keep" else {}
            self.nodes[name] = node = restart(self.nodes[name], saved)
            self._disks[name] = node.saved()
            self.up[name], self._shown[name] = True, None
            seq = self.trace.append(self._now, name, "restart", {"disk": move.disk})
            self._step(move, Start(), "start", {}, seq)
        elif move.kind == "start":
            self._step(move, Start(), "start", {}, None)
        elif move.kind == "invoke":
            assert move.msg is not None
            event = Deliver(WORLD, Invoke(move.msg))
            self._step(move, event, "deliver", event._asdict(), None)
        elif move.kind == "fire":
            assert isinstance(move.msg, Timer)
            cause = self._timers[name].pop(move.msg, None)
            self._step(move, Fire(move.msg), "fire", {"timer": move.msg}, cause)
        else:
            assert move.msg is not None
            assert move.src is not None
            data = {"src": move.src, "msg": move.msg}
            event = Deliver(move.src, move.msg)
            self._step(move, event, "deliver", data, self._arrival(move))

    def _arrival(self, move: Move) -> int | None:
        """The send of which this is the arrival; a second arrival is that of a duplicate."""
        assert move.msg is not None
        assert move.src is not None
        envelope = Envelope(move.src, move.node, move.msg)
        waiting = self._sent.get(envelope)
        if waiting and not move.copy:
            return waiting.pop(0)
        cause = self._last_sent.get(envelope)
        data = {"dst": move.node, "msg": move.msg, "delay_ms": 0.0}
        return self.trace.append(self._now, move.src, "duplicate", data, cause)

    def _drop(self, move: Move) -> None:
        cause = self._arrival(move)
        why = "lost" if self.up[move.node] else "dead"
        if any((move.src in group) is not (move.node in group) for group in self._groups):
            why = "partition"
        data = {"src": move.src, "msg": move.msg, "why": why}
        self.trace.append(self._now, move.node, "drop", data, cause)

    def _kill(self, name: NodeId, effects: int | None, cause: int | None) -> None:
        self.trace.append(self._now, name, "kill", {"effects": effects}, cause)
        self.up[name] = False
        self._timers[name].clear()
        self.nodes[name] = restart(self.nodes[name], self._disks[name])

    def _step(
        self, move: Move, event: Event, kind: str, data: Mapping[str, Any], cause: int | None
    ) -> None:
        name = move.node
        now_ms = self._ticks * self._clock.tick_ms
        if self._clock.ticks:
            data = {**data, "now_ms": now_ms}
        seq = self.trace.append(self._now, name, kind, data, cause)
        node = self.nodes[name]
        try:
            effects = run_in_place(node, event, CheckerEnv(move.choices, now_ms, self._clock, name))
            for effect in effects[: move.effects]:
                self._perform(name, effect, seq)
        except NodeError as error:
            self.trace.append(self._now, name, "error", {"error": str(error)}, seq)
            self.up[name] = False
            return
        if move.effects is not None:
            self._kill(name, move.effects, seq)
            return
        status = node.status()
        if status and status != self._shown[name]:
            self._shown[name] = status
            self.trace.append(self._now, name, "state", dict(status), seq)

    def _perform(self, name: NodeId, effect: Effect, cause: int | None) -> None:
        add = self.trace.append
        if isinstance(effect, Save):
            write(self._disks[name], effect)
            add(self._now, name, "save", {"values": copy_value(effect.values)}, cause)
        elif isinstance(effect, Note):
            add(self._now, name, "note", {"name": effect.name, "data": effect.data}, cause)
        elif isinstance(effect, SetTimer):
            low = effect.after_ms[1] if isinstance(effect.after_ms, tuple) else effect.after_ms
            data = {"timer": effect.timer, "after_ms": low}
            self._timers[name][effect.timer] = add(self._now, name, "set_timer", data, cause)
        elif isinstance(effect, CancelTimer):
            if self._timers[name].pop(effect.timer, None) is not None:
                add(self._now, name, "cancel_timer", {"timer": effect.timer}, cause)
        elif effect.dst == WORLD:
            self._tell_world(name, effect, cause)
        elif effect.dst not in self.nodes:
            raise NodeError(
                f"{self.nodes[name]} sends {effect.msg!r} to {effect.dst!r}, but there is no such "
                f"node: send to one of {', '.join(self.nodes)}."
            )
        else:
            data = {"dst": effect.dst, "msg": effect.msg, "delay_ms": None}
            seq = add(self._now, name, "send", data, cause)
            envelope = Envelope(name, effect.dst, effect.msg)
            self._sent.setdefault(envelope, []).append(seq)
            self._last_sent[envelope] = seq

    def _tell_world(self, name: NodeId, effect: Send, cause: int | None) -> None:
        msg = effect.msg
        if isinstance(msg, Invoked):
            data: dict[str, Any] = {"operation": msg.operation}
            self.trace.append(self._now, name, "invoke", data, cause)
        elif isinstance(msg, Returned):
            data = {"outcome": msg.outcome, "value": msg.value}
            self.trace.append(self._now, name, "return", data, cause)
        else:
            data = {"dst": WORLD, "msg": msg, "delay_ms": None}
            self.trace.append(self._now, name, "send", data, cause)

    def _time_flights_and_timers(self) -> None:
        """A picture wants to know beforehand when a message will arrive: now it is known.

        What has not arrived at the end of the story is still on its way then.
        """
        ends = {
            event.cause: event.at_ms
            for event in self.trace.events
            if event.kind in ("deliver", "drop", "fire") and event.cause is not None
        }
        for seq, event in enumerate(self.trace.events):
            if event.kind == "send" and event.data["dst"] != WORLD:
                arrives = ends.get(seq, self._now + MOVE_MS)
                data = {**event.data, "delay_ms": arrives - event.at_ms}
                self.trace.events[seq] = event._replace(data=data)
            elif event.kind == "set_timer" and seq in ends:
                data = {**event.data, "after_ms": ends[seq] - event.at_ms}
                self.trace.events[seq] = event._replace(data=data)
