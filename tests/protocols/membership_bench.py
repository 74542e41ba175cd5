"""Servers on the bench whose members change: n1 to n5, of whom three vote at first."""

from __future__ import annotations

from typing import Any

from clusterlab.core.history import Invoke, Returned
from clusterlab.core.node import WORLD, Message
from clusterlab.protocols.raft import (
    Command,
    ElectionTimeout,
    Entry,
    VoteReply,
)
from clusterlab.protocols.raft.configuration import Configuration
from clusterlab.protocols.raft.membership import (
    Membership,
)
from clusterlab.protocols.raft.prevote import PRE_CANDIDATE, PreVoteReply
from tests.protocols.bench import Bench, acknowledge

THREE = ("n1", "n2", "n3")
FOUR = (*THREE, "n4")
FIVE = (*FOUR, "n5")


def server(name: str = "n1", voters: tuple[str, ...] = THREE, **options: Any) -> Bench:
    """One of five, of whom three vote."""
    raft = options.pop("raft", Membership)
    return Bench(raft(name, members=FIVE, voters=voters, **options))


def elected(voters: tuple[str, ...] = THREE, **options: Any) -> Bench:
    """n1 leads; nobody has acknowledged its no-op."""
    bench = server(voters=voters, **options).fire(ElectionTimeout())
    needed = voters[1 : len(voters) // 2 + 1]
    for voter in needed if bench.node.role == PRE_CANDIDATE else ():
        bench.receive(voter, PreVoteReply(0, 1, True))
    for voter in needed:
        bench.receive(voter, VoteReply(1, True))
    assert bench.node.role == "leader"
    return bench


def established(voters: tuple[str, ...] = THREE, **options: Any) -> Bench:
    """n1 leads, and all voters have its log."""
    return acknowledge(elected(voters, **options), *voters[1:])


def asked(bench: Bench, wish: Message) -> Bench:
    return bench.receive(WORLD, Invoke(wish))


def changed(voters: tuple[str, ...], *, term: int = 1, **options: Any) -> Entry:
    return Entry(term, Command("n1", 2, Configuration(voters, **options)))


def answer(bench: Bench) -> tuple[str, Any]:
    (told,) = [m for m in bench.told_world() if isinstance(m, Returned)]
    return told.outcome, told.value


def reason(bench: Bench) -> str:
    outcome, value = answer(bench)
    assert outcome == "fail"
    return str(value)
