"""What the users of a cluster asked and were told: the input of every consistency check.

Users stand outside the cluster, at WORLD. A client is a node: it is handed `Invoke(operation)`,
says `Invoked(operation)` to WORLD when it begins and `Returned(outcome, value)` when it ends.
The engines record these as `invoke` and `return` events, and a History reads them back.

The outcomes are Jepsen's: `ok` (it happened), `fail` (it did not), `info` (nobody knows:
it may have happened, or may still). Calling an unanswered write failed is the oldest
mistake in testing databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from clusterlab.core.node import Message, NodeId
from clusterlab.core.trace import FAULT_KINDS, Trace, TraceEvent

Outcome: TypeAlias = Literal["ok", "fail", "info"]


class Invoke(Message):
    """From WORLD to a client: do this."""

    operation: Message


class Invoked(Message):
    """From a client to WORLD: I begin this."""

    operation: Message


class Returned(Message):
    """From a client to WORLD: this is what came of it."""

    outcome: Outcome
    value: Any = None


class Administration(Message):
    """Base of what is asked of the cluster itself, and not of the object that it keeps."""


@dataclass(frozen=True)
class Operation:
    """One operation of one client; `returned_ms` is None while nothing is known of its end."""

    client: NodeId
    call: Message
    invoked_ms: float
    returned_ms: float | None = None
    outcome: Outcome = "info"
    value: Any = None
    invoke_seq: int = -1
    return_seq: int | None = None

    @property
    def latency_ms(self) -> float | None:
        """From invocation to return, in ms of cluster time."""
        return None if self.returned_ms is None else self.returned_ms - self.invoked_ms

    def __str__(self) -> str:
        end = "..." if self.returned_ms is None else f"{self.returned_ms:.1f}"
        result = f"{self.outcome} {self.value!r}"
        return f"{self.client} {self.call!r} -> {result} [{self.invoked_ms:.1f}, {end}] ms"


class History:
    """The operations of a run, in the order of their invocations, and the faults that struck it."""

    def __init__(self, operations: list[Operation], faults: Iterable[TraceEvent] = ()) -> None:
        self.operations = operations
        self.faults = tuple(faults)

    @classmethod
    def of(cls, trace: Trace) -> History:
        """Pair a trace's `invoke` and `return` events; a client has one operation at a time.

        Administration is left out: no client asked for it, and no object explains it.
        """
        operations: list[Operation] = []
        pending: dict[NodeId, int] = {}
        for event in trace.events:
            if event.kind == "invoke" and event.node is not None:
                call = event.data["operation"]
                if isinstance(call, Administration):
                    continue
                pending[event.node] = len(operations)
                operations.append(Operation(event.node, call, event.at_ms, invoke_seq=event.seq))
            elif event.kind == "return" and event.node in pending:
                index = pending.pop(event.node)
                begun = operations[index]
                operations[index] = Operation(
                    begun.client,
                    begun.call,
                    begun.invoked_ms,
                    event.at_ms,
                    event.data["outcome"],
                    event.data["value"],
                    begun.invoke_seq,
                    event.seq,
                )
        return cls(operations, (event for event in trace.events if event.kind in FAULT_KINDS))

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def __len__(self) -> int:
        return len(self.operations)

    def ok(self) -> list[Operation]:
        """The operations that certainly happened."""
        return [op for op in self.operations if op.outcome == "ok" and op.returned_ms is not None]

    def __repr__(self) -> str:
        counts = dict.fromkeys(("ok", "fail", "info"), 0)
        for op in self.operations:
            counts[op.outcome] += 1
        inside = ", ".join(f"{n} {name}" for name, n in counts.items())
        return f"<History: {len(self.operations)} operations, {inside}>"
