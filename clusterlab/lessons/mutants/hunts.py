"""How mutants are hunted: by exhaustive search, behind a directed prefix, or by seeds.

Budgets are counts (states, depth, seeds), so that a hunt says the same on every machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from clusterlab.check.explore import explore
from clusterlab.check.moves import Move
from clusterlab.check.replay import replay
from clusterlab.check.report import Progress as SearchProgress
from clusterlab.check.report import Report
from clusterlab.check.shrink import shrink
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import WORLD, Message, Node, NodeId, Timer
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz import LINEARIZABLE, SeedRun, Trial, fuzz_trial
from clusterlab.experiments.fuzz_report import Progress as SeedProgress
from clusterlab.lessons.mutants import Caught, CheckerName, Hunt, Progress

Nodes: TypeAlias = Callable[[type[Any]], Iterable[Node]]
"""Makes the nodes of a world of a class: `lambda server: server.group(3)`."""

Count: TypeAlias = Callable[[Report], int]
"""How long the path of a report is, as published figures count."""

SHRINK_TRIES = 200


def by_search(nodes: Nodes, *, count: Count | None = None, **world: Any) -> Hunt:
    """A hunt through every schedule of a small world; `world` goes to `explore`.

    `count` says how long a path is, if not as `events` does.
    """
    return _searching("search", nodes, (), world, count)


def by_prefix(nodes: Nodes, after: Sequence[Move | str], **world: Any) -> Hunt:
    """A hunt through every schedule that begins with the moves `after`.

    For what is too deep for a search from the beginning. The prefix must be possible for the broken
    class and the healthy one alike. Of the run that is found, no move can be left out.
    """
    return _searching("prefix", nodes, tuple(after), world)


def _searching(
    checker: CheckerName,
    nodes: Nodes,
    after: tuple[Move | str, ...],
    world: dict[str, Any],
    count: Count | None = None,
) -> Hunt:
    def hunt(server: type[Node], progress: Progress | None = None) -> Caught:
        begun = time.process_time()
        made = list(nodes(server))
        report = explore(made, after=after, progress=teller(progress), **world)
        if after and report.verdict == "violated":
            report = _without_detours(report, made, world)
        return told(report, made, checker, time.process_time() - begun, len(after), count)

    return hunt


def _without_detours(found: Report, nodes: Sequence[Node], world: dict[str, Any]) -> Report:
    """The same violation without the moves of the path that it does not need."""

    def follow(part: Iterable[Move]) -> Report:
        # The last move is searched for: one that breaks a step cannot be followed.
        return explore(nodes, after=part, **{**world, "depth_max": 1})

    small = shrink(found.path[:-1], lambda part: follow(part).property == found.property)
    return replace(follow(small.items), states=found.states)


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
        raise ScenarioError(_nothing_happened(report.never))
    if report.trace is not None:
        check_replay(report.trace, nodes)
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


def check_replay(trace: Trace, nodes: Iterable[Node]) -> None:
    """Run a trace again, node by node; ScenarioError if a node does something else."""
    for disagreement in replay(trace, nodes):
        raise ScenarioError(
            f"the run that was found does not replay ({disagreement}): "
            "see with check.hygiene on what its nodes depend beside their state."
        )


def _nothing_happened(never: Iterable[str]) -> str:
    return (
        f"{', '.join(never)} never happened, so this hunt says nothing: give its world more to do."
    )


def _covered(report: Report, prefix: int) -> str:
    where = f" behind a prefix of {prefix} moves" if prefix else ""
    what = {
        "violated": "up to the violation",
        "not finished": f"all up to depth {report.depth}",
    }.get(report.verdict, "the whole world")
    return f"{report.states:,} states{where}, {what}"


def by_seeds(make: Callable[[type[Any]], Trial], seeds: range) -> Hunt:
    """A hunt through seeded runs; the first that goes wrong is shrunk to the faults it needs.

    `make` takes the class, and says what is run for each seed.
    """

    def hunt(server: type[Node], progress: Progress | None = None) -> Caught:
        def tell(now: SeedProgress) -> None:
            if progress is not None:
                progress(f"{now.seeds:,} of {now.of:,} seeds")

        begun = time.process_time()
        trial = make(server)
        report = fuzz_trial(trial, seeds, until_violation=True, progress=tell)
        if report.interrupted:
            raise KeyboardInterrupt
        if report.run is None and report.never:
            raise ScenarioError(_nothing_happened(report.never))
        run = _with_fewer_faults(trial, report.run) if report.run is not None else None
        return Caught(
            property=run.violations[0].property if run else None,
            explanation=run.violations[0].explanation if run else "",
            checker="history" if run and run.violations[0].property == LINEARIZABLE else "seeds",
            depth=len(run.trace) if run else None,
            states=None,
            seconds=time.process_time() - begun,
            trace=run.trace if run else None,
            covered=f"{report.seeds:,} seed{'s' * (report.seeds > 1)}",
        )

    return hunt


def _with_fewer_faults(trial: Trial, run: SeedRun) -> SeedRun:
    """The same seed and violation with as few faults as possible, run again node by node."""

    def breaks(part: Iterable[Any]) -> SeedRun | None:
        again = trial.run(run.seed, list(part))
        same = again.violations and again.violations[0].property == run.violations[0].property
        return again if same else None

    small = shrink(run.schedule, lambda part: breaks(part) is not None, tries_max=SHRINK_TRIES)
    found = breaks(small.items)
    assert found is not None, "shrink has verified it"
    servers = list(trial.nodes())
    clients = trial.clients(tuple(node.id for node in servers), run.seed) if trial.clients else ()
    check_replay(found.trace, [*servers, *clients])
    return found


# --- moves of a prefix -----------------------------------------------------------------------


def fires(node: NodeId, timer: Timer) -> Move:
    """A timer fires."""
    return Move("fire", node, None, timer)


def arrives(src: NodeId, dst: NodeId, msg: Message) -> Move:
    """A message arrives."""
    return Move("deliver", dst, src, msg)


def asked(client: NodeId, operation: Message) -> Move:
    """A client is handed an operation."""
    return Move("invoke", client, WORLD, operation)
