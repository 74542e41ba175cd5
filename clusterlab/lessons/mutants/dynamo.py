"""Stores of quorums that are wrong: quorums that miss each other, clocks that decide, stand-ins.

Sources: Gifford 1979; Attiya, Bar-Noy and Dolev 1995; DeCandia et al. 2007 (Dynamo).

Healthy is `AtomicStore`, whose clients see one register for each key. In the searches, the clients'
history is part of the state, and is judged; nobody asks twice.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from clusterlab.check.properties import Answer, always
from clusterlab.check.world import NodeView, World
from clusterlab.core.message import Message
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Get, KeyValue, Put
from clusterlab.experiments import fuzz_quorums
from clusterlab.experiments.fuzz import LINEARIZABLE, Trial
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.clients import ALL_ANSWERED, linearizable
from clusterlab.lessons.mutants.hunts import arrives, asked, by_prefix, by_search, by_seeds
from clusterlab.protocols.client import Client, Refused, Request
from clusterlab.protocols.dynamo import AtomicStore, QuorumStore
from clusterlab.protocols.dynamo.messages import Abandon, Fetch, Fetched, Keep
from clusterlab.protocols.dynamo.versions import Order, Version

# --- right stores for small worlds ---------------------------------------------------------------


class ReadsAll(AtomicStore):
    """Two homes: one has to keep a write, and both are asked by a read."""

    n: int = 2
    r: int = 2
    w: int = 1
    read_repair: bool = False


class WritesAll(AtomicStore):
    """Two homes: both have to keep a write, and any of them answers a read."""

    n: int = 2
    r: int = 1
    w: int = 2
    read_repair: bool = False


# --- wrong stores --------------------------------------------------------------------------------


class AsksTooFew(ReadsAll):
    """D1. One answer is enough for a read, and one for a write: R + W <= N."""

    r: int = 1


class NeverWritesBack(WritesAll):
    """D2. A read returns the newest that its quorum had, and tells nobody."""

    write_back: bool = False


class LooksAtTheClock(AtomicStore):
    """D3. The last writer wins, and the clock of the coordinator says who was last."""

    order: Order = "clock"


class KeepsItsOwn(QuorumStore):
    """D4. Of two versions with the same time stamp a replica keeps what it has."""

    def keep(self, key: str, versions: tuple[Version, ...]) -> None:
        """The tie is broken by who came first, which is not the same everywhere."""
        here = self.versions.get(key, ())
        newer = tuple(v for v in versions if not here or v.tag[0] > here[0].tag[0])
        super().keep(key, newer)


class CountsStandIns(AtomicStore):
    """D5. Who stands in for a home counts as one: read and write quorums need not meet."""

    sloppy: bool = True


class CallsItFailed(WritesAll):
    """D8. A write that too few have is called failed, and stays where it is."""

    def on_abandon(self, t: Abandon) -> None:
        """Tell the client that nothing happened."""
        job = self.jobs.get(t.number)
        if job is not None:
            self.send(job.client, Refused(job.serial, "too few servers answered"))
        super().on_abandon(t)


# --- worlds --------------------------------------------------------------------------------------


def one_reader(store: type[Any]) -> list[Node]:
    """Two servers; c1 asks n1, and c2 asks n2."""
    return [*store.group(2), *_clients(2)]


def two_readers(store: type[Any]) -> list[Node]:
    """The same with c3, which asks n2 as well."""
    return [*store.group(2), *_clients(2), Client("c3", servers=("n2",))]


def two_writers(store: type[Any]) -> list[Node]:
    """Each server answers by itself, and hears of the other's writes later."""
    return [*store.group(2, r=1, w=1, read_repair=False), *_clients(2)]


def _clients(count: int) -> list[Node]:
    return [Client(f"c{n}", servers=(f"n{n}",)) for n in range(1, count + 1)]


def no_timers(abandon: int = 0) -> dict[str, int]:
    """Nobody asks twice or gives up; coordinators may, so often."""
    names = ("AnswerOverdue", "TryAgain", "GiveUp", "FallBack", "HintsDue")
    return {**dict.fromkeys(names, 0), "Abandon": abandon}


def one_after_the_other(world: World) -> bool:
    """A reader asks while another reader waits, or before anything was written: not followed.

    A read that overlaps another may return what that returns or not, and one that is over before
    the write began can only find nothing.
    """
    writer, *readers = world.having("operation", "workload")
    asked = [reader for reader in readers if reader.reserved > 0]
    if asked and writer.reserved == 0:
        return True
    # In the order of their names, since they are alike.
    return any(
        later.reserved > 0 and (earlier.reserved == 0 or earlier.operation is not None)
        for earlier, later in pairwise(readers)
    )


def reads_late(world: World) -> bool:
    """The reader asks before the writer has an answer: not followed, since it may see either."""
    writer, reader = world.having("operation", "workload")
    return reader.reserved > 0 and (writer.reserved == 0 or writer.operation is not None)


def _settled(world: World) -> Answer:
    stores = world.having("versions", "jobs")
    if any(len(store.versions.get("x", ())) == 0 or store.jobs for store in stores):
        return True
    writers = world.having("operation", "workload")
    if any(writer.operation is not None or writer.reserved == 0 for writer in writers):
        return True
    if world.messages:
        return True
    one, other = (store.versions["x"][0].value for store in stores)
    return one == other or f"{stores[0].id} holds {one!r} and {stores[1].id} {other!r} for good"


CONVERGED = always("ReplicasConverge", _settled)
"""Once both writes have arrived everywhere, both replicas hold the same."""


def storm(store: type[Any]) -> Trial:
    """Five servers, three of which are homes of each key."""
    return fuzz_quorums.trials(store, 5)[0]


def bounded(node: NodeView) -> bool:
    """Clients keep to the server that they know."""
    return not hasattr(node, "server") or node.server is None or node.server in node.servers


WRITE_THEN_READ: tuple[tuple[NodeId, Message], ...] = (("c1", Put("x", 1)), ("c2", Get("x")))
WHOLE: dict[str, Any] = {
    "network": "set",
    "timers": no_timers(),
    "bound": bounded,
    "states_max": 150_000,
}

WRITE = (1, 1)
"""The ticket of the first operation of the first life."""

HALF_WRITTEN = (
    asked("c1", Put("x", 1)),
    arrives("c1", "n1", Request(1, Put("x", 1))),
    arrives("n1", "n1", Fetch(WRITE, "x")),
    arrives("n1", "n1", Fetched(WRITE, ())),
    arrives("n1", "n1", Keep(WRITE, "x", (Version(1, (1, "c1", 1)),))),
)
"""The new value is at n1, and on its way to n2."""

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "D1",
        "reads and writes need not meet",
        "Gifford 1979, Weighted Voting for Replicated Data",
        AsksTooFew,
        ReadsAll,
        LINEARIZABLE,
        by_search(
            one_reader,
            properties=(linearizable(KeyValue()), ALL_ANSWERED),
            invoke=WRITE_THEN_READ,
            prune=reads_late,
            **WHOLE,
        ),
    ),
    Mutant(
        "D2",
        "a read does not write back",
        "Attiya, Bar-Noy and Dolev 1995, section 3",
        NeverWritesBack,
        WritesAll,
        LINEARIZABLE,
        by_prefix(
            two_readers,
            HALF_WRITTEN,
            properties=(linearizable(KeyValue()),),
            invoke=(*WRITE_THEN_READ, ("c3", Get("x"))),
            prune=one_after_the_other,
            **WHOLE,
        ),
    ),
    Mutant(
        "D3",
        "the last writer wins, by wall clocks",
        "Kingsbury 2013, The trouble with timestamps",
        LooksAtTheClock,
        AtomicStore,
        LINEARIZABLE,
        by_seeds(storm, range(40)),
    ),
    Mutant(
        "D4",
        "keeps its own of two with the same time",
        "Dynamo, section 4.4; Cassandra, which breaks ties by value",
        KeepsItsOwn,
        QuorumStore,
        CONVERGED.name,
        by_search(
            two_writers,
            properties=CONVERGED,
            invoke=(("c1", Put("x", 1)), ("c2", Put("x", 2))),
            ticks=1,
            **{**WHOLE, "network": "multiset"},
        ),
    ),
    Mutant(
        "D5",
        "stand-ins count as homes",
        "riak_dt #99; Dynamo, section 4.6",
        CountsStandIns,
        AtomicStore,
        LINEARIZABLE,
        by_seeds(storm, range(40)),
    ),
    Mutant(
        "D8",
        "calls a write failed that may yet be read",
        "Cassandra: a write that timed out may still appear",
        CallsItFailed,
        WritesAll,
        LINEARIZABLE,
        by_search(
            one_reader,
            properties=(linearizable(KeyValue()),),
            invoke=WRITE_THEN_READ,
            prune=reads_late,
            **{**WHOLE, "timers": no_timers(abandon=1)},
        ),
    ),
)
