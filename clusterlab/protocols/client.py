"""A client: asks for one operation at a time, and never takes a missing answer for a refusal.

Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
Version)", 2014, section 8, and chapter 6 of Ongaro's dissertation (2014).
`Request`, `Reply` and `NotLeader` serve any protocol with a leader.

What makes it safe to ask again: every operation has a serial number, and the servers remember the
newest serial of each client with its result. What makes it honest: an operation that nobody
answered is `info` (it may have happened, or may still), never `fail`.

Where it differs from the dissertation: a client names itself instead of registering for a session,
and a session does not expire. So a client that lost its disk must come back under another name:
the servers would take its new operations for old ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from clusterlab.core.history import Invoke, Invoked, Outcome, Returned
from clusterlab.core.node import WORLD, Delay, Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.spec import CompareAndSet, Get, Put

SERIALS_RESERVED = 1000
"""So many serials are reserved with one write to the disk; a restart skips those not used."""


class Request(Message):
    """From a client to a server: do this, once."""

    serial: int
    operation: Message


class Reply(Message):
    """From the leader to a client: the operation with this serial is done; this is its result."""

    serial: int
    result: Any


class NotLeader(Message):
    """From a server to a client: ask `leader`, as far as I know (None: I know of none)."""

    serial: int
    leader: NodeId | None


class Refused(Message):
    """From the leader to a client: nobody will ever do that, for this reason."""

    serial: int
    reason: str


class AnswerOverdue(Timer):
    """The server that was asked has not answered in time."""


class TryAgain(Timer):
    """The pause after a redirection is over."""


class GiveUp(Timer):
    """The operation has taken so long that its user wants to know."""


class NextOperation(Timer):
    """Time to think is over: the next operation of the workload."""


Workload: TypeAlias = Callable[[int], Message] | tuple[Message, ...]
"""Operations, or a function from a serial number (1, 2, ...) to an operation."""


class Client(Node):
    """Carries out operations, one at a time: those of its workload, and those that WORLD hands it.

    Parameters
    ----------
    servers:
        The ids of the servers it may ask.
    retry_ms:
        How long it waits for an answer before it asks the next server.
    back_off_ms:
        How long it pauses when a server sends it away for the second time.
    give_up_ms:
        When it reports an operation as `info`.
    workload:
        What it does of its own accord: a tuple of operations, or a function of a serial number.
        A serial number never comes twice, so `lambda n: Put("x", n)` writes each value once.
    every_ms:
        The pause before each operation of the workload.
    operations:
        How many operations of the workload it carries out (None: no end); a restart counts anew.
    """

    servers: tuple[NodeId, ...]
    retry_ms: int = 500
    back_off_ms: Delay = (20, 60)
    give_up_ms: int = 8_000
    workload: Workload | None = None
    every_ms: Delay = 0
    operations: int | None = None

    # Serials up to this one may have been used. It is saved ahead of use, a thousand at a time:
    # a serial that came twice would be taken for a repetition, and its operation never carried out.
    reserved: int = durable(0)

    serial: int = volatile(0)
    operation: Message | None = volatile(None)
    server: NodeId | None = volatile(None)
    silent: NodeId | None = volatile(None)
    redirected: bool = volatile(False)
    begun: int = volatile(0)
    queue: tuple[Message, ...] = volatile(())

    @classmethod
    def for_servers(cls, name: NodeId, servers: tuple[NodeId, ...]) -> Self:
        """A client without a workload: what a cluster makes for `put` and `get`."""
        return cls(name, servers=servers)

    def on_start(self) -> None:
        """Serials of an earlier life are never used again."""
        self.serial = self.reserved
        if self.has_work():
            self.set_timer(NextOperation(), self.every_ms)

    # --- operations begin ---

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        """An operation from outside; it waits until the present one has ended."""
        self.queue = (*self.queue, m.operation)
        if self.operation is None:
            self.begin_next()

    def on_next_operation(self, t: NextOperation) -> None:
        """An operation of the workload; one from outside goes first."""
        if self.operation is None:
            self.begin_next(with_workload=True)

    def has_work(self) -> bool:
        """Whether the workload has an operation left."""
        if self.workload is None or (self.operations is not None and self.begun >= self.operations):
            return False
        return callable(self.workload) or self.begun < len(self.workload)

    def begin_next(self, *, with_workload: bool = False) -> None:
        """Begin what waits; if nothing does, rest or think."""
        if self.queue:
            operation, self.queue = self.queue[0], self.queue[1:]
            self.use_next_serial()
            self.begin(operation)
        elif self.has_work() and (with_workload or self.every_ms == 0):
            self.use_next_serial()
            assert self.workload is not None
            work = self.workload
            operation = work(self.serial) if callable(work) else work[self.begun]
            self.begun += 1
            self.begin(operation)
        else:
            self.cancel_timer(AnswerOverdue())
            self.cancel_timer(GiveUp())
            if self.has_work():
                self.set_timer(NextOperation(), self.every_ms)

    def use_next_serial(self) -> None:
        """A serial that no operation of this client has had, in this life or an earlier one."""
        # Raft §8: "The solution is for clients to assign unique serial numbers to every command."
        if self.serial >= self.reserved:
            self.reserved = self.serial + SERIALS_RESERVED
        self.serial += 1

    def begin(self, operation: Message) -> None:
        """Tell WORLD, and ask."""
        self.operation = operation
        self.redirected = False
        self.send(WORLD, Invoked(operation))
        self.set_timer(GiveUp(), self.give_up_ms)
        if self.server is None:
            # Raft §8: "When a client first starts up, it connects to a randomly-chosen server."
            self.server = self.choose(self.servers)
        self.ask()

    def ask(self) -> None:
        """Send the request to the server that is supposed to lead."""
        assert self.server is not None
        self.send(self.server, Request(self.serial, self.wish()))
        self.set_timer(AnswerOverdue(), self.retry_ms)

    def wish(self) -> Message:
        """What servers are asked for."""
        assert self.operation is not None
        return self.operation

    # --- answers, and their absence ---

    def on_reply(self, src: NodeId, m: Reply) -> None:
        """Done; whoever answers leads."""
        if self.operation is None or m.serial != self.serial:
            return  # the answer to an earlier operation, late or for the second time
        self.server, self.silent = src, None
        self.end("ok", m.result)

    def on_refused(self, src: NodeId, m: Refused) -> None:
        """The application has no such operation: it certainly had no effect."""
        if self.operation is not None and m.serial == self.serial:
            self.end("fail", m.reason)

    def on_not_leader(self, src: NodeId, m: NotLeader) -> None:
        """Ask the leader that is named; or the next server, after a pause."""
        if self.operation is None or m.serial != self.serial or src != self.server:
            return
        # Raft §8: "that server will reject the client's request and supply information about the
        # most recent leader it has heard from". News of a leader that has just not answered is no
        # news.
        hint = m.leader if m.leader not in (src, self.silent) else None
        self.server = hint if hint is not None else self.after(src)
        if hint is not None and not self.redirected:
            self.redirected = True
            self.ask()
        else:
            # Two servers that name each other would be asked as fast as the network carries it.
            self.cancel_timer(AnswerOverdue())
            self.set_timer(TryAgain(), self.back_off_ms)

    def on_try_again(self, t: TryAgain) -> None:
        """The pause is over."""
        if self.operation is not None:
            self.ask()

    def on_answer_overdue(self, t: AnswerOverdue) -> None:
        """Dead, cut off or slow: nobody can tell. Ask another, with the same serial."""
        # Raft §8: "If the leader crashes, client requests will time out; clients then try again
        # with randomly-chosen servers." Here the servers are tried in turn.
        if self.operation is not None:
            self.redirected = False
            self.silent = self.server
            self.server = self.after(self.server)
            self.ask()

    def on_give_up(self, t: GiveUp) -> None:
        """It may have happened or not, and may still."""
        if self.operation is not None:
            self.end("info", None)

    def after(self, server: NodeId | None) -> NodeId:
        """The next server in turn."""
        if server not in self.servers:
            return self.servers[0]
        return self.servers[(self.servers.index(server) + 1) % len(self.servers)]

    def end(self, outcome: Outcome, value: Any) -> None:
        """Tell WORLD what came of the operation, and go on."""
        self.operation = None
        self.cancel_timer(TryAgain())
        self.send(WORLD, Returned(outcome, value))
        self.begin_next()

    def status(self) -> dict[str, Any]:
        """A client has no role in the cluster's pictures but its own."""
        return {"role": "client", "epoch": 0, "label": "asking" if self.operation else "idle"}

    def in_words(self, name: str, before: Self) -> str:
        """What it is about to do, and whom it asks."""
        if name == "operation" and self.operation and self.serial != before.serial:
            return f"begins {self.operation!r}"
        if name == "server" and before.server not in (None, self.server):
            return f"turns to {self.server}"
        return ""


# --- workloads -------------------------------------------------------------------------------
# Pure functions of the serial number, so that every engine and every run gets the same.


@dataclass(frozen=True)
class _CountingWrites:
    prefix: str
    keys: int

    def __call__(self, serial: int) -> Message:
        key = self.prefix if self.keys == 1 else f"{self.prefix}{serial % self.keys}"
        return Put(key, f"{self.prefix}:{serial}")


def counting_writes(prefix: str = "x", keys: int = 1) -> Workload:
    """Puts that count: no value comes twice, so that a lost write can be found.

    Parameters
    ----------
    prefix:
        Begins each value, and names the key: give every client its own.
    keys:
        How many keys the writes go to in turn; a single one is named `prefix`.

    >>> write = counting_writes("a", keys=2)
    >>> write(1), write(2)
    (Put(key='a1', value='a:1'), Put(key='a0', value='a:2'))
    """
    return _CountingWrites(prefix, keys)


@dataclass(frozen=True)
class _MixedWorkload:
    prefix: str
    seed: int
    keys: tuple[str, ...]

    def __call__(self, serial: int) -> Message:
        draw = scramble(scramble(self.seed) + serial)
        key = self.keys[draw % len(self.keys)]
        kind = draw // 1000 % 10
        if kind < 4:
            return Get(key)
        if kind < 8:
            return Put(key, f"{self.prefix}:{serial}")
        # Expect what this client may have written shortly before: sometimes it is still there.
        earlier = max(1, serial - 1 - draw // 100_000 % 4)
        return CompareAndSet(key, f"{self.prefix}:{earlier}", f"{self.prefix}:{serial}")


def mixed_workload(
    prefix: str = "x", seed: int = 0, keys: tuple[str, ...] = ("x", "y", "z")
) -> Workload:
    """Gets, puts and compare-and-sets (4 : 4 : 2) over a few keys; no value is written twice.

    Parameters
    ----------
    prefix:
        Begins each value that is written: give every client its own.
    seed:
        Another seed, another order of operations.
    keys:
        The keys, which all clients share.

    >>> work = mixed_workload("a", seed=1)
    >>> work(7) == work(7)
    True
    """
    return _MixedWorkload(prefix, seed, keys)


def scramble(number: int) -> int:
    """A number of 64 bits that shows nothing of `number`: splitmix64 (Steele et al. 2014).

    >>> scramble(1) == scramble(1) != scramble(2)
    True
    """
    mask = 2**64 - 1
    z = (number + 1) * 0x9E3779B97F4A7C15 & mask
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    return z ^ (z >> 31)
