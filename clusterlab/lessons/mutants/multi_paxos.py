"""Multi-Paxos, wrong in its log, its memory and its lease: P13 to P16 of the published bugs.

P15 is about acceptors, and is shown by those of single-decree Paxos: a slot is an instance.
"""

from __future__ import annotations

from typing import Any

from clusterlab.check.invariants.multi_paxos import (
    EXECUTED_IN_ORDER,
    LEADER_ELECTED,
    SLOT_EXECUTED,
)
from clusterlab.check.invariants.paxos import AGREEMENT
from clusterlab.check.moves import Move
from clusterlab.check.properties import sometimes
from clusterlab.check.world import NodeView
from clusterlab.core.node import WORLD, Message, Node, NodeId, durable, volatile
from clusterlab.core.quorum import majority
from clusterlab.core.spec import Put, Read, Register, Write
from clusterlab.experiments.fuzz import LINEARIZABLE, Trial
from clusterlab.experiments.fuzz_subjects import CAUGHT_UP, SUBJECTS
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.clients import HISTORY, asks_too_early, history, linearizable
from clusterlab.lessons.mutants.hunts import arrives, by_prefix, by_search, by_seeds, fires
from clusterlab.lessons.mutants.paxos_worlds import first_phase_done, hunting
from clusterlab.protocols.client import Client
from clusterlab.protocols.multi_paxos import (
    CatchUp,
    ElectionTimeout,
    Heartbeat,
    LeaseGranted,
    MultiPaxos,
    Prepare,
    Promise,
)
from clusterlab.protocols.paxos import ZERO, Accept, Acceptor, Ballot, Proposal
from clusterlab.protocols.paxos import Prepare as PrepareOne

# --- wrong replicas ----------------------------------------------------------------------------


class ExecutesPastAGap(MultiPaxos):
    """P13. Executes what it knows to be chosen, whatever slots before it are open."""

    def next_slot(self) -> int:
        """The first slot that is known."""
        return min(self.learned, default=self.executed + 1)


class KeepsItsSnapshot(MultiPaxos):
    """P14. Discards slots that another replica lacks, and gives it nothing in their place."""

    def on_catch_up(self, src: NodeId, m: CatchUp) -> None:
        """Tell what is still in the log."""
        if m.first > self.snapshot.slot:
            super().on_catch_up(src, m)


class CountsFromTheAnswer(MultiPaxos):
    """P16. Takes its lease to begin when it hears that it was granted, and not when it asked.

    The grant began somewhere in between; what is late extends the lease beyond its end.
    """

    def on_lease_granted(self, src: NodeId, m: LeaseGranted) -> None:
        """As if the answer had taken no time."""
        super().on_lease_granted(src, LeaseGranted(m.ballot, self.now_ms))


class Recover(Message):
    """A restarted acceptor to the others: what do you remember?"""


class Recovered(Message):
    """What I have promised and accepted."""

    promised: Ballot
    accepted: Proposal | None


class RecoversFromAMajority(Acceptor):
    """P15. Writes nothing down; after a restart it takes the most that a majority remembers.

    What it had accepted itself, and nobody else yet, is forgotten; its word is still counted.
    """

    promised: Ballot = volatile(ZERO)
    accepted: Proposal | None = volatile(None)

    lives: int = durable(0)
    heard: dict[NodeId, Recovered] = volatile({})
    recovering: bool = volatile(False)

    def on_start(self) -> None:
        """Only the first life begins with nothing to remember."""
        self.lives += 1
        if self.lives > 1:
            self.recovering = True
            self.broadcast(Recover(), self.others)

    @property
    def others(self) -> tuple[NodeId, ...]:
        """The other two of a1, a2 and a3."""
        return tuple(name for name in ("a1", "a2", "a3") if name != self.id)

    def on_recover(self, src: NodeId, m: Recover) -> None:
        """Tell, unless this one does not know either."""
        if not self.recovering:
            self.send(src, Recovered(self.promised, self.accepted))

    def on_recovered(self, src: NodeId, m: Recovered) -> None:
        """A majority of three: any decision must be among what two of them remember."""
        if self.recovering:
            self.heard[src] = m
            if len(self.heard) >= majority(3):
                self.recovering = False
                self.promised = max(one.promised for one in self.heard.values())
                found = [one.accepted for one in self.heard.values() if one.accepted is not None]
                self.accepted = max(found, default=None)

    def on_prepare(self, src: NodeId, m: PrepareOne) -> None:
        """Not while it recovers."""
        if not self.recovering:
            super().on_prepare(src, m)

    def on_accept(self, src: NodeId, m: Accept) -> None:
        """Not while it recovers."""
        if not self.recovering:
            super().on_accept(src, m)


# --- worlds ------------------------------------------------------------------------------------


def firing(elections: int) -> dict[str, int]:
    """So many elections, and no other timer."""
    others = ("HeartbeatDue", "AnswerOverdue", "TryAgain", "GiveUp")
    return {"ElectionTimeout": elections, **dict.fromkeys(others, 0)}


def two_writers(server: type[Any]) -> list[Node]:
    """Three replicas, and two clients that know the first."""
    clients = [Client(name, servers=("n1",)) for name in ("c1", "c2")]
    return [*server.group(3), *clients]


TWO_WRITES = (("c1", Put("x", 1)), ("c2", Put("x", 2)))


def n1_leads_alone(node: NodeView) -> bool:
    """A bound: nobody else asks for a ballot."""
    return bool(getattr(node, "role", None) != "candidate" or node.id == "n1")


def elect(candidate: NodeId, voter: NodeId, round_: int, sent: tuple[int, ...] = ()) -> list[Move]:
    """Of a prefix: `voter` makes `candidate` leader under that round, with no slot in any log."""
    ballot = Ballot(round_, candidate)
    return [
        fires(candidate, ElectionTimeout()),
        arrives(candidate, voter, Prepare(ballot, 1)),
        arrives(voter, candidate, Promise(ballot, 1, ())),
        *(arrives(candidate, voter, Heartbeat(ballot, 0, at_ms)) for at_ms in sent),
    ]


LEASE_MS = 40
TICK = Move("tick", WORLD)
LEASE_PREFIX = (
    # n2 grants n1 a lease, and n1 will not hear of it until it is over.
    *elect("n1", "n2", 1, sent=(0,)),
    TICK,
    *elect("n2", "n3", 2),
)


def leased(server: type[Any]) -> list[Node]:
    """Three replicas with a register and a lease; c1 knows only n2, and c2 only n1."""
    return [
        *server.group(3, spec=Register(), lease_ms=LEASE_MS, clock_ratio=1),
        Client("c1", servers=("n2",)),
        Client("c2", servers=("n1",)),
    ]


def stays_small(node: NodeView) -> bool:
    """A bound: clients keep to the servers that they know."""
    return bool(getattr(node, "server", None) in (None, *getattr(node, "servers", ())))


WRITE_ANSWERED = sometimes(
    "the write is answered",
    lambda world: len(history(world.ghost).ok()) > 0,
    ghost=HISTORY,
    reads=(),
)


def few_in_a_snapshot(server: type[Any]) -> Trial:
    """The storms of `clusterlab check multipaxos` in which snapshots are small."""
    return SUBJECTS["multipaxos"].trials(server)[0]


_RESTART: dict[str, Any] = {"crashes": 1, "crashing": ("a1",)}

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "P13",
        "executes past a gap",
        "DSLabs, PaxosTest, handling of logs with holes; Lamport 2001, §3",
        ExecutesPastAGap,
        MultiPaxos,
        EXECUTED_IN_ORDER.name,
        by_search(
            two_writers,
            properties=(EXECUTED_IN_ORDER, LEADER_ELECTED, SLOT_EXECUTED),
            invoke=TWO_WRITES,
            timers=firing(1),
            bound=n1_leads_alone,
        ),
    ),
    Mutant(
        "P14",
        "discards what others lack",
        "DSLabs, PaxosTest, old commands garbage collected",
        KeepsItsSnapshot,
        MultiPaxos,
        CAUGHT_UP.name,
        by_seeds(few_in_a_snapshot, range(20)),
    ),
    Mutant(
        "P15",
        "recovers from a plain majority",
        "Michael et al. 2017, Recovering Shared Objects Without Stable Storage",
        RecoversFromAMajority,
        Acceptor,
        AGREEMENT.name,
        hunting(**_RESTART, after=first_phase_done(2)),
    ),
    Mutant(
        "P16",
        "counts its lease from the answer",
        "Chandra, Griesemer and Redstone 2007, Paxos Made Live, master leases",
        CountsFromTheAnswer,
        MultiPaxos,
        LINEARIZABLE,
        by_prefix(
            leased,
            LEASE_PREFIX,
            properties=(linearizable(Register()), WRITE_ANSWERED),
            network="fifo",
            invoke=(("c1", Write(1)), ("c2", Read())),
            timers=firing(0),
            ticks=1,
            tick_ms=LEASE_MS,
            bound=stays_small,
            prune=asks_too_early,
        ),
    ),
)
