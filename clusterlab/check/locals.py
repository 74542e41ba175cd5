"""What one node can be and do: its states as small integers, and each step taken once.

The number of states that a single node can be in is small beside the number of states of the
cluster. So each gets an integer, and the outcome of an event in it is computed once and looked up
ever after: in the measured worlds a handler runs a thousand times less often than it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from clusterlab.check.moves import Move
from clusterlab.check.properties import Property, said
from clusterlab.check.world import Envelope, NodeView
from clusterlab.core.errors import ClusterlabError, HandlerRaised, NodeError, ScenarioError
from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import (
    WORLD,
    CancelTimer,
    Deliver,
    Effect,
    Env,
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
    step,
)
from clusterlab.core.values import freeze

T = TypeVar("T")


class Clock(NamedTuple):
    """The bounded clock of a world: so many ticks, of so many ms each. No ticks: no clock."""

    ticks: int = 0
    tick_ms: int = 0


class Local(NamedTuple):
    """A node, what it waits for, and whether it is alive; a dead one is what its disk holds."""

    node: Node
    timers: frozenset[Timer]
    up: bool
    clock: int

    def key(self) -> Hashable:
        """Equal for equal states, and only for them."""
        return (self.node.frozen_key(), self.timers, self.up, self.clock)


NoteKey: TypeAlias = "tuple[NodeId, str, Any]"


class Outcome(NamedTuple):
    """What an event makes of a node, and what leaves it."""

    local: int
    """The node afterwards; -1 if there is none, because of `wrong`."""
    sends: tuple[tuple[int, int], ...]
    """(receiver, letter), in order."""
    notes: tuple[NoteKey, ...]
    move: Move
    wrong: tuple[str, str] | None = None
    """The property that this step breaks, and how."""


HANDLERS = "every handler succeeds"
"""The property that an exception in a handler breaks."""


class CheckerEnv(Env):
    """Answers `choose` from a script, and notes where the script ended."""

    __slots__ = ("clock", "options", "script", "who")

    def __init__(self, script: Sequence[int], now_ms: int, clock: Clock, who: NodeId) -> None:
        super().__init__(now_ms)
        self.script = script
        self.options: list[int] = []
        self.clock = clock
        self.who = who

    @property
    def now_ms(self) -> int:
        """The bounded clock."""
        if not self.clock.ticks:
            raise ScenarioError(
                f"{self.who} reads now_ms, and a clock that runs would make the world infinite: "
                "give the search a bounded one, such as ticks=4, tick_ms=50."
            )
        return self._now_ms

    def choose(self, options: Sequence[T]) -> T:
        """As the script says; the first option where it says nothing."""
        at = len(self.options)
        self.options.append(len(options))
        return options[self.script[at] if at < len(self.script) else 0]


def branches(run: Callable[[CheckerEnv], T], make: Callable[[Sequence[int]], CheckerEnv]) -> Any:
    """`run` once for every way in which its choices can fall: (choices, result) each."""
    script: list[int] = []
    while True:
        env = make(tuple(script))
        result = run(env)
        taken = (*script, *([0] * (len(env.options) - len(script))))
        yield taken, result
        script = list(taken)
        while script and script[-1] + 1 >= env.options[len(script) - 1]:
            script.pop()
        if not script:
            return
        script[-1] += 1


Trigger: TypeAlias = "int | Timer | None"
"""What a step reacts to: a letter, a timer, or the start."""


class Locals:
    """The states of every node, the letters between them, and the steps: each once."""

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        clock: Clock,
        bound: Callable[[NodeView], bool] | None,
        properties: Sequence[Property] = (),
    ) -> None:
        self.ids: tuple[NodeId, ...] = tuple(node.id for node in nodes)
        self.index = {name: i for i, name in enumerate(self.ids)}
        self.bare = tuple(nodes)
        self.clock = clock
        self.bound = bound
        self.step_properties = [one for one in properties if one.kind == "step"]
        self.hears_notes = any(one.ghost is not None for one in properties)
        self.states: list[list[Local]] = [[] for _ in nodes]
        self.ordered_timers: list[list[tuple[Timer, ...]]] = [[] for _ in nodes]
        self.letters: list[Envelope] = []
        self.handler_calls = 0
        self.cut_by_bound = 0
        self._ids: list[dict[Hashable, int]] = [{} for _ in nodes]
        self._letter_ids: dict[Envelope, int] = {}
        self._steps: list[dict[Any, tuple[Outcome, ...]]] = [{} for _ in nodes]

    # --- integers for values ---

    def intern(self, i: int, local: Local) -> int:
        """The integer of a local state of node `i`."""
        key = local.key()
        known = self._ids[i].get(key)
        if known is None:
            known = self._ids[i][key] = len(self.states[i])
            self.states[i].append(local)
            ordered = sorted(local.timers, key=lambda t: (type(t).__name__, repr(t)))
            self.ordered_timers[i].append(tuple(ordered))
        return known

    def letter(self, envelope: Envelope) -> int:
        """The integer of an envelope."""
        known = self._letter_ids.get(envelope)
        if known is None:
            known = self._letter_ids[envelope] = len(self.letters)
            self.letters.append(envelope)
        return known

    def unborn(self, i: int) -> int:
        """Node `i` before anything happened to it."""
        return self.intern(i, Local(self.bare[i].copy(), frozenset(), False, 0))

    def killed(self, i: int, lid: int) -> int:
        """After a kill between two steps."""
        local = self.states[i][lid]
        return self.intern(i, _dead(restart(local.node), local))

    def ticked(self, i: int, lid: int) -> int:
        """After one tick of the clock."""
        local = self.states[i][lid]
        return self.intern(i, local._replace(clock=local.clock + 1))

    def count(self) -> int:
        """How many local states there are, of all nodes."""
        return sum(map(len, self.states))

    # --- steps ---

    def reborn(self, i: int, lid: int, disk: str) -> tuple[int, tuple[Outcome, ...]]:
        """A dead node that gets its disk back or a new one, and what its start may make of it."""
        local = self.states[i][lid]
        if disk == "lose":
            lid = self.intern(i, local._replace(node=restart(local.node, {})))
        return lid, self.steps(i, lid, None)

    def steps(self, i: int, lid: int, trigger: Trigger) -> tuple[Outcome, ...]:
        """What may come of `trigger` in this state: one outcome for each way to choose."""
        key = (lid, trigger)
        known = self._steps[i].get(key)
        if known is None:
            known = self._steps[i][key] = self._compute(i, lid, trigger)
        return known

    def deaths(self, i: int, lid: int, trigger: Trigger) -> tuple[Outcome, ...]:
        """Likewise if the node dies within the step: an outcome for each prefix that differs."""
        key = (lid, trigger, "dies")
        known = self._steps[i].get(key)
        if known is None:
            known = self._steps[i][key] = self._compute_deaths(i, lid, trigger)
        return known

    def event(self, trigger: Trigger) -> Event:
        """The event that a trigger stands for."""
        if trigger is None:
            return Start()
        if isinstance(trigger, int):
            src, _, msg = self.letters[trigger]
            return Deliver(src, msg)
        return Fire(trigger)

    def move(self, i: int, trigger: Trigger) -> Move:
        """The move that a trigger makes."""
        name = self.ids[i]
        if trigger is None:
            return Move("start", name)
        if isinstance(trigger, int):
            src, _, msg = self.letters[trigger]
            if src == WORLD:
                operation = msg.operation if isinstance(msg, Invoke) else msg
                return Move("invoke", name, src, operation)
            return Move("deliver", name, src, msg)
        return Move("fire", name, None, trigger)

    def runs(self, i: int, lid: int, trigger: Trigger) -> list[tuple[tuple[int, ...], Any]]:
        """Every way to choose, with the Step that it leads to, or the NodeError."""
        local = self.states[i][lid]
        event = self.event(trigger)
        now = local.clock * self.clock.tick_ms

        def run(env: CheckerEnv) -> Any:
            self.handler_calls += 1
            try:
                return step(local.node, event, env)
            except NodeError as error:
                cause = error.__cause__
                if isinstance(error, HandlerRaised) and isinstance(cause, ScenarioError):
                    raise cause from None  # not the node is wrong, but the way it is checked
                return error

        name = self.ids[i]
        return list(branches(run, lambda script: CheckerEnv(script, now, self.clock, name)))

    def _compute(self, i: int, lid: int, trigger: Trigger) -> tuple[Outcome, ...]:
        local = self.states[i][lid]
        base = self.move(i, trigger)
        outcomes = []
        for choices, made in self.runs(i, lid, trigger):
            move = base._replace(choices=choices)
            if isinstance(made, NodeError):
                outcomes.append(Outcome(-1, (), (), move, (HANDLERS, str(made))))
                continue
            node, effects = made
            if self.bound is not None and not self._within(node):
                self.cut_by_bound += 1
                continue
            timers = set(local.timers)
            if isinstance(trigger, Timer):
                timers.discard(trigger)
            for effect in effects:
                if isinstance(effect, SetTimer):
                    timers.add(effect.timer)
                elif isinstance(effect, CancelTimer):
                    timers.discard(effect.timer)
            try:
                sends, notes = self._leaving(i, effects)
            except NodeError as error:
                outcomes.append(Outcome(-1, (), (), move, (HANDLERS, str(error))))
                continue
            new = self.intern(i, Local(node, frozenset(timers), True, local.clock))
            wrong = self._judge(local.node, node, birth=trigger is None)
            outcomes.append(Outcome(new, sends, notes, move, wrong))
        return tuple(outcomes)

    def _compute_deaths(self, i: int, lid: int, trigger: Trigger) -> tuple[Outcome, ...]:
        local = self.states[i][lid]
        base = self.move(i, trigger)
        outcomes: dict[Any, Outcome] = {}
        for choices, made in self.runs(i, lid, trigger):
            if isinstance(made, NodeError) or (self.bound and not self._within(made.node)):
                continue  # the step itself is told where it does not die
            for count in range(len(made.effects)):
                effects = made.effects[:count]
                saved = bool(effects) and isinstance(effects[0], Save)
                dead = restart(local.node, made.node.saved() if saved else local.node.saved())
                sends, notes = self._leaving(i, effects)
                new = self.intern(i, _dead(dead, local))
                # A dead node has no timers: prefixes that differ in those alone are one.
                key = (new, sends, freeze(notes))
                if key not in outcomes:
                    move = base._replace(choices=choices, effects=count)
                    wrong = self._judge(local.node, dead, death=True)
                    outcomes[key] = Outcome(new, sends, notes, move, wrong)
        return tuple(outcomes.values())

    def _leaving(
        self, i: int, effects: Sequence[Effect]
    ) -> tuple[tuple[tuple[int, int], ...], tuple[NoteKey, ...]]:
        """The sends and notes among some effects."""
        name = self.ids[i]
        sends: list[tuple[int, int]] = []
        notes: list[NoteKey] = []
        for effect in effects:
            if isinstance(effect, Note):
                notes.append((name, effect.name, effect.data))
            elif isinstance(effect, Send) and effect.dst == WORLD:
                msg = effect.msg
                if isinstance(msg, Invoked):
                    notes.append((name, "invoke", msg.operation))
                elif isinstance(msg, Returned):
                    notes.append((name, "return", (msg.outcome, msg.value)))
            elif isinstance(effect, Send):
                if effect.dst not in self.index:
                    raise NodeError(
                        f"{self.bare[i]} sends {effect.msg!r} to {effect.dst!r}, but there is no "
                        f"such node: send to one of {', '.join(self.ids)}."
                    )
                letter = self.letter(Envelope(name, effect.dst, effect.msg))
                sends.append((self.index[effect.dst], letter))
        return tuple(sends), tuple(notes) if self.hears_notes else ()

    def died(self, i: int, lid: int) -> tuple[str, str] | None:
        """The step property that a kill between two steps breaks, and how."""
        node = self.states[i][lid].node
        return self._judge(node, restart(node), death=True)

    def _judge(
        self, before: Node, after: Node, *, birth: bool = False, death: bool = False
    ) -> tuple[str, str] | None:
        """The first step property that does not hold from `before` to `after`, and how."""
        for one in self.step_properties:
            if (birth or death) and not one.across_crashes:
                continue
            views = NodeView(before), NodeView(after)
            answer = call(one.name, one.predicate, *views)
            if not said(one.name, answer):
                if isinstance(answer, str):
                    return one.name, answer
                explain = one.explain
                return one.name, (explain(*views) if explain else _difference(before, after))
        return None

    def _within(self, node: Node) -> bool:
        assert self.bound is not None
        answer = call("`bound`", self.bound, NodeView(node))
        if not isinstance(answer, bool):
            raise ScenarioError(f"`bound` returned {answer!r} for {node}: return True or False.")
        return answer


def _dead(node: Node, before: Local) -> Local:
    return Local(node, frozenset(), False, before.clock)


def _difference(before: Node, after: Node) -> str:
    """`n1: term 2 -> 1`: the fields that a step changed."""
    old, new = before.state(), after.state()
    changed = [f"{name} {old[name]!r} -> {new[name]!r}" for name in old if old[name] != new[name]]
    return f"{after.id}: {', '.join(changed) or 'no field changed'}"


def call(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a learner's function answers; an exception of its own becomes a sentence."""
    try:
        return function(*arguments)
    except ClusterlabError:
        raise
    except Exception as error:
        raise ScenarioError(
            f"property {what} raised {type(error).__name__} ({error}): mend the function; "
            "nothing is known about the protocol yet."
        ) from error
