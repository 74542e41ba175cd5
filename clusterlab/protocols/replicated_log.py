"""Three servers with data, and a controller that names which of them leads.

Sources: Kafka's KIP-101 and KIP-279 (2017, 2018) for logs whose followers ask by epoch where they
differ; Oki and Liskov, "Viewstamped Replication" (1988), for a new primary that starts from the
most advanced of a majority. What is left to the controller here, servers that elect by themselves
do as well: see `raft`.

- A record counts once a majority has it, the leader included: so a leader that is cut off from the
  others can acknowledge nothing, however healthy it is. That is the cure for the split brain.
- To replace a leader the controller first closes its epoch: servers that promise to follow a newer
  one tell where their logs end. It waits for as many as meet every majority, and names the one
  whose log goes furthest: by the epoch of its last record, then by its length.
- Followers ask the leader for records. One that is new to an epoch first asks where the leader's
  log of its own last epoch ends, and cuts off what goes beyond (KIP-101). Its own idea of what
  counts is not good enough for that: it lags, and what it would cut off may have been acknowledged.
- A leader counts copies only of records of its own epoch, as in Raft, section 5.4.2; so it begins
  an epoch with a no-op.

Left out: the controller is one node. Kafka's is a Raft group.
"""

from __future__ import annotations

from typing import Any

from clusterlab.core.node import Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.quorum import majority
from clusterlab.protocols.client import Request
from clusterlab.protocols.records import BACKUP, PRIMARY, Bystander, Record, Recorder


class Close(Message):
    """From the controller: follow nobody of an epoch before this one; where does your log end?"""

    epoch: int


class LogEnd(Message):
    """To the controller: with a record of epoch `last`, at `length`."""

    epoch: int
    last: int
    length: int


class Lead(Message):
    """From the controller: this epoch has this leader. Said again and again: a heartbeat."""

    epoch: int
    leader: NodeId


class Led(Message):
    """To the controller, from the leader: I am here."""

    epoch: int


class AskEnd(Message):
    """Follower to leader: where does your log of this epoch, or of the one before it, end?"""

    epoch: int
    asked: int


class EndOf(Message):
    """Leader to follower: the last epoch up to `asked` is `found`, and ends there."""

    epoch: int
    asked: int
    found: int
    length: int


class Fetch(Message):
    """Follower to leader: I have so many of your records; what comes next?"""

    epoch: int
    at: int


class Fetched(Message):
    """Leader to follower: this comes next, and so many count."""

    epoch: int
    at: int
    records: tuple[Record, ...]
    committed: int


class FetchDue(Timer):
    """The leader is to be asked again."""


class OrderDue(Timer):
    """The servers are to hear of the leader again; who has not answered is asked again."""


class LeaderSilent(Timer):
    """Nothing was heard of the leader for too long."""


class Replica(Recorder):
    """One of a few servers that keep a log together.

    Parameters
    ----------
    members:
        The ids of all replicas.
    fetch_ms:
        How often a follower asks for more.

    >>> [node.id for node in Replica.group(3)]
    ['n1', 'n2', 'n3', 'm']
    """

    members: tuple[NodeId, ...]
    fetch_ms: int = 10

    epoch: int = durable(0)
    log: tuple[Record, ...] = durable(())
    counts: int = durable(0)  # how much is known to count: the high watermark

    leader: NodeId | None = volatile(None)
    agrees: bool = volatile(False)  # with the leader, as far as the log goes
    fetched: dict[NodeId, int] = volatile({})  # follower -> how much of the leader's log it has

    @classmethod
    def group(cls, size: int = 3, **options: Any) -> list[Node]:
        """So many replicas and their controller m."""
        members = tuple(f"n{number}" for number in range(1, size + 1))
        replicas: list[Node] = [cls(name, members=members, **options) for name in members]
        return [*replicas, Controller("m", members=members)]

    def on_start(self) -> None:
        """Wait to be told who leads."""
        self.begin_anew()

    # --- epochs ----------------------------------------------------------------------------------

    def enter(self, epoch: int, leader: NodeId | None) -> None:
        """An epoch, and its leader if it has one already."""
        if self.role == PRIMARY:
            self.role = BACKUP
            self.turn_away(leader)
        self.epoch, self.leader, self.agrees = epoch, leader, False
        self.cancel_timer(FetchDue())

    def on_close(self, src: NodeId, m: Close) -> None:
        """Nothing of an earlier epoch is taken any more; tell where the log ends."""
        if m.epoch > self.epoch:
            self.enter(m.epoch, None)
        if m.epoch == self.epoch and self.leader is None:
            self.send(src, LogEnd(m.epoch, self.last_epoch(), len(self.log)))

    def on_lead(self, src: NodeId, m: Lead) -> None:
        """Lead or follow, and once an epoch and life begin with it."""
        if m.epoch > self.epoch or (m.epoch == self.epoch and self.leader is None):
            self.enter(m.epoch, m.leader)
            if m.leader == self.id:
                self.begin_to_lead()
            else:
                self.follow()
        if m.epoch == self.epoch and self.role == PRIMARY:
            self.send(src, Led(m.epoch))

    def last_epoch(self) -> int:
        """The epoch of the last record."""
        return self.log[-1].epoch if self.log else 0

    # --- the leader ------------------------------------------------------------------------------

    def begin_to_lead(self) -> None:
        """What earlier epochs left counts once a record of this one does."""
        self.begin_anew()
        self.role = PRIMARY
        self.fetched = {}
        self.note("leader", self.epoch)
        self.log += (Record(self.epoch),)
        self.count()

    def on_request(self, src: NodeId, m: Request) -> None:
        """A client's operation; reads go through the log as writes do."""
        if self.take(src, m, self.epoch, self.leader):
            self.count()

    def on_ask_end(self, src: NodeId, m: AskEnd) -> None:
        """Where the log of that epoch ends, or of the last one before it."""
        if self.role == PRIMARY and m.epoch == self.epoch:
            upto = [record.epoch for record in self.log if record.epoch <= m.asked]
            self.send(src, EndOf(m.epoch, m.asked, upto[-1] if upto else 0, len(upto)))

    def on_fetch(self, src: NodeId, m: Fetch) -> None:
        """Who asks for what follows has what comes before."""
        if self.role == PRIMARY and m.epoch == self.epoch:
            self.fetched[src] = max(m.at, self.fetched.get(src, 0))
            self.count()
            self.send(src, Fetched(m.epoch, m.at, self.log[m.at :], self.counts))

    def count(self) -> None:
        """What a majority has counts, if it ends with a record of this epoch."""
        held = sorted((len(self.log), *self.fetched.values()), reverse=True)
        needed = majority(len(self.members))
        length = held[needed - 1] if len(held) >= needed else 0
        if length and self.log[length - 1].epoch == self.epoch:
            self.counts = max(self.counts, length)
            self.commit(self.counts)

    # --- a follower ------------------------------------------------------------------------------

    def follow(self) -> None:
        """Find out where the logs part."""
        if self.last_epoch() == self.epoch:  # all of it came from this leader
            self.agrees = True
            self.fetch()
        else:
            self.ask_end()

    def ask_end(self) -> None:
        """By epoch, since lengths of other epochs say nothing."""
        assert self.leader is not None
        self.send(self.leader, AskEnd(self.epoch, self.last_epoch()))
        self.set_timer(FetchDue(), self.fetch_ms)

    def on_end_of(self, src: NodeId, m: EndOf) -> None:
        """Cut off what the leader does not have; ask again if that was not all."""
        new = (m.epoch, m.asked) == (self.epoch, self.last_epoch())
        if not new or self.agrees or self.leader is None:
            return
        upto = sum(record.epoch <= m.found for record in self.log)
        self.truncate(min(upto, m.length))
        if self.last_epoch() == m.found:
            self.agrees = True
            self.fetch()
        else:
            self.ask_end()

    def truncate(self, length: int) -> None:
        """Give up what comes after so many records."""
        given_up = sum(record.client is not None for record in self.log[length:])
        if given_up:
            self.note("given up", given_up)
        self.log = self.log[:length]
        self.counts = min(self.counts, length)

    def fetch(self) -> None:
        """Ask for what comes next."""
        assert self.leader is not None
        self.send(self.leader, Fetch(self.epoch, len(self.log)))
        self.set_timer(FetchDue(), self.fetch_ms)

    def on_fetch_due(self, t: FetchDue) -> None:
        """Answers may be lost."""
        if self.agrees:
            self.fetch()
        else:
            self.ask_end()

    def on_fetched(self, src: NodeId, m: Fetched) -> None:
        """Keep it, and say at once that it is kept."""
        if m.epoch != self.epoch or not self.agrees or m.at > len(self.log):
            return
        new = m.records[len(self.log) - m.at :]
        self.log += new
        self.counts = max(self.counts, min(m.committed, len(self.log)))
        if new:
            self.fetch()

    def status(self) -> dict[str, Any]:
        """What views show."""
        label = f"{self.counts} of {len(self.log)} count"
        return {"role": self.role, "epoch": self.epoch, "label": label}


class Controller(Bystander):
    """Names the leader of each epoch.

    Parameters
    ----------
    members:
        The ids of the replicas; the first begins.
    patience_ms:
        How long it bears the silence of the leader.
    beat_ms:
        How often it says who leads.
    """

    members: tuple[NodeId, ...]
    patience_ms: int = 200
    beat_ms: int = 50

    epoch: int = durable(0)
    leader: NodeId | None = durable(None)
    ends: dict[NodeId, tuple[int, int]] = volatile({})  # who has closed the last epoch, its log

    def on_start(self) -> None:
        """Go on with whoever leads, or with looking for one."""
        if self.epoch == 0:
            self.close()
        else:
            self.tell()
            if self.leader is not None:
                self.set_timer(LeaderSilent(), self.patience_ms)

    def close(self) -> None:
        """End the epoch, whoever leads it, and begin the next."""
        self.epoch += 1
        self.leader, self.ends = None, {}
        self.tell()

    def tell(self) -> None:
        """Who leads; or that nobody does, and where do you stand?"""
        order = Close(self.epoch) if self.leader is None else Lead(self.epoch, self.leader)
        self.broadcast(order, self.members)
        self.set_timer(OrderDue(), self.beat_ms)
        if self.leader is None:
            self.cancel_timer(LeaderSilent())

    def on_order_due(self, t: OrderDue) -> None:
        """Orders may be lost, so they are repeated."""
        self.tell()

    def on_log_end(self, src: NodeId, m: LogEnd) -> None:
        """One more has closed the epoch; with enough of them there is a leader."""
        if m.epoch != self.epoch or self.leader is not None:
            return
        self.ends[src] = (m.last, m.length)
        # As many as leave no majority without one of them.
        if len(self.ends) >= len(self.members) - majority(len(self.members)) + 1:
            self.leader = self.pick()
            self.note("names", self.leader)
            self.tell()
            self.set_timer(LeaderSilent(), self.patience_ms)

    def pick(self) -> NodeId:
        """Whose log goes furthest; the first of those who are equal."""
        furthest = max(self.ends.values())
        return next(node for node in self.members if self.ends.get(node) == furthest)

    def on_led(self, src: NodeId, m: Led) -> None:
        """The leader is there."""
        if m.epoch == self.epoch:
            self.set_timer(LeaderSilent(), self.patience_ms)

    def on_leader_silent(self, t: LeaderSilent) -> None:
        """Dead, cut off or slow: with a majority it does not matter which."""
        self.close()

    def status(self) -> dict[str, Any]:
        """What views show."""
        return {"role": "manager", "epoch": self.epoch, "label": f"{self.leader} leads"}
