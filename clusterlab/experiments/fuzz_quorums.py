"""What `clusterlab check quorum` runs: stores without a leader, whose clients ask once.

A write that is asked for again elsewhere may become two, so these clients take silence for what it
is, an unknown outcome, and the storm has to be over for `EveryClientIsAnswered`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from clusterlab.core.message import Message
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Get, KeyValue, Put
from clusterlab.experiments.fuzz import Trial
from clusterlab.protocols.client import Client, scramble

CLIENTS, OPERATIONS = 4, 25
GIVE_UP_MS = 600
KEYS = ("x", "y")


@dataclass(frozen=True)
class GetsAndPuts:
    """Reads and writes of a few keys, as a function of the serial number."""

    client: NodeId
    seed: int

    def __call__(self, serial: int) -> Message:
        """The operation with this serial number."""
        draw = scramble(scramble(self.seed) + serial)
        key = KEYS[draw % len(KEYS)]
        return Get(key) if draw // 10 % 2 else Put(key, f"{self.client}:{serial}")


@dataclass(frozen=True)
class OnceClients:
    """Clients that ask one coordinator, once, and go on after a while."""

    def __call__(self, servers: tuple[NodeId, ...], seed: int) -> list[Node]:
        """Four of them; another seed, another order of operations."""
        return [
            Client(
                f"c{n}",
                servers=(servers[(n + seed) % len(servers)],),
                workload=GetsAndPuts(f"c{n}", seed * CLIENTS + n),
                every_ms=(0, 60),
                retry_ms=100 * GIVE_UP_MS,
                give_up_ms=GIVE_UP_MS,
                operations=OPERATIONS,
            )
            for n in range(1, CLIENTS + 1)
        ]


def trials(node: type[Any], size: int | None) -> tuple[Trial, ...]:
    """Three homes of three servers, and of five, where coordinators need not be homes."""
    return tuple(
        Trial(partial(node.group, servers), clients=OnceClients(), spec=KeyValue())
        for servers in ((3, 5) if size is None else (size,))
    )
