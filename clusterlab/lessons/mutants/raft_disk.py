"""Rafts that count what is not on the disk: R31 and R32 of the table of published bugs."""

from __future__ import annotations

from clusterlab.check.invariants.raft import (
    COMMITTED_IS_DURABLE,
    ENTRY_COMMITTED,
    LEADER_ELECTED,
    QUORUM_LOG_INV,
)
from clusterlab.core.node import NodeId
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.hunts import by_search
from clusterlab.lessons.mutants.raft_worlds import STATES_MAX, firing, servers, up_to
from clusterlab.protocols.raft import AppendReply
from clusterlab.protocols.raft.async_disk import AsyncDisk


class AcknowledgesUnwritten(AsyncDisk):
    """R31: a follower answers before its disk has."""

    def acknowledge(self, leader: NodeId, last_new: int) -> None:
        """It has the entries, in memory."""
        self.send(leader, AppendReply(self.current_term, True, last_new))


class CountsItselfUnwritten(AsyncDisk):
    """R31b: a leader counts itself before its disk has answered."""

    def held_by_quorum(self) -> int:
        """It has all of its own entries, in memory."""
        held = sorted((self.last_log_index, *self.match_index.values()), reverse=True)
        return held[self.quorum - 1]


class CommitsAlone(AsyncDisk):
    """R32: who is the whole cluster asks nobody, and not its disk either."""

    def held_by_quorum(self) -> int:
        """A quick path for a cluster of one."""
        return self.last_log_index if self.quorum == 1 else super().held_by_quorum()


HAPPENS = (LEADER_ELECTED, ENTRY_COMMITTED)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "R31",
        "a follower answers before its disk has",
        "RaftFsync.tla; Jepsen: NATS 2.12.1",
        AcknowledgesUnwritten,
        AsyncDisk,
        QUORUM_LOG_INV.name,
        by_search(
            servers(3),
            properties=(QUORUM_LOG_INV, *HAPPENS),
            bound=up_to(1, 1),
            timers=firing(1, 0),
            crashes=1,
            states_max=STATES_MAX,
        ),
        depth=15,
    ),
    Mutant(
        "R31b",
        "a leader counts itself before its disk has answered",
        "RaftFsync.tla",
        CountsItselfUnwritten,
        AsyncDisk,
        QUORUM_LOG_INV.name,
        by_search(
            servers(3),
            properties=(QUORUM_LOG_INV, *HAPPENS),
            bound=up_to(1, 1),
            timers=firing(1, 0),
            crashes=1,
            states_max=STATES_MAX,
        ),
        depth=15,
    ),
    Mutant(
        "R32",
        "a cluster of one commits before it has written",
        "etcd #14370",
        CommitsAlone,
        AsyncDisk,
        COMMITTED_IS_DURABLE.name,
        by_search(
            servers(1),
            properties=(COMMITTED_IS_DURABLE, *HAPPENS),
            bound=up_to(2, 2),
            timers={"ElectionTimeout": 2},
            crashes=1,
        ),
    ),
)
