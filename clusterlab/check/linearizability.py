"""Linearizability (Herlihy & Wing 1990): does the cluster look like one object in one place?

A history is linearizable if every operation can be given one moment between its invocation and its
return, such that the object, carrying them out one after another at their moments, returns what the
clients were told.

The outcomes count as Jepsen counts them: `ok` happened, `fail` did not, `info` (and what never
returned) may have happened at any time after its invocation, also after later operations of its
client, or never. A read of unknown outcome says nothing and is left out.

The parts of an object, such as the keys of a store, are judged each by itself: linearizability is
local (theorem 1 of the paper). They are judged in turn, a little each, so that one that is plainly
wrong ends the whole at once, however hard the others are. The problem is NP-complete
(Gibbons & Korach 1997), so there is a limit, and reaching it is told. The search is in `ordering`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from clusterlab.check.ordering import Misfit, Ordering, Span
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Operation
from clusterlab.core.spec import Spec

STATES_MAX = 1_000_000
MOVES = 2_000
"""What one part may try before it is the turn of the next."""

SHOWN = 4
"""How many operations of a long order a sentence tells."""


@dataclass(frozen=True)
class Verdict:
    """What `check_linearizability` found; in an `if` or `assert` it is true only if valid."""

    valid: bool | None
    """None: not known, because the search reached its limit."""
    sentence: str
    order: tuple[Operation, ...] = ()
    """A legal order of all that happened; if there is none, of the part at fault the one that gets
    furthest."""
    misfit: Operation | None = None
    """The operation that fits nowhere: the first return of its part that no order explains."""
    instead: Any = None
    """What `misfit` would have returned after `order`."""
    part: Hashable = None
    """The part at fault, or the first that was given up, such as a key."""
    parts: int = 0
    """How many parts there are."""
    judged: int = 0
    """How many operations count: all but those that failed and reads of unknown outcome."""
    states: int = 0
    """How many configurations the search visited."""

    def __bool__(self) -> bool:
        return self.valid is True

    def __str__(self) -> str:
        return self.sentence

    def explain(self) -> str:
        """The verdict as a sentence, with its reason."""
        return self.sentence


def check_linearizability(
    history: Iterable[Operation], spec: Spec, *, states_max: int = STATES_MAX
) -> Verdict:
    """Search for an order that explains `history`.

    Parameters
    ----------
    history:
        The operations: a History, or a list in any order. One precedes another if it returned
        before the other was invoked, or at the same ms: what stems from a trace is ordered by its
        numbers then, and for anything else the return counts as first.
    spec:
        The object, such as `KeyValue()`.
    states_max:
        How many configurations, states and steps may be remembered at a time. If the search needs
        more, it gives up the part that has most of them; the verdict is unknown then, unless
        another part is at fault. A million take about 160 MB.

    Raises ScenarioError if `spec` does not have an operation, or the history cannot be.

    >>> from clusterlab.core.spec import Read, Register, Write
    >>> write = Operation("c1", Write(1), 0, 10, "ok")
    >>> check_linearizability([write, Operation("c2", Read(), 5, 8, "ok", None)], Register()).valid
    True
    >>> print(check_linearizability([write, Operation("c2", Read(), 15, 18, "ok")], Register()))
    not linearizable: c2 Read() -> ok None [15.0, 18.0] ms fits nowhere. The order that gets
    furthest is c1 Write(value=1); after it, Read() returns 1.
    """
    if states_max < 1:
        raise ScenarioError(f"states_max={states_max} leaves no room to search: give at least 1.")
    parts = _split(list(history), spec)
    searches = {part: Ordering(spans, spec) for part, spans in parts.items()}
    found = _search(searches, states_max)
    facts: dict[str, Any] = {
        "parts": len(parts),
        "judged": sum(map(len, parts.values())),
        "states": sum(search.visited for search in searches.values()),
    }
    if found.fault is not None:
        part, misfit = found.fault
        return Verdict(
            False,
            _no_order(part, misfit),
            order=tuple(span.operation for span in misfit.order),
            misfit=misfit.operation,
            instead=misfit.instead,
            part=part,
            **facts,
        )
    if found.given_up:
        sentence = _not_known({part: parts[part] for part in found.given_up}, states_max)
        return Verdict(None, sentence, part=found.given_up[0], **facts)
    order = _merged(found.orders)
    return Verdict(True, _legal(order, parts), order=order, **facts)


# --- the history ------------------------------------------------------------------------------


def _split(history: list[Operation], spec: Spec) -> dict[Hashable, list[Span]]:
    """The operations that count, by their parts, with the places of their ends among all events."""
    parts: dict[Hashable, list[Span]] = {}
    for span in _spans([op for op in history if _counts(op, spec)]):
        call = span.operation.call
        try:
            parts.setdefault(spec.part(call), []).append(span)
        except Exception as error:
            raise ScenarioError(
                f"{spec!r} cannot say to which part {call!r} belongs ({error}): "
                "check the history against the object that its operations belong to."
            ) from error
    return parts


def _counts(operation: Operation, spec: Spec) -> bool:
    """Whether an operation says anything; raises ScenarioError if it cannot be."""
    if not isinstance(operation, Operation):
        raise ScenarioError(
            f"a history is made of operations, not of {operation!r}: "
            "give cluster.history, or a list of Operation."
        )
    if operation.outcome not in ("ok", "fail", "info"):
        raise ScenarioError(
            f"{operation} has the outcome {operation.outcome!r}: write 'ok' (it happened), "
            "'fail' (it did not) or 'info' (nobody knows)."
        )
    if operation.outcome == "ok" and operation.returned_ms is None:
        raise ScenarioError(
            f"{operation} is ok but never returned: give it a returned_ms, or the outcome 'info'."
        )
    if operation.returned_ms is not None and operation.returned_ms < operation.invoked_ms:
        raise ScenarioError(
            f"{operation} returned before it was invoked: exchange the two times, "
            "or record both by one clock."
        )
    if operation.outcome == "info":
        return not spec.is_read(operation.call)
    return operation.outcome == "ok"


def _spans(operations: list[Operation]) -> list[Span]:
    """Number all invocations and returns in the order of time."""
    numbered = all(
        op.invoke_seq >= 0 and (op.outcome != "ok" or op.return_seq is not None)
        for op in operations
    )
    events: list[tuple[float, int, int, int]] = []
    for index, op in enumerate(operations):
        # At the same ms returns come first; an operation that took no time stands in between.
        instant = op.outcome == "ok" and op.returned_ms == op.invoked_ms
        begin = op.invoke_seq if numbered else 1 if instant else 3
        events.append((op.invoked_ms, begin, index, 0))
        if op.outcome == "ok" and op.returned_ms is not None:
            end = op.return_seq if numbered and op.return_seq is not None else 2 if instant else 0
            events.append((op.returned_ms, end, index, 1))
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    for place, (_, _, index, is_return) in enumerate(sorted(events)):
        (ends if is_return else begins)[index] = place
    return [Span(op, begins[index], ends.get(index)) for index, op in enumerate(operations)]


# --- the search -------------------------------------------------------------------------------


class _Found(NamedTuple):
    fault: tuple[Hashable, Misfit] | None
    given_up: list[Hashable]
    orders: list[tuple[Span, ...]]


def _search(searches: dict[Hashable, Ordering], states_max: int) -> _Found:
    """Advance all searches in turn until one fails or all are over."""
    waiting = deque(searches)
    remembered: dict[Hashable, int] = {}
    found = _Found(None, [], [])
    while waiting:
        part = waiting.popleft()
        search = searches[part]
        result = search.advance(min(MOVES, states_max))
        if result is False:
            return found._replace(fault=(part, search.misfit()))
        if result is True:
            found.orders.append(search.order())
            search.forget()
            remembered.pop(part, None)
            continue
        waiting.append(part)
        remembered[part] = search.remembered
        while sum(remembered.values()) > states_max:
            largest = max(remembered, key=remembered.__getitem__)
            del remembered[largest]
            waiting.remove(largest)
            searches[largest].forget()
            found.given_up.append(largest)
    return found


def _merged(orders: list[tuple[Span, ...]]) -> tuple[Operation, ...]:
    """One legal order of the whole from one of each part.

    Every operation gets the earliest moment that its part's order allows. Moments of different
    parts respect the times of invocation and return, so sorting by them does.
    """
    moments: list[tuple[int, int, Operation]] = []
    for order in orders:
        moment = -1
        for position, (operation, begin, _) in enumerate(order):
            moment = max(moment, begin)
            moments.append((moment, position, operation))
    moments.sort(key=lambda entry: entry[:2])
    return tuple(operation for _, _, operation in moments)


# --- the sentence -----------------------------------------------------------------------------


def _no_order(part: Hashable, misfit: Misfit) -> str:
    order = [f"{span.operation.client} {span.operation.call!r}" for span in misfit.order]
    if not order:
        before, after = "", "Before anything else"
    elif len(order) <= SHOWN + 1:
        before, after = f"The order that gets furthest is {', '.join(order)}; a", "fter it"
    else:
        before = (
            f"The order that gets furthest explains {len(order)} operations "
            f"and ends in {', '.join(order[-SHOWN:])}; a"
        )
        after = "fter it"
    where = "" if part is None else f" at {part!r}"
    call = misfit.operation.call
    return (
        f"not linearizable{where}: {misfit.operation} fits nowhere. "
        f"{before}{after}, {call!r} returns {misfit.instead!r}."
    )


def _not_known(parts: dict[Hashable, list[Span]], states_max: int) -> str:
    part, spans = next(iter(parts.items()))
    others = len(parts) - 1
    more = f" and {others} more part{'s' * (others > 1)}" if others else ""
    where = "the whole" if part is None else repr(part)
    return (
        f"unknown: {where}{more} ({len(spans)} operations, up to {_overlap(spans)} at a time) "
        f"needs more than {states_max:,} states to be remembered. Give a larger states_max, or "
        "record fewer operations at a time and fewer of unknown outcome."
    )


def _overlap(spans: list[Span]) -> int:
    """The greatest number of operations that were open at one time; the unknown never end."""
    changes = [(span.begin, 1) for span in spans]
    changes += [(span.end, -1) for span in spans if span.end is not None]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _legal(order: tuple[Operation, ...], parts: dict[Hashable, list[Span]]) -> str:
    certain = sum(operation.outcome == "ok" for operation in order)
    unknown = sum(span.end is None for spans in parts.values() for span in spans)
    if not certain:
        return "linearizable, but for nothing: no operation returned ok, so nothing was judged."
    text = f"linearizable: {certain} operation{' has' if certain == 1 else 's have'} a legal order"
    if len(parts) > 1:
        text += f" ({len(parts)} parts, each judged by itself)"
    if unknown:
        text += f"; of {unknown} with unknown outcome, {len(order) - certain} took effect in it"
    return text + "."
