"""Client sessions that end: what is remembered of clients has a bound (dissertation §6.3).

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 6.3. Without it a
server remembers the newest answer to every client that there ever was. With it a client opens a
session before it asks, and when there are too many, the one that was unused for longest ends. All
servers must agree on which one that is, so the log alone decides it.

A session is named by the index of the entry that opened it: a request from an earlier one, late or
doubled, is never taken for a request of the present one.
"""

from __future__ import annotations

from typing import Any

from clusterlab.core.node import Message, NodeId, volatile
from clusterlab.protocols.client import Client, Reply, Request
from clusterlab.protocols.raft.messages import LEADER, Command
from clusterlab.protocols.raft.server import Raft


class OpenSession(Message):
    """Client to leader, instead of an operation: remember me; the result names the session."""


class InSession(Message):
    """Client to leader: this operation, unless my session has ended."""

    session: int
    operation: Message


class SessionExpired(Message):
    """Leader to client: whether that was done before, nobody knows any more; it is not done now."""

    serial: int


class Sessions(Raft):
    """A server that remembers so many clients and no more; its clients are `SessionClient`s.

    Parameters
    ----------
    sessions_max:
        How many sessions there are at once.
    """

    sessions_max: int = 100

    opened: dict[NodeId, int] = volatile({})  # client -> the index of the entry that let it in
    used: dict[NodeId, int] = volatile({})  # client -> the index of its newest entry

    def on_request(self, src: NodeId, m: Request) -> None:
        """Who has no session any more is told at once."""
        wish = m.operation
        if isinstance(wish, InSession) and self.role == LEADER and not self.is_open(src, wish):
            self.send(src, SessionExpired(m.serial))
        else:
            super().on_request(src, m)

    def is_open(self, client: NodeId, wish: InSession) -> bool:
        """Whether this is the client's present session."""
        return self.opened.get(client) == wish.session

    def refusal(self, operation: Message) -> str | None:
        """The application is asked about what it will have to do."""
        if isinstance(operation, OpenSession):
            return None
        if not isinstance(operation, InSession):
            return f"{operation!r} comes without a session: ask with a SessionClient"
        return super().refusal(operation.operation)

    def apply(self, command: Command) -> None:
        """Carry out what belongs to an open session; it may have ended since the leader looked."""
        client, serial, wish = command
        if isinstance(wish, OpenSession):
            if self.is_new(command):
                self.open(client, serial)
            self.answer(command)
        elif isinstance(wish, InSession) and self.is_open(client, wish):
            self.used[client] = self.last_applied
            super().apply(command._replace(operation=wish.operation))
        elif self.waiting.get(client) == serial:
            del self.waiting[client]
            self.send(client, SessionExpired(serial))

    def open(self, client: NodeId, serial: int) -> None:
        """A session begins, and another may end."""
        self.opened[client] = self.used[client] = self.last_applied
        self.sessions[client] = (serial, self.last_applied)
        while len(self.opened) > self.sessions_max:
            # §6.3 names an upper bound with a policy of "least recently used" as one way.
            oldest = min(self.used, key=lambda name: self.used[name])
            del self.opened[oldest], self.used[oldest], self.sessions[oldest]

    def applied_state(self) -> dict[str, Any]:
        """Who may ask, and who was heard when, belongs to what the entries came to."""
        return {**super().applied_state(), "opened": self.opened, "used": self.used}


class SessionClient(Client):
    """A client that opens a session before it asks, and another one when that has ended."""

    session: int = volatile(0)  # 0: there is none

    def wish(self) -> Message:
        """The operation as a part of the session; or first of all a session."""
        return InSession(self.session, super().wish()) if self.session else OpenSession()

    def on_reply(self, src: NodeId, m: Reply) -> None:
        """The session is open, or the operation done."""
        if self.session or self.operation is None or m.serial != self.serial:
            super().on_reply(src, m)
            return
        self.session, self.server, self.silent = m.result, src, None
        self.use_next_serial()
        self.ask()

    def on_session_expired(self, src: NodeId, m: SessionExpired) -> None:
        """It may have been done when it was asked for the first time, and nobody remembers."""
        if self.session and self.operation is not None and m.serial == self.serial:
            self.session = 0
            self.end("info", None)
