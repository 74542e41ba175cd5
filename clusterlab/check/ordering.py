"""The search for a legal order of the operations on one object (Wing & Gong 1993, Lowe 2017).

An operation that returned takes effect between its invocation and its return, one of unknown
outcome at any time after its invocation, or never. The search builds an order from its beginning:
next comes something that was invoked before the first return that is still outstanding.
Where nothing fits it goes back, and it remembers every place where it has been
(Lowe 2017, "Testing for linearizability", section 4), which is what keeps it from taking forever.

A place is (first, window, used, state). The operations that returned are numbered by their returns:
all before `first` have been ordered, and `window` has a bit for each later one that has (bit 0
stands for `first`, so it is not set). `used` has a bit for each of unknown outcome that happened.

Four shortcuts, none of which changes the verdict:
- A read that fits comes next at once: it changes nothing, so it stands in nobody's way.
- Nobody needs an operation of unknown outcome to have happened: a place that uses the same and more
  than another, all else equal, is not visited. So that it is the lesser one that comes first, the
  search goes as far as it gets with none of them used, then with one, and so on.
- Of two equal operations the one that returns first comes first: they can always be exchanged.
- States have small numbers, and a step from a state is computed once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from clusterlab.check.spans import Span, bits
from clusterlab.core.errors import BadValue, ScenarioError
from clusterlab.core.history import Operation
from clusterlab.core.spec import Spec
from clusterlab.core.values import freeze

NO = -1
"""The step that a state does not allow: the operation would return something else there."""


_Path: TypeAlias = "tuple[_Path, int] | None"
"""The moves that led to a place, the last one first; each is an index into `_spans`."""

_Place: TypeAlias = tuple[int, int, int, int, int, _Path]
"""(first, window, used, state, the moves that are left to try there, path)"""


class Misfit(NamedTuple):
    """Why there is no order: how far one gets, and what fits nowhere from there."""

    order: tuple[Span, ...]
    state: Any
    operation: Operation
    instead: Any
    """What `operation` would have returned in `state`."""


class Ordering:
    """A search that can be continued: `advance` does a little of it.

    Parameters
    ----------
    spans:
        The operations on one object, without those that failed.
    spec:
        The object.
    """

    def __init__(self, spans: Sequence[Span], spec: Spec) -> None:
        self.result: bool | None = None
        """True: there is an order. False: there is none. None: not known yet."""
        self.forgotten = False
        self.visited = 0
        """How many places the search has been to."""
        self._spec = spec
        returned = [(span.end, span) for span in spans if span.end is not None]
        returned.sort(key=lambda pair: pair[0])
        unknown = sorted((s for s in spans if s.end is None), key=lambda span: span.begin)
        self._count = len(returned)
        self._spans = [*(span for _, span in returned), *unknown]
        self._open, self._maybe = _open_before([end for end, _ in returned], self._spans)
        self._alike, self._equals = _equals(self._spans, self._count)
        self._kinds = self._unknown_kinds()
        self._reads = _mask(
            i for i, (_, span) in enumerate(returned) if spec.is_read(span.operation.call)
        )
        self._states: list[Any] = [spec.initial()]
        self._numbers: dict[Hashable, int] = {freeze(self._states[0]): 0}
        self._steps: dict[tuple[int, int], int] = {}
        self._fits: dict[tuple[int, int], int] = {}
        # Where (first, window, state) was reached: with which operations of unknown outcome used.
        self._seen: dict[tuple[int, int, int], int | list[int]] = {}
        self._trail: list[_Place] = []  # where to go back to, for the moves that are left there
        # Where to go on with one more operation of unknown outcome: now, and when that is done.
        self._later: list[_Place] = []
        self._after_that: list[_Place] = []
        self._furthest: tuple[int, int, _Path] = (-1, -1, None)
        first, window = self._settle(0, 0, 0)
        self._place = self._enter(first, window, 0, 0, None)

    def _unknown_kinds(self) -> list[int]:
        """Those of unknown outcome that are equal, as masks."""
        kinds: dict[int, int] = {}
        for index in range(self._count, len(self._spans)):
            kind = self._alike[index]
            kinds[kind] = kinds.get(kind, 0) | 1 << index - self._count
        return list(kinds.values())

    @property
    def remembered(self) -> int:
        """How many things are kept in memory: places, states, steps."""
        later = len(self._later) + len(self._after_that)
        return self.visited + later + len(self._states) + len(self._steps) + len(self._fits)

    @property
    def explained(self) -> int:
        """How many returns, in the order of time, the order that came furthest explains."""
        return max(0, self._furthest[0])

    def advance(self, moves: int) -> bool | None:
        """Try so many moves; returns the result, None if there is none yet."""
        count, equals, alike, open_ = self._count, self._equals, self._alike, self._open
        steps, seen, trail = self._steps, self._seen, self._trail
        first, window, used, state, todo, path = self._place
        while moves > 0 and self.result is None:
            moves -= 1
            if todo:
                low = todo & -todo
                todo ^= low
                index = first + low.bit_length() - 1
                if equals[index] and (equals[index] >> first) & open_[first] & ~window:
                    continue  # an equal one that returns earlier comes first
                window_after, used_after = window | low, used
            elif trail:
                first, window, used, state, todo, path = trail.pop()
                continue
            elif self._later:
                first, window, used, state, maybe, path = self._later.pop()
                low = maybe & -maybe
                if maybe != low:
                    self._later.append((first, window, used, state, maybe ^ low, path))
                index = count + low.bit_length() - 1
                window_after, used_after = window, used | low
            elif self._after_that:
                self._later, self._after_that = sorted(self._after_that, key=_first), []
                continue
            else:
                self.result = False
                break
            after = steps.get((state, alike[index]))
            if after is None:
                after = self._step(state, index)
            if after == NO or (after == state and index >= count):
                continue
            first_after, window_after = self._settle(first, window_after, after)
            key = (first_after, window_after, after)
            if key not in seen:
                seen[key] = used_after
            elif not self._fewer(key, used_after):
                continue
            if todo:
                trail.append((first, window, used, state, todo, path))
            first, window, used, state, todo, path = self._enter(
                first_after, window_after, used_after, after, (path, index)
            )
        self._place = (first, window, used, state, todo, path)
        return self.result

    def order(self) -> tuple[Span, ...]:
        """The legal order that was found."""
        return self._replay(self._place[-1])[0]

    def misfit(self) -> Misfit:
        """The end of the order that came furthest, if there is none that comes to the end.

        Furthest is the one after which the most returns are explained, whatever comes later;
        so the misfit does not depend on the way of the search.
        """
        first, _, path = self._furthest
        order, state = self._replay(path)
        misfit = self._spans[first].operation
        return Misfit(order, self._states[state], misfit, self._apply(state, misfit)[1])

    def forget(self) -> None:
        """Give back the memory; the search cannot be continued then."""
        self.forgotten = True
        for memory in (self._seen, self._steps, self._fits, self._numbers):
            memory.clear()
        for places in (self._states, self._trail, self._later, self._after_that):
            places.clear()

    # --- moves ---

    def _settle(self, first: int, window: int, state: int) -> tuple[int, int]:
        """Let all reads that fit `state` come next, and close the window's lower end."""
        while True:
            if window & 1:
                ones = _ones(window)
                first += ones
                window >>= ones
            if first == self._count:
                return first, 0
            fits = self._fits.get((first, state))
            if fits is None:
                fits = self._fits[first, state] = self._fitting_reads(first, state)
            if not fits & ~window:
                return first, window
            window |= fits

    def _fitting_reads(self, first: int, state: int) -> int:
        reads = self._open[first] & (self._reads >> first)
        return _mask(i for i in bits(reads) if self._step(state, first + i) == state)

    def _enter(self, first: int, window: int, used: int, state: int, path: _Path) -> _Place:
        """Be at a new place; returns it with the moves that can be made there."""
        self.visited += 1
        if first > self._furthest[0] or (
            first == self._furthest[0] and window.bit_count() > self._furthest[1]
        ):
            self._furthest = (first, window.bit_count(), path)
        if first == self._count:
            self.result = True
            return first, window, used, state, 0, path
        maybe = self._maybe[first] & ~used
        if maybe:
            # Of equal ones the first comes first, so only one of each kind is a move.
            nexts = 0
            for kind in self._kinds:
                if left := kind & maybe:
                    nexts |= left & -left
            self._after_that.append((first, window, used, state, nexts, path))
        # Reads that are still outstanding do not fit here: only what changes the state moves on.
        todo = self._open[first] & ~window & ~(self._reads >> first)
        return first, window, used, state, todo, path

    def _fewer(self, key: tuple[int, int, int], used: int) -> bool:
        """Whether `used` is worth a visit: no earlier one came here with a part of it.

        Earlier visits used no more operations than this one, so none of them is made needless.
        """
        visits = self._seen[key]
        if isinstance(visits, int):
            visits = self._seen[key] = [visits]
        if used in visits:  # the most frequent case, and quick
            return False
        unused = ~used
        for visit in visits:
            if not visit & unused:
                return False
        visits.append(used)
        return True

    def _step(self, state: int, index: int) -> int:
        """The number of the state after an operation, NO if it would return something else."""
        key = (state, self._alike[index])
        known = self._steps.get(key)
        if known is not None:
            return known
        operation = self._spans[index].operation
        after, result = self._apply(state, operation)
        number = NO
        if index >= self._count or result == operation.value:
            frozen = freeze(after)
            number = self._numbers.setdefault(frozen, len(self._states))
            if number == len(self._states):
                self._states.append(after)
        self._steps[key] = number
        return number

    def _apply(self, state: int, operation: Operation) -> tuple[Any, Any]:
        try:
            return self._spec.apply(self._states[state], operation.call)
        except Exception as error:
            raise ScenarioError(
                f"{self._spec!r} cannot judge {operation.client}'s {operation.call!r} ({error}): "
                "check this history against the sequential object that its operations belong to."
            ) from error

    def _replay(self, path: _Path) -> tuple[tuple[Span, ...], int]:
        """The order that these moves build, with the reads between them, and the last state."""
        moves: list[int] = []
        while path is not None:
            path, index = path
            moves.append(index)
        order: list[Span] = []
        placed = state = 0
        for index in (NO, *reversed(moves)):  # reads may fit before the first move
            if index != NO:
                order.append(self._spans[index])
                placed |= 1 << index
                state = self._step(state, index)
            while (first := _ones(placed)) < self._count:
                fits = self._fitting_reads(first, state) & ~(placed >> first)
                if not fits:
                    break
                order.extend(self._spans[first + i] for i in bits(fits))
                placed |= fits << first
        return tuple(order), state


def _first(place: _Place) -> int:
    return place[0]


def _ones(mask: int) -> int:
    """How many bits are set before the first that is not."""
    return (~mask & (mask + 1)).bit_length() - 1


def _open_before(ends: list[int], spans: list[Span]) -> tuple[list[int], list[int]]:
    """For each return in turn, what was invoked before it.

    The first list is of operations that returned (a window that begins with the return's own),
    the second of operations of unknown outcome.
    """
    count = len(ends)
    begins = sorted((span.begin, index) for index, span in enumerate(spans))
    invoked, next_ = 0, 0
    open_, maybe = [], []
    for first, end in enumerate(ends):
        while next_ < len(begins) and begins[next_][0] < end:
            invoked |= 1 << begins[next_][1]
            next_ += 1
        open_.append((invoked & ((1 << count) - 1)) >> first)
        maybe.append(invoked >> count)
    return open_, maybe


def _equals(spans: list[Span], count: int) -> tuple[list[int], list[int]]:
    """For each operation: the number of its kind, and a mask of the equal ones before it.

    Equal are operations with the same call and the same result. Those of unknown outcome (from
    `count` on) are kinds of their own, and bit 0 of their masks stands for the first of them.
    """
    kinds: dict[Hashable, int] = {}
    members: dict[int, int] = {}
    alike, equals = [], []
    for index, (operation, _, end) in enumerate(spans):
        try:
            kind: Hashable = (freeze(operation.call), freeze(operation.value), end is None)
            if end is None:
                kind = (freeze(operation.call), end is None)
        except BadValue:  # a value of the learner's own making: equal to nothing
            kind = ("unlike", index)
        number = kinds.setdefault(kind, index)
        alike.append(number)
        equals.append(members.get(number, 0))
        members[number] = equals[-1] | 1 << (index if end is not None else index - count)
    return alike, equals


def _mask(numbers: Iterator[int]) -> int:
    mask = 0
    for number in numbers:
        mask |= 1 << number
    return mask
