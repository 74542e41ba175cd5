"""What an experiment is: nodes, a workload, faults, what must hold, a question and a guess at it.

An experiment is written once against the verbs of `Cluster`, so it runs on the simulator and on Ray
with one word changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, NamedTuple

from clusterlab.cluster import Cluster
from clusterlab.core.cluster import Cluster as Verbs
from clusterlab.core.errors import NodeError
from clusterlab.core.faults import Schedule
from clusterlab.core.network import Network
from clusterlab.core.node import Node
from clusterlab.core.trace import Trace


class Prediction(NamedTuple):
    """A question with its options, the index of the right one, and why."""

    question: str
    options: tuple[str, ...]
    answer: int
    because: str


@dataclass(frozen=True)
class Check:
    """Something that must hold, whether it did, and the values that say so."""

    name: str
    holds: bool
    explanation: str


@dataclass
class Outcome:
    """What a run of an experiment came to."""

    experiment: str
    engine: str
    seed: int
    checks: list[Check]
    fired: dict[str, int]
    operations: dict[str, int]
    duration_ms: float
    trace: Trace = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether everything held that must."""
        return all(check.holds for check in self.checks)

    def failures(self) -> list[Check]:
        """What did not hold."""
        return [check for check in self.checks if not check.holds]

    def as_json(self) -> dict[str, Any]:
        """The outcome without its trace, for `--json`."""
        return {
            "experiment": self.experiment,
            "engine": self.engine,
            "seed": self.seed,
            "passed": self.passed,
            "checks": [vars(check) for check in self.checks],
            "faults": self.fired,
            "operations": self.operations,
            "duration_ms": round(self.duration_ms, 1),
            "events": len(self.trace),
        }


@dataclass
class Story:
    """The run as it is told: `say` prints a line, `random` draws from the seed."""

    random: Random
    say: Callable[[str], None] = lambda _: None


class Experiment(ABC):
    """One question, and a run that answers it.

    Subclasses are listed in `experiments.CATALOGUE` under their `name`.
    """

    name: ClassVar[str]
    question: ClassVar[str]
    prediction: ClassVar[Prediction]
    source: ClassVar[str]
    network: ClassVar[Network] = Network()

    @abstractmethod
    def nodes(self) -> list[Node]:
        """The servers."""

    @abstractmethod
    def script(self, cluster: Verbs, story: Story) -> None:
        """Start clients, let faults happen, and bring the cluster to rest."""

    @abstractmethod
    def checks(self, cluster: Verbs) -> list[Check]:
        """What must hold at the end."""

    def checks_of_trace(self, trace: Trace) -> list[Check]:  # noqa: ARG002 - for subclasses
        """What can be said of a run that a failing node has ended."""
        return []

    def run(
        self,
        *,
        engine: str = "sim",
        seed: int = 0,
        say: Callable[[str], None] = lambda _: None,
        **options: Any,
    ) -> Outcome:
        """Run it once; the cluster is stopped whatever happens.

        A handler that raises ends the run and is a check that failed.
        Raises EngineUnavailable if the engine cannot start here.
        """
        with Cluster(
            self.nodes(), engine=engine, seed=seed, network=self.network, **options
        ) as cluster:
            try:
                self.script(cluster, Story(Random(seed), say))
                checks = self.checks(cluster)
            except NodeError as error:
                checks = [
                    Check("no node failed", False, str(error)),
                    *self.checks_of_trace(cluster.trace),
                ]
            duration_ms = cluster.now_ms
        operations = dict.fromkeys(("ok", "fail", "info"), 0)
        for operation in cluster.history:
            operations[operation.outcome] += 1
        return Outcome(
            self.name,
            engine,
            seed,
            checks,
            cluster.trace.fired(),
            operations,
            duration_ms,
            cluster.trace,
        )


def play(cluster: Verbs, schedule: Schedule) -> None:
    """Let the faults of a schedule happen, each at its time after now."""
    begin = cluster.now_ms
    for at_ms, fault in schedule:
        cluster.run(max(0.0, begin + at_ms - cluster.now_ms))
        cluster.apply(fault)
