"""How mutants are hunted: by exhaustive search, behind a directed prefix, or by seeds.

Budgets are counts (states, depth, seeds), so that a hunt says the same on every machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from clusterlab.check.explore import explore
from clusterlab.check.replay import replay
from clusterlab.check.report import Progress as SearchProgress
from clusterlab.check.report import Report
from clusterlab.check.shrink import shrink
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import Schedule
from clusterlab.core.node import Node
from clusterlab.core.trace import Trace
from clusterlab.lessons.mutants import Caught, CheckerName, Hunt, Progress

Nodes: TypeAlias = Callable[[type[Node]], Iterable[Node]]
"""Makes the nodes of a world of a class: `lambda server: server.group(3)`."""

Count: TypeAlias = Callable[[Report], int]
"""How long the path of a report is, as published figures count."""

SHRINK_TRIES = 200


def by_search(nodes: Nodes, *, count: Count | None = None, **world: Any) -> Hunt:
    """A hunt through every schedule of a small world; `world` goes to `explore`.

    `count` says how long a path is, if not as `events` does.
    """
    return _searching("search", nodes, (), world, count)


def by_prefix(nodes: Nodes, after: Sequence[str], **world: Any) -> Hunt:
    """A hunt through every schedule that begins with the moves `after`, told as `explore` does.

    For what is too deep for a search from the beginning. The prefix must be possible for the broken
    class and the healthy one alike.
    """
    return _searching("prefix", nodes, tuple(after), world)


def _searching(
    checker: CheckerName,
    nodes: Nodes,
    after: tuple[str, ...],
    world: dict[str, Any],
    count: Count | None = None,
) -> Hunt:
    def hunt(server: type[Node], progress: Progress | None = None) -> Caught:
        begun = time.process_time()
        made = list(nodes(server))
        report = explore(made, after=after, progress=teller(progress), **world)
        return told(report, made, checker, time.process_time() - begun, len(after), count)

    return hunt


def teller(progress: Progress | None) -> Callable[[SearchProgress], None]:
    """Tells `progress`, if there is one, how far a search has come."""

    def tell(now: SearchProgress) -> None:
        if progress is not None:
            progress(f"{now.states:,} states, depth {now.depth}")

    return tell


def told(
    report: Report,
    nodes: Iterable[Node],
    checker: CheckerName,
    seconds: float,
    prefix: int = 0,
    count: Count | None = None,
) -> Caught:
    """What a search of these nodes found; a run that it found is run again, node by node."""
    if report.interrupted:
        raise KeyboardInterrupt
    if report.never and report.verdict != "violated":
        raise ScenarioError(
            f"{', '.join(report.never)} never happened, so this hunt says nothing: "
            "give its world more to do."
        )
    if report.trace is not None:
        disagreements = list(replay(report.trace, nodes))
        assert not disagreements, str(disagreements[0])
    return Caught(
        property=report.property,
        explanation=report.explanation,
        checker=checker,
        depth=(count or events)(report) if report.path else None,
        states=report.states,
        seconds=seconds,
        trace=report.trace,
        covered=_covered(report, prefix),
    )


def events(report: Report) -> int:
    """The moves of the path, a death and its restart counted as one, as published figures do."""
    return sum(move.kind != "restart" for move in report.path)


def _covered(report: Report, prefix: int) -> str:
    where = f" behind a prefix of {prefix} moves" if prefix else ""
    if report.verdict == "not finished":
        return f"{report.states:,} states{where}, all up to depth {report.depth}"
    return f"{report.states:,} states{where}, the whole world"


class Run(NamedTuple):
    """What one seeded run came to."""

    property: str | None
    """The property that was violated; None: all is well."""
    explanation: str
    schedule: Schedule
    """The faults that happened; the same seed with a part of them is the run that shrinking
    tries."""
    trace: Trace


RunSeed: TypeAlias = Callable[[type[Node], int, Schedule | None], Run]
"""Runs a class with a seed, and with that schedule of faults or, if it is None, a drawn one."""


def by_seeds(run: RunSeed, seeds: range, *, checker: CheckerName = "seeds") -> Hunt:
    """A hunt through seeded runs; the first that goes wrong is shrunk to the faults it needs."""
    if not seeds:
        raise ScenarioError("a hunt without a seed runs nothing: give a range such as range(20).")

    def hunt(server: type[Node], progress: Progress | None = None) -> Caught:
        begun = time.process_time()
        for done, seed in enumerate(seeds, 1):
            found = run(server, seed, None)
            if found.property is not None:
                found = _shrunk(run, server, seed, found)
                break
            if progress is not None:
                progress(f"{done:,} of {len(seeds):,} seeds")
        return Caught(
            property=found.property,
            explanation=found.explanation,
            checker=checker,
            depth=len(found.trace) if found.property is not None else None,
            states=None,
            seconds=time.process_time() - begun,
            trace=found.trace if found.property is not None else None,
            covered=f"{done:,} seed{'s' * (done > 1)}",
        )

    return hunt


def _shrunk(run: RunSeed, server: type[Node], seed: int, found: Run) -> Run:
    """The same violation with as few faults as possible."""
    small = shrink(
        found.schedule,
        lambda part: run(server, seed, part).property == found.property,
        tries_max=SHRINK_TRIES,
    )
    return run(server, seed, list(small.items))
