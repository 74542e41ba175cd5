"""Small nodes that the tests of the simulator share; each shows one thing."""

from __future__ import annotations

from typing import Any

from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import (
    WORLD,
    Message,
    Node,
    NodeId,
    Timer,
    durable,
    volatile,
)
from clusterlab.sim import Simulation


class Number(Message):
    number: int


class Tick(Timer):
    pass


class Peer(Node):
    """Sends 1, 2, 3, ... to others at a steady pace, and remembers what it got from whom."""

    to: tuple[NodeId, ...] = ()
    every_ms: int = 10
    count: int = 0
    sent: int = volatile(0)
    got: tuple[tuple[NodeId, int], ...] = volatile(())

    def on_start(self) -> None:
        if self.sent < self.count:
            self.set_timer(Tick(), self.every_ms)

    def on_tick(self, t: Tick) -> None:
        self.sent += 1
        self.broadcast(Number(self.sent), self.to)
        if self.sent < self.count:
            self.set_timer(t, self.every_ms)

    def on_number(self, src: NodeId, m: Number) -> None:
        self.got = (*self.got, (src, m.number))


def got(sim: Simulation, dst: NodeId, src: NodeId) -> list[int]:
    """The numbers that `dst` got from `src`, in the order in which they came."""
    return [number for whence, number in sim.state(dst)["got"] if whence == src]


class Append(Message):
    value: str


class Appended(Message):
    length: int


class Reminder(Timer):
    pass


class Journal(Node):
    """One step with an effect of every kind: save, two sends, a timer, a note."""

    copy_to: NodeId
    log: tuple[str, ...] = durable(())
    appended: int = volatile(0)
    reminded: int = volatile(0)

    def on_append(self, src: NodeId, m: Append) -> None:
        self.log = (*self.log, m.value)
        self.appended += 1
        self.send(self.copy_to, Appended(len(self.log)))
        self.send(src, Appended(len(self.log)))
        self.set_timer(Reminder(), 50)
        self.note("appended", m.value)

    def on_appended(self, src: NodeId, m: Appended) -> None:
        pass

    def on_reminder(self, t: Reminder) -> None:
        self.reminded += 1


class Writer(Node):
    """Hands one value to a journal when it starts."""

    to: NodeId
    answers: int = volatile(0)

    def on_start(self) -> None:
        self.send(self.to, Append("x"))

    def on_appended(self, src: NodeId, m: Appended) -> None:
        self.answers += 1


class Alarm(Timer):
    name: str


class Watch(Node):
    """Sets alarms of a fixed length and notes what its clock shows when they go off."""

    alarms: tuple[tuple[str, int], ...] = ()

    def on_start(self) -> None:
        self.note("clock", self.now_ms)
        for name, after_ms in self.alarms:
            self.set_timer(Alarm(name), after_ms)

    def on_alarm(self, t: Alarm) -> None:
        self.note("clock", self.now_ms)

    def on_number(self, src: NodeId, m: Number) -> None:
        self.note("clock", self.now_ms)


def clock(sim: Simulation) -> list[tuple[float, int]]:
    """When each note `clock` was made, and what it said."""
    return [(event.at_ms, event.data["data"]) for event in sim.trace.notes("clock")]


# ---- operations ----------------------------------------------------------------------------------


class Store(Message):
    value: Any


class Ask(Message):
    number: int
    value: Any


class Answer(Message):
    number: int
    value: Any


class Refused(Message):
    number: int


class GiveUp(Timer):
    number: int


class Server(Node):
    """Keeps the values that it is handed; refuses the odd one."""

    values: tuple[Any, ...] = durable(())

    def on_ask(self, src: NodeId, m: Ask) -> None:
        if m.value == "odd":
            self.send(src, Refused(m.number))
        else:
            self.values = (*self.values, m.value)
            self.send(src, Answer(m.number, len(self.values)))

    def status(self) -> dict[str, Any]:
        return {"role": "server", "label": str(len(self.values))}


class Client(Node):
    """Carries out one operation after another at the first server; gives up after a while."""

    servers: tuple[NodeId, ...]
    patience_ms: int = 1_000_000
    queue: tuple[Message, ...] = volatile(())
    number: int = volatile(0)
    busy: bool = volatile(False)

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        self.queue = (*self.queue, m.operation)
        self._go_on()

    def on_answer(self, src: NodeId, m: Answer) -> None:
        if m.number == self.number:
            self._end(Returned("ok", m.value))

    def on_refused(self, src: NodeId, m: Refused) -> None:
        if m.number == self.number:
            self._end(Returned("fail", "odd"))

    def on_give_up(self, t: GiveUp) -> None:
        if t.number == self.number and self.busy:
            self._end(Returned("info"))

    def _end(self, returned: Returned) -> None:
        self.send(WORLD, returned)
        self.busy = False
        self._go_on()

    def _go_on(self) -> None:
        if self.busy or not self.queue:
            return
        operation, self.queue = self.queue[0], self.queue[1:]
        self.busy, self.number = True, self.number + 1
        self.send(WORLD, Invoked(operation))
        self.send(self.servers[0], Ask(self.number, operation.value))
        self.set_timer(GiveUp(self.number), self.patience_ms)


def client(name: NodeId, servers: tuple[NodeId, ...]) -> Client:
    return Client(name, servers=servers)


# ---- wrong nodes ---------------------------------------------------------------------------------


class Fragile(Node):
    """Raises at its third message."""

    seen: int = volatile(0)

    def on_number(self, src: NodeId, m: Number) -> None:
        self.seen += 1
        if self.seen == 3:
            raise ValueError("three is too many")


class Lost(Node):
    """Sends to a node that does not exist."""

    def on_number(self, src: NodeId, m: Number) -> None:
        self.note("before")
        self.send("n9", Number(m.number))
        self.note("after")
