"""clusterlab: learn how clusters work by running them, breaking them and writing their protocols.

What stands here is the whole vocabulary of the labs: `from clusterlab import Cluster, Raft, watch`.
Importing it starts nothing and loads nothing heavy: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clusterlab.core.pictures import draw_with

if TYPE_CHECKING:
    from clusterlab.check.linearizability import check_linearizability
    from clusterlab.cluster import Cluster
    from clusterlab.core.faults import (
        Heal,
        Isolate,
        Kill,
        Link,
        Partition,
        Pause,
        Restart,
        Resume,
        Skew,
    )
    from clusterlab.core.history import Invoke, Invoked, Returned
    from clusterlab.core.network import Network
    from clusterlab.core.node import (
        WORLD,
        Deliver,
        Message,
        Node,
        Timer,
        durable,
        step,
        volatile,
    )
    from clusterlab.core.quorum import majority
    from clusterlab.core.spec import CompareAndSet, Get, KeyValue, Put
    from clusterlab.core.trace import Trace
    from clusterlab.lessons.exercises import check_exercise
    from clusterlab.lessons.predictions import predict
    from clusterlab.protocols.client import Client, counting_writes, mixed_workload
    from clusterlab.protocols.paxos import Acceptor, Learner, Proposer
    from clusterlab.protocols.raft import Raft
    from clusterlab.views import show, watch

_HOMES = {
    "check.linearizability": "check_linearizability",
    "cluster": "Cluster",
    "core.faults": "Heal Isolate Kill Link Partition Pause Restart Resume Skew",
    "core.history": "Invoke Invoked Returned",
    "core.network": "Network",
    "core.node": "WORLD Deliver Message Node Timer durable step volatile",
    "core.quorum": "majority",
    "core.spec": "CompareAndSet Get KeyValue Put",
    "core.trace": "Trace",
    "lessons.exercises": "check_exercise",
    "lessons.predictions": "predict",
    "protocols.client": "Client counting_writes mixed_workload",
    "protocols.paxos": "Acceptor Learner Proposer",
    "protocols.raft": "Raft",
    "views": "show watch",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__version__ = "0.1.0"

__all__ = [
    "WORLD",
    "Acceptor",
    "Client",
    "Cluster",
    "CompareAndSet",
    "Deliver",
    "Get",
    "Heal",
    "Invoke",
    "Invoked",
    "Isolate",
    "KeyValue",
    "Kill",
    "Learner",
    "Link",
    "Message",
    "Network",
    "Node",
    "Partition",
    "Pause",
    "Proposer",
    "Put",
    "Raft",
    "Restart",
    "Resume",
    "Returned",
    "Skew",
    "Timer",
    "Trace",
    "check_exercise",
    "check_linearizability",
    "counting_writes",
    "durable",
    "majority",
    "mixed_workload",
    "predict",
    "show",
    "step",
    "volatile",
    "watch",
]


def __getattr__(name: str) -> Any:
    """Load a name of the vocabulary when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'clusterlab' has no attribute {name!r}")
    value = getattr(import_module(f"clusterlab.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def _draw(value: object) -> str | None:
    """The picture of a value, by views that are loaded when the first is shown."""
    svg: str | None = import_module("clusterlab.views").svg_of(value)
    return svg


draw_with(_draw)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
