"""What `clusterlab check` knows how to fuzz: a protocol's servers, clients and promises.

A subject takes any class that speaks like the protocol, so a learner's own Raft, or one with a bug
planted in it, is tried as ours is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from clusterlab.check.invariants import paxos as paxos_invariants
from clusterlab.check.invariants import raft as raft_invariants
from clusterlab.check.properties import Answer, eventually
from clusterlab.check.world import NodeView, World
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.core.spec import KeyValue
from clusterlab.experiments.fuzz import Trial
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.paxos import Paxos, Propose
from clusterlab.protocols.raft import Raft

CLIENTS, OPERATIONS = 3, 30
CONVERGES_MS = 5_000


@dataclass(frozen=True)
class Subject:
    """A protocol that can be fuzzed."""

    name: str
    base: type[Node]
    """The class that is fuzzed unless another is named."""
    size: int
    """How many servers, unless told otherwise."""
    make: Callable[[type[Node], int], Trial]
    """The trial of a class like `base`, with so many servers."""

    def trial(self, node: type[Node] | None = None, size: int | None = None) -> Trial:
        """What is run for each seed.

        Raises ScenarioError for a class without a `group`, or a size that cannot be.
        """
        node = node or self.base
        if not callable(getattr(node, "group", None)):
            raise ScenarioError(
                f"{node.__name__} has no group(size): subclass {self.base.__name__}, or add a "
                "classmethod that makes that many servers."
            )
        size = self.size if size is None else size
        if size < 1:
            raise ScenarioError(f"a cluster of {size} servers is none: give 1 or more.")
        return self.make(node, size)


def _living(world: World, *fields: str) -> Iterable[NodeView]:
    return (node for node in world.having(*fields) if node.id in world.up)


# --- Raft ----------------------------------------------------------------------------------------


def _converged(world: World) -> Answer:
    servers = list(_living(world, "current_term", "log"))
    leaders = [server for server in servers if server.role == "leader"]
    if len(leaders) != 1:
        names = ", ".join(server.id for server in leaders)
        return f"{names} lead" if names else "nobody leads"
    (leader,) = leaders
    for server in servers:
        if server.leader_id != leader.id:
            return f"{server.id} takes {server.leader_id} for the leader, not {leader.id}"
        if server.log != leader.log or server.commit_index < len(leader.log):
            return (
                f"{leader.id} leads with {len(leader.log)} entries; {server.id} has "
                f"{len(server.log)}, of which {server.commit_index} are committed"
            )
    return True


CONVERGES = eventually("Converges", _converged, within_ms=CONVERGES_MS)
"""Those who are up agree on a leader and have committed all that it has."""


def _nobody_waits(world: World) -> Answer:
    waiting = [node.id for node in world.having("operation", "workload") if node.operation]
    return f"{' and '.join(waiting)} wait for an answer" if waiting else True


ANSWERED = eventually("EveryClientIsAnswered", _nobody_waits, within_ms=CONVERGES_MS)
"""There is a moment at which no client waits."""


def key_value_clients(servers: tuple[NodeId, ...], seed: int) -> list[Node]:
    """Clients of a replicated store: few keys, so that they are in each other's way."""
    return [
        Client(
            f"c{number}",
            servers=servers,
            workload=mixed_workload(f"c{number}", seed=seed * CLIENTS + number, keys=("x", "y")),
            every_ms=(0, 50),
            retry_ms=150,
            back_off_ms=(5, 30),
            give_up_ms=2 * CONVERGES_MS,
            operations=OPERATIONS,
        )
        for number in range(1, CLIENTS + 1)
    ]


def _raft(node: type[Any], size: int) -> Trial:
    return Trial(
        partial(node.group, size),
        clients=key_value_clients,
        properties=(
            *raft_invariants.SAFETY,
            *(raft_invariants.LEADER_ELECTED, raft_invariants.ENTRY_COMMITTED),
            *(CONVERGES, ANSWERED),
        ),
        spec=KeyValue(),
        spare=(size - 1) // 2,
    )


# --- Paxos ---------------------------------------------------------------------------------------


class Decision:
    """An object that is decided once: whoever proposes is told what was decided first."""

    def initial(self) -> tuple[Any, ...]:
        """Nothing is decided."""
        return ()

    def apply(self, state: tuple[Any, ...], operation: Message) -> tuple[tuple[Any, ...], Any]:
        """The first proposal decides."""
        if not isinstance(operation, Propose):
            raise TypeError(f"a decision has no operation {operation!r}")
        decided = state or (operation.value,)
        return decided, decided[0]

    def part(self, operation: Message) -> None:  # noqa: ARG002 - a Spec is asked about each
        """It is one thing."""

    def is_read(self, operation: Message) -> bool:  # noqa: ARG002
        """Any proposal may be the one that decides."""
        return False


def _proposers_know(world: World) -> Answer:
    for node in _living(world, "wish", "chosen"):
        if node.chosen is None:
            return f"{node.id} does not know what was chosen"
    return True


DECIDES = eventually("Decides", _proposers_know, within_ms=CONVERGES_MS)
"""Every proposer that is up knows what was chosen."""


def _paxos(node: type[Any], size: int) -> Trial:
    proposals = tuple(
        (f"n{number}", Propose(f"{colour} of n{number}"))
        for colour in ("red", "green")
        for number in range(1, size + 1)
    )
    return Trial(
        partial(node.group, size),
        invoke=proposals,
        properties=(*paxos_invariants.SAFETY, paxos_invariants.VALUE_CHOSEN, DECIDES),
        spec=Decision(),
        storm_ms=1_000,
        spare=(size - 1) // 2,
    )


SUBJECTS: dict[str, Subject] = {
    one.name: one for one in (Subject("raft", Raft, 5, _raft), Subject("paxos", Paxos, 3, _paxos))
}
