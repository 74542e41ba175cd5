"""The properties of protocols in general, each shown a small world that breaks it and one that
does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.invariants import crdt, membership, primary_backup, quorums, raft
from clusterlab.check.invariants.membership import Belief
from clusterlab.check.invariants.primary_backup import Lease
from clusterlab.check.properties import Property
from clusterlab.check.report import Report
from clusterlab.check.world import Envelope, NodeView, World, world_of
from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import WORLD, Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.spec import Put
from clusterlab.protocols.raft import Entry, Raft, RequestVote


def broken_by(one: Property, nodes: list[Node], words: str, **options: Any) -> Report:
    """The search's report, if it breaks this property, in these words."""
    report = explore(nodes, properties=one, **options)
    assert report.property == one.name, str(report)
    assert words in report.explanation, report.explanation
    return report


# ---- Raft: what etcd states beside Figure 3 ------------------------------------------------------


def test_a_leader_without_an_entry_of_its_term() -> None:
    leader, other = Raft.group(2)
    leader.role, leader.current_term = "leader", 2
    other.log = (Entry(1), Entry(2))
    answer = raft.ELECTION_SAFETY_INV.predicate(world_of({"n1": leader, "n2": other}))
    assert answer == (
        "n1 leads in term 2, and n2 has an entry of that term at index 2, where the leader has none"
    )
    leader.log = (Entry(1), Entry(2))
    assert raft.ELECTION_SAFETY_INV.predicate(world_of({"n1": leader, "n2": other})) is True


def test_a_message_from_the_future() -> None:
    nodes = {node.id: node for node in Raft.group(2)}
    views = {name: NodeView(node) for name, node in nodes.items()}
    letter = Envelope("n1", "n2", RequestVote(1, 0, 0))
    world = World(views, frozenset(nodes), lambda: (letter,))
    assert "and is itself in term 0" in str(raft.MESSAGE_TERMS.predicate(world))
    nodes["n1"].current_term = 1
    assert raft.MESSAGE_TERMS.predicate(world) is True


class Forgetful(Raft):
    """Asks for votes before it has noted the term."""

    current_term: int = volatile(0)


def test_the_right_raft_keeps_all_of_them() -> None:
    def small(node: NodeView) -> bool:
        return bool(node.current_term <= 1)

    options: dict[str, Any] = {"timers": 2, "crashes": 1, "bound": small}
    assert explore(Raft.group(2), properties=raft.ALL, **options).verdict == "holds"
    forgetful = Forgetful.group(2)
    broken_by(raft.MESSAGE_TERMS, [*forgetful], "and is itself in term 0", **options)


# ---- primary and backup --------------------------------------------------------------------------


class Record(NamedTuple):
    client: NodeId
    operation: Message


class Copy(Message):
    record: Record


class Copied(Message):
    record: Record


class HandOver(Message):
    epoch: int


class Silence(Timer):
    pass


class Server(Node):
    """`a` serves, `b` keeps a copy; `a` hands over when `b` has it. Each mistake is an option."""

    partner: NodeId
    hasty: bool = False
    careless: bool = False
    same_epoch: bool = False

    role: str = durable("backup")
    log: tuple[Record, ...] = durable(())

    def on_start(self) -> None:
        if self.id == "a":
            self.role = "leader"
            self.note("leader", 1)
        elif self.hasty:
            self.set_timer(Silence(), 100)

    def on_silence(self, t: Silence) -> None:
        self.role = "leader"
        self.note("leader", 2)

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        self.send(WORLD, Invoked(m.operation))
        record = Record(self.id, m.operation)
        self.log = (*self.log, record)
        self.send(self.partner, Copy(record))
        if self.careless:
            self.send(WORLD, Returned("ok"))

    def on_copy(self, src: NodeId, m: Copy) -> None:
        if m.record not in self.log:
            self.log = (*self.log, m.record)
        self.send(src, Copied(m.record))

    def on_copied(self, src: NodeId, m: Copied) -> None:
        if self.role == "leader":
            if not self.careless:
                self.send(WORLD, Returned("ok"))
            self.role = "backup"
            self.send(src, HandOver(1 if self.same_epoch else 2))

    def on_hand_over(self, src: NodeId, m: HandOver) -> None:
        self.role = "leader"
        self.note("leader", m.epoch)


def pair(**mistakes: bool) -> list[Node]:
    return [Server("a", partner="b", **mistakes), Server("b", partner="a", **mistakes)]


ASK: dict[str, Any] = {"invoke": [("a", Put("x", 1))], "network": "multiset"}


def test_a_careful_pair_keeps_all_promises() -> None:
    report = explore(pair(), properties=primary_backup.SAFETY, **ASK)
    assert report.verdict == "holds", str(report)
    assert report.depth >= 4


def test_who_hears_nothing_takes_over_too_soon() -> None:
    broken_by(primary_backup.ONE_PRIMARY, pair(hasty=True), "a and b serve at the same time", **ASK)


def test_an_answer_before_the_copy_is_there() -> None:
    nodes = pair(hasty=True, careless=True)
    words = "b serves without a's Put(key='x', value=1), which was acknowledged"
    broken_by(primary_backup.ACKED_IS_KEPT, nodes, words, **ASK)


def test_a_successor_with_an_old_epoch() -> None:
    nodes = pair(same_epoch=True)
    words = "a and b both began to serve in epoch 1"
    broken_by(primary_backup.ONE_WRITER_PER_EPOCH, nodes, words, **ASK)
    words = "b began to serve in epoch 1 after a had in epoch 1"
    broken_by(primary_backup.EPOCHS_GROW, nodes, words, **ASK)


class Store(Message):
    token: int


class Writer(Node):
    token: int

    def on_start(self) -> None:
        self.send("disk", Store(self.token))


class Disk(Node):
    fenced: bool
    newest: int = durable(0)

    def on_store(self, src: NodeId, m: Store) -> None:
        if m.token >= self.newest or not self.fenced:
            self.newest = max(self.newest, m.token)
            self.note("applied", m.token)


def test_a_disk_without_a_fence() -> None:
    writers = [Writer("w1", token=1), Writer("w2", token=2)]
    words = "disk applied a write with token 1 after one with token 2"
    broken_by(primary_backup.FENCING, [*writers, Disk("disk", fenced=False)], words)
    fenced = [*writers, Disk("disk", fenced=True)]
    assert explore(fenced, properties=primary_backup.FENCING)


class Locker(Node):
    token: int

    def on_start(self) -> None:
        self.note("granted", (self.id, self.token))


def test_a_lock_that_is_granted_twice_under_one_number() -> None:
    def granted(*tokens: int) -> list[Node]:
        return [Locker(f"l{i}", token=token) for i, token in enumerate(tokens, 1)]

    words = "l2 is granted the lock with token 7, after l1 with 7"
    broken_by(primary_backup.GRANTS_GROW, granted(7, 7), words)
    assert explore(granted(7, 8), properties=primary_backup.GRANTS_GROW)


class Holder(Node):
    lease: tuple[int, int]

    def on_start(self) -> None:
        self.note("lease", Lease(*self.lease))


def test_two_leases_at_one_time() -> None:
    def holders(start_ms: int) -> list[Node]:
        return [Holder("h1", lease=(0, 100)), Holder("h2", lease=(start_ms, 200))]

    words = "h1 holds the lease from 0 to 100 ms, and h2 from 99 to 200 ms"
    broken_by(primary_backup.LEASES_DISJOINT, holders(99), words)
    assert explore(holders(100), properties=primary_backup.LEASES_DISJOINT)


# ---- quorums -------------------------------------------------------------------------------------


class Keep(Message):
    version: int


class Kept(Message):
    version: int


class Ask(Message):
    pass


class Tell(Message):
    version: int | None


class Begin(Timer):
    pass


class Replica(Node):
    store: dict[str, int] = durable({})

    def on_keep(self, src: NodeId, m: Keep) -> None:
        self.store["x"] = max(m.version, self.store.get("x", 0))
        self.send(src, Kept(m.version))

    def on_ask(self, src: NodeId, m: Ask) -> None:
        self.send(src, Tell(self.store.get("x")))


class Coordinator(Node):
    """Writes version 1, or reads once when its time comes; replicas are r1 and r2."""

    n: int = 2
    r: int = 1
    w: int = 2
    writes: bool = False
    back: bool = True

    told: dict[NodeId, int] = volatile({})
    kept: set[NodeId] = volatile(set())
    done: bool = volatile(False)

    def on_start(self) -> None:
        if self.writes:
            self.broadcast(Keep(1), ("r1", "r2"))
        else:
            self.set_timer(Begin(), 10)

    def on_begin(self, t: Begin) -> None:
        self.note("reading", "x")
        self.broadcast(Ask(), ("r1", "r2"))

    def on_tell(self, src: NodeId, m: Tell) -> None:
        if len(self.told) >= self.r:
            return
        self.told[src] = m.version or 0
        if len(self.told) == self.r:
            newest = max(self.told.values())
            if newest and self.back:
                self.broadcast(Keep(newest), ("r1", "r2"))
            else:
                self.note("read", ("x", newest or None))

    def on_kept(self, src: NodeId, m: Kept) -> None:
        self.kept.add(src)
        if len(self.kept) >= self.w and not self.done:
            self.done = True
            self.note("wrote" if self.writes else "read", ("x", m.version))


def store(readers: int, **options: Any) -> list[Node]:
    nodes: list[Node] = [Replica("r1"), Replica("r2"), Coordinator("w", writes=True, **options)]
    return [*nodes, *(Coordinator(f"c{i}", **options) for i in range(readers))]


def test_quorums_that_do_not_meet() -> None:
    few = {"r": 1, "w": 1}
    broken_by(quorums.QUORUMS_INTERSECT, store(0, **few), "they need not meet")
    broken_by(quorums.ACKED_IN_EVERY_READ_QUORUM, store(0, **few), "lack it and are enough")
    words = "c0 read version None of 'x', though 1 was written before it began"
    broken_by(quorums.REGULARITY, store(1, **few), words)
    assert explore(store(1), properties=[*quorums.SAFETY, quorums.QUORUMS_INTERSECT])


@pytest.mark.slow
def test_a_read_that_does_not_write_back_lets_new_and_old_be_inverted() -> None:
    words = "though an earlier read had returned 1: new and old are inverted"
    broken_by(quorums.ATOMICITY, store(2, back=False), words)
    assert explore(store(2, back=False), properties=quorums.REGULARITY, depth_max=8).path == ()
    assert explore(store(2), properties=quorums.SAFETY, network="multiset").verdict == "holds"


def test_replicas_that_differ_in_the_end() -> None:
    one, other = Replica("r1"), Replica("r2")
    world = world_of({"r1": one, "r2": other})
    assert quorums.REPLICAS_CONVERGE.predicate(world) is True
    one.store = {"x": 1}
    assert quorums.REPLICAS_CONVERGE.predicate(world) == "r1 has {'x': 1} and r2 has {}"


# ---- CRDTs ---------------------------------------------------------------------------------------


class News(Message):
    payload: tuple[int, ...]
    delivered: frozenset[NodeId]


class Counter(Node):
    """A grow-only counter of three replicas: each adds to its own place and tells all."""

    place: int
    payload: tuple[int, ...] = durable((0, 0, 0))
    delivered: set[NodeId] = durable(set())

    @staticmethod
    def merge(one: Any, other: Any) -> Any:
        return tuple(map(max, one, other))

    def on_start(self) -> None:
        if self.id not in self.delivered:
            mine = [n + (i == self.place) for i, n in enumerate(self.payload)]
            self.payload = tuple(mine)
            self.delivered.add(self.id)
            news = News(self.payload, frozenset(self.delivered))
            self.broadcast(news, {"a", "b", "c"} - {self.id})

    def on_news(self, src: NodeId, m: News) -> None:
        self.payload = self.merge(self.payload, m.payload)
        self.delivered |= m.delivered


class Adding(Counter):
    @staticmethod
    def merge(one: Any, other: Any) -> Any:
        return tuple(a + b for a, b in zip(one, other, strict=True))


class KeepingMine(Counter):
    @staticmethod
    def merge(one: Any, other: Any) -> Any:
        return one


class Averaging(Counter):
    @staticmethod
    def merge(one: Any, other: Any) -> Any:
        return tuple((a + b) / 2 for a, b in zip(one, other, strict=True))


class Resetting(Counter):
    def on_news(self, src: NodeId, m: News) -> None:
        self.payload = m.payload


def three(kind: Callable[..., Node]) -> list[Node]:
    return [kind(name, place=place) for place, name in enumerate("abc")]


@pytest.mark.parametrize(
    ("kind", "one", "words"),
    [
        (Adding, crdt.MERGE_IDEMPOTENT, "merging (1, 0, 0) with itself gives (2, 0, 0)"),
        (KeepingMine, crdt.MERGE_COMMUTATIVE, "and the other way round"),
        (Averaging, crdt.MERGE_ASSOCIATIVE, "from the left and to"),
        (Resetting, crdt.INFLATES, "which is not above it"),
        (KeepingMine, crdt.STRONG_CONVERGENCE, "have both delivered"),
    ],
)
def test_a_type_that_conflicts(kind: Callable[..., Node], one: Property, words: str) -> None:
    broken_by(one, three(kind), words)


def test_a_grow_only_counter_keeps_all_promises() -> None:
    report = explore(three(Counter), properties=crdt.SAFETY)
    assert report.verdict == "holds"
    assert report.depth >= 6


def test_replicas_that_never_meet_again() -> None:
    nodes = {node.id: node for node in three(Counter)}
    assert crdt.EVENTUAL_CONVERGENCE.predicate(world_of(nodes)) is True
    nodes["b"].payload = (0, 1, 0)  # type: ignore[attr-defined]
    answer = crdt.EVENTUAL_CONVERGENCE.predicate(world_of(nodes))
    assert answer == "a has (0, 0, 0) and b has (0, 1, 0)"


# ---- members -------------------------------------------------------------------------------------


class Change(Message):
    members: frozenset[NodeId]


class Settle(Message):
    pass


class Member(Node):
    """A server that changes its configuration when it is told to, one at a time unless hasty."""

    hasty: bool = False
    configurations: tuple[frozenset[NodeId], ...] = durable((frozenset("abc"),))
    settled: int = durable(1)

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        if isinstance(m.operation, Settle):
            self.settled = len(self.configurations)
        elif self.hasty or self.settled == len(self.configurations):
            self.configurations = (*self.configurations, m.operation.members)  # type: ignore[attr-defined]


def changes(*members: str) -> dict[str, Any]:
    told: list[tuple[NodeId, Message]] = [("a", Change(frozenset(each))) for each in members]
    return {"invoke": [*told, ("a", Settle())]}


def test_two_changes_at_once() -> None:
    words = "a has 2 changes on the way at once: {a, b, c, d} and {b, c}"
    both = changes("abcd", "bc")
    broken_by(membership.ONE_UNCOMMITTED, [Member("a", hasty=True)], words, **both)
    assert explore([Member("a")], properties=membership.ONE_UNCOMMITTED, **both)


def test_one_member_for_another() -> None:
    two = [Member("a"), Member("b")]
    words = "a goes by ['b', 'c', 'd'] and b by ['a', 'b', 'c']: majorities of the two need not"
    broken_by(membership.CONFIGURATIONS_INTERSECT, two, words, **changes("bcd"))
    report = explore(two, properties=membership.SAFETY, **changes("abcd"))
    assert report.verdict == "holds"


class Rumour(Message):
    belief: Belief


class Gossip(Node):
    """`a` hears rumours of `z`, and believes what is newer, or everything if gullible."""

    gullible: bool = False
    beliefs: dict[NodeId, Belief] = durable({"z": Belief("alive", 1)})

    def on_rumour(self, src: NodeId, m: Rumour) -> None:
        old, new = self.beliefs["z"], m.belief
        worse = new.status == "dead" and new.incarnation == old.incarnation
        if self.gullible or worse or new.incarnation > old.incarnation:
            self.beliefs["z"] = new


class Rumours(Node):
    told: tuple[Belief, ...]

    def on_start(self) -> None:
        for belief in self.told:
            self.send("a", Rumour(belief))


def gossip(*told: Belief, gullible: bool) -> list[Node]:
    return [Gossip("a", gullible=gullible), Rumours("b", told=told)]


@pytest.mark.parametrize(
    ("told", "one", "words"),
    [
        (
            (Belief("dead", 2), Belief("alive", 1)),
            membership.INCARNATION_MONOTONIC,
            "a falls back from incarnation 2 of z to 1",
        ),
        (
            (Belief("dead", 1), Belief("alive", 1)),
            membership.DEAD_UNTIL_NEWER,
            "a takes z for alive again, though it was dead in incarnation 1 and this is 1",
        ),
    ],
)
def test_rumours_that_are_older(told: tuple[Belief, ...], one: Property, words: str) -> None:
    broken_by(one, gossip(*told, gullible=True), words)
    assert explore(gossip(*told, gullible=False), properties=membership.SAFETY)


def test_who_is_up_and_who_is_taken_for_dead() -> None:
    nodes: dict[NodeId, Node] = {"a": Gossip("a"), "z": Gossip("z")}
    both, alone = world_of(nodes), world_of(nodes, frozenset("a"))
    assert membership.ACCURACY.predicate(both) is True
    assert membership.COMPLETENESS.predicate(both) is True
    assert membership.COMPLETENESS.predicate(alone) == "a takes z for alive, which is dead"
    nodes["a"].beliefs = {"z": Belief("dead", 1)}  # type: ignore[attr-defined]
    assert membership.ACCURACY.predicate(both) == "a takes z for dead, which is up"
    assert membership.COMPLETENESS.predicate(alone) is True


def test_every_property_of_these_files_is_shown_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for module in (primary_backup, quorums, crdt, membership):
        for name, value in vars(module).items():
            if isinstance(value, Property):
                part = module.__name__.rpartition(".")[2]
                assert f"{part}.{name}" in text, f"{name} is not tested"
