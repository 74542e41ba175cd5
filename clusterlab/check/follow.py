"""The nodes of a run led along its trace, also while the trace still grows.

`replay` proves that a trace is what a program does, and needs the whole of it. `Walk` believes
it: each recorded input goes through `step` once, so following costs about what running cost.
What was saved is in the record, so a node that strays (another version of the class, a choice that
its outputs do not tell) is noticed at its next save: from there on only its disk is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from clusterlab.check.agreement import OUTPUTS, STEPS, agrees, same
from clusterlab.check.lives import take
from clusterlab.check.replay import ScriptEnv, shows
from clusterlab.core.node import CancelTimer, Node, NodeId, Save, Step, restart, write
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.core.values import Splice

OUTPUTS_WITHIN = 400
"""So many events after a step its outputs are looked for, if it chose."""
SCRIPTS_MAX = 64
"""So many ways to choose are tried."""


class Seen(NamedTuple):
    """What is known of a node after something happened to it."""

    seq: int
    """The event that happened; of a death within a step, the death."""
    node: NodeId
    fields: Mapping[str, Any]
    """Its declared fields; of a dead or strayed node, and of one that was not given, its disk."""
    marks: Mapping[str, Mapping[str, int]]
    dead: bool
    whole: bool
    """Whether `fields` has the volatile ones too."""


class Walk:
    """Nodes on their way along a trace.

    Args:
        trace: of any engine; it may grow.
        nodes: as they were before the first event (default: as the trace has them). Of others only
            what they saved is told.
    """

    def __init__(self, trace: Trace, nodes: Iterable[Node] = ()) -> None:
        self.trace = trace
        self.count = 0
        """How many events have been followed."""
        self._given = tuple(nodes)
        self._nodes: dict[NodeId, Node] = {}
        self._disks: dict[NodeId, dict[str, Any]] = {}
        self._clocks: dict[NodeId, tuple[float, float, float]] = {}
        self._saves: dict[NodeId, dict[int, Mapping[str, Any]]] = {}
        """What steps have saved that is not recorded yet, by the event that began the step."""
        self._strayed: set[NodeId] = set()
        self._dead: set[NodeId] = set()

    def until(self, end: int) -> Iterator[Seen]:
        """Follow the events before `end`; what is known of each node that something happened to."""
        events = self.trace.events
        end = min(end, len(events))
        self._meet()
        while self.count < end:
            event = events[self.count]
            self.count += 1
            seen = None if event.node is None else self._take(event, event.node)
            if seen is not None:
                yield seen

    def _meet(self) -> None:
        """Nodes may join: clients are added while a cluster runs."""
        for node in self._given or self.trace.nodes:
            if node.id not in self._nodes:
                self._nodes[node.id] = node.copy()
                self._disks[node.id] = node.saved()

    def _take(self, event: TraceEvent, name: NodeId) -> Seen | None:
        kind, data = event.kind, event.data
        if kind in STEPS:
            if name in self._dead or name in self._strayed or name not in self._nodes:
                return None
            self._step(event, name)
        elif kind == "save":
            return self._save(event, name)
        elif kind in ("kill", "error"):
            self._dead.add(name)
            self._saves.pop(name, None)
        elif kind == "restart":
            self._dead.discard(name)
            disk = self._disks.get(name, {}) if data["disk"] == "keep" else {}
            if name in self._nodes:
                self._nodes[name] = restart(self._nodes[name], disk)
                disk = self._nodes[name].saved()
                self._strayed.discard(name)
            self._disks[name] = disk
        elif kind == "skew":
            self._clocks[name] = (data["offset_ms"], data["rate"], event.at_ms)
            return None
        else:
            return None
        return self._seen(event.seq, name)

    def _seen(self, seq: int, name: NodeId) -> Seen:
        dead = name in self._dead
        whole = name in self._nodes and not dead and name not in self._strayed
        node = self._nodes[name] if whole else None
        if node is None:
            return Seen(seq, name, dict(self._disks.get(name, {})), {}, dead, whole=False)
        return Seen(seq, name, node.state(), node.marks(), dead, whole=True)

    def _save(self, event: TraceEvent, name: NodeId) -> Seen | None:
        """What reached the disk; news if the node was not followed there."""
        values = event.data["values"]
        disk = self._disks.setdefault(name, {})
        for field, value in values.items():
            if type(value) is Splice:
                disk.setdefault(field, ())  # a tuple of a node that was not given: it was empty
        write(disk, Save(values))
        own = self._saves.get(name, {}).pop(event.cause or 0, None)
        if name not in self._nodes or name in self._strayed:
            return self._seen(event.seq, name)
        if own is None or not same(dict(own), dict(values)):
            self._strayed.add(name)
            return self._seen(event.seq, name)
        return None

    def _step(self, event: TraceEvent, name: NodeId) -> None:
        node = self._nodes[name]
        now_ms = event.data.get("now_ms", shows(event.at_ms, self._clocks.get(name, (0, 1, 0))))
        env = ScriptEnv(now_ms, ())
        made = take(node, event, env)
        if env.options:
            made = self._chosen(event, node, now_ms, env.options) or made
        self._nodes[name] = made.node
        for effect in made.effects:
            if isinstance(effect, Save):
                self._saves.setdefault(name, {})[event.seq] = effect.values

    def _chosen(
        self, event: TraceEvent, node: Node, now_ms: int, options: list[int]
    ) -> Step | None:
        """The step with the choices that bring what was recorded; None if no way does."""
        near = self.trace.events[event.seq + 1 : event.seq + OUTPUTS_WITHIN]
        recorded = [e for e in near if e.cause == event.seq and e.kind in OUTPUTS]
        recorded = [e for e in recorded if e.kind not in ("state", "error", "cancel_timer")]
        script: list[int] = []
        for _ in range(SCRIPTS_MAX):
            env = ScriptEnv(now_ms, script)
            made = take(node, event, env)
            if _brings(made, recorded):
                return made
            options = env.options
            script = [*script, *([0] * len(options))][: len(options)]
            while script and script[-1] + 1 >= options[len(script) - 1]:
                script.pop()
            if not script:
                return None
            script[-1] += 1
        return None


def _brings(made: Step, recorded: list[TraceEvent]) -> bool:
    """Whether these effects are what was recorded, in order; cancelled timers are left aside."""
    told = [effect for effect in made.effects if not isinstance(effect, CancelTimer)]
    pairs = zip(told, recorded, strict=False)
    return all(agrees(effect, event, timed=False) for effect, event in pairs)
