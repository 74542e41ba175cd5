"""A server that keeps a log of records, and carries out each once what is in it counts.

Every server of `primary_backup`, `shared_storage`, `replicated_log` and `view_service` is one. They
differ in when a record counts: whether the backup has it, the disk, a majority, or nobody else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from clusterlab.core.node import Message, Node, NodeId, volatile
from clusterlab.core.spec import KeyValue, Spec
from clusterlab.protocols.client import NotLeader, Refused, Reply, Request

PRIMARY, BACKUP = "leader", "backup"
"""Views and clients call whoever serves `leader`."""


class Record(NamedTuple):
    """An operation in the log; a no-op has no client."""

    epoch: int
    client: NodeId | None = None
    serial: int = 0
    operation: Message | None = None


class Bystander(Node):
    """Serves the servers: a witness, a disk, a manager. Clients that come by are sent on."""

    def on_request(self, src: NodeId, m: Request) -> None:
        """Not here."""
        self.send(src, NotLeader(m.serial, None))


class Recorder(Node):
    """Takes requests into its log, and answers them once they count.

    Parameters
    ----------
    spec:
        What the servers keep together.
    """

    spec: Spec = KeyValue()

    log: tuple[Record, ...] = volatile(())
    role: str = volatile(BACKUP)
    committed: int = volatile(0)
    machine: Any = volatile(None)
    sessions: dict[NodeId, tuple[int, Any]] = volatile({})  # client -> newest serial, its result
    waiting: dict[NodeId, int] = volatile({})  # client that waits -> its newest serial

    def begin_anew(self) -> None:
        """Nothing of the log is carried out yet, and nobody waits."""
        self.committed = 0
        self.machine, self.sessions, self.waiting = self.spec.initial(), {}, {}

    def take(self, src: NodeId, m: Request, epoch: int, ask: NodeId | None) -> bool:
        """Whether a request brought a new record; whoever does not serve sends to `ask`."""
        if self.role != PRIMARY:
            self.send(src, NotLeader(m.serial, ask))
            return False
        serial, result = self.sessions.get(src, (0, None))
        if m.serial == serial:
            self.send(src, Reply(serial, result))
            return False
        if m.serial <= max(serial, self.waiting.get(src, 0)):
            return False
        try:
            self.spec.apply(self.spec.initial(), m.operation)
        except TypeError as error:
            self.send(src, Refused(m.serial, str(error)))
            return False
        self.waiting[src] = m.serial
        self.log += (Record(epoch, src, m.serial, m.operation),)
        return True

    def commit(self, length: int) -> None:
        """Carry out what counts, and answer whoever waits for it."""
        while self.committed < length:
            record = self.log[self.committed]
            self.committed += 1
            if record.client is None or record.operation is None:
                continue
            serial, result = self.sessions.get(record.client, (0, None))
            if record.serial > serial:
                self.machine, result = self.spec.apply(self.machine, record.operation)
                self.sessions[record.client] = (record.serial, result)
            if self.waiting.get(record.client) == record.serial:
                del self.waiting[record.client]
                self.send(record.client, Reply(record.serial, result))

    def turn_away(self, ask: NodeId | None) -> None:
        """Whoever still waits is sent to another server: this one will not answer any more."""
        for client, serial in self.waiting.items():
            self.send(client, NotLeader(serial, ask))
        self.waiting = {}
