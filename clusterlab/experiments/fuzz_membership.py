"""Rafts whose members change in the middle of the storm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from clusterlab.check.invariants import raft, raft_membership
from clusterlab.check.invariants.raft_logs import differ_at, last_index
from clusterlab.check.properties import Answer, eventually
from clusterlab.check.world import World
from clusterlab.core.history import Administration
from clusterlab.core.node import NodeId
from clusterlab.experiments.fuzz import Trial
from clusterlab.protocols.raft.membership import (
    AddLearner,
    AddServer,
    ChangeMembers,
    RemoveServer,
)

CONVERGES_MS = 10_000


def _members_converged(world: World) -> Answer:
    leaders = [s for s in world.having("current_term", "config") if s.role == "leader"]
    if len(leaders) != 1:
        names = ", ".join(server.id for server in leaders)
        return f"{names} lead" if names else "nobody leads"
    (leader,) = leaders
    last = last_index(leader)
    for name in leader.config.servers:
        server = world[name]
        if server.leader_id != leader.id:
            return f"{name} takes {server.leader_id} for the leader, not {leader.id}"
        if differ_at(server, leader, last) is not None or server.commit_index < last:
            return f"{name} has committed {server.commit_index} of the {last} of {leader.id}"
    return True


MEMBERS_CONVERGE = eventually("MembersConverge", _members_converged, within_ms=CONVERGES_MS)
"""The members agree on a leader and have committed all that it has; who had to go need not."""


def with_changes(trial: Trial) -> Trial:
    """The same trial, in which everybody is asked again and again for other members."""
    names = tuple(server.id for server in trial.nodes())
    wishes = tuple((name, wish) for wish in _wishes(names) for name in names)
    kept = (one for one in trial.properties if one.name != "Converges" and one not in raft.SAFETY)
    return replace(
        trial,
        invoke=(*trial.invoke, *wishes),
        properties=(
            *raft_membership.SAFETY,
            *(raft_membership.CONFIGURATION_CHANGED, raft_membership.JOINT_CONSENSUS),
            *kept,
            MEMBERS_CONVERGE,
        ),
        spare=0,  # two members of two may be all that there are
    )


def _wishes(names: tuple[NodeId, ...]) -> Iterator[Administration]:
    first, last = names[0], names[-1]
    half = len(names) // 2 + 1
    yield from (AddServer(last), RemoveServer(first), AddLearner(names[-2]))
    yield from (AddServer(first), RemoveServer(names[1]), AddServer(names[1]))
    yield from (ChangeMembers(names[-half:]), ChangeMembers(names[:half]))
