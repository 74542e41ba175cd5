"""Two servers and one disk that both can write: what is shared can be corrupted.

Sources: Burrows, "The Chubby Lock Service for Loosely-Coupled Distributed Systems" (2006), section
2.4, for sequencers that the resource checks; Kleppmann, "How to do distributed locking" (2016),
which calls them fencing tokens; SCSI-3 persistent reservations, for a disk that admits one.

The disk keeps a log of records. A record is longer than a block, so it fills two, and a disk
promises no more than to write one block whole: the halves of a record are two writes. As long as
one server writes, a record is unfinished for a moment, at the end of the log. If two write, one
may put its first half before, and its second half behind, those of the other; and each appends
where its own image of the disk ends, over what the other has put there. Such records are
corrupted: nobody can read them again.

- `Storage` writes what it is told. `FencedStorage` admits no token below the newest it has seen.
- `DiskServer` serves while it has the disk mounted: it read the log once and keeps an image of it,
  as a file system does. Who tells it to mount decides what kind of cluster this is.
- `DiskPair` decides by itself: whoever does not hear the other mounts the disk. Its link may be cut
  while both still reach the disk.

Reads carry the token too. A server that mounts the disk must be sure that no older write comes
after what it has read; a fence that only writes raise stands too late.
"""

from __future__ import annotations

from typing import Any, Self

from clusterlab.core.node import Delay, Message, Node, NodeId, Timer, durable, volatile
from clusterlab.protocols.client import Request
from clusterlab.protocols.records import BACKUP, PRIMARY, Bystander, Record, Recorder

HALVES = 2
"""So many blocks hold a record."""


class ReadAll(Message):
    """To the disk: what is in your blocks? A mount."""

    token: int


class Contents(Message):
    """From the disk: this."""

    token: int
    blocks: tuple[Record | None, ...]


class WriteBlock(Message):
    """To the disk: write one half of `record` into this block."""

    block: int
    record: Record
    token: int


class BlockWritten(Message):
    """From the disk: done."""

    block: int
    token: int


class Fenced(Message):
    """From the disk: refused, somebody with the token `newest` was here."""

    newest: int


class Alive(Message):
    """From a server to its partner: I have the disk."""

    epoch: int


class BeatDue(Timer):
    """The partner is to hear of this server again."""


class DiskSilent(Timer):
    """The disk has not confirmed in time: it is asked again."""


class Silence(Timer):
    """Nothing was heard of the partner for too long."""


class Storage(Bystander):
    """A disk that writes what it is told, by whomever.

    It notes the token of each write that it carries out as `applied`.
    """

    blocks: tuple[Record | None, ...] = durable(())
    newest: int = durable(0)  # the newest token that it has seen
    owner: NodeId | None = durable(None)  # who came with it

    def admits(self, src: NodeId, token: int) -> bool:
        """Whether to do what `src` asks for with that token."""
        return True

    def on_read_all(self, src: NodeId, m: ReadAll) -> None:
        """A server mounts the disk."""
        if not self.admits(src, m.token):
            self.send(src, Fenced(self.newest))
            return
        self.raise_fence(src, m.token)
        self.send(src, Contents(m.token, self.blocks))

    def on_write_block(self, src: NodeId, m: WriteBlock) -> None:
        """One block, whole."""
        if not self.admits(src, m.token):
            self.send(src, Fenced(self.newest))
            return
        self.raise_fence(src, m.token)
        self.write(src, m)

    def write(self, src: NodeId, m: WriteBlock) -> None:
        """Do it, and say so."""
        size = max(len(self.blocks), m.block + 1)
        blocks = self.blocks + (None,) * (size - len(self.blocks))
        self.blocks = (*blocks[: m.block], m.record, *blocks[m.block + 1 :])
        self.note("applied", m.token)
        self.send(src, BlockWritten(m.block, m.token))

    def raise_fence(self, src: NodeId, token: int) -> None:
        """Remember the newest token, and who brought it."""
        if token > self.newest:
            self.newest, self.owner = token, src

    def in_words(self, name: str, before: Self) -> str:
        """What is written."""
        if name == "newest" and self.newest != before.newest:
            return f"raises its fence to {self.newest}"
        if name == "blocks" and self.blocks != before.blocks:
            return "writes a block"
        return ""

    def status(self) -> dict[str, Any]:
        """What views show."""
        broken = len(corrupted(self.blocks))
        label = f"{len(whole(self.blocks))} records" + (f" · {broken} corrupted" if broken else "")
        return {"role": "disk", "epoch": self.newest, "label": label}


class FencedStorage(Storage):
    """A disk that refuses whoever is not the newest.

    With tokens that a lock service hands out, each once, the first line decides. Two servers that
    count epochs by themselves may come with the same one: the disk gives it to the first, so that
    it is the arbiter, as with a reservation.
    """

    def admits(self, src: NodeId, token: int) -> bool:
        """Nobody older than the newest, and of that age only one."""
        return token > self.newest or (token == self.newest and src == self.owner)


def readable(blocks: tuple[Record | None, ...]) -> tuple[Record | None, ...]:
    """The records on a disk, each whole or None; an unfinished one at the end does not count.

    A record is whole if its halves are of one record, and it continues what stands before it: in
    a log epochs never fall, so who wrote behind a later epoch had never seen it.

    >>> a, b = Record(1, "c1", 1), Record(2, "c2", 1)
    >>> readable((a, a, b, b, a, a, b)) == (a, b, None)
    True
    """
    found: list[Record | None] = []
    newest = 0
    for first, second in zip(blocks[::HALVES], blocks[1::HALVES], strict=False):
        fits = first is not None and first == second and first.epoch >= newest
        found.append(first if fits else None)
        newest = max(newest, first.epoch if first else 0, second.epoch if second else 0)
    return tuple(found)


def whole(blocks: tuple[Record | None, ...]) -> tuple[Record, ...]:
    """The records that can be read, in order.

    >>> a, b = Record(1, "c1", 1), Record(2, "c2", 1)
    >>> whole((a, a, a, b)) == (a,)
    True
    """
    return tuple(record for record in readable(blocks) if record is not None)


def corrupted(blocks: tuple[Record | None, ...]) -> tuple[int, ...]:
    """The numbers of the records that cannot be read.

    >>> a, b = Record(1, "c1", 1), Record(2, "c2", 1)
    >>> corrupted((a, b, b, b)), corrupted((a, a, b))
    ((0,), ())
    """
    return tuple(number for number, record in enumerate(readable(blocks)) if record is None)


class DiskServer(Recorder):
    """Serves while it has the disk; who decides that stands in subclasses.

    Parameters
    ----------
    disk:
        The id of a Storage.
    partner:
        The id of the other server.
    beat_ms:
        How often its partner hears of it.
    disk_ms:
        How long it waits for the disk before it asks again; disks may be slow.
    """

    disk: NodeId = "disk"
    partner: NodeId
    beat_ms: int = 50
    disk_ms: int = 3000

    epoch: int = durable(0)
    mounting: bool = volatile(False)
    image: int = volatile(0)  # the token under which the log was read from the disk
    written: int = volatile(0)  # the disk has so many blocks of this server's image

    def on_start(self) -> None:
        """It has no disk yet."""
        self.begin_anew()

    def mount(self, token: int) -> None:
        """Ask for the disk under a token, and for what is on it."""
        self.epoch = token
        self.mounting = True
        self.ask_disk(ReadAll(token))

    def ask_disk(self, m: ReadAll | WriteBlock) -> None:
        """One thing at a time, until it is confirmed."""
        self.send(self.disk, m)
        self.set_timer(DiskSilent(), self.disk_ms)

    def on_contents(self, src: NodeId, m: Contents) -> None:
        """The disk is mounted: from now on its image is here, and is not read again."""
        if not self.mounting or m.token != self.epoch:
            return
        self.mounting = False
        self.begin_anew()
        # A record that is not whole was never acknowledged, if one server wrote at a time.
        self.log = whole(m.blocks)
        self.written = HALVES * len(self.log)
        self.image = self.epoch
        self.serve()

    def serve(self) -> None:
        """Take requests, and go on with what is in the image and not on the disk."""
        self.role = PRIMARY
        self.note("leader", self.epoch)
        self.commit(self.written // HALVES)
        self.write_next()

    def unmount(self) -> None:
        """Serve no more."""
        self.role = BACKUP
        self.mounting = False
        self.cancel_timer(DiskSilent())
        self.turn_away(self.partner)

    def on_request(self, src: NodeId, m: Request) -> None:
        """A client's operation; reads go through the log as writes do."""
        idle = self.written == HALVES * len(self.log)
        if self.take(src, m, self.epoch, self.partner) and idle:
            self.write_next()

    def write_next(self) -> None:
        """One block after the other: a record's second half once its first is on the disk."""
        if self.written < HALVES * len(self.log):
            record = self.log[self.written // HALVES]
            self.ask_disk(WriteBlock(self.written, record, self.epoch))
        else:
            self.cancel_timer(DiskSilent())

    def on_block_written(self, src: NodeId, m: BlockWritten) -> None:
        """A record counts once both its halves are on the disk."""
        if m != BlockWritten(self.written, self.epoch) or self.image != self.epoch:
            return
        self.written += 1
        if self.role == PRIMARY:
            self.commit(self.written // HALVES)
            self.write_next()
        elif self.written % HALVES:
            self.write_next()  # half a record is of no use to anybody: what was begun is finished

    def on_fenced(self, src: NodeId, m: Fenced) -> None:
        """Somebody newer has the disk."""
        if m.newest >= self.epoch:
            self.epoch = m.newest
            self.note("fenced", m.newest)
            self.unmount()

    def on_disk_silent(self, t: DiskSilent) -> None:
        """What the disk did not answer is said again."""
        if self.mounting:
            self.ask_disk(ReadAll(self.epoch))
        elif self.role == PRIMARY:
            self.write_next()

    def in_words(self, name: str, before: Self) -> str:
        """Who has the disk."""
        if name == "mounting" and self.mounting and not before.mounting:
            return f"mounts the disk with token {self.epoch}"
        if name == "role" and self.role != before.role:
            return "serves" if self.role == PRIMARY else "serves no more"
        return ""

    def status(self) -> dict[str, Any]:
        """What views show."""
        label = f"{self.committed} written" if self.role == PRIMARY else "waits"
        return {"role": self.role, "epoch": self.epoch, "label": label}


class DiskPair(DiskServer):
    """One of two; whoever hears nothing of the other mounts the disk.

    Parameters
    ----------
    patience_ms:
        How long silence is borne; give the two different values, so that one of them begins.

    >>> [node.id for node in DiskPair.with_disk()]
    ['n1', 'n2', 'disk']
    """

    patience_ms: Delay = 200

    @classmethod
    def pair(cls, **options: Any) -> list[Self]:
        """Two servers, n1 and n2; n1 loses patience first and so begins."""
        return [
            cls("n1", partner="n2", patience_ms=150, **options),
            cls("n2", partner="n1", patience_ms=250, **options),
        ]

    @classmethod
    def with_disk(cls, storage: type[Storage] = Storage, **options: Any) -> list[Node]:
        """The pair n1 and n2, and their disk."""
        return [*cls.pair(**options), storage("disk")]

    def on_start(self) -> None:
        """Begin as a backup: whoever serves now will be heard."""
        super().on_start()
        self.set_timer(Silence(), self.patience_ms)

    def on_silence(self, t: Silence) -> None:
        """The partner is dead, cut off or slow: nobody can tell."""
        if self.role == BACKUP:
            self.mount(self.epoch + 1)

    def serve(self) -> None:
        """The partner hears who has the disk."""
        super().serve()
        self.send(self.partner, Alive(self.epoch))
        self.set_timer(BeatDue(), self.beat_ms)

    def on_beat_due(self, t: BeatDue) -> None:
        """The partner hears it again."""
        self.send(self.partner, Alive(self.epoch))
        self.set_timer(BeatDue(), self.beat_ms)

    def on_alive(self, src: NodeId, m: Alive) -> None:
        """The newer epoch serves; between equals the name decides."""
        if (m.epoch, self.id) > (self.epoch, src) or self.role != PRIMARY:
            self.epoch = max(self.epoch, m.epoch)
            self.unmount()

    def unmount(self) -> None:
        """Serve no more; wait for the other to fall silent."""
        super().unmount()
        self.cancel_timer(BeatDue())
        self.set_timer(Silence(), self.patience_ms)
