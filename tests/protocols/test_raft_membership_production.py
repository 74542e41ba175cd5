"""Members that change, together with all else that production has."""

from __future__ import annotations

from contextlib import suppress

import pytest

from clusterlab.core.errors import OperationFailed
from clusterlab.core.node import Message
from clusterlab.core.spec import Get
from clusterlab.protocols.client import Client, Reply, Request, counting_writes
from clusterlab.protocols.raft import (
    ElectionTimeout,
    Entry,
)
from clusterlab.protocols.raft.check_quorum import QuorumDue
from clusterlab.protocols.raft.membership import (
    AddLearner,
    AddServer,
    ChangeMembers,
    Membership,
    RemoveServer,
)
from clusterlab.protocols.raft.prevote import RequestPreVote
from clusterlab.protocols.raft.production import AsyncProductionRaft, LeasedRaft, ProductionRaft
from clusterlab.protocols.raft.reads import Heartbeat, HeartbeatReply
from clusterlab.protocols.raft.snapshots import InstallSnapshot
from clusterlab.protocols.raft.transfer import TimeoutNow, TransferLeadership
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench, acknowledge, append, log
from tests.protocols.membership_bench import (
    FIVE,
    FOUR,
    THREE,
    asked,
    changed,
    established,
    reason,
    server,
)


def compacted() -> Bench:
    """n1 leads with n4 as well, and the entry that says so is in its snapshot."""
    options = {"raft": ProductionRaft, "snapshot_entries": 2}
    bench = asked(established(**options), AddServer("n4"))
    acknowledge(bench, "n4", index=1)
    acknowledge(bench, "n2", "n3", index=2)
    assert (bench.node.offset, bench.node.log) == (2, ())
    return bench


def test_a_snapshot_holds_the_configuration() -> None:
    """The source: "To enable cluster membership changes (Section 6), the snapshot also includes the
    latest configuration in the log as of last included index."

    Reference: the paper's section 7
    """
    assert compacted().node.config.voters == FOUR
    assert compacted().restart().node.config.voters == FOUR


def test_who_receives_a_snapshot_goes_by_its_configuration() -> None:
    term, snapshot = 1, compacted().node.snapshot
    install = InstallSnapshot(term, *snapshot[:2], 0, snapshot.data, True)
    bench = server("n5", raft=ProductionRaft).receive("n1", install)
    assert bench.node.config.voters == FOUR
    assert bench.restart().node.config.voters == FOUR


def test_an_uncommitted_configuration_is_never_in_a_snapshot() -> None:
    """Only what is applied is; so what goes out of the log again is still in the log."""
    options = {"raft": ProductionRaft, "snapshot_entries": 2}
    bench = server("n2", **options)
    bench.receive("n1", append(1, entries=(*log(1, 1), changed(FOUR)), commit=2))
    assert (bench.node.offset, bench.node.config.voters) == (2, FOUR)
    bench.receive("n3", append(2, (2, 1), (Entry(2),)))
    assert bench.node.config.voters == THREE


def test_learners_answer_no_read_and_keep_no_leader_in_office() -> None:
    bench = established(raft=ProductionRaft)
    acknowledge(asked(bench, AddLearner("n4")), "n2", "n3", "n4").fire(QuorumDue())
    bench.receive("c1", Request(1, Get("x")))
    number = bench.node.read_round
    assert ("n4", Heartbeat(1, number)) in bench.sent(Heartbeat)
    assert bench.receive("n4", HeartbeatReply(1, number)).sent(Reply) == []
    assert bench.fire(QuorumDue()).node.role == "follower"


def test_a_learner_asks_for_no_pre_vote_and_is_not_handed_the_office() -> None:
    entries = (changed(THREE, learners=("n4",)),)
    bench = server("n4", raft=ProductionRaft).receive("n1", append(1, entries=entries, commit=1))
    assert bench.fire(ElectionTimeout()).sent(RequestPreVote) == []
    leader = asked(established(raft=ProductionRaft), AddLearner("n4"))
    acknowledge(leader, "n2", "n4")
    assert "no server whose vote counts" in reason(asked(leader, TransferLeadership("n4")))
    assert leader.sent(TimeoutNow) == []


def until_done(cluster: Simulation, wish: Message) -> None:
    """Ask whoever leads, until it has come true."""
    for _ in range(20):
        with suppress(OperationFailed):
            cluster.invoke(cluster.run_until_leader(), wish)
            return
        cluster.run(100)
    pytest.fail(f"{wish} was refused all the time")


@pytest.mark.parametrize("raft", [Membership, LeasedRaft, AsyncProductionRaft])
@pytest.mark.parametrize("seed", range(2))
def test_a_cluster_moves_to_other_machines_while_clients_write(
    raft: type[Membership], seed: int
) -> None:
    options = {} if raft is Membership else {"snapshot_entries": 6, "chunk_pieces": 2}
    with Simulation(raft.group(5, voters=THREE, **options), seed=seed) as cluster:
        writes = counting_writes("x")
        cluster.add_client(Client("c1", servers=FIVE, workload=writes, every_ms=20, retry_ms=100))
        for wish in (AddServer("n4"), RemoveServer("n1"), ChangeMembers(("n2", "n4", "n5"))):
            until_done(cluster, wish)
        cluster.run_until(
            lambda: (
                {cluster.state(n)["config"].voters for n in ("n2", "n4", "n5")}
                == {("n2", "n4", "n5")}
            ),
            what="the new members",
        )
        done = len(cluster.history.ok())
        cluster.run_until(lambda: len(cluster.history.ok()) > done, what="another write")
