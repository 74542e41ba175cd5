"""The search itself: the table of states, the frontier, and the way back from what is wrong."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from operator import getitem
from typing import NamedTuple, TypeAlias

from clusterlab.check.judge import Judge, Violation
from clusterlab.check.moves import Move
from clusterlab.check.report import Progress, Report, VerdictName
from clusterlab.check.retell import Teller
from clusterlab.check.tables import Tables
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Node

CHUNK = 2_048
"""So many states are looked at between two looks at the clock."""

PROGRESS_S = 1.0
NO_PARENT = -1

ProgressHook: TypeAlias = "Callable[[Progress], None] | bool | None"


class Limits(NamedTuple):
    """Where a search gives up."""

    states: int
    depth: int | None
    seconds: float | None


def _write_line(now: Progress) -> None:
    sys.stderr.write(f"\r{now}   ")


class Search:
    """One search: the table of states, and the frontier."""

    def __init__(
        self,
        nodes: Sequence[Node],
        tables: Tables,
        judge: Judge,
        limits: Limits,
        progress: ProgressHook,
    ) -> None:
        self.nodes = nodes
        self.tables = tables
        self.judge = judge
        self.limits = limits
        self.progress = _write_line if progress is True else progress or None
        self.seen: dict[int, int] = {}
        """state -> the state from which it was first reached"""
        self.transitions = 0
        self.depth = 0
        self.pruned = 0
        self._begun = time.perf_counter()
        self._told = self._begun
        self._checked: set[tuple[int, ...]] = set()
        self._first: dict[int, tuple[Move, ...]] = {}
        self._prefix: tuple[Move, ...] = ()
        self._frontier_bytes = 0

    # --- the search ---

    def run(
        self, wishes: Sequence[tuple[int, int]], after: Report | Iterable[Move | str]
    ) -> Report:
        """Search until the end, a violation, a limit or an interrupt."""
        prefix = after.path if isinstance(after, Report) else tuple(after)
        collecting = gc.isenabled()
        gc.disable()  # the tables hold no cycles, and are large
        try:
            return self._search(wishes, prefix)
        except KeyboardInterrupt:
            waiting = len(self.seen)
            return self._report(
                "not finished",
                explanation=f"interrupted at depth {self.depth}, after {waiting:,} states",
                extra=["the search was interrupted, and not every state was looked at"],
                interrupted=True,
            )
        finally:
            if collecting:
                gc.enable()

    def _search(self, wishes: Sequence[tuple[int, int]], prefix: Sequence[Move | str]) -> Report:
        frontier = self._begin(wishes, prefix)
        if isinstance(frontier, Report):
            return frontier
        while frontier:
            stop = self._limit(frontier)
            if stop is not None:
                return stop
            later: list[int] = []
            broken: tuple[int, Move, tuple[str, str]] | None = None
            for at in range(0, len(frontier), CHUNK):
                found = self._expand(frontier[at : at + CHUNK], later)
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

    def _expand(
        self, chunk: Sequence[int], later: list[int]
    ) -> Report | tuple[int, Move, tuple[str, str]] | None:
        """Look at some states and find those behind them; the first wrong step, if there is one.

        This is where the time goes: everything that it needs is a local variable, and a move is an
        addition and a look into a dictionary.
        """
        seen, checked, quick = self.seen, self._checked, self.judge.quick
        heavy, light = self.tables.split_weights()
        rows_of, prune = self.tables.rows_by_budget, self.judge.prune
        wrong = self.tables.broken
        broken: tuple[int, Move, tuple[str, str]] | None = None
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

    def _judge(self, state: int, fields: Sequence[int], key: tuple[int, ...]) -> Report | None:
        """Ask the properties about a state whose kind was not seen before."""
        violation = self.judge.check(fields, self.depth)
        if violation is not None:
            return self._violated(state, violation)
        if self.judge.goal is not None and self.judge.goal.ask(fields) is True:
            return self._report("reached", state=state)
        if not self.judge.sees_messages:
            self._checked.add(key)
        return None

    # --- the beginning ---

    def _begin(
        self, wishes: Sequence[tuple[int, int]], prefix: Sequence[Move | str]
    ) -> list[int] | Report:
        """The first states; a Report if not even they are right."""
        beginnings = self.tables.beginnings(wishes)
        if self.tables.broken:
            move, (name, sentence) = self.tables.broken[0]
            return self._report("violated", property=name, explanation=sentence, start=(move,))
        if not beginnings:
            raise ScenarioError("no node can start within the bound: give a wider `bound`.")
        if prefix:
            beginnings = [self._follow(beginnings, prefix)]
        for moves, state in beginnings:
            if state not in self.seen:
                self.seen[state] = NO_PARENT
                self._first[state] = moves
        return list(self.seen)

    def _follow(
        self, beginnings: list[tuple[tuple[Move, ...], int]], prefix: Sequence[Move | str]
    ) -> tuple[tuple[Move, ...], int]:
        """Carry out the moves that come first; they cost no budget."""
        tables = self.tables
        rules = tables.rules
        everyone = frozenset(tables.locals.ids)
        free = rules._replace(spare_crashes=True, restarts="either", crashing=everyone)
        tables.rules, tables.budgets.free = free, True
        begin, state = beginnings[0]
        path: list[Move] = []
        for wanted in prefix:
            for move, new in tables.all_possible(tables.unpack(state)):
                if wanted in (move, str(move), move._replace(choices=())):
                    path.append(move)
                    state = new
                    break
            else:
                possible = "; ".join(str(m) for m, _ in tables.all_possible(tables.unpack(state)))
                raise ScenarioError(
                    f"after {len(path)} moves, {wanted!s} is not possible: choose one that is "
                    f"({possible or 'there is none'})."
                )
        tables.rules, tables.budgets.free = rules, False
        tables.broken.clear()
        self._prefix = tuple(path)
        return begin, state

    # --- limits ---

    def _limit(self, frontier: Sequence[int]) -> Report | None:
        """A report if this depth must not be followed: its states are judged all the same."""
        if self.limits.depth is None or self.depth < self.limits.depth:
            return None
        return self._give_up(
            frontier, f"depth_max={self.limits.depth} was reached", "give a larger depth_max"
        )

    def _limit_within(self, waiting: int) -> Report | None:
        now = time.perf_counter()
        seconds = now - self._begun
        if self.progress is not None and now - self._told >= PROGRESS_S:
            self._told = now
            self.progress(Progress(len(self.seen), self.transitions, self.depth, waiting, seconds))
        if not waiting:
            return None  # it is the end
        if self.limits.seconds is not None and seconds > self.limits.seconds:
            limit = f"seconds_max={self.limits.seconds:g} was reached"
        elif len(self.seen) > self.limits.states:
            limit = f"states_max={self.limits.states:,} was reached"
        else:
            return None
        return self._not_finished(limit, waiting, "were found and not looked at")

    def _give_up(self, frontier: Sequence[int], limit: str, mend: str) -> Report:
        for state in frontier:
            fields = self.tables.unpack(state)
            key = tuple(map(getitem, self.judge.quick, fields))
            if key not in self._checked:
                report = self._judge(state, fields, key)
                if report is not None:
                    return report
        return self._not_finished(limit, len(frontier), f"were checked and not followed; {mend}")

    def _not_finished(self, limit: str, waiting: int, what: str) -> Report:
        if not what.endswith("max"):
            what += "; raise the limit, or make the world smaller (fewer crashes, timers, nodes)"
        return self._report(
            "not finished",
            explanation=f"{limit} at depth {self.depth}: {waiting:,} states {what}",
            extra=[f"{limit}, and {waiting:,} states were not followed"],
        )

    # --- reports ---

    def _violated(self, state: int, violation: Violation, last: Move | None = None) -> Report:
        return self._report(
            "violated",
            property=violation.property,
            explanation=violation.explanation,
            state=state,
            last=last,
        )

    def _report(
        self,
        verdict: VerdictName,
        *,
        property: str | None = None,  # noqa: A002 - as the report calls it
        explanation: str = "",
        state: int | None = None,
        last: Move | None = None,
        start: tuple[Move, ...] = (),
        extra: Sequence[str] = (),
        interrupted: bool = False,
    ) -> Report:
        seconds = time.perf_counter() - self._begun
        path: tuple[Move, ...] = ()
        trace = None
        if state is not None or start:
            if state is not None:
                start, path = self._path(state)
            if last is not None:
                path = (*path, last)
            teller = Teller(self.nodes, self.tables.locals.clock, property=property)
            trace = teller.tell(start, path)
        reached = {name: at for name, at in self.judge.reached.items() if at is not None}
        return Report(
            verdict,
            property,
            explanation,
            path,
            trace,
            states=len(self.seen),
            transitions=self.transitions,
            depth=self.depth,
            seconds=seconds,
            local_states=self.tables.locals.count(),
            handler_calls=self.tables.locals.handler_calls,
            bytes_a_state=self._bytes(),
            not_covered=(*extra, *self._budgets()),
            never=tuple(name for name in self.judge.reached if name not in reached),
            reached=reached,
            interrupted=interrupted,
        )

    def _path(self, state: int) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
        """How it began, and the moves from there to `state`."""
        chain = [state]
        while self.seen[chain[-1]] != NO_PARENT:
            chain.append(self.seen[chain[-1]])
        chain.reverse()
        moves = []
        for before, behind in pairwise(chain):
            possible = self.tables.all_possible(self.tables.unpack(before))
            moves.append(next(move for move, new in possible if new == behind))
        return self._first[chain[0]], (*self._prefix, *moves)

    def _bytes(self) -> float:
        """What the table of states takes, with its keys, and the frontier."""
        if not self.seen:
            return 0.0
        keys = sys.getsizeof(next(reversed(self.seen))) * len(self.seen)
        return (sys.getsizeof(self.seen) + keys + self._frontier_bytes) / len(self.seen)

    def _budgets(self) -> list[str]:
        """What was not covered on purpose."""
        used_up = self.tables.budgets.used_up
        said = [
            f"more than {limit} {kind}" if limit else f"any {kind}"
            for kind, limit in self.tables.budgets.limits.items()
            if kind in used_up
        ]
        if self.tables.locals.cut_by_bound:
            said.append(
                f"states beyond the bound ({self.tables.locals.cut_by_bound:,} kinds of steps "
                "would have led there)"
            )
        if self.pruned:
            said.append(f"what follows {self.pruned:,} pruned states")
        return said
