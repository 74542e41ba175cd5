"""What an administrator asks of a server: an operation on the cluster, and not on its object.

It is handed to a server as an operation is to a client, by `cluster.invoke("n1", ...)`, and has a
handler like any message. Histories leave it out: no client asked for it, and no store explains it.
"""

from __future__ import annotations

from typing import Any

from clusterlab.core.history import Administration, Invoke, Invoked, Outcome, Returned
from clusterlab.core.node import WORLD, NodeId
from clusterlab.protocols.raft.server import Raft


class Administered(Raft):
    """A server with a handler for each wish; the handler, or what follows, tells how it ended."""

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        """Hand the wish to its handler."""
        self.send(WORLD, Invoked(m.operation))
        if isinstance(m.operation, Administration):
            self.on_message(src, m.operation)
        else:
            self.tell_administrator("fail", f"{m.operation!r} is for a client to ask")

    def tell_administrator(self, outcome: Outcome, value: Any) -> None:
        """How the wish that began last has ended; info: it may still come true."""
        self.send(WORLD, Returned(outcome, value))
