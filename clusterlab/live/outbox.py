"""The effects of a turn's steps, gathered until the turn's end performs them.

Here the fate of each message is decided (`Switch.fate`) and each effect is written down for the
journal. Nothing is performed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clusterlab.core.errors import NodeError
from clusterlab.core.faults import Fault
from clusterlab.core.history import Invoked, Returned
from clusterlab.core.network import Network, Switch
from clusterlab.core.node import (
    WORLD,
    CancelTimer,
    Message,
    NodeId,
    Note,
    Save,
    Send,
    SetTimer,
    Timer,
)
from clusterlab.live import records as r
from clusterlab.live.hosted import Hosted, HostName, Post, Setting

Letters = tuple[list[tuple[Any, ...]], list[Message]]
"""Envelopes (due_ms, src, dst, name) and messages."""


class Outbox:
    """What the steps of a turn have brought, in order."""

    def __init__(
        self, setting: Setting, post: Post, wake: Callable[[Hosted, Timer, float], None]
    ) -> None:
        self._name = setting.name
        self._life = setting.life
        self._network: Network = setting.network
        self._record = setting.record
        self._post = post
        self._wake = wake
        self._count = 0  # of messages: with the life, their names
        self._last_due: dict[tuple[NodeId, NodeId], float] = {}
        self.switch = Switch(setting.network)
        self.set_switch(setting.faults)
        self.where: dict[NodeId, HostName] = {}
        self.outs: list[tuple[Any, ...]] = []
        """Of the present step, for the journal."""
        self.records: list[r.Record] = []
        self.saves: list[tuple[NodeId, Mapping[str, Any]]] = []
        self.letters: dict[HostName, Letters] = {}
        self.local: list[tuple[Any, ...]] = []
        self.answers: list[tuple[Hosted, Invoked | Returned]] = []

    def __bool__(self) -> bool:
        return bool(self.records or self.saves or self.letters or self.local or self.answers)

    def set_switch(self, faults: tuple[Fault, ...]) -> None:
        """Make the switch what these faults make of it."""
        self.switch = Switch(self._network)
        for fault in faults:
            self.switch.apply(fault)

    def begin(self) -> list[tuple[Any, ...]]:
        """A step begins; returns the list that will hold what comes out of it."""
        self.outs = []
        return self.outs

    def collect(self, host: Hosted, effects: list[Any], at_ms: float) -> None:
        """Sort the effects of a step into what the turn's end performs, and write them down."""
        record, outs = self._record, self.outs
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                self._send(host, effect.dst, effect.msg, at_ms)
            elif kind is SetTimer:
                self._set_timer(host, effect, at_ms)
            elif kind is Save:
                self.saves.append((host.id, effect.values))
                if record:
                    outs.append((r.SAVE, effect.values))
            elif kind is Note:
                outs.append((r.NOTE, effect.name, effect.data))
            elif kind is CancelTimer and host.timers.pop(effect.timer, None) is not None and record:
                outs.append((r.CANCEL_TIMER, effect.timer))

    def _set_timer(self, host: Hosted, effect: SetTimer, at_ms: float) -> None:
        timer, after_ms = effect
        if type(after_ms) is tuple:
            low, high = after_ms
            after = low + host.random.random() * (high - low)
        else:
            after = float(after_ms)  # type: ignore[arg-type]
        due = at_ms + after / host.env.skewed.rate
        self._wake(host, timer, due)
        if self._record:
            self.outs.append((r.SET_TIMER, timer, round(after, 3)))

    def _send(self, host: Hosted, dst: NodeId, msg: Message, at_ms: float) -> None:
        src = host.id
        target = self.where.get(dst)
        if target is None:
            self._to_world(host, dst, msg)
            return
        link = (src, dst)
        plain = self.switch.plain.get(link)
        if plain is not None:
            delay = plain[0] + host.random.random() * plain[1] if plain[1] else plain[0]
            self._fly(r.SEND, link, target, msg, at_ms, delay, False)
            return
        flights = self.switch.fate(src, dst, host.random.random)
        if isinstance(flights, str):
            if self._record:
                self.outs.append((r.LOST, dst, msg, flights))
            return
        kind = r.SEND
        for delay, reordered in flights:
            self._fly(kind, link, target, msg, at_ms, delay, reordered)
            kind = r.DUPLICATE

    def _fly(
        self,
        kind: int,
        link: tuple[NodeId, NodeId],
        target: HostName,
        msg: Message,
        at_ms: float,
        delay: float,
        reordered: bool,
    ) -> None:
        """Put one copy of a message into the batch for its process."""
        due = at_ms + delay
        if not reordered:
            # A link keeps the order: a message never arrives before an earlier one.
            last = self._last_due.get(link, 0.0)
            due = max(due, last)
            self._last_due[link] = due
        self._count = number = self._count + 1
        name = (self._life, number)
        if target == self._name:
            self.local.append((due, link[0], link[1], name, msg))
            life = self._life
        else:
            letters = self.letters.get(target)
            if letters is None:
                letters = self.letters[target] = ([], [])
            letters[0].append((due, link[0], link[1], name))
            letters[1].append(msg)
            life = self._post.life(target)
        if self._record:
            self.outs.append((kind, number, link[1], msg, due - at_ms, reordered, life))

    def new_name(self) -> r.MessageName:
        """A name for one message more."""
        self._count += 1
        return self._life, self._count

    def _to_world(self, host: Hosted, dst: NodeId, msg: Message) -> None:
        if dst != WORLD:
            raise NodeError(
                f"{host.node} sends {msg!r} to {dst!r}, but there is no such node: "
                f"send to {', '.join(self.where)}."
            )
        if isinstance(msg, Invoked):
            self.outs.append((r.INVOKED, msg.operation))
            self.answers.append((host, msg))
        elif isinstance(msg, Returned):
            self.outs.append((r.RETURNED, msg.outcome, msg.value))
            self.answers.append((host, msg))
        elif self._record:
            self.outs.append((r.TO_WORLD, msg))
