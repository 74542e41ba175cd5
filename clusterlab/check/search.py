"""The search itself: breadth first, one process, the table of states in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import getitem

from clusterlab.check.account import Account, Broken
from clusterlab.check.judge import Violation
from clusterlab.check.moves import Move
from clusterlab.check.orbits import Orbits
from clusterlab.check.report import Report

CHUNK = 2_048
"""So many states are looked at between two looks at the clock."""


class Search(Account):
    """One search by this process."""

    def _search(self, wishes: Sequence[tuple[int, int]], prefix: Sequence[Move | str]) -> Report:
        frontier = self._begin(wishes, prefix)
        if isinstance(frontier, Report):
            return frontier
        while frontier:
            if self._is_last():
                return self._judge_all(frontier)
            later: list[int] = []
            fresh = later if self.orbits is None else []
            broken: Broken | None = None
            for at in range(0, len(frontier), CHUNK):
                found = self._expand(frontier[at : at + CHUNK], fresh)
                if self.orbits is not None:
                    later += self._representatives(fresh, self.orbits)
                    fresh.clear()
                self._frontier_bytes = sys.getsizeof(frontier) + sys.getsizeof(later)
                if isinstance(found, Report):
                    return found
                # A wrong step is one move longer than a state at this depth: look at those first.
                broken = broken or found
                stop = self._limit_within(max(0, len(frontier) - at - CHUNK) + len(later))
                if stop is not None and broken is None:
                    return stop
            if broken is not None:
                state, move, (name, sentence) = broken
                return self._violated(state, Violation(name, sentence), move)
            if not later:
                break
            frontier = later
            self.depth += 1
        return self._report("holds" if self.judge.goal is None else "unreachable")

    def _expand(self, chunk: Sequence[int], later: list[int]) -> Report | Broken | None:
        """Look at some states and find those behind them; the first wrong step, if there is one.

        This is where the time goes: everything that it needs is a local variable, and a move is an
        addition and a look into a dictionary.
        """
        seen, checked, quick = self.seen, self._checked, self.judge.quick
        heavy, light = self.tables.split_weights()
        rows_of, prune = self.tables.rows_by_budget, self.judge.prune
        wrong = self.tables.broken
        broken: Broken | None = None
        found = later.append
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
            key = tuple(map(getitem, quick, fields))
            if key not in checked:
                self.transitions += transitions
                transitions = 0
                report = self._judge(state, fields, key)
                if report is not None:
                    return report
            if prune is not None and prune.ask(fields) is True:
                self.pruned += 1
                continue
            for table, cell in zip(rows_of[fields[-1]], fields):  # noqa: B905 - faster
                none, one, more, count = table[cell]
                transitions += count
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
            if wrong:
                if broken is None:
                    broken = (state, *wrong[0])
                wrong.clear()
        self.transitions += transitions
        return broken

    def _representatives(self, fresh: Sequence[int], orbits: Orbits) -> list[int]:
        """One state for each orbit that is new among those that were just found."""
        seen = self.seen
        later = []
        for state in fresh:
            parent = seen.pop(state)
            smallest = orbits.canonical(state)
            if smallest not in seen:
                seen[smallest] = parent
                later.append(smallest)
        return later

    def _judge_all(self, frontier: Sequence[int]) -> Report:
        """Look at states that are not followed."""
        for state in frontier:
            fields = self.tables.unpack(state)
            key = tuple(map(getitem, self.judge.quick, fields))
            if key not in self._checked:
                report = self._judge(state, fields, key)
                if report is not None:
                    return report
        return self._too_deep(len(frontier))
