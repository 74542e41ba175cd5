"""A Multi-Paxos replica on the bench, with a clock that a test sets."""

from __future__ import annotations

from typing import Any

from clusterlab.core.node import Env, Message, NodeId, Timer, restart, step
from clusterlab.core.spec import Put
from clusterlab.protocols.client import Request
from clusterlab.protocols.multi_paxos import (
    Accepted,
    Command,
    ElectionTimeout,
    MultiPaxos,
    Promise,
)
from clusterlab.protocols.paxos import Ballot, Proposal
from tests.protocols.bench import Bench

Slots = tuple[Proposal | None, ...]


class At(Bench):
    """The bench at a time of the node's own clock."""

    now_ms = 0

    def at(self, now_ms: int) -> At:
        self.now_ms = now_ms
        return self

    def receive(self, src: NodeId, *messages: Message) -> At:
        super().receive(src, *messages)
        return self

    def fire(self, timer: Timer) -> At:
        super().fire(timer)
        return self

    def _step(self, event: Any) -> Bench:
        self.node, self.effects = step(self.node, event, Env(self.now_ms))
        return self

    def values(self) -> dict[int, str | None]:
        """Slot -> the value that its command writes, None for a no-op."""
        found = enumerate(self.node.log, self.node.snapshot.slot + 1)
        return {
            slot: one.value and one.value.operation.value for slot, one in found if one is not None
        }


def ballot(round_: int, leader: NodeId = "n1") -> Ballot:
    return Ballot(round_, leader)


def command(value: str) -> Command:
    """A write that a client of its own asks for."""
    return Command(f"c-{value}", 1, Put("x", value))


def accepted(*values: tuple[int, str] | None) -> Slots:
    """What an acceptor reports: (round, value) for each slot, or None."""
    return tuple(one and Proposal(ballot(one[0]), command(one[1])) for one in values)


def replica(size: int = 3, name: NodeId = "n1", **options: Any) -> At:
    members = tuple(f"n{i}" for i in range(1, size + 1))
    return At(MultiPaxos(name, members=members, **options))


def candidate(size: int = 3, **options: Any) -> At:
    """n1, which has asked for ballot 1.n1."""
    bench = replica(size, **options)
    bench.fire(ElectionTimeout())
    return bench


def leader(size: int = 3, *reports: Slots, **options: Any) -> At:
    """n1, which leads under ballot 1.n1; n2, n3, ... have reported these slots."""
    bench = candidate(size, **options)
    for number in range(2, size // 2 + 2):
        slots = reports[number - 2] if number - 2 < len(reports) else ()
        bench.receive(f"n{number}", Promise(bench.node.promised, 1, slots))
    assert bench.node.role == "leader"
    return bench


def asked(bench: At, *values: str) -> At:
    """Clients of their own ask for these writes, one after the other."""
    for value in values:
        wish = command(value)
        bench.receive(wish.client, Request(1, wish.operation))
    return bench


def accepts(bench: At, first: int, *acceptors: NodeId) -> At:
    """These acceptors have accepted the round that begins with slot `first`."""
    for name in acceptors:
        bench.receive(name, Accepted(bench.node.promised, first))
    return bench


def reborn(bench: At) -> At:
    """The replica after a crash, with its disk."""
    again = At(restart(bench.node))
    again.now_ms = bench.now_ms
    return again
