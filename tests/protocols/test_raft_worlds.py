"""What production adds to Raft, in every schedule of a small world."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.invariants import raft as invariants
from clusterlab.check.properties import Property, sometimes
from clusterlab.check.world import NodeView
from clusterlab.protocols.raft import Raft
from clusterlab.protocols.raft.check_quorum import CheckQuorum
from clusterlab.protocols.raft.prevote import PRE_CANDIDATE, PreVote
from clusterlab.protocols.raft.production import ProductionRaft
from clusterlab.protocols.raft.transfer import LeadershipTransfer, TransferLeadership

pytestmark = pytest.mark.slow


def up_to(term: int, entries: int) -> Any:
    def bound(node: NodeView) -> bool:
        return bool(node.current_term <= term and node.last_log_index <= entries)

    return bound


def whole_world(
    raft: type[Raft], size: int, *more: Property, term: int = 2, **world: Any
) -> tuple[str, int]:
    report = explore(
        raft.group(size),
        properties=(*invariants.SAFETY, invariants.LEADER_ELECTED, *more),
        bound=up_to(term, term),
        **world,
    )
    assert not report.never, report.never
    return report.verdict, report.states


ASKS_FIRST = sometimes(
    "somebody asks before it stands",
    lambda world: any(node.role == PRE_CANDIDATE for node in world.nodes),
    reads=("role",),
)
STEPS_DOWN = sometimes(
    "a leader steps down by itself",
    lambda world: world.ghost,
    ghost=invariants.Ghost(False, lambda ghost, _node, name, _data: ghost or name == "quorum lost"),
    reads=(),
)
TAKES_OVER = sometimes(
    "the target takes over",
    lambda world: world["n2"].role == "leader" and world["n2"].current_term == 2,
    reads=("role", "current_term"),
)


def test_pre_vote_is_safe_in_the_whole_world() -> None:
    timers = {"ElectionTimeout": 2, "HeartbeatDue": 0, "LeaderQuiet": 1}
    assert whole_world(PreVote, 2, ASKS_FIRST, timers=timers, crashes=1) == ("holds", 27_427)


def test_check_quorum_is_safe_in_the_whole_world() -> None:
    timers = {"ElectionTimeout": 2, "HeartbeatDue": 0, "LeaderQuiet": 1, "QuorumDue": 1}
    assert whole_world(CheckQuorum, 3, STEPS_DOWN, timers=timers, term=1) == ("holds", 14_266)


def test_a_transfer_is_safe_in_the_whole_world() -> None:
    timers = {"ElectionTimeout": 1, "HeartbeatDue": 0, "LeaderQuiet": 0, "TransferOverdue": 1}
    wish = (("n1", TransferLeadership("n2")),)
    found = whole_world(LeadershipTransfer, 3, TAKES_OVER, timers=timers, invoke=wish)
    assert found == ("holds", 60_764)


def test_all_of_it_together_is_safe_in_the_whole_world() -> None:
    timers = {
        "ElectionTimeout": 2,
        **dict.fromkeys(("HeartbeatDue", "LeaderQuiet", "QuorumDue", "TransferOverdue"), 0),
    }
    wish = (("n1", TransferLeadership("n2")),)
    assert whole_world(ProductionRaft, 2, TAKES_OVER, timers=timers, invoke=wish) == (
        "holds",
        6_130,
    )
