"""From a long list that fails to a short one: delta debugging (Zeller and Hildebrandt 2002).

The list may be a schedule of faults, the steps of a run, the operations of a history; the oracle
says whether a part of it still fails. The algorithm is `ddmin` (figure 3 of "Simplifying and
Isolating Failure-Inducing Input"): cut the list into n pieces, go on with a piece that fails alone,
else with what is left when one piece is taken out, else cut finer. In the end no single item can be
left out (it is 1-minimal), which does not mean that no shorter list fails.

Differs from the paper: the empty list is tried first (what fails without any item needs none),
and pieces are left out from the last to the first, since what came last is rarely what began it.
An oracle may say which items it really used, and the others are not tried one by one. With
`together=2` no two items can be left out either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeAlias, TypeVar

from clusterlab.core.errors import ClusterlabError, ScenarioError

T = TypeVar("T")

TRIES_MAX = 5_000

Oracle: TypeAlias = "Callable[[list[T]], bool | Sequence[T]]"
_Kept: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Progress:
    """How far a shrink has come."""

    tries: int
    size: int
    of: int

    def __str__(self) -> str:
        return f"{self.size} of {self.of} items left after {self.tries} tries"


@dataclass(frozen=True)
class Shrunk(Generic[T]):
    """The shortest list found that fails."""

    items: tuple[T, ...]
    kept: tuple[int, ...]
    """Where the items stood in the list that was given."""
    of: int
    """How many items that list had."""
    tries: int
    """How often the oracle was asked."""
    minimal: bool
    """No single item can be left out. False if the search was ended before that was known."""
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def shrink(
    items: Sequence[T],
    fails: Oracle[T],
    *,
    tries_max: int = TRIES_MAX,
    together: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Shrunk[T]:
    """A short part of `items`, in the same order, that still fails.

    Parameters
    ----------
    items:
        What fails.
    fails:
        Whether a list of some of the items fails in the same way. It must give one list one answer.
        A list that cannot be run (ClusterlabError) counts as one that does not fail.
        Instead of True it may return those of the items, the same objects in the same order, that
        it used: they alone must fail as well.
    tries_max:
        How often the oracle may be asked; what is best by then is returned.
    together:
        Go on until not even so many items can be left out together (the number of tries grows with
        that power of the length).
    progress:
        Called whenever a shorter list was found.

    Ctrl-C ends the search, and the best list so far is returned. What is returned was verified by
    asking once more. Raises ScenarioError if `items` does not fail, or an answer changes.

    >>> found = shrink(range(100), lambda part: 7 in part and 42 in part)
    >>> found.items, found.minimal
    ((7, 42), True)
    """
    if tries_max < 1 or together < 1:
        raise ScenarioError(f"{tries_max=} and {together=}: give at least 1 for each.")
    search = _Search(items, fails, tries_max, progress)
    if not search.try_(tuple(range(len(items)))):
        raise ScenarioError(
            f"this list of {len(items)} items does not fail, so there is nothing to shrink: "
            "give the list and the oracle of the run that failed, with the same seed."
        )
    end = ""
    try:
        search.run()
        while any(search.without(size) for size in range(2, together + 1)):
            search.run()
    except _EnoughError:
        end = f" The limit of {tries_max} tries was reached: a shorter one may exist."
    except KeyboardInterrupt:
        end = " It was interrupted: a shorter one may exist."
    search.verify()
    found = search.best
    size = f"{len(found)} of {len(items)} items fail{'s' * (len(found) == 1)}"
    if not found:
        size = "it fails without any of the items"
    minimal = not end
    if minimal and found:
        end = " None of them can be left out."
    return Shrunk(
        tuple(items[index] for index in found),
        found,
        len(items),
        search.tries,
        minimal,
        f"{size}, found in {search.tries} tries.{end}",
    )


class _EnoughError(Exception):
    """The oracle has been asked as often as it may be."""


class _Search(Generic[T]):
    """The list that is best so far, as places in the list that was given."""

    def __init__(
        self,
        items: Sequence[T],
        fails: Oracle[T],
        tries_max: int,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._items = items
        self._fails = fails
        self._tries_max = tries_max
        self._progress = progress
        self._known: dict[_Kept, _Kept | None] = {}
        self.best: _Kept = tuple(range(len(items)))
        self.tries = 0

    def try_(self, kept: _Kept) -> bool:
        """Whether these items fail; if so, those of them that were used are the best so far."""
        if kept not in self._known:
            if self.tries >= self._tries_max:
                raise _EnoughError
            self._known[kept] = self._ask(kept)
        used = self._known[kept]
        if used is not None and len(used) < len(self.best):
            self.best = used
            if self._progress is not None:
                self._progress(Progress(self.tries, len(used), len(self._items)))
        return used is not None

    def _ask(self, kept: _Kept) -> _Kept | None:
        """Those of the items that were used, if these fail."""
        self.tries += 1
        part = [self._items[index] for index in kept]
        try:
            answer = self._fails(part)
        except ClusterlabError:
            return None
        if isinstance(answer, bool):
            return kept if answer else None
        used = set(map(id, answer))
        return tuple(index for index, item in zip(kept, part, strict=True) if id(item) in used)

    def verify(self) -> None:
        """Ask once more."""
        if self._ask(self.best) is None:
            raise ScenarioError(
                f"the same {len(self.best)} items failed and, run again, did not: what decides "
                "this is not in the list, such as a clock, a live run or a seed that changes; "
                "fix it (run it in the simulator, with one seed), then shrink again."
            )

    def run(self) -> None:
        """Until no single item can be left out."""
        if not self.best or self.try_(()):
            return
        pieces = 2
        while len(self.best) > 1:
            pieces = min(pieces, len(self.best))
            parts = _cut(self.best, pieces)
            if any(self.try_(part) for part in parts):  # "reduce to subset"
                pieces = 2
                continue
            if self._without_one(parts):  # "reduce to complement"
                pieces = max(pieces - 1, 2)
            elif pieces < len(self.best):  # "increase granularity"
                pieces = 2 * pieces
            else:
                return

    def without(self, size: int) -> bool:
        """Leave out the first so many single items, from the end, that are not needed together."""
        best = self.best
        for left_out in combinations(reversed(best), size):
            if self.try_(tuple(index for index in best if index not in left_out)):
                return True
        return False

    def _without_one(self, parts: list[_Kept]) -> bool:
        """Leave out the first piece, from the end, that is not needed."""
        for place in reversed(range(len(parts))):
            rest = tuple(i for at, part in enumerate(parts) if at != place for i in part)
            if self.try_(rest):
                return True
        return False


def _cut(kept: _Kept, pieces: int) -> list[_Kept]:
    """`pieces` parts of nearly equal length."""
    size, more = divmod(len(kept), pieces)
    parts, begin = [], 0
    for place in range(pieces):
        end = begin + size + (place < more)
        parts.append(kept[begin:end])
        begin = end
    return parts
