"""Seeds by the thousand: a storm of faults drawn from each, then peace, and properties all along.

Sources: Groce et al., "Swarm Testing" (2012), for drawing first which faults exist at all; the
VOPR of TigerBeetle for the two phases: one in which nothing bad may happen, whatever fails, and one
in which the failures stop and something good must happen.

A seed is a run: its faults, its network, its clients and the order of all events follow from the
number alone, so a seed that fails does so again, everywhere. The properties are those of
`explore`, and `eventually` as well: once the faults have stopped, it must come true in time.
What clients were told is judged against a sequential object.

>>> from clusterlab.check.invariants import raft
>>> from clusterlab.protocols.raft import Raft
>>> report = fuzz(Raft.group, seeds=range(2), properties=raft.SAFETY, storm_ms=500)
>>> report.ok, report.seeds
(True, 2)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from clusterlab.check.hygiene import check_hygiene
from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.locals import HANDLERS
from clusterlab.check.properties import Property, check_properties
from clusterlab.core.errors import NodeError, ScenarioError
from clusterlab.core.faults import Fault, Schedule, Skew, check_name
from clusterlab.core.garbage import no_garbage_collection
from clusterlab.core.history import History
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.core.spec import Spec
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz_report import FuzzReport, Gathering, ProgressHook, SeedVerdict
from clusterlab.experiments.fuzz_spread import by_processes, by_ray, one_by_one, trial_of
from clusterlab.experiments.fuzz_watch import BrokenError, Violation, Watch, Watched
from clusterlab.experiments.nemesis import Swarm, make_whole

STORM_MS = 3_000.0
PEACE_MS = 500.0
"""The shortest time that is looked at after the storm."""
SLICE_MS = 20.0
HYGIENE_STEPS = 100
LINEARIZABLE = "linearizable"
"""The property that a history breaks which no order of its operations explains."""

Nodes: TypeAlias = Callable[[], Sequence[Node]]
Clients: TypeAlias = Callable[[tuple[NodeId, ...], int], Sequence[Node]]
"""Takes the ids of the servers and the seed."""


@dataclass
class SeedRun(SeedVerdict):
    """One seed with all that it left behind."""

    schedule: Schedule = field(default_factory=list, repr=False)
    """The faults of the storm."""
    trace: Trace = field(default_factory=Trace, repr=False)

    @property
    def history(self) -> History:
        """What the clients asked and were told."""
        return History.of(self.trace)

    def verdict(self) -> SeedVerdict:
        """The run without its trace."""
        names = SeedVerdict.__dataclass_fields__
        return SeedVerdict(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class Trial:
    """What is run for each seed; see `fuzz`."""

    nodes: Nodes
    clients: Clients | None = None
    invoke: tuple[tuple[NodeId, Message], ...] = ()
    properties: tuple[Property, ...] = ()
    spec: Spec | None = None
    storm_ms: float = STORM_MS
    spare: int = 0
    network: Network | None = None
    true_clocks: bool = False
    """Whether no clock is ever skewed: for what rests on clocks, such as leases."""

    def __post_init__(self) -> None:
        if self.storm_ms < 0:
            raise ScenarioError(f"storm_ms={self.storm_ms}: a storm lasts 0 ms or more.")
        if self.spare < 0:
            raise ScenarioError(f"spare={self.spare}: 0 or more nodes can be spared.")

    def run(self, seed: int, schedule: Schedule | None = None) -> SeedRun:
        """One seed, with the faults of `schedule` instead of those drawn from it, if given."""
        with no_garbage_collection():
            return _Run(self, seed, schedule).run()


def fuzz(
    nodes: Nodes,
    *,
    seeds: Iterable[int],
    clients: Clients | None = None,
    invoke: Iterable[tuple[NodeId, Message]] = (),
    properties: Property | Iterable[Property] = (),
    spec: Spec | None = None,
    storm_ms: float = STORM_MS,
    spare: int = 0,
    network: Network | None = None,
    until_violation: bool = False,
    workers: int = 1,
    address: str | None = None,
    progress: ProgressHook = None,
) -> FuzzReport:
    """Run a cluster once for each seed, through a storm and into peace.

    Parameters
    ----------
    nodes:
        Makes the servers, anew for each seed.
    seeds:
        Whole numbers; each is a run.
    clients:
        Makes the clients, from the ids of the servers and the seed: they have a workload.
    invoke:
        Pairs (node, operation): each is handed to its node once at a time drawn from the seed, and
        once more when the faults have stopped.
    properties:
        What must hold. An exception in a handler is a violation by itself.
    spec:
        The object that the history is judged against; None judges no history.
    storm_ms:
        How long faults go on.
    spare:
        How many servers the protocol can do without: up to so many stay dead when the others are
        made whole.
    network:
        How the links are while no fault says otherwise.
    until_violation:
        End at the first seed that breaks something.
    workers:
        How many processes share the seeds; the report is the same.
    address:
        Of a Ray cluster whose machines share them instead ("local" starts one here).
    progress:
        Called with a Progress about once a second; True writes a line to stderr instead.

    Raises ScenarioError for a cluster that cannot be or a property that raises. An interrupt
    (Ctrl-C) ends it, and the report says how far it came.
    """
    trial = Trial(
        nodes, clients, tuple(invoke), check_properties(properties), spec, storm_ms, spare, network
    )
    return fuzz_trial(
        trial,
        seeds,
        until_violation=until_violation,
        workers=workers,
        address=address,
        progress=progress,
    )


def run_seed(
    nodes: Nodes,
    *,
    seed: int,
    clients: Clients | None = None,
    invoke: Iterable[tuple[NodeId, Message]] = (),
    properties: Property | Iterable[Property] = (),
    spec: Spec | None = None,
    storm_ms: float = STORM_MS,
    spare: int = 0,
    network: Network | None = None,
    schedule: Schedule | None = None,
) -> SeedRun:
    """One seed of `fuzz`; `schedule` replaces the faults that are drawn from it."""
    trial = Trial(
        nodes, clients, tuple(invoke), check_properties(properties), spec, storm_ms, spare, network
    )
    return trial.run(seed, schedule)


def fuzz_trial(
    trials: Trial | Sequence[Trial],
    seeds: Iterable[int],
    *,
    until_violation: bool = False,
    workers: int = 1,
    address: str | None = None,
    progress: ProgressHook = None,
    say: Callable[[str], None] = lambda _: None,
) -> FuzzReport:
    """`fuzz` of a trial, or of several, which take turns: seed s runs trial s modulo their number.

    `say` is told what takes long before the first seed: that Ray is started.
    """
    trials = (trials,) if isinstance(trials, Trial) else tuple(trials)
    seeds = list(seeds)
    if not seeds:
        raise ScenarioError("there is no seed to run: give seeds such as range(100).")
    if workers < 1:
        raise ScenarioError(f"workers={workers} run nothing: give 1 or more.")
    gathering = Gathering(len(seeds), trials[0].properties, progress)
    begun = time.perf_counter()
    if address is not None:
        verdicts = by_ray(trials, seeds, address, say)
    elif workers > 1:
        verdicts = by_processes(trials, seeds, workers)
    else:
        verdicts = one_by_one(trials, seeds)
    try:
        with closing(verdicts):
            for verdict in verdicts:
                gathering.add(verdict)
                if until_violation and verdict.violations:
                    break
    except KeyboardInterrupt:
        gathering.interrupted = True
    report = gathering.report(time.perf_counter() - begun, _hygiene(trials[0]))
    if report.seed is not None:
        with suppress(KeyboardInterrupt):
            report.run = trial_of(trials, report.seed).run(report.seed)
    return report


def _hygiene(trial: Trial) -> list[str]:
    """What is wrong with the first steps of the nodes, whatever the seed."""
    servers = list(trial.nodes())
    names = tuple(node.id for node in servers)
    clients = trial.clients(names, 0) if trial.clients is not None else ()
    try:
        found = check_hygiene(
            [*servers, *clients], operations=trial.invoke, steps_max=HYGIENE_STEPS
        )
    except NodeError:
        return []  # the seeds tell of a handler that raises
    return [str(finding) for finding in found]


class _Run:
    """One seed while it runs."""

    def __init__(self, trial: Trial, seed: int, schedule: Schedule | None) -> None:
        self.trial = trial
        self.seed = seed
        self.schedule = schedule
        self.watch: Watch | None = None
        self.sim: Watched | None = None

    def run(self) -> SeedRun:
        """The storm, the peace, the verdict."""
        violations: list[Violation] = []
        undecided = False
        try:
            self.sim = sim = self._cluster()
            self._storm(sim)
            violations = self._peace(sim)
            if self.trial.spec is not None:
                verdict = check_linearizability(sim.history, self.trial.spec)
                if verdict.interrupted:
                    raise KeyboardInterrupt
                undecided = verdict.valid is None
                if verdict.valid is False:
                    violations.append(Violation(LINEARIZABLE, verdict.explain(), sim.now_ms))
        except BrokenError as broken:
            violations = broken.violations
        except NodeError as error:
            violations = [Violation(HANDLERS, str(error), self.sim.now_ms if self.sim else 0.0)]
        return self._verdict(violations, undecided)

    def _cluster(self) -> Watched:
        sim = Watched(self.trial.nodes(), seed=self.seed, network=self.trial.network)
        if self.trial.clients is not None:
            for client in self.trial.clients(sim.servers, self.seed):
                sim.add_client(client)
        for name, _ in self.trial.invoke:
            check_name(name, sim.servers + sim.clients)
        if self.schedule is None:
            random = Random(f"storm {self.seed}")
            swarm = Swarm.draw(random)
            self.schedule = swarm.schedule(
                random, sim.servers, sim.clients, until_ms=self.trial.storm_ms
            )
            if self.trial.true_clocks:
                self.schedule = [one for one in self.schedule if not isinstance(one[1], Skew)]
        self.watch = sim.watch = Watch(sim, self.trial.properties)
        return sim

    def _storm(self, sim: Watched) -> None:
        """Faults and operations, each at its time."""
        random = Random(f"operations {self.seed}")
        last = random.uniform(0, self.trial.storm_ms)  # sometimes all at once
        calls = [(random.uniform(0, last), one) for one in self.trial.invoke]
        todo: list[tuple[float, Fault | tuple[NodeId, Message]]] = [*calls, *(self.schedule or ())]
        for at_ms, what in sorted(todo, key=lambda item: item[0]):
            sim.run(until_ms=max(at_ms, sim.now_ms))
            if isinstance(what, Fault):
                sim.apply(what)
            else:
                sim.submit(*what)
        sim.run(until_ms=max(self.trial.storm_ms, sim.now_ms))

    def _peace(self, sim: Watched) -> list[Violation]:
        """All is made whole, but for a few nodes that can be spared; what was hoped for comes."""
        assert self.watch is not None
        random = Random(f"peace {self.seed}")
        dead = random.sample(sim.servers, random.randrange(self.trial.spare + 1))
        for node in dead:
            sim.kill(node)
        make_whole(sim, except_for=dead)
        begin = sim.now_ms
        for name, operation in self.trial.invoke:
            sim.submit(name, operation)
        self.watch.hope()
        while (hopes := self.watch.hopes()) or sim.now_ms < begin + PEACE_MS:
            passed = sim.now_ms - begin
            if any(passed >= (one.within_ms or 0.0) for one in hopes):
                return self.watch.disappointments(begin)
            sim.run(SLICE_MS)
            # Who was to die within a step may only have done so now.
            if any(sim.health(node) == "dead" for node in sim.servers if node not in dead):
                make_whole(sim, except_for=dead)
        return []

    def _verdict(self, violations: list[Violation], undecided: bool) -> SeedRun:
        trace = self.sim.trace if self.sim is not None else Trace()
        operations = Counter(op.outcome for op in History.of(trace))
        return SeedRun(
            seed=self.seed,
            violations=violations,
            reached=dict(self.watch.reached) if self.watch is not None else {},
            fired=trace.fired(),
            operations={name: operations[name] for name in ("ok", "fail", "info")},
            events=len(trace),
            duration_ms=self.sim.now_ms if self.sim is not None else 0.0,
            undecided=undecided,
            schedule=self.schedule or [],
            trace=trace,
        )
