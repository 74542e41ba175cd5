"""Sequential consistency (Lamport 1979): one order for all that keeps every client's own.

"The result of any execution is the same as if the operations of all the processors were executed
in some sequential order, and the operations of each individual processor appear in this sequence in
the order specified by its program." Time does not count: a client may read what is long
overwritten, as long as all see one story.

A client's operation is before another of its own if it returned before that was invoked; one of
unknown outcome is before nothing, since it may take effect late. What is linearizable is also
sequentially consistent, so that is tried first. Unlike linearizability it is not local (Herlihy &
Wing 1990, section 3.3): each part may be in order and the whole may not. The parts alone are tried
next, since one that is at fault by itself says most; then the whole.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, TypeAlias

from clusterlab.check.accesses import written
from clusterlab.check.linearizability import check_linearizability, split
from clusterlab.check.spans import Span, as_history
from clusterlab.check.verdict import Verdict, count_of
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Operation
from clusterlab.core.node import NodeId
from clusterlab.core.spec import Get, KeyValue, Read, Register, Spec
from clusterlab.core.values import freeze

STATES_MAX = 50_000
"""A state of a search holds a bit for each operation: of 2,000, about a kilobyte."""

_Path: TypeAlias = "tuple[_Path, int] | None"
_Value: TypeAlias = tuple[Hashable, Hashable]
"""A register (its key) and what stands in it."""

_Place: TypeAlias = tuple[int, Any, Hashable, int, _Path]
"""(what is done, the state, its key, what of unknown outcome is used, the moves that led there)"""


def check_sequential(
    history: Iterable[Operation], spec: Spec, *, states_max: int = STATES_MAX
) -> Verdict:
    """Search for one order of all operations that explains them and keeps each client's own.

    Parameters
    ----------
    history, spec, states_max:
        As of `check_linearizability`.

    >>> from clusterlab.core.spec import Read, Register, Write
    >>> write = Operation("c1", Write(1), 0, 10, "ok")
    >>> late = Operation("c2", Read(), 20, 30, "ok", None)
    >>> check_sequential([write, late], Register()).valid
    True
    >>> own = Operation("c1", Read(), 20, 30, "ok", None)
    >>> print(check_sequential([write, own], Register()))
    not sequentially consistent: no order of the operations keeps each client's own. The one that
    gets furthest is c1 Write(value=1); then c1 Read() -> ok None [20.0, 30.0] ms is next, but it
    would return 1.
    """
    history = as_history(history)
    strong = check_linearizability(history, spec, states_max=states_max)
    facts: dict[str, Any] = {
        "parts": strong.parts,
        "judged": strong.judged,
        "history": history,
    }
    if strong.interrupted:
        return Verdict(None, strong.sentence, interrupted=True, states=strong.states, **facts)
    if strong:
        return Verdict(
            True, _found(strong.order), order=strong.order, states=strong.states, **facts
        )
    parts = split(history, spec)
    alone = list(parts.items()) if len(parts) > 1 else []
    whole = [span for spans in parts.values() for span in spans]
    visited = strong.states
    for part, spans in [*alone, (None, whole)]:
        search = ProgramOrdering(spans, spec)
        result = search.run(states_max)
        visited += search.visited
        if result is False:
            return _fault(search, part, facts, visited)
        if result is None:
            sentence = search.gave_up(states_max)
            facts["interrupted"] = search.interrupted
            return Verdict(None, sentence, part=part, states=visited, **facts)
    order = search.order()
    return Verdict(True, _found(order), order=order, states=visited, **facts)


def _found(order: Sequence[Operation]) -> str:
    certain = sum(operation.outcome == "ok" for operation in order)
    if not certain:
        return "sequentially consistent, but for nothing: no operation returned ok."
    return f"sequentially consistent: one order of {count_of(certain, 'operation')} explains all."


def _fault(search: ProgramOrdering, part: Hashable, facts: dict[str, Any], visited: int) -> Verdict:
    order, misfit, instead = search.stuck()
    where = "" if part is None else f" at {part!r}"
    told = [f"{op.client} {op.call!r}" for op in order]
    if not told:
        furthest = "At the very beginning"
    elif len(told) <= 5:
        furthest = f"The one that gets furthest is {', '.join(told)}; then"
    else:
        furthest = (
            f"The one that gets furthest explains {len(told)} and ends in {', '.join(told[-4:])}; "
            "then"
        )
    return Verdict(
        False,
        f"not sequentially consistent{where}: no order of the operations keeps each client's own. "
        f"{furthest} {misfit} is next, but it would return {instead!r}.",
        order=order,
        misfit=misfit,
        instead=instead,
        part=part,
        states=visited,
        **facts,
    )


class ProgramOrdering:
    """A search for an order that keeps the clients' own; `run` does it.

    It goes depth first, the operation that returned first being tried first, and remembers each
    (operations done, state) with the operations of unknown outcome that were used on the way there;
    as in `ordering`, what uses more of them than an earlier visit is not worth another.
    A value that somebody has yet to read and nobody will write again must not be overwritten: such
    places are dead ends, and leaving them out at once is what makes long histories of registers
    feasible.
    """

    def __init__(self, spans: Sequence[Span], spec: Spec) -> None:
        certain = [span for span in spans if span.end is not None]
        certain.sort(key=lambda span: (span.operation.client, span.begin))
        unknown = sorted((span for span in spans if span.end is None), key=lambda span: span.begin)
        self.visited = 0
        self.interrupted = False
        self._spec = spec
        self._spans = [*certain, *unknown]
        self._count = len(certain)
        self._chains = self._chain()
        self._needs = [self._before(span) for span in self._spans]
        self._readers, self._writers = self._values()
        self._reads = [spec.is_read(span.operation.call) for span in self._spans]
        self._furthest: _Place = (0, spec.initial(), freeze(spec.initial()), 0, None)
        self._end: _Path = None

    def _chain(self) -> dict[NodeId, range]:
        """Where each client's operations stand."""
        starts: dict[NodeId, int] = {}
        for index, span in enumerate(self._spans[: self._count]):
            starts.setdefault(span.operation.client, index)
        edges = [*starts.values(), self._count]
        return {name: range(a, b) for name, a, b in zip(starts, edges, edges[1:], strict=False)}

    def _before(self, span: Span) -> int:
        """What of its own client must be done before it, as a mask."""
        mask = 0
        for index in self._chains.get(span.operation.client, ()):
            end = self._spans[index].end
            if end is not None and end < span.begin:
                mask |= 1 << index
        return mask

    def _values(self) -> tuple[dict[_Value, int], dict[_Value, int]]:
        """Who reads each value of each register, and who writes it, as masks."""
        readers: dict[_Value, int] = {}
        writers: dict[_Value, int] = {}
        if not isinstance(self._spec, (Register, KeyValue)):
            return readers, writers
        for index, (operation, _, end) in enumerate(self._spans):
            call, wrote = operation.call, written(operation.call)
            if isinstance(call, (Get, Read)) and end is not None:
                key = (getattr(call, "key", None), freeze(operation.value))
                readers[key] = readers.get(key, 0) | 1 << index
            elif wrote is not None:
                writers[wrote] = writers.get(wrote, 0) | 1 << index
            elif end is not None or not isinstance(call, (Get, Read)):
                return {}, {}  # what else there is may bring a value back
        return readers, writers

    def _nobody_wrote(self) -> int | None:
        """The first operation that read what no operation writes, if there is one."""
        for (key, value), who in self._readers.items():
            if value is not None and (key, value) not in self._writers:
                return (who & -who).bit_length() - 1
        return None

    def _is_dead(self, before: _Place, after: _Place) -> bool:
        """Whether a move has overwritten what somebody has yet to read."""
        if not self._readers or before[2] == after[2]:
            return False
        _, index = after[4] or (None, 0)
        key, _ = written(self._spans[index].operation.call) or (None, None)
        old = before[1] if isinstance(self._spec, Register) else before[1].get(key)
        was, left = (key, freeze(old)), ~(after[0] | after[3])
        return bool(self._readers.get(was, 0) & left) and not self._writers.get(was, 0) & left

    def run(self, states_max: int) -> bool | None:
        """Whether there is an order; None if that takes too many states, or somebody interrupts."""
        if self._nobody_wrote() is not None:
            return False
        try:
            return self._run(states_max)
        except KeyboardInterrupt:
            self.interrupted = True
            return None

    def _run(self, states_max: int) -> bool | None:
        everything = (1 << self._count) - 1
        seen: dict[tuple[int, Hashable], list[int]] = {}
        now: list[_Place] = [self._settle(self._furthest)]
        later: list[_Place] = []  # where one more of unknown outcome could be used
        while now or later:
            if not now:
                now, later = self._with_one_more(later), []
                continue
            place = now.pop()
            done, _, key, used, path = place
            if done == everything:
                self._end = path
                return True
            visits = seen.setdefault((done, key), [])
            if any(not visit & ~used for visit in visits):
                continue
            visits.append(used)
            self.visited += 1
            if self.visited > states_max:
                return None
            if done.bit_count() > self._furthest[0].bit_count():
                self._furthest = place
            if self._count < len(self._spans):
                later.append(place)
            moves = [self._living(place, index) for index in self._ready(done)]
            now.extend(move for move in reversed(moves) if move is not None)
        return False

    def _ready(self, done: int) -> list[int]:
        """What may come next, the earliest return first."""
        found = []
        for chain in self._chains.values():
            left = ~(done >> chain.start) & ((1 << len(chain)) - 1)
            while left:
                low = left & -left
                index = chain.start + low.bit_length() - 1
                if self._needs[index] & ~done:
                    break  # what was invoked later needs no less
                found.append(index)
                left ^= low
        return sorted(found, key=self._returned)

    def _returned(self, index: int) -> int:
        end = self._spans[index].end
        assert end is not None
        return end

    def _with_one_more(self, places: list[_Place]) -> list[_Place]:
        found = []
        for place in places:
            for index in range(self._count, len(self._spans)):
                if not place[3] >> index & 1 and not self._needs[index] & ~place[0]:
                    move = self._living(place, index)
                    if move is not None and move[2] != place[2]:
                        found.append(move)
        return found[::-1]

    def _living(self, place: _Place, index: int) -> _Place | None:
        """Where an operation leads with the reads that fit there; None if nowhere."""
        after = self._move(place, index)
        if after is None or self._is_dead(place, after):
            return None
        return self._settle(after)

    def _move(self, place: _Place, index: int) -> _Place | None:
        done, state, _, used, path = place
        operation = self._spans[index].operation
        after, result = self._apply(state, operation)
        if index >= self._count:
            used |= 1 << index
        elif result != operation.value:
            return None
        else:
            done |= 1 << index
        return done, after, freeze(after), used, (path, index)

    def _settle(self, place: _Place) -> _Place:
        """Let all reads that fit come at once: they change nothing and stand in nobody's way."""
        done, state, key, used, path = place
        moved = True
        while moved:
            moved = False
            for index in self._ready(done):
                operation = self._spans[index].operation
                if self._reads[index] and self._apply(state, operation)[1] == operation.value:
                    done, path, moved = done | 1 << index, (path, index), True
        return done, state, key, used, path

    def _apply(self, state: Any, operation: Operation) -> tuple[Any, Any]:
        try:
            return self._spec.apply(state, operation.call)
        except Exception as error:
            raise ScenarioError(
                f"{self._spec!r} cannot judge {operation.client}'s {operation.call!r} ({error}): "
                "check this history against the sequential object that its operations belong to."
            ) from error

    def order(self) -> tuple[Operation, ...]:
        """The order that was found."""
        return self._along(self._end)

    def _along(self, path: _Path) -> tuple[Operation, ...]:
        moves = []
        while path is not None:
            path, index = path
            moves.append(self._spans[index].operation)
        return tuple(reversed(moves))

    def stuck(self) -> tuple[tuple[Operation, ...], Operation, Any]:
        """The order that got furthest, the first of what comes next there, and what it returns."""
        thin_air = self._nobody_wrote()
        if thin_air is not None:
            first = self._spans[thin_air].operation
            return (), first, self._apply(self._spec.initial(), first)[1]
        place: _Place | None = self._settle(self._furthest)
        while place is not None:
            done, state, _, _, path = place
            moves = (self._move(place, index) for index in self._ready(done))
            move = next((move for move in moves if move is not None), None)
            place = None if move is None else self._settle(move)
        misfit = self._spans[self._ready(done)[0]].operation
        return self._along(path), misfit, self._apply(state, misfit)[1]

    def gave_up(self, states_max: int) -> str:
        """Why nothing is known."""
        far = self._furthest[0].bit_count()
        if self.interrupted:
            return (
                f"unknown: the judgement was interrupted. So far an order explains {far:,} of "
                f"{self._count:,} operations. Give it more time, or judge a shorter history."
            )
        return (
            f"unknown: sequential consistency of {self._count:,} operations needs more than "
            f"{states_max:,} states to be remembered; the order that got furthest explains "
            f"{far:,}. Give a larger states_max, or judge a shorter history."
        )
