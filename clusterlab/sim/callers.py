"""Who outside the cluster waits for which operation: users hand them over, clients answer."""

from __future__ import annotations

from clusterlab.core.history import Invoked, Returned
from clusterlab.core.node import Message, NodeId


class Call:
    """An operation that somebody outside handed to a node, and what came of it."""

    __slots__ = ("answer", "begun", "operation")

    def __init__(self, operation: Message) -> None:
        self.operation = operation
        self.begun = False
        self.answer: Returned | None = None


class Callers:
    """The open calls of every node, in the order in which they were handed over.

    A client carries out one operation at a time: what it returns belongs to the call that it began.
    """

    def __init__(self) -> None:
        self._open: dict[NodeId, list[Call]] = {}

    def add(self, node: NodeId, operation: Message) -> Call:
        """Somebody hands `operation` to `node`."""
        call = Call(operation)
        self._open.setdefault(node, []).append(call)
        return call

    def remove(self, node: NodeId, call: Call) -> None:
        """Nobody waits for this call any more."""
        calls = self._open.get(node, [])
        if call in calls:
            calls.remove(call)

    def forget(self, node: NodeId) -> None:
        """The node died, and with it the memory of what it was asked."""
        self._open.pop(node, None)

    def hear(self, node: NodeId, said: Invoked | Returned) -> None:
        """The node says that it begins an operation, or what came of the one that it began."""
        calls = self._open.get(node, [])
        if isinstance(said, Invoked):
            call = next((c for c in calls if not c.begun and c.operation == said.operation), None)
            if call is not None:
                call.begun = True
            return
        call = next((c for c in calls if c.begun), None)
        if call is not None:
            call.answer = said
            calls.remove(call)
