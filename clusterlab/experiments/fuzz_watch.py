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


class _Seen:
    """What properties see of one node: now, before the step, and through each set of `reads`."""

    def __init__(self, host: Host, asked: Iterable[Property]) -> None:
        self.host = host
        self.up = host.alive
        self.node = host.node if host.alive else restart(host.node, host.disk)
        self.fields = self.node._durable + self.node._volatile
        self.last: dict[str, Any] = {}  # the changes that `was` does not have yet
        named = {name for one in asked for name in one.reads or ()}
        known = {*self.fields, *self.node._config}
        # What a property reads may be computed by the node's class.
        self.computed = tuple(
            sorted(name for name in named - known if hasattr(type(self.node), name))
        )
        values = {name: copy_value(getattr(self.node, name)) for name in self.fields}
        computed = {name: getattr(self.node, name) for name in self.computed}
        self.now = Snapshot(self.node, values | computed)
        self.was = Past(self.node, values)
        self.views: dict[str, Snapshot] = {}
        for one in asked:
            if one.reads is not None:
                reads, whose = frozenset(one.reads), f"property {one.name}"
                self.views[one.name] = Snapshot(self.node, values | computed, reads, whose)

    def move_to(self, node: Node, *, up: bool) -> None:
        """The node has died or come back."""
        self.up, self.node = up, node
        for view in (self.now, self.was, *self.views.values()):
            view.move_to(node)

    def changes(self) -> dict[str, Any]:
        """The fields that are not what they were, taken over by every view but the past."""
        if self.last:
            self.was.__dict__.update(self.last)
        old, new = self.now.__dict__, self.node.__dict__
        found: dict[str, Any] = {}
        for name in self.fields:
            before, after = old[name], new[name]
            if after is not before and (after != before or type(after) is not type(before)):
                found[name] = copy_value(after) if type(after) in MUTABLE else after
        self.last = found
        if found:
            for name in self.computed:
                value = getattr(self.node, name)
                if value != old[name]:
                    found[name] = value
            old.update(found)
            for view in self.views.values():
                names = view._reads
                view.__dict__.update({k: v for k, v in found.items() if k in names})
        return found


class Watch:
    """The properties of one run, and what they have said so far."""

    def __init__(self, sim: Simulation, properties: Iterable[Property]) -> None:
        self._sim = sim
        properties = tuple(properties)
        self._steps = [one for one in properties if one.kind == "step"]
        self._asked = [one for one in properties if one.kind != "step"]
        self._hopes: list[Property] = []
        self.reached: dict[str, float] = {}
        """The `sometimes` and `eventually` that came true, and when."""
        self._ghosts = {one.name: one.ghost.initial for one in properties if one.ghost is not None}
        self._folding = [one for one in properties if one.ghost is not None]
        self._all_mail = {one.name for one in properties if one.messages is not None}
        self._heard = 0
        self._nodes = {name: _Seen(host, self._asked) for name, host in sim._hosts.items()}
        self._up = self._living()
        self._worlds = {one.name: self._views_of(one) for one in self._asked}
        self._readers = self._who_reads()
        self._hear()
        broken = self._judge({one.name for one in self._asked})
        if broken:
            raise BrokenError(broken)

    def _views_of(self, one: Property) -> dict[NodeId, NodeView]:
        if one.reads is None:
            return {name: seen.now for name, seen in self._nodes.items()}
        return {name: seen.views[one.name] for name, seen in self._nodes.items()}

    def _who_reads(self) -> dict[str, set[str]]:
        """Field -> the names of the properties that look at it."""
        readers: dict[str, set[str]] = {}
        for seen in self._nodes.values():
            for name in (*seen.fields, *seen.computed):
                readers.setdefault(name, set()).update(
                    one.name for one in self._asked if one.reads is None or name in one.reads
                )
        return readers

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
        died, came_up = seen.up and not host.alive, host.alive and not seen.up
        if died:
            seen.move_to(restart(host.node, host.disk), up=False)
        elif came_up:
            seen.up = True
        changed = seen.changes()
        dirty = set(self._all_mail)
        if died or came_up:
            self._up = self._living()
            dirty = {one.name for one in self._asked}
        for name in changed:
            dirty |= self._readers[name]
        dirty |= self._hear()
        broken = []
        if changed or died or birth:
            broken = self._judge_step(seen, across=died or birth)
        if dirty:
            broken += self._judge(dirty)
        if broken:
            raise BrokenError(broken)

    def hope(self, properties: Iterable[Property]) -> None:
        """From now on `eventually` is asked for, until it has come true."""
        self._hopes = list(properties)
        self._judge({one.name for one in self._hopes})

    @property
    def hopes(self) -> list[Property]:
        """What has not come true yet."""
        return self._hopes

    def _living(self) -> frozenset[NodeId]:
        return frozenset(name for name, seen in self._nodes.items() if seen.up)

    def _hear(self) -> set[str]:
        """Fold new notes into the ghosts; the names of those whose ghost has changed."""
        events = self._sim.trace.events
        heard, self._heard = self._heard, len(events)
        if not self._folding:
            return set()
        changed = set()
        for event in events[heard:]:
            note = _note(event)
            if note is None:
                continue
            for one in self._folding:
                assert one.ghost is not None
                before = self._ghosts[one.name]
                after = call(one.name, one.ghost.fold, before, event.node, *note)
                if after is not before:
                    self._ghosts[one.name] = after
                    changed.add(one.name)
        return changed

    # --- questions ---

    def _judge_step(self, seen: _Seen, *, across: bool) -> list[Violation]:
        broken = []
        for one in self._steps:
            if across and not one.across_crashes:
                continue
            answer = call(one.name, one.predicate, seen.was, seen.now)
            if answer is not True and not said(one.name, answer):
                broken.append(self._violation(one, self._step_explained(one, seen, answer)))
        return broken

    def _judge(self, dirty: set[str]) -> list[Violation]:
        broken = []
        for one in self._asked:
            if one.name not in dirty or (one.kind != "always" and not self._waits(one)):
                continue
            world = self._world(one)
            answer = call(one.name, one.predicate, world)
            holds = answer is True or said(one.name, answer)
            if world.looked_at_messages:
                self._all_mail.add(one.name)
            if one.kind != "always":
                if holds:
                    self.reached[one.name] = self._sim.now_ms
                    self._hopes = [hope for hope in self._hopes if hope is not one]
            elif not holds:
                broken.append(self._violation(one, self.explain(one, answer)))
        return broken

    def _waits(self, one: Property) -> bool:
        """Whether it is still to come true."""
        return one in self._hopes if one.kind == "eventually" else one.name not in self.reached

    def _violation(self, one: Property, explanation: str) -> Violation:
        return Violation(one.name, explanation, self._sim.now_ms)

    def _world(self, one: Property, views: Mapping[NodeId, NodeView] | None = None) -> World:
        return World(
            views if views is not None else self._worlds[one.name],
            self._up,
            self._letters(one.messages),
            self._ghosts.get(one.name),
        )

    def _letters(self, classes: tuple[str, ...] | None) -> Callable[[], tuple[Envelope, ...]]:
        return lambda: tuple(
            Envelope(letter.src, letter.dst, letter.msg)
            for letter in self._sim.pending()[0]
            if classes is None or type(letter.msg).__name__ in classes
        )

    # --- explanations ---

    def explain(self, one: Property, answer: Any) -> str:
        """Why it does not hold at this moment."""
        if isinstance(answer, str):
            return answer
        if one.explain is not None:
            return str(call(one.name, one.explain, self._world(one)))
        taken: dict[tuple[NodeId, str], Any] = {}
        views = {name: NoteTaker(seen.node, taken) for name, seen in self._nodes.items()}
        call(one.name, one.predicate, self._world(one, views))
        if one.ghost is not None:
            taken["world", "ghost"] = self._ghosts[one.name]
        return shown(taken.items()) or "the predicate is false"

    def disappointments(self, since_ms: float) -> list[Violation]:
        """The hopes that have not come true, and what is the case instead."""
        found = []
        for one in self._hopes:
            answer = call(one.name, one.predicate, self._world(one))
            why = self.explain(one, answer)
            waited = self._sim.now_ms - since_ms
            found.append(
                self._violation(one, f"{waited:.0f} ms after the faults had stopped: {why}")
            )
        return found

    def _step_explained(self, one: Property, seen: _Seen, answer: Any) -> str:
        if isinstance(answer, str):
            return answer
        if one.explain is not None:
            return str(call(one.name, one.explain, seen.was, seen.now))
        was, now = seen.was.__dict__, seen.now.__dict__
        changed = [
            f"{name} {was[name]!r} -> {now[name]!r}"
            for name in seen.fields
            if was[name] != now[name]
        ]
        return f"{seen.host.id}: {', '.join(changed) or 'no field changed'}"


def _note(event: TraceEvent) -> tuple[str, Any] | None:
    """What a ghost hears of an event: a note's name and data."""
    kind, data = event.kind, event.data
    if kind == "note":
        return data["name"], data["data"]
    if kind == "invoke":
        return "invoke", data["operation"]
    if kind == "return":
        return "return", (data["outcome"], data["value"])
    return None


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
