"""Cluster time, which `speed` scales, and each node's own clock, which faults skew."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

from clusterlab.core.node import Env

T = TypeVar("T")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Names this run of this machine: processes with one boot id share a monotonic clock."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # not Linux: one machine is all there can be
        return "here"


class Origin(NamedTuple):
    """When cluster time began, so that any process of any machine can tell it."""

    boot: str
    monotonic_s: float
    wall_s: float
    speed: float

    @classmethod
    def now(cls, speed: float) -> Origin:
        """Cluster time begins now."""
        return cls(boot_id(), time.monotonic(), time.time(), speed)


class ClusterClock:
    """Cluster time in ms: real time since the start, times speed."""

    __slots__ = ("_begin_s", "_factor", "speed")

    def __init__(self, origin: Origin) -> None:
        self.speed = origin.speed
        self._factor = 1000.0 * origin.speed
        if origin.boot == boot_id():
            self._begin_s = origin.monotonic_s
        else:  # another machine: as well as its wall clock agrees with ours
            self._begin_s = time.monotonic() - (time.time() - origin.wall_s)

    def now_ms(self) -> float:
        """Cluster time, to the microsecond: as precisely as a trace tells it."""
        return round((time.monotonic() - self._begin_s) * self._factor, 3)

    def seconds(self, ms: float) -> float:
        """How long `ms` of cluster time take."""
        return ms / self._factor


class Skewed(NamedTuple):
    """How a node's clock is wrong, and since when."""

    offset_ms: float = 0.0
    rate: float = 1.0
    since_ms: float = 0.0


class LiveEnv(Env):
    """The clock and the choices of one live node.

    The clock stands still for the length of a step, at the time that the trace has for it: a node
    that reads it twice reads one value, and so does whoever replays the trace.
    """

    __slots__ = ("_random", "at_ms", "skewed")

    def __init__(self, random: Random, skewed: Skewed) -> None:
        super().__init__()
        self._random = random
        self.skewed = skewed
        self.at_ms = 0.0
        """When the present step began, in cluster time; the host sets it."""

    @property
    def now_ms(self) -> int:
        """What the node's clock showed when the step began."""
        now, (offset, rate, since) = self.at_ms, self.skewed
        return int(now + offset + (rate - 1.0) * (now - since))

    def choose(self, options: Sequence[T]) -> T:
        """Drawn from the node's seed."""
        return options[int(self._random.random() * len(options))]
