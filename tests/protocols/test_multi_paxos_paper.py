"""Multi-Paxos, sentence by sentence: Lamport 2001, "Paxos Made Simple", section 3.

Each test is one sentence: it sets a replica up, acts, and checks. What other papers add (catching
up, snapshots, the lease) is in `test_multi_paxos_replica.py`.
"""

from __future__ import annotations

import itertools

import pytest

from clusterlab.core.quorum import Flexible
from clusterlab.core.values import Splice
from clusterlab.protocols.multi_paxos import (
    CHOSEN,
    Accept,
    Accepted,
    CatchUp,
    ElectionTimeout,
    Heartbeat,
    HeartbeatDue,
    Nack,
    Prepare,
    Promise,
    ProposeDue,
)
from clusterlab.protocols.paxos import Proposal
from tests.protocols.multi_paxos_bench import (
    accepted,
    accepts,
    asked,
    ballot,
    candidate,
    command,
    leader,
    reborn,
    replica,
)

X, Y, Z = command("x"), command("y"), command("z")

# --- phase 1, for all instances at once ---


def test_a_new_leader_asks_once_for_all_instances() -> None:
    """Using the same proposal number for all instances, it can do this by sending a single
    reasonably short message to the other servers.
    """
    bench = candidate()

    assert bench.sent(Prepare) == [(n, Prepare(ballot(1), 1)) for n in ("n2", "n3")]
    assert bench.saves() == {"promised": ballot(1)}


def test_it_asks_for_what_it_does_not_know_to_be_chosen() -> None:
    """Suppose it knows commands 1-134, 138, and 139. It then executes phase 1 of instances 135-137
    and of all instances greater than 139.
    """
    bench = replica(name="n2")
    bench.receive("n1", Accept(ballot(1), 1, (X, Y), 0), Heartbeat(ballot(1), 2, None))

    bench.fire(ElectionTimeout())

    assert bench.only_value(Prepare) == Prepare(ballot(2, "n2"), 3)


def test_an_acceptor_responds_for_all_instances_at_once() -> None:
    """A server (acting as acceptor) can respond for all instances with a single reasonably short
    message.
    """
    bench = replica().receive("n2", Accept(ballot(1, "n2"), 1, (X,), 0))
    bench.receive("n2", Accept(ballot(1, "n2"), 3, (Z,), 0))

    bench.receive("n3", Prepare(ballot(2, "n3"), 1))

    slots = (Proposal(ballot(1, "n2"), X), None, Proposal(ballot(1, "n2"), Z))
    assert bench.only(Promise) == Promise(ballot(2, "n3"), 1, slots)
    assert bench.saves() == {"promised": ballot(2, "n3")}


def test_a_promise_holds_for_all_instances() -> None:
    """An acceptor accepts unless it has already responded to a prepare request having a number
    greater than n (section 2.2).
    """
    bench = replica().receive("n3", Prepare(ballot(2, "n3"), 1))

    bench.receive("n2", Accept(ballot(1, "n2"), 7, (X,), 0))

    assert bench.sent(Nack) == [("n2", Nack(ballot(1, "n2"), ballot(2, "n3")))]
    assert (bench.values(), bench.sent(Accepted)) == ({}, [])


@pytest.mark.parametrize("low", [ballot(1, "n3"), ballot(2, "n2")])
def test_a_lower_ballot_gets_no_promise(low: object) -> None:
    """It responds to a number greater than that of any to which it has responded (section 2.2)."""
    bench = replica().receive("n3", Prepare(ballot(2, "n3"), 1))

    bench.receive("n2", Prepare(low, 1))

    assert bench.sent(Promise) == []
    assert bench.only(Nack).promised == ballot(2, "n3")


def test_a_promise_and_what_was_accepted_survive_a_crash() -> None:
    """An acceptor must remember this information even if it fails and then restarts (§2.2)."""
    bench = replica().receive("n2", Accept(ballot(1, "n2"), 1, (X,), 0))
    bench.receive("n3", Prepare(ballot(4, "n3"), 1))

    again = reborn(bench).receive("n2", Prepare(ballot(3, "n2"), 1))
    refused = again.only(Nack)
    again.receive("n2", Prepare(ballot(5, "n2"), 1))

    assert refused.promised == ballot(4, "n3")
    assert again.only(Promise).accepted == (Proposal(ballot(1, "n2"), X),)


def test_a_leader_needs_promises_of_a_majority() -> None:
    """A response from a majority of acceptors (section 2.2); twice the same is one."""
    bench = candidate(5)

    for src in ("n2", "n2"):
        bench.receive(src, Promise(ballot(1), 1, ()))
    early = bench.node.role
    bench.receive("n3", Promise(ballot(1), 1, ()))

    assert (early, bench.node.role) == ("candidate", "leader")
    assert bench.notes("leader") == [ballot(1)]
    assert bench.only_value(Heartbeat) == Heartbeat(ballot(1), 0, None)


def test_promises_of_another_ballot_do_not_count() -> None:
    """A response to its prepare requests, numbered n (section 2.2)."""
    bench = candidate()
    bench.fire(ElectionTimeout())

    bench.receive("n2", Promise(ballot(1), 1, ()))

    assert (bench.node.role, bench.node.promised) == ("candidate", ballot(2))


def test_the_highest_reported_proposal_of_each_instance_binds() -> None:
    """The outcome of these executions determines the value to be proposed in instances 135 and
    140.
    """
    reports = (accepted((1, "low"), (4, "p")), accepted((3, "high")), accepted(None, (2, "q")))

    for order in itertools.permutations(reports):
        bench = replica(5)
        bench.node.promised = ballot(5, "n2")
        bench.fire(ElectionTimeout())
        for number, slots in enumerate(order, 2):
            bench.receive(f"n{number}", Promise(ballot(6), 1, slots))
            if bench.node.role == "leader":
                break
        # Two of the three were heard; each combination binds differently.
        heard = order[:2]
        for slot in range(max(map(len, heard))):
            known = [report[slot] for report in heard if slot < len(report) and report[slot]]
            expected = max(known).value.operation.value if known else None
            assert bench.values()[slot + 1] == expected


def test_a_gap_is_filled_with_no_ops() -> None:
    """We let it fill the gap immediately by proposing a special "no-op" command that leaves the
    state unchanged.
    """
    bench = leader(3, accepted((1, "x"), None, None, (1, "z")))

    assert bench.sent(Accept)[0][1] == Accept(ballot(1), 1, (X, None, None, Z), 0)
    assert bench.notes("no-op") == [2, 3]


def test_once_the_no_ops_are_chosen_the_rest_is_executed() -> None:
    """Once these no-op commands have been chosen, commands 138-140 can be executed."""
    bench = leader(3, accepted((1, "x"), None, (1, "z")))

    accepts(bench, 1, "n2")

    assert (bench.node.executed, bench.node.machine) == (3, {"x": "z"})


# --- phase 2, for one command after the other ---


def test_the_effective_cost_of_a_command_is_that_of_phase_2() -> None:
    """The effective cost of executing a state machine command is the cost of executing only phase 2
    of the consensus algorithm.
    """
    bench = leader()

    for slot, value in enumerate("xyz", 1):
        asked(bench, value)
        assert bench.only_value(Accept) == Accept(ballot(1), slot, (command(value),), slot - 1)
        assert bench.sent(Prepare) == []
        accepts(bench, slot, "n2")

    assert bench.node.executed == 3


def test_a_leader_writes_down_what_it_proposes_before_it_sends_it() -> None:
    """It records its intended response in stable storage before actually sending it (section 2.5):
    it is an acceptor too. The disk writes only what is new.
    """
    bench = asked(leader(), "x", "y")

    assert bench.saves() == {"log": Splice(1, (Proposal(ballot(1), Y),))}


def test_a_command_is_proposed_before_the_last_is_chosen() -> None:
    """The leader can propose command 142 before it learns that its proposed command 141 has been
    chosen.
    """
    bench = asked(leader(), "x")

    asked(bench, "y")

    assert bench.only_value(Accept) == Accept(ballot(1), 2, (Y,), 0)


def test_a_leader_gets_so_many_rounds_ahead() -> None:
    """Suppose a leader can get α commands ahead. What comes then goes into one round."""
    bench = asked(leader(alpha=2), "a", "b", "x", "y")
    waiting = bench.sent(Accept)

    accepts(bench, 1, "n3")

    assert waiting == []
    assert bench.only_value(Accept) == Accept(ballot(1), 3, (X, Y), 1)


def test_later_commands_wait_for_the_gap() -> None:
    """It can't execute commands 138-140, which it also knows, because commands 136 and 137 have yet
    to be chosen.
    """
    bench = asked(leader(), "x", "y")

    accepts(bench, 2, "n3")
    early = (bench.node.executed, bench.node.learned)
    accepts(bench, 1, "n2")

    assert early == (0, {2: Y})
    assert (bench.node.executed, bench.node.machine) == (2, {"x": "y"})
    assert bench.notes("executed") == [2]


def test_a_majority_of_one_ballot_chooses() -> None:
    """A learner must find out that a proposal has been accepted by a majority (section 2.3)."""
    bench = asked(leader(5), "x")

    bench.receive("n2", Accepted(ballot(1), 1), Accepted(ballot(1), 1))
    bench.receive("n3", Accepted(ballot(0), 1))
    early = bench.node.executed
    accepts(bench, 1, "n4")

    assert (early, bench.node.executed) == (0, 1)


def test_messages_that_are_not_answered_are_sent_again() -> None:
    """When the leader fails to receive the expected response to its phase 2 messages in instance
    141, it will retransmit those messages.
    """
    bench = asked(leader(5), "x")
    accepts(bench, 1, "n2")
    bench.fire(HeartbeatDue())
    too_early = bench.sent(Accept)

    bench.fire(HeartbeatDue())

    assert too_early == []
    assert bench.sent(Accept) == [(n, Accept(ballot(1), 1, (X,), 0)) for n in ("n3", "n4", "n5")]


def test_an_acceptor_accepts_each_instance_by_itself() -> None:
    """It is possible for all the messages of command 141 to be lost, and for command 142 to be
    chosen.
    """
    bench = replica(name="n2").receive("n1", Accept(ballot(1), 3, (Z,), 0))

    assert bench.only(Accepted) == Accepted(ballot(1), 3)
    assert bench.values() == {3: "z"}

    bench.receive("n1", Accept(ballot(1), 1, (X, Y), 0))

    assert bench.values() == {1: "x", 2: "y", 3: "z"}


def test_a_higher_ballot_replaces_what_was_accepted_and_nothing_replaces_what_is_chosen() -> None:
    """It is possible that an acceptor accepts more than one proposal of an instance (§2.2)."""
    bench = replica(name="n2").receive("n1", Accept(ballot(1), 1, (X, Y), 0))
    bench.node.log = (Proposal(CHOSEN, X), *bench.node.log[1:])

    bench.receive("n3", Accept(ballot(2, "n3"), 1, (X, Z), 0))

    assert bench.node.log == (Proposal(CHOSEN, X), Proposal(ballot(2, "n3"), Z))


def test_who_is_refused_follows_and_goes_higher_when_nobody_leads() -> None:
    """If multiple servers think they are leaders, safety is preserved; abandoning helps (§2.2)."""
    bench = asked(leader(), "x").receive("n2", Nack(ballot(1), ballot(7, "n3")))
    after = (bench.node.role, bench.node.rounds, bench.node.waiting)

    bench.fire(ElectionTimeout())

    assert after == ("follower", {}, {})
    assert bench.only_value(Prepare).ballot == ballot(8)


def test_a_leader_that_meets_a_higher_ballot_steps_down() -> None:
    """An acceptor that promises a ballot leads no more in a lower one."""
    bench = leader().receive("n3", Prepare(ballot(2, "n3"), 1))

    assert (bench.node.role, bench.node.leader_id) == ("follower", None)
    assert bench.only(Promise).ballot == ballot(2, "n3")
    assert bench.fire(HeartbeatDue()).sent(Heartbeat) == []


def test_a_number_is_never_used_again_even_after_a_crash() -> None:
    """It begins phase 1 with a higher proposal number than any it has already used (§2.5)."""
    bench = reborn(candidate()).fire(ElectionTimeout())

    assert bench.only_value(Prepare).ballot == ballot(2)


def test_what_arrives_together_shares_a_round() -> None:
    """Batching: with `gather_ms`, a round begins when the timer fires."""
    bench = asked(leader(gather_ms=0), "x", "y")
    waiting = bench.sent(Accept)

    bench.fire(ProposeDue())

    assert waiting == []
    assert bench.only_value(Accept) == Accept(ballot(1), 1, (X, Y), 0)


def test_a_long_history_is_proposed_again_in_several_messages() -> None:
    """`commands_max` bounds a message, in phase 2 of the recovered slots too."""
    bench = leader(3, accepted((1, "x"), (1, "y"), (1, "z")), commands_max=2)

    rounds = [m for dst, m in bench.sent(Accept) if dst == "n2"]
    assert [(m.first, m.commands) for m in rounds] == [(1, (X, Y)), (3, (Z,))]


# --- Howard, Malkhi and Spiegelman 2016, "Flexible Paxos" ---

FOUR = ("n1", "n2", "n3", "n4")


def test_each_phase_has_quorums_of_its_own() -> None:
    """Only quorums of different phases must meet."""
    bench = candidate(4, quorums=Flexible.of_sizes(FOUR, phase_1=3, phase_2=2))
    roles = []
    for src in ("n2", "n3"):
        bench.receive(src, Promise(ballot(1), 1, ()))
        roles.append(bench.node.role)

    accepts(asked(bench, "x"), 1, "n4")

    assert roles == ["candidate", "leader"]
    assert bench.node.executed == 1


def test_a_leader_that_lags_learns_before_it_leads() -> None:
    """What an acceptor keeps only in its snapshot is chosen: no no-op may take its place."""
    bench = candidate()

    bench.receive("n2", Promise(ballot(1), 11, ()))

    assert bench.node.role == "candidate"
    assert bench.sent(CatchUp) == [("n2", CatchUp(1))]
