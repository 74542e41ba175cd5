"""The small worlds in which wrong Rafts are hunted, and how their depth is counted.

The published figures count a timeout, the arrival of a message, a client's request and a restart as
one event each, and so do we (`hunts.events`). We may be shorter without being cleverer: our leaders
begin with a blank entry, so that entries of different terms need no clients, and append, send and
commit within one event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusterlab.check.moves import Move
from clusterlab.check.world import NodeView
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Put
from clusterlab.lessons.mutants.hunts import Nodes, arrives, fires
from clusterlab.protocols.client import Client
from clusterlab.protocols.raft import ElectionTimeout, RequestVote, VoteReply

STATES_MAX = 400_000
"""Where a search gives up that does not come to its end."""

WISH = Put("x", 1)
WRITE = (("c1", WISH),)


def servers(size: int, **options: Any) -> Nodes:
    """So many servers."""

    def make(server: type[Any]) -> list[Node]:
        return list(server.group(size, **options))

    return make


def servers_and_a_client(server: type[Any]) -> list[Node]:
    """Three servers, and a client that knows the first."""
    return [*server.group(3), Client("c1", servers=("n1",))]


def up_to(term: int, entries: int) -> Callable[[NodeView], bool]:
    """A bound: no term above `term`, no log longer than `entries`."""

    def bound(node: NodeView) -> bool:
        if not hasattr(node, "current_term"):
            return True
        return bool(node.current_term <= term and len(node.log) <= entries)

    return bound


def firing(elections: int, heartbeats: int = 0) -> dict[str, int]:
    """So many timers of the servers, and none of a client."""
    names = ("ElectionTimeout", "HeartbeatDue", "AnswerOverdue", "GiveUp")
    return dict(zip(names, (elections, heartbeats, 0, 0), strict=True))


def elect(
    candidate: NodeId, voter: NodeId, term: int, last: tuple[int, int] = (0, 0)
) -> list[Move]:
    """Of a prefix: `voter` makes `candidate`, whose last entry has that index and term, leader."""
    return [
        fires(candidate, ElectionTimeout()),
        arrives(candidate, voter, RequestVote(term, *last)),
        arrives(voter, candidate, VoteReply(term, True)),
    ]
