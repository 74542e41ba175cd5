"""Changing the members, sentence by sentence (dissertation, chapter 4), and who may ask for it."""

from __future__ import annotations

import pytest

from clusterlab.core.node import Message
from clusterlab.protocols.client import NotLeader, Request
from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    ElectionTimeout,
    Entry,
    RequestVote,
    VoteReply,
)
from clusterlab.protocols.raft.configuration import Configuration
from clusterlab.protocols.raft.membership import (
    ROUNDS_MAX,
    AddLearner,
    AddServer,
    ChangeMembers,
    RemoveServer,
    RoundDue,
)
from tests.protocols.bench import Bench, acknowledge, append, log, put
from tests.protocols.membership_bench import (
    FIVE,
    FOUR,
    THREE,
    answer,
    asked,
    changed,
    elected,
    established,
    reason,
    server,
)

# --- when a configuration counts (section 4.1) ----------------------------------------------------


def test_a_leader_uses_it_as_soon_as_it_is_in_its_log() -> None:
    """The source: "The new configuration takes effect on each server as soon as it is added to that
    server's log: the C_new entry is replicated to the C_new servers, and a majority of the new
    configuration is used to determine the C_new entry's commitment."

    Reference: section 4.1
    """
    bench = asked(established(FOUR), RemoveServer("n4"))
    assert bench.node.config.voters == THREE
    assert {dst for dst, _ in bench.sent(AppendEntries)} == {"n2", "n3"}
    acknowledge(bench, "n2")  # two of three are a majority, two of four were none
    assert bench.node.commit_index == 2
    assert answer(bench) == ("ok", THREE)


def test_a_follower_uses_it_before_it_is_committed() -> None:
    """The source: "servers do not wait for configuration entries to be committed, and each server
    always uses the latest configuration found in its log."

    Reference: section 4.1
    """
    bench = server("n2").receive("n1", append(1, entries=(changed(FOUR),)))
    assert (bench.node.config.voters, bench.node.commit_index) == (FOUR, 0)
    bench.fire(ElectionTimeout()).receive("n3", VoteReply(2, True))
    assert bench.node.role == "candidate"  # two of four
    assert bench.receive("n4", VoteReply(2, True)).node.role == "leader"


def test_it_goes_back_to_the_one_before_when_the_entry_is_taken_out_of_its_log() -> None:
    """The source: "a server must be prepared to fall back to the previous configuration in its
    log".

    Reference: section 4.1
    """
    bench = server("n2").receive("n1", append(1, entries=(changed(FOUR), changed(FIVE))))
    assert bench.node.config.voters == FIVE
    bench.receive("n3", append(2, (1, 1), (Entry(2),)))
    assert bench.node.config.voters == FOUR
    bench.receive("n1", append(3, entries=(Entry(3),)))
    assert bench.node.config.voters == THREE


def test_a_restarted_server_finds_it_in_its_log() -> None:
    bench = server("n2").receive("n1", append(1, entries=(Entry(1), changed(FOUR))))
    assert bench.restart().node.config.voters == FOUR


def test_the_first_configuration_is_of_members() -> None:
    with pytest.raises(Exception, match=r"must name the voters \['n9'\]"):
        server(voters=("n1", "n9"))


# --- one at a time (section 4.1) ------------------------------------------------------------------


def test_a_change_waits_for_the_one_before() -> None:
    """The source, of the commitment of C_new: then "further configuration changes can be started.
    Before this point, overlapping configuration changes could degrade to unsafe situations".

    Reference: section 4.1
    """
    bench = asked(established(FOUR), RemoveServer("n4"))
    assert "on its way" in reason(asked(bench, RemoveServer("n3")))
    acknowledge(bench, "n2", "n3")
    assert answer(acknowledge(asked(bench, RemoveServer("n3")), "n2")) == ("ok", ("n1", "n2"))


def test_a_change_waits_while_a_server_catches_up() -> None:
    bench = asked(established(), AddServer("n4"))
    assert "on its way" in reason(asked(bench, AddServer("n5")))


def test_a_new_leader_commits_something_of_its_own_first() -> None:
    """The mend of 2015: "a leader may not append a new configuration entry until it has committed
    an entry from its current term".

    Reference: raft-dev, "bug in single-server membership changes", July 2015
    """
    bench = elected()
    assert "not committed anything in term 1" in reason(asked(bench, RemoveServer("n3")))
    acknowledge(bench, "n2")
    assert bench.node.config.voters == THREE
    assert asked(bench, RemoveServer("n3")).node.config.voters == ("n1", "n2")


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (AddServer("n9"), "no server n9"),
        (AddLearner("n9"), "no server n9"),
        (ChangeMembers(()), "at least one voter"),
    ],
)
def test_what_cannot_be_is_refused(wish: Message, why: str) -> None:
    bench = established()
    assert why in reason(asked(bench, wish))
    assert bench.node.config == Configuration(THREE)


def test_the_last_voter_stays() -> None:
    bench = established(("n1",))
    assert "at least one voter" in reason(asked(bench, RemoveServer("n1")))


def test_only_a_leader_changes_members() -> None:
    bench = server("n2").receive("n1", append(1))
    assert reason(asked(bench, AddServer("n4"))) == "n2 does not lead; n1 does"


@pytest.mark.parametrize("wish", [AddServer("n2"), RemoveServer("n5"), ChangeMembers(THREE)])
def test_what_is_so_already_needs_no_entry(wish: Message) -> None:
    bench = established()
    assert answer(asked(bench, wish)) == ("ok", THREE)
    assert len(bench.node.log) == 1


def test_a_leader_that_steps_down_does_not_know_what_becomes_of_it() -> None:
    bench = asked(established(FOUR), RemoveServer("n4")).receive("n2", append(2))
    assert answer(bench)[0] == "info"


# --- catching up (section 4.2.1) ------------------------------------------------------------------


def test_a_new_server_receives_the_log_before_it_counts() -> None:
    """The source: "a new server joins the cluster as a non-voting member. The leader replicates log
    entries to it, but it is not yet counted towards majorities for voting or commitment purposes."

    Reference: section 4.2.1
    """
    bench = asked(established(), AddServer("n4"))
    assert bench.node.config.voters == THREE
    # It is asked as any follower is, until the leader knows how much it lacks.
    bench.receive("n4", AppendReply(1, False, 0))
    assert bench.to("n4", AppendEntries).entries == bench.node.log
    bench.receive("n4", AppendReply(1, True, 1))
    assert bench.node.config.voters == FOUR
    assert {dst for dst, _ in bench.sent(AppendEntries)} == {"n2", "n3", "n4"}


def test_a_round_replicates_what_the_log_held_when_it_began() -> None:
    """The source: "Each round replicates all the log entries present in the leader's log at the
    start of the round", and "waits a fixed number of rounds".

    Reference: section 4.2.1
    """
    bench = asked(established(), AddServer("n4")).fire(RoundDue())
    bench.receive("c1", Request(1, put(1)))
    # The first round took too long: its end begins the second, which holds what came meanwhile.
    bench.receive("n4", AppendReply(1, True, 1))
    assert (bench.node.config.voters, bench.node.round_goal) == (THREE, 2)
    bench.receive("n4", AppendReply(1, True, 2))
    assert bench.node.config.voters == FOUR


def test_a_server_that_does_not_catch_up_is_refused() -> None:
    """The source: "The leader should also abort the change if the new server is unavailable or is
    so slow that it will never catch up."

    Reference: section 4.2.1
    """
    bench = asked(established(), AddServer("n4"))
    for _ in range(ROUNDS_MAX):
        bench.fire(RoundDue())
    assert reason(bench) == "n4 does not catch up"
    assert (bench.node.config.voters, bench.node.peers) == (THREE, ("n2", "n3"))
    assert asked(bench, RemoveServer("n3")).node.config.voters == ("n1", "n2")


# --- learners (section 4.2.1) ---------------------------------------------------------------------


def with_a_learner() -> Bench:
    """n4 listens; n2 has everything."""
    return acknowledge(asked(established(), AddLearner("n4")), "n2")


def test_a_learner_has_the_log_and_counts_nowhere() -> None:
    bench = with_a_learner()
    assert bench.node.config == Configuration(THREE, ("n4",))
    bench.receive("c1", Request(1, put(1)))
    acknowledge(bench, "n4")
    assert bench.node.commit_index == 2
    assert acknowledge(bench, "n3").node.commit_index == 3


def test_a_learner_never_asks_for_votes_and_gives_its_own_when_asked() -> None:
    """Who is asked may have been promoted without knowing it yet: so it does not look.

    Reference: section 4.1, "it is the caller's configuration that is used in reaching consensus"
    """
    entries = (changed(THREE, learners=("n4",)),)
    bench = server("n4").receive("n1", append(1, entries=entries, commit=1))
    bench.fire(ElectionTimeout())
    assert (bench.node.role, bench.sent(RequestVote)) == ("follower", [])
    assert bench.set_timers()["ElectionTimeout"] == (150, 300)
    bench.receive("n2", RequestVote(2, 2, 1))
    assert bench.only(VoteReply) == VoteReply(2, True)


def test_who_hears_no_leader_any_more_sends_no_client_to_it() -> None:
    bench = server("n5").receive("n1", append(1, entries=log(1)))
    bench.receive("c1", Request(1, put(1)))
    assert bench.only(NotLeader) == NotLeader(1, "n1")
    bench.fire(ElectionTimeout()).receive("c1", Request(1, put(1)))
    assert bench.only(NotLeader) == NotLeader(1, None)


def test_a_stranger_takes_entries_and_votes() -> None:
    """The source: "a server accepts AppendEntries requests from a leader that is not part of the
    server's latest configuration. [...] A server also grants its vote to a candidate that is not
    part of the server's latest configuration".

    Reference: section 4.1
    """
    bench = server("n5").receive("n4", append(1, entries=log(1)))
    assert bench.only(AppendReply) == AppendReply(1, True, 1)
    bench.receive("n4", RequestVote(2, 1, 1))
    assert bench.only(VoteReply).granted


def test_a_learner_becomes_a_voter() -> None:
    bench = acknowledge(with_a_learner(), "n4")
    assert asked(bench, AddServer("n4")).node.config == Configuration(FOUR)


# --- removing the leader (section 4.2.2) ----------------------------------------------------------


def test_a_removed_leader_leads_on_without_counting_itself() -> None:
    """The source: "there will be a period of time (while it is committing C_new) when a leader can
    manage a cluster that does not include itself; it replicates log entries but does not count
    itself in majorities."

    Reference: section 4.2.2
    """
    bench = acknowledge(asked(established(), RemoveServer("n1")), "n2")
    assert (bench.node.role, bench.node.commit_index) == ("leader", 1)


def test_a_removed_leader_steps_down_once_the_entry_is_committed() -> None:
    """The source: "the leader steps down once the C_new entry is committed".

    Reference: section 4.2.2
    """
    bench = acknowledge(asked(established(), RemoveServer("n1")), "n2", "n3")
    assert (bench.node.role, bench.node.commit_index) == ("follower", 2)
    assert answer(bench) == ("ok", ("n2", "n3"))
    assert bench.node.status()["role"] == "outside"
    bench.fire(ElectionTimeout())  # and it stays out of elections
    assert bench.sent(RequestVote) == []


def test_a_removed_server_may_be_needed_until_then() -> None:
    """The source: "a server that is not part of its own latest configuration should still start new
    elections, as it might still be needed until the C_new entry is committed".

    Reference: section 4.2.2
    """
    bench = asked(established(), RemoveServer("n1")).restart().fire(ElectionTimeout())
    assert {dst for dst, _ in bench.sent(RequestVote)} == {"n2", "n3"}
    bench.receive("n2", VoteReply(2, True))
    assert bench.node.role == "candidate"  # its own vote does not count
    assert bench.receive("n3", VoteReply(2, True)).node.role == "leader"


# --- arbitrary changes (section 4.3) --------------------------------------------------------------


def in_between() -> Bench:
    """From n1, n2, n3 to n1, n4, n5: both new ones have all, and the joint entry is in the log."""
    bench = asked(established(), ChangeMembers(("n1", "n4", "n5")))
    return acknowledge(bench, "n4", "n5", index=1)


def test_several_at_once_go_through_both() -> None:
    """The source: "Log entries are replicated to all servers in both configurations."

    Reference: section 4.3
    """
    bench = in_between()
    assert bench.node.config == Configuration(("n1", "n4", "n5"), old=THREE)
    assert set(bench.node.peers) == {"n2", "n3", "n4", "n5"}


@pytest.mark.parametrize("one_side", [("n2", "n3"), ("n4", "n5")])
def test_agreement_needs_majorities_of_both(one_side: tuple[str, ...]) -> None:
    """The source: "Agreement (for elections and entry commitment) requires majorities from both the
    old and new configurations."

    Reference: section 4.3
    """
    bench = acknowledge(in_between(), *one_side)
    assert bench.node.commit_index == 1
    other = "n4" if "n2" in one_side else "n2"
    assert acknowledge(bench, other, index=2).node.commit_index == 2
    votes = in_between().fire(ElectionTimeout()).restart().fire(ElectionTimeout())
    for voter in one_side:
        votes.receive(voter, VoteReply(2, True))
    assert votes.node.role == "candidate"
    assert votes.receive(other, VoteReply(2, True)).node.role == "leader"


def test_the_new_one_follows_once_the_joint_one_is_committed() -> None:
    """The source: "Once C_old,new has been committed, [...] it is now safe for the leader to create
    a log entry describing C_new".

    Reference: section 4.3
    """
    bench = acknowledge(in_between(), "n2", "n4", index=2)
    assert bench.node.config == Configuration(("n1", "n4", "n5"))
    assert answer(acknowledge(bench, "n4", index=3)) == ("ok", ("n1", "n4", "n5"))


def test_a_new_leader_brings_a_joint_one_to_its_end() -> None:
    bench = in_between().restart().fire(ElectionTimeout())
    for voter in ("n2", "n4"):
        bench.receive(voter, VoteReply(2, True))
    acknowledge(bench, "n2", "n4", index=3)
    assert bench.node.config == Configuration(("n1", "n4", "n5"))
