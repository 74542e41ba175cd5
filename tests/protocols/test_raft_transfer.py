"""Leadership transfer, sentence by sentence (dissertation, §3.10), and who may ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.core.errors import OperationFailed, OperationUnknown
from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import WORLD
from clusterlab.core.spec import Get, Put
from clusterlab.protocols.client import Client, NotLeader, Request
from clusterlab.protocols.raft import AppendEntries, AppendReply, ElectionTimeout, VoteReply
from clusterlab.protocols.raft.contact import CalledElection
from clusterlab.protocols.raft.production import LeasedRaft, ProductionRaft
from clusterlab.protocols.raft.transfer import (
    LeadershipTransfer,
    TimeoutNow,
    TransferLeadership,
    TransferOverdue,
)
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench, acknowledge, append, put


def established(size: int = 3, **fields: Any) -> Bench:
    """n1 leads; n2 has its whole log, the others have nothing of it yet."""
    bench = Bench(LeadershipTransfer.group(size)[0], **fields).fire(ElectionTimeout())
    for i in range(2, size // 2 + 2):
        bench.receive(f"n{i}", VoteReply(1, True))
    return acknowledge(bench, "n2")


def asked(bench: Bench, target: str = "n2") -> Bench:
    return bench.receive(WORLD, Invoke(TransferLeadership(target)))


def test_a_target_whose_log_is_complete_is_told_at_once() -> None:
    """The source: "The prior leader sends a TimeoutNow request to the target server."

    Reference: section 3.10
    """
    bench = asked(established())
    assert bench.sent(TimeoutNow) == [("n2", TimeoutNow(1))]
    assert bench.told_world() == [Invoked(TransferLeadership("n2"))]
    assert bench.set_timers() == {"TransferOverdue": 300}


def test_a_target_that_lacks_entries_gets_them_first() -> None:
    """The source: "The prior leader fully updates the target server's log to match its own, using
    the normal log replication mechanism".

    Reference: section 3.10
    """
    bench = asked(established(), "n3")
    assert bench.sent(TimeoutNow) == []
    bench.receive("n3", AppendReply(1, True, 1))
    assert bench.sent(TimeoutNow) == [("n3", TimeoutNow(1))]


def test_the_leader_stops_accepting_requests() -> None:
    """The source: "The prior leader stops accepting new client requests."

    Reference: section 3.10
    """
    bench = asked(established())
    log = bench.node.log
    for operation in (put(1), Get("x")):
        bench.receive("c1", Request(1, operation))
        assert bench.sent(NotLeader) == [("c1", NotLeader(1, "n2"))]
    assert bench.node.log == log


def test_the_target_begins_an_election_although_it_hears_the_leader() -> None:
    """The source: "This request has the same effect as the target server's election timer firing:
    the target server starts a new election (incrementing its term and becoming a candidate)."

    Reference: section 3.10
    """
    bench = Bench(ProductionRaft.group(3)[1]).receive("n1", append(1))
    bench.receive("n1", TimeoutNow(1))
    assert (bench.node.role, bench.node.current_term) == ("candidate", 2)
    assert bench.only_value(CalledElection) == CalledElection(2, 0, 0)


def test_the_promise_to_the_leader_does_not_stand_against_its_own_wish() -> None:
    """A flag on the request says that it comes from a transfer: servers vote even so.

    Reference: section 4.2.3
    """
    bench = Bench(ProductionRaft.group(3)[2]).receive("n1", append(1))
    bench.receive("n2", CalledElection(2, 0, 0))
    assert bench.only(VoteReply) == VoteReply(2, True)


def test_an_order_of_an_earlier_term_is_ignored() -> None:
    """Its leader leads no more."""
    bench = Bench(ProductionRaft.group(3)[1], current_term=3).receive("n1", TimeoutNow(2))
    assert (bench.effects, bench.node.current_term) == ((), 3)


def test_the_leader_gives_up_after_an_election_timeout() -> None:
    """The source: "If leadership transfer does not complete after about an election timeout, the
    prior leader aborts the transfer and resumes accepting client requests."

    Reference: section 3.10
    """
    bench = asked(established()).fire(TransferOverdue())
    assert bench.told_world() == [Returned("info", "n1")]
    bench.receive("c1", Request(1, put(1)))
    assert [dst for dst, _ in bench.sent(AppendEntries)] == ["n2"]  # n3 still owes an answer


def test_it_has_ended_when_a_new_leader_is_heard() -> None:
    """The source: "Its next message to the prior leader will include its new term number, causing
    the prior leader to step down."

    Reference: section 3.10
    """
    bench = asked(established()).receive("n2", CalledElection(2, 1, 1))
    assert (bench.node.role, bench.told_world()) == ("follower", [])
    bench.receive("n2", append(2, prev=(1, 1)))
    assert bench.told_world() == [Returned("ok", "n2")]


@pytest.mark.parametrize(
    ("server", "target", "reason"),
    [
        ("n1", "n9", "n9 is no server whose vote counts"),
        ("n2", "n3", "n2 does not lead; n1 does"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(server: str, target: str, reason: str) -> None:
    sim = led_by_n1()
    with pytest.raises(OperationFailed, match=reason):
        sim.invoke(server, TransferLeadership(target))
    assert sim.leader() == "n1"


def led_by_n1(**options: Any) -> Simulation:
    """Three servers of which n1 leads: the others have not waited long enough yet."""
    for seed in range(20):
        sim = Simulation(ProductionRaft.group(3, **options), client=Client.for_servers, seed=seed)
        if sim.run_until_leader() == "n1":
            sim.put("x", 1)
            return sim
    raise AssertionError("n1 was never elected")


def test_a_transfer_to_oneself_and_a_second_one_change_nothing() -> None:
    bench = asked(established(), "n1")
    assert bench.told_world() == [Invoked(TransferLeadership("n1")), Returned("ok", "n1")]
    bench = asked(asked(established(), "n3"))
    assert bench.told_world()[1] == Returned("fail", "n1 is handing over to n3")


def test_an_operation_for_clients_is_refused_by_a_server() -> None:
    bench = established().receive(WORLD, Invoke(Put("x", 1)))
    assert bench.told_world()[1] == Returned("fail", "Put(key='x', value=1) is for a client to ask")


def test_the_office_changes_hands_much_faster_than_by_a_timeout() -> None:
    """A transfer takes a few messages, and the clients lose nothing by it."""
    sim = led_by_n1()
    begun = sim.now_ms
    assert sim.invoke("n1", TransferLeadership("n3")) == "n3"
    assert sim.leader() == "n3"
    assert sim.now_ms - begun < 5 * 15  # messages of at most 15 ms each
    assert sim.get("x") == 1


def test_no_history_has_what_an_administrator_asked() -> None:
    """No client asked for it, and no store explains it."""
    sim = led_by_n1()
    sim.invoke("n1", TransferLeadership("n2"))
    assert [op.call for op in sim.history] == [Put("x", 1)]


def test_a_dead_target_costs_an_election_timeout_and_no_more() -> None:
    """The source: "It is also possible for the target server to fail; in this case, the cluster
    must resume client operations."

    Reference: section 3.10
    """
    sim = led_by_n1()
    sim.kill("n2")
    with pytest.raises(OperationUnknown):
        sim.invoke("n1", TransferLeadership("n2"))
    sim.put("x", 2)
    assert (sim.leader(), sim.get("x")) == ("n1", 2)


def test_a_leader_that_has_sent_the_order_has_no_lease_for_the_rest_of_its_term() -> None:
    """The order frees the others from their promise, and may still arrive at any time."""
    bench = Bench(LeasedRaft.group(1)[0]).fire(ElectionTimeout())
    bench.receive("c1", Request(1, Get("x")))
    assert bench.node.leased
    bench.node.released_term = bench.node.current_term
    before = bench.node.read_round
    bench.receive("c1", Request(2, Get("x")))
    assert bench.node.read_round == before + 1
