"""A store that always answers: every replica by itself, and they converge when they can talk.

Sources: Shapiro, Preguiça, Baquero and Zawirski, "Conflict-free Replicated Data Types", 2011
(states of a join semilattice); Demers et al., "Epidemic Algorithms for Replicated Database
Maintenance", 1987 (rumours, and anti-entropy for what they miss).

The state is a map of multi-value registers: each key holds all values that no later write has
seen, so what two sides of a cut wrote at once is there twice afterwards, and nothing is lost.
"""

from __future__ import annotations

from typing import Any, Self, TypeAlias

from clusterlab.core.node import Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.spec import Get, Put
from clusterlab.protocols.client import Refused, Reply, Request
from clusterlab.protocols.dynamo.store import value_of
from clusterlab.protocols.dynamo.versions import Version, advanced, merged

Registers: TypeAlias = tuple[tuple[str, tuple[Version, ...]], ...]
"""Pairs of a key and its versions, sorted by key."""


class Rumour(Message):
    """Replica to replica: this was just written."""

    registers: Registers


class Compare(Message):
    """Replica to replica, now and then: this is all that I have; what do you have?"""

    registers: Registers


class GossipDue(Timer):
    """Time for anti-entropy."""


class ConvergentStore(Node):
    """A replica that asks nobody.

    Parameters
    ----------
    members:
        All replicas.
    gossip_ms:
        How often a replica compares all that it has with another.

    >>> [replica.id for replica in ConvergentStore.group(2)]
    ['n1', 'n2']
    """

    members: tuple[NodeId, ...]
    gossip_ms: int = 200

    payload: Registers = durable(())
    written: int = durable(0)  # names this replica's writes; a count never comes twice

    sessions: dict[NodeId, int] = volatile({})  # client -> serial of its newest write here

    @classmethod
    def group(cls, size: int = 3, **options: Any) -> list[Self]:
        """The replicas n1, n2, ... of one store."""
        members = tuple(f"n{i}" for i in range(1, size + 1))
        return [cls(name, members=members, **options) for name in members]

    @staticmethod
    def merge(one: Registers, other: Registers) -> Registers:
        """The join: of each key the versions that nothing on either side has overwritten."""
        both = dict(one)
        for key, versions in other:
            both[key] = merged((*both.get(key, ()), *versions), "vector")
        return tuple(sorted(both.items()))

    @property
    def peers(self) -> tuple[NodeId, ...]:
        """The other replicas."""
        return tuple(member for member in self.members if member != self.id)

    def on_start(self) -> None:
        """Begin to gossip."""
        if self.peers:
            self.set_timer(GossipDue(), self.gossip_ms)

    def on_request(self, src: NodeId, m: Request) -> None:
        """Answer at once, with what is here."""
        operation = m.operation
        known = dict(self.payload)
        if isinstance(operation, Get):
            self.send(src, Reply(m.serial, value_of(known.get(operation.key, ()))))
        elif isinstance(operation, Put):
            if m.serial > self.sessions.get(src, 0):
                self.sessions[src] = m.serial
                self.write(operation, known.get(operation.key, ()), (src, m.serial))
            self.send(src, Reply(m.serial, None))
        else:
            self.send(src, Refused(m.serial, f"a store without agreement cannot do {operation!r}"))

    def write(self, operation: Put, seen: tuple[Version, ...], request: tuple[NodeId, int]) -> None:
        """Overwrite what is here, and tell everybody; who cannot hear it learns it later."""
        self.written += 1
        vector = advanced(seen, self.id, self.written)
        tag = (sum(count for _, count in vector), *request)
        rumour = ((operation.key, (Version(operation.value, tag, vector),)),)
        self.payload = self.merge(self.payload, rumour)
        self.broadcast(Rumour(rumour), self.peers)

    def on_rumour(self, src: NodeId, m: Rumour) -> None:
        """Take it in; twice is as good as once, and late as good as early."""
        self.payload = self.merge(self.payload, m.registers)

    def on_gossip_due(self, t: GossipDue) -> None:
        """Compare with somebody."""
        self.send(self.choose(self.peers), Compare(self.payload))
        self.set_timer(GossipDue(), self.gossip_ms)

    def on_compare(self, src: NodeId, m: Compare) -> None:
        """Take in what is there, and send back what is not."""
        self.payload = self.merge(self.payload, m.registers)
        if self.payload != m.registers:
            self.send(src, Rumour(self.payload))

    def status(self) -> dict[str, Any]:
        """All are alike; siblings are what a merge left to the reader."""
        torn = sum(len(versions) > 1 for _, versions in self.payload)
        label = f"{len(self.payload)} keys" + (f", {torn} with siblings" if torn else "")
        return {"role": "replica", "epoch": 0, "label": label}
