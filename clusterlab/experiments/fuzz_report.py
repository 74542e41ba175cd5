"""What a fuzzer found: per seed, and over all seeds."""

from __future__ import annotations

import builtins
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from clusterlab.check.properties import Property
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz_watch import Violation

if TYPE_CHECKING:
    from clusterlab.experiments.fuzz import SeedRun

PROGRESS_EVERY_S = 1.0


@dataclass
class SeedVerdict:
    """What one seed came to."""

    seed: int
    violations: list[Violation]
    """What broke first: everything that did in one and the same moment."""
    reached: dict[str, float]
    """The `sometimes` and `eventually` that came true, and when (ms)."""
    fired: dict[str, int]
    """How often each fault struck."""
    operations: dict[str, int]
    """How many operations ended as ok, fail, info."""
    events: int
    duration_ms: float
    undecided: bool = False
    """The history was too hard to judge."""

    @property
    def ok(self) -> bool:
        """Whether nothing broke."""
        return not self.violations


class Progress(NamedTuple):
    """How far a fuzzer has come."""

    seeds: int
    of: int
    violations: int
    """Seeds that broke something."""
    seconds: float

    def __str__(self) -> str:
        bad = f"{self.violations:,} broken" if self.violations else "none broken"
        speed = self.seeds / self.seconds if self.seconds else 0.0
        return f"{self.seeds:,} of {self.of:,} seeds, {bad}, {speed:.0f} seeds/s"


ProgressHook: TypeAlias = "Callable[[Progress], None] | Literal[True] | None"


class Broken(NamedTuple):
    """How often a property was broken, and by which seed first."""

    property: str
    seeds: int
    first: int
    explanation: str
    """Of the first."""


@dataclass
class FuzzReport:
    """What `fuzz` found; in an `if` or `assert` it is true only if all is well."""

    seeds: int
    """How many were run."""
    of: int
    """How many were asked for."""
    broken: list[Broken]
    """The properties that were violated, in the order of their first seeds."""
    reached: dict[str, int]
    """`sometimes` and `eventually` -> the number of seeds in which it came true."""
    never: tuple[str, ...]
    """The `sometimes` that came true in no seed: a check that passes so is vacuous."""
    fired: dict[str, int]
    """How often each fault struck, in all seeds."""
    operations: dict[str, int]
    undecided: list[int]
    """Seeds whose histories were too hard to judge."""
    failed: list[int]
    """Seeds that broke something."""
    events: int
    seconds: float
    interrupted: bool = False
    run: SeedRun | None = field(default=None, repr=False)
    """The first seed that broke something, run again for its trace."""

    @builtins.property  # a property below has taken the name
    def ok(self) -> bool:
        """Whether every seed was run, nothing broke, and everything happened that should."""
        return not (self.broken or self.never or self.undecided or self.interrupted)

    @builtins.property
    def seed(self) -> int | None:
        """The first seed that broke something."""
        return self.failed[0] if self.failed else None

    @builtins.property
    def property(self) -> str | None:
        """The first property that was broken."""
        return self.broken[0].property if self.broken else None

    @builtins.property
    def explanation(self) -> str:
        """How it was broken."""
        return self.broken[0].explanation if self.broken else ""

    @builtins.property
    def trace(self) -> Trace | None:
        """The run of the first seed that broke something, up to that moment."""
        return self.run.trace if self.run is not None else None

    @builtins.property
    def seeds_per_s(self) -> float:
        """Seeds run per second, by all workers."""
        return self.seeds / self.seconds if self.seconds else 0.0

    def __bool__(self) -> bool:
        return self.ok


class Gathering:
    """Adds up verdicts as they come in."""

    def __init__(self, of: int, properties: Sequence[Property], progress: ProgressHook) -> None:
        self._of = of
        self._sometimes = [one.name for one in properties if one.kind == "sometimes"]
        self._hook = _to_stderr if progress is True else progress
        self._verdicts: list[SeedVerdict] = []
        self._failed = 0
        self._begun = self._told = time.perf_counter()
        self.interrupted = False

    def add(self, verdict: SeedVerdict) -> None:
        """One more seed, in their order."""
        self._verdicts.append(verdict)
        self._failed += not verdict.ok
        now = time.perf_counter()
        if self._hook is not None and now - self._told >= PROGRESS_EVERY_S:
            self._told = now
            done = len(self._verdicts)
            self._hook(Progress(done, self._of, self._failed, now - self._begun))

    def report(self, seconds: float) -> FuzzReport:
        """Over all that were added."""
        fired, operations, reached = Counter[str](), Counter[str](), Counter[str]()
        broken: dict[str, Broken] = {}
        for one in self._verdicts:
            fired.update(one.fired)
            operations.update(one.operations)
            reached.update(one.reached.keys())
            for violation in one.violations:
                name = violation.property
                before = broken.get(name, Broken(name, 0, one.seed, violation.explanation))
                broken[name] = before._replace(seeds=before.seeds + 1)
        return FuzzReport(
            seeds=len(self._verdicts),
            of=self._of,
            broken=list(broken.values()),
            reached=dict(reached),
            never=tuple(name for name in self._sometimes if not reached[name]),
            fired=dict(sorted(fired.items())),
            operations=dict(operations),
            undecided=[one.seed for one in self._verdicts if one.undecided],
            failed=[one.seed for one in self._verdicts if not one.ok],
            events=sum(one.events for one in self._verdicts),
            seconds=seconds,
            interrupted=self.interrupted,
        )


def _to_stderr(progress: Progress) -> None:
    sys.stderr.write(f"{progress}\n")
