"""A run in words: causes before effects, nothing beside them, and what was forgotten is named."""

from __future__ import annotations

from clusterlab.check.explore import explore
from clusterlab.check.invariants import paxos, raft
from clusterlab.check.properties import always
from clusterlab.check.story import Story, by_node, tell
from clusterlab.core.node import NodeId, volatile
from clusterlab.core.trace import Trace
from clusterlab.experiments.scenario import Scenario, play_scenario
from clusterlab.protocols.client import Client
from clusterlab.protocols.paxos import Acceptor, Ballot, Propose
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation
from tests.check.toys import Breaks, duel, relays

TWO_LEADERS = """
nodes n1 n2 n3
fire n1 ElectionTimeout
fire n3 ElectionTimeout
deliver n1 n2 RequestVote
deliver n2 n1 VoteReply
kill n2
restart n2
deliver n3 n2 RequestVote
deliver n2 n3 VoteReply
"""


class ForgetsItsVote(Raft):
    voted_for: NodeId | None = volatile(None)


class VotesForAll(Raft):
    def grants_vote(self, candidate: NodeId, m: object) -> bool:
        return True


class IgnoresItsPromise(Acceptor):
    def may_accept(self, ballot: Ballot) -> bool:
        return True


def two_leaders() -> tuple[Scenario, Story]:
    played = play_scenario(TWO_LEADERS, ForgetsItsVote.group(3), raft.ELECTION_SAFETY)
    assert played.violation is not None
    name, explanation, _ = played.violation
    nodes = ForgetsItsVote.group(3)
    return played, tell(played.trace, nodes, property=name, explanation=explanation)


def test_a_vote_that_is_given_twice_is_named_with_what_was_forgotten() -> None:
    played, story = two_leaders()
    first, died, second = (s for s in story.sentences if s.node == "n2")
    assert first.text == (
        "n2 gets RequestVote(term=1, last_log_index=0, last_log_term=0) from n1: "
        "it votes for n1 in term 1 and sends VoteReply to n1."
    )
    assert died.text == (
        "n2 dies and comes back with its disk: "
        f"it has forgotten that it votes for n1 in term 1 (#{first.seq})."
    )
    assert "it votes for n3 in term 1 (it has forgotten that it votes for n1" in second.text
    assert str(story).endswith(
        "So ElectionSafety is violated: n1 and n3 both became leader of term 1."
    )
    for sentence in story.sentences:
        event = played.trace[sentence.seq]
        assert event.node == sentence.node
        assert event.kind in ("deliver", "fire", "kill", "restart")


def test_the_sentences_stay_with_a_node_and_never_come_before_their_cause() -> None:
    played, story = two_leaders()
    assert [s.node for s in story.sentences] == ["n1", "n2", "n2", "n1", "n3", "n2", "n3"]
    told: list[int] = []
    for sentence in story.sentences:
        for cause in played.trace.causes(sentence.seq):
            inputs = {"deliver", "fire", "kill", "restart"}
            assert cause.kind not in inputs or cause.seq in told or _merged(played, cause.seq)
        told.append(sentence.seq)


def _merged(played: Scenario, seq: int) -> bool:
    """A return is told with the death before it."""
    return played.trace[seq].kind == "restart"


def test_a_second_vote_without_a_death_is_named_as_well() -> None:
    text = TWO_LEADERS.replace("kill n2\nrestart n2\n", "")
    played = play_scenario(text, VotesForAll.group(3), raft.ELECTION_SAFETY)
    assert played.violation is not None
    story = str(tell(played.trace, VotesForAll.group(3)))
    assert "it votes for n3 in term 1, although it voted for n1 in that term" in story


def test_a_protocol_without_words_of_its_own_is_told_by_its_fields() -> None:
    report = explore(
        duel(IgnoresItsPromise),
        properties=paxos.ACCEPTOR_MONOTONIC,
        invoke=[("p1", Propose("x")), ("p2", Propose("y"))],
        timers=0,
    )
    story = str(report.story())
    assert "a user asks p1 for Propose(value='x')" in story
    assert "gets Prepare(ballot=1.p2) from p2: it changes promised from 1.p1 to 1.p2" in story
    assert "it changes promised from 1.p2 to 1.p1 and changes accepted from None to" in story
    assert "So AcceptorMonotonic is violated" in story
    assert report.story()._repr_mimebundle_() == {"text/plain": story}


def test_without_the_nodes_the_record_alone_is_told() -> None:
    played, _ = two_leaders()
    story = str(tell(played.trace))
    assert "it changes current_term from None to 1" in story
    assert "notes leader 1" in story
    assert "votes for" not in story


def test_what_did_not_lead_to_the_end_is_left_out_of_a_long_run() -> None:
    sim = Simulation(Raft.group(3), seed=2)
    leader = sim.run_until_leader()
    story = tell(sim.trace, Raft.group(3), property="Sought", explanation=f"{leader} leads")
    votes = [s for s in story.sentences if "VoteReply" in s.text]
    assert story.sentences[-1].node == leader
    assert "leads in term 1" in story.sentences[-1].text
    assert len(story.sentences) < len(sim.trace.of("deliver", "fire"))
    assert votes


def test_a_death_within_a_step_is_told_with_it() -> None:
    never = always("NeverHalf", lambda w: not (w["a"].best and not w.messages))
    report = explore(relays(), properties=never, timers=1, crashes=1, network="multiset")
    assert "dies after 1 of its effects" in str(report.story())


def test_a_client_tells_what_it_begins_and_whom_it_turns_to() -> None:
    text = """
    nodes n1 n2 c1
    invoke c1 Put('x', 1)
    fire c1 AnswerOverdue
    """
    nodes = [*Raft.group(2), Client("c1", servers=("n1", "n2"))]
    begins, turns = tell(play_scenario(text, nodes).trace, nodes).sentences
    assert (
        begins.text == "a user asks c1 for Put(key='x', value=1): it begins Put(key='x', value=1)."
    )
    assert turns.text == "AnswerOverdue fires at c1: it turns to n2."


def test_a_node_that_fails_is_told_with_its_error() -> None:
    report = explore([Breaks("a", peer="b"), Breaks("b", peer="a")])
    story = str(report.story())
    assert "gets Token(hops=0) from b: it fails: Breaks a raised AssertionError" in story
    assert ".." not in story


def test_nothing_is_a_short_story() -> None:
    assert str(tell(Trace())) == "Nothing had to happen."


def test_the_order_follows_the_newest_cause() -> None:
    needs: dict[int, set[int]] = {1: set(), 2: set(), 3: {1}, 4: {2}, 5: {3}}
    owners = {1: "a", 2: "b", 3: "c", 4: "c", 5: "a"}
    assert by_node(needs, owners) == [1, 3, 5, 2, 4]
