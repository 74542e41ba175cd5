"""A search without any cleverness, to count against: whole states, deep copies, one set of keys.

It shares nothing with `clusterlab.check` but the contract: `step`, `restart` and `freeze`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clusterlab.core.history import Invoke
from clusterlab.core.node import (
    WORLD,
    CancelTimer,
    Deliver,
    Env,
    Event,
    Fire,
    Node,
    Save,
    Send,
    SetTimer,
    Start,
    restart,
    step,
)


@dataclass(frozen=True)
class State:
    """Everything about a cluster, as it stands."""

    nodes: dict[str, Node]
    up: frozenset[str]
    timers: dict[str, frozenset[Any]]
    mail: tuple[tuple[str, str, Any], ...]  # (src, dst, msg), in the order of sending
    wishes: tuple[tuple[str, Any], ...]
    left: dict[str, int] = field(default_factory=dict)

    def key(self, network: str) -> Any:
        if network == "set":
            mail: Any = frozenset(self.mail)
        elif network == "multiset":
            mail = frozenset((m, self.mail.count(m)) for m in self.mail)
        else:
            links = {(src, dst) for src, dst, _ in self.mail}
            mail = frozenset(
                (link, tuple(msg for src, dst, msg in self.mail if (src, dst) == link))
                for link in links
            )
        return (
            tuple(node.frozen_key() for node in self.nodes.values()),
            self.up,
            tuple(self.timers.values()),
            mail,
            self.wishes,
            tuple(self.left.values()),
        )


class ScriptedEnv(Env):
    __slots__ = ("asked", "script")

    def __init__(self, script: Sequence[int]) -> None:
        super().__init__()
        self.script = list(script)
        self.asked: list[int] = []

    def choose(self, options: Any) -> Any:
        self.asked.append(len(options))
        at = len(self.asked) - 1
        return options[self.script[at] if at < len(self.script) else 0]


def all_ways(node: Node, event: Event) -> Iterator[tuple[Node, tuple[Any, ...]]]:
    """A step, for every way to choose."""
    scripts: list[tuple[int, ...]] = [()]
    while scripts:
        script = scripts.pop()
        env = ScriptedEnv(script)
        made = step(node, event, env)
        if len(env.asked) > len(script):
            scripts += [(*script, i) for i in range(env.asked[len(script)])]
        else:
            yield made


class Naive:
    """Counts the states that a world can reach."""

    def __init__(
        self,
        nodes: Sequence[Node],
        network: str,
        *,
        invoke: Sequence[tuple[str, Any]] = (),
        restarts: Sequence[str] = ("keep",),
        wrong: Callable[[State], bool] = lambda state: False,
        **budgets: int,
    ) -> None:
        self.network, self.restarts, self.wrong = network, restarts, wrong
        self.transitions = 0
        self.wrong_at: int | None = None  # the fewest moves to a state that is wrong
        empty = State(
            {node.id: node for node in nodes},
            frozenset(),
            {node.id: frozenset() for node in nodes},
            (),
            tuple(sorted(invoke, key=repr)),
            budgets,
        )
        begin = [empty]
        for node in nodes:
            begin = [new for old in begin for new in self.run(old, node.id, Start(), dies=False)]
        self.states = self.search(begin)

    def search(self, begin: list[State]) -> int:
        seen = {state.key(self.network) for state in begin}
        queue = deque((state, 0) for state in begin)
        while queue:
            state, depth = queue.popleft()
            if self.wrong_at is None and self.wrong(state):
                self.wrong_at = depth
            for new in self.after(state):
                self.transitions += 1
                key = new.key(self.network)
                if key not in seen:
                    seen.add(key)
                    queue.append((new, depth + 1))
        return len(seen)

    def after(self, s: State) -> Iterator[State]:
        yield from self.arrivals(s)
        for wish in dict.fromkeys(s.wishes):
            if wish[0] in s.up:
                rest = list(s.wishes)
                rest.remove(wish)
                event = Deliver(WORLD, Invoke(wish[1]))
                yield from self.run(replace(s, wishes=tuple(rest)), wish[0], event)
        yield from self.cuts(s)
        for name, node in s.nodes.items():
            if name in s.up:
                for timer in s.timers[name]:
                    if s.left.get("timers", 1):
                        fired = put(spend(s, "timers"), timers={name: s.timers[name] - {timer}})
                        yield from self.run(fired, name, Fire(timer))
                if s.left.get("crashes"):
                    yield self.dead(spend(s, "crashes"), restart(node))
            else:
                for disk in self.restarts:
                    reborn = restart(node, None if disk == "keep" else {})
                    yield from self.run(put(s, nodes={name: reborn}), name, Start())

    def arrivals(self, s: State) -> Iterator[State]:
        for at, (src, dst, msg) in enumerate(s.mail):
            if s.mail.index((src, dst, msg)) != at or not self.is_head(s, at):
                continue
            without = replace(s, mail=s.mail[:at] + s.mail[at + 1 :])
            if dst in s.up and self.are_apart(s, src, dst):
                yield without
            elif dst in s.up:
                yield from self.run(s if self.network == "set" else without, dst, Deliver(src, msg))
                if self.network != "set" and s.left.get("duplicates"):
                    yield from self.run(spend(s, "duplicates"), dst, Deliver(src, msg))
                if self.network != "set" and s.left.get("losses"):
                    yield spend(without, "losses")
            elif self.network != "set":
                yield without

    def cuts(self, s: State) -> Iterator[State]:
        if s.left.get("cut"):
            yield put(s, left={"cut": 0})
        elif s.left.get("partitions"):
            for sides in range(1, 2 ** (len(s.nodes) - 1)):
                yield put(spend(s, "partitions"), left={"cut": sides})

    def are_apart(self, s: State, src: str, dst: str) -> bool:
        """The sides are bits, one for each node but the last, which is on side 0."""
        names = list(s.nodes)
        sides = s.left.get("cut", 0)
        return bool((sides >> names.index(src) ^ sides >> names.index(dst)) & 1)

    def is_head(self, s: State, at: int) -> bool:
        link = s.mail[at][:2]
        return self.network != "fifo" or all(m[:2] != link for m in s.mail[:at])

    def run(self, s: State, name: str, event: Event, *, dies: bool = True) -> Iterator[State]:
        for node, effects in all_ways(s.nodes[name], event):
            up = replace(put(s, nodes={name: node}), up=s.up | {name})
            yield self.perform(up, name, effects)
            if dies and s.left.get("crashes"):
                for count in range(len(effects)):
                    kept = effects[:count]
                    saved = any(isinstance(effect, Save) for effect in kept)
                    dead = restart(s.nodes[name], node.saved() if saved else None)
                    sent = self.perform(spend(s, "crashes"), name, kept)
                    yield self.dead(sent, dead)

    def perform(self, s: State, name: str, effects: Sequence[Any]) -> State:
        timers, mail = set(s.timers[name]), list(s.mail)
        for effect in effects:
            if isinstance(effect, SetTimer):
                timers.add(effect.timer)
            elif isinstance(effect, CancelTimer):
                timers.discard(effect.timer)
            elif isinstance(effect, Send) and effect.dst != WORLD:
                letter = (name, effect.dst, effect.msg)
                if self.network != "set" or letter not in mail:
                    mail.append(letter)
        return put(replace(s, mail=tuple(mail)), timers={name: frozenset(timers)})

    def dead(self, s: State, node: Node) -> State:
        gone = put(s, nodes={node.id: node}, timers={node.id: frozenset()})
        return replace(gone, up=s.up - {node.id})


def put(s: State, **changes: dict[str, Any]) -> State:
    return replace(s, **{name: {**getattr(s, name), **new} for name, new in changes.items()})


def spend(s: State, kind: str) -> State:
    return put(s, left={kind: s.left[kind] - 1}) if kind in s.left else s
