"""Reductions change what is counted and no verdict, on worlds of all sorts."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterlab.check.explore import explore
from clusterlab.check.invariants import paxos, raft
from clusterlab.check.properties import Ghost, Property, always, always_step, sometimes
from clusterlab.check.report import Report
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Message, Node, NodeId, durable, volatile
from clusterlab.protocols.paxos import Acceptor, Ballot, Propose, roles
from clusterlab.protocols.raft import Raft
from tests.check.naive import Naive
from tests.check.toys import Ball, Player, duel

X, Y = ("p1", Propose("x")), ("p2", Propose("y"))
PAXOS: dict[str, Any] = {"network": "multiset", "invoke": [X, Y], "timers": 0}
ACCEPTORS, SERVERS = ("a1", "a2", "a3"), ("n1", "n2", "n3")


def drawn(seed: int) -> Any:
    """The rules of a game that goes on for a while."""
    draw = random.Random(seed)

    def rule() -> tuple[int, str, int]:
        whom = draw.choice(["src", "src", "others", "others", "self", "nobody"])
        return draw.choice([0, 0, 1, 1, 2]), whom, draw.choice([1, 1, 2])

    return tuple(tuple(rule() for _ in range(3)) for _ in range(3))


RULES = st.integers(0, 2**32).map(drawn)
WORLDS = st.sampled_from(
    [
        ("set", {"timers": 2}),
        ("multiset", {"timers": 2}),
        ("fifo", {"timers": 2}),
        ("multiset", {"timers": 1, "losses": 1, "duplicates": 1}),
        ("fifo", {"timers": 1, "losses": 1}),
        ("multiset", {"timers": 1, "partitions": 1}),
        ("set", {"timers": 1, "crashes": 1}),
        ("multiset", {"timers": 1, "crashes": 1}),
        ("fifo", {"timers": 1, "crashes": 1}),
    ]
)
few = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def team(names: str, rules: Any, begins: str) -> list[Player]:
    everyone = tuple(names)
    return [
        Player(name, everyone=everyone, rules=one, begins=name in begins)
        for name, one in zip(names, rules, strict=True)
    ]


def same_verdict(full: Report, reduced: Report) -> None:
    assert reduced.verdict == full.verdict
    assert len(reduced.path) == len(full.path)
    assert reduced.states <= full.states


def is_real(report: Report, nodes: list[Any], properties: Any, **world: Any) -> None:
    """The moves of a path are possible one after another, and where they end all is wrong."""
    again = explore(nodes, properties=properties, after=report, **world)
    assert (again.path, again.property) == (report.path, report.property)
    assert again.depth == 0


# --- partial order -------------------------------------------------------------------------------


@pytest.mark.slow
@few
@given(st.tuples(RULES, RULES), WORLDS, st.sampled_from(["a", "ab"]))
def test_what_is_put_off_changes_no_verdict(rules: Any, world: Any, watched: str) -> None:
    network, budgets = world
    nodes = team("ab", rules, "ab")
    low = always("Low", lambda w: any(w[name].mood < 2 for name in watched), reads=("mood",))
    naive = Naive(
        nodes, network, wrong=lambda s: all(s.nodes[n].mood == 2 for n in watched), **budgets
    )
    assert explore(nodes, network=network, **budgets).states == naive.states
    full = explore(nodes, properties=low, network=network, **budgets)
    assert full.verdict == ("holds" if naive.wrong_at is None else "violated")
    assert len(full.path) == (naive.wrong_at or 0)
    reduced = explore(nodes, properties=low, network=network, partial_order=True, **budgets)
    same_verdict(full, reduced)
    if reduced.path:
        is_real(reduced, nodes, low, network=network, **budgets)


@pytest.mark.slow
def test_letters_that_are_ignored_and_nodes_that_are_silent_are_put_off() -> None:
    world = {**PAXOS, "invoke": [X], "properties": paxos.AGREEMENT}
    full = explore(roles(1, 3, 0), **world)
    late = explore(roles(1, 3, 0), partial_order=True, **world)
    assert (full.states, late.states) == (318, 204)
    unread = explore(roles(1, 3, 1), partial_order=True, **{**world, "properties": []})
    assert unread.states < 204, "two learners count votes, and nobody reads what they learn"
    assert "kinds of moves were put off that nobody can notice" in str(late)


def test_a_wrong_handler_is_found_in_what_nobody_else_would_notice() -> None:
    class Fragile(Player):
        def on_ball(self, src: NodeId, m: Ball) -> None:
            assert m.number < 2, "broken"
            super().on_ball(src, m)

    rules = (((0, "others", 1),) * 3,) * 3
    nodes = [Fragile(n, everyone=("a", "b"), rules=rules, begins=n == "a") for n in "ab"]
    found = [explore(nodes, network="multiset", timers=1, partial_order=on) for on in (False, True)]
    assert found[0].property == "every handler succeeds"
    same_verdict(*found)


def test_what_is_read_is_never_put_off() -> None:
    # Nobody hears of it, but the property reads it.
    rules = (((1, "others", 1), (1, "nobody", 1), (1, "nobody", 1)),) * 3
    nodes = team("ab", (rules, rules), "a")
    heard = always("Deaf", lambda w: w["b"].mood == 0, reads=("mood",))
    assert len(explore(nodes, properties=heard, network="multiset", partial_order=True).path) == 2
    blind = always("Blind", lambda w: True, reads=())
    reduced = explore(nodes, properties=blind, network="multiset", timers=1, partial_order=True)
    assert reduced.states < explore(nodes, network="multiset", timers=1).states


def test_messages_that_are_read_must_be_named() -> None:
    nodes = team("ab", ((((0, "others", 1),) * 3,) * 3,) * 2, "a")
    mail = always("Mail", lambda w: len(w.messages) < 9)
    with pytest.raises(ScenarioError, match="without naming them, and partial_order"):
        explore(nodes, properties=mail, network="multiset", timers=1, partial_order=True)
    named = always("Mail", lambda w: len(w.messages) < 1, reads=(), messages=("Ball",))
    same_verdict(
        *(
            explore(nodes, properties=named, network="multiset", timers=1, partial_order=on)
            for on in (False, True)
        )
    )


# --- symmetry ------------------------------------------------------------------------------------


@pytest.mark.slow
@few
@given(RULES, WORLDS, st.booleans(), st.integers(1, 3), st.booleans())
def test_nodes_that_change_places_change_no_verdict(
    rules: Any, world: Any, asked: bool, many: int, also_order: bool
) -> None:
    network, budgets = world
    if "crashes" in budgets and network != "set":
        budgets = {"timers": 1}  # a death within a broadcast tells nodes apart there: see below
    nodes = team("abc", (rules,) * 3, "" if asked else "abc")
    if asked:  # then not even the beginning is alike
        budgets = {**budgets, "invoke": [("a", Ball(0))]}
    low = always("Low", lambda w: sum(n.mood == 2 for n in w.nodes) < many, reads=("mood",))
    reductions: dict[str, Any] = {"symmetry": tuple("abc"), "partial_order": also_order}
    full, reduced = (
        explore(nodes, properties=low, network=network, states_max=4_000, **budgets, **more)
        for more in ({}, reductions)
    )
    if full.verdict == "not finished":
        return
    assert reduced.verdict == full.verdict
    assert 0 <= len(reduced.path) - len(full.path) <= budgets.get("crashes", 0)
    assert reduced.states <= full.states
    if reduced.path:
        is_real(reduced, nodes, low, network=network, **budgets)


@pytest.mark.slow
def test_what_two_proposers_and_three_acceptors_save() -> None:
    nodes = [Acceptor(n.id, learners=()) if isinstance(n, Acceptor) else n for n in duel()]
    world = {**PAXOS, "properties": paxos.CHOSEN_AGREEMENT}
    assert explore(nodes, **world).states == 80_648
    alike = explore(nodes, symmetry=ACCEPTORS, **world)
    late = explore(nodes, partial_order=True, **world)
    both = explore(nodes, symmetry=ACCEPTORS, partial_order=True, **world)
    assert (late.verdict, late.states) == ("holds", 21_544)
    assert (alike.verdict, alike.states, alike.transitions) == ("holds", 14_207, 61_141)
    assert (both.verdict, both.states) == ("holds", 3_869)
    assert "count once (a1, a2, a3)" in str(alike)


class VotesForAll(Raft):
    def grants_vote(self, candidate: NodeId, m: Any) -> bool:
        return bool(m.term >= self.current_term and self.is_up_to_date(m))


class ForgetsItsVote(Raft):
    voted_for: NodeId | None = volatile(None)


class IgnoresItsPromise(Acceptor):
    def may_accept(self, ballot: Ballot) -> bool:
        return True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "crashes", "moves"), [(VotesForAll, 0, 6), (ForgetsItsVote, 1, 8)]
)
def test_two_leaders_are_found_whoever_they_are(
    wrong: type[Raft], crashes: int, moves: int
) -> None:
    timers = {"ElectionTimeout": 2, "HeartbeatDue": 0}
    world: dict[str, Any] = {"timers": timers, "crashes": crashes}
    nodes = wrong.group(3)
    report = explore(
        nodes, properties=raft.ELECTION_SAFETY, symmetry=SERVERS, partial_order=True, **world
    )
    assert report.property == "ElectionSafety"
    assert len(report.path) == moves
    is_real(report, nodes, raft.ELECTION_SAFETY, **world)


@pytest.mark.slow
def test_an_acceptor_that_ignores_its_promise_is_found_whoever_it_is() -> None:
    nodes = duel(IgnoresItsPromise)
    found = explore(
        nodes, properties=paxos.CHOSEN_AGREEMENT, symmetry=ACCEPTORS, partial_order=True, **PAXOS
    )
    assert len(found.path) == 14
    is_real(found, nodes, paxos.CHOSEN_AGREEMENT, **PAXOS)


@pytest.mark.slow
def test_the_correct_raft_holds_with_fewer_states() -> None:
    one_election = {"timers": {"ElectionTimeout": 1, "HeartbeatDue": 1}, "crashes": 1}
    guards = (raft.LEADER_ELECTED, raft.ENTRY_COMMITTED)
    report = explore(
        Raft.group(3),
        properties=(*raft.SAFETY, *guards),
        symmetry=SERVERS,
        **one_election,  # type: ignore[arg-type]
    )
    assert report, "not vacuous"
    assert report.states == 2_148, "of 17,739"
    assert report.reached == {"a leader is elected": 3, "an entry is committed": 5}
    assert "a path may be one move longer for each death" in str(report)


# --- what tells nodes apart is named -------------------------------------------------------------


class Favourite(Node):
    """Prefers a name."""

    everyone: tuple[NodeId, ...]
    rank: int = 0
    best: NodeId = durable("")
    worst: str = volatile("")

    def on_start(self) -> None:
        self.broadcast(Ball(self.rank), self.everyone)
        self.note("greeted", self.id)

    def on_ball(self, src: NodeId, m: Ball) -> None:
        self.best = src


class ComparesNames(Favourite):
    def on_ball(self, src: NodeId, m: Ball) -> None:
        self.best = max(self.best, src)


class HidesNames(Favourite):
    def on_ball(self, src: NodeId, m: Ball) -> None:
        self.worst = f"from {src}"


def pair(kind: type[Favourite], **more: Any) -> list[Favourite]:
    return [kind(name, everyone=("a", "b"), **more) for name in ("a", "b")]


def refuses(match: str, nodes: list[Any], **world: Any) -> None:
    world = {"symmetry": ("a", "b"), **world}
    with pytest.raises(ScenarioError, match=match) as caught:
        explore(nodes, **world)
    assert "\n" not in str(caught.value)


def test_a_handler_that_tells_nodes_apart_is_named() -> None:
    assert explore(pair(Favourite), symmetry=("a", "b"), network="multiset")
    refuses("on_ball of ComparesNames tells a from b apart", pair(ComparesNames))
    refuses("on_ball of HidesNames tells a from b apart", pair(HidesNames))
    ranked = [Favourite(name, everyone=("a", "b"), rank=i) for i, name in enumerate("ab")]
    refuses("on_start of Favourite .* configured differently", ranked)


def test_a_property_or_ghost_that_tells_nodes_apart_is_named() -> None:
    proud = always("Proud", lambda w: w["a"].best != "b" or w["b"].best == "a")
    refuses("property Proud tells nodes apart", pair(Favourite), properties=proud)
    step = always_step("Step", lambda before, after: after.id == "a" or after.best != "b")
    refuses("tells a from b apart", pair(Favourite), properties=step)
    first = Ghost("", lambda past, node, name, data: min(past or node, node))
    seen = sometimes("Seen", lambda w: w.ghost == "a", ghost=first)
    refuses("the ghost of Seen tells a from b apart", pair(Favourite), properties=seen)
    refuses("property `prune` tells", pair(Favourite), prune=lambda w: w["a"].best == "a")


def test_a_death_in_a_broadcast_tells_nodes_apart_where_no_letter_is_lost() -> None:
    nodes = team("abc", ((((0, "others", 1),) * 3,) * 3,) * 3, "abc")
    world: dict[str, Any] = {"symmetry": tuple("abc"), "crashes": 1, "timers": 1}
    refuses("a death within it.*a set network", nodes, network="multiset", **world)
    assert explore(nodes, network="set", **world)
    mail: Property = always("Mail", lambda w: len(w.messages) < 99, messages=("Ball",))
    refuses("a death within it", nodes, network="set", properties=mail, **world)


def test_groups_that_cannot_be() -> None:
    nodes = pair(Favourite)
    refuses("there is no node 'z'", nodes, symmetry=("a", "z"))
    refuses("names a twice", nodes, symmetry=[("a", "b"), ("a",)])
    refuses("write the names as a tuple", nodes, symmetry="ab")
    refuses("lets only some of a, b die", nodes, crashes=1, crashing=["a"])
    other = [Favourite("a", everyone=()), ComparesNames("b", everyone=())]
    refuses("differ in class", other)
    many = [Favourite(f"n{i}", everyone=()) for i in range(7)]
    refuses("more than 720 ways", many, symmetry=[n.id for n in many])


def test_two_groups_change_places_by_themselves() -> None:
    class Tells(Message):
        pass

    class Source(Node):
        to: tuple[NodeId, ...]

        def on_start(self) -> None:
            self.broadcast(Tells(), self.to)

    class Sink(Node):
        heard: tuple[NodeId, ...] = volatile(())

        def on_tells(self, src: NodeId, m: Tells) -> None:
            self.heard += (src,)

    nodes = [*(Source(n, to=("x", "y")) for n in "ab"), *(Sink(n) for n in "xy")]
    full = explore(nodes, network="multiset")
    halved = explore(nodes, network="multiset", symmetry=[("a", "b"), ("x", "y")])
    # A sink has heard of nobody, of one (whose place the other can take), or of both in an order.
    assert (full.states, halved.states) == (25, (25 + 5 + 1 + 5) // 4), "by Burnside's lemma"
