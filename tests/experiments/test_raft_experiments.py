"""Experiments on Raft: each holds for the servers that it is about, and for no others."""

from __future__ import annotations

import pytest

from clusterlab.experiments import Experiment
from clusterlab.experiments.raft_elections import (
    RaftDisruptiveServer,
    RaftRandomTimeouts,
    RaftSplitVote,
    RaftUndisturbed,
)
from clusterlab.experiments.raft_figure_8 import RaftFigure8, RaftFigure8Counting
from clusterlab.experiments.raft_membership import RaftMembershipSafe, RaftMembershipUnsafe
from clusterlab.experiments.raft_reads import RaftLeaseSkew, RaftReadIndex, RaftStaleRead
from clusterlab.protocols.raft import Raft
from clusterlab.protocols.raft.prevote import PreVote
from clusterlab.protocols.raft.reads import ReadIndex

pytestmark = pytest.mark.slow


def failures(experiment: type[Experiment], **changes: object) -> set[str]:
    """What does not hold if these attributes of the experiment were others."""
    changed = type("Changed", (experiment,), changes)
    return {check.name for check in changed().run(seed=2).failures()}


def test_without_the_rule_the_schedule_of_figure_8_loses_a_write_and_with_it_none() -> None:
    counting, right = RaftFigure8Counting.raft, RaftFigure8.raft
    assert "n1 does not commit it" in failures(RaftFigure8, raft=counting)
    assert "the acknowledged write is gone" in failures(RaftFigure8Counting, raft=right)


def test_it_is_the_equal_timeouts_that_split_votes() -> None:
    assert failures(RaftSplitVote, timeout_ms=(300, 600)) == {"votes are split again and again"}
    late = failures(RaftRandomTimeouts, timeout_ms=(300, 300))
    assert late == {"a leader is elected in a few timeouts"}


def test_it_is_pre_vote_that_keeps_a_leader_in_office() -> None:
    assert "the leader leads on" in failures(RaftUndisturbed, raft=Raft)
    assert failures(RaftDisruptiveServer, raft=PreVote) == {
        "the well connected majority spends term after term",
        "leaders are deposed all the time",
    }


def test_it_is_the_joint_configuration_that_keeps_one_cluster() -> None:
    unsafe, safe = RaftMembershipUnsafe.raft, RaftMembershipSafe.raft
    assert failures(RaftMembershipUnsafe, raft=safe) == {
        "the change is done",
        "both acknowledge a write",
        "the last write is lost",
        "the history shows it",
    }
    assert "no node failed" in failures(RaftMembershipSafe, raft=unsafe)  # n3 loses what it told


def test_a_read_through_the_log_is_as_fresh_as_one_by_read_index() -> None:
    assert failures(RaftStaleRead, raft=ReadIndex) == {
        "the old leader answers",
        "the history is not linearizable",
    }
    assert failures(RaftReadIndex, raft=Raft) == {"no read is in the log"}


def test_a_lease_that_never_was_cannot_be_too_long() -> None:
    class WithoutLeases(RaftLeaseSkew):
        def nodes(self):
            options = {"election_timeout_ms": (400, 800), "heartbeat_ms": 100}
            return list(ReadIndex.group(5, **options))

    assert {check.name for check in WithoutLeases().run(seed=2).failures()} == {
        "with a lease, the leader answers by itself",
        "beyond the bound, it reads what is no longer so",
        "... and the history is not",
    }
