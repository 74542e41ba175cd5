"""What a fuzzer found: per seed, and over all seeds."""

from __future__ import annotations

import builtins
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from clusterlab.check.properties import Property
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz_watch import Violation

if TYPE_CHECKING:
    from clusterlab.experiments.fuzz import SeedRun

PROGRESS_EVERY_S = 1.0
LINE_EVERY_S = 10.0
"""Where a line cannot be written over."""
SHOWN, LETTERS_MAX = 8, 300


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
    hygiene: tuple[str, ...] = ()
    """What makes the nodes unfit to be checked: a step that does not depend on the state alone."""
    interrupted: bool = False
    run: SeedRun | None = field(default=None, repr=False)
    """The first seed that broke something, run again for its trace."""

    @builtins.property  # a property below has taken the name
    def ok(self) -> bool:
        """Whether every seed was run, nothing broke, and everything happened that should."""
        wrong = self.broken or self.never or self.undecided or self.hygiene
        return not (wrong or self.interrupted)

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

    def __str__(self) -> str:
        lines = [self._headline()]
        for one in self.broken:
            seeds = f"{one.seeds:,} of {self.seeds:,} seeds, first {one.first}"
            lines.append(f"  {one.property} ({seeds}): {_short(one.explanation)}")
        lines += [f"Unfit to be checked: {sentence}" for sentence in self.hygiene]
        if self.undecided:
            lines.append(f"Too hard to judge: the histories of seeds {_some(self.undecided)}.")
        lines.append(f"Faults that struck: {_counts(self.fired) or 'none'}.")
        lines.append(f"Operations: {_counts(self.operations) or 'none'}.")
        if self.reached:
            lines.append(f"Happened, in so many seeds: {_counts(self.reached)}.")
        if self.never:
            lines.append(f"Never happened: {', '.join(self.never)}.")
        lines.append(
            f"Run: {self.seeds:,} seeds, {self.events:,} events, in {self.seconds:.1f} s "
            f"({self.seeds_per_s:.0f} seeds/s)."
        )
        return "\n".join(lines)

    def _headline(self) -> str:
        partly = f" INTERRUPTED after {self.seeds:,} of {self.of:,}." if self.interrupted else ""
        if self.broken:
            return f"VIOLATED by {len(self.failed):,} of {self.seeds:,} seeds.{partly}"
        if not self.seeds:
            return f"NOTHING is known: no seed has ended.{partly}"
        if self.never:
            return (
                f"VACUOUS: nothing was violated, but {', '.join(self.never)} never happened in "
                f"{self.seeds:,} seeds, so they say little: give the cluster more to do.{partly}"
            )
        if self.hygiene:
            return f"UNFIT to be checked, so it means little that nothing broke.{partly}"
        if self.undecided:
            return f"NOT KNOWN: {len(self.undecided)} histories were too hard to judge.{partly}"
        return f"HELD in all {self.seeds:,} seeds.{partly}"

    def as_json(self) -> dict[str, Any]:
        """The report without its trace, for `--json`."""
        left_out = {"run", "broken"}
        facts = {name: getattr(self, name) for name in FuzzReport.__dataclass_fields__}
        return {
            "ok": self.ok,
            "broken": [one._asdict() for one in self.broken],
            **{name: value for name, value in facts.items() if name not in left_out},
            "seconds": round(self.seconds, 3),
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self)}


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items() if number)


def _some(seeds: Sequence[int]) -> str:
    more = f" and {len(seeds) - SHOWN} more" if len(seeds) > SHOWN else ""
    return ", ".join(map(str, seeds[:SHOWN])) + more


def _short(sentence: str) -> str:
    """A sentence may quote a log of a hundred entries."""
    return sentence if len(sentence) <= LETTERS_MAX else f"{sentence[:LETTERS_MAX]} ..."


class Gathering:
    """Adds up verdicts as they come in."""

    def __init__(self, of: int, properties: Sequence[Property], progress: ProgressHook) -> None:
        self._of = of
        self._sometimes = [one.name for one in properties if one.kind == "sometimes"]
        self._hook = _Teller() if progress is True else progress
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

    def report(self, seconds: float, hygiene: Sequence[str]) -> FuzzReport:
        """Over all that were added."""
        if isinstance(self._hook, _Teller):
            self._hook.end()
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
            hygiene=tuple(hygiene),
            interrupted=self.interrupted,
        )


class _Teller:
    """Writes progress to stderr: over and over in a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def __call__(self, progress: Progress) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{progress}\r")
            sys.stderr.flush()
        elif progress.seconds >= self._next_s:
            self._next_s = progress.seconds + LINE_EVERY_S
            sys.stderr.write(f"{progress}\n")

    def end(self) -> None:
        """Wipe the line that was written over and over."""
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[K")
            sys.stderr.flush()
