"""Small histories to classify: which is the strongest promise that each of them keeps?

The checkers answer: linearizable (Herlihy and Wing 1990), sequential (Lamport 1979), causal (the
four session guarantees together: Terry et al. 1994; Brzezinski, Sobaniec and Wawrzyniak 2004).
What keeps none of them may still come from a store whose replicas become equal in the end, which no
finite history can refute (Vogels 2009, "Eventually Consistent").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.sequential import check_sequential
from clusterlab.check.sessions import check_sessions
from clusterlab.check.verdict import Verdict
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import check_name
from clusterlab.core.history import History, Operation
from clusterlab.core.node import NodeId
from clusterlab.core.spec import Get, KeyValue, Put
from clusterlab.lessons.exercises.feedback import Feedback

NAME = "12/histories"

JUDGES: dict[str, Callable[[History], Verdict]] = {
    "linearizable": lambda history: check_linearizability(history, KeyValue()),
    "sequential": lambda history: check_sequential(history, KeyValue()),
    "causal": lambda history: check_sessions(history, real_time=False),
}
"""From the strongest promise to the weakest."""
LEVELS = (*JUDGES, "eventual")


def _put(client: NodeId, key: str, value: str, begin: float, end: float) -> Operation:
    return Operation(client, Put(key, value), begin, end, "ok")


def _get(client: NodeId, key: str, begin: float, end: float, value: str | None) -> Operation:
    return Operation(client, Get(key), begin, end, "ok", value)


def _question(name: str, *operations: Operation) -> Verdict:
    sentence = f"{name}: what is the strongest promise that this history keeps?"
    return Verdict(None, sentence, history=History(list(operations)))


HISTORIES: dict[str, Verdict] = {
    "A": _question(
        "A",
        _put("ann", "x", "new", 0, 40),
        _get("bob", "x", 5, 15, None),
        _get("eve", "x", 20, 30, "new"),
    ),
    "B": _question(
        "B",
        _put("ann", "x", "new", 0, 10),
        _get("bob", "x", 20, 30, None),
        _get("bob", "x", 40, 50, "new"),
    ),
    "C": _question(
        "C",
        _put("ann", "x", "mine", 0, 10),
        _put("bob", "y", "mine", 0, 10),
        _get("ann", "y", 20, 30, None),
        _get("bob", "x", 20, 30, None),
    ),
    "D": _question(
        "D",
        _put("ann", "x", "why?", 0, 10),
        _get("bob", "x", 15, 25, "why?"),
        _put("bob", "y", "because", 30, 40),
        _get("eve", "y", 45, 55, "because"),
        _get("eve", "x", 60, 70, None),
    ),
    "E": _question(
        "E",
        _put("ann", "x", "old", 0, 10),
        _put("ann", "x", "new", 20, 70),
        _get("bob", "x", 30, 40, "new"),
        _get("eve", "x", 50, 60, "old"),
    ),
}
"""Drawn as any verdict is, without one."""


@dataclass(frozen=True)
class Classified(Feedback):
    """Feedback whose picture is the verdict of the checker that disagrees."""

    verdict: Verdict | None = field(default=None, repr=False)

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - there is one if this is called

        super()._ipython_display_()
        if self.verdict is not None:
            display(self.verdict)  # type: ignore[no-untyped-call]


def strongest(history: History) -> str:
    """The strongest promise that a history keeps, as the checkers find it."""
    return next((level for level, judge in JUDGES.items() if judge(history)), LEVELS[-1])


def classify(said: Mapping[str, str]) -> Classified:
    """Check what somebody says of HISTORIES, until the first that is wrong.

    Parameters
    ----------
    said:
        For each history one of LEVELS, the strongest that fits.

    Raises ScenarioError for a history or a promise that there is not.

    >>> print(classify({"B": "linearizable"}).sentence.partition(":")[0])
    B is not linearizable
    """
    if not isinstance(said, Mapping):
        raise ScenarioError('give a dict with a promise for each history, {"A": "causal", ...}.')
    for name, level in said.items():
        check_name(name, tuple(HISTORIES), "history")
        check_name(level, LEVELS, "promise")
    right: list[str] = []
    for name, level in said.items():
        wrong = _disagrees(name, level)
        if wrong is not None:
            sentence, verdict = wrong
            return Classified(NAME, False, sentence, tuple(right), verdict=verdict)
        right.append(f"{name} is {level}")
    missing = [name for name in HISTORIES if name not in said]
    if missing:
        told = f"{', '.join(missing)} still to do: say one of {', '.join(LEVELS)}."
        return Classified(NAME, False, told, tuple(right))
    return Classified(NAME, True, "", tuple(right))


def _disagrees(name: str, level: str) -> tuple[str, Verdict] | None:
    """What a checker has against it; None: nothing."""
    history: Any = HISTORIES[name].history
    found = strongest(history)
    if LEVELS.index(level) < LEVELS.index(found):
        verdict = JUDGES[level](history)
        return f"{name} is not {level}: {verdict}", verdict
    if LEVELS.index(level) > LEVELS.index(found):
        verdict = JUDGES[found](history)
        return f"{name} keeps a stronger promise than {level}: {verdict}", verdict
    return None
