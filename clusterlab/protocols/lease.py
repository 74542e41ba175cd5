"""A server that serves while it holds a lease, and the hole that a pause finds in it.

Sources: Gray and Cheriton, "Leases" (1989); Kleppmann, "How to do distributed locking" (2016),
whose picture `split-brain-lease-pause` plays: a holder looks at its clock, is stopped for longer
than its lease, and does what it had begun.

Nobody guesses at the death of others here: a server mounts the disk when the lock service gives it
the lock, and takes no request after its lease is over by its own clock. What it cannot do is to
take back what is under way: between the look at the clock and the moment at which the disk writes
there is always a step in which a process may stop, or a message may be late. A second look makes
the window smaller. Only the disk can close it, by looking at the number of the grant.
"""

from __future__ import annotations

from typing import Any, Self

from clusterlab.core.node import Node, NodeId
from clusterlab.protocols.client import NotLeader, Request
from clusterlab.protocols.lock_service import LockClient, LockService
from clusterlab.protocols.records import PRIMARY
from clusterlab.protocols.shared_storage import DiskServer, Storage


class Leased(LockClient, DiskServer):
    """One of two servers; whoever has the lock has the disk.

    >>> [node.id for node in Leased.with_disk()]
    ['n1', 'n2', 'lock', 'disk']
    """

    @classmethod
    def pair(cls, **options: Any) -> list[Self]:
        """Two servers, n1 and n2."""
        return [cls("n1", partner="n2", **options), cls("n2", partner="n1", **options)]

    @classmethod
    def with_disk(cls, storage: type[Storage] = Storage, **options: Any) -> list[Node]:
        """The pair n1 and n2, their lock service and their disk."""
        return [*cls.pair(**options), LockService("lock"), storage("disk")]

    def on_start(self) -> None:
        """Ask for the lock."""
        super().on_start()
        self.open_session()

    def locked(self, token: int) -> None:
        """The number of the grant is the token for the disk, and the epoch."""
        if self.image == token:  # out of jeopardy: nobody else had the disk meanwhile
            self.serve()
        else:
            self.mount(token)

    def serve(self) -> None:
        """Unless the disk took so long to answer that the lease is over."""
        if self.has_lease():
            super().serve()

    def unlocked(self) -> None:
        """Take no more requests; what is on its way to the disk cannot be called back."""
        self.unmount()

    def on_request(self, src: NodeId, m: Request) -> None:
        """The look at the clock: what is begun now is begun under the lease."""
        if self.role == PRIMARY and not self.has_lease():
            self.send(src, NotLeader(m.serial, self.partner))
        else:
            super().on_request(src, m)
