"""What a search found, and what it did not look at."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from clusterlab.check.moves import Move
from clusterlab.check.story import Story, tell
from clusterlab.core.node import Node
from clusterlab.core.trace import Trace

if TYPE_CHECKING:
    from clusterlab.check.graph import StateGraph

VerdictName: TypeAlias = Literal["holds", "violated", "not finished", "reached", "unreachable"]


class Progress(NamedTuple):
    """How far a search has come."""

    states: int
    """Distinct states found."""
    transitions: int
    depth: int
    """Moves from the beginning to the states that are looked at now."""
    waiting: int
    """States found and not yet looked at."""
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.states:,} states, {self.transitions:,} transitions, depth {self.depth}, "
            f"{self.waiting:,} waiting, {self.seconds:.0f} s"
        )


@dataclass
class Report:
    """What `explore` found; in an `if` or `assert` it is true only if all is well.

    All is well if every reachable state was seen, every property held, and everything that should
    happen sometimes did; or, of a search with a goal, if the goal was reached.
    """

    verdict: VerdictName
    """`holds`, `violated`, `not finished`; with a goal `reached`, `unreachable`, `not finished`."""
    property: str | None = None
    """The property that was violated."""
    explanation: str = ""
    """The values that break it, or why the search did not finish."""
    path: tuple[Move, ...] = ()
    """The shortest run that shows it: as few moves as any."""
    trace: Trace | None = field(default=None, repr=False)
    """The same run as the record that an engine writes; views open it."""
    states: int = 0
    transitions: int = 0
    """Moves that were possible, those that change nothing included."""
    depth: int = 0
    """The moves on the way to the deepest state that was looked at."""
    seconds: float = 0.0
    local_states: int = 0
    """States of single nodes, summed over the nodes."""
    handler_calls: int = 0
    """How often a handler really ran: all else was remembered."""
    bytes_a_state: float = 0.0
    """What the table of states and the frontier take, divided by the states."""
    not_covered: tuple[str, ...] = ()
    """What this search says nothing about: limits that were reached, and budgets."""
    never: tuple[str, ...] = ()
    """The `sometimes` properties that no state satisfied: a check that passes so is vacuous."""
    reached: dict[str, int] = field(default_factory=dict)
    """The `sometimes` properties that a state satisfied, and its depth."""
    interrupted: bool = False
    hygiene: tuple[str, ...] = ()
    """What makes the nodes unfit to be checked: a search of such nodes may miss states."""
    reduced: tuple[str, ...] = ()
    """What was counted once or left out because it changes no verdict: the reductions."""
    nodes: tuple[Node, ...] = field(default=(), repr=False)
    """What was explored, as it was before the first move."""
    graph: StateGraph | None = field(default=None, repr=False)
    """The states and moves, if the search was asked to keep them."""

    def story(self) -> Story:
        """The path in words, from the first cause to what it leads to."""
        name = self.property if self.verdict == "violated" else None
        return tell(self.trace or Trace(), self.nodes, property=name, explanation=self.explanation)

    @builtins.property  # the field above has taken the name
    def ok(self) -> bool:
        """Whether the search finished and found nothing wrong, or reached its goal."""
        wrong = self.never or self.hygiene
        return (self.verdict == "holds" and not wrong) or self.verdict == "reached"

    @builtins.property
    def vacuous(self) -> bool:
        """Whether something that should happen sometimes never did in a search that finished."""
        return self.verdict == "holds" and bool(self.never)

    @builtins.property
    def states_per_s(self) -> float:
        """Distinct states found per second."""
        return self.states / self.seconds if self.seconds else 0.0

    @builtins.property
    def transitions_per_s(self) -> float:
        """Moves looked at per second."""
        return self.transitions / self.seconds if self.seconds else 0.0

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [self._headline()]
        lines += [f"Unfit to be checked: {sentence}" for sentence in self.hygiene]
        if self.path:
            lines.append(f"The shortest run that shows it has {_count(len(self.path), 'move')}:")
            lines += [f"{number:>4}. {move}" for number, move in enumerate(self.path, 1)]
        lines.append(
            f"Seen: {self.states:,} states, {self.transitions:,} transitions, depth {self.depth}, "
            f"in {self.seconds:.2f} s ({self.states_per_s:,.0f} states/s, "
            f"{self.transitions_per_s:,.0f} transitions/s, {self.bytes_a_state:.0f} bytes a state; "
            f"{self.local_states:,} states of single nodes, {self.handler_calls:,} handler calls)."
        )
        if self.reached:
            happened = ", ".join(f"{name} (depth {at})" for name, at in self.reached.items())
            lines.append(f"Happened: {happened}.")
        if self.never:
            lines.append(f"Never happened: {', '.join(self.never)}.")
        lines += [f"Reduced: {sentence}." for sentence in self.reduced]
        lines += [f"Not covered: {sentence}." for sentence in self.not_covered]
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.verdict == "violated":
            return f"VIOLATED: {self.property}: {self.explanation}"
        if self.verdict == "not finished":
            return f"NOT FINISHED: {self.explanation}"
        if self.vacuous:
            return (
                f"VACUOUS: nothing was violated, but {', '.join(self.never)} never happened, so "
                "the check says little: give the world more to do."
            )
        return {
            "holds": "HOLDS in every state that this world can reach.",
            "reached": "REACHED: a state satisfies the goal.",
            "unreachable": "UNREACHABLE: no state of this world satisfies the goal.",
        }[self.verdict]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self)}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
