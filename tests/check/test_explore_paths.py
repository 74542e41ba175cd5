"""What is wrong comes back as the shortest run, which an engine can live through again."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.invariants import paxos, raft
from clusterlab.check.locals import HANDLERS
from clusterlab.check.moves import Move
from clusterlab.check.properties import Property, always, always_step, sometimes
from clusterlab.check.report import Report
from clusterlab.core.errors import NodeError
from clusterlab.core.faults import Kill, Restart
from clusterlab.core.node import NodeId, volatile
from clusterlab.core.trace import Trace
from clusterlab.protocols.paxos import Acceptor, Ballot, Propose, roles
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation
from tests.check.toys import Breaks, Bump, Player, Reader, Token, duel, relays

X, Y = ("p1", Propose("x")), ("p2", Propose("y"))
ELECTIONS: dict[str, Any] = {"timers": {"ElectionTimeout": 2, "HeartbeatDue": 0}}


class ForgetsItsVote(Raft):
    voted_for: NodeId | None = volatile(None)


class VotesForAll(Raft):
    def grants_vote(self, candidate: NodeId, m: Any) -> bool:
        return bool(m.term >= self.current_term and self.is_up_to_date(m))


class IgnoresItsPromise(Acceptor):
    def may_accept(self, ballot: Ballot) -> bool:
        return True


def replay(report: Report, nodes: Any) -> Simulation:
    """The path of a report, carried out by hand in the simulator."""
    sim = Simulation(nodes)
    for move in report.path:
        if move.kind == "fire":
            sim.fire(move.node, type(move.msg).__name__)
        elif move.kind == "deliver":
            assert move.src is not None
            sim.deliver(move.src, move.node, type(move.msg).__name__)
        elif move.kind == "invoke":
            assert move.msg is not None
            sim.submit(move.node, move.msg)
            sim.deliver("world", move.node)
        elif move.kind == "kill":
            sim.apply(Kill(move.node))
        else:
            assert move.kind == "restart"
            sim.apply(Restart(move.node))
    return sim


def notes(trace: Trace, name: str) -> list[tuple[str | None, Any]]:
    return [(event.node, event.data["data"]) for event in trace.notes(name)]


# Violations of published bugs, and the fewest moves that show them. A death and the restart after
# it are two moves here, and one event in tables that count "a restart".
@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "crashes", "moves"), [(ForgetsItsVote, 1, 8), (VotesForAll, 0, 6)]
)
def test_two_leaders_of_one_term(wrong: type[Raft], crashes: int, moves: int) -> None:
    world: dict[str, Any] = {**ELECTIONS, "crashes": crashes}
    report = explore(wrong.group(3), properties=raft.ELECTION_SAFETY, **world)
    assert (report.verdict, report.property) == ("violated", "ElectionSafety")
    assert report.explanation.endswith("both became leader of term 1")
    assert len(report.path) == moves
    assert not report
    assert report.trace is not None
    sim = replay(report, wrong.group(3))
    assert notes(sim.trace, "leader") == notes(report.trace, "leader") != []
    assert len({leader for leader, _ in notes(sim.trace, "leader")}) == 2
    shallow = explore(wrong.group(3), properties=raft.ELECTION_SAFETY, depth_max=moves - 1, **world)
    assert shallow.verdict == "not finished", "no shorter run shows it"


@pytest.mark.slow
def test_the_vote_that_is_taken_back_is_seen_before_the_second_leader() -> None:
    report = explore(ForgetsItsVote.group(3), properties=raft.SAFETY, crashes=1, **ELECTIONS)
    assert report.property == "MonotonicAcrossRestarts"
    assert "the vote of n1 changes from n1 to None" in report.explanation
    assert [move.kind for move in report.path] == ["fire", "kill"]


@pytest.mark.slow
def test_the_correct_raft_holds_under_the_same_budgets() -> None:
    one_election = {"timers": {"ElectionTimeout": 1, "HeartbeatDue": 1}, "crashes": 1}
    guards = (raft.LEADER_ELECTED, raft.ENTRY_COMMITTED)
    report = explore(Raft.group(3), properties=(*raft.SAFETY, *guards), **one_election)  # type: ignore[arg-type]
    assert report.verdict == "holds"
    assert report, "not vacuous"
    assert report.states == 17_739
    assert report.reached == {"a leader is elected": 3, "an entry is committed": 5}


@pytest.mark.slow
def test_an_acceptor_that_ignores_its_promise() -> None:
    nodes = duel(IgnoresItsPromise)
    report = explore(
        nodes, properties=paxos.CHOSEN_AGREEMENT, network="multiset", invoke=[X, Y], timers=0
    )
    assert report.explanation == (
        "majorities have accepted different values: 'x' under 1.p1, 'y' under 1.p2"
    )
    assert len(report.path) == 14, "twelve, and what the two users want"
    sim = replay(report, nodes)
    for name in ("a1", "a2", "a3"):
        assert report.trace is not None
        saved = [e.data["values"] for e in report.trace.of("save", node=name)]
        assert saved == [e.data["values"] for e in sim.trace.of("save", node=name)]


@pytest.mark.slow
@pytest.mark.parametrize(("promise", "moves"), [(paxos.ACCEPTOR_MONOTONIC, 8), (paxos.P2C, 12)])
def test_the_closer_a_property_is_to_the_fault_the_shorter_the_run(
    promise: Property, moves: int
) -> None:
    report = explore(duel(IgnoresItsPromise), properties=promise, invoke=[X, Y], timers=0)
    assert (report.property, len(report.path)) == (promise.name, moves)


@pytest.mark.slow
def test_the_correct_paxos_holds() -> None:
    # Votes that were counted and overwritten are seen in set networks alone.
    seen = [one for one in paxos.ALL if one is not paxos.LEARNED_WAS_CHOSEN]
    report = explore(
        roles(2, 2, 0),
        properties=(*seen, paxos.VALUE_CHOSEN),
        invoke=[X, Y],
        timers=0,
        network="multiset",
    )
    assert report
    assert report.states == 2_413


# --- the trace -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_trace_is_one_that_an_engine_writes() -> None:
    report = explore(
        ForgetsItsVote.group(3), properties=raft.ELECTION_SAFETY, crashes=1, **ELECTIONS
    )
    trace = report.trace
    assert trace is not None
    again = Trace.parse(trace.lines())
    assert [e.kind for e in again] == [e.kind for e in trace]
    assert trace.meta["servers"] == ["n1", "n2", "n3"]
    for event in trace:
        assert event.cause is None or event.cause < event.seq
        if event.kind == "deliver":
            assert trace[event.cause or 0].kind in ("send", "duplicate")
            assert trace[event.cause or 0].data["msg"] == event.data["msg"]
        if event.kind == "fire":
            assert trace[event.cause or 0].kind == "set_timer"
        if event.kind == "send":
            assert event.data["delay_ms"] > 0
    assert [e.kind for e in trace.of("kill", "restart")] == ["kill", "restart"]
    assert trace.notes("leader")[-1].at_ms == 20.0 * len(report.path)


def test_a_death_within_a_step_is_told_with_its_effects() -> None:
    never = always("NeverHalf", lambda w: not (w["a"].best and not w.messages))
    report = explore(relays(), properties=never, timers=1, crashes=1, network="multiset")
    last = report.path[-1]
    assert (last.node, last.effects) == ("a", 1), "saved, and dead before it could send"
    assert str(last).endswith("and a dies after 1 of its effects")
    assert report.trace is not None
    kinds = [(e.kind, e.node) for e in report.trace][-3:]
    assert kinds == [("deliver", "a"), ("save", "a"), ("kill", "a")]


# --- exceptions, steps, goals, prefixes ----------------------------------------------------------


def test_an_exception_in_a_handler_is_a_violation_with_a_path() -> None:
    report = explore([Breaks("a", peer="b"), Breaks("b", peer="a")])
    assert (report.verdict, report.property) == ("violated", HANDLERS)
    assert "AssertionError (a second token)" in report.explanation
    assert [str(move) for move in report.path] == ["b -> a Token(hops=0)"] * 2
    assert report.trace is not None
    assert report.trace.events[-1].kind == "error"


def test_an_exception_at_the_start_is_one_too() -> None:
    report = explore([Raft.group(2)[0], Raft("n9", members=("n1", "n2"))])
    assert report.verdict == "violated"
    assert "must name n9 as well" in report.explanation
    assert report.path == ()


def test_a_message_to_nobody_is_a_violation() -> None:
    report = explore([Breaks("a", peer="z")])
    assert "there is no such node: send to one of a." in report.explanation


def test_a_step_property_is_asked_about_each_step() -> None:
    slow = always_step("OneAtATime", lambda before, after: after.best - before.best <= 1)
    report = explore(relays(), properties=slow, timers=1, network="multiset")
    assert report.property == "OneAtATime"
    assert report.explanation.startswith(("a: best 0 -> 2", "b: best 0 -> 2"))
    assert len(report.path) == 2
    assert "choosing option 2" in str(report.path[-1])


def test_a_state_is_reported_before_a_step_that_is_longer() -> None:
    step = always_step("Calm", lambda before, after: after.best == 0)
    state = always("Untried", lambda w: w["b"].tries == 0)
    report = explore(relays(), properties=[step, state], timers=1)
    assert (report.property, len(report.path)) == ("Untried", 1)


def test_a_goal_is_reached_by_the_shortest_way() -> None:
    report = explore(relays(), goal=lambda w: w["a"].best >= 3, timers=1, network="fifo")
    assert report.verdict == "reached"
    assert report
    best = [move.msg.hops for move in report.path if isinstance(move.msg, Token)]
    assert best == sorted(best)
    none = explore(relays(), goal=lambda w: w["a"].best > 6, timers=1, network="fifo")
    assert none.verdict == "unreachable"
    assert not none


def test_a_search_goes_on_behind_a_prefix_with_all_its_budgets() -> None:
    first = explore(relays(), goal=lambda w: w["b"].tries == 2, timers=2, network="fifo")
    assert len(first.path) == 2
    then = explore(
        relays(), after=first, timers=1, network="fifo", goal=lambda w: w["a"].tries == 1
    )
    assert [str(move) for move in then.path] == [
        *("b fires Nudge()", "b fires Nudge()", "a fires Nudge()"),
    ]
    assert explore(relays(), after=["a dies"], network="fifo", timers=0).states == 2


@pytest.mark.slow
def test_what_follows_a_pruned_state_is_left_out() -> None:
    whole = explore(relays(), timers=1, network="multiset")
    part = explore(
        relays(), timers=1, network="multiset", prune=lambda w: any(n.best > 1 for n in w.nodes)
    )
    assert part.states < whole.states
    assert any("pruned" in sentence for sentence in part.not_covered)
    bounded = explore(relays(), timers=1, network="multiset", bound=lambda node: node.best <= 1)
    assert bounded.states < part.states
    assert any("beyond the bound" in sentence for sentence in bounded.not_covered)


def test_a_bounded_clock_ticks_as_a_move() -> None:
    late = always("Early", lambda w: w["r"].read_at < 100)
    report = explore([Reader("r")], properties=late, invoke=[("r", Bump())], ticks=3, tick_ms=50)
    assert [move.kind for move in report.path] == ["tick", "tick", "invoke"]
    fine = explore([Reader("r")], properties=late, invoke=[("r", Bump())], ticks=1, tick_ms=50)
    assert fine.verdict == "holds"
    assert fine.states == 5


def test_moves_read_as_sentences() -> None:
    assert str(Move("restart", "n1", disk="lose")) == "n1 restarts with an empty disk"
    assert str(Move("drop", "n1", "n2", Token(1))) == "n2 -> n1 Token(hops=1) is lost"
    assert str(Move("deliver", "n1", "n2", Token(1), copy=True)).endswith("(a copy)")


def test_what_should_happen_and_never_does_makes_a_check_vacuous() -> None:
    report = explore(relays(), properties=sometimes("nine", lambda w: w["a"].best == 9), timers=1)
    assert report.verdict == "holds"
    assert report.vacuous
    assert not report
    assert str(report).startswith("VACUOUS: nothing was violated, but nine never happened")


def test_the_nodes_that_were_given_stay_as_they_are() -> None:
    nodes = relays()
    explore(nodes, timers=1)
    assert nodes[0].state() == {"best": 0, "tries": 0}


def test_a_wrong_node_is_no_wrong_run() -> None:
    assert issubclass(NodeError, Exception)
    report = explore([Breaks("a", peer="b"), Breaks("b", peer="a")], network="multiset")
    assert report.verdict == "holds", "each gets one token only"


def test_a_partition_loses_what_arrives_from_the_other_side_until_it_heals() -> None:
    rules = (((1, "others", 1), (2, "src", 1), (2, "nobody", 1)),) * 3
    nodes = [Player(name, everyone=tuple("abc"), rules=rules, begins=name == "a") for name in "abc"]

    def lost(w: Any) -> bool:
        return [n.mood for n in w.nodes] == [2, 0, 2] and not w.messages

    world: dict[str, Any] = {"network": "fifo", "goal": lost}
    assert explore(nodes, **world).verdict == "unreachable"
    report = explore(nodes, partitions=1, **world)
    assert sorted(map(str, report.path)) == [
        "a -> b Ball(number=1) is lost",
        "a -> c Ball(number=1)",
        "a fires Throw()",
        "a partition: a, c | b",
        "c -> a Ball(number=2)",
    ]
    assert report.trace is not None
    assert [e.data["groups"] for e in report.trace.of("partition")] == [(("a", "c"), ("b",))]
    assert [e.data["why"] for e in report.trace.of("drop")] == ["partition"]
