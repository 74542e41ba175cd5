"""A coordinator waits for R answers to a read and W to a write, out of N (Dynamo, section 4.5).

Whoever a client asks coordinates. Strict, it counts the homes of a key only, and waits in vain if
too few of them answer. Sloppy (section 4.6), others stand in for them, keep a hint, and count: no
quorum then need meet another, which is the price of answering on both sides of a cut.

A write that is asked for again elsewhere may become two writes, with another between them: nobody
but a quorum that met the first could know it. Whoever wants an atomic register (`order="counter"`
and `write_back`) asks once, and takes silence for what it is.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple, Self

from clusterlab.core.node import NodeId, durable, volatile
from clusterlab.core.spec import Get, Put
from clusterlab.protocols.client import Refused, Reply, Request
from clusterlab.protocols.dynamo.messages import (
    NOBODY,
    Abandon,
    FallBack,
    Fetch,
    Fetched,
    Keep,
    Kept,
    Ticket,
)
from clusterlab.protocols.dynamo.replica import Replica
from clusterlab.protocols.dynamo.versions import (
    Order,
    Siblings,
    Vector,
    Version,
    advanced,
    merged,
)


class Job(NamedTuple):
    """An operation that a coordinator has begun.

    `fetched` are the answers to its first phase; `keeping` is what its second phase writes, and
    `kept` who has it.
    """

    client: NodeId
    serial: int
    operation: Get | Put
    fetched: tuple[tuple[NodeId, tuple[Version, ...]], ...] = ()
    keeping: tuple[Version, ...] | None = None
    kept: tuple[NodeId, ...] = ()
    standing_in: tuple[tuple[NodeId, NodeId], ...] = ()  # (stand-in, home)


class QuorumStore(Replica):
    """A replica that any client may ask.

    Parameters
    ----------
    members:
        All servers; the homes of a key are `n` of them, in the order of a ring.
    n, r, w:
        Homes of a key, and how many answers a read and a write wait for. With r + w > n each read
        meets each write.
    sloppy:
        Whether others may stand in for homes that do not answer.
    read_repair:
        Whether a read brings replicas up to date that answered with less.
    write_back:
        Whether a read waits until w replicas have what it returns (Attiya, Bar-Noy, Dolev):
        without it a later read may return something older.
    fall_back_ms, abandon_ms:
        When stand-ins are tried, and when nobody is waited for any longer.

    >>> [(server.id, server.r + server.w > server.n) for server in QuorumStore.group(3)]
    [('n1', True), ('n2', True), ('n3', True)]
    """

    members: tuple[NodeId, ...]
    n: int = 3
    r: int = 2
    w: int = 2
    sloppy: bool = False
    read_repair: bool = True
    write_back: bool = False
    fall_back_ms: int = 60
    abandon_ms: int = 2_000

    written: int = durable(0)  # a coordinator counts its writes: each has a name of its own

    # client -> the newest write that this coordinator began: what comes twice is begun once
    taken: dict[NodeId, int] = durable({})

    life: int = durable(0)  # how often it has started

    begun: int = volatile(0)
    jobs: dict[Ticket, Job] = volatile({})
    done: dict[NodeId, int] = volatile({})  # client -> its newest write that was answered

    @classmethod
    def group(cls, size: int = 3, **options: Any) -> list[Self]:
        """The servers n1, n2, ... of one cluster, all configured alike."""
        members = tuple(f"n{i}" for i in range(1, size + 1))
        options.setdefault("n", min(size, 3))
        return [cls(name, members=members, **options) for name in members]

    def on_start(self) -> None:
        """Nothing was begun yet in this life."""
        for name, value in (("r", self.r), ("w", self.w), ("n", self.n)):
            most = len(self.members) if name == "n" else self.n
            assert 1 <= value <= most, f"{name}={value} must be between 1 and {most}"
        self.life += 1
        super().on_start()

    def ring(self, key: str) -> tuple[NodeId, ...]:
        """All servers, the homes of `key` first."""
        start = zlib.crc32(key.encode()) % len(self.members)
        return self.members[start:] + self.members[:start]

    def homes(self, key: str) -> tuple[NodeId, ...]:
        """Who is to keep `key`: the first n of the ring (Dynamo's preference list)."""
        return self.ring(key)[: self.n]

    # --- a client asks -----------------------------------------------------------------------

    def on_request(self, src: NodeId, m: Request) -> None:
        """Begin to coordinate."""
        operation = m.operation
        if not isinstance(operation, Get | Put):
            self.send(src, Refused(m.serial, f"a store without a leader cannot do {operation!r}"))
            return
        if isinstance(operation, Put):
            if m.serial <= self.taken.get(src, 0):
                self.answer_again(src, m.serial)
                return
            self.taken[src] = m.serial
        self.begun += 1
        number = (self.life, self.begun)
        self.jobs[number] = Job(src, m.serial, operation)
        self.set_timer(Abandon(number), self.abandon_ms)
        if self.sloppy:
            self.set_timer(FallBack(number), self.fall_back_ms)
        if isinstance(operation, Put) and self.order != "counter":
            # One phase: the clock, or the coordinator's own count, names the version.
            self.write(number, (self.new_version(self.jobs[number], ()),))
        else:
            for home in self.homes(operation.key):
                self.send(home, Fetch(number, operation.key))

    def answer_again(self, client: NodeId, serial: int) -> None:
        """The answer may have been lost; there is none while a write goes on, or if it failed."""
        if self.done.get(client) == serial:
            self.send(client, Reply(serial, None))

    def new_version(self, job: Job, known: tuple[Version, ...]) -> Version:
        """What a Put writes, newer than all that is `known`."""
        assert isinstance(job.operation, Put)
        value = job.operation.value
        vector: Vector = ()
        if self.order == "counter":
            # A client that asks twice writes once, if its first attempt has been seen.
            for version in known:
                if version.tag[1:] == (job.client, job.serial):
                    return version
            tag = max((version.tag[0] for version in known), default=0) + 1
        elif self.order == "vector":
            here = self.versions.get(job.operation.key, ())
            self.written += 1
            vector = advanced(here, self.id, self.written)
            tag = sum(count for _, count in vector)
        else:
            tag = self.now_ms
        return Version(value, (tag, job.client, job.serial), vector)

    # --- first phase: what is there? ---------------------------------------------------------

    def on_fetched(self, src: NodeId, m: Fetched) -> None:
        """One more answer."""
        job = self.jobs.get(m.number)
        if job is None or src in dict(job.fetched):
            return
        job = job._replace(fetched=(*job.fetched, (src, m.versions)))
        self.jobs[m.number] = job
        if job.keeping is None:
            if len(job.fetched) >= self.r:
                self.know(m.number, job)
        elif isinstance(job.operation, Get):
            self.repair(src, m.versions, job)

    def know(self, number: Ticket, job: Job) -> None:
        """A quorum has said what it has."""
        found = merged((v for _, versions in job.fetched for v in versions), self.order)
        if isinstance(job.operation, Put):
            self.write(number, (self.new_version(job, found),))
        elif self.write_back and found:
            self.write(number, found)
        else:
            self.finish(number, job._replace(keeping=found))

    # --- second phase: keep it ---------------------------------------------------------------

    def write(self, number: Ticket, versions: tuple[Version, ...]) -> None:
        """Ask all homes to keep these."""
        job = self.jobs[number]._replace(keeping=versions)
        self.jobs[number] = job
        for home in self.homes(job.operation.key):
            self.send(home, Keep(number, job.operation.key, versions))

    def on_kept(self, src: NodeId, m: Kept) -> None:
        """One more has it."""
        job = self.jobs.get(m.number)
        if job is None or job.keeping is None or src in job.kept:
            return
        job = job._replace(kept=(*job.kept, src))
        self.jobs[m.number] = job
        if self.counted(job) >= self.w:
            self.finish(m.number, job)

    def counted(self, job: Job) -> int:
        """How many of those who have it count."""
        return len(job.kept)

    def on_fall_back(self, t: FallBack) -> None:
        """Let others stand in for homes that have not answered."""
        # Dynamo §4.6: a write goes to the first N healthy nodes, which need not be the first N.
        job = self.jobs.get(t.number)
        if job is None:
            return
        key = job.operation.key
        answered = job.kept if job.keeping is not None else tuple(dict(job.fetched))
        away = [home for home in self.homes(key) if home not in answered]
        others = [one for one in self.ring(key)[self.n :] if one not in answered]
        for stand_in, home in zip(others, away, strict=False):
            if job.keeping is not None:
                self.send(stand_in, Keep(t.number, key, job.keeping, home))
            else:
                self.send(stand_in, Fetch(t.number, key))

    # --- the answer --------------------------------------------------------------------------

    def finish(self, number: Ticket, job: Job) -> None:
        """Answer the client, and repair what was found behind."""
        self.cancel_timer(Abandon(number))
        self.cancel_timer(FallBack(number))
        del self.jobs[number]
        found = job.keeping or ()
        if isinstance(job.operation, Put):
            self.done[job.client] = job.serial
            self.send(job.client, Reply(job.serial, None))
            return
        self.send(job.client, Reply(job.serial, value_of(found)))
        for src, versions in job.fetched:
            self.repair(src, versions, job)

    def repair(self, replica: NodeId, has: tuple[Version, ...], job: Job) -> None:
        """Bring a replica up to date that answered with less (read repair, section 5)."""
        wanted = job.keeping or ()
        if self.read_repair and wanted and merged((*has, *wanted), self.order) != has:
            self.send(replica, Keep(NOBODY, job.operation.key, wanted))

    def on_abandon(self, t: Abandon) -> None:
        """Answer nothing: what was kept by a few may yet be read, so the outcome is unknown."""
        self.jobs.pop(t.number, None)
        self.cancel_timer(FallBack(t.number))

    def status(self) -> dict[str, Any]:
        """Everybody is alike; the label tells how much is kept, here and for others."""
        label = f"{len(self.versions)} keys"
        if self.hints:
            label += f", {len(self.hints)} hints"
        return {"role": "replica", "epoch": 0, "label": label}


class AtomicStore(QuorumStore):
    """Quorums that meet, versions by count, and reads that write back: each key is atomic.

    Source: Attiya, Bar-Noy and Dolev 1995; with several writers, Lynch and Shvartsman 1997.
    """

    order: Order = "counter"
    write_back: bool = True


def value_of(versions: tuple[Version, ...]) -> Any:
    """What a client sees: nothing, a value, or all siblings."""
    if not versions:
        return None
    if len(versions) == 1:
        return versions[0].value
    return Siblings(tuple(version.value for version in versions))
