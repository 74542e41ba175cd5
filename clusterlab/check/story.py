"""A run told in words: from the first cause to what went wrong, and nothing beside it.

Only the causal past of the violation is told (Lamport 1978: an event is after its cause, and after
the earlier events of its node): of the last event, and of the last events of the nodes that the
explanation names. A run that was shrunk, or found by a search, has nothing beside it, and is told
whole. The sentences stay with one node as long as causes allow, and each
names the number of its event in the trace, where the player can be opened.

What did not arrive is not told: a loss and a cut show in what nobody does.

What a node did is told as its fields, before and after. A protocol may say it better: a node with a
method `in_words(name, before)` gives the words for what a step did to one field ("votes for n1 in
term 2"), "" if that is not worth a word, or None to have its values told.

>>> from clusterlab.core.node import Message, Node, durable
>>> class Set(Message):
...     value: int
>>> class Cell(Node):
...     value: int = durable(0)
...
...     def on_set(self, src, m):
...         self.value = m.value
>>> from clusterlab.check.explore import explore
>>> report = explore([Cell("a")], invoke=[], goal=lambda world: True)
>>> print(report.story())
Nothing had to happen.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

from clusterlab.check.agreement import STEPS
from clusterlab.check.lives import lives_of
from clusterlab.core.history import Invoke
from clusterlab.core.node import WORLD, Node, NodeId
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.core.values import apply_change

WORDS_MAX = 100
"""A value is cut to so many characters."""


class Sentence(NamedTuple):
    """What happened at one node at one moment."""

    seq: int
    """Its event in the trace."""
    node: NodeId
    text: str

    def __str__(self) -> str:
        return f"#{self.seq} {self.text}"


@dataclass(frozen=True)
class Story:
    """The sentences, from the first cause on, and what they come to."""

    sentences: tuple[Sentence, ...]
    end: str

    def lines(self) -> list[str]:
        """The story as lines of text, a group for each stay with a node."""
        lines: list[str] = []
        last = None
        for sentence in self.sentences:
            if sentence.node != last:
                lines.append(f"{sentence.node}:")
            last = sentence.node
            lines.append(f"  {sentence}")
        if not lines:
            lines.append("Nothing had to happen.")
        return [*lines, *([self.end] if self.end else [])]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self)}


def tell(
    trace: Trace,
    nodes: Iterable[Node] = (),
    *,
    property: str | None = None,  # noqa: A002 - as reports call it
    explanation: str = "",
) -> Story:
    """What led to the end of this run.

    Parameters
    ----------
    trace:
        Of any engine; best one that is as short as it can be.
    nodes:
        The nodes as they were given to the cluster. Without them only what the trace records is
        told: no volatile fields, no words of the protocol.
    property, explanation:
        What was violated, and by which values (default: as the trace of a shrunk run has it); the
        nodes that the sentence names belong to the end.
    """
    property = property or trace.meta.get("property")  # noqa: A001 - likewise
    explanation = explanation or trace.meta.get("explanation", "")
    return _Teller(trace, list(nodes)).tell(property, explanation)


class _Moment(NamedTuple):
    """Something that happened to a node, and what came of it."""

    begin: TraceEvent
    outputs: list[TraceEvent]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    nodes: tuple[Node, Node] | None
    """Before and after, if the nodes are known."""


class _Teller:
    def __init__(self, trace: Trace, nodes: Sequence[Node]) -> None:
        self.trace = trace
        self.outputs: dict[int, list[TraceEvent]] = defaultdict(list)
        for event in trace:
            if event.cause is not None and event.kind not in ("deliver", "drop"):
                self.outputs[event.cause].append(event)
        self.lives = lives_of(trace, nodes)
        self.moments = self._moments()
        # (node, field) -> the event that gave it its value, in words; likewise of what was lost.
        self.told: dict[tuple[NodeId, str], tuple[int, str]] = {}
        self.forgotten: dict[tuple[NodeId, str], tuple[int, str]] = {}
        self.died_as: dict[NodeId, Mapping[str, Any]] = {}
        self.arrived: set[int] = set()

    def tell(self, name: str | None, explanation: str) -> Story:
        """The whole story."""
        chosen = self._past(explanation)
        self.arrived = {self._source(self.trace[seq]) for seq in chosen}
        order = self._order(sorted(chosen))
        sentences = []
        skip = set[int]()
        for place, seq in enumerate(order):
            if seq not in skip:
                after = order[place + 1] if place + 1 < len(order) else None
                back = after is not None and self._comes_back(seq, after)
                if back:
                    skip.add(after or 0)
                text = self._sentence(self.moments[seq], self.moments[after or 0] if back else None)
                node = self.moments[seq].begin.node or ""
                sentences.append(Sentence(seq, node, text))
        why = f": {explanation.rstrip('.')}" if explanation else ""
        end = f"So {name} is violated{why}." if name else ""
        return Story(tuple(sentences), end)

    # --- what is told ---

    def _moments(self) -> dict[int, _Moment]:
        """The inputs of the nodes; the first starts are no news."""
        known: dict[NodeId, dict[str, Any]] = defaultdict(dict)
        moments: dict[int, _Moment] = {}
        for event in self.trace:
            if event.node is None or not _is_input(event):
                continue
            outputs = self.outputs[event.seq]
            if event.kind == "restart":
                starts = [one for one in outputs if one.kind == "start"]
                outputs = [one for start in starts for one in self.outputs[start.seq]]
            lived = self.lives.get(event.seq)
            if lived is not None:
                before, after = lived[0].state(), lived[1].state()
            else:
                before, after = dict(known[event.node]), dict(known[event.node])
                _write(after, outputs)
                known[event.node] = after
            if event.kind != "start":
                moments[event.seq] = _Moment(event, outputs, before, after, lived)
        return moments

    def _past(self, explanation: str) -> set[int]:
        """The moments that happened before the end."""
        if not self.moments or self.trace.meta.get("by_hand"):
            return set(self.moments)
        ends = {max(self.moments)}
        for node in {moment.begin.node for moment in self.moments.values()}:
            if re.search(rf"\b{re.escape(node or '')}\b", explanation):
                ends.add(max(s for s, m in self.moments.items() if m.begin.node == node))
        past = {event.seq for end in ends for event in self.trace.causes(end)} | ends
        return past & self.moments.keys()

    def _order(self, seqs: Sequence[int]) -> list[int]:
        """Stay with a node as long as causes allow."""
        last_of: dict[NodeId | None, int] = {}
        needs: dict[int, set[int]] = {}
        step_of = {one.seq: seq for seq, moment in self.moments.items() for one in moment.outputs}
        for seq in seqs:
            event = self.moments[seq].begin
            cause = step_of.get(self._source(event))
            own = last_of.get(event.node)
            needs[seq] = {one for one in (cause, own) if one in needs}
            last_of[event.node] = seq
        owners = {seq: self.moments[seq].begin.node or "" for seq in seqs}
        return by_node(needs, owners)

    def _source(self, event: TraceEvent) -> int:
        """The send of what arrived, also if it was a copy; -1 if nothing was sent."""
        cause = event.cause if event.kind == "deliver" else None
        while cause is not None and self.trace[cause].kind == "duplicate":
            cause = self.trace[cause].cause
        return -1 if cause is None else cause

    def _comes_back(self, seq: int, after: int) -> bool:
        one, other = self.moments[seq].begin, self.moments[after].begin
        return (one.kind, other.kind) == ("kill", "restart") and one.node == other.node

    # --- sentences ---

    def _sentence(self, moment: _Moment, back: _Moment | None) -> str:
        node = moment.begin.node or ""
        text = _trigger(moment.begin)
        if moment.begin.kind == "kill" or any(one.kind == "kill" for one in moment.outputs):
            self.died_as[node] = moment.before
        if back is not None:
            text += f" and {_trigger(back.begin).removeprefix(node).strip()}"
            moment = back
        if moment.begin.kind == "kill":
            return f"{text}."
        if moment.begin.kind == "restart":
            moment = moment._replace(before=self.died_as.pop(node, moment.before))
            clauses = self._forgets(node, moment)
        else:
            clauses = [*self._changes(node, moment), *self._notes(moment), *self._sends(moment)]
        for output in moment.outputs:
            if output.kind == "kill":
                clauses.append(f"dies after {output.data['effects']} of its effects")
            elif output.kind == "error":
                clauses.append(f"fails: {output.data['error']}".rstrip("."))
        return f"{text}: it {_and(clauses)}." if clauses else f"{text}."

    def _changes(self, node: NodeId, moment: _Moment) -> list[str]:
        """The fields that the step changed, in words."""
        clauses = []
        for name, new in moment.after.items():
            words = _in_words(moment, name, moment.before.get(name), new)
            if not words:
                continue
            seq, key = moment.begin.seq, (node, name)
            lost = self.forgotten.pop(key, None)
            self.told[key] = (seq, words)
            if lost is not None:
                words += f" (it has forgotten that it {lost[1]}, #{lost[0]})"
            clauses.append(words)
        return clauses

    def _forgets(self, node: NodeId, moment: _Moment) -> list[str]:
        """What was told of the node and is no longer so after its death."""
        clauses = []
        for (owner, name), (seq, words) in list(self.told.items()):
            if owner == node and moment.before.get(name) != moment.after.get(name):
                self.forgotten[owner, name] = self.told.pop((owner, name))
                clauses.append(f"has forgotten that it {words} (#{seq})")
        return clauses

    def _notes(self, moment: _Moment) -> list[str]:
        if moment.nodes is not None and type(moment.nodes[1]).in_words is not Node.in_words:
            return []  # the protocol has words of its own
        notes = [one.data for one in moment.outputs if one.kind == "note"]
        return [f"notes {one['name']} {in_short(one['data'])}" for one in notes]

    def _sends(self, moment: _Moment) -> list[str]:
        """What it sent, as far as it arrived in this story, and what it told its user."""
        to: dict[str, list[NodeId]] = defaultdict(list)
        clauses = []
        for one in moment.outputs:
            if one.kind == "send" and one.seq in self.arrived:
                to[type(one.data["msg"]).__name__].append(one.data["dst"])
            elif one.kind == "return":
                said = f"{one.data['outcome']} {in_short(one.data['value'])}"
                clauses.append(f"answers its user: {said}")
        return [*(f"sends {kind} to {_and(dsts)}" for kind, dsts in to.items()), *clauses]


def by_node(needs: Mapping[int, Iterable[int]], owners: Mapping[int, NodeId]) -> list[int]:
    """An order in which everything comes after what it needs, and soon after it.

    It stays with one owner as long as it can, and then follows the newest cause.
    """
    waiting = {item: set(before) for item, before in needs.items()}
    place: dict[int, int] = {}
    last = None
    while waiting:
        ready = [item for item, before in waiting.items() if before <= place.keys()]
        mine = [item for item in ready if owners[item] == last]
        newest = {
            item: max((place[one] for one in needs[item]), default=-1) for item in mine or ready
        }
        item = min(newest, key=lambda one: (-newest[one], one))
        place[item] = len(place)
        last = owners[item]
        del waiting[item]
    return list(place)


def _is_input(event: TraceEvent) -> bool:
    """Whether the event is one that a run is made of."""
    if event.kind == "kill":
        return event.data.get("effects") is None
    return event.kind == "restart" or (event.kind in STEPS and not _is_rebirth(event))


def _is_rebirth(event: TraceEvent) -> bool:
    return event.kind == "start" and event.cause is not None


def _trigger(event: TraceEvent) -> str:
    """What happened to the node."""
    node, data = event.node, event.data
    match event.kind:
        case "kill":
            return f"{node} dies"
        case "restart":
            disk = "its disk" if data["disk"] == "keep" else "an empty disk"
            return f"{node} comes back with {disk}"
        case "fire":
            return f"{in_short(data['timer']).removesuffix('()')} fires at {node}"
    msg = data["msg"]
    if data["src"] == WORLD:
        asked = msg.operation if isinstance(msg, Invoke) else msg
        return f"a user asks {node} for {in_short(asked)}"
    return f"{node} gets {in_short(msg)} from {data['src']}"


def _in_words(moment: _Moment, name: str, old: Any, new: Any) -> str:
    """A changed field; "" if it is not worth a word."""
    if moment.nodes is not None:
        before, after = moment.nodes
        words = after.in_words(name, before)
        if words is not None:
            return words
        if name not in after._durable and isinstance(new, (dict, list, set, tuple)):
            return ""  # what it gathers in memory; what comes of that is told
    if new == old:
        return ""
    return f"changes {name} from {in_short(old)} to {in_short(new)}"


def in_short(value: Any) -> str:
    """A value in short; what has words of its own (`__str__`) is told in those."""
    text = _spell(value)
    return text if len(text) <= WORDS_MAX else text[: WORDS_MAX - 1] + "…"


def _spell(value: Any) -> str:
    kind: Any = type(value)
    if is_dataclass(value):
        return f"{kind.__name__}({_named((f.name, getattr(value, f.name)) for f in fields(value))})"
    if hasattr(value, "_fields"):
        if "__str__" in vars(kind):
            return str(value)
        return f"{kind.__name__}({_named(value._asdict().items())})"
    if kind in (tuple, list, set, frozenset):
        return f"[{', '.join(map(_spell, value))}]"
    return repr(value)


def _named(items: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name}={_spell(value)}" for name, value in items)


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _write(fields: dict[str, Any], outputs: Iterable[TraceEvent]) -> None:
    """What the saves of a step make of the fields."""
    for one in outputs:
        if one.kind == "save":
            for name, value in one.data["values"].items():
                fields[name] = apply_change(fields.get(name, ()), value)
