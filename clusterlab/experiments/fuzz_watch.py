"""Asks properties about a running simulation, after each step that changed what they can see.

The properties are those that `explore` asks (`check/properties.py`); what they are shown here is
the simulated cluster at that moment: servers and clients, a dead node as what its disk holds.

What makes it quick: a view of a node is a plain dict of its fields that only changes are written
to, and a property is asked again only when a field that it names in `reads` has changed, a node
has died or come back, or its ghost has. One that looks at messages is asked after every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from clusterlab.check.locals import call
from clusterlab.check.properties import Property, said, shown
from clusterlab.check.world import Envelope, NodeView, NoteTaker, World
from clusterlab.core.faults import Fault, Kill
from clusterlab.core.node import Event, Node, NodeId, Start, restart
from clusterlab.core.trace import TraceEvent
from clusterlab.core.values import MUTABLE, copy_value
from clusterlab.sim import Simulation
from clusterlab.sim.host import Host

MISSING = object()


class Violation(NamedTuple):
    """A property that a seed broke, and how."""

    property: str
    explanation: str
    at_ms: float


class BrokenError(Exception):
    """Ends a run at the step that broke something; never leaves `run_seed`."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__(*violations)
        self.violations = violations


class Snapshot(NodeView):
    """A view whose fields stand in a dict of its own; methods are looked up at the node."""

    def __init__(
        self,
        node: Node,
        values: Mapping[str, Any],
        reads: frozenset[str] | None = None,
        whose: str = "",
    ) -> None:
        super().__init__(node, reads, whose)
        self.__dict__.update(node.configuration())
        self.__dict__.update(
            values if reads is None else {k: v for k, v in values.items() if k in reads}
        )

    def move_to(self, node: Node) -> None:
        """The node is another object from now on: it has died or come back."""
        object.__setattr__(self, "_node", node)


class Past(Snapshot):
    """The node as it was before the step: its methods see the fields of then."""

    def __getattr__(self, name: str) -> Any:
        if not hasattr(type(self._node), name):
            return super().__getattr__(name)
        then = self._node.copy()
        then.__dict__.update(self.__dict__)
        return getattr(then, name)


class Scene(World):
    """The world of one property, kept for the whole run: which views have a field never changes."""

    __slots__ = ("_having", "_nodes")

    def __init__(
        self,
        views: Mapping[NodeId, NodeView],
        up: frozenset[NodeId],
        letters: Callable[[], tuple[Envelope, ...]],
        ghost: Any = None,
    ) -> None:
        super().__init__(views, up, letters, ghost)
        self._nodes = tuple(views.values())
        self._having: dict[tuple[str, ...], tuple[NodeView, ...]] = {}

    @property
    def nodes(self) -> tuple[NodeView, ...]:
        """All nodes, in the order in which they were given."""
        return self._nodes

    def having(self, *names: str) -> tuple[NodeView, ...]:
        """The nodes that have all these fields."""
        found = self._having.get(names)
        if found is None:
            found = self._having[names] = super().having(*names)
        return found


class _Seen:
    """What properties see of one node: now, before the step, and through each set of `reads`."""

    def __init__(self, host: Host, named: Iterable[str]) -> None:
        self.host = host
        self.up = host.alive
        self.node = host.node if host.alive else restart(host.node, host.disk)
        self.fields = self.node._durable + self.node._volatile
        known = {*self.fields, *self.node._config}
        # What a property reads may be computed by the node's class.
        self.computed = tuple(sorted(n for n in {*named} - known if hasattr(type(self.node), n)))
        values = {name: copy_value(getattr(self.node, name)) for name in self.fields}
        self.was = Past(self.node, values)
        self.now = Snapshot(self.node, values | {n: getattr(self.node, n) for n in self.computed})
        self._late: dict[str, Any] = {}  # the changes that `was` does not have yet
        self._views = [self.now]
        self._showing: dict[str, list[dict[str, Any]]] = {
            name: [] for name in (*self.fields, *self.computed)
        }

    def view(self, one: Property) -> Snapshot:
        """What `one` may see of the node."""
        if one.reads is None:
            return self.now
        values = {name: self.now.__dict__[name] for name in self._showing}
        view = Snapshot(self.node, values, frozenset(one.reads), f"property {one.name}")
        self._views.append(view)
        for name in self._showing:
            if name in one.reads:
                self._showing[name].append(view.__dict__)
        return view

    def move_to(self, node: Node, *, up: bool) -> None:
        """The node has died or come back."""
        self.up, self.node = up, node
        for view in (self.was, *self._views):
            view.move_to(node)

    def changes(self) -> dict[str, Any]:
        """The fields that are not what they were, taken over by every view but the past."""
        if self._late:
            self.was.__dict__.update(self._late)
        old, new = self.now.__dict__, self.node.__dict__
        found: dict[str, Any] = {}
        for name in self.fields:
            before, after = old[name], new[name]
            if after is not before and (after != before or type(after) is not type(before)):
                found[name] = copy_value(after) if type(after) in MUTABLE else after
        self._late = found
        if found:
            for name in self.computed:
                value = getattr(self.node, name)
                if value != old[name]:
                    found[name] = value
            old.update(found)
            for name, value in found.items():
                for shown_there in self._showing[name]:
                    shown_there[name] = value
        return found


class _Question:
    """One property, what it is shown, and whether it must be asked again."""

    def __init__(self, about: Property, scene: Scene) -> None:
        self.about = about
        self.scene = scene
        self.waits = about.kind != "eventually"
        self.each_step = about.messages is not None
        self.due = True

    def ask(self) -> bool | str:
        """Its answer at this moment."""
        self.due = self.each_step
        answer = call(self.about.name, self.about.predicate, self.scene)
        if self.scene.looked_at_messages:
            self.due = self.each_step = True
        return True if answer is True or said(self.about.name, answer) else answer


class Watch:
    """The properties of one run, and what they have said so far."""

    def __init__(self, sim: Simulation, properties: Iterable[Property]) -> None:
        self._sim = sim
        properties = tuple(properties)
        self._steps = [one for one in properties if one.kind == "step"]
        asked = [one for one in properties if one.kind != "step"]
        named = {name for one in asked for name in one.reads or ()}
        self._nodes = {name: _Seen(host, named) for name, host in sim._hosts.items()}
        self._questions = [_Question(one, self._scene(one)) for one in asked]
        self._folding = [q for q in self._questions if q.about.ghost is not None]
        self._readers = self._who_reads()
        self._heard = 0
        self.reached: dict[str, float] = {}
        """The `sometimes` and `eventually` that came true, and when."""
        self._hear()
        self._raise(self._judge())

    def _scene(self, one: Property) -> Scene:
        views = {name: seen.view(one) for name, seen in self._nodes.items()}
        ghost = None if one.ghost is None else one.ghost.initial
        return Scene(views, self._living(), self._letters(one.messages), ghost)

    def _who_reads(self) -> dict[str, list[_Question]]:
        """Field -> the properties that look at it."""
        names = {name for seen in self._nodes.values() for name in (*seen.fields, *seen.computed)}
        return {
            name: [q for q in self._questions if q.about.reads is None or name in q.about.reads]
            for name in names
        }

    def _letters(self, classes: tuple[str, ...] | None) -> Callable[[], tuple[Envelope, ...]]:
        return lambda: tuple(
            Envelope(letter.src, letter.dst, letter.msg)
            for letter in self._sim.pending()[0]
            if classes is None or type(letter.msg).__name__ in classes
        )

    # --- what happens ---

    def rebase(self, host: Host) -> None:
        """A dead node gets its disk, or an empty one: the step that follows begins from there."""
        seen = self._nodes[host.id]
        seen.move_to(host.node, up=False)
        seen.changes()

    def look(self, host: Host, *, birth: bool = False) -> None:
        """A node has taken a step, or died.

        Raises BrokenError if something does not hold.
        """
        seen = self._nodes[host.id]
        died = seen.up and not host.alive
        if died:
            seen.move_to(restart(host.node, host.disk), up=False)
        elif host.alive:
            seen.up = True
        changed = seen.changes()
        if died or birth:
            living = self._living()
            for question in self._questions:
                question.due, question.scene.up = True, living
        for name in changed:
            for question in self._readers[name]:
                question.due = True
        if self._folding:
            self._hear()
        broken = self._judge()
        if changed or died or birth:
            broken = self._judge_step(seen, across=died or birth) + broken
        self._raise(broken)

    def hope(self) -> None:
        """From now on each `eventually` is asked for, until it has come true."""
        for question in self._questions:
            if question.about.kind == "eventually":
                question.waits = question.due = True
        self._raise(self._judge())

    def hopes(self) -> list[Property]:
        """Each `eventually` that has not come true yet."""
        return [q.about for q in self._questions if q.about.kind == "eventually" and q.waits]

    def _living(self) -> frozenset[NodeId]:
        return frozenset(name for name, seen in self._nodes.items() if seen.up)

    def _hear(self) -> None:
        """Fold new notes into the ghosts."""
        events = self._sim.trace.events
        for seq in range(self._heard, len(events)):
            event = events[seq]
            if event.kind not in _HEARD:
                continue
            note = _note(event)
            for question in self._folding:
                about, scene = question.about, question.scene
                assert about.ghost is not None
                after = call(about.name, about.ghost.fold, scene.ghost, event.node, *note)
                if after is not scene.ghost:
                    scene.ghost, question.due = after, True
        self._heard = len(events)

    # --- questions ---

    def _judge_step(self, seen: _Seen, *, across: bool) -> list[Violation]:
        broken = []
        for one in self._steps:
            if across and not one.across_crashes:
                continue
            answer = call(one.name, one.predicate, seen.was, seen.now)
            if answer is not True and not said(one.name, answer):
                broken.append(self._violation(one, _step_explained(one, seen, answer)))
        return broken

    def _judge(self) -> list[Violation]:
        broken = []
        for question in self._questions:
            if not (question.due and question.waits):
                continue
            answer = question.ask()
            if question.about.kind == "always":
                if answer is not True:
                    broken.append(self._violation(question.about, self.explain(question, answer)))
            elif answer is True:
                question.waits = False
                self.reached[question.about.name] = self._sim.now_ms
        return broken

    def _raise(self, broken: list[Violation]) -> None:
        if broken:
            raise BrokenError(broken)

    def _violation(self, one: Property, explanation: str) -> Violation:
        return Violation(one.name, explanation, self._sim.now_ms)

    # --- explanations ---

    def explain(self, question: _Question, answer: bool | str) -> str:
        """Why it does not hold at this moment."""
        if isinstance(answer, str):
            return answer
        one, scene = question.about, question.scene
        if one.explain is not None:
            return str(call(one.name, one.explain, scene))
        taken: dict[tuple[NodeId, str], Any] = {}
        views = {name: NoteTaker(seen.node, taken) for name, seen in self._nodes.items()}
        letters = self._letters(one.messages)
        call(one.name, one.predicate, Scene(views, scene.up, letters, scene.ghost))
        if one.ghost is not None:
            taken["world", "ghost"] = scene.ghost
        return shown(taken.items()) or "the predicate is false"

    def disappointments(self, since_ms: float) -> list[Violation]:
        """What was hoped for and has not come true, and what is the case instead."""
        waited = self._sim.now_ms - since_ms
        return [
            self._violation(
                question.about,
                f"{waited:.0f} ms after the faults had stopped: "
                f"{self.explain(question, question.ask())}",
            )
            for question in self._questions
            if question.about.kind == "eventually" and question.waits
        ]


def _step_explained(one: Property, seen: _Seen, answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    if one.explain is not None:
        return str(call(one.name, one.explain, seen.was, seen.now))
    was, now = seen.was.__dict__, seen.now.__dict__
    changed = [f"{n} {was[n]!r} -> {now[n]!r}" for n in seen.fields if was[n] != now[n]]
    return f"{seen.host.id}: {', '.join(changed) or 'no field changed'}"


_HEARD = frozenset(("note", "invoke", "return"))


def _note(event: TraceEvent) -> tuple[str, Any]:
    """What a ghost hears of an event: a note's name and data."""
    data = event.data
    if event.kind == "note":
        return data["name"], data["data"]
    if event.kind == "invoke":
        return "invoke", data["operation"]
    return "return", (data["outcome"], data["value"])


class Watched(Simulation):
    """A simulation with somebody who looks after every step."""

    watch: Watch | None = None

    def _run(self, host: Host, event: Event, cause: int | None) -> None:
        watch = self.watch
        if watch is None:
            super()._run(host, event, cause)
            return
        birth = type(event) is Start
        if birth:
            watch.rebase(host)
        super()._run(host, event, cause)
        watch.look(host, birth=birth)

    def _strike(self, host: Host, fault: Fault, seq: int) -> None:
        super()._strike(host, fault, seq)
        if self.watch is not None and isinstance(fault, Kill):
            self.watch.look(host)
