"""Active-passive: a primary that serves, a backup that takes over, and how that splits a brain.

Source: Alsberg and Day, "A Principle for Resilient Sharing of Distributed Resources" (1976), and
Budhiraja, Marzullo, Schneider and Toueg, "The Primary-Backup Approach" (1993), whose bound it
shows: with crashes alone two servers are enough, with a network that may be cut they are not.

`PrimaryBackup` is the pair as it is often built: whoever hears nothing takes over. Silence cannot
tell a dead primary from one that is cut off, so after a cut both serve: a split brain.

`Witnessed` adds a third vote that holds no data (Paris 1986, "Voting with Witnesses"): nobody
serves without it or the other, and it remembers how far the log went that it vouched for.
With it the pair is a Raft of three of which one keeps no log: its take-over is an election, and it
needs the no-op of a new epoch for the same reason (Raft, section 5.4.2).

What both share:
- an epoch, which grows with each take-over; the higher epoch wins when two primaries meet;
- a log of records, which the backup copies; whose primacy was lost gives up what the other lacks.
"""

from __future__ import annotations

from typing import Any, Self

from clusterlab.core.node import Delay, Message, Node, NodeId, Timer, durable, volatile
from clusterlab.protocols.client import Request
from clusterlab.protocols.records import BACKUP, PRIMARY, Bystander, Record, Recorder


class Copy(Message):
    """Primary to backup: keep this after the first `at` records that you have; also a heartbeat."""

    epoch: int
    at: int
    records: tuple[Record, ...]


class Copied(Message):
    """Backup to primary: my log is yours up to `length`."""

    epoch: int
    length: int


class Lacking(Message):
    """Backup to primary: I do not know what comes before that; send me all."""

    epoch: int


class Deposed(Message):
    """To a primary: there is a newer epoch."""

    epoch: int


class Claim(Message):
    """Backup to witness: let me take over; my log ends with a record of `last`, at `length`."""

    epoch: int
    last: int
    length: int


class Granted(Message):
    """Witness to backup: the epoch is yours."""

    epoch: int


class Vouch(Message):
    """Primary to witness: remember that my log goes to `length`, all under this epoch."""

    epoch: int
    length: int


class Vouched(Message):
    """Witness to primary: remembered; nobody with less will take over."""

    epoch: int
    length: int


class CopyDue(Timer):
    """The backup is to hear from the primary again."""


class PartnerSilent(Timer):
    """Nothing was heard of the other for too long."""


class PrimaryBackup(Recorder):
    """One of two servers; whoever hears nothing of the other takes over. It splits its brain.

    Parameters
    ----------
    partner:
        The id of the other server.
    patience_ms:
        How long silence is borne; give the two different values, so that one of them begins.
    beat_ms:
        How often the primary is heard when there is nothing to copy; well below `patience_ms`.

    >>> [server.id for server in PrimaryBackup.pair()]
    ['n1', 'n2']
    """

    partner: NodeId
    patience_ms: Delay = 200
    beat_ms: int = 50

    epoch: int = durable(0)
    log: tuple[Record, ...] = durable(())

    alone: bool = volatile(False)  # a primary whose backup is silent
    copied: int = volatile(0)  # how much of a primary's log its backup has

    @classmethod
    def pair(cls, **options: Any) -> list[Self]:
        """Two servers, n1 and n2; n1 loses patience first and so begins as the primary."""
        return [
            cls("n1", partner="n2", patience_ms=150, **options),
            cls("n2", partner="n1", patience_ms=250, **options),
        ]

    def on_start(self) -> None:
        """Begin as a backup: whoever serves now will be heard."""
        self.begin_anew()
        self.set_timer(PartnerSilent(), self.patience_ms)

    # --- taking over -----------------------------------------------------------------------------

    def on_partner_silent(self, t: PartnerSilent) -> None:
        """Dead, cut off or slow: nobody can tell."""
        if self.role == PRIMARY:
            self.alone = True
            self.copy_from(self.copied)
        else:
            self.take_over()

    def take_over(self) -> None:
        """The mistake: to take silence for death."""
        self.serve(self.epoch + 1)

    def serve(self, epoch: int) -> None:
        """Be the primary of an epoch, in which nobody else is."""
        self.epoch = epoch
        self.role = PRIMARY
        self.alone = True  # whoever takes over has heard nothing of the other
        self.copied = 0
        self.begin_anew()
        self.note("leader", epoch)
        # What earlier epochs left in the log counts once a record of this one does.
        self.log += (Record(epoch),)
        self.copy_all()

    def step_down(self, epoch: int) -> None:
        """Somebody serves in a newer epoch."""
        self.epoch = epoch
        if self.role == PRIMARY:
            self.cancel_timer(CopyDue())
        self.role, self.alone = BACKUP, False
        self.waiting = {}
        self.set_timer(PartnerSilent(), self.patience_ms)

    def on_deposed(self, src: NodeId, m: Deposed) -> None:
        """The word of whoever knows a newer epoch."""
        if m.epoch > self.epoch:
            self.step_down(m.epoch)

    # --- the primary -----------------------------------------------------------------------------

    def on_request(self, src: NodeId, m: Request) -> None:
        """A client's operation; reads go through the log as writes do."""
        if self.take(src, m, self.epoch, self.partner):
            self.copy_from(len(self.log) - 1)

    def copy_from(self, at: int) -> None:
        """Send the backup what it lacks, and count what needs nobody else."""
        self.send(self.partner, Copy(self.epoch, at, self.log[at:]))
        self.set_timer(CopyDue(), self.beat_ms)
        self.commit(self.safe_length())

    def copy_all(self) -> None:
        """The log from its beginning, as a new primary or to a backup that lacks something."""
        self.set_timer(PartnerSilent(), self.patience_ms)
        self.copy_from(0)

    def on_copy_due(self, t: CopyDue) -> None:
        """What the backup has not confirmed is sent again."""
        if self.role == PRIMARY:
            self.copy_from(self.copied)

    def on_copied(self, src: NodeId, m: Copied) -> None:
        """The backup is there."""
        if self.role == PRIMARY and m.epoch == self.epoch:
            self.alone = False
            self.set_timer(PartnerSilent(), self.patience_ms)
            self.copied = max(self.copied, m.length)
            self.commit(self.safe_length())

    def on_lacking(self, src: NodeId, m: Lacking) -> None:
        """The backup has another log, or none."""
        if self.role == PRIMARY and m.epoch == self.epoch:
            self.copy_all()

    def safe_length(self) -> int:
        """How much of the log may be acknowledged: what the backup has; alone, everything."""
        return len(self.log) if self.alone else self.copied

    # --- the backup ------------------------------------------------------------------------------

    def on_copy(self, src: NodeId, m: Copy) -> None:
        """Keep what the primary has; give up what it lacks."""
        if m.epoch < self.epoch or (m.epoch == self.epoch and self.role == PRIMARY):
            self.meet_another(src, m)
            return
        if m.epoch > self.epoch or self.role == PRIMARY:
            self.step_down(m.epoch)
        self.set_timer(PartnerSilent(), self.patience_ms)
        follows = self.follows(m.epoch)
        if m.at > 0 and not (follows and m.at <= len(self.log)):
            self.send(src, Lacking(m.epoch))
            return
        kept = self.log[: m.at] + m.records
        if follows and len(kept) < len(self.log):
            kept = self.log  # a copy that came late says nothing new
        lost = [r for r in self.log if r not in kept and r.client is not None]
        if lost:
            self.note("given up", len(lost))
        self.log = kept
        self.send(src, Copied(m.epoch, m.at + len(m.records)))

    def follows(self, epoch: int) -> bool:
        """Whether the log is a copy of that epoch's primary's.

        It is if it ends with a record of that epoch, and its disk remembers that: a backup that
        came back would otherwise take an old copy for a new log, and lose what it had confirmed.
        """
        return bool(self.log) and self.log[-1].epoch == epoch

    def meet_another(self, src: NodeId, m: Copy) -> None:
        """A primary of an older epoch, or of the same: the name decides between equals."""
        if m.epoch < self.epoch:
            self.send(src, Deposed(self.epoch))
        elif src < self.id:
            self.step_down(m.epoch)

    def status(self) -> dict[str, Any]:
        """What views show."""
        label = f"{len(self.log)} written" + (" · alone" if self.alone else "")
        return {"role": self.role, "epoch": self.epoch, "label": label}

    def in_words(self, name: str, before: Self) -> str:
        """Who serves in which epoch, and what counts."""
        if name == "role" and self.role != before.role:
            return f"serves in epoch {self.epoch}" if self.role == PRIMARY else "serves no more"
        if name == "committed" and self.committed > before.committed:
            return f"acknowledges up to record {self.committed}"
        if name == "log" and len(self.log) < len(before.log):
            return f"gives up {len(before.log) - len(self.log)} records"
        return ""

    def marks(self) -> dict[str, dict[str, int]]:
        """How far the log is committed."""
        return {"log": {"committed": self.committed}}


class Witnessed(PrimaryBackup):
    """One of two servers that need each other, or the witness, for everything.

    Parameters
    ----------
    witness:
        The id of a Witness.
    """

    witness: NodeId = "w"
    vouched: int = volatile(0)  # how much of a primary's log the witness vouches for

    @classmethod
    def trio(cls, **options: Any) -> list[Node]:
        """The pair n1 and n2, and its witness w."""
        return [*cls.pair(**options), Witness("w")]

    def take_over(self) -> None:
        """Silence is no death: ask for the epoch."""
        last = self.log[-1].epoch if self.log else 0
        self.send(self.witness, Claim(self.epoch + 1, last, len(self.log)))
        self.set_timer(PartnerSilent(), self.patience_ms)

    def on_granted(self, src: NodeId, m: Granted) -> None:
        """The epoch is this server's, unless it has moved on."""
        if m.epoch > self.epoch:
            self.vouched = 0
            self.serve(m.epoch)

    def copy_from(self, at: int) -> None:
        """A primary without its backup asks the witness; how far the log goes is all that it hears.

        With a backup it does not: what the witness vouched for and the backup lacks would keep the
        backup from taking over, just when the primary is lost.
        """
        if self.alone:
            self.send(self.witness, Vouch(self.epoch, len(self.log)))
        super().copy_from(at)

    def on_vouched(self, src: NodeId, m: Vouched) -> None:
        """Nobody who lacks that can take over."""
        if self.role == PRIMARY and m.epoch == self.epoch:
            self.vouched = max(self.vouched, m.length)
            self.commit(self.safe_length())

    def safe_length(self) -> int:
        """What the backup has or the witness vouches for."""
        return max(self.copied, self.vouched)


class Witness(Bystander):
    """A third vote without data: it knows the newest epoch, and how far a log must go to lead."""

    epoch: int = durable(0)
    last: int = durable(0)  # the log that it vouched for ends with a record of this epoch,
    length: int = durable(0)  # and is so long

    def on_claim(self, src: NodeId, m: Claim) -> None:
        """Grant an epoch once, to a log that is not behind what was vouched for."""
        # As in Raft, section 5.4.1: the later epoch of the last record, then the longer log.
        if m.epoch > self.epoch and (m.last, m.length) >= (self.last, self.length):
            self.epoch = m.epoch
            self.send(src, Granted(m.epoch))
        elif m.epoch <= self.epoch:
            self.send(src, Deposed(self.epoch))

    def on_vouch(self, src: NodeId, m: Vouch) -> None:
        """Remember it, for whoever serves now."""
        if m.epoch < self.epoch:
            self.send(src, Deposed(self.epoch))
            return
        self.last, self.length = m.epoch, max(m.length, self.length_under(m.epoch))
        self.send(src, Vouched(m.epoch, m.length))

    def in_words(self, name: str, before: Self) -> str:
        """What it grants and vouches for."""
        if name == "epoch" and self.epoch != before.epoch:
            return f"grants epoch {self.epoch}"
        if name == "length" and (self.last, self.length) != (before.last, before.length):
            return f"vouches for {self.length} records that end in epoch {self.last}"
        return ""

    def length_under(self, epoch: int) -> int:
        """How far it vouched in that epoch; lengths of others say nothing."""
        return self.length if self.last == epoch else 0

    def status(self) -> dict[str, Any]:
        """What views show."""
        return {"role": "witness", "epoch": self.epoch, "label": f"vouches for {self.length}"}
