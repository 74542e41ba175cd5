"""Wrong failover: fences, locks, promotions and logs, B1 to B8 of the table of published bugs.

B5 and B6 are in `views.py`, B13 in `active_active.py`.
"""

from __future__ import annotations

from typing import Any

from clusterlab.check.invariants.primary_backup import (
    ACKED_IS_KEPT,
    ACKNOWLEDGED,
    FENCING,
    GRANTS_GROW,
    LEASES_DISJOINT,
    ONE_PRIMARY,
    TERMS_OF_OFFICE,
)
from clusterlab.check.properties import Answer, always, sometimes
from clusterlab.check.world import NodeView, World
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Put
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.hunts import by_search
from clusterlab.protocols.client import Client
from clusterlab.protocols.failover import IsOff, PowerSwitch, Stonith
from clusterlab.protocols.failover import Managed as ManagedServer
from clusterlab.protocols.lease import Leased
from clusterlab.protocols.lock_service import LockService
from clusterlab.protocols.primary_backup import Witness, Witnessed
from clusterlab.protocols.records import Record
from clusterlab.protocols.replicated_log import Controller, Replica
from clusterlab.protocols.shared_storage import FencedStorage, Storage, corrupted

# --- wrong classes -------------------------------------------------------------------------------


class ChecksNoToken(FencedStorage):
    """B1. Writes what it is told, whatever number comes with it."""

    def admits(self, src: NodeId, token: int) -> bool:
        """It does not look."""
        return True


class NumbersProcesses(LockService):
    """B2. Gives every process a number, and not every grant."""

    def next_token(self, src: NodeId) -> int:
        """The same each time that this one comes."""
        return int(src.removeprefix("n"))


class AcknowledgesAtOnce(Witnessed):
    """B3. Tells its client before anybody else has the write."""

    def safe_length(self) -> int:
        """It has it."""
        return len(self.log)


class PromotesAtOnce(Stonith):
    """B4. Promotes the backup while the old primary may still accept writes."""

    def replace(self) -> None:
        """Without a word to the switch."""
        self.promote(self.successor())


class TrustsItsHighWatermark(Replica):
    """B7. A follower cuts its log off where it knows it to count, which lags."""

    def follow(self) -> None:
        """Asks nobody."""
        self.truncate(self.counts)
        self.agrees = True
        self.fetch()


class PicksTheFirst(Controller):
    """B8. Names any replica that answers, and not the one whose log goes furthest."""

    def pick(self) -> NodeId:
        """The first in the list."""
        return next(node for node in self.members if node in self.ends)


# --- their worlds --------------------------------------------------------------------------------

WISH = Put("x", 1)
WRITE = (("c1", WISH),)

ACKED = sometimes(
    "a write is acknowledged", lambda world: bool(world.ghost.acked), ghost=ACKNOWLEDGED, reads=()
)
TWO_SERVED = sometimes(
    "a second one begins to serve",
    lambda world: len({node for _, node in world.ghost}) > 1,
    ghost=TERMS_OF_OFFICE,
    reads=(),
)

TWO_GRANTS = sometimes(
    "the lock is granted again",
    lambda world: len(world.ghost) > 1,
    ghost=GRANTS_GROW.ghost,
    reads=(),
)


def _readable(world: World) -> Answer:
    for disk in world.having("blocks"):
        if broken := corrupted(disk.blocks):
            return f"the halves of record {broken[0]} on {disk.id} do not belong together"
    return True


NOTHING_CORRUPTED = always("NothingCorrupted", _readable, reads=("blocks",))
"""What is on the disk can be read."""


class SignsTheDisk(Leased):
    """Writes a record as soon as it has the disk, so that no client is needed."""

    def serve(self) -> None:
        """As a file system writes who has mounted it."""
        self.log += (Record(self.epoch),)
        super().serve()


def holders(storage: type[Storage]) -> list[Node]:
    """Two that share a disk and a lock whose lease is a tick long."""
    return [
        *SignsTheDisk.pair(drift=0.0),
        LockService("lock", lease_ms=50),
        storage("disk"),
    ]


def lockers(service: type[LockService]) -> list[Node]:
    """The same, with a lock service of a class, and a lease of one tick."""
    return [*Leased.pair(drift=0.0), service("lock", lease_ms=50), FencedStorage("disk")]


LEASES: dict[str, Any] = {
    "network": "multiset",
    "ticks": 1,
    "tick_ms": 50,
    "timers": {
        "KeepAliveDue": 1,
        "LeaseOver": 0,
        **dict.fromkeys(("GraceOver", "DiskSilent"), 0),
    },
}


def witnessed(server: type[Witnessed]) -> list[Node]:
    """The pair, its witness, and a client of the first."""
    return [*server.pair(witness="w"), Witness("w"), Client("c1", servers=("n1",))]


def managed(manager: type[Stonith]) -> list[Node]:
    """A pair with a disk, a manager and a power switch."""
    return ManagedServer.with_disk(manager("m"), PowerSwitch("pdu"))


def has_power_or_is_dead(world: World) -> bool:
    """Not followed: a machine that runs without power."""
    return any(node in world.up for node in world["pdu"].off)


def in_epoch_1(size: int, replica: type[Replica], controller: type[Controller]) -> list[Node]:
    """Replicas of which n1 leads epoch 1 and all have its first record; and a client of n1."""
    members = tuple(f"n{number}" for number in range(1, size + 1))
    replicas = [replica(name, members=members) for name in members]
    manager = controller("m", members=members)
    manager.epoch, manager.leader = 1, "n1"
    for one in replicas:
        one.epoch, one.log, one.counts = 1, (Record(1),), 1
    return [*replicas, manager, Client("c1", servers=("n1",))]


def two_replicas(server: type[Replica]) -> list[Node]:
    """Two of a class."""
    return in_epoch_1(2, server, Controller)


def three_replicas(controller: type[Controller]) -> list[Node]:
    """Three, and a controller of a class."""
    return in_epoch_1(3, Replica, controller)


def replaced_too_early(world: World) -> bool:
    """Not followed: the leader is replaced before anything was acknowledged."""
    client = world["c1"]
    return world["m"].epoch > 1 and (client.reserved == 0 or client.operation is not None)


CLIENT_RESTS = dict.fromkeys(("AnswerOverdue", "TryAgain", "GiveUp"), 0)


def epochs_up_to(epoch: int, records: int) -> Any:
    """A bound: no epoch above, no longer log."""

    def bound(node: NodeView) -> bool:
        return bool(getattr(node, "epoch", 0) <= epoch and len(getattr(node, "log", ())) <= records)

    return bound


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "B1",
        "the disk checks no token",
        "Kleppmann 2016; client-go leaderelection.go",
        ChecksNoToken,
        FencedStorage,
        FENCING.name,
        by_search(holders, properties=(FENCING, TWO_SERVED), **LEASES),
    ),
    Mutant(
        "B2",
        "a token for each process, not each grant",
        "Kleppmann 2016",
        NumbersProcesses,
        LockService,
        GRANTS_GROW.name,
        by_search(
            lockers, properties=(GRANTS_GROW, LEASES_DISJOINT, TWO_GRANTS), **{**LEASES, "ticks": 1}
        ),
    ),
    Mutant(
        "B3",
        "acknowledges before the backup has it",
        "Redis Cluster specification; MongoDB w:1",
        AcknowledgesAtOnce,
        Witnessed,
        ACKED_IS_KEPT.name,
        by_search(
            witnessed,
            properties=(ACKED_IS_KEPT, ACKED),
            network="multiset",
            invoke=WRITE,
            crashes=1,
            crashing=("n1",),
            restarts="never",
            timers={"PartnerSilent": 2, "CopyDue": 0, **CLIENT_RESTS},
            bound=epochs_up_to(2, 3),
        ),
    ),
    Mutant(
        "B4",
        "promotes while the old primary serves",
        "GitHub 2018, October 21 post-incident analysis",
        PromotesAtOnce,
        Stonith,
        ONE_PRIMARY.name,
        by_search(
            managed,
            properties=(ONE_PRIMARY, TWO_SERVED),
            network="multiset",
            invoke=(("pdu", IsOff("n1")),),
            crashes=1,
            crashing=("n1",),
            restarts="never",
            timers={"PrimarySilent": 1, "OrdersDue": 0, "DiskSilent": 0},
            prune=has_power_or_is_dead,
        ),
    ),
    Mutant(
        "B7",
        "a follower trusts its high watermark",
        "Kafka KIP-101",
        TrustsItsHighWatermark,
        Replica,
        ACKED_IS_KEPT.name,
        by_search(
            two_replicas,
            properties=(ACKED_IS_KEPT, ACKED),
            network="multiset",
            invoke=WRITE,
            crashes=1,
            crashing=("n2",),
            timers={"LeaderSilent": 1, "OrderDue": 1, "FetchDue": 0, **CLIENT_RESTS},
            bound=epochs_up_to(2, 4),
            prune=replaced_too_early,
        ),
    ),
    Mutant(
        "B8",
        "promotes any replica",
        "Elasticsearch 1.1 and 1.5; unclean election in Kafka",
        PicksTheFirst,
        Controller,
        ACKED_IS_KEPT.name,
        by_search(
            three_replicas,
            properties=(ACKED_IS_KEPT, ACKED),
            network="multiset",
            invoke=WRITE,
            timers={"LeaderSilent": 1, "OrderDue": 0, "FetchDue": 0, **CLIENT_RESTS},
            bound=epochs_up_to(2, 4),
            prune=replaced_too_early,
            states_max=400_000,
        ),
    ),
)
