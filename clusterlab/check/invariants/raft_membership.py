"""What Raft promises while its members change, as properties.

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014, chapter 4. Beside the fields
of `raft` they read `config`, the configuration that a server goes by, and `configurations`: the
newest one that it knows to be committed and those behind it, each with `is_quorum`.

All other promises of Raft are as before, but for QuorumLogInv: who is a quorum depends on when.
"""

from __future__ import annotations

from typing import Any

from clusterlab.check.invariants import raft
from clusterlab.check.invariants.raft import LEADERS, Leadership
from clusterlab.check.invariants.raft_logs import (
    LOG,
    commit_index,
    entries,
    lacks,
    offset,
    told_committed,
)
from clusterlab.check.properties import Answer, Property, always, sometimes
from clusterlab.check.world import NodeView, World

CONFIGURED = ("configurations", "config")


def _held_by_quorum(world: World) -> Answer:
    everyone = world.having("current_term", "log", "config")
    for server in everyone:
        if server.id not in world.up or not _committed_in_office(server, world.ghost):
            continue
        holders = [s.id for s in everyone if not lacks(s, server) and _on_disk(s, server)]
        # It was by the newest configuration of that moment: one that came later is behind it.
        if not any(one.is_quorum(holders) for one in server.configurations):
            return (
                f"{server.id} has committed {told_committed(server)} in its own term, and only "
                f"{' and '.join(holders)} hold it, who are no quorum of {server.configurations[0]}"
            )
    return True


def _committed_in_office(server: NodeView, ever: frozenset[Leadership]) -> bool:
    """Whether it was itself who committed its newest committed entry, as the leader of the term."""
    if Leadership(server.current_term, server.id) not in ever:
        return False
    before = commit_index(server) - offset(server)
    if before:
        return bool(entries(server)[before - 1].term == server.current_term)
    return bool(offset(server) and server.snapshot.last_term == server.current_term)


def _on_disk(server: NodeView, other: NodeView) -> bool:
    return offset(server) + len(server.log) >= commit_index(other)


COMMITTED_HELD_BY_QUORUM = always(
    "CommittedHeldByQuorum",
    _held_by_quorum,
    ghost=LEADERS,
    reads=(*LOG, "commit_index", *CONFIGURED),
)
"""§4.1, §4.2.2, §4.3: what a leader commits is on the disks of a quorum of its configuration: of
members only, without itself once it is none, and of both halves of a joint one."""

CONFIGURATION_CHANGED = sometimes(
    "a new configuration is committed",
    lambda world: any(s.settled is not None for s in world.having("settled", "log")),
    reads=("log", "settled"),
)


def _joint(world: World) -> bool:
    found: tuple[Any, ...] = world.having("config", "log")
    return any(server.config.old for server in found)


JOINT_CONSENSUS = sometimes("a configuration is joint", _joint, reads=("config", "log"))

SAFETY: tuple[Property, ...] = (
    *(one for one in raft.SAFETY if one is not raft.QUORUM_LOG_INV),
    COMMITTED_HELD_BY_QUORUM,
)
"""Everything that must always hold while members change."""
