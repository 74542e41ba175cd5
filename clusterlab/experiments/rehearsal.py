"""Any part of the steps of a run can happen again: what has become impossible is skipped.

A rehearsal is the simulator, in which only happens what it is told. If the step that sent a message
was left out, the newest message of that class on the link takes its place.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from clusterlab.check.locals import HANDLERS, Clock
from clusterlab.check.moves import Move
from clusterlab.check.properties import Property
from clusterlab.check.retell import MOVE_MS, Teller
from clusterlab.core.errors import NodeError
from clusterlab.core.faults import Kill, Restart
from clusterlab.core.history import Invoke
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD, Env, Message, Node, NodeId, Timer
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz_watch import BrokenError, Violation, Watch, Watched
from clusterlab.experiments.steps import Beginning, Letter, Source, Step
from clusterlab.sim.host import Host

T = TypeVar("T")

STEP_MS = 1.0
"""The time between two steps of a rehearsal: it orders operations, and nothing else."""


class _ScriptEnv(Env):
    """Choices and the clock as the step has them; it notes what was asked."""

    __slots__ = ("clock_ms", "looked", "script", "took")

    def __init__(self) -> None:
        super().__init__()
        self.looked = False
        self.begin((), 0)

    def begin(self, script: Sequence[int], clock_ms: int) -> None:
        """For the next step."""
        self.script, self.clock_ms = script, clock_ms
        self.took: list[int] = []

    @property
    def now_ms(self) -> int:
        self.looked = True
        return self.clock_ms

    def choose(self, options: Sequence[T]) -> T:
        at = len(self.took)
        wanted = self.script[at] if at < len(self.script) else 0
        self.took.append(wanted if wanted < len(options) else 0)
        return options[self.took[-1]]


class Rehearsal(Watched):
    """A simulation in which happens what it is told, and nothing else."""

    def __init__(self, nodes: Iterable[Node], begin: Beginning | None = None) -> None:
        self.flying: dict[Letter, tuple[NodeId, Message]] = {}
        self.on_link: dict[tuple[NodeId, NodeId, str], dict[Letter, None]] = defaultdict(dict)
        self.env = _ScriptEnv()
        self.done: list[Step] = []
        """What happened so far."""
        self._begin = begin or Beginning({}, {})
        self._source: Source = ""
        self._sent: Counter[tuple[NodeId, str]] = Counter()
        super().__init__(nodes, network=Network(delay_ms=(0, 0)), record=False)

    def do(self, step: Step) -> bool:
        """Let one thing happen; False if it is not possible.

        Raises NodeError if the node does, and BrokenError if that breaks a property.
        """
        host = self._hosts[step.move.node]
        if host.alive is (step.move.kind == "restart"):
            return False
        actual = self._resolve(step, host)
        if actual is None:
            return False
        self._now += STEP_MS
        self._source = step.number
        self._sent.clear()
        self.env.begin(step.move.choices, step.clock_ms)
        self.done.append(actual)
        try:
            self._carry_out(actual, host)
        finally:
            move = actual.move._replace(choices=tuple(self.env.took))
            self.done[-1] = actual._replace(move=move)
        return True

    def _resolve(self, step: Step, host: Host) -> Step | None:
        """The step with the message or timer that is there now."""
        move = step.move
        if move.kind == "fire":
            timer = _pending(host, move.msg)
            return None if timer is None else step._replace(move=move._replace(msg=timer))
        if move.kind == "deliver":
            letter = self._letter(step)
            if letter is None:
                return None
            src, msg = self.flying[letter]
            return step._replace(move=move._replace(src=src, msg=msg), letter=letter)
        return step

    def _carry_out(self, step: Step, host: Host) -> None:
        move, msg = step.move, step.move.msg
        host.crash_after = move.effects
        if move.kind == "kill":
            self._apply(Kill(move.node))
        elif move.kind == "restart":
            self._apply(Restart(move.node, "lose" if move.disk == "lose" else "keep"))
        elif move.kind == "fire":
            assert isinstance(msg, Timer)
            self._fire(host, msg, None)
        elif step.letter is None:
            assert msg is not None
            self._arrive(host, WORLD, Invoke(msg), None)
        else:
            assert move.src is not None
            assert msg is not None
            if not move.copy:
                del self.flying[step.letter]
                del self.on_link[move.src, host.id, step.letter.kind][step.letter]
            self._arrive(host, move.src, msg, None)

    def _letter(self, step: Step) -> Letter | None:
        """The message that is meant, or else the newest of its class on that link."""
        letter, move = step.letter, step.move
        if letter in self.flying:
            return letter
        kind = type(move.msg).__name__ if letter is None else letter.kind
        return next(reversed(self.on_link[move.src or "", move.node, kind]), None)

    def timers_of(self, node: NodeId) -> tuple[Timer, ...]:
        """What a node waits for."""
        return tuple(self._host(node).timers)

    def on_the_way(self, src: NodeId | None, dst: NodeId, kind: str | None) -> list[Letter]:
        """The messages of that class (None: all) from `src` to `dst`, the oldest first."""
        return [
            letter
            for letter, (sender, _) in self.flying.items()
            if (sender, letter.dst) == (src, dst) and kind in (None, letter.kind)
        ]

    # --- what the engine calls ---

    def _start(self, host: Host, cause: int | None) -> None:
        host.env = self.env
        if cause is None:
            self._source = host.id
            self._sent.clear()
            begin = self._begin
            self.env.begin(begin.choices.get(host.id, ()), begin.clock_ms.get(host.id, 0))
        super()._start(host, cause)

    def _push(self, *_: Any) -> int:
        """Nothing comes by itself, so nothing has to wait on the heap."""
        self._count += 1
        return self._count

    def _fly(
        self, _kind: str, link: tuple[NodeId, NodeId], _to: Host, msg: Message, *_: Any
    ) -> None:
        """A message waits until it is told to arrive."""
        name = type(msg).__name__
        key = (link[1], name)
        letter = Letter(self._source, *key, self._sent[key])
        self._sent[key] += 1
        self.flying[letter] = (link[0], msg)
        self.on_link[(*link, name)][letter] = None


def _pending(host: Host, wanted: Message | None) -> Timer | None:
    """The timer that is meant, or else one of its class."""
    if wanted in host.timers:
        assert isinstance(wanted, Timer)
        return wanted
    name = type(wanted).__name__
    return next((timer for timer in host.timers if type(timer).__name__ == name), None)


class Rehearsed(NamedTuple):
    """What a list of steps came to."""

    steps: tuple[Step, ...]
    """Those that were possible, up to the one that broke something."""
    violation: Violation | None
    reads_clock: bool


AtTheEnd: TypeAlias = Callable[[Rehearsal], "str | None"]
"""Looks at a whole run: a sentence if it is wrong."""


def rehearse(
    nodes: Iterable[Node],
    begin: Beginning,
    steps: Iterable[Step],
    properties: Sequence[Property],
    at_the_end: tuple[str, AtTheEnd] | None = None,
) -> Rehearsed:
    """Let steps happen until one of them breaks something; what is impossible is skipped."""
    sim = Rehearsal(nodes, begin)

    def go() -> None:
        for step in steps:
            sim.do(step)

    violation = guarded(sim, properties, go)
    if violation is None and at_the_end is not None:
        name, judge = at_the_end
        sentence = judge(sim)
        if sentence is not None:
            violation = Violation(name, sentence, sim.now_ms)
    return Rehearsed(tuple(sim.done), violation, sim.env.looked)


def guarded(
    sim: Rehearsal, properties: Sequence[Property], go: Callable[[], None]
) -> Violation | None:
    """Go, until something does not hold; what that is."""
    try:
        sim.watch = Watch(sim, properties)
        go()
    except BrokenError as broken:
        return broken.violations[0]
    except NodeError as error:
        return Violation(HANDLERS, str(error), sim.now_ms)
    return None


def retold(
    nodes: Sequence[Node],
    steps: Iterable[Step],
    begin: Beginning | None = None,
    *,
    clock: bool = False,
) -> Trace:
    """The trace of steps that are possible, with times that leave room for a picture.

    With `clock`, it says what the clocks of nodes showed.
    """
    begin = begin or Beginning({}, {})
    return _Retelling(nodes, Clock(1, 1) if clock else Clock()).tell_steps(begin, steps)


class _Retelling(Teller):
    """Tells steps, each at the time that its node's clock showed."""

    def tell_steps(self, begin: Beginning, steps: Iterable[Step]) -> Trace:
        """The starts, all at time 0, and then one step after another."""
        for name in self.nodes:
            self._ticks = begin.clock_ms.get(name, 0)
            self.do(Move("start", name, choices=begin.choices.get(name, ())))
        for step in steps:
            self._now += MOVE_MS
            self._ticks = step.clock_ms
            self.do(step.move)
        self._time_flights_and_timers()
        return self.trace
