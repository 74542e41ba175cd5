"""From a failing seed to the shortest run that fails: what a learner can follow event by event.

Four stages, each of which keeps the property that is violated:

1. The schedule of faults is shrunk by delta debugging; the seed runs again for every try.
2. The run is taken apart into its events (`steps.py`), and these are shrunk: what happened long
   before the end goes first, then whole kinds of events, then single ones by delta debugging, then
   pairs that only go together.
3. What is left is made plain: a death between two steps instead of one within a step, a disk that
   is kept, the first option of each choice, small values in operations, an order that stays with
   one node as long as it can.
4. If the events are few, `explore` searches the small world around them (no more timers, deaths and
   operations than the run has) for a run that is shorter still; if it comes to its end, there is
   none.

An event is an input of a node: a message that arrives, a timer that fires, an operation that is
handed to it, its death, its return. A death and the return after it count as one in `events`, as in
published figures, and as two in `path`. The first starts of the nodes do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from clusterlab.check.explore import explore
from clusterlab.check.properties import Property
from clusterlab.check.replay import replay
from clusterlab.check.shrink import shrink
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import Schedule
from clusterlab.core.node import Node
from clusterlab.core.spec import Spec
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz import LINEARIZABLE, Nodes, SeedRun, Trial
from clusterlab.experiments.fuzz_watch import Violation
from clusterlab.experiments.minimal import Minimal
from clusterlab.experiments.reduction import Reduction, Say
from clusterlab.experiments.rehearsal import retold

SCHEDULE_TRIES_MAX = 50
"""A try is a whole run of the seed."""
SEARCH_S = 10.0
SEARCH_MOVES_MAX = 16
"""Longer runs are too deep for a search from the beginning."""


def _silent(_: str) -> None:
    """Nobody listens."""


def minimize(
    trial: Trial,
    run: SeedRun,
    *,
    name: str | None = None,
    smaller: Nodes | None = None,
    search_s: float = SEARCH_S,
    say: Say = _silent,
) -> Minimal:
    """The shortest run that violates what a failing seed violates.

    Parameters
    ----------
    trial, run:
        What was fuzzed, and the seed of it that failed.
    name:
        The property, if the seed broke several.
    smaller:
        Makes a smaller cluster, in which to search for a shorter run: `lambda: Raft.group(3)`.
    search_s:
        How long an exhaustive search at the end may take; 0 leaves it out.
    say:
        Told what each stage did.

    Raises ScenarioError if the seed is in order, or breaks a promise about whole runs
    (`eventually`): of that, no single event is the end.
    """
    wanted = _wanted(run, name)
    if any(one.kind == "eventually" for one in trial.properties if one.name == wanted):
        raise ScenarioError(
            f"{wanted} is a promise about a whole run, so its events cannot be shrunk: "
            "minimize_schedule(trial, run) shrinks its faults."
        )
    again, how = _with_fewer_faults(trial, run, wanted)
    say(how)
    servers = list(trial.nodes())
    clients = trial.clients(tuple(node.id for node in servers), run.seed) if trial.clients else []
    found = minimize_trace(
        min(run, again, key=lambda one: one.events).trace,
        [*servers, *clients],
        [one for one in trial.properties if one.name == wanted],
        spec=trial.spec if wanted == LINEARIZABLE else None,
        smaller=smaller,
        search_s=search_s,
        say=say,
    )
    return replace(found, seed=run.seed, schedule=again.schedule, how=(how, *found.how))


def minimize_schedule(trial: Trial, run: SeedRun, *, name: str | None = None) -> SeedRun:
    """The same seed with as few faults as it needs to fail: its `schedule` is short.

    For a promise about whole runs (`eventually`), of which no single event is the end.
    """
    return _with_fewer_faults(trial, run, _wanted(run, name))[0]


def _wanted(run: SeedRun, name: str | None) -> str:
    """The property that is to be violated."""
    broken = [violation.property for violation in run.violations]
    if not broken or (name is not None and name not in broken):
        raise ScenarioError(
            f"seed {run.seed} breaks {', '.join(broken) or 'nothing'}: give one that fails"
            + (f" {name}." if name else ".")
        )
    return name or broken[0]


def _with_fewer_faults(trial: Trial, run: SeedRun, wanted: str) -> tuple[SeedRun, str]:
    def fails(part: Schedule) -> bool:
        return any(one.property == wanted for one in trial.run(run.seed, part).violations)

    small = shrink(run.schedule, fails, tries_max=SCHEDULE_TRIES_MAX)
    again = trial.run(run.seed, list(small.items))
    return again, f"{len(small.items)} of {small.of} faults are needed."


def minimize_trace(
    trace: Trace,
    nodes: Iterable[Node],
    properties: Property | Sequence[Property],
    *,
    spec: Spec | None = None,
    smaller: Nodes | None = None,
    search_s: float = SEARCH_S,
    say: Say = _silent,
) -> Minimal:
    """The same for any recorded run of the simulator, the live engine or a search.

    Parameters
    ----------
    trace, nodes:
        The run, and all of its nodes, clients too, as they were given to the cluster.
    properties:
        What it violates: one property, or several of which the first to break counts. An exception
        in a handler counts by itself.
    spec:
        Judge the history of the clients against this object instead.
    smaller, search_s:
        As of `minimize`.

    Raises ScenarioError if the run, rehearsed, violates nothing.
    """
    properties = (properties,) if isinstance(properties, Property) else tuple(properties)
    work = Reduction(trace, nodes, properties, spec, say)
    work.tail()
    work.kinds()
    work.events()
    work.plain()
    work.in_order()
    return _result(work, smaller, search_s)


def _result(work: Reduction, smaller: Nodes | None, search_s: float) -> Minimal:
    """The run, verified once more and retold; or a shorter one, if a search finds it."""
    best = work.best
    assert best.violation is not None
    clock = best.reads_clock
    found = Minimal(
        work.name,
        best.violation.explanation,
        tuple(step.move for step in best.steps),
        retold(work.nodes, best.steps, work.begin, clock=clock),
        tuple(work.nodes),
        work.of,
        clocks=tuple(step.clock_ms for step in best.steps) if clock else (),
    )
    if search_s > 0 and not clock and work.spec is None:
        found = _searched(work, found, smaller() if smaller is not None else work.nodes, search_s)
    disagreeing = replay(found.trace, found.nodes)
    if disagreeing:
        raise ScenarioError(
            f"the shortest run does not replay ({disagreeing.disagreements[0]}): the node "
            "depends on something that is not in its state; see check.hygiene."
        )
    found.trace.meta.update(property=found.property, explanation=found.explanation)
    return replace(found, how=tuple(work.how))


def _searched(work: Reduction, found: Minimal, nodes: Sequence[Node], search_s: float) -> Minimal:
    """What a search of the small world around a run finds: a shorter one, or that there is none."""
    path = found.path
    if len(path) > SEARCH_MOVES_MAX:
        return found
    names = {node.id for node in nodes}
    fired = Counter(type(move.msg).__name__ for move in path if move.kind == "fire")
    dead = {move.node for move in path if move.kind == "kill" or move.effects is not None}
    disks = {move.disk for move in path if move.kind == "restart"}
    report = explore(
        [node.copy() for node in nodes],
        properties=work.properties,
        network="multiset",
        duplicates=sum(move.copy for move in path),
        invoke=[(m.node, m.msg) for m in path if m.kind == "invoke" and m.msg and m.node in names],
        crashes=sum(move.kind == "kill" or move.effects is not None for move in path),
        crashing=dead & names or None,
        restarts="either" if len(disks) == 2 else "lose" if disks == {"lose"} else "keep",
        timers={name: fired[name] for name in work.timers},
        depth_max=len(path) - 1,
        seconds_max=search_s,
    )
    where = f"A search of {len(nodes)} nodes with as many timers and deaths"
    if report.verdict == "violated":
        assert report.trace is not None
        wrong = Violation(report.property or "", report.explanation, 0.0)
        if not work.is_the_same(wrong):
            work.tell(f"{where} meets something else first: {report.explanation}")
            return found
        work.tell(f"{where} finds a run of {len(report.path)} events: none is shorter.")
        return replace(
            found,
            explanation=report.explanation,
            path=report.path,
            trace=report.trace,
            nodes=tuple(nodes),
            shortest=True,
        )
    if report.verdict == "holds" or report.depth >= len(path) - 1:
        work.tell(f"{where} finds no shorter run ({report.states:,} states).")
        return replace(found, shortest=True)
    work.tell(f"{where} came to no end: {report.explanation}.")
    return found
