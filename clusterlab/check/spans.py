"""Histories as their judges take them: looked over, and with one order of all ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import History, Operation


def as_history(operations: Iterable[Operation]) -> History:
    """The history itself, or one of a list; ScenarioError if an operation cannot be."""
    history = operations if isinstance(operations, History) else History(list(operations))
    for operation in history:
        _check(operation)
    return history


def _check(operation: Operation) -> None:
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


class Span(NamedTuple):
    """An operation, and where its invocation and its return stand among all events.

    `end` is None if it may take effect at any time after its invocation, or never.
    """

    operation: Operation
    begin: int
    end: int | None


def spans_of(operations: Sequence[Operation]) -> list[Span]:
    """The operations, with all invocations and returns numbered in the order of time.

    What stems from a trace is ordered by its numbers. For anything else a return counts as earlier
    than an invocation at the same ms; an operation that took no time stands in between.
    """
    numbered = all(
        op.invoke_seq >= 0 and (op.outcome != "ok" or op.return_seq is not None)
        for op in operations
    )
    events: list[tuple[float, int, int, int]] = []
    for index, op in enumerate(operations):
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


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, from the lowest."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
