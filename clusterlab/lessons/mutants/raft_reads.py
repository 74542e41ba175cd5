"""Rafts whose reads are stale: R43 to R45 of the table of published bugs.

Sources: Ongaro's dissertation, "Consensus: Bridging Theory and Practice", 2014, section 6.4; the
issues that each row names. R42, a leader that reads its own state, is in `clients.py`, as are the
clients and the way in which the search remembers what they were told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, TypeAlias

from clusterlab.core.faults import Heal, Link, Partition, Schedule, Skew
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.core.spec import Read, Register, Write
from clusterlab.experiments.fuzz import LINEARIZABLE, SeedRun, Trial
from clusterlab.experiments.fuzz_subjects import SKEW_MAX
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.clients import (
    ALL_ANSWERED,
    asks_too_early,
    firing,
    linearizable,
    stays_small,
    two_clients,
)
from clusterlab.lessons.mutants.hunts import by_search, by_seeds
from clusterlab.protocols.client import Client
from clusterlab.protocols.raft.reads import LeaseReads, ReadIndex


class ReadsBeforeItsNoOp(ReadIndex):
    """R43. Takes its commit index for the newest before an entry of its own term is committed."""

    def may_read(self) -> bool:
        """It does not look at the term."""
        return True


class ReadsWithoutARound(ReadIndex):
    """R44. Takes its commit index, and asks nobody whether it still leads."""

    def ask_quorum(self) -> None:
        """It answers for all."""
        self.read_replies = set(self.members)


class LeaseWithoutMargin(LeaseReads):
    """R45. Its lease is as long as the promise of the others, by its own clock."""

    @property
    def lease_ms(self) -> int:
        """Lacks the bound on clock rates."""
        return self.election_timeout_ms[0]


class VotesDuringTheLease(LeaseReads):
    """R45. Its followers forget what they have promised as soon as somebody asks for a vote."""

    def on_message(self, src: NodeId, m: Message) -> None:
        """It ends the promise first."""
        if type(m).__name__ == "RequestVote":
            self.in_contact = False
        super().on_message(src, m)


# --- how they are hunted -------------------------------------------------------------------------


Storm: TypeAlias = Callable[[Random, Sequence[NodeId]], Schedule]

ATTEMPTS = 6
QUICK = Network(delay_ms=(1.0, 3.0))
"""A lease is short: what goes wrong must go wrong within it."""


@dataclass(frozen=True)
class Cuts(Trial):
    """A trial in which one server after the other is cut off, in a way that is drawn by `storm`."""

    storm: Storm = lambda _random, _servers: []

    def run(self, seed: int, schedule: Schedule | None = None) -> SeedRun:
        """One seed."""
        if schedule is None:
            names = [node.id for node in self.nodes()]
            schedule = self.storm(Random(f"cuts {seed}"), names)
        return super().run(seed, schedule)


def cut_off_and_slow(random: Random, servers: Sequence[NodeId]) -> Schedule:
    """One server is cut off; its clock is slow from then on, and those of the others are fast."""
    faults: Schedule = []
    for attempt in range(ATTEMPTS):
        at = 800.0 * attempt
        lone = random.choice(servers)
        others = tuple(server for server in servers if server != lone)
        faults += [(at, Heal()), *((at, Skew(server)) for server in servers)]
        at += random.uniform(300, 400)
        faults += [(at, Skew(lone, rate=0.5)), *((at, Skew(other, rate=2.0)) for other in others)]
        faults += [(at, Partition(((lone,), others)))]
    return faults


def cut_off_bit_by_bit(random: Random, servers: Sequence[NodeId]) -> Schedule:
    """One server loses touch with another and with the writer, and a little later with the rest."""
    faults: Schedule = []
    for attempt in range(ATTEMPTS):
        at = 800.0 * attempt
        lone, other, _ = random.sample(servers, 3)
        rest = tuple(server for server in servers if server != lone)
        faults += [(at, Heal())]
        at += random.uniform(200, 300)
        faults += [(at, Link(lone, name, block=True)) for name in (other, "c1")]
        faults += [(at, Link(name, lone, block=True)) for name in (other, "c1")]
        faults += [(at + random.uniform(150, 300), Partition(((lone,), rest)))]
    return faults


def writer_and_readers(servers: tuple[NodeId, ...], _seed: int) -> list[Node]:
    """One writes, and soon looks for another leader; two read from whoever answers."""
    writes = tuple(Write(number) for number in range(1, 200))
    writer = Client("c1", servers=servers, workload=writes, every_ms=(5, 15), retry_ms=15)
    reads = (Read(),) * 1000
    readers = (
        Client(name, servers=servers, workload=reads, every_ms=(5, 15), retry_ms=60)
        for name in ("c2", "c3")
    )
    return [writer, *readers]


def leases(bound: float, storm: Storm) -> Callable[[type[Any]], Trial]:
    """Three servers whose clocks keep to `bound`."""

    def trial(server: type[LeaseReads]) -> Trial:
        return Cuts(
            partial(server.group, 3, spec=Register(), clock_rate_bound=bound),
            clients=writer_and_readers,
            spec=Register(),
            storm_ms=800.0 * ATTEMPTS,
            storm=storm,
            network=QUICK,
        )

    return trial


_SEARCH: dict[str, Any] = {
    "properties": (linearizable(Register()), ALL_ANSWERED),
    "network": "fifo",
    "invoke": (("c1", Write(1)), ("c2", Read())),
    "timers": firing(elections=2),
    "bound": stays_small,
    "prune": asks_too_early,
}

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "R43",
        "reads before its no-op is committed",
        "etcd #7331; Ongaro's dissertation, section 6.4",
        ReadsBeforeItsNoOp,
        ReadIndex,
        LINEARIZABLE,
        by_search(two_clients, **_SEARCH),
    ),
    Mutant(
        "R44",
        "reads without asking a quorum",
        "Ongaro's dissertation, section 6.4",
        ReadsWithoutARound,
        ReadIndex,
        LINEARIZABLE,
        by_search(two_clients, **_SEARCH),
    ),
    Mutant(
        "R45",
        "a lease without a margin for clocks",
        "Ongaro's dissertation, section 6.4.1; armon on Consul's ?consistent",
        LeaseWithoutMargin,
        LeaseReads,
        LINEARIZABLE,
        by_seeds(leases(SKEW_MAX, cut_off_and_slow), range(60)),
    ),
    Mutant(
        "R45b",
        "followers vote during the lease",
        "Ongaro's dissertation, section 6.4.1",
        VotesDuringTheLease,
        LeaseReads,
        LINEARIZABLE,
        by_seeds(leases(1.25, cut_off_bit_by_bit), range(60)),
    ),
)
