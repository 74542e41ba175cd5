"""What `clusterlab check` knows how to fuzz: a protocol's servers, clients and promises.

A subject takes any class that speaks like the protocol, so a learner's own Raft, or one with a bug
planted in it, is tried as ours is.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from clusterlab.check.invariants import multi_paxos as multi_paxos_invariants
from clusterlab.check.invariants import paxos as paxos_invariants
from clusterlab.check.invariants import raft as raft_invariants
from clusterlab.check.invariants import raft_snapshots
from clusterlab.check.invariants.raft_logs import differ_at, last_index
from clusterlab.check.properties import Answer, eventually
from clusterlab.check.world import NodeView, World
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import check_name
from clusterlab.core.network import Network
from clusterlab.core.node import Delay, Message, Node, NodeId
from clusterlab.core.spec import Add, Counter, KeyValue, Read, Spec
from clusterlab.experiments import fuzz_quorums
from clusterlab.experiments.fuzz import Clients, Trial
from clusterlab.experiments.fuzz_membership import with_changes
from clusterlab.protocols.client import Client, Workload, mixed_workload, scramble
from clusterlab.protocols.dynamo import AtomicStore
from clusterlab.protocols.multi_paxos import MultiPaxos
from clusterlab.protocols.paxos import Paxos, Propose
from clusterlab.protocols.raft import Raft
from clusterlab.protocols.raft.production import AsyncProductionRaft, LeasedRaft, ProductionRaft
from clusterlab.protocols.raft.snapshots import Snapshots
from clusterlab.protocols.raft.transfer import TransferLeadership

CLIENTS, OPERATIONS = 3, 30
CONVERGES_MS = 5_000


@dataclass(frozen=True)
class Subject:
    """A protocol that can be fuzzed."""

    name: str
    base: type[Node]
    """The class that is fuzzed unless another is named."""
    make: Callable[[type[Any], int | None], tuple[Trial, ...]]
    """The trials of a class like `base`, with so many servers."""

    def trials(self, node: type[Node] | None = None, size: int | None = None) -> tuple[Trial, ...]:
        """What is run, the seeds in turn: a bug that one cluster hides shows in another.

        With `size`, that many servers; else so many as each trial thinks best.
        Raises ScenarioError for a class without a `group`, or a size that cannot be.
        """
        node = node or self.base
        if not callable(getattr(node, "group", None)):
            raise ScenarioError(
                f"{node.__name__} has no group(size): subclass {self.base.__name__}, or add a "
                "classmethod that makes that many servers."
            )
        if size is not None and size < 1:
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
        last = last_index(leader)
        if differ_at(server, leader, last) is not None or server.commit_index < last:
            return (
                f"{leader.id} leads with {last} entries; {server.id} has "
                f"{last_index(server)}, of which {server.commit_index} are committed"
            )
    return True


CONVERGES = eventually("Converges", _converged, within_ms=CONVERGES_MS)
"""Those who are up agree on a leader and have committed all that it has."""


def _nobody_waits(world: World) -> Answer:
    waiting = [node.id for node in world.having("operation", "workload") if node.operation]
    return f"{' and '.join(waiting)} wait for an answer" if waiting else True


ANSWERED = eventually("EveryClientIsAnswered", _nobody_waits, within_ms=CONVERGES_MS)
"""There is a moment at which no client waits."""


@dataclass(frozen=True)
class StoreClients:
    """Clients of a replicated store: few keys, so that they are in each other's way."""

    def __call__(self, servers: tuple[NodeId, ...], seed: int) -> list[Node]:
        """Three of them; another seed, another order of operations."""
        return [
            _client(servers, n, mixed_workload(f"c{n}", seed=seed * CLIENTS + n, keys=("x", "y")))
            for n in range(1, CLIENTS + 1)
        ]


@dataclass(frozen=True)
class CounterClients:
    """Clients of a replicated counter, which shows if anything was done twice."""

    def __call__(self, servers: tuple[NodeId, ...], seed: int) -> list[Node]:
        """Three of them; another seed, another order of operations."""
        return [_client(servers, n, Counting(seed * CLIENTS + n)) for n in range(1, CLIENTS + 1)]


@dataclass(frozen=True)
class Counting:
    """Adds one twice as often as it reads, as a function of the serial number."""

    seed: int

    def __call__(self, serial: int) -> Message:
        """The operation with this serial number."""
        return Read() if scramble(scramble(self.seed) + serial) % 3 == 0 else Add(1)


def _client(
    servers: tuple[NodeId, ...], number: int, workload: Workload, every_ms: Delay = (0, 50)
) -> Client:
    return Client(
        f"c{number}",
        servers=servers,
        workload=workload,
        every_ms=every_ms,
        retry_ms=150,  # asks again while the first request is still under way
        back_off_ms=(5, 30),
        give_up_ms=2 * CONVERGES_MS,
        operations=OPERATIONS,
    )


def _raft(node: type[Any], size: int | None, **options: Any) -> tuple[Trial, ...]:
    def trial(usual: int, clients: Clients, spec: Spec, **more: Any) -> Trial:
        servers = usual if size is None else size
        return Trial(
            partial(node.group, servers, spec=spec, **options, **more),
            clients=clients,
            properties=RAFT_PROPERTIES,
            spec=spec,
            spare=(servers - 1) // 2,
        )

    return (
        # One entry a message: what is old and what is new arrive one after the other (Figure 8).
        trial(3, StoreClients(), KeyValue(), entries_max=1),
        trial(5, CounterClients(), Counter()),
        trial(4, StoreClients(), KeyValue()),  # half of four is no majority
    )


RAFT_PROPERTIES = (
    *raft_invariants.SAFETY,
    *(raft_invariants.LEADER_ELECTED, raft_invariants.ENTRY_COMMITTED),
    *(CONVERGES, ANSWERED),
)


SNAPSHOT_PROPERTIES = (
    *raft_snapshots.SAFETY,
    *(raft_snapshots.SNAPSHOT_TAKEN, raft_snapshots.SNAPSHOT_SENT),
)


def _snapshots(node: type[Any], size: int | None, **options: Any) -> tuple[Trial, ...]:
    """Short logs, so that snapshots are taken, and sent in several messages, all the time."""
    trials = _raft(node, size, snapshot_entries=6, chunk_pieces=2, **options)
    return tuple(
        replace(trial, properties=(*trial.properties, *SNAPSHOT_PROPERTIES)) for trial in trials
    )


SKEW_MAX = 4.0
"""Clocks that a storm makes slow run half as fast as they should, others twice."""


def _production(node: type[Any], size: int | None, **options: Any) -> tuple[Trial, ...]:
    """Each server is asked to hand over; most do not lead then, and say so."""

    def with_transfers(trial: Trial) -> Trial:
        names = [server.id for server in trial.nodes()]
        others = [*names[1:], *names[:1]]
        wishes = [(name, TransferLeadership(to)) for name, to in zip(names, others, strict=True)]
        return replace(trial, invoke=tuple(2 * wishes))

    return tuple(with_transfers(trial) for trial in _snapshots(node, size, **options))


def _leased(node: type[Any], size: int | None) -> tuple[Trial, ...]:
    """The same, with leases that hold whatever a storm does to clocks."""
    return _production(node, size, clock_rate_bound=SKEW_MAX)


def _membership(node: type[Any], size: int | None, **options: Any) -> tuple[Trial, ...]:
    """Three servers vote at first; who else there is may join, and everybody may have to go."""
    trials = _production(node, size or 5, voters=("n1", "n2", "n3")[:size], **options)
    return tuple(with_changes(trial) for trial in trials)


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

    def part(self, operation: Message) -> None:
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


SLOW = Network(delay_ms=(5, 120))
"""A decision takes a few messages: on a quick network it would be over before the first fault."""


def _paxos(node: type[Any], size: int | None) -> tuple[Trial, ...]:
    def trial(servers: int) -> Trial:
        proposals = tuple(
            (f"n{number}", Propose(f"{colour} of n{number}"))
            for colour in ("red", "green")
            for number in range(1, servers + 1)
        )
        return Trial(
            partial(node.group, servers),
            invoke=proposals,
            properties=(*paxos_invariants.SAFETY, paxos_invariants.VALUE_CHOSEN, DECIDES),
            spec=Decision(),
            storm_ms=1_500,
            spare=(servers - 1) // 2,
            network=SLOW,
        )

    return tuple(trial(servers) for servers in ((3, 4) if size is None else (size,)))


# --- Multi-Paxos --------------------------------------------------------------------------------


def _caught_up(world: World) -> Answer:
    replicas = list(_living(world, "promised", "log", "snapshot"))
    leaders = [replica for replica in replicas if replica.role == "leader"]
    if len(leaders) != 1:
        names = ", ".join(replica.id for replica in leaders)
        return f"{names} lead" if names else "nobody leads"
    (leader,) = leaders
    last = leader.snapshot.slot + len(leader.log)
    for replica in replicas:
        if replica.leader_id != leader.id:
            return f"{replica.id} takes {replica.leader_id} for the leader, not {leader.id}"
        if replica.executed < last:
            return f"{leader.id} leads with {last} slots; {replica.id} executed {replica.executed}"
    return True


CAUGHT_UP = eventually("CaughtUp", _caught_up, within_ms=CONVERGES_MS)
"""Those who are up agree on a leader and have executed all that it has."""

MULTI_PAXOS_PROPERTIES = (
    *multi_paxos_invariants.SAFETY,
    *(multi_paxos_invariants.LEADER_ELECTED, multi_paxos_invariants.SLOT_EXECUTED),
    *(CAUGHT_UP, ANSWERED),
)

HURRIED = 6


@dataclass(frozen=True)
class HurriedClients:
    """Clients that never think: commands are under way at once, and a death may leave holes."""

    def __call__(self, servers: tuple[NodeId, ...], seed: int) -> list[Node]:
        """Six of them; another seed, another order of operations."""
        return [
            _client(
                servers,
                n,
                mixed_workload(f"c{n}", seed=seed * HURRIED + n, keys=("x", "y")),
                every_ms=0,
            )
            for n in range(1, HURRIED + 1)
        ]


LEASE_MS = 120
"""Below the shortest election timeout."""


def _multi_paxos(node: type[Any], size: int | None) -> tuple[Trial, ...]:
    def trial(usual: int, clients: Clients, spec: Spec, **options: Any) -> Trial:
        servers = usual if size is None else size
        return Trial(
            partial(node.group, servers, spec=spec, **options),
            clients=clients,
            properties=MULTI_PAXOS_PROPERTIES,
            spec=spec,
            spare=(servers - 1) // 2,
            true_clocks="lease_ms" in options,
        )

    return (
        # A command a message and few in a snapshot: holes, and replicas that need another's state.
        trial(3, HurriedClients(), KeyValue(), commands_max=1, snapshot_every=10),
        trial(5, CounterClients(), Counter(), snapshot_every=25, lease_ms=LEASE_MS),
        trial(3, StoreClients(), KeyValue(), snapshot_every=10, lease_ms=LEASE_MS, gather_ms=0),
        trial(5, StoreClients(), KeyValue(), snapshot_every=3, alpha=1),
    )


SUBJECTS: dict[str, Subject] = {
    one.name: one
    for one in (
        Subject("raft-membership", LeasedRaft, partial(_membership, clock_rate_bound=SKEW_MAX)),
        Subject("raft-leases", LeasedRaft, _leased),
        Subject("raft-disk", AsyncProductionRaft, partial(_production, sync_ms=(1, 60))),
        Subject("raft-production", ProductionRaft, _production),
        Subject("raft-snapshots", Snapshots, _snapshots),
        Subject("raft", Raft, _raft),
        Subject("paxos", Paxos, _paxos),
        Subject("multipaxos", MultiPaxos, _multi_paxos),
        Subject("quorum", AtomicStore, fuzz_quorums.trials),
    )
}


# --- by name -------------------------------------------------------------------------------------


def find(what: str, like: str | None = None, size: int | None = None) -> tuple[Trial, ...]:
    """The trials of `raft`, `paxos`, or of a class `module:Class` that speaks `like` one of them.

    Without `like`, a class counts as what it inherits from.
    Raises ScenarioError for a name that is not there.
    """
    if ":" not in what:
        check_name(what, SUBJECTS, "protocol to check")
        return SUBJECTS[what].trials(None, size)
    node = _load(what)
    if like is not None:
        check_name(like, SUBJECTS, "protocol to check")
        return SUBJECTS[like].trials(node, size)
    for subject in SUBJECTS.values():
        if issubclass(node, subject.base):
            return subject.trials(node, size)
    raise ScenarioError(
        f"{node.__name__} inherits from none of the protocols that can be checked: say which it "
        f"speaks with --like {' or --like '.join(SUBJECTS)}."
    )


def _load(name: str) -> type[Node]:
    """The Node class `module:Class`; modules are looked for in the working directory as well."""
    module_name, _, class_name = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ScenarioError(
            f"cannot import {module_name} ({error}): name a module in this folder or one that is "
            "installed, without .py."
        ) from error
    except Exception as error:
        raise ScenarioError(
            f"importing {module_name} raised {type(error).__name__} ({error}): mend it first."
        ) from error
    classes = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Node) and value is not Node
    }
    if not classes:
        raise ScenarioError(f"{module_name} has no Node class: name a module that has one.")
    check_name(class_name, classes, f"Node class in {module_name}")
    return classes[class_name]
