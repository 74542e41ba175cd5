"""One bad node for each cause, named with its handler and the mend; the protocols are clean."""

from __future__ import annotations

import datetime as dt
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.hygiene import CAUSES, check_hygiene, quick_hygiene
from clusterlab.core.errors import HandlerRaised, ScenarioError, UnknownNode
from clusterlab.core.node import (
    Deliver,
    Fire,
    Message,
    Node,
    NodeId,
    Start,
    Timer,
    durable,
    volatile,
)
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.paxos import Paxos as PaxosNode
from clusterlab.protocols.paxos import Propose, roles
from clusterlab.protocols.raft import Raft

ROOT = Path(__file__).parent.parent.parent


class Poke(Message):
    pass


class Carry(Message):
    what: Any


class Alarm(Timer):
    pass


POKE = [("n1", Deliver("n2", Poke()))]


def causes(kind: type[Node], events: Any = POKE) -> list[tuple[str, str]]:
    return [(found.cause, found.handler) for found in check_hygiene(kind, events)]


# ---- the order of containers ---------------------------------------------------------------------


class SetOrder(Node):
    friends: set[str] = volatile({"x", "y", "z"})

    def on_poke(self, src: NodeId, m: Poke) -> None:
        for friend in self.friends - {"y"}:
            self.send(friend, Poke())


class SetPop(Node):
    free: set[int] = durable({1, 2, 3})
    mine: int = durable(0)

    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.mine = self.free.pop()


class SetConfiguration(Node):
    peers: frozenset[str] = frozenset(("x", "y"))

    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.send(next(iter(self.peers)), Poke())


class DictOrder(Node):
    votes: dict[str, int] = volatile({"x": 1, "y": 1})

    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.note("first", next(iter(self.votes)))


class Orderly(Node):
    friends: set[str] = volatile({"x", "y", "z"})
    votes: dict[str, int] = volatile({"x": 1, "y": 1})
    best: str = volatile("")

    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.broadcast(Poke(), self.friends | {"w"})
        for friend in sorted(self.friends - {"y"}):
            self.send(friend, Poke())
        self.friends.add(src)
        self.votes[src] = len(self.friends)
        self.best = max(self.votes, key=lambda name: (self.votes[name], name))
        self.note("votes", tuple(sorted(self.votes.items())))


def test_the_order_of_a_set_is_named() -> None:
    (found,) = check_hygiene(SetOrder, POKE)
    assert (found.cause, found.node, found.handler) == ("set order", "SetOrder", "on_poke")
    assert str(found) == (
        "SetOrder.on_poke depends on the order of a set, which is another in every process: in one "
        "order it does Send(dst='x', msg=Poke()), in another Send(dst='z', msg=Poke()). "
        "Go through sorted(...) of the set."
    )


@pytest.mark.parametrize("kind", [SetPop, SetConfiguration])
def test_taking_any_of_a_set_is_named(kind: type[Node]) -> None:
    assert causes(kind) == [("set order", "on_poke")]


def test_the_order_of_a_dict_is_named() -> None:
    (found,) = check_hygiene(DictOrder, POKE)
    assert found.cause == "dict order"
    assert "Go through sorted(....items())" in found.sentence


def test_a_node_that_sorts_is_clean() -> None:
    assert check_hygiene(Orderly, POKE * 3) == []


# ---- clocks, chance, hashes ----------------------------------------------------------------------


class Clock(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.note("now", int(time.monotonic()) * 0)


class Calendar(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.note("year", dt.datetime.now().year * 0)  # noqa: DTZ005


def roll() -> int:
    """In another function, to show that depth does not hide it."""
    return random.randint(1, 1)


class Dice(Node):
    def on_alarm(self, t: Alarm) -> None:
        self.note("rolled", roll())


class Entropy(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.note("rolled", len(os.urandom(4)))


class Hash(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.note("bucket", hash(src) * 0)


class Fair(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.note("now", (self.now_ms, self.choose([1, 2]), Random(7).random()))


@pytest.mark.parametrize(
    ("kind", "cause", "words"),
    [
        (Clock, "clock", "reads the wall clock with time.monotonic(), which no replay repeats"),
        (Calendar, "clock", "reads the wall clock with datetime.now()"),
        (Entropy, "chance", "draws from urandom(), which no seed"),
        (Hash, "hash", "calls hash(), which differs from process to process"),
    ],
)
def test_what_a_step_asks_of_the_world_is_named(kind: type[Node], cause: str, words: str) -> None:
    (found,) = check_hygiene(kind, POKE)
    assert found.cause == cause
    assert found.sentence.startswith(f"{kind.__name__}.on_poke {words}")


def test_chance_is_named_with_its_timer_at_any_depth() -> None:
    (found,) = check_hygiene(Dice, [("n1", Fire(Alarm()))])
    assert (found.cause, found.handler) == ("chance", "on_alarm")
    assert "draws from the random module" in found.sentence


def test_the_clock_and_the_choices_of_the_contract_are_clean() -> None:
    assert check_hygiene(Fair, POKE) == []


# ---- globals, sharing ----------------------------------------------------------------------------

count = 0
seen: list[str] = []


class Global(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        global count  # noqa: PLW0603 - that is the mistake
        count += 1


class GlobalList(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        seen.append(src)


class Classy(Node):
    total = 0

    def on_poke(self, src: NodeId, m: Poke) -> None:
        type(self).total += 1


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (Global, "the global count"),
        (GlobalList, "the global seen"),
        (Classy, "the class attribute total"),
    ],
)
def test_changed_globals_are_named(kind: type[Node], what: str) -> None:
    found = check_hygiene(kind, POKE)
    assert ("globals", "on_poke") in [(f.cause, f.handler) for f in found]
    assert f"changes {what}, which all nodes share" in str(found[0])


class Box:
    """Has a hash, and can be changed."""

    def __init__(self) -> None:
        self.content = 0


class Sender(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.send(src, Carry(Box()))


class Changer(Node):
    def on_carry(self, src: NodeId, m: Carry) -> None:
        object.__setattr__(m, "what", 2)


class Teller(Node):
    log: list[int] = durable([1])

    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.note("log", self.log)


class Keeper(Node):
    log: tuple[Any, ...] = durable(())

    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.log = (*self.log, [src])


class Twin(Node):
    a: list[int] = volatile([])
    b: list[int] = volatile([])

    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.a = self.b = [1]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Sender, "sends or notes a Box"),
        (Teller, "notes 'log' with a list that it can still change"),
        (Keeper, "puts a list into a tuple or message in self.log"),
        (Twin, "keeps one list in both self.a and self.b"),
    ],
)
def test_shared_objects_are_named(kind: type[Node], words: str) -> None:
    found = [f for f in check_hygiene(kind, POKE) if f.cause == "sharing"]
    assert len(found) == 1
    assert found[0].sentence.startswith(f"{kind.__name__}.on_poke {words}")


def test_a_message_that_is_changed_is_named() -> None:
    (found, *_) = check_hygiene(Changer, [("n1", Deliver("n2", Carry(1)))])
    assert (found.cause, found.handler) == ("sharing", "on_carry")
    assert "changes the message that it was given" in found.sentence


class Memory(Node):
    shared: Any = None

    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.shared.content += 1
        self.note("count", self.shared.content)


def test_a_step_that_does_not_do_the_same_twice_is_named() -> None:
    found = check_hygiene([Memory("n1", shared=Box())], POKE)
    assert [f.cause for f in found] == ["outside"]


# ---- restarts, state -----------------------------------------------------------------------------


class Lives(Node):
    lives: int = durable(0)

    def on_start(self) -> None:
        self.lives += 1


def test_a_restart_that_is_not_idempotent_is_named() -> None:
    (found,) = check_hygiene(Lives)
    assert (found.cause, found.handler) == ("restart", "on_start")
    assert "after two restarts in a row self.lives differ" in found.sentence
    assert check_hygiene(Lives, ignore=["restart"]) == []


class Unsendable(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.send(src, Carry([1]))


class Unkeepable(Node):
    kept: Any = volatile(None)

    def on_poke(self, src: NodeId, m: Poke) -> None:
        self.kept = bytearray(b"x")


@pytest.mark.parametrize(("kind", "words"), [(Unsendable, "hashable"), (Unkeepable, "no key")])
def test_state_without_a_hash_is_named(kind: type[Node], words: str) -> None:
    (found,) = check_hygiene(kind, POKE)
    assert (found.cause, found.handler) == ("state", "on_poke")
    assert words in found.sentence


# ---- the protocols are clean ---------------------------------------------------------------------


def test_raft_and_its_client_are_clean() -> None:
    client = Client("c1", servers=("n1", "n2", "n3"), workload=mixed_workload("c1"), every_ms=10)
    assert check_hygiene([*Raft.group(3), client], steps_max=150) == []


def test_paxos_is_clean() -> None:
    wishes = [("p1", Propose("x")), ("p2", Propose("y"))]
    assert check_hygiene(roles(), operations=wishes) == []
    assert check_hygiene(PaxosNode.group(3), operations=[("n1", Propose("x"))]) == []


# ---- by default, before every check --------------------------------------------------------------


class Starter(Node):
    """Greets its friends in the order of a set, at once."""

    friends: frozenset[str] = frozenset(("a", "b"))

    def on_start(self) -> None:
        for friend in self.friends:
            self.send(friend, Poke())

    def on_poke(self, src: NodeId, m: Poke) -> None:
        pass


def test_a_search_says_that_its_nodes_are_unfit() -> None:
    report = explore([Starter("a"), Starter("b")])
    assert report.verdict == "holds"
    assert not report
    (sentence,) = report.hygiene
    assert f"Unfit to be checked: {sentence}" in str(report)
    assert sentence.startswith("Starter.on_start depends on the order of a set")
    assert explore([Starter("a"), Starter("b")], hygiene=False)


def test_a_quick_look_is_at_each_handler_and_not_at_restarts() -> None:
    assert quick_hygiene(Raft.group(5)) == ()
    assert quick_hygiene([*roles()], [("p1", Propose("x"))]) == ()
    assert quick_hygiene([Lives("n1")]) == ()
    assert quick_hygiene([Raising("n1")]) == ()
    (sentence,) = quick_hygiene([Clock("n1"), Poker("n2", friend="n1")])
    assert "Clock.on_poke reads the wall clock" in sentence


class Poker(Node):
    friend: str

    def on_start(self) -> None:
        self.send(self.friend, Poke())


def test_a_handler_that_raises_is_left_to_the_search() -> None:
    report = explore([Raising("n1"), Poker("n2", friend="n1")])
    assert report.verdict == "violated"
    assert report.hygiene == ()


# ---- use -----------------------------------------------------------------------------------------


def test_the_caller_s_nodes_stay_as_they_are() -> None:
    nodes = [SetPop("n1")]
    check_hygiene(nodes, POKE)
    assert nodes[0].state() == {"free": {1, 2, 3}, "mine": 0}
    assert type(nodes[0].free) is set


def test_misuse_is_a_sentence() -> None:
    with pytest.raises(ScenarioError, match="needs configuration"):
        check_hygiene(Raft)
    with pytest.raises(UnknownNode, match=r"no cause 'clocks'.*Did you mean clock"):
        check_hygiene(Orderly, ignore=["clocks"])
    with pytest.raises(UnknownNode, match="no node 'n7'"):
        check_hygiene(Orderly, [("n7", Start())])


class Raising(Node):
    def on_poke(self, src: NodeId, m: Poke) -> None:
        raise RuntimeError("no")


def test_a_handler_that_fails_is_an_error_as_everywhere() -> None:
    with pytest.raises(HandlerRaised, match="raised RuntimeError"):
        check_hygiene(Raising, POKE)


@pytest.mark.slow
def test_what_is_found_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "from tests.check.test_hygiene import *\n"
        "for kind in (SetOrder, SetPop, SetConfiguration, DictOrder, Orderly):\n"
        "    print(*check_hygiene(kind, POKE * 2))\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(told) == 1
    assert set(CAUSES) >= {"set order", "dict order"}
