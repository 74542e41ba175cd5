"""The shortest run that a failing seed came to: to be read, played and kept."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from pathlib import Path

from clusterlab.check.moves import Move
from clusterlab.check.story import Story, tell
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import Schedule
from clusterlab.core.node import Node
from clusterlab.core.trace import Trace
from clusterlab.experiments.scenario import scenario_text


@dataclass
class Minimal:
    """The shortest run found that violates the property, and how it was found."""

    property: str
    explanation: str
    """The values that break it."""
    path: tuple[Move, ...]
    """The run, event by event; `explore` takes it as `after`."""
    trace: Trace = field(repr=False)
    """The same run as the record that an engine writes; views open it, and it replays."""
    nodes: tuple[Node, ...] = field(repr=False)
    """Who takes part, as they are before the run."""
    of: int
    """How many events the recorded run had."""
    how: tuple[str, ...] = ()
    """What each stage did."""
    shortest: bool = False
    """A search has shown that these nodes have no shorter run, with as many timers and deaths."""
    seed: int | None = None
    schedule: Schedule = field(default_factory=list, repr=False)
    """The faults that the seed needs."""
    clocks: tuple[int, ...] = field(default=(), repr=False)
    """What the nodes' clocks showed at each event; empty if nobody looked."""

    @builtins.property  # the field above has taken the name
    def events(self) -> int:
        """The events of the run, a death and the return after it counted as one."""
        return sum(move.kind != "restart" for move in self.path)

    def story(self) -> Story:
        """The run in words, from the first cause to the violated property."""
        return tell(self.trace, self.nodes, property=self.property, explanation=self.explanation)

    def scenario(self) -> str:
        """The run as a scenario file; see `scenario.py`."""
        seed = "" if self.seed is None else f"Found by seed {self.seed}. "
        remarks = [f"{self.property}: {self.explanation}", f"{seed}{' '.join(self.how)}"]
        remarks += ["", *self.story().lines()]
        return scenario_text(self.nodes, self.path, clocks=self.clocks, remarks=remarks)

    def save(self, folder: str | Path, name: str) -> tuple[Path, Path]:
        """Write NAME.txt, the scenario, and NAME.jsonl, the trace; returns their paths."""
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / f"{name}.txt"
            target.write_text(self.scenario(), encoding="utf-8")
        except OSError as error:
            raise ScenarioError(
                f"cannot write the scenario to {folder}: {error.strerror}; "
                "name a folder that you can write to."
            ) from error
        return target, self.trace.save(folder / f"{name}.jsonl")

    def __str__(self) -> str:
        lines = [f"{self.property}: {self.explanation}", *self.how]
        lines += [f"{number:>4}. {move}" for number, move in enumerate(self.path, 1)]
        return "\n".join(lines)
