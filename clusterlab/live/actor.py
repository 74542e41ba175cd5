"""The Ray actor around a Host: one actor is one process.

Ray carries bytes and nothing more. It orders nothing (each message has a name of its own),
retries nothing (a call that is run twice would be a message that nobody sent), restarts nothing.
`deliver` only puts into a queue, so that a busy node never blocks its senders.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from typing import Any

import ray

from clusterlab.core.node import NodeId
from clusterlab.live.clocks import Origin, boot_id
from clusterlab.live.host import Host
from clusterlab.live.hosted import HostName, Post, Setting
from clusterlab.live.wire import Wire

INVOCATIONS = 32
"""How many callers one process lets wait at a time."""


class RayPost(Post):
    """Batches leave as one-way actor calls."""

    def __init__(self) -> None:
        self._peers: dict[HostName, tuple[Any, int]] = {}

    def meet(self, peers: Mapping[HostName, tuple[Any, int]]) -> None:
        """Learn handle (None: dead) and life of other processes."""
        self._peers.update(peers)

    def send(self, host: HostName, batch: bytes) -> None:
        """One call, whose end nobody waits for."""
        handle = self._peers[host][0]
        if handle is not None:
            handle.deliver.remote(batch)

    def life(self, host: HostName) -> int:
        """The life that batches go to now."""
        return self._peers[host][1]

    def flush(self, limit_s: float) -> None:
        """Calls of one sender run in order: when these have returned, the batches have arrived."""
        refs = [handle.arrived.remote() for handle, _ in self._peers.values() if handle is not None]
        if refs:
            ray.wait(refs, num_returns=len(refs), timeout=limit_s)


class NodeProcess:
    """The methods that other processes call."""

    def __init__(self, search_path: list[str], setting: Setting, shipped: bytes) -> None:
        sys.path.extend(path for path in search_path if path not in sys.path)
        self._wire = Wire(pickle.loads(shipped))  # noqa: S301 - the driver of this cluster wrote it
        self._post = RayPost()
        self._host = Host(setting, self._wire, self._post)

    def who(self) -> tuple[int, str, str]:
        """Process id, machine and Ray's name of the machine."""
        return os.getpid(), boot_id(), ray.get_runtime_context().get_node_id()

    def begin(
        self,
        origin: Origin,
        where: Mapping[NodeId, HostName],
        peers: Mapping[HostName, tuple[Any, int]],
        born: bytes,
    ) -> None:
        """Start the nodes."""
        self._post.meet(peers)
        self._host.begin(origin, where, pickle.loads(born))  # noqa: S301 - as above

    @ray.method(num_returns=0)
    def deliver(self, batch: bytes) -> None:
        """Mail from another process."""
        self._host.deliver(batch)

    def arrived(self) -> None:
        """Nothing; runs after the mail that the same sender sent before."""

    @ray.method(concurrency_group="control")
    def meet(self, peers: Mapping[HostName, tuple[Any, int]]) -> None:
        """Learn of processes that came or went.

        Between two turns: a message goes to the life that the journal says it is sent to.
        """
        self._host.control("meet", peers)

    @ray.method(concurrency_group="control")
    def learn(self, shipped: bytes) -> None:
        """Learn classes that came with a new client."""
        self._wire.learn(pickle.loads(shipped))  # noqa: S301 - as above

    @ray.method(concurrency_group="control")
    def bear(self, born: bytes) -> None:
        """Start further nodes."""
        self._host.control("bear", pickle.loads(born))  # noqa: S301 - as above

    @ray.method(concurrency_group="control")
    def control(self, what: str, *args: Any) -> bytes:
        """Have the host's thread do something between two turns."""
        return self._wire.dumps(self._host.control(what, *args))

    @ray.method(concurrency_group="invoke")
    def invoke(self, node: NodeId, operation: bytes, limit_s: float) -> bytes | None:
        """Hand an operation to a node and wait for what it returns."""
        answer = self._host.invoke(node, self._wire.loads(operation), limit_s)
        return None if answer is None else self._wire.dumps(answer)

    @ray.method(concurrency_group="control")
    def submit(self, node: NodeId, operation: bytes) -> None:
        """Hand an operation to a node without waiting."""
        self._host.submit(node, self._wire.loads(operation))


def actor_class() -> Any:
    """NodeProcess as Ray wants it."""
    options: dict[str, Any] = {
        "num_cpus": 0,
        "max_restarts": 0,
        "max_task_retries": 0,
        "concurrency_groups": {"control": 2, "invoke": INVOCATIONS},
    }
    return ray.remote(**options)(NodeProcess)
