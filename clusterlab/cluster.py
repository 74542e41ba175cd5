"""One call for a cluster in either engine: `Cluster(nodes, engine="live")` or `engine="sim"`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from clusterlab.core.cluster import ClientFactory
from clusterlab.core.cluster import Cluster as Verbs
from clusterlab.core.errors import ScenarioError
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.protocols.client import Client

ENGINES = ("live", "sim")
ENGINE_VARIABLE = "CLUSTERLAB_ENGINE"
"""The environment variable that chooses the engine where the program does not; Binder sets it."""


def default_engine() -> str:
    """What CLUSTERLAB_ENGINE says, else `live`."""
    return os.environ.get(ENGINE_VARIABLE, "live")


def _client(name: NodeId, servers: tuple[NodeId, ...]) -> Node:
    return Client(name, servers=servers)


def Cluster(  # noqa: N802 - it reads as the class that it returns one of
    nodes: Iterable[Node],
    *,
    engine: str | None = None,
    seed: int = 0,
    network: Network | None = None,
    client: ClientFactory | None = None,
    **options: Any,
) -> Verbs:
    """Start a cluster.

    Parameters
    ----------
    nodes:
        The servers.
    engine:
        `live`: every node is a process of its own, run by Ray.
        `sim`: all are simulated in virtual time. The same verbs work on both.
        Default: the environment variable CLUSTERLAB_ENGINE, else `live`.
    seed, network, client:
        See `clusterlab.core.cluster.Cluster`;
        `client` defaults to the client of the replicated protocols.
    options:
        `speed` (see `clusterlab.core.cluster.Cluster`), and what only one engine takes:
        `address` (live; the simulator ignores it, so that one line serves both), `record` (sim).

    Raises ScenarioError for an unknown engine, EngineUnavailable if this machine cannot run it.
    """
    engine = engine or default_engine()
    client = client or _client
    if engine == "sim":
        from clusterlab.sim import Simulation  # noqa: PLC0415 - an engine loads when it is used

        options.pop("address", None)
        return Simulation(nodes, seed=seed, network=network, client=client, **options)
    if engine == "live":
        from clusterlab.live import LiveCluster  # noqa: PLC0415 - Ray loads when it is used

        return LiveCluster(nodes, seed=seed, network=network, client=client, **options)
    raise ScenarioError(
        f"there is no engine {engine!r}: "
        "write engine='live' (processes, on Ray) or engine='sim' (simulated)."
    )
