"""What the judges of a history say: valid or not or not known, and which operations show it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clusterlab.core.history import History, Operation
from clusterlab.core.pictures import Pictured


class Breach(NamedTuple):
    """One thing that is wrong with a history."""

    what: str
    """The promise that is broken, such as `monotonic reads`."""
    sentence: str
    operations: tuple[Operation, ...]
    """Those that show it together; the last one is where it shows."""


@dataclass(frozen=True)
class Verdict(Pictured):
    """What a judge of a history found; in an `if` or `assert` it is true only if valid."""

    valid: bool | None
    """None: not known, because the judge reached its limit, was interrupted, or saw nothing."""
    sentence: str
    order: tuple[Operation, ...] = ()
    """A legal order of all that happened; if there is none, of the part at fault the one that gets
    furthest."""
    misfit: Operation | None = None
    """The operation that fits nowhere, or at which the first breach shows."""
    instead: Any = None
    """What `misfit` would have returned after `order`."""
    part: Hashable = None
    """The part at fault, or the first that was given up, such as a key."""
    parts: int = 0
    """How many parts there are."""
    judged: int = 0
    """How many operations count."""
    states: int = 0
    """How many configurations a search visited."""
    breaches: tuple[Breach, ...] = ()
    """All that is wrong, from judges that go on after the first."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What was counted and measured."""
    interrupted: bool = False
    history: History | None = field(default=None, repr=False, compare=False)
    """What was judged, for the picture."""

    def __bool__(self) -> bool:
        return self.valid is True

    def __str__(self) -> str:
        return self.sentence

    def explain(self) -> str:
        """The verdict as a sentence, with its reason."""
        return self.sentence


def verdict_on(
    history: History,
    breaches: Sequence[Breach],
    *,
    fine: str,
    judged: int,
    figures: Mapping[str, Any] | None = None,
) -> Verdict:
    """The verdict of a judge that lists breaches: valid, in the words of `fine`, if there are none.

    Where nothing was judged, nothing is known.
    """
    facts: dict[str, Any] = {"judged": judged, "figures": figures or {}, "history": history}
    if breaches:
        first = breaches[0]
        others = len(breaches) - 1
        more = f" There {'is' if others == 1 else 'are'} {others} more such." if others else ""
        sentence = f"{first.what} broken: {first.sentence}{more}"
        misfit = first.operations[-1] if first.operations else None
        return Verdict(False, sentence, misfit=misfit, breaches=tuple(breaches), **facts)
    return Verdict(True if judged else None, fine, **facts)


def count_of(number: int, what: str) -> str:
    """`1 read`, `3 reads`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
