"""Small protocols that use everything that a node may do."""

from __future__ import annotations

from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import WORLD, Message, Node, NodeId, Timer, durable, volatile
from clusterlab.protocols.paxos import Acceptor, Proposer


class Token(Message):
    """A hop count."""

    hops: int


class Bump(Message):
    """An operation: begin."""


class Nudge(Timer):
    """Send again."""


class Relay(Node):
    """Passes a token on, remembers the highest, forgets how often it tried."""

    peer: NodeId
    best: int = durable(0)
    tries: int = volatile(0)

    def on_start(self) -> None:
        self.set_timer(Nudge(), 10)

    def on_nudge(self, t: Nudge) -> None:
        self.tries += 1
        self.send(self.peer, Token(self.best))
        if self.tries < 2:
            self.set_timer(t, 10)

    def on_token(self, src: NodeId, m: Token) -> None:
        if m.hops >= self.best and self.best < 3:
            self.best = m.hops + self.choose((1, 2))
            self.note("best", self.best)
            self.cancel_timer(Nudge())
            self.send(src, Token(self.best))
            self.send(self.id, Token(0))

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        self.send(WORLD, Invoked(m.operation))
        self.tries = 0
        self.set_timer(Nudge(), 10)
        self.send(WORLD, Returned("ok", self.best))


def relays() -> list[Relay]:
    return [Relay("a", peer="b"), Relay("b", peer="a")]


def duel(acceptor: type[Acceptor] = Acceptor) -> list[Node]:
    """Two proposers and three acceptors, who tell one learner: the first proposer."""
    a = ("a1", "a2", "a3")
    return [
        *(Proposer(name, acceptors=a) for name in ("p1", "p2")),
        *(acceptor(name, learners=("p1",)) for name in a),
    ]


class Reader(Node):
    """Looks at its clock."""

    read_at: int = volatile(-1)

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        self.read_at = self.now_ms


class Ball(Message):
    """The next one has a higher number, so that every game ends."""

    number: int


class Throw(Timer):
    """Throw the first ball."""


class Player(Node):
    """Does with a ball what its table says: rules[mood][number] = (mood, whom, step)."""

    everyone: tuple[NodeId, ...]
    rules: tuple[tuple[tuple[int, str, int], ...], ...]
    begins: bool = True

    mood: int = durable(0)
    last: NodeId | None = volatile(None)

    def on_start(self) -> None:
        if self.begins:
            self.set_timer(Throw(), 10)

    def on_throw(self, t: Throw) -> None:
        self.play(self.id, 0)

    def on_ball(self, src: NodeId, m: Ball) -> None:
        self.play(src, m.number)

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        self.play(self.id, 0)

    def play(self, src: NodeId, number: int) -> None:
        self.mood, whom, more = self.rules[self.mood][number]
        if whom != "nobody":
            self.last = src
        others = tuple(name for name in self.everyone if name != self.id)
        to = {"src": (src,), "others": others, "self": (self.id,), "nobody": ()}[whom]
        if number + more < len(self.rules[0]):
            self.broadcast(Ball(number + more), to)


class Breaks(Node):
    """Raises on the second token."""

    peer: NodeId
    count: int = volatile(0)

    def on_start(self) -> None:
        self.send(self.peer, Token(0))

    def on_token(self, src: NodeId, m: Token) -> None:
        self.count += 1
        assert self.count < 2, "a second token"
