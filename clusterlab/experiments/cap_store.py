"""One store through one cut: what it answers on either side, and what is left after the healing."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.staleness import check_staleness
from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import OperationUnknown
from clusterlab.core.history import Operation
from clusterlab.core.message import Message
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Get, KeyValue, Put
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.protocols.asynchronous import AsynchronousPair
from clusterlab.protocols.client import Client, scramble
from clusterlab.protocols.convergent import ConvergentStore
from clusterlab.protocols.dynamo import AtomicStore, QuorumStore, Siblings
from clusterlab.protocols.raft import Raft
from clusterlab.protocols.raft.production import LeasedRaft

KEYS = ("x", "y", "z")
WHOLE_MS, CUT_MS, MENDED_MS = 1000, 2000, 1500
LEASE_MS = 300
"""So long after the cut a leader that trusts its clock may still answer reads, and rightly."""
PATIENCE_MS = 400
"""So long a client waits before it calls the store unavailable."""


@dataclass(frozen=True)
class Store:
    """A store, where its clients turn to, and what it chose."""

    name: str
    chose: str
    nodes: Callable[[], Sequence[Node]]
    leads: bool
    """Whether one server serves, and clients look for it; else they ask whom they are next to."""
    consistent: bool
    """What it gives up when it is cut in two: answers on one side (True), or one truth (False)."""


STORES: tuple[Store, ...] = (
    Store(
        "raft",
        "gives up the minority's answers, and pays a round trip to a majority for every one.",
        lambda: Raft.group(5),
        leads=True,
        consistent=True,
    ),
    Store(
        "lease",
        "gives up the minority's answers; trusts clocks, and so reads without a round trip.",
        lambda: LeasedRaft.group(5),
        leads=True,
        consistent=True,
    ),
    Store(
        "quorum",
        "gives up the minority's answers; needs no leader, and so two round trips instead of one.",
        lambda: AtomicStore.group(5, n=5, r=3, w=3),
        leads=False,
        consistent=True,
    ),
    Store(
        "sloppy",
        "answers on both sides, and lets the later clock overwrite the other side's writes.",
        lambda: QuorumStore.group(5, n=3, r=2, w=2, order="clock", sloppy=True),
        leads=False,
        consistent=False,
    ),
    Store(
        "async",
        "answers on both sides before anybody else has heard, and throws one side's log away.",
        AsynchronousPair.pair,
        leads=True,
        consistent=False,
    ),
    Store(
        "crdt",
        "answers on both sides from memory, keeps what both wrote, and leaves the choice to you.",
        lambda: ConvergentStore.group(5),
        leads=False,
        consistent=False,
    ),
)


@dataclass(frozen=True)
class Measures:
    """What one run of one store came to; every figure is counted from the histories."""

    store: str
    chose: str
    read_ms: float
    """Median latency of reads while the network was whole."""
    write_ms: float
    minority: float
    """The share of its operations that the client on the smaller side got done during the cut."""
    majority: float
    linearizable: bool | None
    stale_reads: int
    divergent: tuple[str, ...]
    """Keys that had another value on the other side, as the sides themselves said."""
    lost: int
    """Updates made on one side of the cut of which the healing left no trace."""
    siblings: int
    """Keys for which several values are left, for the reader to merge."""


@dataclass(frozen=True)
class _GetsAndPuts:
    client: NodeId
    seed: int

    def __call__(self, serial: int) -> Message:
        draw = scramble(scramble(self.seed) + serial)
        key = KEYS[draw % len(KEYS)]
        return Get(key) if draw // 10 % 2 else Put(key, f"{self.client}:{serial}")


class CapStore(Experiment):
    """Two clients read and write, one on either side of a cut to be; then the cut, then the end."""

    question: ClassVar[str] = "What does this store give up when it is cut in two?"
    prediction: ClassVar[Prediction] = Prediction(
        "The network is cut. What must every store give up?",
        ("Nothing, with enough replicas.", "Answers on one side, or one truth for both."),
        1,
        "Whoever answers without the other side cannot know what was written there.",
    )
    source: ClassVar[str] = (
        "Gilbert and Lynch 2002, Brewer's Conjecture and the Feasibility of Consistent, Available, "
        "Partition-Tolerant Web Services; Abadi 2012, Consistency Tradeoffs in Modern Distributed "
        "Database System Design (PACELC)"
    )
    network: ClassVar[Network] = Network(delay_ms=(2, 8))

    def __init__(self, store: Store) -> None:
        self.store = store
        self.name = store.name  # type: ignore[misc]  # every store is an experiment of its own
        self.measures: Measures | None = None

    def nodes(self) -> list[Node]:
        """The store's servers."""
        return list(self.store.nodes())

    def script(self, cluster: Cluster, story: Story) -> None:
        """Whole, cut, whole again; clients rest before each look at what is there."""
        if self.store.leads:
            leader = cluster.run_until_leader()
            others = [node for node in cluster.servers if node != leader]
            few = [leader, *others[: (len(others) - 1) // 2]]
        else:
            few = list(cluster.servers[: (len(cluster.servers) - 1) // 2])
        many = [node for node in cluster.servers if node not in few]
        for number, side in enumerate((few, many), 1):
            cluster.add_client(self._client(cluster, f"c{number}", side, number))
            cluster.add_client(self._client(cluster, f"r{number}", side, 0))
        self.begin_ms = cluster.now_ms
        cluster.run(WHOLE_MS)
        self.cut_ms = cluster.now_ms
        cluster.partition([*few, "c1", "r1"], [*many, "c2", "r2"])
        story.say(f"the network is cut: {' '.join(few)} | {' '.join(many)}")
        cluster.run(CUT_MS)
        for client in ("c1", "c2"):
            cluster.kill(client)
        self.stop_ms = cluster.now_ms
        self.apart = {reader: self._look(cluster, reader) for reader in ("r1", "r2")}
        cluster.heal()
        cluster.run(MENDED_MS)
        self._look(cluster, "r1")  # a read may repair what the next one sees
        cluster.run(MENDED_MS / 3)
        self.healed = {reader: self._look(cluster, reader) for reader in ("r1", "r2")}
        self.measures = self._measure(cluster.history.operations)
        story.say(told(self.measures))

    def _client(self, cluster: Cluster, name: NodeId, side: Sequence[NodeId], seed: int) -> Client:
        if self.store.leads:
            near = (*side, *(node for node in cluster.servers if node not in side))
            retry_ms = 120
        else:
            # Asked again elsewhere, a write would be two writes.
            near, retry_ms = (side[0],), 10 * PATIENCE_MS
        return Client(
            name,
            servers=near,
            workload=_GetsAndPuts(name, seed) if seed else None,
            every_ms=(10, 30),
            retry_ms=retry_ms,
            give_up_ms=PATIENCE_MS,
        )

    def _look(self, cluster: Cluster, reader: NodeId) -> dict[str, Any]:
        """What a reader sees of each key; a key that nobody answers for is missing."""
        seen = {}
        for key in KEYS:
            try:
                seen[key] = cluster.invoke(reader, Get(key), limit_ms=4 * PATIENCE_MS)
            except OperationUnknown:
                continue
        return seen

    def _measure(self, history: Sequence[Operation]) -> Measures:
        whole = [op for op in history if op.outcome == "ok" and self._began(op, whole=True)]
        last = self.healed["r2"]
        here, there = self.apart["r1"], self.apart["r2"]
        return Measures(
            store=self.store.name,
            chose=self.store.chose,
            read_ms=_median(_took_ms(op) for op in whole if isinstance(op.call, Get)),
            write_ms=_median(_took_ms(op) for op in whole if isinstance(op.call, Put)),
            minority=self._share(history, "c1"),
            majority=self._share(history, "c2"),
            linearizable=check_linearizability(history, KeyValue()).valid,
            stale_reads=len(check_staleness(_without_siblings(history)).breaches),
            divergent=tuple(k for k in KEYS if k in here and k in there and here[k] != there[k]),
            lost=self._lost(history, last),
            siblings=sum(isinstance(value, Siblings) for value in last.values()),
        )

    def _began(self, op: Operation, *, whole: bool) -> bool:
        begin, end = (self.begin_ms, self.cut_ms) if whole else (self.cut_ms, self.stop_ms)
        return op.client in ("c1", "c2") and begin <= op.invoked_ms < end

    def _share(self, history: Iterable[Operation], client: NodeId) -> float:
        # The last one may have been under way when its client was stopped.
        asked = [op for op in history if op.client == client and self._began(op, whole=False)]
        begin, end = self.cut_ms + LEASE_MS, self.stop_ms - PATIENCE_MS
        asked = [op for op in asked if begin < op.invoked_ms < end]
        return sum(op.outcome == "ok" for op in asked) / max(1, len(asked))

    def _lost(self, history: Iterable[Operation], last: dict[str, Any]) -> int:
        """The newest update of each side to each key, if nothing is left of it."""
        puts = [(op, op.call) for op in history if isinstance(op.call, Put)]
        newest: dict[tuple[NodeId, str], tuple[Operation, Put]] = {}
        for op, put in puts:
            if op.outcome == "ok" and self._began(op, whole=False):
                newest[op.client, put.key] = op, put
        lost = 0
        for (client, key), (update, put) in newest.items():
            left = last.get(key)
            values = left.values if isinstance(left, Siblings) else (left,)
            # What its own client wrote later, answered or not, and who had read it, may replace it.
            heirs = [
                later.value
                for op, later in puts
                if op.client == client and op.invoked_ms >= update.invoked_ms
            ]
            kept = any(value in heirs for value in values)
            lost += not kept and not self._was_seen(history, client, put.value)
        return lost

    def _was_seen(self, history: Iterable[Operation], client: NodeId, value: Any) -> bool:
        side = client[1:]
        return any(
            op.client[1:] != side
            and op.invoked_ms < self.stop_ms
            and isinstance(op.call, Get)
            and op.value == value
            for op in history
        )

    def checks(self, cluster: Cluster) -> list[Check]:  # noqa: ARG002 - measured before it rests
        """A consistent store refuses on one side and loses nothing; an available one answers."""
        m = self.measures
        assert m is not None
        same = self.healed["r1"] == self.healed["r2"] and len(self.healed["r1"]) == len(KEYS)
        checks = [
            Check("the larger side answers", m.majority > 0.3, f"{m.majority:.0%} were answered"),
            Check("all agree after the healing", same, f"{self.healed}"),
        ]
        if self.store.consistent:
            return [
                *checks,
                Check("the smaller side refuses", m.minority == 0, f"{m.minority:.0%} answered"),
                Check("linearizable", m.linearizable is True, f"{m.linearizable}"),
                Check("no update is lost", m.lost == 0, f"{m.lost} lost"),
                Check("no key has two truths", not m.divergent, f"{m.divergent} differ"),
            ]
        return [
            *checks,
            Check("the smaller side answers", m.minority > 0.9, f"{m.minority:.0%} answered"),
            Check("not linearizable", m.linearizable is False, f"{m.linearizable}"),
            Check("some keys have two truths", bool(m.divergent), f"{m.divergent} differ"),
            self._merge_check(m),
        ]

    def _merge_check(self, m: Measures) -> Check:
        if self.store.name == "crdt":
            told_of = f"{m.lost} lost, {m.siblings} keys with siblings"
            return Check("the healing loses no update", m.lost == 0 < m.siblings, told_of)
        return Check("the healing loses updates", m.lost > 0, f"{m.lost} lost")


def told(m: Measures) -> str:
    """The measures of one store in a sentence."""
    truth = "linearizable" if m.linearizable else f"{m.stale_reads} stale reads"
    return (
        f"{m.store} {m.chose} Reads {m.read_ms:.0f} ms, writes {m.write_ms:.0f} ms; during the cut "
        f"{m.minority:.0%} | {m.majority:.0%} answered; {truth}, {len(m.divergent)} keys differed, "
        f"{m.lost} updates lost"
    )


def _took_ms(op: Operation) -> float:
    return (op.returned_ms or op.invoked_ms) - op.invoked_ms


def _median(values: Iterable[float]) -> float:
    taken = list(values)
    return statistics.median(taken) if taken else 0.0


def _without_siblings(history: Iterable[Operation]) -> list[Operation]:
    return [op for op in history if not isinstance(op.value, Siblings)]
