"""What belongs to one live process and to each node in it; who waits for an answer."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from clusterlab.core.faults import Fault
from clusterlab.core.history import Invoked, Returned
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, Timer
from clusterlab.live.clocks import LiveEnv, Skewed

HostName = str


@dataclass(frozen=True)
class Setting:
    """What a process must know to host nodes."""

    name: HostName
    life: int
    directory: str
    socket: str
    """The path at which it listens for mail."""
    network: Network
    faults: tuple[Fault, ...]
    """Those that made the switch what it is."""
    seed: int
    alone: bool = True
    """One node that is the process: when it dies, the process dies."""
    record: bool = True
    """False leaves messages, timers and saves out of the trace, for speed."""


class Born(NamedTuple):
    """A node as it begins: for the first time, or again with what its disk holds."""

    node: Node
    skewed: Skewed = Skewed()
    again: bool = False


class Post:
    """How batches leave and reach the process; `mail.py` has the real one."""

    def wake(self) -> None:
        """Let `receive` return; called from other threads."""
        raise NotImplementedError

    def receive(self, patience: float | None) -> list[bytes]:
        """Batches, as soon as there are any, after `patience` seconds at most (None: for ever)."""
        raise NotImplementedError

    def send(self, host: HostName, batch: bytes) -> None:
        """Hand a batch to the process `host`, if it lives; never waits."""
        raise NotImplementedError

    def meet(self, peers: Mapping[HostName, tuple[str | None, int]]) -> None:
        """Learn path (None: dead) and life of other processes."""
        raise NotImplementedError

    def life(self, host: HostName) -> int:
        """Which life of `host` batches go to."""
        raise NotImplementedError

    def flush(self, limit_s: float) -> None:
        """Wait until what was sent will arrive; called before a death within a step."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is sent or received any more."""
        raise NotImplementedError


class Waiting:
    """Somebody who waits for an operation to return."""

    __slots__ = ("answer", "begun", "done", "operation")

    def __init__(self, operation: Message) -> None:
        self.operation = operation
        self.begun = False
        self.answer: Returned | None = None
        self.done = threading.Event()


class Reply:
    """Somebody who waits for a control call."""

    __slots__ = ("done", "error", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = threading.Event()


class Hosted:
    """One node and what belongs to it alone."""

    __slots__ = (
        "alive", "crash_after", "env", "held", "id", "node", "paused", "random", "shown", "shows",
        "timers", "waiting",
    )  # fmt: skip

    def __init__(self, node: Node, env: LiveEnv, random: Random) -> None:
        self.id = node.id
        self.node = node
        self.env = env
        self.random = random
        self.alive = True
        self.paused = False
        self.crash_after: int | None = None
        self.timers: dict[Timer, int] = {}  # pending: the number of the heap entry that will fire
        self.held: list[tuple[Any, ...]] = []
        self.waiting: list[Waiting] = []
        self.shows = type(node).status is not Node.status
        self.shown: Mapping[str, Any] | None = None

    def tell(self, said: Invoked | Returned) -> None:
        """Pass on what the node said to WORLD: that it begins an operation, or what came of it.

        A node carries out one operation at a time: what it returns belongs to the one that it
        began. A call for which nobody waits any more stays here, because its node does not know:
        without it, what came of it would be taken for the answer to the next equal one.
        """
        begun = next((one for one in self.waiting if one.begun), None)
        if begun is not None:
            self.waiting.remove(begun)  # answered, or left for the next one without an answer
        if isinstance(said, Returned):
            if begun is not None:
                begun.answer = said
                begun.done.set()
            return
        for one in self.waiting:
            if one.operation == said.operation:
                one.begun = True
                return
