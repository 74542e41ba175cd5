"""Is a node fit to be simulated, checked, replayed? Names the handler and the cause if not.

Every engine takes for granted that a step depends on the node's state and the event alone, and
that the state is all there is of a node (rules 1 to 3 of `core/node.py`). Here steps are run on
copies whose sets and dicts stand in another order, twice over, and under observation, and what
does not come out alike is told in a sentence with the mend. A node that fails would make
a checker miss bugs or invent them, so this comes before any search (the idea of `--checks` in
dslabs, Michael et al. 2019, "Teaching Rigorous Distributed Systems With Efficient Model Checking").

Not seen: the order of a set that a handler makes anew and drops (try two values of
PYTHONHASHSEED), and whatever the steps that are run do not reach.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clusterlab.check.first_steps import FirstSteps
from clusterlab.check.shuffle import (
    ascending,
    containers,
    descending,
    mutable_inside,
    no_value,
    plain,
    plainly,
    rotated,
    shuffled,
)
from clusterlab.check.witness import Surroundings, codes_of, watched
from clusterlab.core.errors import BadValue, NodeError, ScenarioError
from clusterlab.core.faults import check_name
from clusterlab.core.node import (
    Deliver,
    Effect,
    Env,
    Event,
    Fire,
    Message,
    Node,
    NodeId,
    Note,
    Save,
    Start,
    Step,
    restart,
    snake_case,
    step,
)
from clusterlab.core.values import MUTABLE, freeze

STEPS_MAX = 300
QUICK_STEPS, QUICK_LOOKS = 60, 2

CAUSES = (
    *("set order", "dict order", "clock", "chance", "hash", "globals", "sharing"),
    *("restart", "state", "outside"),
)
"""What can be wrong, in the order in which it is looked for."""


@dataclass(frozen=True)
class Finding:
    """Something in a handler that no engine can stand."""

    cause: str
    """One of CAUSES."""
    node: str
    """The class."""
    handler: str
    event: Event
    """The event that showed it first."""
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def check_hygiene(
    nodes: type[Node] | Iterable[Node],
    events: Iterable[tuple[NodeId, Event]] | None = None,
    *,
    operations: Iterable[tuple[NodeId, Message]] = (),
    steps_max: int = STEPS_MAX,
    ignore: Collection[str] = (),
) -> list[Finding]:
    """What is wrong with these nodes; an empty list if nothing was found.

    Parameters
    ----------
    nodes:
        The nodes (they stay as they are), or a class that needs no configuration.
    events:
        What happens to whom, in order. Without it, the first steps that the nodes make by
        themselves: all start, every message arrives, then timers fire, and so on.
    operations:
        What users hand to whom after the start, if no events are given.
    steps_max:
        How many steps are looked at.
    ignore:
        Causes that are all right here, such as "restart" for a node that counts its lives.

    Raises NodeError if a handler fails, and ScenarioError for a class that needs configuration.

    >>> from clusterlab.core.node import volatile
    >>> class Hasty(Node):
    ...     friends: set[str] = volatile({"b", "c"})
    ...
    ...     def on_start(self):
    ...         for friend in self.friends:
    ...             self.note("hello", friend)
    >>> print(*check_hygiene(Hasty))
    Hasty.on_start depends on the order of a set, which is another in every process: in one order it
    does Note(name='hello', data='b'), in another Note(name='hello', data='c'). Go through
    sorted(...) of the set.
    """
    for cause in ignore:
        check_name(cause, CAUSES, "cause")
    cluster = {node.id: node.copy() for node in _nodes(nodes)}
    run = FirstSteps(cluster, operations) if events is None else iter(events)
    around = {type(node): Surroundings(type(node)) for node in cluster.values()}
    found: dict[tuple[str, str, str], Finding] = {}
    for name, event in itertools.islice(run, steps_max):
        check_name(name, cluster)
        examined = _Examined(cluster[name], event, around[type(cluster[name])])
        for finding in examined.findings():
            if finding.cause not in ignore:
                found.setdefault((finding.node, finding.handler, finding.cause), finding)
        if examined.after is None:
            continue
        cluster[name] = examined.after.node
        if isinstance(run, FirstSteps):
            run.perform(name, examined.after.effects)
    return list(found.values())


def quick_hygiene(
    nodes: Iterable[Node], operations: Iterable[tuple[NodeId, Message]] = ()
) -> tuple[str, ...]:
    """What is wrong with the first steps of these nodes, in sentences: before every check.

    It looks at each handler of each class only a few times, so it takes a moment (below 0.1 s).
    It says nothing of restarts, which a check tries itself, or of a handler that raises.
    """
    cluster = {node.id: node.copy() for node in nodes}
    around = {type(node): Surroundings(type(node)) for node in cluster.values()}
    run = FirstSteps(cluster, operations)
    looked: Counter[tuple[type[Node], str]] = Counter()
    found: dict[tuple[str, str, str], str] = {}
    for name, event in itertools.islice(run, QUICK_STEPS):
        node = cluster[name]
        handler = (type(node), _handler(event))
        looked[handler] += 1
        after: Step | None
        try:
            if looked[handler] > QUICK_LOOKS:
                after = step(node, event, Env(1))
            else:
                examined = _Examined(node, event, around[type(node)], restarts=False)
                for one in examined.findings():
                    found.setdefault((one.node, one.handler, one.cause), one.sentence)
                after = examined.after
        except NodeError:
            break
        if after is not None:
            cluster[name] = after.node
            run.perform(name, after.effects)
    return tuple(found.values())


def _nodes(nodes: type[Node] | Iterable[Node]) -> list[Node]:
    if not isinstance(nodes, type):
        return list(nodes)
    try:
        return [nodes("n1")]
    except TypeError as error:
        raise ScenarioError(
            f"{nodes.__name__} needs configuration ({error}): give nodes instead of the class."
        ) from error


class _Examined:
    """One step, run again and again."""

    def __init__(
        self, node: Node, event: Event, around: Surroundings, *, restarts: bool = True
    ) -> None:
        self._around = around
        self._restarting = restarts
        self._node = node
        self._event = event
        self.after: Step | None = None
        self._found: list[Finding] = []

    def findings(self) -> list[Finding]:
        """Everything that is wrong with the step; `after` is what it came to."""
        node, event = self._node, self._event
        self._around.look()
        before = repr(event), _frozen(node.configuration())
        try:
            with watched(codes_of(type(node))) as asked:
                self.after = step(node, event, Env(1))
        except BadValue as error:
            self._add("state", f"makes something that no engine can keep or send: {error}")
            return self._found
        for cause, call in asked.items():
            self._add(cause, _ASKED[cause].format(call=call))
        for name in self._around.changed():
            self._add(
                "globals",
                f"changes {name}, which all nodes share and no disk, copy or checker sees: declare "
                "a field with durable(...) or volatile(...), and assign self.that",
            )
        self._sharing(before)
        if not self._state_is_fit():
            return self._found
        if not self._found and self._differs(_outcome(*step(node, event, Env(1)))):
            self._add(
                "outside",
                "does not do the same twice from the same state: it depends on something outside "
                "the node, such as an object that it shares; let it read fields and the event only",
            )
        if not self._found:
            self._orders()
        if self._restarting and (isinstance(event, Start) or self._changed_disk()):
            self._restarts()
        return self._found

    def _add(self, cause: str, what: str) -> None:
        kind, handler = type(self._node).__name__, _handler(self._event)
        sentence = f"{kind}.{handler} {what}."
        self._found.append(Finding(cause, kind, handler, self._event, sentence))

    def _outcome(self) -> tuple[Hashable, ...]:
        assert self.after is not None
        return _outcome(*self.after)

    def _differs(self, other: tuple[Hashable, ...]) -> bool:
        return self._outcome() != other

    def _orders(self) -> None:
        """Sets, then dicts, in other orders."""
        for cause, sets in (("set order", True), ("dict order", False)):
            outcomes = []
            for order in (ascending, descending, rotated):
                copy = shuffled(self._node, order, sets=sets, dicts=not sets)
                after, effects = step(copy, self._event, Env(1))
                outcomes.append((_outcome(plainly(after), effects), effects))
            first, effects = outcomes[0]
            other = next((one for one in outcomes[1:] if one[0] != first), None)
            if other is None:
                continue
            what = _difference(effects, other[1])
            if sets:
                self._add(
                    cause,
                    f"depends on the order of a set, which is another in every process: {what}. "
                    "Go through sorted(...) of the set",
                )
            else:
                self._add(
                    cause,
                    "depends on the order in which a dict was filled, though the checker takes "
                    f"dicts with the same items for one state: {what}. Go through "
                    "sorted(....items()) or over a tuple of ids",
                )

    def _state_is_fit(self) -> bool:
        """Whether the state can be frozen, and holds nothing mutable in what is not copied."""
        assert self.after is not None
        node = self.after.node
        fit = True
        for name in (*node._durable, *node._volatile):
            value = node.__dict__[name]
            try:
                freeze(value)
            except (BadValue, TypeError) as error:
                self._add("state", f"leaves self.{name} in a state that has no key: {error}")
                fit = False
                continue
            inner = mutable_inside(value)
            if inner is not None:
                self._add(
                    "sharing",
                    f"puts a {type(inner).__name__} into a tuple or message in self.{name}: copies "
                    "of the node would share it, and a change to one would change the other. Use "
                    "a tuple, or frozenset(...), there",
                )
        return fit

    def _sharing(self, before: tuple[str, Any]) -> None:
        """Objects that two owners could change."""
        assert self.after is not None
        node, effects = self.after
        if before[0] != repr(self._event):
            self._add(
                "sharing",
                f"changes the message that it was given (now {self._event!r}): other receivers and "
                "the trace hold the same object. Send a new message instead",
            )
        if before[1] != _frozen(node.configuration()):
            self._add(
                "sharing",
                "changes its configuration in place, which all copies of the node share: "
                "declare a field with durable(...) or volatile(...) for what changes",
            )
        seen: dict[int, str] = {}
        for name in (*node._durable, *node._volatile):
            for inner in containers(node.__dict__[name]):
                if id(inner) in seen:
                    both = f"self.{seen[id(inner)]} and self.{name}"
                    self._add(
                        "sharing",
                        f"keeps one {type(inner).__name__} in both {both}: after a copy or a "
                        "restart they are two. Copy it when you assign it",
                    )
                seen[id(inner)] = name
        for effect in effects:
            told = effect.data if isinstance(effect, Note) else getattr(effect, "msg", None)
            for inner in containers(told):
                if isinstance(effect, Note) and id(inner) not in seen:
                    continue  # its own, which nobody changes any more
                what = f"notes {effect.name!r} with" if isinstance(effect, Note) else "sends"
                self._add(
                    "sharing",
                    f"{what} a {type(inner).__name__} that it can still change, and then the "
                    "record of it changes as well: give a tuple of it",
                )
            thing = no_value(told)
            if thing is not None:
                self._add(
                    "sharing",
                    f"sends or notes a {type(thing).__name__}, an object that sender and receiver "
                    "would share: use ints, strings, tuples, NamedTuples and Messages",
                )

    def _changed_disk(self) -> bool:
        assert self.after is not None
        return any(isinstance(effect, Save) for effect in self.after.effects)

    def _restarts(self) -> None:
        """Coming up twice should leave what coming up once leaves."""
        assert self.after is not None
        once = step(restart(self.after.node), Start(), Env(1))
        twice = step(restart(once.node), Start(), Env(1))
        if _outcome(once.node, _spoken(once.effects)) == _outcome(
            twice.node, _spoken(twice.effects)
        ):
            return
        differ = sorted(
            name
            for name in (*once.node._durable, *once.node._volatile)
            if freeze(once.node.__dict__[name]) != freeze(twice.node.__dict__[name])
        )
        what = f"self.{', self.'.join(differ)} differ" if differ else "what it sends differs"
        kind = type(self._node).__name__
        if not any(finding.cause == "restart" for finding in self._found):
            self._found.append(
                Finding(
                    "restart",
                    kind,
                    "on_start",
                    Start(),
                    f"{kind}.on_start is not idempotent: after two restarts in a row {what} from "
                    "what one leaves, so a node that dies while it starts is another node. Derive "
                    "volatile fields from durable ones there, and change no durable field "
                    '(if it counts its lives on purpose: ignore=["restart"]).',
                )
            )


_ASKED = {
    "clock": "reads the wall clock with {call}, which no replay repeats: read self.now_ms, and set "
    "timers for what should happen later",
    "chance": "draws from {call}, which no seed of a run repeats: use self.choose([...]), or a "
    "range such as (150, 300) in set_timer",
    "hash": "calls {call}, which differs from process to process: compare and sort by the values "
    "themselves",
}


def _handler(event: Event) -> str:
    match event:
        case Deliver(msg=msg):
            return f"on_{snake_case(type(msg).__name__)}"
        case Fire(timer=timer):
            return f"on_{snake_case(type(timer).__name__)}"
    return "on_start"


def _spoken(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    return tuple(effect for effect in effects if not isinstance(effect, Save))


def _outcome(node: Node, effects: Sequence[Effect]) -> tuple[Hashable, ...]:
    """A step's outcome as a key; what it saves is in the state."""
    return (node.frozen_key(), *(freeze(plain(effect)) for effect in _spoken(effects)))


def _difference(a: Sequence[Effect], b: Sequence[Effect]) -> str:
    """The first effect that differs, in words."""
    for one, other in itertools.zip_longest(_spoken(a), _spoken(b)):
        if one is None or other is None or freeze(plain(one)) != freeze(plain(other)):
            return f"in one order it does {plain(one)}, in another {plain(other)}"
    return "the states that it leaves differ"


def _frozen(values: dict[str, Any]) -> Any:
    """The configuration's containers, to compare; what cannot be frozen is left out."""
    return {k: freeze(v) for k, v in values.items() if type(v) in MUTABLE}
