"""A list of steps that fails, and what makes it shorter without changing what it breaks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, TypeAlias

from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.locals import HANDLERS
from clusterlab.check.moves import Move
from clusterlab.check.properties import Property
from clusterlab.check.shrink import shrink
from clusterlab.check.story import by_node
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.core.spec import Spec
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz import LINEARIZABLE
from clusterlab.experiments.fuzz_watch import Violation
from clusterlab.experiments.rehearsal import AtTheEnd, Rehearsal, Rehearsed, rehearse
from clusterlab.experiments.steps import Step, steps_of

EVENT_TRIES_MAX = 20_000
TAIL_MIN = 16
PAIRS_UP_TO = 60
"""Lists of so many events are searched for pairs that can be left out together."""

Say: TypeAlias = Callable[[str], None]


class Reduction:
    """A list of steps that fails, and what makes it shorter."""

    def __init__(
        self,
        trace: Trace,
        nodes: Iterable[Node],
        properties: Sequence[Property],
        spec: Spec | None,
        say: Say,
    ) -> None:
        nodes = list(nodes)
        self.begin, steps = steps_of(trace, nodes)
        self.nodes = [node for node in nodes if node.id in self.begin.choices]
        self.properties = properties
        self.spec = spec
        self.say = say
        self.how: list[str] = []
        self.of = len(steps)
        self.tries = 0
        self.timers = {type(event.data["timer"]).__name__ for event in trace.of("set_timer")}
        self.end: tuple[str, AtTheEnd] | None = None
        if spec is not None:
            self.end = (LINEARIZABLE, lambda sim: _judge(sim, spec))
        first = self._rehearse(steps)
        if first.violation is None:
            raise ScenarioError(
                "this run, rehearsed step by step, violates nothing: give the property that it "
                "violates, and the nodes of that run."
            )
        self.name = first.violation.property
        self.fault = _fault(first.violation)
        self.best = first

    def _rehearse(self, steps: Iterable[Step], nodes: Sequence[Node] | None = None) -> Rehearsed:
        self.tries += 1
        return rehearse(nodes or self.nodes, self.begin, steps, self.properties, self.end)

    def _fails(self, steps: Iterable[Step]) -> Rehearsed | None:
        """The run of these steps, if it violates the same property."""
        return self._same(self._rehearse(steps))

    def _same(self, made: Rehearsed) -> Rehearsed | None:
        """The run, if it goes wrong in the same way."""
        return made if made.violation and self.is_the_same(made.violation) else None

    def is_the_same(self, wrong: Violation) -> bool:
        """Whether this is what went wrong in the recorded run."""
        return _fault(wrong) == self.fault

    def tell(self, sentence: str) -> None:
        """Note what a stage did."""
        self.how.append(sentence)
        self.say(sentence)

    # --- the stages ---

    def tail(self) -> None:
        """What happened long before is rarely needed: the shortest end of the run that fails."""
        size = TAIL_MIN
        while size < len(self.best.steps):
            made = self._fails(self.best.steps[-size:])
            if made is not None:
                self.best = made
                return
            size *= 2

    def kinds(self) -> None:
        """Leave out all events of a kind at once, as long as that goes well."""
        better = True
        while better:
            better = False
            for kind, _ in Counter(
                k for step in self.best.steps for k in _kinds(step)
            ).most_common():
                made = self._fails(step for step in self.best.steps if kind not in _kinds(step))
                if made is not None and len(made.steps) < len(self.best.steps):
                    self.best = made
                    better = True

    def events(self) -> None:
        """Delta debugging, again and again: what is left out changes what the others are."""
        before = self.of
        while len(self.best.steps) < before:
            before = len(self.best.steps)

            def used(part: list[Step]) -> list[Step] | bool:
                made = self._fails(part)
                if made is None:
                    return False
                numbers = {step.number for step in made.steps}
                return [step for step in part if step.number in numbers]

            together = 2 if before <= PAIRS_UP_TO else 1
            found = shrink(self.best.steps, used, together=together, tries_max=EVENT_TRIES_MAX)
            made = self._fails(found.items)
            assert made is not None, "shrink has verified it"
            self.best = made
            self.swaps()
        self._drop_bystanders()
        self.tell(f"{len(self.best.steps)} of {self.of} events are needed.")

    def swaps(self) -> None:
        """Let another node do what one does from some event on, if that makes others needless.

        Leaving out alone gets stuck where two voters each vote twice: one of them would do, if a
        fourth node took over half of its part.
        """
        if len(self.best.steps) > PAIRS_UP_TO:
            return
        nodes, better = self.nodes, True
        while better:
            before = len(self.best.steps)
            better = any(self._swap(at, other) for at in range(before) for other in nodes)

    def _swap(self, at: int, other: Node) -> bool:
        """Swap the node of the step at that place with another from there on."""
        steps = self.best.steps
        if at >= len(steps) or steps[at].move.node == other.id:
            return False
        names = {steps[at].move.node: other.id, other.id: steps[at].move.node}
        made = self._fails([*steps[:at], *(step.renamed(names) for step in steps[at:])])
        if made is None or len(made.steps) > len(steps):
            return False
        shorter = self._without_deaths(made)
        if len(shorter.steps) == len(steps):
            return False
        self.best = shorter
        return True

    def _without_deaths(self, run: Rehearsed) -> Rehearsed:
        """The run without what it can do without: deaths with their returns, and single steps."""
        at = len(run.steps)
        while at > 0:
            at = min(at, len(run.steps)) - 1
            rest = [*run.steps[:at], *run.steps[at + 1 :]]
            if run.steps[at].move.kind == "kill":
                node = run.steps[at].move.node
                back = [s for s in run.steps[at:] if s.move == Move("restart", node, disk="keep")]
                rest = [step for step in rest if step not in back[:1]]
            made = self._fails(rest)
            run = made or run
        return run

    def _drop_bystanders(self) -> None:
        """Nodes to which nothing happens, if the others do without them."""
        active = {step.move.node for step in self.best.steps}
        kept = [node for node in self.nodes if node.id in active]
        made = self._same(self._rehearse(self.best.steps, kept)) if kept else None
        if made is not None:
            self.nodes, self.best = kept, made
            return
        for node in self.nodes:
            rest = [other for other in self.nodes if other is not node]
            if node.id not in active and rest:
                made = self._same(self._rehearse(self.best.steps, rest))
                if made is not None:
                    self.nodes, self.best = rest, made

    def plain(self) -> None:
        """Replace what is special about a step by what is plain, where that changes nothing."""
        better = True
        while better:
            better = False
            for at, step in enumerate(self.best.steps):
                for move in _plainer(step.move):
                    steps = list(self.best.steps)
                    steps[at] = step._replace(move=move)
                    made = self._fails(steps)
                    if made is not None and len(made.steps) <= len(self.best.steps):
                        self.best, better = made, True
                        break
                if better:
                    break

    def in_order(self) -> None:
        """Stay with a node as long as causes allow: it reads better, and is the same run."""
        needs: dict[int, set[int]] = {}
        last: dict[NodeId, int] = {}
        for step in self.best.steps:
            sender = step.letter.sent_by if step.letter is not None else ""
            before = {one for one in (sender, last.get(step.move.node)) if one in needs}
            needs[step.number] = before
            last[step.move.node] = step.number
        steps = {step.number: step for step in self.best.steps}
        owners = {number: step.move.node for number, step in steps.items()}
        made = self._fails(steps[number] for number in by_node(needs, owners))
        if made is not None and len(made.steps) == len(self.best.steps):
            self.best = made


def _fault(wrong: Violation) -> tuple[str, str]:
    """What is the same in two runs that go wrong alike: the property; of a handler, what it said.

    Its numbers may differ: terms, indices and nodes do.
    """
    if wrong.property != HANDLERS:
        return wrong.property, ""
    return wrong.property, re.sub(r"\d+", "#", wrong.explanation.split(" while ")[0])


def _judge(sim: Rehearsal, spec: Spec) -> str | None:
    """What is wrong with the history of a run."""
    verdict = check_linearizability(sim.history, spec)
    return verdict.explain() if verdict.valid is False else None


def _kinds(step: Step) -> Iterator[tuple[Any, ...]]:
    """The kinds that a step is of: its node, what happens, what arrives or fires."""
    move = step.move
    yield (move.kind,)
    yield (move.node,)
    yield (move.kind, move.node)
    if move.msg is not None:
        name = type(move.msg).__name__
        yield (name,)
        yield (name, move.node)
        yield (name, move.src, move.node)


def _plainer(move: Move) -> Iterator[Move]:
    """The move with one thing less that is special about it."""
    if move.effects is not None:
        yield move._replace(effects=None)
    if move.disk == "lose":
        yield move._replace(disk="keep")
    if move.copy:
        yield move._replace(copy=False)
    for at, option in enumerate(move.choices):
        if option:
            yield move._replace(choices=(*move.choices[:at], 0, *move.choices[at + 1 :]))
    if move.kind == "invoke" and move.msg is not None:
        for msg in _smaller(move.msg):
            yield move._replace(msg=msg)


def _smaller(operation: Message) -> Iterator[Message]:
    """The operation with one field made small."""
    given: Any = operation  # every message is a dataclass
    for one in fields(given):
        value = getattr(given, one.name)
        small: Any = None
        if isinstance(value, str) and len(value) > 1:
            small = value[0]
        elif type(value) is int and value not in (0, 1):
            small = 1
        if small is not None:
            yield replace(given, **{one.name: small})
