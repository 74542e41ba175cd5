"""A client that asks another server for each operation, like a load balancer that knows no leader.

Whoever is not the primary sends it on. So while there is one primary it is a slower client, and
when there are two it writes to both, and reads what the other side has never heard of.
"""

from __future__ import annotations

from clusterlab.core.node import Message
from clusterlab.protocols.client import Client


class Wanderer(Client):
    """Begins each operation with the next server in turn."""

    def begin(self, operation: Message) -> None:
        """Turn to the next, whoever answered last."""
        self.server = self.after(self.server)
        super().begin(operation)
