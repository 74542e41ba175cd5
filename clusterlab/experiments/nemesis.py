"""Faults drawn from a seed: the nemesis of a cluster (the name is Jepsen's).

`draw_schedule` draws from all the misfortunes that there are. A `Swarm` draws first which of them
exist at all, and then how bad they are (Groce et al. 2012, "Swarm Testing"): a run in which
everything fails at once hides what only a run of many pauses and nothing else would show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    Skew,
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
ALL_MISFORTUNES = (*dict.fromkeys(MISFORTUNES), "one-way", "skew", "carousel")
WEATHERS = ("loss", "duplicate", "reorder", "delay")
LOSS_MAX, DUPLICATE_MAX, REORDER_MAX = 0.3, 0.3, 0.3
DELAY_MS_MAX = 100


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
        case "one-way":
            src, dst = random.sample(servers, 2)
            return [(0, Link(src, dst, block=True)), (random.uniform(100, 1500), Heal())]
        case "carousel":
            return _carousel(random, servers)
        case "skew":
            rate = random.uniform(0.5, 2.0)
            return [(0, Skew(node, random.randrange(-1000, 1000), rate))]
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


def _carousel(random: Random, servers: Sequence[NodeId]) -> Schedule:
    """One after the other is cut off for about as long as an election takes.

    So everybody leads for a while, with what it has told nobody (Raft, Figure 8).
    """
    schedule: Schedule = []
    at = 0.0
    for _ in range(random.randrange(3, 9)):
        schedule += [(at, Heal()), (at, Isolate(random.choice(servers)))]
        at += random.uniform(50, 400)
    return [*schedule, (at, Heal())]


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


@dataclass(frozen=True)
class Swarm:
    """Which faults a run has at all, and how bad they are.

    >>> Swarm.draw(Random(1)) == Swarm.draw(Random(1)) != Swarm.draw(Random(2))
    True
    """

    misfortunes: tuple[str, ...]
    """What may befall nodes and the network; one that stands here twice comes twice as often."""
    every_ms: tuple[float, float]
    """The range from which the time to the next misfortune is drawn."""
    loss: float = 0.0
    """The most that any link loses while the weather is bad; likewise the next three."""
    duplicate: float = 0.0
    reorder: float = 0.0
    delay_ms: float = 0.0
    """How much later than usual a message arrives at most (0: no link is slow)."""

    @classmethod
    def draw(cls, random: Random) -> Swarm:
        """Each kind exists in half of all runs; what exists gets a rate of its own."""
        kinds = [kind for kind in ALL_MISFORTUNES if random.random() < 0.5]
        misfortunes = [
            kind
            for kind in kinds
            for _ in range(random.randrange(1, 4) * max(1, MISFORTUNES.count(kind)))
        ]
        shortest = random.uniform(20, 400)
        weather = {name: random.random() < 0.5 for name in WEATHERS}
        return cls(
            misfortunes=tuple(misfortunes),
            every_ms=(shortest, shortest + random.uniform(20, 800)),
            loss=random.uniform(0, LOSS_MAX) * weather["loss"],
            duplicate=random.uniform(0, DUPLICATE_MAX) * weather["duplicate"],
            reorder=random.uniform(0, REORDER_MAX) * weather["reorder"],
            delay_ms=random.uniform(0, DELAY_MS_MAX) * weather["delay"],
        )

    def schedule(
        self,
        random: Random,
        servers: Sequence[NodeId],
        clients: Sequence[NodeId] = (),
        *,
        until_ms: float,
    ) -> Schedule:
        """The faults of a run: those of `draw_schedule`, under a sky that clears only at its end.

        A `Heal` makes every link good, so after each the weather sets in again.
        """
        faults: Schedule = []
        if self.misfortunes and len(servers) > 1:
            faults = draw_schedule(
                random,
                servers,
                until_ms=until_ms,
                every_ms=self.every_ms,
                misfortunes=self.misfortunes,
            )
        weather = self._weather(random, [*servers, *clients], clients)
        found: Schedule = [(0.0, link) for link in weather]
        for at_ms, fault in faults:
            found.append((at_ms, fault))
            if isinstance(fault, Heal):
                found += [(at_ms, link) for link in weather]
        return found

    def _weather(
        self, random: Random, everyone: Sequence[NodeId], clients: Sequence[NodeId]
    ) -> list[Link]:
        """The conditions of every link that is not as it should be; links differ."""
        if not (self.loss or self.duplicate or self.reorder or self.delay_ms):
            return []
        return [
            Link(
                src,
                dst,
                loss=random.uniform(0, self.loss),
                duplicate=random.uniform(0, self.duplicate),
                reorder=random.uniform(0, self.reorder),
                delay_ms=(5.0, 15.0 + random.uniform(0, self.delay_ms)) if self.delay_ms else None,
            )
            for src in everyone
            for dst in everyone
            if src != dst and not (src in clients and dst in clients)
        ]


def make_whole(cluster: Cluster, except_for: Sequence[NodeId] = ()) -> None:
    """Heal the network, set the clocks, resume the paused, restart the dead.

    `except_for` names nodes that stay as they are.
    """
    cluster.heal()
    clocks = {event.node: event.data for event in cluster.trace.of("skew")}
    for name, data in clocks.items():
        if name is not None and data != Skew(name).data():
            cluster.skew(name)
    for node in cluster.servers:
        if node in except_for:
            continue
        if cluster.health(node) == "paused":
            cluster.resume(node)
        if cluster.health(node) == "dead":
            cluster.restart(node)
