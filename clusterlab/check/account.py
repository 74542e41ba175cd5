"""What every search has: where it begins, when it gives up, and how it tells what it found."""

from __future__ import annotations

import gc
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from clusterlab.check.judge import Judge, Violation
from clusterlab.check.moves import Move
from clusterlab.check.orbits import Orbits
from clusterlab.check.report import Progress, Report, VerdictName
from clusterlab.check.retell import Teller
from clusterlab.check.tables import Tables
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Node

PROGRESS_S = 1.0
NO_PARENT = -1

ProgressHook: TypeAlias = "Callable[[Progress], None] | bool | None"

Broken: TypeAlias = tuple[int, Move, tuple[str, str]]
"""A state, a step of it that is wrong, and the property that it breaks with a sentence."""


class Limits(NamedTuple):
    """Where a search gives up."""

    states: int
    depth: int | None
    seconds: float | None


def _write_line(now: Progress) -> None:
    sys.stderr.write(f"\r{now}   ")


class Reductions(NamedTuple):
    """What a search may leave out because it changes no verdict."""

    orbits: Orbits | None = None
    blind: str = ""
    """The option, if there is one, that holds only if no predicate looks at unnamed messages."""
    said: Callable[[], Sequence[str]] = tuple
    """A sentence for each."""


class Account(ABC):
    """The table of states, and what is told of it."""

    def __init__(
        self,
        nodes: Sequence[Node],
        tables: Tables,
        judge: Judge,
        limits: Limits,
        progress: ProgressHook,
        reductions: Reductions,
    ) -> None:
        self.nodes = nodes
        self.tables = tables
        self.judge = judge
        self.limits = limits
        self.orbits = reductions.orbits
        self.blind = reductions.blind
        self._said = reductions.said
        self.progress = _write_line if progress is True else progress or None
        self.seen: dict[int, int] = {}
        """state -> the state from which it was first reached"""
        self.transitions = 0
        self.depth = 0
        self.pruned = 0
        self._begun = time.perf_counter()
        self._told = self._begun
        self._checked: set[tuple[int, ...]] = set()
        self._first: dict[int, tuple[tuple[Move, ...], int]] = {}
        """How the first states came to be; what was begun with may be another of its orbit."""
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
            states = self._states()
            return self._report(
                "not finished",
                explanation=f"interrupted at depth {self.depth}, after {states:,} states",
                extra=["the search was interrupted, and not every state was looked at"],
                interrupted=True,
            )
        finally:
            if collecting:
                gc.enable()

    @abstractmethod
    def _search(self, wishes: Sequence[tuple[int, int]], prefix: Sequence[Move | str]) -> Report:
        """Depth by depth."""

    # --- the beginning ---

    def _begin(
        self, wishes: Sequence[tuple[int, int]], prefix: Sequence[Move | str]
    ) -> list[int] | Report:
        """The first states; a Report if not even they are right."""
        beginnings = self.tables.beginnings(wishes)
        if self.tables.broken:
            move, (name, sentence) = self.tables.broken[0]
            return self._report("violated", property=name, explanation=sentence, run=((move,), ()))
        if not beginnings:
            raise ScenarioError("no node can start within the bound: give a wider `bound`.")
        if prefix:
            beginnings = [self._follow(beginnings, prefix)]
        for moves, state in beginnings:
            first = self._representative(state)
            if first not in self.seen:
                self.seen[first] = NO_PARENT
                self._first[first] = (moves, state)
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

    def _is_last(self) -> bool:
        """Whether the states at this depth are judged and not followed."""
        return self.limits.depth is not None and self.depth >= self.limits.depth

    def _too_deep(self, waiting: int) -> Report:
        limit = f"depth_max={self.limits.depth} was reached"
        what = "were checked and not followed; give a larger depth_max"
        return self._not_finished(limit, waiting, what)

    def _limit_within(self, waiting: int) -> Report | None:
        now = time.perf_counter()
        seconds = now - self._begun
        if self.progress is not None and now - self._told >= PROGRESS_S:
            self._told = now
            self.progress(Progress(self._states(), self.transitions, self.depth, waiting, seconds))
        if not waiting:
            return None  # it is the end
        if self.limits.seconds is not None and seconds > self.limits.seconds:
            limit = f"seconds_max={self.limits.seconds:g} was reached"
        elif self._states() > self.limits.states:
            limit = f"states_max={self.limits.states:,} was reached"
        else:
            return None
        return self._not_finished(limit, waiting, "were found and not looked at")

    def _not_finished(self, limit: str, waiting: int, what: str) -> Report:
        if not what.endswith("max"):
            what += "; raise the limit, or make the world smaller (fewer crashes, timers, nodes)"
        return self._report(
            "not finished",
            explanation=f"{limit} at depth {self.depth}: {waiting:,} states {what}",
            extra=[f"{limit}, and {waiting:,} states were not followed"],
        )

    # --- reports ---

    def _judge(self, state: int, fields: Sequence[int], key: tuple[int, ...]) -> Report | None:
        """Ask the properties about a state whose kind was not seen before."""
        try:
            if self.orbits is not None:
                self.judge.check_alike(fields, self.orbits.images(fields))
            violation = self.judge.check(fields, self.depth)
            goal = self.judge.goal is not None and self.judge.goal.ask(fields) is True
        except ScenarioError as error:
            error.add_note(self._whereabouts(state))
            raise
        if violation is not None:
            return self._violated(state, violation)
        if goal:
            start, path, _ = self._path(state)
            return self._report("reached", run=(start, path))
        if not self.judge.sees_messages:
            self._checked.add(key)
        elif self.blind:
            raise ScenarioError(
                f"a property looks at messages without naming them, and {self.blind} would hide "
                "some from it: name their classes, as messages=('Accept', ...), or leave out "
                f"{self.blind}."
            )
        return None

    def _whereabouts(self, state: int) -> str:
        """Where the search was when a property could not answer."""
        _, path, _ = self._path(state)
        run = "".join(f"\n{number:>4}. {move}" for number, move in enumerate(path, 1))
        return (
            f"It was asked about the {self._states():,} states found so far, at last about the one "
            f"after {'these moves:' + run if run else 'no move at all.'}"
        )

    def _violated(self, state: int, violation: Violation, last: Move | None = None) -> Report:
        """The report of a violation in a state, or in its step `last`."""
        start, path, end = self._path(state)
        if end != state:  # the run leads to another state of the orbit: speak of that one
            if last is None:
                violation = self.judge.check(self.tables.unpack(end), self.depth) or violation
            else:
                last, violation = self._wrong_step(end, violation.property)
        return self._report(
            "violated",
            property=violation.property,
            explanation=violation.explanation,
            run=(start, path if last is None else (*path, last)),
        )

    def _wrong_step(self, state: int, name: str) -> tuple[Move, Violation]:
        self.tables.broken.clear()
        for _ in self.tables.all_possible(self.tables.unpack(state)):
            pass
        move, wrong = next(one for one in self.tables.broken if one[1][0] == name)
        return move, Violation(*wrong)

    def _report(
        self,
        verdict: VerdictName,
        *,
        property: str | None = None,  # noqa: A002 - as the report calls it
        explanation: str = "",
        run: tuple[tuple[Move, ...], tuple[Move, ...]] | None = None,
        extra: Sequence[str] = (),
        interrupted: bool = False,
    ) -> Report:
        seconds = time.perf_counter() - self._begun
        trace = None
        if run is not None:
            teller = Teller(self.nodes, self.tables.locals.clock, property=property)
            trace = teller.tell(*run)
        reached = {name: at for name, at in self.judge.reached.items() if at is not None}
        return Report(
            verdict,
            property,
            explanation,
            () if run is None else run[1],
            trace,
            states=self._states(),
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
            reduced=tuple(self._said()),
            nodes=tuple(self.nodes),
        )

    def _path(self, state: int) -> tuple[tuple[Move, ...], tuple[Move, ...], int]:
        """How it began, the moves from there to `state`, and the state that they really lead to.

        With symmetry the table holds one state of each orbit: the run leads through others.
        """
        chain = [state]
        while (parent := self._parent(chain[-1])) != NO_PARENT:
            chain.append(parent)
        chain.reverse()
        start, now = self._first[chain[0]]
        moves = []
        for behind in chain[1:]:
            possible = self.tables.all_possible(self.tables.unpack(now))
            move, now = next(
                (move, new) for move, new in possible if behind in (new, self._representative(new))
            )
            moves.append(move)
        return start, (*self._prefix, *moves), now

    def _representative(self, state: int) -> int:
        return state if self.orbits is None else self.orbits.canonical(state)

    # --- what differs from search to search ---

    def _parent(self, state: int) -> int:
        """The state from which this one was first reached."""
        return self.seen[state]

    def _states(self) -> int:
        """How many states were found."""
        return len(self.seen)

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
