"""Log compaction: a snapshot takes the place of the entries that it covers (§7).

Source: Ongaro and Ousterhout 2014 (extended version), section 7 and Figure 13; chapter 5 of
Ongaro's dissertation (2014). Quotations are from the paper.

Where it differs from Figure 13:
- A snapshot is a row of pieces, such as one key of the store with its value, and not of bytes:
  `offset` counts pieces. The same entries make equal snapshots on all servers, so pieces of one may
  come from two leaders.
- `SnapshotReply` says how far the pieces have come, because messages may be lost, late or doubled.
  The last one is answered by `AppendReply`: the logs agree up to the snapshot's end.
- A leader keeps no entries for followers that are a little behind: they get the snapshot too.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from clusterlab.core.node import Message, NodeId, durable, volatile
from clusterlab.core.packing import pack, unpack
from clusterlab.core.values import sort_key
from clusterlab.protocols.raft.messages import LEADER, AppendEntries, Entry
from clusterlab.protocols.raft.server import Raft


class Piece(NamedTuple):
    """A part of a field; `key` is empty for the whole of it, or names an item of a dict."""

    field: str
    key: tuple[Any, ...]
    value: Any


class Snapshot(NamedTuple):
    """What the entries have come to, through the last one that is included."""

    last_index: int
    last_term: int
    data: tuple[Piece, ...]

    def state(self) -> dict[str, Any]:
        """The fields of which these are the pieces.

        >>> Snapshot(1, 1, pieces({"machine": {"x": 1}, "sessions": {}})).state()
        {'machine': {'x': 1}, 'sessions': {}}
        """
        found: dict[str, Any] = {}
        for name, key, value in self.data:
            if key:
                found[name][key[0]] = unpack(value)
            else:
                found[name] = unpack(value)
        return found


class Transfer(NamedTuple):
    """A snapshot on its way to a follower, who has its first `offset` pieces."""

    snapshot: Snapshot
    offset: int


class InstallSnapshot(Message):
    """Leader to follower: pieces of my snapshot, from `offset` on; `done` if they are the last."""

    term: int
    last_included_index: int
    last_included_term: int
    offset: int
    data: tuple[Piece, ...]
    done: bool


class SnapshotReply(Message):
    """The answer to InstallSnapshot: so many pieces of that snapshot have come."""

    term: int
    last_included_index: int
    offset: int


class Snapshots(Raft):
    """A server that writes snapshots, and sends them to followers whose entries are gone.

    Parameters
    ----------
    snapshot_entries:
        It takes a snapshot when so many entries of its log are applied.
    chunk_pieces:
        The most pieces that one InstallSnapshot carries.
    """

    snapshot_entries: int = 1000
    chunk_pieces: int = 256

    snapshot: Snapshot = durable(Snapshot(0, 0, ()))

    arriving: Snapshot | None = volatile(None)  # as far as its pieces have come
    transfers: dict[NodeId, Transfer] = volatile({})  # of a leader

    # --- what a snapshot holds -----------------------------------------------------------------

    @property
    def offset(self) -> int:
        """The index of the last entry that is only in the snapshot."""
        return self.snapshot.last_index

    def term_at(self, index: int) -> int:
        """The term of the entry at `index`."""
        # §7: "Raft also includes a small amount of metadata in the snapshot: the last included
        # index [...] and the last included term. These are preserved to support the AppendEntries
        # consistency check for the first log entry following the snapshot".
        return self.snapshot.last_term if index == self.offset else super().term_at(index)

    def commit(self, index: int) -> None:
        """Apply; then let a snapshot take the place of what is applied, if that is much."""
        super().commit(index)
        # §7: "One simple strategy is to take a snapshot when the log reaches a fixed size in bytes"
        if self.last_applied - self.offset >= self.snapshot_entries:
            self.take_snapshot()

    def take_snapshot(self) -> None:
        """Write down what all applied entries have come to, and let go of them."""
        # §7: "Once a server completes writing a snapshot, it may delete all log entries up through
        # the last included index, as well as any prior snapshot."
        index = self.last_applied
        snapshot = Snapshot(index, self.term_at(index), pieces(self.applied_state()))
        self.replace(snapshot, self.entries_after(index))
        self.note("snapshot", index)

    def replace(self, snapshot: Snapshot, rest: tuple[Entry, ...]) -> None:
        """From now on the log is this snapshot and what follows it: one write to the disk."""
        self.rewrite(rest)
        self.snapshot = snapshot

    def on_start(self) -> None:
        """Begin with what the snapshot holds: the entries before it are gone."""
        super().on_start()
        self.restore()

    def restore(self) -> None:
        """Be where the snapshot was taken."""
        self.take_state(self.snapshot.state())
        # Only what is committed is applied, and only what is applied is in a snapshot.
        self.commit_index = self.last_applied = self.snapshot.last_index

    # --- the leader ----------------------------------------------------------------------------

    def send_append(self, peer: NodeId, entries_max: int) -> None:
        """Send entries, or the snapshot if the first of them is gone."""
        # §7: "Although servers normally take snapshots independently, the leader must occasionally
        # send snapshots to followers that lag behind. This happens when the leader has already
        # discarded the next log entry that it needs to send to a follower."
        if self.next_index[peer] > self.offset:
            super().send_append(peer, entries_max)
        elif entries_max == 0:
            # A heartbeat also asks whether the whole snapshot has arrived.
            term, last = self.snapshot.last_term, self.offset
            self.send(peer, AppendEntries(self.current_term, last, term, (), self.commit_index))
        else:
            # From the first piece, even if it is sent again: the answer says how many are there.
            # One that is being sent goes on when a newer one is taken, or it might never end.
            under_way = self.transfers.get(peer)
            snapshot = self.snapshot if under_way is None else under_way.snapshot
            self.send_pieces(peer, Transfer(snapshot, 0))

    def send_pieces(self, peer: NodeId, transfer: Transfer) -> None:
        """Send the next pieces of a snapshot."""
        self.transfers[peer] = transfer
        self.unanswered[peer] = 0
        (index, term, data), first = transfer
        chunk = data[first : first + self.chunk_pieces]
        done = first + len(chunk) == len(data)
        self.send(peer, InstallSnapshot(self.current_term, index, term, first, chunk, done))

    def on_snapshot_reply(self, src: NodeId, m: SnapshotReply) -> None:
        """Go on where the follower is; an answer that comes late or twice changes nothing."""
        transfer = self.transfers.get(src)
        if self.role != LEADER or not self.is_current(m.term) or transfer is None:
            return
        if m.last_included_index == transfer.snapshot.last_index and m.offset > transfer.offset:
            self.send_pieces(src, transfer._replace(offset=m.offset))

    def record_match(self, peer: NodeId, index: int) -> None:
        """A follower that has all of the snapshot goes on with entries."""
        transfer = self.transfers.get(peer)
        if transfer is not None and index >= transfer.snapshot.last_index:
            del self.transfers[peer]
        super().record_match(peer, index)

    def forget_leadership(self) -> None:
        """Another leader sends its own."""
        super().forget_leadership()
        self.transfers = {}

    # --- followers -----------------------------------------------------------------------------

    def on_install_snapshot(self, src: NodeId, m: InstallSnapshot) -> None:
        """Gather the pieces, and begin anew from the snapshot when all are there."""
        # Fig. 13: "Reply immediately if term < currentTerm"
        if m.term < self.current_term:
            self.send(src, SnapshotReply(self.current_term, m.last_included_index, 0))
            return
        assert self.role != LEADER, f"{self.id} and {src} both lead in term {m.term}"
        self.follow(src)
        if not self.needs(m):
            self.arriving = None
            self.acknowledge(src, m.last_included_index)
            return
        arriving = self.arriving
        which = (m.last_included_index, m.last_included_term)
        # Fig. 13: "Create new snapshot file if first chunk (offset is 0)"
        if arriving is None or (arriving.last_index, arriving.last_term) != which:
            arriving = Snapshot(*which, ())
        # Fig. 13: "Write data into snapshot file at given offset"
        if self.is_next(m, arriving):
            arriving = arriving._replace(data=arriving.data + m.data)
            if m.done:
                self.arriving = None
                self.install(arriving)
                self.acknowledge(src, arriving.last_index)
                return
        self.arriving = arriving
        # Fig. 13: "Reply and wait for more data chunks if done is false"
        self.send(src, SnapshotReply(self.current_term, arriving.last_index, len(arriving.data)))

    def is_next(self, m: InstallSnapshot, arriving: Snapshot) -> bool:
        """Whether these pieces follow those that are there: messages come twice, and late."""
        return m.offset == len(arriving.data)

    def needs(self, m: InstallSnapshot) -> bool:
        """Whether it holds anything that is not committed here already."""
        return m.last_included_index > self.commit_index

    def install(self, snapshot: Snapshot) -> None:
        """Take a whole snapshot over."""
        self.replace(snapshot, self.entries_behind(snapshot))
        # Fig. 13: "Reset state machine using snapshot contents"
        self.restore()
        self.note("snapshot installed", snapshot.last_index)

    def entries_behind(self, snapshot: Snapshot) -> tuple[Entry, ...]:
        """What stays in the log."""
        # Fig. 13: "If existing log entry has same index and term as snapshot's last included entry,
        # retain log entries following it and reply. Discard the entire log".
        if self.has_entry(snapshot.last_index, snapshot.last_term):
            return self.entries_after(snapshot.last_index)
        return ()

    def has_entry(self, index: int, term: int) -> bool:
        """Whether the logs agree at `index`; what the snapshot covers is committed, so they do."""
        return index <= self.offset or super().has_entry(index, term)

    def take_over(self, prev: int, entries: tuple[Entry, ...]) -> None:
        """Take over what the snapshot does not cover."""
        covered = max(0, self.offset - prev)
        super().take_over(prev + covered, entries[covered:])

    # --- pictures and stories ------------------------------------------------------------------

    def in_words(self, name: str, before: Self) -> str:
        """What came into the snapshot."""
        if name == "snapshot" and self.offset > before.offset:
            return f"has entries {before.offset + 1} to {self.offset} in a snapshot"
        if name == "commit_index" and before.commit_index < self.offset:
            return f"takes the entries through {self.commit_index} for committed"
        return super().in_words(name, before)


def pieces(fields: dict[str, Any]) -> tuple[Piece, ...]:
    """Fields in pieces: equal fields in equal pieces, however their dicts were filled."""
    found: list[Piece] = []
    for name, value in sorted(fields.items()):
        if type(value) is not dict:
            found.append(Piece(name, (), pack(value)))
            continue
        found.append(Piece(name, (), pack({})))
        found += [Piece(name, (key,), pack(value[key])) for key in sorted(value, key=sort_key)]
    return tuple(found)
