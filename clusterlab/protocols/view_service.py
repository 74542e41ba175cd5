"""A view service names primary and backup; the primary does nothing that its backup has not seen.

Source: lab 2 of DSLabs (Michael, Woos, Anderson, Ernst and Tatlock, "Teaching Rigorous Distributed
Systems With Efficient Model Checking", 2019), after lab 2 of MIT's 6.824 (2012).

- A view is a number, a primary and a backup. The service goes on to the next only once the primary
  of this one has said that it knows it: so it is never two views ahead of those who serve.
- The next primary is the backup: nobody else has the state. A new backup gets the whole state
  before the primary says that it knows the view.
- The primary sends each operation to the backup, reads as well, and answers when that has accepted
  it. A backup accepts from the primary of its own view only. So a primary that has been replaced,
  and does not know it, can answer nobody: its backup has moved on.

Left out: the service is one node, and where it ends the servers stay in their view. A server that
died has lost all that it knew, and comes back under another name if at all. If primary and backup
both die before a third has the state, nobody can go on: that would need more copies.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from clusterlab.core.node import Message, Node, NodeId, Timer, volatile
from clusterlab.protocols.client import Request
from clusterlab.protocols.records import BACKUP, PRIMARY, Bystander, Record, Recorder


class View(NamedTuple):
    """Who serves."""

    number: int = 0
    primary: NodeId | None = None
    backup: NodeId | None = None


class ViewPing(Message):
    """Server to service: I live, and know the view of that number."""

    number: int


class ViewIs(Message):
    """Service to server: this one."""

    view: View


class Transfer(Message):
    """Primary to a new backup: everything up to now."""

    number: int
    log: tuple[Record, ...]


class Transferred(Message):
    """Backup to primary: I have it."""

    number: int


class Forward(Message):
    """Primary to backup: this comes next, after so many."""

    number: int
    at: int
    record: Record


class Forwarded(Message):
    """Backup to primary: I have so many."""

    number: int
    length: int


class ViewPingDue(Timer):
    """The service is to hear of this server; what is not confirmed is sent again."""


class ServerSilent(Timer):
    """Nothing was heard of that server for too long."""

    server: NodeId


class ViewService(Bystander):
    """Names primary and backup of each view.

    Parameters
    ----------
    patience_ms:
        How long it bears the silence of a server.
    """

    patience_ms: int = 200

    view: View = volatile(View())
    known: bool = volatile(True)  # to its primary
    alive: tuple[NodeId, ...] = volatile(())  # in the order in which they came

    def on_view_ping(self, src: NodeId, m: ViewPing) -> None:
        """It lives; if it is the primary of this view, it may know it."""
        if src not in self.alive:
            self.alive = (*self.alive, src)
        self.set_timer(ServerSilent(src), self.patience_ms)
        if src == self.view.primary and m.number == self.view.number:
            self.known = True
        self.go_on()
        self.send(src, ViewIs(self.view))

    def on_server_silent(self, t: ServerSilent) -> None:
        """Taken for dead; if that is wrong, nothing is lost but time."""
        self.alive = tuple(one for one in self.alive if one != t.server)
        self.go_on()

    def go_on(self) -> None:
        """The next view, if there is cause and the primary knows this one."""
        if not self.may_go_on():
            return
        following = self.next_view()
        if following[1:] != self.view[1:] and following.primary is not None:
            self.view, self.known = following, False
            self.note("view", tuple(following))

    def may_go_on(self) -> bool:
        """Whoever serves has the state of this view: only then may it be followed by another."""
        return self.known

    def next_view(self) -> View:
        """The primary stays as long as it lives; then the backup, who has its state."""
        number, primary, backup = self.view
        if number == 0:
            return View(1, self.alive[0] if self.alive else None, None)
        if primary not in self.alive:
            primary = backup if backup in self.alive else None
            backup = None
        if backup not in self.alive:
            idle = [one for one in self.alive if one != primary]
            backup = idle[0] if idle else None
        return View(number + 1, primary, backup)

    def status(self) -> dict[str, Any]:
        """What views show."""
        return {"role": "manager", "epoch": self.view.number, "label": f"{self.view.primary}"}


class ViewServer(Recorder):
    """Serves as the primary of its view, or copies as its backup.

    Parameters
    ----------
    service:
        The id of a ViewService.
    ping_ms:
        How often the service hears of it; well below the service's patience.

    >>> [node.id for node in ViewServer.group(3)]
    ['n1', 'n2', 'n3', 'v']
    """

    service: NodeId = "v"
    ping_ms: int = 50

    view: View = volatile(View())
    epoch: int = volatile(0)  # the number of its view
    has_state: bool = volatile(False)
    ready: bool = volatile(False)  # the backup of this view has the state

    @classmethod
    def group(cls, size: int = 3, **options: Any) -> list[Node]:
        """So many servers and their view service v."""
        servers = [cls(f"n{number}", **options) for number in range(1, size + 1)]
        return [*servers, ViewService("v")]

    def on_start(self) -> None:
        """It has nothing yet: a ping with 0 says so."""
        self.begin_anew()
        self.ping()

    def ping(self) -> None:
        """A primary knows a view once its backup has the state."""
        serves = self.role == PRIMARY
        number = self.view.number if self.ready or not serves else self.view.number - 1
        self.send(self.service, ViewPing(number))
        self.set_timer(ViewPingDue(), self.ping_ms)

    def on_view_ping_due(self, t: ViewPingDue) -> None:
        """Say again what was not confirmed."""
        self.hand_over()
        self.forward_next()
        self.ping()

    def on_view_is(self, src: NodeId, m: ViewIs) -> None:
        """Begin a new view; whom the service makes primary has the state, or there is none yet."""
        view = View(*m.view)
        if view.number <= self.view.number:
            return
        if self.role == PRIMARY and view.primary != self.id:
            self.role = BACKUP
            self.turn_away(view.primary)
        self.view, self.epoch, self.ready = view, view.number, view.backup is None
        if view.primary == self.id:
            self.lead()
        elif view.backup == self.id:
            self.has_state = False  # until the primary sends it

    def lead(self) -> None:
        """What the last primary had sent counts: it may have been answered."""
        if self.role != PRIMARY:
            self.role, self.has_state = PRIMARY, True
            self.begin_anew()
            self.note("leader", self.view.number)
        self.hand_over()
        if self.view.backup is None:
            self.commit(len(self.log))
            self.ping()

    def hand_over(self) -> None:
        """The state, to a backup that has not confirmed it."""
        if self.role == PRIMARY and self.view.backup is not None and not self.ready:
            self.send(self.view.backup, Transfer(self.view.number, self.log))

    def on_transfer(self, src: NodeId, m: Transfer) -> None:
        """Everything, once a view."""
        if m.number == self.view.number and self.view.backup == self.id:
            if not self.has_state:
                self.log, self.has_state = m.log, True
            self.send(src, Transferred(m.number))

    def on_transferred(self, src: NodeId, m: Transferred) -> None:
        """Now the view may be known, and work begins."""
        if m.number == self.view.number and not self.ready:
            self.ready = True
            self.ping()
            self.forward_next()

    # --- operations ------------------------------------------------------------------------------

    def on_request(self, src: NodeId, m: Request) -> None:
        """A client's operation; reads go to the backup as writes do."""
        if self.take(src, m, self.view.number, self.view.primary):
            self.forward_next()

    def forward_next(self) -> None:
        """The first that does not count yet, to the backup; alone, all count."""
        if self.role != PRIMARY or not self.ready:
            return
        if self.view.backup is None:
            self.commit(len(self.log))
        elif self.committed < len(self.log):
            record = self.log[self.committed]
            self.send(self.view.backup, Forward(self.view.number, self.committed, record))

    def on_forward(self, src: NodeId, m: Forward) -> None:
        """Only from the primary of this view, and in order."""
        if m.number != self.view.number or self.view.backup != self.id or not self.has_state:
            return
        if m.at == len(self.log):
            self.log += (m.record,)
        self.send(src, Forwarded(m.number, len(self.log)))

    def on_forwarded(self, src: NodeId, m: Forwarded) -> None:
        """What the backup has counts."""
        if self.role == PRIMARY and m.number == self.view.number and m.length > self.committed:
            self.commit(min(m.length, len(self.log)))
            self.forward_next()

    def status(self) -> dict[str, Any]:
        """What views show."""
        role = self.role if self.id in self.view[1:] else "idle"
        return {"role": role, "epoch": self.view.number, "label": f"{len(self.log)} records"}
