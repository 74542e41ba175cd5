"""Symmetry: nodes that could change places without anyone noticing, and the proof that they could.

Sources: Ip and Dill, "Better Verification Through Symmetry", 1996; Clarke, Enders, Filkorn and
Jha, "Exploiting Symmetry in Temporal Logic Model Checking", 1996. There the symmetry of a model
follows from its syntax (scalarsets). A handler here is any Python, so it is tried: each step that
the search takes is taken again with the names exchanged, in every way, and must come to the same
with the names exchanged. The same goes for deaths, restarts, ghosts and properties.

This is no sample. Let the search look at a state s, and let s' be s with names exchanged by p. A
step of s' is p of a step of s, since exactly this was tried when the step of s was worked out; so
all that can be reached from s' is p of what can be reached from s, and what a property says there
it says here. One state of each orbit is therefore enough. What exchanging means for a value (here:
each text that is a node's name is replaced) is of no account for that: if it is wrong for some
value, names inside a longer text for example, a step differs and is named.

What tells nodes apart without meaning to is the order of a broadcast: a death in the middle of it
has reached the first and not the last. In a set network such a death is no loss: all that can
happen after it can happen after the death behind the last send too, since letters may always be
lost. Only the latter is followed: it is a move of its own, so a path may be one move longer for
each death. In other networks such a death is told, and there is no symmetry.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields
from itertools import permutations, product
from math import factorial, prod
from typing import Any, NoReturn, TypeAlias

from clusterlab.check.locals import Local, Locals, Outcome, Trigger
from clusterlab.check.properties import Ghost, Property
from clusterlab.check.rows import LazyTable
from clusterlab.check.world import Envelope
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import check_name
from clusterlab.core.node import Message, Node, NodeId, restart, snake_case
from clusterlab.core.values import freeze

WAYS_MAX = 720
"""Six nodes can change places in so many ways."""

Groups: TypeAlias = "Sequence[NodeId] | Sequence[Sequence[NodeId]]"

LEAVE_IT = "or leave `symmetry` out"


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A value in which nodes have changed names.

    >>> renamed({"n1": ("n2", "x")}, {"n1": "n2", "n2": "n1"})
    {'n2': ('n1', 'x')}
    """
    kind = type(value)
    if kind is str:
        return names.get(value, value)
    if kind is dict:
        return {renamed(k, names): renamed(v, names) for k, v in value.items()}
    if kind is tuple or kind is list or isinstance(value, AbstractSet):
        return kind(renamed(item, names) for item in value)
    if isinstance(value, tuple):
        return tuple.__new__(kind, (renamed(item, names) for item in value))
    if isinstance(value, Message):
        new = object.__new__(kind)
        for field in fields(value):  # type: ignore[arg-type]
            object.__setattr__(new, field.name, renamed(getattr(value, field.name), names))
        return new
    return value


class Renaming:
    """All the ways in which the nodes of some groups can change places; the first changes none."""

    def __init__(self, nodes: Sequence[Node], groups: Groups) -> None:
        by_name = {node.id: node for node in nodes}
        self.groups = _check_groups(by_name, groups)
        self.index = {node.id: i for i, node in enumerate(nodes)}
        self.members = tuple(tuple(self.index[name] for name in group) for group in self.groups)
        self.names: list[dict[NodeId, NodeId]] = [
            {
                old: new
                for group, order in zip(self.groups, orders, strict=True)
                for old, new in zip(group, order, strict=True)
            }
            for orders in product(*(permutations(group) for group in self.groups))
        ]
        self.places = [
            tuple(self.index[names.get(node.id, node.id)] for node in nodes) for names in self.names
        ]
        """For each way: which node a node becomes."""

    def ways(self) -> Iterator[tuple[int, dict[NodeId, NodeId], tuple[int, ...]]]:
        """Each way in which something changes: its number, the names and the places."""
        everything = zip(range(len(self.names)), self.names, self.places, strict=True)
        return (way for way in everything if way[0])

    def checked(self, ghost: Ghost, owner: str) -> Ghost:
        """The same ghost, which tells if it treats one node differently from another."""

        def fold(value: Any, node: NodeId, name: str, data: Any) -> Any:
            after = ghost.fold(value, node, name, data)
            for _, names, _ in self.ways():
                other = ghost.fold(
                    renamed(value, names), names.get(node, node), name, renamed(data, names)
                )
                if freeze(other) != freeze(renamed(after, names)):
                    raise ScenarioError(
                        f"the ghost of {owner} tells {_pair(names)} apart: it remembers {after!r} "
                        f"after {node} has noted {name}, and {other!r} when they change places; "
                        f"let it treat them alike, {LEAVE_IT}."
                    )
            return after

        return Ghost(ghost.initial, fold)

    def __str__(self) -> str:
        return "; ".join(", ".join(group) for group in self.groups)


def _check_groups(by_name: Mapping[NodeId, Node], groups: Groups) -> list[tuple[NodeId, ...]]:
    """The groups as a list of groups; ScenarioError if their nodes cannot be interchangeable."""
    if isinstance(groups, str):
        raise ScenarioError(f"symmetry={groups!r} is a text: write the names as a tuple.")
    found: list[tuple[NodeId, ...]] = [tuple(g) for g in groups if not isinstance(g, str)]
    if not found:
        found = [tuple(str(name) for name in groups)]
    everyone = [name for group in found for name in group]
    for name in everyone:
        check_name(name, by_name)
        if everyone.count(name) > 1:
            raise ScenarioError(f"symmetry names {name} twice: a node changes places in one group.")
    for group in found:
        for name in group:
            one, other = by_name[group[0]], by_name[name]
            if type(one) is not type(other):
                raise ScenarioError(
                    f"{one} and {other} cannot change places: they differ in class."
                )
    if prod(factorial(len(group)) for group in found) > WAYS_MAX:
        raise ScenarioError(
            f"the nodes of symmetry={groups!r} can change places in more than {WAYS_MAX} ways: "
            "name fewer of them."
        )
    return found


def _pair(names: Mapping[NodeId, NodeId]) -> str:
    moved = sorted(name for name in names if names[name] != name)
    return " from ".join(moved[:2]) if len(moved) == 2 else " and ".join(moved)


class AlikeLocals(Locals):
    """Steps that are tried with the names exchanged as well."""

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        renaming: Renaming,
        in_order: bool,
        last_deaths: bool,
        properties: Sequence[Property] = (),
        **options: Any,
    ) -> None:
        super().__init__(nodes, properties=properties, **options)
        self.renaming = renaming
        self._in_order = in_order
        """The network keeps the order of messages."""
        self.last_deaths = last_deaths
        """Of deaths in a broadcast only the last counts: see above."""
        self.letter_at = [LazyTable(self._letter_maker(names)) for names in renaming.names]
        """way -> letter -> the letter with the names exchanged."""
        self.local_at = [
            [LazyTable(self._local_maker(i, names, at[i])) for i in range(len(nodes))]
            for names, at in zip(renaming.names, renaming.places, strict=True)
        ]
        """way -> node -> local state -> the state of the node that it becomes."""
        self._tried: set[Any] = set()

    def _letter_maker(self, names: Mapping[str, str]) -> Callable[[int], int]:
        def make(letter: int) -> int:
            src, dst, msg = self.letters[letter]
            return self.letter(
                Envelope(names.get(src, src), names.get(dst, dst), renamed(msg, names))
            )

        return make

    def _local_maker(self, i: int, names: Mapping[str, str], j: int) -> Callable[[int], int]:
        def make(lid: int) -> int:
            old = self.states[i][lid]
            saved = {name: renamed(value, names) for name, value in old.node.state().items()}
            timers = frozenset(renamed(timer, names) for timer in old.timers)
            return self.intern(j, Local(restart(self.bare[j], saved), timers, old.up, old.clock))

        return make

    # --- what a search asks for ---

    def steps(self, i: int, lid: int, trigger: Trigger) -> tuple[Outcome, ...]:
        """As ever, and tried."""
        outcomes = super().steps(i, lid, trigger)
        self._try(i, lid, trigger, outcomes, super().steps, dies=False)
        return outcomes

    def deaths(self, i: int, lid: int, trigger: Trigger) -> tuple[Outcome, ...]:
        """As ever, and tried; in a set network without those that another one covers."""
        outcomes = self._deaths(i, lid, trigger)
        self._try(i, lid, trigger, outcomes, self._deaths, dies=True)
        return outcomes

    def killed(self, i: int, lid: int) -> int:
        """As ever, and tried."""
        dead = super().killed(i, lid)
        if self._is_tried(i, lid, "kill"):
            return dead
        wrong = self.died(i, lid)
        for way, names, places in self.renaming.ways():
            j, other = places[i], self.local_at[way][i][lid]
            if self.local_at[way][i][dead] != super().killed(j, other):
                self._differ(i, j, names, "dying", "what a death leaves")
            if _name(wrong) != _name(self.died(j, other)):
                self._differ(
                    i, j, names, "dying", f"what {_name(wrong or self.died(j, other))} says"
                )
        return dead

    def reborn(self, i: int, lid: int, disk: str) -> tuple[int, tuple[Outcome, ...]]:
        """As ever, and tried."""
        empty, outcomes = super().reborn(i, lid, disk)
        if self._is_tried(i, lid, disk):
            return empty, outcomes
        for way, names, places in self.renaming.ways():
            j, other = places[i], self.local_at[way][i][lid]
            if self.local_at[way][i][empty] != super().reborn(j, other, disk)[0]:
                self._differ(i, j, names, "restarting", "what an empty disk means")
        return empty, outcomes

    # --- trying ---

    def _deaths(self, i: int, lid: int, trigger: Trigger) -> tuple[Outcome, ...]:
        outcomes = super().deaths(i, lid, trigger)
        if not self.last_deaths:
            return outcomes
        whole = [
            one._replace(local=super(AlikeLocals, self).killed(i, one.local))
            for one in super().steps(i, lid, trigger)
            if one.wrong is None
        ]
        kept: list[Outcome] = []
        for one in reversed(outcomes):  # a longer prefix has sent more
            if not any(_covers(other, one) for other in (*whole, *kept)):
                kept.append(one)
        return tuple(reversed(kept))

    def _try(
        self,
        i: int,
        lid: int,
        trigger: Trigger,
        outcomes: Collection[Outcome],
        steps: Callable[[int, int, Trigger], Iterable[Outcome]],
        *,
        dies: bool,
    ) -> None:
        """The same step with the names exchanged must come to the same, names exchanged."""
        if self._is_tried(i, lid, (trigger, dies)):
            return
        for way, names, places in self.renaming.ways():
            j = places[i]
            again: Trigger
            if isinstance(trigger, int):
                again = self.letter_at[way][trigger]
            else:
                again = renamed(trigger, names)
            expected = {self._shape(i, one, way) for one in outcomes}
            found = {self._shape(j, one, 0) for one in steps(j, self.local_at[way][i][lid], again)}
            if expected != found:
                what = "a death within it" if dies else "what it does"
                self._differ(i, j, names, self._handler(trigger), what)

    def _is_tried(self, i: int, lid: int, what: Any) -> bool:
        """Whether this has been tried before; from now on it has."""
        before = len(self._tried)
        self._tried.add((i, lid, what))
        return len(self._tried) == before

    def _shape(self, i: int, outcome: Outcome, way: int) -> Any:
        """An outcome of node `i` as the renamed nodes would see it."""
        if outcome.wrong is not None:
            return _name(outcome.wrong)
        names, places = self.renaming.names[way], self.renaming.places[way]
        letters = self.letter_at[way]
        sends: dict[int, list[int]] = {}
        for j, letter in outcome.sends:
            sends.setdefault(places[j], []).append(letters[letter])
        if not self._in_order:
            for sent in sends.values():
                sent.sort()
        return (
            self.local_at[way][i][outcome.local],
            frozenset((j, tuple(sent)) for j, sent in sends.items()),
            freeze(tuple(renamed(note, names) for note in outcome.notes)),
        )

    def _handler(self, trigger: Trigger) -> str:
        if trigger is None:
            return "on_start"
        kind = type(self.letters[trigger].msg if isinstance(trigger, int) else trigger).__name__
        return f"on_{snake_case(kind)}"

    def _differ(
        self, i: int, j: int, names: Mapping[NodeId, NodeId], handler: str, what: str
    ) -> NoReturn:
        kind = type(self.bare[i]).__name__
        mend = (
            "a death between two sends of a broadcast has reached one and not the other (a set "
            "network, where letters may be lost, covers that); let others die with `crashing`"
            if what == "a death within it"
            else "it compares names, takes them in order, or is configured differently; let it "
            "treat them alike"
        )
        raise ScenarioError(
            f"{handler} of {kind} tells {_pair(names)} apart: {what} in {self.ids[i]} is not the "
            f"same in {self.ids[j]} when they change places. {mend[0].upper()}{mend[1:]}, "
            f"{LEAVE_IT}."
        )


def _name(wrong: tuple[str, str] | None) -> str | None:
    return None if wrong is None else wrong[0]


def _covers(one: Outcome, other: Outcome) -> bool:
    """Whether all that can happen after `other` can happen after `one`, in a set network."""
    return (
        one.local == other.local
        and one.wrong == other.wrong
        and set(one.sends) >= set(other.sends)
        and freeze(one.notes) == freeze(other.notes)
    )
