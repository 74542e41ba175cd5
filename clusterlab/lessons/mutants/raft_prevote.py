"""Rafts that cannot keep a leader: R12 to R14 of the table of published bugs.

Nothing that is acknowledged is ever lost by them; they are of no use all the same. The networks are
those of the outages: links that are dead for good, some of them in one direction only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from clusterlab.check.invariants.raft import ENTRY_COMMITTED, LEADER, LEADER_ELECTED
from clusterlab.check.invariants.raft_logs import servers as servers_of
from clusterlab.check.properties import Answer, Ghost, always, always_step
from clusterlab.check.world import NodeView, World
from clusterlab.core.faults import Link, Schedule
from clusterlab.core.node import Node, NodeId
from clusterlab.experiments.fuzz import SeedRun, Trial
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.hunts import by_search, by_seeds
from clusterlab.lessons.mutants.raft_worlds import servers, up_to
from clusterlab.protocols.client import Client, counting_writes
from clusterlab.protocols.raft import Raft
from clusterlab.protocols.raft.check_quorum import CheckQuorum
from clusterlab.protocols.raft.prevote import PreVote
from clusterlab.protocols.raft.production import ProductionRaft


class VotesWhileItLeads(CheckQuorum):
    """R14: a leader hears no leader, and so helps to depose itself."""

    @property
    def hears_leader(self) -> bool:
        """It does not count itself."""
        return self.in_contact


class BeatsTooSlowly(ProductionRaft):
    """R14: the leader is heard more rarely than the others lose their patience."""

    heartbeat_ms: int = 300


# --- how they are hunted -------------------------------------------------------------------------

PARTLY_CUT = (("n1", "n4"), ("n1", "n5"), ("n2", "n5"), ("n3", "n4"), ("n4", "n5"))
"""n1, n2 and n3 hear each other; n4 hears only n2, and n5 only n3."""

CUT_MS = 5_000.0
TERM_MAX = 12
"""Some votes are split when a cluster starts; so many are not, unless nobody can stay leader."""
PATIENCE_MS = 2_000


@dataclass(frozen=True)
class Scripted(Trial):
    """A trial whose faults are given; the seed draws all else."""

    script: tuple[tuple[float, Link], ...] = ()

    def run(self, seed: int, schedule: Schedule | None = None) -> SeedRun:
        """One seed."""
        return super().run(seed, list(self.script) if schedule is None else schedule)


def both_ways(pairs: Sequence[tuple[NodeId, NodeId]], at_ms: float = 0) -> list[Any]:
    """These pairs do not hear each other."""
    links = [*pairs, *((b, a) for a, b in pairs)]
    return [(at_ms, Link(src, dst, block=True)) for src, dst in links]


def one_client(servers: tuple[NodeId, ...], _seed: int) -> list[Node]:
    """It writes, and gives up after two seconds."""
    patience = {"retry_ms": 200, "give_up_ms": PATIENCE_MS}
    return [Client("c1", servers=servers, workload=counting_writes(), every_ms=20, **patience)]


def _terms_stand_still(world: World) -> Answer:
    for server in servers_of(world):
        if server.current_term > TERM_MAX:
            return f"{server.id} is in term {server.current_term}: nobody can stay leader"
    return True


TERMS_STAND_STILL = always("TermsStandStill", _terms_stand_still, reads=("current_term", "log"))
"""A majority of servers hear each other: one of them should lead, and go on leading."""


def _remember_info(ghost: int, _node: NodeId, name: str, data: Any) -> int:
    return ghost + (name == "return" and data[0] == "info")


def _nobody_gave_up(world: World) -> Answer:
    if not world.ghost:
        return True
    leaders = [server.id for server in servers_of(world) if server.role == LEADER]
    return (
        f"a client has waited {PATIENCE_MS} ms in vain, while {' and '.join(leaders) or 'nobody'} "
        "led"
    )


NOBODY_GIVES_UP = always(
    "NobodyGivesUp",
    _nobody_gave_up,
    ghost=Ghost(0, _remember_info),
    reads=("current_term", "log", "role"),
)
"""A majority is up and can reach each other and the client, so that it is served in time."""


def _leaders_do_not_vote(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "role") or before.role != LEADER:
        return True
    if after.current_term == before.current_term or after.voted_for is None:
        return True
    return (
        f"{after.id} led in term {before.current_term}, and votes for {after.voted_for} in term "
        f"{after.current_term}"
    )


LEADERS_DO_NOT_VOTE = always_step("LeadersDoNotVote", _leaders_do_not_vote)
"""§4.2.3: whoever hears a leader, and a leader hears itself, grants no vote.

Only at its own wish, in a transfer of leadership, is it otherwise.
"""


def partly_cut(server: type[Raft]) -> Trial:
    """Five servers, of whom two hear one other only, for ever."""
    return Scripted(
        partial(server.group, 5),
        properties=(TERMS_STAND_STILL, LEADER_ELECTED, ENTRY_COMMITTED),
        storm_ms=CUT_MS,
        script=tuple(both_ways(PARTLY_CUT)),
    )


def deaf(server: type[Raft]) -> Trial:
    """After a second n1, who may lead by then, hears no server any more; all hear n1."""
    return Scripted(
        partial(server.group, 3),
        clients=one_client,
        properties=(NOBODY_GIVES_UP, LEADER_ELECTED, ENTRY_COMMITTED),
        storm_ms=CUT_MS,
        script=tuple((1_000.0, Link(peer, "n1", block=True)) for peer in ("n2", "n3")),
    )


def calm(server: type[Raft]) -> Trial:
    """Three servers, and no fault at all."""
    return Scripted(
        partial(server.group, 3),
        properties=(TERMS_STAND_STILL, LEADER_ELECTED),
        storm_ms=CUT_MS,
    )


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "R12",
        "no pre-vote and no CheckQuorum: terms run away",
        "decentralizedthoughts 2020-12-12, on the Cloudflare outage",
        Raft,
        ProductionRaft,
        TERMS_STAND_STILL.name,
        by_seeds(partly_cut, range(20)),
    ),
    Mutant(
        "R13",
        "pre-vote without CheckQuorum: a deaf leader stays",
        "decentralizedthoughts 2020-12-12; TigerBeetle 2023-07-06",
        PreVote,
        ProductionRaft,
        NOBODY_GIVES_UP.name,
        by_seeds(deaf, range(20)),
    ),
    Mutant(
        "R14",
        "a leader helps to depose itself",
        "DaosRaft #70",
        VotesWhileItLeads,
        CheckQuorum,
        LEADERS_DO_NOT_VOTE.name,
        by_search(
            servers(2),
            properties=(LEADERS_DO_NOT_VOTE, LEADER_ELECTED),
            bound=up_to(2, 2),
            timers={"ElectionTimeout": 2, "LeaderQuiet": 0, "QuorumDue": 0, "HeartbeatDue": 0},
        ),
        depth=8,
    ),
    Mutant(
        "R14b",
        "heartbeats as rare as election timeouts",
        "Raft §5.6, the timing requirement; DaosRaft #70",
        BeatsTooSlowly,
        ProductionRaft,
        TERMS_STAND_STILL.name,
        by_seeds(calm, range(20)),
    ),
)
