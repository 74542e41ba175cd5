"""What must hold: in every state, in every step, at least once, or in the end.

A property has a name, and an explanation of the values that break it.
`always` is safety. `always_step` is safety of each single step of a node. `sometimes` guards
against a check that passes because nothing ever happened. `eventually` is liveness: it is about
whole runs, so `explore`, which sees states, refuses it.

Safety and liveness are told apart as in Lamport, "Proving the Correctness of Multiprocess
Programs" (1977). A ghost is what Owicki and Gries (1976) call an auxiliary variable: it remembers
what the nodes themselves forget, such as who ever led in a term.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from clusterlab.check.world import NodeView, World
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import NodeId

Answer: TypeAlias = "bool | str"
"""True, or False, or a sentence that says what is wrong."""

Kind: TypeAlias = Literal["always", "step", "sometimes", "eventually"]


@dataclass(frozen=True)
class Ghost:
    """A memory of notes that is part of the state, for properties about what once was.

    Parameters
    ----------
    initial:
        What it is at the beginning; hashable, like every later value.
    fold:
        `fold(ghost, node, name, data)` is the ghost after node `node` has noted `name` with `data`.
        What clients tell the world comes as notes too: `invoke` with the operation and `return`
        with the pair (outcome, value).
    """

    initial: Any
    fold: Callable[[Any, NodeId, str, Any], Any]


@dataclass(frozen=True)
class Property:
    """Something that must hold; made by `always`, `always_step`, `sometimes` and `eventually`."""

    name: str
    kind: Kind
    predicate: Callable[..., Answer]
    explain: Callable[..., str] | None = None
    ghost: Ghost | None = None
    reads: tuple[str, ...] | None = None
    messages: tuple[str, ...] | None = None
    across_crashes: bool = False
    within_ms: float | None = None

    def __post_init__(self) -> None:
        if not callable(self.predicate):
            raise ScenarioError(
                f"property {self.name!r} has {self.predicate!r} for a predicate: "
                "give a function that takes the world and returns True, False or a sentence."
            )

    def __str__(self) -> str:
        return self.name


def always(
    name: str,
    predicate: Callable[[World], Answer],
    explain: Callable[[World], str] | None = None,
    ghost: Ghost | None = None,
    reads: Iterable[str] | None = None,
    messages: Iterable[str] | None = None,
) -> Property:
    """Safety: `predicate(world)` holds in every state.

    Parameters
    ----------
    predicate:
        Returns True, or else False or a sentence that says what is wrong.
    explain:
        Makes the sentence when the predicate returned False; without it the values are shown that
        the predicate has read.
    ghost:
        Remembers notes; the predicate finds it as `world.ghost`.
    reads:
        The fields (or properties of nodes) that the predicate reads: it is then asked only about
        new combinations of these. Reading another is an error.
    messages:
        The names of the classes of messages that it looks at: it is shown no others. Without it, a
        predicate that looks at messages is asked about every state, which takes much longer.

    >>> always("OneLeader", lambda world: sum(n.role == "leader" for n in world.nodes) <= 1).name
    'OneLeader'
    """
    fields, classes = _names(name, "reads", reads), _names(name, "messages", messages)
    return Property(name, "always", predicate, explain, ghost, fields, classes)


def always_step(
    name: str,
    predicate: Callable[[NodeView, NodeView], Answer],
    explain: Callable[[NodeView, NodeView], str] | None = None,
    *,
    across_crashes: bool = False,
) -> Property:
    """Safety of steps: `predicate(before, after)` holds for the node that takes a step.

    Parameters
    ----------
    predicate:
        Takes the node before and after one event.
    across_crashes:
        Ask also when a node dies (`after` is what its disk holds) and when it starts again
        (`before` is what its disk holds). Ask only about durable fields then.
    """
    return Property(name, "step", predicate, explain, across_crashes=across_crashes)


def sometimes(
    name: str,
    predicate: Callable[[World], Answer],
    ghost: Ghost | None = None,
    reads: Iterable[str] | None = None,
    messages: Iterable[str] | None = None,
) -> Property:
    """A guard against vacuity: some state satisfies `predicate`, or the check is worth nothing."""
    fields, classes = _names(name, "reads", reads), _names(name, "messages", messages)
    return Property(name, "sometimes", predicate, None, ghost, fields, classes)


def eventually(
    name: str, predicate: Callable[[World], Answer], within_ms: float = 10_000
) -> Property:
    """Liveness under fairness: once faults have stopped, `predicate` holds within `within_ms`.

    It is a promise about runs in which time passes; seeded runs judge it, `explore` does not.
    """
    if within_ms <= 0:
        raise ScenarioError(f"eventually({name!r}) within {within_ms} ms: give more than 0 ms.")
    return Property(name, "eventually", predicate, within_ms=within_ms)


def _names(name: str, argument: str, given: Iterable[str] | None) -> tuple[str, ...] | None:
    if isinstance(given, str):
        raise ScenarioError(
            f"property {name!r} has {argument}={given!r}: write {argument}=({given!r},)."
        )
    return None if given is None else tuple(given)


def check_properties(properties: Property | Iterable[Property]) -> tuple[Property, ...]:
    """The properties as a tuple; ScenarioError, with the mend, if they are none or not unique."""
    if isinstance(properties, Property):
        properties = (properties,)
    found = tuple(properties)
    for one in found:
        if not isinstance(one, Property):
            raise ScenarioError(
                f"{one!r} is not a property: wrap it as always('ItsName', {_called(one)})."
            )
    names = [one.name for one in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ScenarioError(f"two properties are named {', '.join(sorted(twice))}: rename one.")
    return found


def _called(value: Any) -> str:
    return getattr(value, "__name__", "...")


def said(name: str, answer: Any) -> bool:
    """Whether a predicate's answer means that all is well; ScenarioError if it is no answer."""
    if isinstance(answer, bool):
        return answer
    if isinstance(answer, str) and answer:
        return False
    raise ScenarioError(
        f"property {name} returned {answer!r}: it must return True, False, or a sentence that says "
        "what is wrong (is a `return` missing?)."
    )


def shown(values: Collection[tuple[tuple[NodeId, str], Any]]) -> str:
    """`n1.role = 'leader', n2.role = 'leader'`: values that a predicate has read."""
    return ", ".join(f"{node}.{name} = {value!r}" for (node, name), value in values)
