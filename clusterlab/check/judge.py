"""Asks properties about states, and about each combination of what they read only once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import getitem
from typing import Any, NamedTuple

from clusterlab.check.locals import call
from clusterlab.check.properties import Property, said, shown
from clusterlab.check.rows import Cell, Fields, LazyTable
from clusterlab.check.tables import Tables
from clusterlab.check.world import Envelope, NodeView, NoteTaker, World
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import NodeId
from clusterlab.core.values import freeze

ABSENT = "no such field"


class Violation(NamedTuple):
    """What broke, and how."""

    property: str
    explanation: str


class Watch:
    """One predicate, and its answers so far.

    It is asked once about each combination of what it can see: the fields that it names in `reads`
    (or else the local states of all nodes), the messages of the classes that it names in
    `messages`, its ghost. One that names no messages and looks at them all the same is asked about
    every state in which it does: whether it looks depends on the rest alone.
    """

    def __init__(self, tables: Tables, about: Property, ghost: int | None) -> None:
        self.about = about
        self.reads = None if about.reads is None else frozenset(about.reads)
        self.sees_messages = False
        self.ghost = ghost
        self._tables = tables
        self._answers: dict[Hashable, Any] = {}
        self._views: list[dict[int, NodeView]] = [{} for _ in tables.locals.ids]
        self.seen_of = [LazyTable(self._projector(i)) for i in range(tables.nodes)]
        """For each node: cell -> an integer for what the predicate can see of it."""
        if ghost is not None:
            self.seen_of.append(LazyTable(self._ghost_projector()))

    def _projector(self, i: int) -> Callable[[int], int]:
        numbers: dict[Hashable, int] = {}
        by_local: dict[int, Hashable] = {}

        def make(cid: int) -> int:
            cell = self._tables.cells[i][cid]
            key = by_local.get(cell.local)
            if key is None:
                key = by_local[cell.local] = self._fields(i, cell.local)
            if self.about.messages is not None:
                mail = self._mail((cell,))
                key = (key, tuple(sorted(map(self._tables.locals.letter, mail))))
            return numbers.setdefault(key, len(numbers))

        return make

    def _ghost_projector(self) -> Callable[[int], int]:
        numbers: dict[Hashable, int] = {}

        def make(gid: int) -> int:
            assert self.ghost is not None
            value = freeze(self._tables.ghost_values[gid][self.ghost])
            return numbers.setdefault(value, len(numbers))

        return make

    def _fields(self, i: int, lid: int) -> Hashable:
        """What the predicate can see of the node itself."""
        if self.reads is None:
            return lid
        local = self._tables.locals.states[i][lid]
        return (
            local.up,
            *(freeze(getattr(local.node, name, ABSENT)) for name in sorted(self.reads)),
        )

    def _mail(self, cells: Sequence[Cell]) -> tuple[Envelope, ...]:
        """The messages in some nodes' inboxes that the predicate can see."""
        mail = self._tables.mail(cells)
        wanted = self.about.messages
        if wanted is None:
            return mail
        return tuple(letter for letter in mail if type(letter.msg).__name__ in wanted)

    def world(self, fields: Fields) -> World:
        """The world that the predicate is shown."""
        states = self._tables.locals.states
        views, up = {}, []
        for i, name in enumerate(self._tables.locals.ids):
            lid = self._tables.cells[i][fields[i]].local
            view = self._views[i].get(lid)
            if view is None:
                whose = f"property {self.about.name}"
                view = NodeView(states[i][lid].node, self.reads, whose)
                self._views[i][lid] = view
            views[name] = view
            if states[i][lid].up:
                up.append(name)
        return World(views, frozenset(up), self._letters(fields), self._ghost_of(fields))

    def _letters(self, fields: Fields) -> Callable[[], tuple[Envelope, ...]]:
        cells = self._tables.cells
        return lambda: self._mail([cells[i][fields[i]] for i in range(self._tables.nodes)])

    def _ghost_of(self, fields: Fields) -> Any:
        if self.ghost is None:
            return None
        return self._tables.ghost_values[fields[self._tables.nodes]][self.ghost]

    def ask(self, fields: Fields) -> Any:
        """The predicate's answer in this state."""
        key = tuple(map(getitem, self.seen_of, fields))
        answer = self._answers.get(key)
        if answer is not None:
            return answer
        world = self.world(fields)
        answer = call(self.about.name, self.about.predicate, world)
        said(self.about.name, answer)
        if world.looked_at_messages and self.about.messages is None:
            if self.reads is not None:
                raise ScenarioError(
                    f"property {self.about.name} looks at the messages, but names only fields in "
                    "its `reads`: name the classes of messages too, as messages=('Accept', ...)."
                )
            self.sees_messages = True
        else:
            self._answers[key] = answer
        return answer

    def explanation(self, fields: Fields, answer: Any) -> str:
        """Why the predicate does not hold here."""
        if isinstance(answer, str):
            return answer
        if self.about.explain is not None:
            sentence = call(self.about.name, self.about.explain, self.world(fields))
            return str(sentence)
        taken: dict[tuple[NodeId, str], Any] = {}
        tables = self._tables
        views = {
            name: NoteTaker(tables.locals.states[i][tables.cells[i][fields[i]].local].node, taken)
            for i, name in enumerate(tables.locals.ids)
        }
        world = self.world(fields)
        self.about.predicate(World(views, world.up, self._letters(fields), self._ghost_of(fields)))
        if self.ghost is not None:
            taken["world", "ghost"] = self._ghost_of(fields)
        return shown(taken.items()) or "the predicate is false"


class Judge:
    """All the predicates of a search.

    `quick[k]` gives, for field k, what any predicate can see of it. States with equal quick values
    get equal answers, so the search asks only about new combinations.
    """

    def __init__(
        self,
        tables: Tables,
        properties: Sequence[Property],
        prune: Callable[[World], Any] | None,
        goal: Callable[[World], Any] | None,
    ) -> None:
        self._tables = tables
        ghosts = [one for one in properties if one.ghost is not None]
        place = {one.name: at for at, one in enumerate(ghosts)}
        watches = [
            Watch(tables, one, place.get(one.name))
            for one in properties
            if one.kind in ("always", "sometimes")
        ]
        self.always = [watch for watch in watches if watch.about.kind == "always"]
        self.waiting = [watch for watch in watches if watch.about.kind == "sometimes"]
        self.reached: dict[str, int | None] = {watch.about.name: None for watch in self.waiting}
        self.prune = self._watch("`prune`", prune)
        self.goal = self._watch("`goal`", goal)
        asked = [*watches, *(w for w in (self.prune, self.goal) if w is not None)]
        self._asked = asked
        self.quick = self._quick_tables()

    def _watch(self, name: str, predicate: Callable[[World], Any] | None) -> Watch | None:
        if predicate is None:
            return None
        return Watch(self._tables, Property(name, "always", predicate), None)

    def _quick_tables(self) -> list[LazyTable[int, int]]:
        tables = [LazyTable(self._quick_cell(i)) for i in range(self._tables.nodes)]
        if any(watch.ghost is not None for watch in self._asked):
            tables.append(LazyTable(lambda ghost: ghost))
        return tables

    def _quick_cell(self, i: int) -> Callable[[int], int]:
        numbers: dict[Hashable, int] = {}

        def make(cid: int) -> int:
            key = tuple(watch.seen_of[i][cid] for watch in self._asked)
            return numbers.setdefault(key, len(numbers))

        return make

    @property
    def sees_messages(self) -> bool:
        """Whether an answer may differ between states with equal quick values."""
        return any(watch.sees_messages for watch in self._asked)

    def check_alike(self, fields: Fields, images: Iterable[Fields]) -> None:
        """Every predicate must say the same of this state and of those that it is renamed into."""
        answers = [watch.ask(fields) is True for watch in self._asked]
        for image in images:
            for watch, answer in zip(self._asked, answers, strict=True):
                if (watch.ask(image) is True) is not answer:
                    raise ScenarioError(
                        f"property {watch.about.name} tells nodes apart that `symmetry` calls "
                        "interchangeable: it holds in a state, and not when they change places. "
                        "Let it speak of all of them alike, or leave `symmetry` out."
                    )

    def check(self, fields: Fields, depth: int) -> Violation | None:
        """The first property that does not hold in this state."""
        for watch in self.always:
            answer = watch.ask(fields)
            if answer is not True:
                return Violation(watch.about.name, watch.explanation(fields, answer))
        for watch in tuple(self.waiting):
            if watch.ask(fields) is True:
                self.reached[watch.about.name] = depth
                self.waiting.remove(watch)
        return None
