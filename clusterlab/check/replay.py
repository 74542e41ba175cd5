"""Run a recorded trace again, node by node: is it what this program does?

A trace holds what went into every step of every node (start, deliver, fire) and what came out.
Steps are pure, so the same events through the same class must bring the same effects; where they
do not, the trace is of another program, the step depended on something that is not in the record,
or the engine is wrong. Simulated and live runs are replayed alike, which is the proof that both
ran one program (compare "Validating Traces of Distributed Programs Against TLA+ Specifications",
Cirstea, Kuppe, Loillier and Merz 2024).

A trace does not say what `choose` drew: all options are tried, and every state that explains the
record is followed (up to CANDIDATES_MAX of them). A drawn timer is compared with its range only,
and of a run that was taken by hand not even with that.
The node's clock follows from the time of the event and the skews before it: it stands still for
the length of a step, in every engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from clusterlab.check.agreement import OUTPUTS, STEPS, Record, agrees, name, same, tells, words
from clusterlab.core.errors import NodeError, ScenarioError, TraceError
from clusterlab.core.faults import check_name
from clusterlab.core.node import (
    WORLD,
    Deliver,
    Effect,
    Env,
    Event,
    Fire,
    Node,
    NodeId,
    Save,
    Send,
    Start,
    Timer,
    restart,
    step,
    write,
)
from clusterlab.core.trace import Trace, TraceEvent

T = TypeVar("T")

CANDIDATES_MAX = 64
"""How many states of one node are followed when what it chose cannot be told from what it did."""
SCRIPTS_MAX = 4_096
"""How many ways to choose are tried in one step."""


@dataclass(frozen=True)
class Disagreement:
    """Where a node, replayed, did something else than the trace says."""

    event: TraceEvent
    """The first event that does not agree; of something that is not recorded, what began the
    step."""
    recorded: str | None
    """What the trace has there; None if nothing."""
    did: str | None
    """What the node did; None if nothing."""
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass
class Replay:
    """What `replay` found: the disagreements, at most one of each node, in the order of the trace.

    It has a length and is iterable as a list of them is, so it is false when all agree.
    """

    disagreements: list[Disagreement] = field(default_factory=list)
    steps: dict[NodeId, int] = field(default_factory=dict)
    """How many steps of each node were run again, and agreed."""
    left_out: tuple[NodeId, ...] = ()
    """Nodes of the trace that were not given, so they were not replayed."""
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    """Each node as it was at the end; of a dead one, as it was when it died."""
    disks: dict[NodeId, dict[str, Any]] = field(default_factory=dict)
    """What each disk held at the end."""
    timers: dict[NodeId, frozenset[Timer]] = field(default_factory=dict)
    """What each node waited for at the end."""
    choices: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """By the seq of the event that began a step: which option each `choose` must have taken, in one
    way that explains the whole record."""

    def __iter__(self) -> Iterator[Disagreement]:
        return iter(self.disagreements)

    def __len__(self) -> int:
        return len(self.disagreements)

    def __str__(self) -> str:
        total = sum(self.steps.values())
        text = f"{total} steps of {len(self.steps)} nodes were run again: "
        if self.disagreements:
            text += "; ".join(map(str, self.disagreements))
        else:
            text += "each did what the trace says."
        if self.left_out:
            text += f" Not replayed, since they were not given: {', '.join(self.left_out)}."
        return text


def replay(trace: Trace, nodes: Iterable[Node], *, until: int | None = None) -> Replay:
    """Run the steps of `nodes` that `trace` records again, and compare.

    Parameters
    ----------
    trace:
        Of a simulation or a live run, also one that was saved and loaded.
    nodes:
        The nodes as they were given to the cluster, clients too; they stay as they are.
    until:
        The seq of the event before which to stop (None: the end).

    Raises TraceError if the trace was recorded without messages, UnknownNode if it has no such
    node, and ScenarioError if none is given.

    >>> trace = Trace()
    >>> begin = trace.append(0, "n1", "start", {})
    >>> class Waker(Node):
    ...     def on_start(self):
    ...         self.note("awake", 1)
    >>> for found in replay(trace, [Waker("n1")]):
    ...     print(found)
    in the step that event 0 (start) began, n1 did note name='awake', data=1, which the trace does
    not have.
    """
    if trace.meta.get("record") is False:
        raise TraceError(
            "this trace was recorded without messages and timers (record=False), so its steps "
            "cannot be run again: run the cluster with record=True."
        )
    nodes = list(nodes)
    known = {event.node for event in trace if event.kind == "start" and event.node is not None}
    for node in nodes:
        check_name(node.id, sorted(known), "node in the trace")
    if not nodes:
        raise ScenarioError("replay was given no node: give those that the cluster was made of.")
    given = {node.id for node in nodes}
    found = Replay(left_out=tuple(sorted(known - given)))
    record = Record(trace, until)
    for node in nodes:
        replayed = _Replayed(node, record)
        disagreement = replayed.run()
        if disagreement is not None:
            found.disagreements.append(disagreement)
        found.steps[node.id] = replayed.steps
        found.nodes[node.id] = replayed.candidates[0].node
        found.disks[node.id] = replayed.disk
        found.timers[node.id] = frozenset(replayed.pending)
        found.choices.update(replayed.candidates[0].chosen())
    found.disagreements.sort(key=lambda one: one.event.seq)
    return found


def shows(at_ms: float, skewed: tuple[float, float, float] = (0.0, 1.0, 0.0)) -> int:
    """What a node's clock shows, if it was skewed by (offset_ms, rate) at some time."""
    offset_ms, rate, since_ms = skewed
    return int(at_ms + offset_ms + (rate - 1.0) * (at_ms - since_ms))


class ScriptEnv(Env):
    """The clock as the trace has it, and choices from a script; it notes how many options."""

    __slots__ = ("options", "script")

    def __init__(self, now_ms: int, script: Sequence[int]) -> None:
        super().__init__(now_ms)
        self.script = script
        self.options: list[int] = []

    def choose(self, options: Sequence[T]) -> T:
        """As the script says; the first option where it says nothing."""
        place = len(self.options)
        self.options.append(len(options))
        return options[self.script[place] if place < len(self.script) else 0]


class _Candidate(NamedTuple):
    """A state that explains the record so far, and the choices that led to it, newest first."""

    node: Node
    seq: int | None = None
    took: tuple[int, ...] = ()
    before: _Candidate | None = None

    def then(self, node: Node, seq: int, took: tuple[int, ...]) -> _Candidate:
        """After one more step; only steps that chose are kept."""
        return _Candidate(node, seq, took, self) if took else self._replace(node=node)

    def chosen(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The steps that chose, and what."""
        at: _Candidate | None = self
        while at is not None:
            if at.seq is not None:
                yield at.seq, at.took
            at = at.before


class _Try(NamedTuple):
    """One way in which a step may have gone, and how far it agrees with the record."""

    node: Node
    effects: tuple[Effect, ...]
    pending: set[Timer]
    agreed: int
    event: TraceEvent | None = None
    did: str | None = None
    agrees: bool = False
    took: tuple[int, ...] = ()


class _Replayed:
    """One node, its disk, its timers and its clock, on the way through a trace."""

    def __init__(self, node: Node, record: Record) -> None:
        self.id = node.id
        self.record = record
        self.candidates = [_Candidate(node.copy())]
        self.disk = node.saved()
        self.synced: dict[str, Any] | None = None  # of a disk that lies: what it really holds
        self.pending: set[Timer] = set()
        self.alive = True
        self.shown: Mapping[str, Any] | None = None
        self.skewed = (0.0, 1.0, 0.0)
        self.steps = 0
        self.chose = 0

    def run(self) -> Disagreement | None:
        """Through all events of the node, up to the first disagreement."""
        begun: set[int] = set()
        for event in self.record.of[self.id]:
            kind, data = event.kind, event.data
            if kind in STEPS:
                begun.add(event.seq)
                found = self._begin(event)
                if found is not None:
                    return found
            elif kind == "kill" or (kind == "error" and event.cause is None):
                self._die()
            elif kind == "restart":
                disk = {} if data["disk"] == "lose" else self.disk
                first = self.candidates[0]
                self.candidates = [first._replace(node=restart(first.node, disk))]
                self.disk = self.candidates[0].node.saved()
                self.alive, self.shown = True, None
            elif kind == "disk_lies":
                self.synced = dict(self.disk) if data["lies"] else None
            elif kind == "skew":
                self.skewed = (data["offset_ms"], data["rate"], event.at_ms)
            elif kind in OUTPUTS and event.cause not in begun:
                return Disagreement(
                    event,
                    event.words(),
                    None,
                    f"{name(event)} came out of no step of {self.id} that the trace tells: "
                    "the trace has a gap, or an older version wrote it; record it again.",
                )
        return None

    def _begin(self, event: TraceEvent) -> Disagreement | None:
        """One recorded step, once what began it is possible."""
        if not self.alive:
            return self._impossible(event, f"{self.id} was dead")
        if event.kind == "deliver":
            if not self.record.sent(event):
                sent = f"event {event.cause} sent" if event.cause is not None else "any node sent"
                return self._impossible(event, f"it is not what {sent}")
            return self._step(event, Deliver(event.data["src"], event.data["msg"]))
        if event.kind == "fire":
            timer = event.data["timer"]
            mine = next((t for t in self.pending if same(t, timer)), None)
            if mine is None:
                return self._impossible(event, "that timer was not pending")
            self.pending.discard(mine)
            return self._step(event, Fire(mine))
        return self._step(event, Start())

    def _impossible(self, event: TraceEvent, why: str) -> Disagreement:
        sentence = f"{name(event)} cannot have happened: {why}."
        return Disagreement(event, event.words(), None, sentence)

    def _die(self) -> None:
        self.alive = False
        if self.synced is not None:
            self.disk, self.synced = self.synced, None
        self.pending = set()

    def _step(self, begin: TraceEvent, event: Event) -> Disagreement | None:
        recorded = self.record.outputs.get(begin.seq, [])
        now = begin.data.get("now_ms", shows(begin.at_ms, self.skewed))
        agreed: dict[Any, tuple[_Candidate, _Try]] = {}
        best: _Try | None = None
        self.chose = 0
        for candidate in self.candidates:
            for attempt in self._ways(candidate.node, event, now, recorded):
                if attempt.agrees:
                    agreed.setdefault(attempt.node.frozen_key(), (candidate, attempt))
                elif best is None or attempt.agreed > best.agreed:
                    best = attempt
            if len(agreed) > CANDIDATES_MAX:
                break
        if not agreed:
            assert best is not None
            return self._disagreement(begin, best)
        _, first = next(iter(agreed.values()))
        self.candidates = [
            candidate.then(attempt.node, begin.seq, attempt.took)
            for candidate, attempt in agreed.values()
        ][:CANDIDATES_MAX]
        self.pending = first.pending
        for effect in first.effects:
            if isinstance(effect, Save):
                write(self.disk, effect)
        for output in recorded:
            if output.kind == "state":
                self.shown = output.data
            elif output.kind in ("kill", "error"):
                self._die()
        self.steps += 1
        return None

    def _ways(
        self, node: Node, event: Event, now_ms: int, recorded: list[TraceEvent]
    ) -> Iterator[_Try]:
        """The step in every way in which it could have chosen, compared with the record."""
        script: list[int] = []
        for _ in range(SCRIPTS_MAX):
            env = ScriptEnv(now_ms, script)
            raised: NodeError | None = None
            after, effects = node, tuple[Effect, ...]()
            try:
                after, effects = step(node, event, env)
            except NodeError as error:
                raised = error
            self.chose += bool(env.options)
            script = [*script, *([0] * (len(env.options) - len(script)))][: len(env.options)]
            attempt = self._compare(after, effects, recorded, raised)
            yield attempt._replace(took=tuple(script)) if script else attempt
            # The next script: the last choice that has another option takes it.
            while script and script[-1] + 1 >= env.options[len(script) - 1]:
                script.pop()
            if not script:
                return
            script[-1] += 1

    def _compare(
        self,
        node: Node,
        effects: tuple[Effect, ...],
        recorded: list[TraceEvent],
        raised: NodeError | None,
    ) -> _Try:
        """How far a step agrees with what was recorded of it."""
        pending = set(self.pending)
        end = next((e for e in recorded if e.kind in ("kill", "error")), None)
        if end is not None and end.kind == "kill":
            effects = effects[: end.data["effects"]]
        left = [e for e in recorded if e.kind not in ("kill", "error", "state")]
        agreed = 0
        for place, effect in enumerate(effects):
            if not tells(effect, pending):
                continue
            if agreed == len(left):
                if end is not None and end.kind == "error" and self._to_nobody(effect):
                    return _Try(node, effects[:place], pending, agreed, agrees=True)
                return _Try(node, effects, pending, agreed, None, words(effect))
            if not agrees(effect, left[agreed], timed=self.record.timed):
                return _Try(node, effects, pending, agreed, left[agreed], words(effect))
            agreed += 1
        if agreed < len(left):
            did = f"raise: {raised}" if raised is not None else None
            return _Try(node, effects, pending, agreed, left[agreed], did)
        if raised is not None:
            fine = end is not None and end.kind == "error"
            return _Try(node, (), pending, agreed, None, f"raise: {raised}", fine)
        if end is not None and end.kind == "error":
            return _Try(node, effects, pending, agreed, end, None)
        return self._compare_state(node, effects, pending, agreed, recorded, end)

    def _compare_state(
        self,
        node: Node,
        effects: tuple[Effect, ...],
        pending: set[Timer],
        agreed: int,
        recorded: list[TraceEvent],
        end: TraceEvent | None,
    ) -> _Try:
        """Whether the node shows what the trace says that it shows."""
        told = next((e for e in recorded if e.kind == "state"), None)
        status: Mapping[str, Any] | None = None
        if end is None and type(node).status is not Node.status:
            status = node.status()
            if self.shown is not None and same(dict(status), dict(self.shown)):
                status = None
        if told is not None and (status is None or not same(dict(status), dict(told.data))):
            did = None if status is None else f"state {dict(status)}"
            return _Try(node, effects, pending, agreed, told, did)
        if told is None and status is not None:
            return _Try(node, effects, pending, agreed, None, f"state {dict(status)}")
        return _Try(node, effects, pending, agreed, agrees=True)

    def _to_nobody(self, effect: Effect) -> bool:
        """A message to a node that does not exist, of which its sender died."""
        return isinstance(effect, Send) and effect.dst != WORLD and effect.dst not in self.record.of

    def _disagreement(self, begin: TraceEvent, best: _Try) -> Disagreement:
        event, did = best.event, best.did
        if event is None:
            text = (
                f"in the step that {name(begin)} began, {self.id} did {did}, "
                "which the trace does not have"
            )
        else:
            text = (
                f"{name(event)} was recorded in the step that {name(begin)} began; "
                f"run again, {self.id} did {did or 'nothing of the kind'}"
            )
            text += " instead" if did else ""
        if self.chose > 1:
            text += f" (the trace does not say what it chose: none of {self.chose} ways agrees)"
        recorded = None if event is None else event.words()
        return Disagreement(event or begin, recorded, did, text + ".")
