"""One server on the bench: hand it an event, look at what it does.

The classes under test stand here under one name each, so that `test_mutants.py` can put a wrong
one in its place and see the tests fail.
"""

from __future__ import annotations

from typing import Any, TypeVar

from clusterlab.core.effects import Env
from clusterlab.core.history import Invoke
from clusterlab.core.node import (
    WORLD,
    Deliver,
    Effect,
    Fire,
    Message,
    Node,
    NodeId,
    Note,
    Save,
    Send,
    SetTimer,
    Start,
    Timer,
    restart,
    step,
)
from clusterlab.core.spec import Put
from clusterlab.protocols.paxos import Acceptor, Ballot, Learner, Propose, Proposer
from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    Command,
    ElectionTimeout,
    Entry,
    HeartbeatDue,
    Raft,
    VoteReply,
)

RAFT: type[Raft] = Raft
M = TypeVar("M", bound=Message)


class Bench:
    """A node, and the effects of its last step."""

    now_ms = 0
    """What its clock shows."""

    def __init__(self, node: Node, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(node, name, value)
        self.node: Any = node
        self.effects: tuple[Effect, ...] = ()
        self._step(Start())

    def receive(self, src: NodeId, *messages: Message) -> Bench:
        for message in messages:
            self._step(Deliver(src, message))
        return self

    def fire(self, timer: Timer) -> Bench:
        return self._step(Fire(timer))

    def restart(self) -> Bench:
        self.node = restart(self.node)
        return self._step(Start())

    def _step(self, event: Any) -> Bench:
        self.node, self.effects = step(self.node, event, Env(self.now_ms))
        return self

    # --- what the last step did ---

    def sent(self, kind: type[M]) -> list[tuple[NodeId, M]]:
        return [
            (e.dst, e.msg) for e in self.effects if isinstance(e, Send) and isinstance(e.msg, kind)
        ]

    def only(self, kind: type[M]) -> M:
        """The one message of this kind that the last step sent."""
        sent = self.sent(kind)
        assert len(sent) == 1, f"{len(sent)} {kind.__name__} instead of one: {self.effects}"
        return sent[0][1]

    def only_value(self, kind: type[M]) -> M:
        """The one message of this kind that the last step sent, perhaps to many."""
        sent = {msg for _, msg in self.sent(kind)}
        assert len(sent) == 1, f"{len(sent)} {kind.__name__} instead of one: {self.effects}"
        return sent.pop()

    def to(self, dst: NodeId, kind: type[M]) -> M:
        """The one message of this kind that the last step sent to `dst`."""
        sent = [msg for to, msg in self.sent(kind) if to == dst]
        assert len(sent) == 1, (
            f"{len(sent)} {kind.__name__} to {dst} instead of one: {self.effects}"
        )
        return sent[0]

    def told_world(self) -> list[Message]:
        return [e.msg for e in self.effects if isinstance(e, Send) and e.dst == WORLD]

    def notes(self, name: str) -> list[Any]:
        return [e.data for e in self.effects if isinstance(e, Note) and e.name == name]

    def saves(self) -> dict[str, Any]:
        """What was saved; nothing may leave before it."""
        saves = [i for i, e in enumerate(self.effects) if isinstance(e, Save)]
        assert saves in ([], [0]), "a save that is not the first effect"
        return dict(self.effects[0].values) if saves else {}  # type: ignore[union-attr]

    def set_timers(self) -> dict[str, Any]:
        return {type(e.timer).__name__: e.after_ms for e in self.effects if isinstance(e, SetTimer)}


# --- Raft ---


def put(n: int) -> Put:
    return Put("x", n)


def entry(term: int, n: int = 0) -> Entry:
    return Entry(term, Command(f"w{n}", 1, put(n)))


def log(*terms: int) -> tuple[Entry, ...]:
    """A log with entries of these terms; two logs agree where their terms do."""
    return tuple(entry(term, index) for index, term in enumerate(terms, 1))


def server(size: int = 3, name: NodeId = "n1", options: Any = None, **fields: Any) -> Bench:
    members = tuple(f"n{i}" for i in range(1, size + 1))
    return Bench(RAFT(name, members=members, **(options or {})), **fields)


def candidate(size: int = 3, options: Any = None, **fields: Any) -> Bench:
    return server(size, options=options, **fields).fire(ElectionTimeout())


def leader(size: int = 3, options: Any = None, **fields: Any) -> Bench:
    """n1, elected by the others; its log ends in its no-op, which nobody has acknowledged yet."""
    bench = candidate(size, options, **fields)
    for i in range(2, size // 2 + 2):
        bench.receive(f"n{i}", VoteReply(bench.node.current_term, True))
    assert bench.node.role == "leader"
    return bench


def acknowledge(bench: Bench, *followers: NodeId, index: int | None = None) -> Bench:
    """These followers hold the leader's log up to `index` (default: all of it)."""
    index = len(bench.node.log) if index is None else index
    for follower in followers:
        bench.receive(follower, AppendReply(bench.node.current_term, True, index))
    return bench


def established(size: int = 3, options: Any = None, **fields: Any) -> Bench:
    """A leader whose log everybody holds."""
    bench = leader(size, options, **fields)
    return acknowledge(bench, *(f"n{i}" for i in range(2, size + 1)))


def append(
    term: int,
    prev: tuple[int, int] = (0, 0),
    entries: tuple[Entry, ...] = (),
    commit: int = 0,
) -> AppendEntries:
    """AppendEntries with `prev` = (index, term)."""
    return AppendEntries(term, prev[0], prev[1], entries, commit)


def beat(bench: Bench, times: int = 1) -> Bench:
    for _ in range(times):
        bench.fire(HeartbeatDue())
    return bench


# --- Paxos ---

ACCEPTOR: type[Acceptor] = Acceptor
PROPOSER: type[Proposer] = Proposer
LEARNER: type[Learner] = Learner


def ballot(round_: int, proposer: NodeId = "p1") -> Ballot:
    return Ballot(round_, proposer)


def acceptor(**fields: Any) -> Bench:
    return Bench(ACCEPTOR("a1", learners=("l1", "l2")), **fields)


def proposer(wish: Any = "mine", acceptors: int = 3, **fields: Any) -> Bench:
    """p1, which has been asked to have `wish` chosen (unless that is None)."""
    names = tuple(f"a{i}" for i in range(1, acceptors + 1))
    bench = Bench(PROPOSER("p1", acceptors=names), **fields)
    return bench if wish is None else bench.receive(WORLD, Invoke(Propose(wish)))


def learner(acceptors: int = 3) -> Bench:
    return Bench(LEARNER("l1", acceptors=tuple(f"a{i}" for i in range(1, acceptors + 1))))
