"""The history: what the users asked and were told, paired from the trace."""

from __future__ import annotations

from clusterlab.core.history import History, Operation
from clusterlab.core.spec import Get, Put
from clusterlab.core.trace import Trace


def trace_of(*lines: tuple[float, str, str, object]) -> Trace:
    trace = Trace()
    for at_ms, client, kind, what in lines:
        data = {"operation": what} if kind == "invoke" else {"outcome": what, "value": 7}
        trace.append(at_ms, client, kind, data)
    return trace


def test_a_call_and_its_return_are_one_operation() -> None:
    history = History.of(trace_of((1, "c1", "invoke", Get("x")), (6.5, "c1", "return", "ok")))

    (operation,) = history
    assert operation == Operation("c1", Get("x"), 1, 6.5, "ok", 7, 0, 1)
    assert operation.latency_ms == 5.5
    assert str(operation) == "c1 Get(key='x') -> ok 7 [1.0, 6.5] ms"


def test_clients_are_paired_apart_in_the_order_of_their_calls() -> None:
    history = History.of(
        trace_of(
            (1, "c1", "invoke", Put("x", 1)),
            (2, "c2", "invoke", Put("x", 2)),
            (3, "c2", "return", "ok"),
            (4, "c1", "return", "fail"),
            (5, "c2", "invoke", Get("x")),
        )
    )

    assert [(op.client, op.outcome, op.returned_ms) for op in history] == [
        ("c1", "fail", 4),
        ("c2", "ok", 3),
        ("c2", "info", None),
    ]
    assert [op.call for op in history.ok()] == [Put("x", 2)]
    assert len(history) == 3
    assert repr(history) == "<History: 3 operations, 1 ok, 1 fail, 1 info>"


def test_a_call_without_a_return_is_unknown_and_not_failed() -> None:
    (operation,) = History.of(trace_of((1, "c1", "invoke", Put("x", 1))))

    assert (operation.outcome, operation.returned_ms, operation.latency_ms) == ("info", None, None)
    assert str(operation) == "c1 Put(key='x', value=1) -> info None [1.0, ...] ms"


def test_a_client_that_died_in_a_call_leaves_it_open() -> None:
    history = History.of(
        trace_of(
            (1, "c1", "invoke", Put("x", 1)),
            (9, "c1", "invoke", Put("x", 2)),  # after its restart
            (10, "c1", "return", "ok"),
        )
    )

    assert [(op.outcome, op.returned_ms) for op in history] == [("info", None), ("ok", 10)]


def test_a_return_without_a_call_is_ignored() -> None:
    assert len(History.of(trace_of((1, "c1", "return", "ok")))) == 0


def test_other_events_are_no_operations() -> None:
    trace = trace_of((1, "c1", "invoke", Put("x", 1)))
    trace.append(2, "c1", "note", {"name": "x", "data": None})

    assert len(History.of(trace)) == 1
