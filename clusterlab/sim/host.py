"""One simulated node: the protocol object, its disk, its clock and its pending timers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from clusterlab.core.node import Env, Node, Save, Timer
from clusterlab.core.values import MUTABLE, copy_value

if TYPE_CHECKING:
    from clusterlab.sim.engine import Engine

T = TypeVar("T")


class Clock:
    """A node's clock: `offset_ms` ahead when it was set, and `rate` times as fast since."""

    __slots__ = ("offset_ms", "rate", "since_ms")

    def __init__(self) -> None:
        self.offset_ms = 0.0
        self.rate = 1.0
        self.since_ms = 0.0

    def skew(self, now_ms: float, offset_ms: float, rate: float) -> None:
        """From now on show `offset_ms` more than the true time, and run at `rate`."""
        self.offset_ms, self.rate, self.since_ms = offset_ms, rate, now_ms

    def shows(self, now_ms: float) -> int:
        """What the clock shows at the true time `now_ms`."""
        return int(now_ms + self.offset_ms + (self.rate - 1.0) * (now_ms - self.since_ms))


class HostEnv(Env):
    """The clock and the choices of one simulated node."""

    __slots__ = ("_clock", "_engine", "_random")

    def __init__(self, engine: Engine, clock: Clock, random: Random) -> None:
        super().__init__()
        self._engine = engine
        self._clock = clock
        self._random = random

    @property
    def now_ms(self) -> int:
        """Computed when it is read, which most protocols never do."""
        return self._clock.shows(self._engine.now_ms)

    def choose(self, options: Sequence[T]) -> T:
        """Drawn from the seed."""
        return options[int(self._random.random() * len(options))]


class Host:
    """A node and what surrounds it."""

    __slots__ = (
        "alive",
        "clock",
        "crash_after",
        "disk",
        "env",
        "held",
        "id",
        "node",
        "paused",
        "shown",
        "shows",
        "synced",
        "timers",
    )

    def __init__(self, engine: Engine, node: Node, random: Random) -> None:
        self.id = node.id
        self.node = node
        self.alive = True
        self.paused = False
        self.disk: dict[str, Any] = node.saved()
        self.synced: dict[str, Any] | None = None  # of a disk that lies: what it really holds
        self.clock = Clock()
        self.env: Env = HostEnv(engine, self.clock, random)
        # Pending timers: the number of the heap entry that will fire, and the seq of the set_timer.
        self.timers: dict[Timer, tuple[int, int | None]] = {}
        self.held: list[tuple[Any, ...]] = []  # what arrived while the process was paused
        self.crash_after: int | None = None
        self.shows = type(node).status is not Node.status
        self.shown: Mapping[str, Any] | None = None

    def let_disk_lie(self, lies: bool) -> None:
        """What is saved from now on is lost with the process; or it is written out after all."""
        self.synced = dict(self.disk) if lies else None

    def lose_cache(self) -> None:
        """The process has died."""
        if self.synced is not None:
            self.disk, self.synced = self.synced, None

    def save(self, save: Save) -> None:
        """Perform a Save: the node has just changed these fields, so the disk takes them over."""
        for name in save.values:
            value = self.node.__dict__[name]
            self.disk[name] = copy_value(value) if type(value) in MUTABLE else value
