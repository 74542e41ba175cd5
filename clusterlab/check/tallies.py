"""Judges that count: elements of sets, ids, counters. Each is quick, however long the history.

They are Jepsen's (`set-full`, `unique-ids` and `counter` in jepsen.checker), and weaker than
linearizability: what they call wrong is wrong, but they do not see all that is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from clusterlab.check.models import AddElement, ReadSet, RemoveElement
from clusterlab.check.spans import Span, as_history, spans_of
from clusterlab.check.verdict import Breach, Verdict, count_of, verdict_on
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import History, Operation
from clusterlab.core.spec import Add, Read
from clusterlab.core.values import freeze, sort_key

# --- elements of sets --------------------------------------------------------------------------


@dataclass
class Element:
    """What became of an element; the names are Jepsen's."""

    element: Any
    add: Span | None = None
    known: tuple[int, float, Span] | None = None
    """When it was certain to be there: its add returned or a read saw it (place, ms, operation)."""
    last_present: Span | None = None
    """The last read, by invocation, that saw it."""
    last_absent: Span | None = None

    @property
    def outcome(self) -> Literal["stable", "lost", "never read"]:
        """Seen by every read from some moment on; by none; or no read tells."""
        present = -1 if self.last_present is None else self.last_present.begin
        absent = -1 if self.last_absent is None else self.last_absent.begin
        if self.last_present is not None and absent < present:
            return "stable"
        if self.known is not None and present < absent and self.known[0] < absent:
            return "lost"
        return "never read"

    @property
    def stale_ms(self) -> float:
        """How long after it was known a read that began then still missed it."""
        if self.outcome != "stable" or self.last_absent is None or self.known is None:
            return 0.0
        return max(0.0, self.last_absent.operation.invoked_ms - self.known[1])

    @property
    def is_stale(self) -> bool:
        """Whether a read that began after it was known missed it, and later ones saw it."""
        known, absent = self.known, self.last_absent
        return bool(self.outcome == "stable" and known and absent and known[0] < absent.begin)

    @property
    def lost_ms(self) -> float:
        """How long after it was known it was last seen; 0 if never."""
        if self.outcome != "lost" or self.last_present is None or self.known is None:
            return 0.0
        return max(0.0, self.last_present.operation.invoked_ms - self.known[1])


def check_set(history: Iterable[Operation], *, stale_allowed: bool = True) -> Verdict:
    """What became of each element that was added to a set: lost, stale, never read?

    An element is known once its add has returned or a read has seen it. It is lost if no read that
    began later than some such moment sees it, stale if some missed it and later ones did not.
    Elements that were removed as well are left out.

    Parameters
    ----------
    history:
        AddElement and ReadSet.
    stale_allowed:
        Without it, stale elements are wrong as well (Jepsen's `linearizable?`).

    >>> add = Operation("a", AddElement(1), 0, 10, "ok")
    >>> print(check_set([add, Operation("b", ReadSet(), 20, 30, "ok", frozenset())]))
    lost elements broken: 1 was added by a at 10.0 ms and is missing in all reads from 20.0 ms on.
    """
    history = as_history(history)
    elements, reads, unexpected = _elements(history)
    by_outcome: dict[str, list[Element]] = {"stable": [], "lost": [], "never read": []}
    for element in elements:
        by_outcome[element.outcome].append(element)
    stale = [element for element in by_outcome["stable"] if element.is_stale]
    breaches = [*unexpected, *map(_lost, by_outcome["lost"])]
    if not stale_allowed:
        breaches += map(_stale, stale)
    figures = {
        "attempts": len(elements),
        "acknowledged": sum(e.add is not None and e.add.end is not None for e in elements),
        "stable": len(by_outcome["stable"]),
        "never_read": [e.element for e in by_outcome["never read"]],
        "lost": [(e.element, e.lost_ms) for e in by_outcome["lost"]],
        "stale": [(e.element, e.stale_ms) for e in stale],
        "stale_ms_max": max((element.stale_ms for element in stale), default=0.0),
    }
    judged = len(by_outcome["stable"])
    told = (
        f"{count_of(len(elements), 'element')} added ({figures['acknowledged']} acknowledged): "
        f"{judged} stable, {len(by_outcome['never read'])} never read, {len(stale)} stale"
    )
    if stale:
        told += f" for up to {figures['stale_ms_max']:.1f} ms"
    fine = f"set: {told}, none lost in {count_of(reads, 'read')}."
    if not judged:
        fine = f"unknown: {told}; no read tells that an element stays."
    return verdict_on(history, breaches, fine=fine, judged=judged, figures=figures)


def _elements(history: History) -> tuple[list[Element], int, list[Breach]]:
    """What became of every element, the number of reads, and what was read but never added."""
    spans = spans_of([op for op in history if op.outcome != "fail"])
    removed = {freeze(s.operation.call.element) for s in spans
               if isinstance(s.operation.call, RemoveElement)}  # fmt: skip
    found: dict[Hashable, Element] = {}
    reads: list[tuple[Span, frozenset[Hashable]]] = []
    for span in sorted(spans, key=lambda s: s.begin):
        call = span.operation.call
        if isinstance(call, AddElement):
            element = found.setdefault(freeze(call.element), Element(call.element))
            if element.add is None or (element.add.end is None and span.end is not None):
                element.add = span
            if span.end is not None:
                _know(element, span)
        elif isinstance(call, ReadSet):
            if span.end is not None and span.operation.value is not None:
                reads.append((span, frozenset(map(freeze, span.operation.value))))
        elif not isinstance(call, RemoveElement):
            raise _not_for("a set (add, read)", span.operation)
    unexpected = []
    for span, seen in reads:
        for strange in sorted(seen - found.keys() - removed, key=sort_key)[:1]:
            told = f"{span.operation.client} read {strange!r}, which nobody has added."
            unexpected.append(Breach("unexpected elements", told, (span.operation,)))
        for key, element in found.items():
            if key in seen:
                _know(element, span)
                element.last_present = _later(element.last_present, span)
            else:
                element.last_absent = _later(element.last_absent, span)
    return [e for key, e in found.items() if key not in removed], len(reads), unexpected


def _know(element: Element, span: Span) -> None:
    assert span.end is not None
    if element.known is None or span.end < element.known[0]:
        element.known = (span.end, span.operation.returned_ms or 0.0, span)


def _later(one: Span | None, other: Span) -> Span:
    return other if one is None or one.begin < other.begin else one


def _lost(element: Element) -> Breach:
    assert element.known is not None
    assert element.last_absent is not None
    _, known_ms, by = element.known
    how = "added" if isinstance(by.operation.call, AddElement) else "first read"
    absent_ms = element.last_absent.operation.invoked_ms
    seen = ""
    operations = [by.operation]
    if element.last_present is not None:
        seen = (
            f", last seen by {element.last_present.operation.client} at "
            f"{element.last_present.operation.invoked_ms:.1f} ms,"
        )
        operations.append(element.last_present.operation)
    told = (
        f"{element.element!r} was {how} by {by.operation.client} at {known_ms:.1f} ms{seen} and is "
        f"missing in all reads from {absent_ms:.1f} ms on."
    )
    return Breach("lost elements", told, (*operations, element.last_absent.operation))


def _stale(element: Element) -> Breach:
    assert element.known is not None
    assert element.last_absent is not None
    late = element.last_absent.operation
    told = (
        f"{element.element!r} was known at {element.known[1]:.1f} ms, and {late.client} missed it "
        f"{element.stale_ms:.1f} ms later."
    )
    return Breach("stale elements", told, (element.known[2].operation, late))


# --- ids ---------------------------------------------------------------------------------------


def check_ids(history: Iterable[Operation]) -> Verdict:
    """Whether every operation that returned a value returned another one.

    >>> from clusterlab.check.models import GenerateId
    >>> twice = [Operation(c, GenerateId(), 0, 5, "ok", 7) for c in "ab"]
    >>> print(check_ids(twice))
    unique ids broken: 7 was given to a at 5.0 ms and to b at 5.0 ms.
    """
    history = as_history(history)
    given: dict[Hashable, list[Operation]] = {}
    for operation in history.ok():
        if operation.value is not None:
            given.setdefault(freeze(operation.value), []).append(operation)
    breaches = []
    for operations in given.values():
        if len(operations) > 1:
            operations.sort(key=lambda op: (op.returned_ms or 0.0, op.return_seq or 0))
            to = [f"to {op.client} at {op.returned_ms:.1f} ms" for op in operations]
            told = f"{operations[0].value!r} was given {', '.join(to[:-1])} and {to[-1]}."
            breaches.append(Breach("unique ids", told, tuple(operations)))
    judged = sum(map(len, given.values()))
    fine = f"unique ids: {count_of(judged, 'id')}, all different."
    if not judged:
        fine = "unknown: no operation has returned an id."
    figures = {"attempts": len(history), "acknowledged": judged, "duplicates": len(breaches)}
    return verdict_on(history, breaches, fine=fine, judged=judged, figures=figures)


# --- counters ----------------------------------------------------------------------------------


def check_counter(history: Iterable[Operation]) -> Verdict:
    """Whether every read of a counter lies between what it is at least and at most.

    What was added for certain before the read began counts, and of all else that was begun before
    it ended, what makes the sum the smallest (the largest).

    >>> add = Operation("a", Add(2), 0, 10, "ok")
    >>> print(check_counter([add, Operation("b", Read(), 20, 30, "ok", 1)]))
    counter bounds broken: b read 1 at 20.0 ms, when the counter was at least 2 and at most 2.
    """
    history = as_history(history)
    spans = spans_of([op for op in history if op.outcome != "fail"])
    adds: list[tuple[Span, int]] = []
    for span in spans:
        call = span.operation.call
        if isinstance(call, Add):
            adds.append((span, call.amount))
        elif not isinstance(call, Read):
            raise _not_for("a counter (add, read)", span.operation)
    breaches, judged, widest = [], 0, 0
    for span in sorted(spans, key=lambda s: s.begin):
        if span.end is None or not isinstance(span.operation.call, Read):
            continue
        certain = sum(n for add, n in adds if add.end is not None and add.end < span.begin)
        maybe = [
            n
            for add, n in adds
            if add.begin < span.end and (add.end is None or add.end > span.begin)
        ]
        low = certain + sum(n for n in maybe if n < 0)
        high = certain + sum(n for n in maybe if n > 0)
        judged += 1
        widest = max(widest, high - low)
        operation = span.operation
        if not isinstance(operation.value, (int, float)) or not low <= operation.value <= high:
            told = (
                f"{operation.client} read {operation.value!r} at {operation.invoked_ms:.1f} ms, "
                f"when the counter was at least {low} and at most {high}."
            )
            breaches.append(Breach("counter bounds", told, (operation,)))
    fine = f"counter: {count_of(judged, 'read')}, all within bounds that are up to {widest} apart."
    if not judged:
        fine = "unknown: there is no read to judge."
    figures = {"reads": judged, "errors": len(breaches), "bounds_apart_max": widest}
    return verdict_on(history, breaches, fine=fine, judged=judged, figures=figures)


def _not_for(what: str, operation: Operation) -> ScenarioError:
    return ScenarioError(
        f"{operation.client}'s {operation.call!r} is no operation of {what}: "
        "judge this history by another check, such as linearizability."
    )
