"""Faults drawn from a seed: the nemesis of a cluster (the name is Jepsen's)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from clusterlab.core.cluster import Cluster
from clusterlab.core.faults import (
    Fault,
    Heal,
    Isolate,
    Kill,
    Link,
    Partition,
    Pause,
    Restart,
    Resume,
    Schedule,
)
from clusterlab.core.node import NodeId

FLAP_MS = 600
MISFORTUNES = (
    "flap",
    "flap",
    "flap",
    "crash",
    "crash-in-step",
    "pause",
    "partition",
    "isolate",
    "links",
)


def draw_schedule(
    random: Random,
    servers: Sequence[NodeId],
    *,
    until_ms: float,
    every_ms: tuple[float, float] = (40, 600),
    misfortunes: Sequence[str] = MISFORTUNES,
) -> Schedule:
    """Faults from time 0 to `until_ms`, one misfortune each `every_ms`, each with its end.

    What a node must not forget shows only if it is asked again soon after it died,
    so nodes also flap: they die and come back many times during one election.
    """
    schedule: Schedule = []
    at = 0.0
    while at < until_ms:
        at += random.uniform(*every_ms)
        schedule += [
            (at + after, fault)
            for after, fault in _draw(random, servers, random.choice(misfortunes))
        ]
    return sorted(
        ((at, fault) for at, fault in schedule if at < until_ms), key=lambda item: item[0]
    )


def _draw(random: Random, servers: Sequence[NodeId], misfortune: str) -> Schedule:
    """One misfortune, as faults at times after now."""
    node = random.choice(servers)
    match misfortune:
        case "flap":
            return _flap(random, servers)
        case "crash":
            return [(0, Kill(node)), (random.uniform(100, 1000), Restart(node))]
        case "crash-in-step":
            effects = random.randrange(4)
            return [(0, Kill(node, effects)), (random.uniform(100, 500), Restart(node))]
        case "pause":
            return [(0, Pause(node)), (random.uniform(50, 800), Resume(node))]
        case "partition":
            shuffled = random.sample(servers, len(servers))
            cut = random.randrange(1, len(servers))
            groups = (tuple(shuffled[:cut]), tuple(shuffled[cut:]))
            return [(0, Partition(groups)), (random.uniform(100, 1500), Heal())]
        case "isolate":
            return [(0, Isolate(node)), (random.uniform(100, 1500), Heal())]
    links: list[tuple[float, Fault]] = [
        (0, _bad_link(random, servers)) for _ in range(random.randrange(1, 8))
    ]
    return [*links, (random.uniform(100, 1500), Heal())]


def _flap(random: Random, servers: Sequence[NodeId]) -> Schedule:
    """On a slow network, a majority of the nodes is killed and restarted again and again."""
    schedule: Schedule = [
        (0, Link(src, dst, delay_ms=(5.0, 80.0)))
        for src in servers
        for dst in servers
        if src != dst
    ]
    for node in random.sample(servers, len(servers) // 2 + 1):
        at = 0.0
        while at < FLAP_MS:
            at += random.uniform(5, 60)
            schedule.append((at, Kill(node)))
            at += random.uniform(1, 5)
            schedule.append((at, Restart(node)))
    return [*schedule, (FLAP_MS + 100, Heal())]


def _bad_link(random: Random, servers: Sequence[NodeId]) -> Link:
    src, dst = random.sample(servers, 2)
    return Link(
        src,
        dst,
        block=random.random() < 0.2,
        loss=random.uniform(0, 0.3),
        delay_ms=(1.0, random.uniform(1, 100)),
        duplicate=random.uniform(0, 0.3),
        reorder=random.uniform(0, 0.3),
    )


def make_whole(cluster: Cluster) -> None:
    """Heal the network, resume the paused, restart the dead."""
    cluster.heal()
    for node in cluster.servers:
        if cluster.health(node) == "paused":
            cluster.resume(node)
        if cluster.health(node) == "dead":
            cluster.restart(node)
