"""What Multi-Paxos needs beside Lamport's paper: catching up, snapshots, clients, the lease.

Sources: Chandra, Griesemer and Redstone 2007, "Paxos Made Live"; van Renesse and Altinbuken 2015,
"Paxos Made Moderately Complex".
"""

from __future__ import annotations

import pytest

from clusterlab.core.node import NodeId
from clusterlab.core.packing import pack
from clusterlab.core.spec import Add, Get, Put
from clusterlab.protocols.client import NotLeader, Refused, Reply, Request
from clusterlab.protocols.multi_paxos import (
    CHOSEN,
    Accept,
    Accepted,
    CatchUp,
    ElectionTimeout,
    Heartbeat,
    HeartbeatDue,
    Learn,
    LeaseGranted,
    Nack,
    Prepare,
    Promise,
    Snapshot,
    TakeSnapshot,
)
from clusterlab.protocols.paxos import Proposal
from tests.protocols.multi_paxos_bench import (
    At,
    accepted,
    accepts,
    asked,
    ballot,
    command,
    leader,
    reborn,
    replica,
)

X, Y, Z = command("x"), command("y"), command("z")


def follower(name: NodeId = "n2", **options: object) -> At:
    """n2, which has accepted x, y and z from n1."""
    bench = replica(name=name, **options)
    bench.receive("n1", Accept(ballot(1), 1, (X, Y, Z), 0))
    return bench


# --- learning ---


def test_a_follower_executes_what_its_leader_says_is_chosen() -> None:
    """The leader's next message tells how far the slots are chosen."""
    bench = follower().receive("n1", Heartbeat(ballot(1), 2, None))

    assert (bench.node.executed, bench.node.machine) == (2, {"x": "y"})
    assert bench.sent(CatchUp) == []


def test_what_was_accepted_under_another_ballot_may_not_be_what_was_chosen() -> None:
    """The leader says that slot 1 is chosen, and not that it is this value."""
    bench = follower().receive("n3", Heartbeat(ballot(2, "n3"), 1, None))

    assert bench.node.executed == 0
    assert bench.sent(CatchUp) == [("n3", CatchUp(1))]


def test_who_lacks_a_slot_asks_for_it() -> None:
    """A replica that missed messages catches up from one that has not."""
    bench = replica(name="n2").receive("n1", Accept(ballot(1), 2, (Y,), 0))

    bench.receive("n1", Heartbeat(ballot(1), 2, None))

    assert bench.sent(CatchUp) == [("n1", CatchUp(1))]


def test_whoever_executed_a_slot_tells_what_was_chosen() -> None:
    """Any replica may answer, as much as goes into a message, and says how much more there is."""
    bench = follower(commands_max=1).receive("n1", Heartbeat(ballot(1), 2, None))

    bench.receive("n3", CatchUp(1))

    assert bench.sent(Learn) == [("n3", Learn(1, (X,), 2))]


def test_what_is_learned_is_kept_for_good_and_more_is_asked_for() -> None:
    """A chosen value counts as accepted under a ballot that nothing exceeds."""
    bench = replica(name="n3").receive("n2", Learn(1, (X,), 2))

    assert bench.node.log == (Proposal(CHOSEN, X),)
    assert (bench.node.executed, bench.sent(CatchUp)) == (1, [("n2", CatchUp(2))])
    assert bench.receive("n2", Learn(1, (X,), 2)).sent(CatchUp) == []  # late: nothing new


def test_an_acceptor_that_lags_much_learns_before_it_accepts() -> None:
    """Its log would be full of nothing."""
    bench = replica(name="n2").receive("n1", Accept(ballot(1), 10_000, (X,), 9_000))

    assert (bench.sent(Accepted), bench.node.log) == ([], ())


def test_a_command_that_was_chosen_twice_is_executed_once() -> None:
    """A client that asks two leaders may have its command chosen for two slots."""
    bench = replica(name="n2").receive("n1", Accept(ballot(1), 1, (X, Y, X), 0))

    bench.receive("n1", Heartbeat(ballot(1), 3, None))

    assert (bench.node.executed, bench.node.machine) == (3, {"x": "y"})


# --- snapshots ---


def test_a_snapshot_replaces_the_slots_that_it_holds() -> None:
    """The state after a slot, and the results that clients may ask for again."""
    bench = follower(snapshot_every=2).receive("n1", Heartbeat(ballot(1), 3, None))

    sessions = {"c-x": (1, None), "c-y": (1, None)}
    assert bench.node.snapshot == Snapshot(2, pack({"x": "y"}), pack(sessions))
    assert bench.node.log == (Proposal(ballot(1), Z),)
    assert set(bench.saves()) == {"snapshot", "log"}


def test_a_restart_begins_with_the_snapshot() -> None:
    """What is behind it is executed again when the leader says how far the slots are chosen."""
    bench = follower(snapshot_every=2).receive("n1", Heartbeat(ballot(1), 3, None))

    again = reborn(bench)

    assert (again.node.executed, again.node.machine) == (2, {"x": "y"})
    again.receive("n1", Heartbeat(ballot(1), 3, None))
    assert (again.node.executed, again.node.machine) == (3, {"x": "z"})


def test_a_replica_that_lags_gets_the_snapshot_and_what_follows() -> None:
    """Single commands of what it lacks are no longer there."""
    bench = follower(snapshot_every=2).receive("n1", Heartbeat(ballot(1), 3, None))

    bench.receive("n3", CatchUp(1))

    assert bench.only(TakeSnapshot).snapshot == bench.node.snapshot
    assert bench.only(Learn) == Learn(3, (Z,), 3)


def test_a_snapshot_brings_state_and_sessions() -> None:
    """A command that was executed before it is not executed again, but answered."""
    snapshot = Snapshot(2, pack({"x": "y"}), pack({"c-x": (1, None), "c-y": (1, None)}))
    bench = replica(name="n3").receive("n1", Accept(ballot(1), 3, (X, Z), 0))

    bench.receive("n1", TakeSnapshot(snapshot))
    held = (bench.node.executed, bench.node.log)
    bench.receive("n1", Heartbeat(ballot(1), 3, None))

    assert held == (2, (Proposal(ballot(1), X), Proposal(ballot(1), Z)))
    assert (bench.node.executed, bench.node.machine) == (3, {"x": "y"})


def test_a_snapshot_that_comes_late_changes_nothing() -> None:
    """State must not go back."""
    bench = follower().receive("n1", Heartbeat(ballot(1), 3, None))

    bench.receive("n1", TakeSnapshot(Snapshot(2, pack({}), pack({}))))

    assert (bench.node.executed, bench.saves()) == (3, {})


def test_what_was_learned_early_waits_for_the_snapshot() -> None:
    """Slot 3 is known, 1 and 2 are in the snapshot."""
    bench = replica(name="n3").receive("n1", Learn(3, (Z,), 3))
    early = bench.node.executed

    bench.receive("n1", TakeSnapshot(Snapshot(2, pack({}), pack({}))))

    assert (early, bench.node.executed, bench.node.machine) == (0, 3, {"x": "z"})


def test_a_promise_tells_only_what_is_behind_the_snapshot() -> None:
    """Where it begins tells the candidate what it lacks."""
    bench = follower(snapshot_every=2).receive("n1", Heartbeat(ballot(1), 2, None))

    bench.receive("n3", Prepare(ballot(2, "n3"), 1))

    assert bench.only(Promise) == Promise(ballot(2, "n3"), 3, (Proposal(ballot(1), Z),))


def test_a_candidate_leads_once_it_has_caught_up() -> None:
    """It has learned what was chosen, and proposes what follows."""
    bench = replica()
    bench.fire(ElectionTimeout())
    bench.receive("n2", Promise(ballot(1), 3, accepted((0, "z"))))

    bench.receive("n2", TakeSnapshot(Snapshot(2, pack({"x": "y"}), pack({}))))

    assert bench.node.role == "leader"
    assert bench.only_value(Accept) == Accept(ballot(1), 3, (Z,), 2)


def test_a_round_stays_whole_when_a_snapshot_takes_a_part_of_it() -> None:
    """Another has told the new leader that slot 1 is chosen, while it asks about 1 to 3."""
    bench = leader(3, accepted((0, "x"), (0, "y"), (0, "z")), snapshot_every=1)
    bench.receive("n2", Learn(1, (X,), 1))
    assert (bench.node.executed, bench.node.snapshot.slot) == (1, 1)

    bench.fire(HeartbeatDue()).fire(HeartbeatDue())
    repeated = bench.only_value(Accept)
    accepts(bench, 1, "n3")

    assert repeated == Accept(ballot(1), 1, (X, Y, Z), 1)
    assert (bench.node.executed, bench.node.machine) == (3, {"x": "z"})


def test_a_round_of_which_another_has_told_all_is_not_repeated() -> None:
    bench = leader(3, accepted((0, "x"))).receive("n2", Learn(1, (X,), 1))

    bench.fire(HeartbeatDue()).fire(HeartbeatDue())

    assert (bench.sent(Accept), bench.node.rounds, bench.node.votes) == ([], {}, {})


# --- clients ---


def test_a_client_is_answered_once_its_command_is_executed() -> None:
    bench = asked(leader(), "x")
    early = bench.sent(Reply)

    accepts(bench, 1, "n2")

    assert early == []
    assert bench.sent(Reply) == [("c-x", Reply(1, None))]
    assert bench.receive("c-x", Request(1, X.operation)).sent(Reply) == [("c-x", Reply(1, None))]


def test_a_request_that_comes_twice_gets_one_slot() -> None:
    bench = asked(leader(), "x", "x")

    assert (bench.sent(Accept), bench.node.last_slot) == ([], 1)


def test_who_does_not_lead_says_who_does() -> None:
    bench = follower().receive("c1", Request(1, Put("x", 1)))

    assert bench.sent(NotLeader) == [("c1", NotLeader(1, "n1"))]


def test_what_the_application_cannot_do_gets_no_slot() -> None:
    bench = leader().receive("c1", Request(1, Add(1)))

    assert "no operation" in bench.only(Refused).reason
    assert bench.node.last_slot == 0


# --- the lease ---

LEASE = {"lease_ms": 100, "clock_ratio": 1.25}


def leased(now_ms: int = 1_000) -> At:
    """n1 leads and has asked for the lease at that time."""
    bench = leader(3, accepted((0, "x")), **LEASE).at(now_ms)
    accepts(bench, 1, "n2")
    bench.fire(HeartbeatDue())
    assert bench.only_value(Heartbeat).sent_ms == now_ms
    return bench


def reads(bench: At, serial: int = 1) -> list[Reply]:
    """What a client is told at once that reads x."""
    return [reply for _, reply in bench.receive("c1", Request(serial, Get("x"))).sent(Reply)]


def test_a_leader_with_the_lease_reads_its_own_state() -> None:
    bench = leased().receive("n2", LeaseGranted(ballot(1), 1_000))

    assert reads(bench) == [Reply(1, "x")]
    assert bench.node.last_slot == 1


@pytest.mark.parametrize(("later_ms", "holds"), [(79, True), (80, False), (500, False)])
def test_the_lease_ends_earlier_for_its_holder_than_for_its_granters(
    later_ms: int, holds: bool
) -> None:
    """No clock runs more than 1.25 times as fast as another: 80 ms here are at most 100 there."""
    bench = leased().receive("n2", LeaseGranted(ballot(1), 1_000)).at(1_000 + later_ms)

    assert bool(reads(bench)) == holds
    assert bench.node.last_slot == (1 if holds else 2)


def test_without_a_quorum_of_granters_there_is_no_lease() -> None:
    assert reads(leased()) == []
    assert reads(leased().receive("n2", LeaseGranted(ballot(0), 1_000))) == []


def test_a_new_leader_first_executes_what_earlier_ones_may_have_acknowledged() -> None:
    bench = leader(3, accepted((0, "x")), **LEASE).receive("n2", LeaseGranted(ballot(1), 0))

    assert reads(bench) == []


def test_writes_need_slots_all_the_same() -> None:
    bench = asked(leased().receive("n2", LeaseGranted(ballot(1), 1_000)), "y")

    assert bench.node.last_slot == 2


def test_a_granter_promises_nobody_else_a_ballot_until_the_lease_is_over() -> None:
    bench = replica(name="n2", **LEASE).at(5_000)
    bench.receive("n1", Heartbeat(ballot(1), 0, 1_000))
    granted = bench.only(LeaseGranted)

    bench.at(5_099).receive("n3", Prepare(ballot(2, "n3"), 1))
    early = bench.effects
    bench.at(5_100).receive("n3", Prepare(ballot(2, "n3"), 1))

    assert granted == LeaseGranted(ballot(1), 1_000)
    assert early == ()
    assert bench.only(Promise).ballot == ballot(2, "n3")


def test_a_granter_does_not_ask_for_a_ballot_itself() -> None:
    bench = replica(name="n2", **LEASE).receive("n1", Heartbeat(ballot(1), 0, 0))

    assert bench.fire(ElectionTimeout()).sent(Prepare) == []


def test_a_granter_that_was_dead_does_not_know_whether_its_lease_is_over() -> None:
    bench = replica(name="n2", **LEASE).receive("n1", Heartbeat(ballot(1), 0, 0))
    again = reborn(bench)

    again.at(99).receive("n3", Prepare(ballot(2, "n3"), 1))
    early = again.sent(Promise)
    again.at(100).receive("n3", Prepare(ballot(2, "n3"), 1))

    assert early == []
    assert again.only(Promise)


def test_old_news_of_a_higher_ballot_opens_no_lease_to_its_owner() -> None:
    """n2 once asked for a ballot and was refused; now it follows n1, and has granted a lease."""
    bench = replica(name="n2", **LEASE)
    bench.fire(ElectionTimeout())
    bench.receive("n1", Heartbeat(ballot(7), 0, 0))

    bench.receive("n1", Nack(ballot(1, "n2"), ballot(8, "n3")))
    bench.receive("n3", Prepare(ballot(8, "n3"), 1))

    assert (bench.node.promised, bench.sent(Promise)) == (ballot(7), [])


def test_a_leader_that_promised_another_ballot_reads_no_more() -> None:
    bench = leased().receive("n2", LeaseGranted(ballot(1), 1_000))

    bench.receive("n3", Prepare(ballot(2, "n3"), 1))

    assert bench.node.role == "follower"
    assert reads(bench) == []


# --- what views and stories show ---


def test_a_replica_shows_its_role_ballot_and_progress() -> None:
    bench = accepts(asked(leader(), "x"), 1, "n2")

    assert bench.node.status() == {
        "role": "leader",
        "epoch": 1,
        "label": "ballot 1.n1 · 1 executed",
    }
    assert bench.node.marks() == {"log": {"executed": 1, "start": 0}}


def test_a_story_tells_of_ballots_and_slots() -> None:
    before = replica(name="n2").node
    after = follower().node

    assert after.in_words("promised", before) == "promises ballot 1.n1"
    assert after.in_words("log", before).startswith("accepts Put(key='x', value='x') in slot 1")
    assert leader().node.in_words("role", before) == "leads under ballot 1.n1"
