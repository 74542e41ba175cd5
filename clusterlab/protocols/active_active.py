"""Two servers that both take writes, and bring their stores together when they can.

Sources: Shapiro, Preguiça, Baquero and Zawirski, "Conflict-Free Replicated Data Types" (2011), for
a state that is merged; Kingsbury's test of Hazelcast 3.8.3 (Jepsen, 2017), for one in which the
whole value with the later stamp replaces the other.

Nobody waits for anybody here: a write is acknowledged by the server that it comes to, and the other
hears of it later. So during a cut both sides go on, and what the healing makes of it is decided by
`merge`. This store keeps items under names and only adds; with that, the union of both sides loses
nothing and does not depend on the order in which they hear of each other.
"""

from __future__ import annotations

from typing import Any, Self

from clusterlab.core.node import Message, Node, NodeId, Timer, durable
from clusterlab.protocols.client import Refused, Reply, Request


class AddItem(Message):
    """Put an item into the basket; returns None."""

    item: str


class Basket(Message):
    """Server to server: this is all that I have, written last at this count."""

    stamp: int
    items: tuple[str, ...]


class ShareDue(Timer):
    """The other is to hear what is here."""


class ActiveActive(Node):
    """One of two servers that both take writes, and merge.

    Parameters
    ----------
    partner:
        The id of the other.
    share_ms:
        How often it hears what is here.

    >>> [node.id for node in ActiveActive.pair()]
    ['n1', 'n2']
    """

    partner: NodeId
    share_ms: int = 50

    items: tuple[str, ...] = durable(())  # in the order of their names
    stamp: int = durable(0)

    @classmethod
    def pair(cls, **options: Any) -> list[Self]:
        """Two servers, n1 and n2."""
        return [cls("n1", partner="n2", **options), cls("n2", partner="n1", **options)]

    def on_start(self) -> None:
        """Begin to share."""
        self.set_timer(ShareDue(), self.share_ms)

    def on_request(self, src: NodeId, m: Request) -> None:
        """Done at once: an item that is added twice is there once."""
        if not isinstance(m.operation, AddItem):
            self.send(src, Refused(m.serial, "a basket only takes AddItem"))
            return
        self.items = tuple(sorted({*self.items, m.operation.item}))
        self.stamp += 1
        self.send(src, Reply(m.serial, None))

    def on_share_due(self, t: ShareDue) -> None:
        """Everything, since the other may have missed anything."""
        self.send(self.partner, Basket(self.stamp, self.items))
        self.set_timer(ShareDue(), self.share_ms)

    def on_basket(self, src: NodeId, m: Basket) -> None:
        """What the other has."""
        self.items = self.merge(src, m)
        self.stamp = max(self.stamp, m.stamp)

    def merge(self, src: NodeId, m: Basket) -> tuple[str, ...]:
        """Both: in any order, any number of times."""
        return tuple(sorted({*self.items, *m.items}))

    def status(self) -> dict[str, Any]:
        """What views show: both serve."""
        return {"role": "leader", "epoch": self.stamp, "label": f"{len(self.items)} items"}
