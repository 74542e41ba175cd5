"""A small replicated counter, for tests of the live engine."""

from __future__ import annotations

from typing import Any, NamedTuple

from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import WORLD, Message, Node, Timer, durable, volatile


class Add(Message):
    number: int


class Explode(Message):
    pass


class Entry(NamedTuple):
    position: int
    number: int


class Copy(Message):
    entry: Entry


class Copied(Message):
    position: int


class Beat(Timer):
    pass


class Counter(Node):
    """Adds, waits until as many others as asked for have copied, then answers."""

    members: tuple[str, ...]
    wait_for: int = 1
    beat_ms: tuple[int, int] = (20, 40)
    log: tuple[Entry, ...] = durable(())
    beats: int = volatile(0)
    missing: dict[int, int] = volatile({})

    def on_start(self) -> None:
        self.set_timer(Beat(), self.beat_ms)

    def on_beat(self, t: Beat) -> None:
        self.beats += 1
        self.set_timer(Beat(), self.beat_ms)

    def on_invoke(self, src: str, m: Invoke) -> None:
        self.send(WORLD, Invoked(m.operation))
        if isinstance(m.operation, Explode):
            raise ZeroDivisionError("boom")
        assert isinstance(m.operation, Add)
        entry = Entry(len(self.log), m.operation.number)
        self.log += (entry,)
        self.missing[entry.position] = self.wait_for
        self.broadcast(Copy(entry), [name for name in self.members if name != self.id])
        if not self.wait_for:
            self.send(WORLD, Returned("ok", self.total))

    def on_copy(self, src: str, m: Copy) -> None:
        self.log = (*self.log[: m.entry.position], m.entry)
        self.send(src, Copied(m.entry.position))

    def on_copied(self, src: str, m: Copied) -> None:
        left = self.missing.get(m.position, 0)
        if left:
            self.missing[m.position] = left - 1
            if left == 1:
                self.send(WORLD, Returned("ok", self.total))

    @property
    def total(self) -> int:
        return sum(entry.number for entry in self.log)

    def status(self) -> dict[str, Any]:
        return {"role": "leader" if self.id == "n1" else "follower", "epoch": len(self.log)}


class Question(Message):
    number: int


class Answer(Message):
    number: int


class Asker(Node):
    """A client: passes what it is asked on to a server, and the answer back."""

    servers: tuple[str, ...]
    asked: int = durable(0)

    def on_invoke(self, src: str, m: Invoke) -> None:
        self.asked += 1
        self.send(WORLD, Invoked(m.operation))
        self.send(self.servers[0], Question(self.asked))

    def on_answer(self, src: str, m: Answer) -> None:
        self.send(WORLD, Returned("ok", (m.number, src)))


class Server(Node):
    """Answers askers."""

    answered: int = durable(0)

    def on_question(self, src: str, m: Question) -> None:
        self.answered += 1
        self.send(src, Answer(m.number))


def counters(size: int = 3, **options: Any) -> list[Counter]:
    members = tuple(f"n{i}" for i in range(1, size + 1))
    return [Counter(name, members=members, **options) for name in members]
