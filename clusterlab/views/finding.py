"""What a search or a storm found wrong, as a picture shows it: where, by whom, and its story."""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from clusterlab.check.story import Story, tell
from clusterlab.core.node import NodeId
from clusterlab.core.trace import Trace


@runtime_checkable
class Found(Protocol):
    """What can be opened at its violation: a report of a search or of seeds, a minimal run."""

    @builtins.property
    def explanation(self) -> str:
        """The values that break it."""

    @builtins.property
    def trace(self) -> Trace | None:
        """The run that shows it; it ends with the violation."""

    @builtins.property
    def property(self) -> str | None:
        """What was violated."""


@dataclass(frozen=True)
class Finding:
    """A violation in a trace.

    `nodes` are those whose states contradict each other: those that the explanation names.
    """

    property: str
    explanation: str
    seq: int
    """The event with which the promise is broken."""
    nodes: tuple[NodeId, ...]
    story: Story

    @classmethod
    def of(cls, found: Found | Trace) -> Finding | None:
        """What was found; None if nothing is wrong, or if no run shows it.

        A trace that was saved with its violation has it in `meta`.
        """
        if isinstance(found, Trace):
            trace: Trace | None = found
            name, explanation = found.meta.get("property"), found.meta.get("explanation", "")
        else:
            trace, name, explanation = found.trace, found.property, found.explanation
        if not name or trace is None or not trace.events:
            return None
        teller = getattr(found, "story", None)
        story = teller() if teller else tell(trace, property=name, explanation=explanation)
        last = trace.events[-1]
        nodes = named_in(explanation, trace) or ((last.node,) if last.node else ())
        return cls(name, explanation, last.seq, nodes, story)

    def data(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {
            "property": self.property,
            "explanation": self.explanation,
            "seq": self.seq,
            "nodes": list(self.nodes),
            "sentences": [sentence._asdict() for sentence in self.story.sentences],
            "end": self.story.end,
        }


def named_in(explanation: str, trace: Trace) -> tuple[NodeId, ...]:
    """The nodes of a trace that a sentence names, in the order of the trace."""
    nodes = dict.fromkeys(event.node for event in trace if event.node is not None)
    return tuple(
        node for node in nodes if re.search(rf"(?<!\w){re.escape(node)}(?!\w)", explanation)
    )
