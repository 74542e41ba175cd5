"""One state for all that differ only in which node is which."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from operator import getitem
from typing import Any

from clusterlab.check.rows import Canon, Cell, Differences, Fields, LazyTable
from clusterlab.check.symmetry import AlikeLocals, renamed
from clusterlab.check.tables import Tables


class Orbits:
    """The representative of each state, and all the states for which it stands."""

    def __init__(self, tables: Tables, locals_: AlikeLocals) -> None:
        self._tables = tables
        self._locals = locals_
        self._renaming = locals_.renaming
        ways = range(len(self._renaming.names))
        self._cells = [
            [LazyTable(self._cell_maker(way, i)) for i in range(tables.nodes)] for way in ways
        ]
        """way -> node -> cell -> the cell of the node that it becomes."""
        self.parts: list[list[Differences]] = [self._way(way) for way in ways]
        """way -> for each field, what it adds to the renamed state."""
        self._numbers: dict[Hashable, int] = {}
        moving = [i for members in self._renaming.members for i in members]
        signs = [(i, LazyTable(self._sign_maker(i))) for i in moving]
        self.ways_that_sort = LazyTable(self._ways_that_sort)
        """The signs of all nodes that can change places -> the numbers of the ways."""
        self.canon = Canon(tables.split_weights(), signs, LazyTable(self._sorting))
        self.canonical = self.canon.canonical

    def images(self, fields: Fields) -> Iterator[list[int]]:
        """The fields of all states into which one can be renamed, without itself."""
        for way, _, _ in self._renaming.ways():
            yield self._tables.unpack(sum(map(getitem, self.parts[way], fields)))

    def _way(self, way: int) -> list[Differences]:
        weights, places = self._tables.weights, self._renaming.places[way]
        cells = self._cells[way]

        def part(i: int) -> Callable[[int], int]:
            return lambda cid: cells[i][cid] * weights[places[i]]

        def ghost(gid: int) -> int:
            if not self._tables.ghosts:
                return 0
            values = self._tables.ghost_values[gid]
            return self._tables.ghost(renamed(values, self._renaming.names[way])) * weights[-2]

        def budget_(budget: int) -> int:
            cut = self._tables.budgets.cut(budget)
            if not cut:
                return budget
            cuts = self._tables.rules.cuts
            apart = frozenset(places[i] for i in cuts[cut - 1])
            if 0 in apart:  # a cut is known by the side on which the first node is not
                apart = frozenset(range(self._tables.nodes)) - apart
            return self._tables.budgets.with_cut(budget, cuts.index(apart) + 1)

        return [
            *(LazyTable(part(i)) for i in range(self._tables.nodes)),
            LazyTable(ghost),
            LazyTable(budget_),
        ]

    def _cell_maker(self, way: int, i: int) -> Callable[[int], int]:
        places, letters = self._renaming.places[way], self._locals.letter_at[way]
        network = self._tables.rules.discipline

        def make(cid: int) -> int:
            cell = self._tables.cells[i][cid]
            local = self._locals.local_at[way][i][cell.local]
            inbox = network.renamed(cell.inbox, letters.__getitem__, places)
            wishes = tuple(sorted(letters[wish] for wish in cell.wishes))
            return self._tables.cell(places[i], Cell(local, inbox, wishes))

        return make

    def _sign_maker(self, i: int) -> Callable[[int], int]:
        places, locals_ = self._renaming.places, self._locals
        ways = range(len(places))

        def orbit(letter: int) -> int:
            return min(locals_.letter_at[way][letter] for way in ways)

        def make(cid: int) -> int:
            cell = self._tables.cells[i][cid]
            mail = self._tables.rules.discipline.letters(cell.inbox)
            sign: Any = (
                min((places[way][i], locals_.local_at[way][i][cell.local]) for way in ways),
                tuple(sorted(map(orbit, mail))),
                tuple(sorted(map(orbit, cell.wishes))),
            )
            return self._numbers.setdefault(sign, len(self._numbers))

        return make

    def _ways_that_sort(self, signs: tuple[int, ...]) -> list[int]:
        sign_of = {i: sign for (i, _), sign in zip(self.canon.signs, signs, strict=True)}
        found = []
        for way, places in enumerate(self._renaming.places):
            after = {places[i]: sign for i, sign in sign_of.items()}
            rows = ([after[i] for i in members] for members in self._renaming.members)
            if all(row == sorted(row) for row in rows):
                found.append(way)
        return found

    def _sorting(self, signs: tuple[int, ...]) -> list[list[Differences]]:
        return [self.parts[way] for way in self.ways_that_sort[signs]]
