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
    A call for which nobody waits any more stays open, because its client does not know that:
    without it, what came of it would be taken for the answer to the next equal one.
    """

    def __init__(self) -> None:
        self._open: dict[NodeId, list[Call]] = {}

    def add(self, node: NodeId, operation: Message) -> Call:
        """Somebody hands `operation` to `node`."""
        call = Call(operation)
        self._open.setdefault(node, []).append(call)
        return call

    def forget(self, node: NodeId) -> None:
        """The node died, and with it the memory of what it was asked."""
        self._open.pop(node, None)

    def hear(self, node: NodeId, said: Invoked | Returned) -> None:
        """The node says that it begins an operation, or what came of the one that it began."""
        calls = self._open.get(node, [])
        begun = next((call for call in calls if call.begun), None)
        if begun is not None:
            calls.remove(begun)  # answered, or left for the next one without an answer
        if isinstance(said, Returned):
            if begun is not None:
                begun.answer = said
            return
        next_ = next((call for call in calls if call.operation == said.operation), None)
        if next_ is not None:
            next_.begun = True
