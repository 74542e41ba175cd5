"""Asks properties about states, and about each combination of what they read only once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from clusterlab.check.locals import call
from clusterlab.check.properties import Property, said, shown
from clusterlab.check.tables import Fields, LazyTable, Tables
from clusterlab.check.world import NodeView, NoteTaker, World
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

    A predicate without `reads` is asked about each combination of local states. If it looks at the
    messages as well, its answer is not remembered: whether it looks depends on the local states
    alone, so the same combination always looks.
    """

    def __init__(self, tables: Tables, about: Property, ghost: int | None) -> None:
        self.about = about
        self.reads = None if about.reads is None else frozenset(about.reads) - {"messages"}
        self.sees_messages = about.reads is not None and "messages" in about.reads
        self.ghost = ghost
        self._tables = tables
        self._answers: dict[Hashable, Any] = {}
        self._views: list[dict[int, NodeView]] = [{} for _ in tables.locals.ids]
        self._projected: list[dict[int, Hashable]] = [{} for _ in tables.locals.ids]

    def projection(self, i: int, lid: int) -> Hashable:
        """What the predicate can see of node `i`."""
        if self.reads is None:
            return lid
        known = self._projected[i].get(lid)
        if known is None:
            local = self._tables.locals.states[i][lid]
            values = (freeze(getattr(local.node, name, ABSENT)) for name in sorted(self.reads))
            known = self._projected[i][lid] = (local.up, *values)
        return known

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
        return World(
            views, frozenset(up), lambda: self._tables.mail(fields), self._ghost_of(fields)
        )

    def _ghost_of(self, fields: Fields) -> Any:
        if self.ghost is None:
            return None
        return self._tables.ghost_values[fields[self._tables.nodes]][self.ghost]

    def ask(self, fields: Fields) -> Any:
        """The predicate's answer in this state."""
        cells = self._tables.cells
        key: Hashable = (
            fields[self._tables.nodes] if self.ghost is not None else None,
            *(self.projection(i, cells[i][fields[i]].local) for i in range(self._tables.nodes)),
        )
        if key in self._answers:
            return self._answers[key]
        world = self.world(fields)
        answer = call(self.about.name, self.about.predicate, world)
        said(self.about.name, answer)
        if world.looked_at_messages:
            if self.reads is not None and not self.sees_messages:
                raise ScenarioError(
                    f"property {self.about.name} looks at the messages, but says that it reads "
                    f"only {', '.join(sorted(self.reads))}: add 'messages' to its `reads`."
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
        self.about.predicate(
            World(views, world.up, lambda: tables.mail(fields), self._ghost_of(fields))
        )
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

    def _quick_tables(self) -> list[LazyTable]:
        tables = [LazyTable(self._quick_cell(i)) for i in range(self._tables.nodes)]
        if any(watch.ghost is not None for watch in self._asked):
            tables.append(LazyTable(lambda ghost: ghost))
        return tables

    def _quick_cell(self, i: int) -> Callable[[int], int]:
        seen: dict[Hashable, int] = {}

        def make(cid: int) -> int:
            lid = self._tables.cells[i][cid].local
            key = tuple(watch.projection(i, lid) for watch in self._asked)
            return seen.setdefault(key, len(seen))

        return make

    @property
    def sees_messages(self) -> bool:
        """Whether an answer may differ between states with equal quick values."""
        return any(watch.sees_messages for watch in self._asked)

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
