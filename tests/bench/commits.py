"""Live commits: Raft and Multi-Paxos on Ray, beside a bare Ray call and beside pysyncobj."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.protocols.client import Client, counting_writes
from clusterlab.protocols.multi_paxos import MultiPaxos
from clusterlab.protocols.raft import Raft
from tests.bench.bare_ray import round_trips_ms
from tests.bench.figures import Comparison, Measured, Section, Target, percentile
from tests.bench.machine import Plan, is_installed, version
from tests.bench.syncobj import SyncObjCluster

if TYPE_CHECKING:
    from clusterlab.live import LiveCluster

MANY = 64
WARM_UP_MS = 500
ROUND_TRIPS_MAX = 10
WRITES_PER_S_MIN = 3000
CATCH_UP_LIMIT_MS = 10_000

NOTES = (
    "Ours is in SQLite (WAL, synchronous=FULL) on a majority before it is acknowledged;",
    "pysyncobj's is in the memory of a majority of three; its journal is mapped, not forced.",
    "Our clients have a process of their own; pysyncobj's callers are in that of the leader.",
)


class Case(NamedTuple):
    """One way to run ours."""

    what: str
    callers: int
    gather_ms: int | None = None
    """See Raft: 0 lets what arrives together share a round."""
    protocol: type[Raft | MultiPaxos] = Raft
    nodes: int = 5

    def servers(self) -> Sequence[Node]:
        """The cluster's nodes."""
        return self.protocol.group(self.nodes, gather_ms=self.gather_ms)


CASES = (
    Case("1 client", 1),
    Case(f"{MANY} clients", MANY),
    Case(f"{MANY} clients, gather_ms=0", MANY, 0),
    *(
        Case(f"{name}, {nodes} nodes, {callers} client(s)", callers, 0, protocol, nodes)
        for name, protocol, nodes in (
            ("Multi-Paxos", MultiPaxos, 5),
            ("Raft", Raft, 3),
            ("Multi-Paxos", MultiPaxos, 3),
        )
        for callers in (1, MANY)
    ),
)


class Peer(NamedTuple):
    """One way to run pysyncobj, and what of it is worth a line."""

    name: str
    tuned: bool
    journal: bool
    callers: tuple[int, ...]
    columns: tuple[str, ...]


PEERS = (
    Peer("pysyncobj as it comes", False, False, (1, MANY), ("writes", "median", "p99")),
    Peer("pysyncobj tuned", True, False, (1, MANY), ("writes", "median")),
    Peer("pysyncobj tuned, journal", True, True, (MANY,), ("writes",)),
)


class Commits(NamedTuple):
    """Acknowledged writes of one run."""

    latencies_ms: list[float]
    per_s: float
    behind_s: float = 0.0
    """How long it took to bring the trace up to date at the end."""
    warnings: int = 0
    """How often a server logged that its state may have diverged."""
    elections: int = 0
    """Leaders that were elected while it was measured."""

    @property
    def median_ms(self) -> float:
        """Half took less."""
        return statistics.median(self.latencies_ms)

    @property
    def p99_ms(self) -> float:
        """One of a hundred took more."""
        return percentile(self.latencies_ms, 0.99)


@contextlib.contextmanager
def live(nodes: Iterable[Node]) -> Iterator[LiveCluster]:
    """A cluster on a network without delays of its own, in real time, with the whole trace."""
    from clusterlab.live import LiveCluster

    network = Network(delay_ms=(0.0, 0.0))
    with LiveCluster(nodes, network=network, progress=lambda _: None) as cluster:
        cluster.run_until_leader()
        yield cluster


def add_writers(
    cluster: LiveCluster, count: int, *, retry_ms: int = 500, every_ms: int = 0
) -> None:
    """Clients that write without end, each one write at a time."""
    for number in range(1, count + 1):
        name: NodeId = f"c{number}"
        cluster.add_client(
            Client(
                name,
                servers=cluster.servers,
                workload=counting_writes(name),
                retry_ms=retry_ms,
                every_ms=every_ms,
            )
        )


def ours(case: Case, seconds: float) -> Commits:
    """What clients saw, by the history in the trace."""
    with live(case.servers()) as cluster:
        add_writers(cluster, case.callers)
        cluster.run(WARM_UP_MS)
        begun_ms = cluster.now_ms
        cluster.run(seconds * 1000)
        ended_ms = cluster.now_ms
        begun = time.monotonic()
        while not len(cluster.trace) or cluster.trace[-1].at_ms < ended_ms:
            if cluster.now_ms > ended_ms + CATCH_UP_LIMIT_MS:
                raise TimeoutError("the trace did not catch up with the cluster")
            time.sleep(0.005)
        behind_s = time.monotonic() - begun
        trace, history = cluster.trace, cluster.history
    assert not trace.notes("trace is full"), "the whole trace is what is measured"
    elections = sum(event.at_ms > begun_ms for event in trace.notes("leader"))
    done = [op for op in history.ok() if begun_ms <= (op.returned_ms or 0.0) <= ended_ms]
    latencies = [op.latency_ms for op in done if op.latency_ms is not None]
    per_s = len(done) / (ended_ms - begun_ms) * 1000
    return Commits(latencies, per_s, behind_s, elections=elections)


def pysyncobj(peer: Peer, callers: int, seconds: float) -> Commits:
    """Callers in the process of the leader, which spares them a hop that our clients take."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if peer.journal else None
        cluster = stack.enter_context(SyncObjCluster(tuned=peer.tuned, journals=folder))
        leader = cluster.wait_until_ready()
        cluster.tell(leader, do="write", callers=callers, seconds=WARM_UP_MS / 1000)
        answer = cluster.tell(leader, do="write", callers=callers, seconds=seconds)
        latencies = answer["latencies_ms"]
    return Commits(latencies, len(latencies) / seconds, warnings=cluster.told.count("diverged"))


def measure(plan: Plan) -> Section:
    """Take turns: a bare call, ours with one client and with many, the peer likewise."""
    section = Section("Live: Raft (five nodes, if not said otherwise) on Ray, acknowledged writes")
    if not is_installed("ray"):
        section.skipped.append("everything: Ray is not installed: run `make setup`.")
        return section
    from clusterlab.live import connect

    seconds, rounds = (3.0, 1) if plan.quick else (5.0, 3)
    peers = PEERS if is_installed("pysyncobj") else ()
    if not peers:
        section.skipped.append("pysyncobj, which is not installed: run `make setup`.")
    calls: list[float] = []
    mine: dict[Case, list[Commits]] = {case: [] for case in CASES}
    theirs: dict[tuple[str, int], list[Commits]] = {}
    plan.say("live: starting Ray")
    connect()
    for number in range(1, rounds + 1):
        where = f"live, round {number} of {rounds}"
        plan.say(f"{where}: calls from actor to actor")
        calls.append(statistics.median(round_trips_ms(2000)))
        for callers in (1, MANY):
            for case in (case for case in CASES if case.callers == callers):
                plan.say(f"{where}: {case.what}, {seconds:.0f} s")
                mine[case].append(ours(case, seconds))
            for peer in (peer for peer in peers if callers in peer.callers):
                plan.say(f"{where}: {peer.name}, {callers} caller(s), {seconds:.0f} s")
                found = pysyncobj(peer, callers, seconds)
                theirs.setdefault((peer.name, callers), []).append(found)
    _compare_with_calls(section, mine[CASES[0]], calls)
    for case, runs in mine.items():
        _compare_with_peers(section, case, runs, theirs)
    behind = max(run.behind_s for runs in mine.values() for run in runs)
    section.notes += [
        f"{rounds} round(s) of new clusters, {seconds:.0f} s of writing, a closed loop a client.",
        *NOTES,
        f"Our trace held every message and was up to date {behind:.2f} s after the end.",
    ]
    elections = sum(run.elections for runs in mine.values() for run in runs)
    if elections:
        section.notes.append(f"Leaders elected anew while it was measured: {elections}.")
    diverged = sum(run.warnings for (name, _), runs in theirs.items() for run in runs)
    if diverged:
        section.notes.append(
            f"pysyncobj, when tuned, logged {diverged} times that its state may have diverged."
        )
    return section


def _compare_with_calls(section: Section, mine: list[Commits], calls: list[float]) -> None:
    target = Target("ratio", ROUND_TRIPS_MAX, at_least=False)
    name = f"Ray {version('ray')} round trip"
    one = Measured.of(run.median_ms for run in mine)
    section.lines.append(
        Comparison("1 client: one commit", "ms", one, name, Measured.of(calls), target)
    )


def _compare_with_peers(
    section: Section,
    case: Case,
    mine: list[Commits],
    theirs: dict[tuple[str, int], list[Commits]],
) -> None:
    callers = case.callers
    least = Target("ours", WRITES_PER_S_MIN, at_least=True)
    columns: tuple[tuple[str, str, Callable[[Commits], float]], ...] = (
        ("writes", "1/s", lambda run: run.per_s),
        ("median", "ms", lambda run: run.median_ms),
        ("p99", "ms", lambda run: run.p99_ms),
    )
    for column, unit, value in columns:
        # The target is that of five Raft nodes; the others are beside it.
        target = least if (column, case.protocol, case.nodes) == ("writes", Raft, 5) else None
        target = target if callers == MANY else None
        what, of_ours = f"{case.what}: {column}", Measured.of(map(value, mine))
        found: list[tuple[str, Measured | None]] = [
            (peer.name, Measured.of(map(value, theirs[peer.name, callers])))
            for peer in PEERS
            if column in peer.columns and (peer.name, callers) in theirs and case in CASES[:3]
        ]
        for name, of_peer in found or [("", None)]:
            section.lines.append(Comparison(what, unit, of_ours, name, of_peer, target))
            target = None  # told once
