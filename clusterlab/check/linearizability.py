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
from typing import Any, NamedTuple

from clusterlab.check.ordering import Misfit, Ordering
from clusterlab.check.spans import Span, as_history, spans_of
from clusterlab.check.verdict import Verdict, count_of
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Operation
from clusterlab.core.spec import Spec

STATES_MAX = 1_000_000
MOVES = 2_000
"""What one part may try before it is the turn of the next."""

SHOWN = 4
"""How many operations of a long order a sentence tells."""


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
    An interrupt (Ctrl-C) ends the search, and the verdict, which is unknown, says how far it came.

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
    history = as_history(history)
    parts = split(history, spec)
    searches = {part: Ordering(spans, spec) for part, spans in parts.items()}
    found = _search(searches, states_max)
    facts: dict[str, Any] = {
        "parts": len(parts),
        "judged": sum(map(len, parts.values())),
        "states": sum(search.visited for search in searches.values()),
        "history": history,
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
    if found.interrupted:
        sentence = _interrupted(found, parts, searches)
        return Verdict(None, sentence, part=found.interrupted[0], interrupted=True, **facts)
    if found.given_up:
        sentence = _not_known({part: parts[part] for part in found.given_up}, states_max)
        return Verdict(None, sentence, part=found.given_up[0], **facts)
    order = _merged(found.orders)
    return Verdict(True, _legal(order, parts), order=order, **facts)


# --- the history ------------------------------------------------------------------------------


def split(history: Iterable[Operation], spec: Spec) -> dict[Hashable, list[Span]]:
    """The operations that count, by their parts, with the places of their ends among all events."""
    parts: dict[Hashable, list[Span]] = {}
    for span in spans_of([op for op in history if counts(op, spec)]):
        call = span.operation.call
        try:
            parts.setdefault(spec.part(call), []).append(span)
        except Exception as error:
            raise ScenarioError(
                f"{spec!r} cannot say to which part {call!r} belongs ({error}): "
                "check the history against the object that its operations belong to."
            ) from error
    return parts


def counts(operation: Operation, spec: Spec) -> bool:
    """Whether an operation says anything: what failed says nothing, nor what nobody has read."""
    if operation.outcome == "info":
        return not spec.is_read(operation.call)
    return operation.outcome == "ok"


# --- the search -------------------------------------------------------------------------------


class _Found(NamedTuple):
    fault: tuple[Hashable, Misfit] | None
    given_up: list[Hashable]
    orders: list[tuple[Span, ...]]
    interrupted: list[Hashable]
    """What was still being judged when somebody had waited enough."""


def _search(searches: dict[Hashable, Ordering], states_max: int) -> _Found:
    """Advance all searches in turn until one fails, all are over, or Ctrl-C ends them."""
    waiting = deque(searches)
    found = _Found(None, [], [], [])
    try:
        return _take_turns(searches, waiting, found, states_max)
    except KeyboardInterrupt:
        left = [part for part in searches if not searches[part].forgotten]
        return found._replace(interrupted=left)


def _take_turns(
    searches: dict[Hashable, Ordering], waiting: deque[Hashable], found: _Found, states_max: int
) -> _Found:
    remembered: dict[Hashable, int] = {}
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


def _interrupted(
    found: _Found, parts: dict[Hashable, list[Span]], searches: dict[Hashable, Ordering]
) -> str:
    """How far it came: nothing that was looked at so far is wrong."""
    part = found.interrupted[0]
    where = "the whole" if part is None else repr(part)
    returned = sum(span.end is not None for span in parts[part])
    return (
        f"unknown: the judgement was interrupted. So far {len(found.orders)} of "
        f"{count_of(len(parts), 'part')} {'has' if len(parts) == 1 else 'have'} a legal order and "
        f"none is at fault; {where} is explained up to {searches[part].explained:,} of "
        f"{returned:,} returns. Give it more time, or judge a shorter history."
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
