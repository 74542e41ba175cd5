"""A lock that outlives no dead holder: sessions, leases, and a token for each grant.

Sources: Burrows, "The Chubby Lock Service for Loosely-Coupled Distributed Systems" (2006), sections
2.4 (sequencers) and 2.8 (sessions and KeepAlives); Gray and Cheriton, "Leases: An Efficient
Fault-Tolerant Mechanism for Distributed File Cache Consistency" (1989), section 2.

- A session lives for `lease_ms` after the service last heard of it, by the clock of the service.
  A lock that it holds dies with it.
- Its owner counts from when it SENT what was answered, by its own clock, and ends earlier: by
  `drift`, how much two clocks may disagree about a length of time. So it knows that it has lost
  the session before anybody else can have the lock. Nobody needs to know what time it is.
- Once its lease is over, the owner is in jeopardy: it does nothing under the lock, but goes on
  asking for `grace_ms`. The service may only have been slow, or restarted; then all goes on.
- Each grant of the lock has a number, above all earlier ones. The holder shows it to whatever the
  lock protects (a sequencer, or fencing token): a lease keeps a careful holder from acting too
  late, and not one that was stopped between its look at the clock and the act.

Left out: the service is one node. Chubby's is five that agree by Paxos, and this one can be
replaced by a Raft group whose state machine it is. Restarted, it keeps its sessions and its lock,
and gives every session a whole lease, since it does not know how much of it is left.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple, Self

from clusterlab.core.node import Message, Node, NodeId, Timer, durable, volatile
from clusterlab.protocols.records import Bystander


class Lease(NamedTuple):
    """From when to when, by its own clock, a node believes that it has the lock."""

    start_ms: int
    until_ms: int


class OpenSession(Message):
    """To the service: I begin; sent at this time of my clock."""

    sent_ms: int


class SessionOpened(Message):
    """From the service: your session has this number, and a lease from when you asked."""

    session: int
    sent_ms: int
    lease_ms: int


class KeepAlive(Message):
    """To the service: I am still here."""

    session: int
    sent_ms: int


class KeptAlive(Message):
    """From the service: a new lease, from when you asked."""

    session: int
    sent_ms: int
    lease_ms: int


class SessionLost(Message):
    """From the service: that session is over, and so is what it held."""

    session: int


class TakeLock(Message):
    """To the service: let me have the lock."""

    session: int


class LockTaken(Message):
    """From the service: you have it; this is the number of the grant."""

    session: int
    token: int


class LockBusy(Message):
    """From the service: another session has it."""

    session: int


class KeepAliveDue(Timer):
    """The service is to hear of this session again."""


class LeaseOver(Timer):
    """Unless something came since: no more acting under the lock."""


class GraceOver(Timer):
    """The service did not come back in time."""


class LockService(Bystander):
    """One lock, and the sessions of those who want it.

    Parameters
    ----------
    lease_ms:
        How long a session lives without a word from its owner.
    """

    lease_ms: int = 400

    sessions: dict[int, NodeId] = durable({})
    opened: int = durable(0)
    holder: int | None = durable(None)  # a session
    token: int = durable(0)  # of the last grant
    ends: dict[int, int] = volatile({})  # session -> when its lease is over, by my clock

    def on_start(self) -> None:
        """Nobody knows how much of a lease is left: all get a whole one."""
        self.ends = dict.fromkeys(self.sessions, self.now_ms + self.lease_ms)

    def bury(self) -> None:
        """Sessions whose lease is over are dead."""
        for session in [one for one, end in self.ends.items() if end <= self.now_ms]:
            del self.ends[session], self.sessions[session]
            if self.holder == session:
                self.holder = None

    def lives(self, src: NodeId, session: int) -> bool:
        """Whether that session of `src` goes on; if not, it is told."""
        self.bury()
        if self.sessions.get(session) == src:
            return True
        self.send(src, SessionLost(session))
        return False

    def on_open_session(self, src: NodeId, m: OpenSession) -> None:
        """A new session; an earlier one of the same owner is not ended, its lease may still run."""
        self.bury()
        self.opened += 1
        self.sessions[self.opened] = src
        self.ends[self.opened] = self.now_ms + self.lease_ms
        self.send(src, SessionOpened(self.opened, m.sent_ms, self.lease_ms))

    def on_keep_alive(self, src: NodeId, m: KeepAlive) -> None:
        """A new lease."""
        if self.lives(src, m.session):
            self.ends[m.session] = self.now_ms + self.lease_ms
            self.send(src, KeptAlive(m.session, m.sent_ms, self.lease_ms))

    def on_take_lock(self, src: NodeId, m: TakeLock) -> None:
        """Whoever has it may ask again and is told the same; others wait."""
        if not self.lives(src, m.session):
            return
        if self.holder is None:
            self.holder = m.session
            self.token = self.next_token(src)
            self.note("granted", (src, self.token))
        if self.holder == m.session:
            self.send(src, LockTaken(m.session, self.token))
        else:
            self.send(src, LockBusy(m.session))

    def next_token(self, src: NodeId) -> int:
        """A number above those of all earlier grants."""
        return self.token + 1

    def in_words(self, name: str, before: Self) -> str:
        """Who has the lock, under which number."""
        if name == "token" and self.token != before.token and self.holder is not None:
            return f"grants the lock to {self.sessions[self.holder]} with token {self.token}"
        if name == "sessions" and len(self.sessions) < len(before.sessions):
            return "ends a session whose lease is over"
        return ""

    def status(self) -> dict[str, Any]:
        """What views show."""
        owner = self.sessions.get(self.holder) if self.holder is not None else None
        label = f"held by {owner}" if owner else "free"
        return {"role": "lock", "epoch": self.token, "label": label}


class LockClient(Node):
    """Keeps a session, and takes the lock when it can; what it does with it stands in subclasses.

    Parameters
    ----------
    service:
        The id of a LockService.
    keep_alive_ms:
        How often the service hears of it; well below the lease.
    drift:
        How much of a length of time two clocks may disagree about: 0.1 for ten per cent.
    grace_ms:
        How long it goes on asking after its lease is over.

    It notes each lease that it has on the lock as `lease`.
    """

    service: NodeId = "lock"
    keep_alive_ms: int = 100
    drift: float = 0.1
    grace_ms: int = 1000

    session: int | None = volatile(None)
    token: int | None = volatile(None)  # of the grant, while the lock is ours
    until_ms: int = volatile(0)  # by this node's clock
    asked_ms: int = volatile(0)

    @abstractmethod
    def locked(self, token: int) -> None:
        """The lock is ours."""

    @abstractmethod
    def unlocked(self) -> None:
        """The lock is lost, or may be."""

    def has_lease(self) -> bool:
        """Whether nobody else can have the lock now, if clocks keep to their bound."""
        return self.token is not None and self.now_ms < self.until_ms

    def open_session(self) -> None:
        """Begin, or begin again."""
        self.session = self.token = None
        self.asked_ms = self.now_ms
        self.cancel_timer(LeaseOver())
        self.cancel_timer(GraceOver())
        self.send(self.service, OpenSession(self.now_ms))
        self.set_timer(KeepAliveDue(), self.keep_alive_ms)

    def on_session_opened(self, src: NodeId, m: SessionOpened) -> None:
        """The first lease, without the lock."""
        if self.session is None and m.sent_ms == self.asked_ms:
            self.session = m.session
            self.extend(m.sent_ms, m.lease_ms)
            self.send(self.service, TakeLock(m.session))

    def on_kept_alive(self, src: NodeId, m: KeptAlive) -> None:
        """A new lease; and who has none of the lock asks for that."""
        if m.session == self.session:
            self.extend(m.sent_ms, m.lease_ms)
            if self.token is None:
                self.send(self.service, TakeLock(m.session))

    def on_lock_taken(self, src: NodeId, m: LockTaken) -> None:
        """Ours, unless the lease is over already."""
        if m.session == self.session and self.token is None and self.now_ms < self.until_ms:
            self.token = m.token
            self.note("lease", Lease(self.now_ms, self.until_ms))
            self.locked(m.token)

    def on_lock_busy(self, src: NodeId, m: LockBusy) -> None:
        """Another time: every answer to a KeepAlive is one."""

    def extend(self, sent_ms: int, lease_ms: int) -> None:
        """A lease from when we asked, and shorter than what was granted."""
        until_ms = sent_ms + self.usable(lease_ms)
        if until_ms > self.until_ms and until_ms > self.now_ms:
            self.until_ms = until_ms
            if self.token is not None:
                self.note("lease", Lease(self.now_ms, until_ms))
            self.set_timer(LeaseOver(), until_ms - self.now_ms)
            self.cancel_timer(GraceOver())

    def usable(self, lease_ms: int) -> int:
        """What is certainly less than `lease_ms` by any clock within the bound."""
        return int(lease_ms * (1 - self.drift))

    def on_lease_over(self, t: LeaseOver) -> None:
        """Jeopardy: nothing is done under the lock until the service is heard."""
        self.note("jeopardy", self.session)
        self.token = None
        self.unlocked()
        self.set_timer(GraceOver(), self.grace_ms)

    def on_grace_over(self, t: GraceOver) -> None:
        """Nobody waits for ever."""
        self.open_session()

    def on_session_lost(self, src: NodeId, m: SessionLost) -> None:
        """The service has given us up."""
        if m.session == self.session:
            had = self.token is not None
            self.open_session()
            if had:
                self.unlocked()

    def on_keep_alive_due(self, t: KeepAliveDue) -> None:
        """Say that we are here; ask again for a session that was not answered."""
        if self.session is None:
            self.open_session()
        else:
            self.send(self.service, KeepAlive(self.session, self.now_ms))
            self.set_timer(KeepAliveDue(), self.keep_alive_ms)
