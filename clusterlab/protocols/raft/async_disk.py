"""An asynchronous disk: a server goes on while its disk writes (dissertation §10.2.1).

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 10.2.1: a leader may
write to its disk while its followers receive the entries and write them to theirs. What a server
says to others, it says of what is on its disk only.

The contract of nodes needs nothing new for it (rule 4: what is saved is on the disk before messages
leave). A write that is under way is a part of memory, `unsynced`, and `DiskDone` is the moment at
which the disk confirms it: in that step the entries become durable. A crash before that loses them.
Terms and votes are small and seldom, and saved at once.

The dissertation lets a leader commit what a majority of others has written, even before its own
disk has. Here nobody commits, applies or puts into a snapshot what is not on its own disk.
"""

from __future__ import annotations

from clusterlab.core.node import Delay, NodeId, Timer, volatile
from clusterlab.protocols.raft.messages import LEADER, Entry
from clusterlab.protocols.raft.server import Raft


class DiskDone(Timer):
    """The disk confirms what it was given."""


class AsyncDisk(Raft):
    """A server that does not wait for its disk.

    Parameters
    ----------
    sync_ms:
        How long the disk takes; what is stored meanwhile is written together afterwards.
    """

    sync_ms: Delay = (1, 10)

    unsynced: tuple[Entry, ...] = volatile(())  # the end of the log, not on the disk yet
    writing: int = volatile(0)  # so many of them the disk was given
    owed: tuple[int, int] = volatile((0, 0))  # term and index: to be acknowledged once written
    committed: int = volatile(0)  # the leader has committed so many entries of those that came

    # --- the disk ------------------------------------------------------------------------------

    def store(self, entries: tuple[Entry, ...]) -> None:
        """Give entries to the disk, and do not wait."""
        self.unsynced += entries
        self.write()

    def write(self) -> None:
        """Let the disk write everything, unless it still writes."""
        if self.unsynced and not self.writing:
            self.writing = len(self.unsynced)
            self.set_timer(DiskDone(), self.sync_ms)

    def on_disk_done(self, t: DiskDone) -> None:
        """Entries have become durable: now they count."""
        self.log += self.unsynced[: self.writing]
        self.unsynced = self.unsynced[self.writing :]
        self.writing = 0
        self.write()
        if self.role == LEADER:
            self.advance_commit_index()
            return
        self.follow_commit(self.committed, self.synced_index)
        term, last_new = self.owed
        if self.leader_id is not None and self.is_current(term):
            self.acknowledge(self.leader_id, last_new)

    def rewrite(self, entries: tuple[Entry, ...]) -> None:
        """Write the log anew, at once."""
        super().rewrite(entries)
        self.unsynced, self.writing = (), 0

    def truncate(self, last: int) -> None:
        """Keep the entries through `last`, wherever they are."""
        if last >= self.last_log_index:
            return
        if last >= self.synced_index:
            self.note("truncate", last)
            self.unsynced = self.unsynced[: last - self.synced_index]
            self.writing = min(self.writing, len(self.unsynced))
        else:
            super().truncate(last)

    # --- the log, in memory ----------------------------------------------------------------------

    @property
    def synced_index(self) -> int:
        """How far the log is on this server's disk."""
        return self.offset + len(self.log)

    @property
    def last_log_index(self) -> int:
        """The index of the last entry."""
        return self.synced_index + len(self.unsynced)

    def entry(self, index: int) -> Entry:
        """The entry at `index`."""
        synced = self.synced_index
        return self.unsynced[index - synced - 1] if index > synced else super().entry(index)

    def entries_after(self, index: int, most: int | None = None) -> tuple[Entry, ...]:
        """What follows the entry at `index`, at most so many."""
        log, first = self.log + self.unsynced, index - self.offset
        return log[first:] if most is None else log[first : first + most]

    # --- what counts -----------------------------------------------------------------------------

    def held_by_quorum(self) -> int:
        """The greatest index up to which a majority, and this leader, have written its log."""
        # §10.2.1: the leader has a match index of its own, the newest entry on its disk.
        return min(super().held_by_quorum(), self.synced_index)

    def follow_commit(self, leader_commit: int, last_new: int) -> None:
        """Commit what the leader has committed, once it is on this disk too."""
        self.committed = max(self.committed, min(leader_commit, last_new))
        super().follow_commit(self.committed, self.synced_index)

    def acknowledge(self, leader: NodeId, last_new: int) -> None:
        """Tell the leader what is on the disk; of the rest it hears when that is written."""
        term, owed = self.owed
        last = max(owed, last_new) if self.is_current(term) else last_new
        self.owed = (self.current_term, last) if last > self.synced_index else (0, 0)
        super().acknowledge(leader, min(last_new, self.synced_index))
