"""A recorded run taken apart into the things that happened in it.

What happens is a list of steps: a message arrives, a timer fires, an operation is handed to a node,
a node dies or comes back. Loss, delay, reordering and partitions need no step of their own: what is
not told to arrive has not arrived.

A message is known by where it came from, "the first RequestVote that step 7 sent to n3", and not by
what is in it: when an election is left out, the terms in all later messages change, and the
messages are the same ones all the same (the fingerprints of Scott et al., "Minimizing Faulty
Executions of Distributed Systems", 2016, serve the same end).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from clusterlab.check.moves import Move
from clusterlab.check.replay import replay, shows
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import WORLD, Node, NodeId
from clusterlab.core.trace import Trace, TraceEvent

Source: TypeAlias = "int | NodeId"
"""The number of a step, or the node whose first start it was."""


class Letter(NamedTuple):
    """A message by where it came from."""

    sent_by: Source
    dst: NodeId
    kind: str
    """The name of its class."""
    place: int
    """Which of those that one step sent to that node."""


class Step(NamedTuple):
    """One thing that happens, and what tells it from others of its kind."""

    number: int
    move: Move
    letter: Letter | None = None
    """Of a message that arrives."""
    clock_ms: int = 0
    """What the node's clock shows."""

    def renamed(self, names: Mapping[NodeId, NodeId]) -> Step:
        """The same with other nodes."""
        move, letter = self.move, self.letter
        src = None if move.src is None else names.get(move.src, move.src)
        move = move._replace(node=names.get(move.node, move.node), src=src)
        if letter is not None:
            letter = letter._replace(dst=move.node)
        return self._replace(move=move, letter=letter)


class Beginning(NamedTuple):
    """What the nodes' first starts saw: by node, its choices and its clock."""

    choices: dict[NodeId, tuple[int, ...]]
    clock_ms: dict[NodeId, int]


def steps_of(trace: Trace, nodes: Iterable[Node]) -> tuple[Beginning, list[Step]]:
    """The steps of a recorded run.

    Raises ScenarioError if the trace is not of these nodes: then it says nothing of them.
    """
    began = {event.node for event in trace if event.kind == "start"}
    found = replay(trace, [node for node in nodes if node.id in began])
    if found:
        raise ScenarioError(
            f"this trace is not a run of these nodes: {found.disagreements[0]} "
            "Give the nodes of that run, clients too, configured alike."
        )
    if found.left_out:
        raise ScenarioError(
            f"the trace has {', '.join(found.left_out)} as well: give all of its nodes, clients "
            "too."
        )
    return _Reader(trace, found.choices).read()


class _Reader:
    """Reads a trace from its beginning to its end."""

    def __init__(self, trace: Trace, choices: dict[int, tuple[int, ...]]) -> None:
        self.trace = trace
        self.choices = choices
        self.steps: dict[int, Step] = {}
        self.source: dict[int, Source] = {}  # seq of what began a step -> the step
        self.letters: dict[int, Letter] = {}  # seq of a send -> the message
        self.sent: Counter[tuple[Source, NodeId, str]] = Counter()
        self.skewed: dict[NodeId, tuple[float, float, float]] = {}
        self.newest: dict[Letter, int] = {}  # the message -> the step at which it last arrived

    def read(self) -> tuple[Beginning, list[Step]]:
        begin = Beginning({}, {})
        for event in self.trace:
            self._look(event, begin)
        return begin, [self.steps[number] for number in sorted(self.steps)]

    def _look(self, event: TraceEvent, begin: Beginning) -> None:
        node, data, seq = event.node, event.data, event.seq
        if node is None:
            return
        match event.kind:
            case "skew":
                self.skewed[node] = (data["offset_ms"], data["rate"], event.at_ms)
            case "start" if event.cause is None:
                self.source[seq] = node
                begin.choices[node] = self.choices.get(seq, ())
                begin.clock_ms[node] = self._clock(event)
            case "start":  # of the restart before it
                self.source[seq] = number = event.cause or 0
                took = self.choices.get(seq, ())
                one = self.steps[number]
                move = one.move._replace(choices=took)
                self.steps[number] = one._replace(move=move, clock_ms=self._clock(event))
            case "send":
                self._sent(event)
            case "duplicate":
                self.letters[seq] = self.letters[event.cause or 0]
            case "fire":
                self._step(event, Move("fire", node, msg=data["timer"]))
            case "deliver" if data["src"] == WORLD:
                self._step(event, Move("invoke", node, WORLD, data["msg"].operation))
            case "deliver":
                letter = self.letters[event.cause or 0]
                self._step(event, Move("deliver", node, data["src"], data["msg"]), letter)
            case "kill" if event.cause is not None and event.cause in self.source:
                self._dies_within(self.source[event.cause], data["effects"])
            case "kill":
                self._step(event, Move("kill", node))
            case "restart":
                self._step(event, Move("restart", node, disk=data["disk"]))

    def _clock(self, event: TraceEvent) -> int:
        shown = event.data.get("now_ms")
        skewed = self.skewed.get(event.node or "", (0.0, 1.0, 0.0))
        return shows(event.at_ms, skewed) if shown is None else int(shown)

    def _step(self, event: TraceEvent, move: Move, letter: Letter | None = None) -> None:
        seq = event.seq
        if letter is not None:
            earlier = self.newest.get(letter)
            if earlier is not None:  # it arrived before, so that was a copy
                one = self.steps[earlier]
                self.steps[earlier] = one._replace(move=one.move._replace(copy=True))
            self.newest[letter] = seq
        move = move._replace(choices=self.choices.get(seq, ()))
        self.source[seq] = seq
        self.steps[seq] = Step(seq, move, letter, self._clock(event))

    def _sent(self, event: TraceEvent) -> None:
        source = self.source[event.cause or 0]
        key = (source, event.data["dst"], type(event.data["msg"]).__name__)
        self.letters[event.seq] = Letter(*key, self.sent[key])
        self.sent[key] += 1

    def _dies_within(self, source: Source, effects: int) -> None:
        if isinstance(source, int):
            one = self.steps[source]
            self.steps[source] = one._replace(move=one.move._replace(effects=effects))
