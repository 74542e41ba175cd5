"""Death: how soon a killed process is dead, and how long nobody acknowledges a write."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence

from clusterlab.protocols.raft import Raft
from tests.bench.bare_ray import load_ray
from tests.bench.commits import add_writers, live
from tests.bench.figures import Comparison, Measured, Section
from tests.bench.machine import DeathWatch, Plan, is_installed, version
from tests.bench.syncobj import SyncObjCluster

WRITERS = 4
EVERY_MS = 5
RETRY_MS = 50
"""The writers ask the next server soon, so that the gap is the cluster's and not their patience."""
ELECTION_TIMEOUT_MAX_S = {"ours": 0.3, "pysyncobj": 1.4}
QUIET_S = 4.0
"""So long after a kill is looked at."""


def measure(plan: Plan) -> Section:
    """A few leaders die; then a few of the peer's, and a few bare actors."""
    section = Section("Death of the leader: five Raft nodes on Ray")
    if not is_installed("ray"):
        section.skipped.append("everything: Ray is not installed: run `make setup`.")
        return section
    from clusterlab.live import connect

    kills, rounds = (2, 1) if plan.quick else (4, 2)
    deaths: dict[str, list[float]] = {"ours": [], "ray": []}
    gaps: dict[str, list[float]] = {"ours": [], "pysyncobj": []}
    has_peer = is_installed("pysyncobj")
    if not has_peer:
        section.skipped.append("pysyncobj, which is not installed: run `make setup`.")
    plan.say("death: starting Ray")
    connect()
    for number in range(1, rounds + 1):
        where = f"death, round {number} of {rounds}"
        plan.say(f"{where}: {kills} leaders of ours")
        died, gap = ours(kills)
        deaths["ours"] += died
        gaps["ours"] += gap
        plan.say(f"{where}: {kills} bare actors")
        deaths["ray"] += [bare_death_ms() for _ in range(kills)]
        if has_peer:
            plan.say(f"{where}: {kills} leaders of pysyncobj")
            gaps["pysyncobj"] += pysyncobj(kills)
    section.lines.append(
        Comparison(
            "kill() to the death of the process",
            "ms",
            Measured.of(deaths["ours"]),
            f"Ray {version('ray')}: ray.kill of an empty actor",
            Measured.of(deaths["ray"]),
        )
    )
    peer = Measured.of(gaps["pysyncobj"]) if has_peer else None
    name = f"pysyncobj {version('pysyncobj')}, 3 servers" if has_peer else ""
    section.lines.append(
        Comparison("no write acknowledged", "s", Measured.of(gaps["ours"]), name, peer)
    )
    section.lines.append(
        Comparison(
            "  in election timeouts (the longest)",
            "",
            Measured.of(gap / ELECTION_TIMEOUT_MAX_S["ours"] for gap in gaps["ours"]),
            name,
            Measured.of(gap / ELECTION_TIMEOUT_MAX_S["pysyncobj"] for gap in gaps["pysyncobj"])
            if has_peer
            else None,
        )
    )
    section.notes.append(
        f"{kills * rounds} kills each; election timeouts 150 to 300 ms (ours), "
        "400 to 1,400 ms (pysyncobj)."
    )
    section.notes.append(
        f"Ours: {WRITERS} clients that write every {EVERY_MS} ms and ask another server after "
        f"{RETRY_MS} ms; pysyncobj: a write every {EVERY_MS} ms at a survivor."
    )
    return section


def ours(kills: int) -> tuple[list[float], list[float]]:
    """For each kill: ms until the process is dead, and s without an acknowledgement."""
    died, gaps = [], []
    with live(Raft.group(5)) as cluster:
        add_writers(cluster, WRITERS, retry_ms=RETRY_MS, every_ms=EVERY_MS)
        for _ in range(kills):
            cluster.run(1000)
            leader = cluster.run_until_leader()
            watch = DeathWatch(cluster.pid(leader))
            killed_ms, killed = cluster.now_ms, time.monotonic()
            cluster.kill(leader)
            died.append((watch.died_s() - killed) * 1000)
            cluster.run_until_leader()
            cluster.run(QUIET_S * 1000 / 2)
            acks = [(op.returned_ms or 0.0) / 1000 for op in cluster.history.ok()]
            gaps.append(gap_after(acks, killed_ms / 1000))
            cluster.restart(leader)
    return died, gaps


def bare_death_ms() -> float:
    """The same of an actor that does nothing."""
    ray = load_ray()

    class Empty:
        def pid(self) -> int:
            return os.getpid()

    actor = ray.remote(num_cpus=0)(Empty).remote()
    watch = DeathWatch(ray.get(actor.pid.remote()))
    killed = time.monotonic()
    ray.kill(actor)
    return (watch.died_s() - killed) * 1000


def pysyncobj(kills: int) -> list[float]:
    """Seconds without an acknowledgement at a survivor, for each kill."""
    gaps = []
    with SyncObjCluster() as cluster:
        for _ in range(kills):
            leader = cluster.wait_until_ready()
            survivor = cluster.another(leader)
            cluster.tell(survivor, do="pace", every_ms=EVERY_MS)
            time.sleep(1)
            killed = time.monotonic()
            cluster.kill(leader)
            time.sleep(QUIET_S)
            acks = cluster.tell(survivor, do="acknowledged")["acks_s"]
            gaps.append(gap_after(acks, killed))
            cluster.start(leader)
    return gaps


def gap_after(acks_s: Sequence[float], killed_s: float) -> float:
    """The longest time between two acknowledgements that ends after `killed_s`.

    >>> gap_after([1.0, 1.1, 1.2, 1.9, 2.0], killed_s=1.15)
    0.7
    """
    times = sorted(acks_s)
    gaps = [b - a for a, b in itertools.pairwise(times) if killed_s < b < killed_s + QUIET_S]
    if not gaps:
        raise TimeoutError(f"no write was acknowledged within {QUIET_S:.0f} s of the kill")
    return round(max(gaps), 6)
