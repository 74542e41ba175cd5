"""A worker of a spread search: it owns some of the states, and knows no node.

All that it works with are integers: states, and tables of differences. What a table lacks it asks
for, and goes on with other states meanwhile; so it needs no handler, no property and no class of
the learner's, and runs anywhere. See `spread.py`, which answers.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from operator import getitem
from typing import Any, NamedTuple, TypeAlias

from clusterlab.check.rows import Canon, fields_of

SLICE = 5_000
"""So many states are looked at between two reports to the driver."""

GO, PRUNED, ASK = 0, 1, 2
"""What is known of states with equal quick values: follow them, do not, or ask about each."""

Name: TypeAlias = tuple[Any, ...]
"""Of a table: ("quick", field), ("row", budget, node), ("add", number), and those of `Canon`."""

Wire: TypeAlias = tuple[
    list[int],
    list[tuple[int, int, int]],
    list[tuple[int, tuple[tuple[int, int], ...]]],
    int,
    bool,
]
"""A row with its tables by number, and whether a step in it is wrong."""


class Folding(NamedTuple):
    """Of symmetry."""

    moving: list[int]
    """The nodes that can change places."""
    ways: int
    """In so many ways."""


class Setup(NamedTuple):
    """What a worker must know at the beginning."""

    me: int
    workers: int
    nodes: int
    budgets: int
    quick: int
    """How many fields the properties can see."""
    heavy: list[int]
    light: list[int]
    folding: Folding | None


class Reply(NamedTuple):
    """What a worker says when it needs something or has done its part of a level."""

    done: bool
    needs: dict[Name, set[Any]]
    judge: dict[Any, int]
    """Quick values (or states) to be judged -> a state that has them."""
    states: int
    transitions: int
    pruned: int
    waiting: int
    wrong: tuple[int, Name] | None
    """A state and its row in which a step is wrong."""
    found: int
    """New states of this level, one's own and those of others; only when it is done."""
    foreign: dict[int, bytes]
    """For each other worker: states and whence they were reached."""
    looked_at: int
    """States at this depth."""
    size: int
    """Bytes of the table of states and the frontier."""


class Missing(Exception):  # noqa: N818 - nothing is wrong
    """A table has no such entry yet."""


class Known(dict[Any, Any]):
    """A table that says so where it has no entry."""

    __slots__ = ("name",)

    def __init__(self, name: Name) -> None:
        super().__init__()
        self.name = name

    def __missing__(self, key: Any) -> Any:
        raise Missing


class Expander:
    """The states of one worker, and what it knows of the tables."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.seen: dict[int, int] = {}
        self.tables: dict[Name, Known] = {}
        self.quick = [self._table("quick", k) for k in range(setup.quick)]
        self.rows = [
            [self._table("row", budget, i) for i in range(setup.nodes)]
            for budget in range(setup.budgets)
        ]
        self.canon: Canon | None = None
        self.parts: list[list[Known]] = []
        if setup.folding is not None:
            signs = [(i, self._table("sign", k)) for k, i in enumerate(setup.folding.moving)]
            fields = setup.nodes + 2
            self.parts = [
                [self._table("part", way, k) for k in range(fields)]
                for way in range(setup.folding.ways)
            ]
            self.canon = Canon((setup.heavy, setup.light), signs, self._table("sort"))
        self.verdicts: dict[Any, int] = {}
        self.transitions = self.pruned = 0
        self.follow = True
        self.wrong: tuple[int, Name] | None = None
        self.frontier: list[int] = []
        self.at = 0
        self.later: list[int] = []
        self.deferred: list[int] = []
        self.fresh: list[int] = []
        """New states that nobody has got yet."""
        self.foreign: list[list[int]] = [[] for _ in range(setup.workers)]
        """For each worker what was found for it; until the level is done it is in `seen` too."""

    def _table(self, *name: Any) -> Known:
        known = self.tables.get(name)
        if known is None:
            known = self.tables[name] = Known(name)
        return known

    # --- commands ---

    def handle(self, command: tuple[Any, ...]) -> Any:
        """Carry out one command of the driver."""
        what, *arguments = command
        commands: dict[str, Callable[..., Any]] = {
            "level": self.level,
            "more": self.more,
            "parent": self.parent,
        }
        return commands[what](*arguments)

    def parent(self, state: int) -> int:
        """Whence a state of this worker was first reached."""
        return self.seen[state]

    def level(self, batches: Sequence[bytes], follow: bool) -> Reply:
        """Begin with the next depth: what was found here, and what others found for us."""
        for batch in batches:
            pairs = pickle.loads(batch)  # noqa: S301 - from another worker of this search
            for state, parent in zip(pairs[::2], pairs[1::2], strict=True):
                if state not in self.seen:
                    self.seen[state] = parent
                    self.later.append(state)
        self.frontier, self.later, self.at = self.later, [], 0
        self.foreign = [[] for _ in range(self.setup.workers)]
        self.follow = follow
        return self.more({}, {})

    def more(self, entries: dict[Name, dict[Any, Any]], verdicts: dict[Any, int]) -> Reply:
        """Go on with what was lacking."""
        for name, new in entries.items():
            table = self._table(*name)
            if name[0] == "row":
                table.update((key, self._row(row, (*name, key))) for key, row in new.items())
            elif name[0] == "sort":
                table.update((key, [self.parts[w] for w in ways]) for key, ways in new.items())
            else:
                table.update(new)
        self.verdicts.update(verdicts)
        chunk = self.deferred
        if len(chunk) < SLICE:
            chunk = chunk + self.frontier[self.at : self.at + SLICE]
            self.at += SLICE
        self.deferred = []
        self._expand(chunk)
        self._keep_fresh()
        needs, judge = self._needs()
        done = not self.deferred and not self.fresh and self.at >= len(self.frontier)
        return self._reply(done, needs, judge)

    def _row(self, row: Wire, name: Name) -> Any:
        none, one, more, count, wrong = row
        table = self._table
        return (
            none,
            [(delta, position, table("add", number)) for delta, position, number in one],
            [(delta, [(at, table("add", number)) for at, number in adds]) for delta, adds in more],
            count,
            name if wrong else None,
        )

    def _reply(self, done: bool, needs: dict[Name, set[Any]], judge: dict[Any, int]) -> Reply:
        found, foreign = 0, {}
        if done:
            # What was known of single states has been used.
            self.verdicts = {key: v for key, v in self.verdicts.items() if type(key) is tuple}
            found = len(self.later) + sum(map(len, self.foreign))
            for other, states in enumerate(self.foreign):
                if states:
                    pairs = [number for state in states for number in (state, self.seen.pop(state))]
                    foreign[other] = pickle.dumps(pairs, pickle.HIGHEST_PROTOCOL)
            self.foreign = [[] for _ in self.foreign]
        waiting = max(0, len(self.frontier) - self.at) + len(self.deferred) + len(self.later)
        size = sum(map(sys.getsizeof, (self.seen, self.frontier, self.later)))
        if self.seen:
            size += sys.getsizeof(next(reversed(self.seen))) * len(self.seen)
        mine = len(self.seen) - sum(map(len, self.foreign))
        transitions, self.transitions = self.transitions, 0
        pruned, self.pruned = self.pruned, 0
        return Reply(
            done, needs, judge, mine, transitions, pruned, waiting, self.wrong,
            found, foreign, len(self.frontier), size,
        )  # fmt: skip

    # --- the search ---

    def _expand(self, chunk: Sequence[int]) -> None:  # noqa: PLR0912 - a call costs time here
        """As `Search._expand`; a state for which something is lacking is put off."""
        seen, quick, verdicts = self.seen, self.quick, self.verdicts
        heavy, light, rows_of = self.setup.heavy, self.setup.light, self.rows
        follow, defer, found = self.follow, self.deferred.append, self.fresh.append
        transitions = 0
        for state in chunk:
            rest = state
            fields: list[int] = []
            put = fields.append
            for weight in heavy:
                field, rest = divmod(rest, weight)
                put(field)
            put(rest)
            fields += light
            try:
                verdict = verdicts.get(tuple(map(getitem, quick, fields)))
                if verdict:
                    if verdict == ASK:
                        verdict = verdicts.get(state)
                    if verdict == PRUNED:
                        self.pruned += 1
                        continue
                if verdict is None:
                    defer(state)
                    continue
                if not follow:
                    continue
                counted = 0
                for table, cell in zip(rows_of[fields[-1]], fields):  # noqa: B905 - faster
                    none, one, more, count, wrong = table[cell]
                    counted += count
                    if wrong is not None and self.wrong is None:
                        self.wrong = (state, wrong)
                    for delta in none:
                        new = state + delta
                        if new not in seen:
                            seen[new] = state
                            found(new)
                    for delta, position, add in one:
                        new = state + delta + add[fields[position]]
                        if new not in seen:
                            seen[new] = state
                            found(new)
                    for delta, adds in more:
                        new = state + delta
                        for position, add in adds:
                            new += add[fields[position]]
                        if new not in seen:
                            seen[new] = state
                            found(new)
                transitions += counted
            except Missing:
                defer(state)
        self.transitions += transitions

    def _keep_fresh(self) -> None:
        """Give each new state to its owner; one whose representative is not known yet waits."""
        seen, foreign, canon = self.seen, self.foreign, self.canon
        workers = self.setup.workers
        waiting: list[int] = []
        for state in self.fresh:
            smallest = state
            if canon is not None:
                try:
                    smallest = canon.canonical(state)
                except Missing:
                    waiting.append(state)
                    continue
                parent = seen.pop(state)
                if smallest in seen:
                    continue
                seen[smallest] = parent
            foreign[smallest % workers].append(smallest)
        self.later += foreign[self.setup.me]
        foreign[self.setup.me] = []
        self.fresh = waiting

    # --- what is lacking ---

    def _needs(self) -> tuple[dict[Name, set[Any]], dict[Any, int]]:
        """The entries without which states wait, and the states that must be judged."""
        needs: dict[Name, set[Any]] = {}
        judge: dict[Any, int] = {}

        def lacks(key: Any, *name: Any) -> bool:
            if key in self.tables[name]:
                return False
            needs.setdefault(name, set()).add(key)
            return True

        for state in self.deferred:
            fields = fields_of(state, self.setup.heavy, self.setup.light)
            unknown = [lacks(fields[k], "quick", k) for k in range(len(self.quick))]
            if any(unknown):
                continue
            key: Any = tuple(map(getitem, self.quick, fields))
            if self.verdicts.get(key) == ASK:
                key = state
            if key not in self.verdicts:
                judge.setdefault(key, state)
                continue
            for i, table in enumerate(self.rows[fields[-1]]):
                if not lacks(fields[i], "row", fields[-1], i):
                    _, one, more, _, _ = table[fields[i]]
                    adds = [(at, add) for _, at, add in one] + [
                        add for _, adds in more for add in adds
                    ]
                    for at, add in adds:
                        lacks(fields[at], *add.name)
        for state in self.fresh:
            self._needs_of_canon(fields_of(state, self.setup.heavy, self.setup.light), lacks)
        return needs, judge

    def _needs_of_canon(self, fields: Sequence[int], lacks: Callable[..., bool]) -> None:
        assert self.canon is not None
        signs = self.canon.signs
        unknown = [lacks(fields[i], "sign", k) for k, (i, _) in enumerate(signs)]
        if any(unknown):
            return
        key = tuple([table[fields[i]] for i, table in signs])
        if not lacks(key, "sort"):
            for parts in self._table("sort")[key]:
                for k, part in enumerate(parts):
                    lacks(fields[k], *part.name)
