"""The cluster as one integer, and what may happen in it as tables of differences.

A *cell* is one node with all that is on its way to it. Whatever happens at a node depends on its
cell alone, and changes its cell, the inboxes of those to whom it sends, and a little that all
share (a ghost, the budgets). So everything that may happen in a cell is worked out once, as
differences: the next state of the cluster is this state plus a few integers from tables.

A state is `sum(field * weight)`, and each weight is greater than all that the fields below it can
add up to: the sum is the state, and no two states share one. It is no fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from clusterlab.check.budgets import Budgets, Timers, timer_kind
from clusterlab.check.inboxes import EMPTY, Discipline, Inbox
from clusterlab.check.locals import Locals, NoteKey, Outcome
from clusterlab.check.moves import Move
from clusterlab.check.properties import Ghost
from clusterlab.check.rows import (
    Add,
    Cell,
    Differences,
    Fields,
    LazyTable,
    More,
    One,
    Possible,
    Row,
    weights_for,
)
from clusterlab.check.world import Envelope
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import WORLD
from clusterlab.core.values import freeze

CELL_BITS, GHOST_BITS = 26, 24
"""So many cells a node may have, and so many values the ghosts."""

Restarts: TypeAlias = Literal["keep", "lose", "either", "never"]


Keep: TypeAlias = Callable[[int, int, int, list[Possible]], list[Possible]]
"""(node, cell, budget, the moves that are possible there) -> those that must be followed."""


class Rules(NamedTuple):
    """What may happen in this world beside deliveries."""

    discipline: Discipline
    timers: Timers
    restarts: Restarts
    crashing: Collection[str]
    ticks: int
    spare_crashes: bool
    """Whether there are crashes at all."""
    cuts: tuple[frozenset[int], ...] = ()
    """The ways to cut the network: the nodes that stand apart from the first one."""


class Tables:
    """Cells, ghosts and budgets as fields of one integer."""

    def __init__(
        self, locals_: Locals, rules: Rules, budgets: Budgets, ghosts: Sequence[Ghost]
    ) -> None:
        self.locals = locals_
        self.rules = rules
        self.budgets = budgets
        self.ghosts = ghosts
        self.nodes = len(locals_.ids)
        self.weights = weights_for(
            [1 << CELL_BITS] * self.nodes + [1 << GHOST_BITS if ghosts else 1, budgets.size]
        )
        self.cells: list[list[Cell]] = [[] for _ in locals_.ids]
        self.ghost_values: list[tuple[Any, ...]] = []
        self.broken: list[tuple[Move, tuple[str, str]]] = []
        """Steps that were wrong, in the rows that were made since somebody looked."""
        self.keep: Keep | None = None
        """Says which of the moves of a cell must be followed; without it, all."""
        self._cell_ids: list[dict[Cell, int]] = [{} for _ in locals_.ids]
        self._ghost_ids: dict[Hashable, int] = {}
        self._batches: dict[tuple[int, int, tuple[int, ...]], Differences] = {}
        self._note_tables: dict[Hashable, Differences] = {}
        self._tick_tables = [LazyTable(self._ticker(j)) for j in range(self.nodes)]
        self.rows_by_budget = [
            [LazyTable(self._row_maker(i, budget)) for i in range(self.nodes)]
            for budget in range(budgets.size)
        ]
        """budget -> for each node: cell -> what may happen there."""

    # --- states and their fields ---

    def pack(self, fields: Fields) -> int:
        """The state with these fields."""
        return sum(field * weight for field, weight in zip(fields, self.weights, strict=True))

    def unpack(self, state: int) -> list[int]:
        """The fields of a state."""
        fields = []
        for weight in self.weights:
            field, state = divmod(state, weight)
            fields.append(field)
        return fields

    def split_weights(self) -> tuple[list[int], list[int]]:
        """The weights by which to divide a state one after another, and zeros for the last fields.

        The remainder is the field between them: the last one with a weight of 1 that can be more
        than zero.
        """
        ones = [at for at, weight in enumerate(self.weights) if weight == 1]
        return self.weights[: ones[0]], [0] * (len(ones) - 1)

    def cell(self, i: int, cell: Cell) -> int:
        """The integer of a cell of node `i`."""
        known = self._cell_ids[i].get(cell)
        if known is None:
            known = self._cell_ids[i][cell] = len(self.cells[i])
            self.cells[i].append(cell)
            if known >> CELL_BITS:
                raise ScenarioError(
                    f"{self.locals.ids[i]} and its mail have more than {1 << CELL_BITS:,} states, "
                    "which is more than this search can tell apart: give it a smaller world."
                )
        return known

    def ghost(self, values: tuple[Any, ...]) -> int:
        """The integer of what the ghosts remember."""
        key = freeze(values)
        known = self._ghost_ids.get(key)
        if known is None:
            known = self._ghost_ids[key] = len(self.ghost_values)
            self.ghost_values.append(values)
            if known >> GHOST_BITS:
                raise ScenarioError(
                    f"the ghosts of the properties took more than {1 << GHOST_BITS:,} values: "
                    "let them remember less."
                )
        return known

    def mail(self, cells: Iterable[Cell]) -> tuple[Envelope, ...]:
        """The messages that may still arrive in these cells."""
        letters, of = self.locals.letters, self.rules.discipline.letters
        return tuple(letters[letter] for cell in cells for letter in of(cell.inbox))

    # --- what may happen ---

    def _row_maker(self, i: int, budget: int) -> Callable[[int], Row]:
        def make(cid: int) -> Row:
            none: list[int] = []
            one: list[One] = []
            more: list[More] = []
            count = 0
            moves = list(self.possible(i, cid, budget))
            for _, delta, adds in moves if self.keep is None else self.keep(i, cid, budget, moves):
                count += 1
                if not adds:
                    if delta:
                        none.append(delta)
                elif len(adds) == 1:
                    one.append((delta, *adds[0]))
                else:
                    more.append((delta, adds))
            return none, one, more, count

        return make

    def all_possible(self, fields: Fields) -> Iterator[tuple[Move, int]]:
        """Everything that may happen in a state: the move, and the state that it leads to."""
        state = self.pack(fields)
        for i in range(self.nodes):
            for move, delta, adds in self.possible(i, fields[i], fields[-1]):
                yield move, state + delta + sum(table[fields[j]] for j, table in adds)

    def possible(self, i: int, cid: int, budget: int) -> Iterator[Possible]:
        """What may happen in a cell of node `i` under a budget."""
        cell = self.cells[i][cid]
        local = self.locals.states[i][cell.local]
        if local.up:
            yield from self._kill(i, cell, budget)  # first: of equal moves a path shows the first
            yield from self._arrivals(i, cell, budget)
            yield from self._wishes(i, cell, budget)
            yield from self._firings(i, cell, budget)
        else:
            yield from self._dead_letters(i, cell, budget)
            yield from self._restarts(i, cell, budget)
        if i == 0 and self.rules.ticks:
            yield from self._tick(budget)
        if i == 0 and self.rules.cuts:
            yield from self._cuts(budget)

    def _arrivals(self, i: int, cell: Cell, budget: int) -> Iterator[Possible]:
        network = self.rules.discipline
        cut = self.budgets.cut(budget) if self.rules.cuts else 0
        for letter in network.heads(cell.inbox):
            if cut and self._is_cut_off(letter, cut):
                yield from self._lose(i, cell, letter, budget, ())
                continue
            after = Cell(cell.local, network.take(cell.inbox, letter), cell.wishes)
            yield from self._stepping(i, cell, after, letter, budget, ())
            if not network.keeps:
                if self.budgets.spend(budget, ("duplicates",)) is not None:
                    for made in self._stepping(i, cell, cell, letter, budget, ("duplicates",)):
                        yield made._replace(move=made.move._replace(copy=True))
                yield from self._lose(i, cell, letter, budget, ("losses",))

    def _wishes(self, i: int, cell: Cell, budget: int) -> Iterator[Possible]:
        for wish in dict.fromkeys(cell.wishes):
            at = cell.wishes.index(wish)
            after = cell._replace(wishes=cell.wishes[:at] + cell.wishes[at + 1 :])
            yield from self._stepping(i, cell, after, wish, budget, ())

    def _firings(self, i: int, cell: Cell, budget: int) -> Iterator[Possible]:
        for timer in self.locals.ordered_timers[i][cell.local]:
            kind = timer_kind(self.rules.timers, timer)
            yield from self._stepping(i, cell, cell, timer, budget, (kind,))

    def _stepping(
        self, i: int, cell: Cell, after: Cell, trigger: Any, budget: int, costs: tuple[str, ...]
    ) -> Iterator[Possible]:
        """The outcomes of a step of node `i`, and its deaths within the step."""
        left = self.budgets.spend(budget, costs)
        if left is None:
            return
        for outcome in self.locals.steps(i, cell.local, trigger):
            yield from self._make(i, cell, after, outcome, left - budget)
        if self._may_crash(i):
            left = self.budgets.spend(budget, (*costs, "crashes"))
            if left is not None:
                for outcome in self.locals.deaths(i, cell.local, trigger):
                    yield from self._make(i, cell, after, outcome, left - budget)

    def _may_crash(self, i: int) -> bool:
        return self.rules.spare_crashes and self.locals.ids[i] in self.rules.crashing

    def _kill(self, i: int, cell: Cell, budget: int) -> Iterator[Possible]:
        if not self._may_crash(i):
            return
        left = self.budgets.spend(budget, ("crashes",))
        if left is not None:
            dead = self.locals.killed(i, cell.local)
            wrong = self.locals.died(i, cell.local)
            outcome = Outcome(dead, (), (), Move("kill", self.locals.ids[i]), wrong)
            yield from self._make(i, cell, cell, outcome, left - budget)

    def _restarts(self, i: int, cell: Cell, budget: int) -> Iterator[Possible]:
        how = self.rules.restarts
        for disk in {"either": ("keep", "lose"), "never": ()}.get(how, (how,)):
            lid, outcomes = self.locals.reborn(i, cell.local, disk)
            change = 0
            for outcome in outcomes:
                yield from self._reborn(i, cell, outcome, disk, change)
            left = self.budgets.spend(budget, ("crashes",)) if self._may_crash(i) else None
            if left is not None:
                for outcome in self.locals.deaths(i, lid, None):
                    yield from self._reborn(i, cell, outcome, disk, left - budget)

    def _reborn(
        self, i: int, cell: Cell, outcome: Outcome, disk: str, spent: int
    ) -> Iterator[Possible]:
        move = outcome.move._replace(kind="restart", disk=disk)
        yield from self._make(i, cell, cell, outcome._replace(move=move), spent)

    def _dead_letters(self, i: int, cell: Cell, budget: int) -> Iterator[Possible]:
        """What arrives at a dead node is lost, and costs nothing."""
        if not self.rules.discipline.keeps:
            for letter in self.rules.discipline.heads(cell.inbox):
                yield from self._lose(i, cell, letter, budget, ())

    def _lose(
        self, i: int, cell: Cell, letter: int, budget: int, costs: tuple[str, ...]
    ) -> Iterator[Possible]:
        left = self.budgets.spend(budget, costs)
        if left is not None:
            src, dst, msg = self.locals.letters[letter]
            after = cell._replace(inbox=self.rules.discipline.take(cell.inbox, letter))
            outcome = Outcome(cell.local, (), (), Move("drop", dst, src, msg))
            yield from self._make(i, cell, after, outcome, left - budget)

    def _is_cut_off(self, letter: int, cut: int) -> bool:
        """Whether the network is cut between sender and receiver."""
        src, dst, _ = self.locals.letters[letter]
        apart, index = self.rules.cuts[cut - 1], self.locals.index
        return (index[src] in apart) is not (index[dst] in apart)

    def _cuts(self, budget: int) -> Iterator[Possible]:
        """A partition into two groups, or the end of one."""
        if self.budgets.cut(budget):
            whole = self.budgets.with_cut(budget, 0)
            yield Possible(Move("heal", WORLD), whole - budget, ())
            return
        left = self.budgets.spend(budget, ("partitions",))
        if left is not None:
            for cut, apart in enumerate(self.rules.cuts, 1):
                sides: tuple[list[str], list[str]] = ([], [])
                for j, name in enumerate(self.locals.ids):
                    sides[j in apart].append(name)
                move = Move("partition", WORLD, groups=tuple(map(tuple, sides)))
                yield Possible(move, self.budgets.with_cut(left, cut) - budget, ())

    def _tick(self, budget: int) -> Iterator[Possible]:
        left = self.budgets.spend(budget, ("ticks",))
        if left is not None:
            adds = tuple(enumerate(self._tick_tables))
            yield Possible(Move("tick", WORLD), left - budget, adds)

    def _ticker(self, j: int) -> Callable[[int], int]:
        def make(cid: int) -> int:
            cell = self.cells[j][cid]
            after = cell._replace(local=self.locals.ticked(j, cell.local))
            return (self.cell(j, after) - cid) * self.weights[j]

        return make

    # --- differences ---

    def _make(
        self, i: int, cell: Cell, after: Cell, outcome: Outcome, spent: int
    ) -> tuple[Possible, ...]:
        """What an outcome changes, or nothing if it is wrong: that is told apart."""
        if outcome.wrong is not None:
            self.broken.append((outcome.move, outcome.wrong))
            return ()
        inbox = after.inbox
        adds: list[Add] = []
        if outcome.sends:
            by_node: dict[int, list[int]] = {}
            for j, letter in outcome.sends:
                by_node.setdefault(j, []).append(letter)
            own = by_node.pop(i, None)
            if own is not None:
                inbox = self._put(inbox, tuple(own), i)
            adds = [(j, self._batch(i, j, tuple(letters))) for j, letters in by_node.items()]
        if outcome.notes:
            adds.append((self.nodes, self._notes(outcome.notes)))
        new = self.cell(i, Cell(outcome.local, inbox, after.wishes))
        delta = (new - self.cell(i, cell)) * self.weights[i] + spent
        return (Possible(outcome.move, delta, tuple(adds)),)

    def _put(self, inbox: Inbox, letters: tuple[int, ...], src: int) -> Inbox:
        return self.rules.discipline.put(inbox, letters, src)

    def _batch(self, i: int, j: int, letters: tuple[int, ...]) -> Differences:
        """The difference that letters from node `i` make to the cell of node `j`."""
        key = (i, j, letters)
        known = self._batches.get(key)
        if known is None:

            def make(cid: int) -> int:
                cell = self.cells[j][cid]
                after = Cell(cell.local, self._put(cell.inbox, letters, i), cell.wishes)
                return (self.cell(j, after) - cid) * self.weights[j]

            known = self._batches[key] = LazyTable(make)
        return known

    def _notes(self, notes: tuple[NoteKey, ...]) -> Differences:
        """The difference that notes make to the ghosts."""
        key = freeze(notes)
        known = self._note_tables.get(key)
        if known is None:

            def make(gid: int) -> int:
                values = list(self.ghost_values[gid])
                for node, name, data in notes:
                    for at, ghost in enumerate(self.ghosts):
                        values[at] = ghost.fold(values[at], node, name, data)
                return (self.ghost(tuple(values)) - gid) * self.weights[self.nodes]

            known = self._note_tables[key] = LazyTable(make)
        return known

    # --- the beginning ---

    def beginnings(self, wishes: Sequence[tuple[int, int]]) -> list[tuple[tuple[Move, ...], int]]:
        """The states after all nodes have started, one for each way to choose, and how."""
        cells = [
            self.cell(i, Cell(self.locals.unborn(i), EMPTY, tuple(w for j, w in wishes if i == j)))
            for i in range(self.nodes)
        ]
        ghost = self.ghost(tuple(one.initial for one in self.ghosts))
        found: list[tuple[tuple[Move, ...], int]] = [
            ((), self.pack([*cells, ghost, self.budgets.start]))
        ]
        for i in range(self.nodes):
            later = []
            for moves, state in found:
                fields = self.unpack(state)
                cell = self.cells[i][fields[i]]
                for outcome in self.locals.steps(i, cell.local, None):
                    for _, delta, adds in self._make(i, cell, cell, outcome, 0):
                        new = state + delta + sum(table[fields[j]] for j, table in adds)
                        later.append(((*moves, outcome.move), new))
            found = later
        return found
