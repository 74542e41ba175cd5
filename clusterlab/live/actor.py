"""The Ray actor around a Host: one actor is one process.

Ray makes the process, finds it, ends it, and carries what the driver asks. It retries nothing (a
call that is run twice would be an operation that nobody asked for) and restarts nothing.
Mail between nodes takes a shorter way, see `mail.py`.
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
from clusterlab.live.hosted import HostName, Setting
from clusterlab.live.mail import Mail
from clusterlab.live.wire import Wire

INVOCATIONS = 32
"""How many callers one process lets wait at a time."""


class NodeProcess:
    """The methods that other processes call."""

    def __init__(self, search_path: list[str], setting: Setting, shipped: bytes) -> None:
        sys.path.extend(path for path in search_path if path not in sys.path)
        self._wire = Wire(pickle.loads(shipped))  # noqa: S301 - the driver of this cluster wrote it
        self._post = Mail(setting.socket)
        self._host = Host(setting, self._wire, self._post)

    def who(self) -> tuple[int, str, str]:
        """Process id, machine and Ray's name of the machine."""
        return os.getpid(), boot_id(), ray.get_runtime_context().get_node_id()

    def begin(
        self,
        origin: Origin,
        where: Mapping[NodeId, HostName],
        peers: Mapping[HostName, tuple[str | None, int]],
        born: bytes,
    ) -> None:
        """Start the nodes."""
        self._post.meet(peers)
        self._host.begin(origin, where, pickle.loads(born))  # noqa: S301 - as above

    @ray.method(concurrency_group="control")
    def meet(self, peers: Mapping[HostName, tuple[str | None, int]]) -> None:
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
