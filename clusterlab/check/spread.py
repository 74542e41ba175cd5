"""A search spread over processes or machines: the same verdict, and a path of the same length.

Each state belongs to one worker, by its remainder, as in Stern and Dill, "Parallelizing the Murphi
Verifier" (1997). The workers go through one depth together: each expands its states and keeps what
it finds for the others, who get it at the next depth. So no state is looked at before all that are
nearer, and what is wrong is found at the depth at which one process would find it.

A state is an integer, and an integer must mean the same to all. So there is one set of tables: this
process, the driver, numbers the cells, runs the handlers and asks the properties; the workers ask
it for what their copies lack, many entries at once. Handlers and properties run no more often than
in a search by one process, and no class of theirs ever crosses to another.

What it is worth: memory first, since the table of states, which is most of it, is divided. Time
only where cores are idle and the world has millions of states: together the workers take more
processor time than one process would (states change hands, tables are learnt several times), and a
world of seconds is over before they have started. On two cores that others used too, nothing was
gained: 551,099 states took 6 s alone and 12 s spread, 2,374,182 took 38 and 49.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from operator import getitem
from typing import Any

from clusterlab.check.account import Account
from clusterlab.check.crew import Crew, WorkerDied
from clusterlab.check.expander import ASK, GO, PRUNED, Folding, Name, Reply, Setup, Wire
from clusterlab.check.judge import Violation
from clusterlab.check.moves import Move
from clusterlab.check.report import Report
from clusterlab.check.rows import Differences


class Spread(Account):
    """A search whose states are with the workers of a crew."""

    def __init__(self, *arguments: Any, crew: Callable[[], Crew]) -> None:
        super().__init__(*arguments)
        self._make_crew = crew
        self._crew: Crew
        self._size = 0
        self._busy: set[int] = set()
        """The workers that owe an answer."""
        self._counts: list[Reply | None] = []
        self._numbers: dict[int, int] = {}
        self._adds: list[Differences] = []
        """Tables by the numbers that the workers know them by."""
        self._wrong: dict[Name, tuple[Move, tuple[str, str]]] = {}

    def _search(self, wishes: Sequence[tuple[int, int]], prefix: Sequence[Move | str]) -> Report:
        first = self._begin(wishes, prefix)
        if isinstance(first, Report):
            return first
        self._crew = self._make_crew()
        try:
            self._size = self._crew.size
            self._counts = [None] * self._size
            self._crew.start([self._setup(me) for me in range(self._size)])
            return self._depths(first)
        except WorkerDied as death:
            return self._report(
                "not finished",
                explanation=f"{death} at depth {self.depth}, and its states with it: search again "
                "with fewer workers, or with more memory",
                extra=["a worker died, and not every state was looked at"],
            )
        finally:
            self._crew.close()

    def _setup(self, me: int) -> Setup:
        heavy, light = self.tables.split_weights()
        folding = None
        if self.orbits is not None:
            moving = [i for i, _ in self.orbits.canon.signs]
            folding = Folding(moving, len(self.orbits.parts))
        budgets, quick = self.tables.budgets.size, len(self.judge.quick)
        return Setup(me, self._size, self.tables.nodes, budgets, quick, heavy, light, folding)

    def _depths(self, first: Sequence[int]) -> Report:
        mail: list[list[bytes]] = [[] for _ in range(self._size)]
        for state in first:
            mail[state % self._size].append(pickle.dumps([state, self.seen[state]]))
        while True:
            last = self._is_last()
            found = self._level(mail, follow=not last)
            if isinstance(found, Report):
                return found
            mail, new, wrong = found
            if last:
                return self._too_deep(sum(reply.looked_at for reply in self._replies()))
            if wrong is not None:
                state, name = wrong
                move, (property_, sentence) = self._wrong[name]
                return self._violated(state, Violation(property_, sentence), move)
            if not any(reply.looked_at for reply in self._replies()):
                self.depth -= 1  # all that was sent on had been known to its owner
                new = 0
            if not new:
                return self._report("holds" if self.judge.goal is None else "unreachable")
            self.depth += 1

    def _level(
        self, mail: list[list[bytes]], *, follow: bool
    ) -> Report | tuple[list[list[bytes]], int, tuple[int, Name] | None]:
        """One depth: what each worker gets next, how many states that is, and a wrong step."""
        later: list[list[bytes]] = [[] for _ in range(self._size)]
        new, wrong = 0, None
        for worker in range(self._size):
            self._send(worker, ("level", mail[worker], follow))
        while self._busy:
            worker, reply = self._receive()
            self._counts[worker] = reply
            self.transitions += reply.transitions
            self.pruned += reply.pruned
            wrong = wrong or reply.wrong
            if not reply.done:
                entries = {name: self._entries(name, keys) for name, keys in reply.needs.items()}
                verdicts = self._verdicts(reply.judge)
                if isinstance(verdicts, Report):
                    return verdicts
                self._send(worker, ("more", entries, verdicts))
            else:
                new += reply.found
                for other, batch in reply.foreign.items():
                    later[other].append(batch)
            stop = self._limit_within(sum(one.waiting for one in self._replies()))
            if stop is not None and wrong is None:
                return stop
        return later, new, wrong

    def _replies(self) -> list[Reply]:
        return [reply for reply in self._counts if reply is not None]

    # --- what workers ask for ---

    def _entries(self, name: Name, keys: set[Any]) -> dict[Any, Any]:
        """What a worker's copy of a table lacks."""
        kind, *which = name
        if kind == "row":
            return {cell: self._row(name, cell) for cell in keys}
        return {key: self._table(kind, which)[key] for key in keys}

    def _table(self, kind: str, which: list[int]) -> Any:
        if kind == "add":
            return self._adds[which[0]]
        if kind == "quick":
            return self.judge.quick[which[0]]
        assert self.orbits is not None
        if kind == "sign":
            return self.orbits.canon.signs[which[0]][1]
        if kind == "sort":
            return self.orbits.ways_that_sort
        way, field = which
        return self.orbits.parts[way][field]

    def _row(self, name: Name, cell: int) -> Wire:
        _, budget, i = name
        self.tables.broken.clear()
        none, one, more, count = self.tables.rows_by_budget[budget][i][cell]
        if self.tables.broken:
            self._wrong[*name, cell] = self.tables.broken[0]
        number = self._number
        return (
            none,
            [(delta, position, number(add)) for delta, position, add in one],
            [(delta, tuple((at, number(add)) for at, add in adds)) for delta, adds in more],
            count,
            (*name, cell) in self._wrong,
        )

    def _number(self, table: Differences) -> int:
        known = self._numbers.setdefault(id(table), len(self._adds))
        if known == len(self._adds):
            self._adds.append(table)
        return known

    def _verdicts(self, asked: dict[Any, int]) -> Report | dict[Any, int]:
        """What the properties say of states, each of which stands for those with its key."""
        verdicts: dict[Any, int] = {}
        for key, state in asked.items():
            fields = self.tables.unpack(state)
            quick = tuple(map(getitem, self.judge.quick, fields))
            if quick not in self._checked:
                report = self._judge(state, fields, quick)
                if report is not None:
                    return report
            prune = self.judge.prune
            pruned = prune is not None and prune.ask(fields) is True
            verdicts[key] = PRUNED if pruned else GO
            if quick not in self._checked and key == quick:  # it depends on more than that
                verdicts = {**verdicts, quick: ASK, state: verdicts[key]}
        return verdicts

    # --- workers ---

    def _send(self, worker: int, command: tuple[Any, ...]) -> None:
        self._busy.add(worker)
        self._crew.send(worker, command)

    def _receive(self) -> tuple[int, Any]:
        worker, answer = self._crew.receive()
        self._busy.discard(worker)
        return worker, answer

    def _parent(self, state: int) -> int:
        while self._busy:  # what they were at is of no interest any more
            self._receive()
        self._send(state % self._size, ("parent", state))
        return int(self._receive()[1])

    # --- figures ---

    def _states(self) -> int:
        return sum(reply.states for reply in self._replies()) or len(self.seen)

    def _bytes(self) -> float:
        return sum(reply.size for reply in self._replies()) / max(1, self._states())
