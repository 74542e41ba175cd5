"""An experiment that is the same run on several clusters, put side by side."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from clusterlab.core.cluster import Cluster
from clusterlab.core.node import Node
from clusterlab.experiments.base import Check, Experiment, Outcome, Story


class Several(Experiment):
    """Its parts run one after the other; what it says is what they say, under their names."""

    @abstractmethod
    def parts(self) -> Sequence[Experiment]:
        """The runs, each a whole experiment."""

    def compare(self) -> list[Check]:
        """What can only be said once all parts have run."""
        return []

    def run(
        self,
        *,
        engine: str = "sim",
        seed: int = 0,
        say: Callable[[str], None] = lambda _: None,
        **options: Any,
    ) -> Outcome:
        """Run all parts; the trace is that of the last one."""
        self._parts = self.parts()
        checks: list[Check] = []
        fired: dict[str, int] = {}
        operations: dict[str, int] = {}
        duration_ms = 0.0
        for part in self._parts:
            say(f"{part.name}:")
            outcome = part.run(
                engine=engine, seed=seed, say=lambda text: say(f"  {text}"), **options
            )
            checks += [replace(c, name=f"{part.name}: {c.name}") for c in outcome.checks]
            duration_ms += outcome.duration_ms
            for total, more in ((fired, outcome.fired), (operations, outcome.operations)):
                for name, count in more.items():
                    total[name] = total.get(name, 0) + count
        checks += self.compare()
        return Outcome(
            self.name, engine, seed, checks, fired, operations, duration_ms, outcome.trace
        )

    def nodes(self) -> list[Node]:
        """Those of the first part."""
        return self.parts()[0].nodes()

    def script(self, cluster: Cluster, story: Story) -> None:
        """That of the first part."""
        self.parts()[0].script(cluster, story)

    def checks(self, cluster: Cluster) -> list[Check]:
        """Those of the first part."""
        return self.parts()[0].checks(cluster)
