"""Rafts whose snapshots are wrong: R25 to R30, R33 and R41 of the table of published bugs."""

from __future__ import annotations

from functools import partial
from typing import Any

from clusterlab.check.invariants.raft import (
    ENTRY_COMMITTED,
    INDICES_IN_ORDER,
    LEADER_ELECTED,
    LOG_MATCHING,
    MONOTONIC_ACROSS_RESTARTS,
)
from clusterlab.check.invariants.raft_snapshots import SNAPSHOT_TAKEN, STATE_IS_FOLD
from clusterlab.check.moves import Move
from clusterlab.core.node import Node, NodeId, durable
from clusterlab.core.spec import Counter
from clusterlab.experiments.fuzz import LINEARIZABLE, Trial
from clusterlab.experiments.fuzz_subjects import CounterClients
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.hunts import (
    Nodes,
    arrives,
    asked,
    by_prefix,
    by_search,
    by_seeds,
    fires,
)
from clusterlab.lessons.mutants.raft_worlds import STATES_MAX, WISH, WRITE, elect, firing, up_to
from clusterlab.protocols.client import Client, Request
from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    Command,
    Entry,
    HeartbeatDue,
    Raft,
)
from clusterlab.protocols.raft.snapshots import InstallSnapshot, Snapshot, Snapshots


class AppendsBehindTheSnapshot(Snapshots):
    """R25: index 0 matches every log, so what follows it goes to the end of the log."""

    def take_over(self, prev: int, entries: tuple[Entry, ...]) -> None:
        """Its log begins at 0, whatever is in a snapshot."""
        super().take_over(prev or self.offset, entries)


class SendsEntriesThatAreGone(Snapshots):
    """R26: sends a snapshot only to who lacks more than its last entry (`<` for `<=`)."""

    def send_append(self, peer: NodeId, entries_max: int) -> None:
        """It is one off."""
        if self.next_index[peer] == self.offset:
            Raft.send_append(self, peer, entries_max)
        else:
            super().send_append(peer, entries_max)


class TakesOverTheTerm(Snapshots):
    """R27: goes to the term of the snapshot's last entry."""

    def install(self, snapshot: Snapshot) -> None:
        """The term may be an older one."""
        super().install(snapshot)
        self.current_term = snapshot.last_term


class TakesAnySnapshot(Snapshots):
    """R28: installs a snapshot that is older than its own state."""

    def needs(self, m: InstallSnapshot) -> bool:
        """It does not look."""
        return True


class KeepsWhatDiffers(Snapshots):
    """R29: keeps the entries behind a snapshot without a look at the term of its last one."""

    def entries_behind(self, snapshot: Snapshot) -> tuple[Entry, ...]:
        """There is an entry with that index."""
        return self.entries_after(snapshot.last_index)


class TakesPiecesAsTheyCome(Snapshots):
    """R30: takes the pieces of a snapshot in the order in which they arrive."""

    def is_next(self, m: InstallSnapshot, arriving: Snapshot) -> bool:
        """Whatever comes is next."""
        return True


class TrustsASavedIndex(Snapshots):
    """R33: saves its commit index, and takes what is committed for applied after a restart."""

    commit_saved: int = durable(0)

    def commit(self, index: int) -> None:
        """Saves it."""
        self.commit_saved = index
        super().commit(index)

    def restore(self) -> None:
        """Derives the one from the other."""
        super().restore()
        self.commit_index = self.last_applied = max(self.commit_saved, self.offset)


class ForgetsSessions(Snapshots):
    """R41: its snapshots hold the application, and not what was answered to whom."""

    def applied_state(self) -> dict[str, Any]:
        """The application is all that there is."""
        return {"machine": super().applied_state()["machine"]}


# --- how they are hunted -------------------------------------------------------------------------

HAPPENS = (LEADER_ELECTED, ENTRY_COMMITTED, SNAPSHOT_TAKEN)


def servers(size: int, client: NodeId | None = None, **options: Any) -> Nodes:
    """So many servers that keep no applied entry, and a client that knows one of them."""

    def make(server: type[Any]) -> list[Node]:
        clients = [Client("c1", servers=(client,))] if client else []
        return [*server.group(size, **{"snapshot_entries": 1, **options}), *clients]

    return make


def replicate(leader: NodeId, follower: NodeId, m: AppendEntries) -> list[Move]:
    """Of a prefix: `follower` takes entries, and says so."""
    last = m.prev_log_index + len(m.entries)
    reply = AppendReply(m.term, True, last)
    return [arrives(leader, follower, m), arrives(follower, leader, reply)]


FIRST = AppendEntries(1, 0, 0, (Entry(1),), 0)
"""The blank entry of the leader of term 1, to an empty log."""

ASKED = (asked("c1", WISH), arrives("c1", "n1", Request(1, WISH)))
PUT = Entry(1, Command("c1", 1, WISH))

COMMITS_FIRST = (*elect("n1", "n2", 1), *replicate("n1", "n2", FIRST))
"""n1 leads and n2 has its first entry, which is only in the snapshot of n1 now; n3 has nothing."""


def hears_of(index: int) -> tuple[Move, ...]:
    """Of a prefix: n1 gives up to wait for n3, and hears from it: it lacks even the first entry.

    So n1 sends the snapshot through `index`.
    """
    return (
        *(fires("n1", HeartbeatDue()), fires("n1", HeartbeatDue())),
        arrives("n1", "n3", AppendEntries(1, index, 1, (), index)),
        arrives("n3", "n1", AppendReply(1, False, 0)),
    )


def counting(server: type[Snapshots]) -> Trial:
    """Three servers that count, in a storm: what is done twice shows in the sum."""
    return Trial(
        partial(server.group, 3, spec=Counter(), snapshot_entries=3),
        clients=CounterClients(),
        properties=HAPPENS,
        spec=Counter(),
    )


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "R25",
        "appends the beginning of the log behind a snapshot",
        "WRaft #118.1",
        AppendsBehindTheSnapshot,
        Snapshots,
        LOG_MATCHING.name,
        by_search(
            servers(2, "n1"),
            invoke=WRITE,
            properties=(LOG_MATCHING, *HAPPENS),
            bound=up_to(1, 2),
            timers=firing(1, 1),
            states_max=STATES_MAX,
        ),
        depth=22,
    ),
    Mutant(
        "R26",
        "sends entries that are only in its snapshot",
        "WRaft #118.2, RedisRaft #47",
        SendsEntriesThatAreGone,
        Snapshots,
        STATE_IS_FOLD.name,
        by_prefix(
            servers(3, "n1"),
            (*COMMITS_FIRST, *ASKED),
            invoke=WRITE,
            properties=(STATE_IS_FOLD, *HAPPENS),
            bound=up_to(1, 2),
            timers=firing(1, 2),
            states_max=STATES_MAX,
        ),
        depth=20,
    ),
    Mutant(
        "R27",
        "goes to the term of the snapshot",
        "WRaft #118.4; jgroups-raft #23",
        TakesOverTheTerm,
        Snapshots,
        MONOTONIC_ACROSS_RESTARTS.name,
        by_prefix(
            servers(3),
            (
                *COMMITS_FIRST,
                fires("n1", HeartbeatDue()),
                arrives("n1", "n2", AppendEntries(1, 1, 1, (), 1)),
                *elect("n2", "n3", 2, (1, 1)),
            ),
            properties=(MONOTONIC_ACROSS_RESTARTS, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2, 1),
            states_max=STATES_MAX,
        ),
        depth=23,
    ),
    Mutant(
        "R28",
        "installs a snapshot that is older than its state",
        "Raft §7",
        TakesAnySnapshot,
        Snapshots,
        MONOTONIC_ACROSS_RESTARTS.name,
        by_prefix(
            servers(3, "n1"),
            (
                *(*COMMITS_FIRST, *hears_of(1), *ASKED),
                *replicate("n1", "n2", AppendEntries(1, 1, 1, (PUT,), 1)),
            ),
            invoke=WRITE,
            properties=(MONOTONIC_ACROSS_RESTARTS, *HAPPENS),
            bound=up_to(1, 2),
            timers=firing(1, 2),
            states_max=STATES_MAX,
        ),
    ),
    Mutant(
        "R29",
        "keeps entries that a snapshot contradicts",
        "scylladb #9965",
        KeepsWhatDiffers,
        Snapshots,
        INDICES_IN_ORDER.name,
        by_prefix(
            servers(3, "n3"),
            (
                *elect("n3", "n1", 1),
                asked("c1", WISH),
                arrives("c1", "n3", Request(1, WISH)),
                fires("n3", HeartbeatDue()),
                *elect("n1", "n2", 2),
                *replicate("n1", "n2", AppendEntries(2, 0, 0, (Entry(2),), 0)),
            ),
            invoke=WRITE,
            properties=(INDICES_IN_ORDER, *HAPPENS),
            bound=up_to(2, 2),
            timers=firing(2, 2),
            states_max=STATES_MAX,
        ),
    ),
    Mutant(
        "R30",
        "takes pieces of a snapshot as they come",
        "etcd #18055",
        TakesPiecesAsTheyCome,
        Snapshots,
        STATE_IS_FOLD.name,
        by_prefix(
            servers(3, "n1", snapshot_entries=2, chunk_pieces=2),
            (
                *(*COMMITS_FIRST, *ASKED),
                *replicate("n1", "n2", AppendEntries(1, 1, 1, (PUT,), 1)),
                *hears_of(2),
            ),
            invoke=WRITE,
            properties=(STATE_IS_FOLD, *HAPPENS),
            bound=up_to(1, 2),
            timers=firing(1, 2),
            crashes=1,
            states_max=STATES_MAX,
        ),
    ),
    Mutant(
        "R33",
        "takes what was committed for applied after a restart",
        "etcd raft, commit 8ecce32",
        TrustsASavedIndex,
        Snapshots,
        STATE_IS_FOLD.name,
        by_search(
            servers(1, "n1", snapshot_entries=3),
            invoke=WRITE,
            properties=(STATE_IS_FOLD, LEADER_ELECTED, ENTRY_COMMITTED),
            bound=up_to(2, 3),
            timers=firing(2),
            crashes=1,
        ),
    ),
    Mutant(
        "R41",
        "leaves what it answered to clients out of its snapshots",
        "Ongaro's dissertation, chapter 6",
        ForgetsSessions,
        Snapshots,
        LINEARIZABLE,
        by_seeds(counting, range(60)),
    ),
)
