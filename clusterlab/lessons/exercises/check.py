"""From a name and a class to feedback: first what a look at the class tells, then the examiner."""

from __future__ import annotations

import dis
import inspect
from typing import Any

from clusterlab.check.story import Sentence, Story
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Node
from clusterlab.core.trace import Trace
from clusterlab.lessons.exercises.asking import examine
from clusterlab.lessons.exercises.catalogue import EXERCISES
from clusterlab.lessons.exercises.exercise import Answer, Exercise, find
from clusterlab.lessons.exercises.feedback import Feedback

_NOTHING = {"RESUME", "NOP", "CACHE", "COPY_FREE_VARS", "LOAD_CONST", "RETURN_VALUE"} | {
    "RETURN_CONST",
}
"""What a body of a docstring, `...` or `pass` is compiled to."""


def check(name: str, answer: Any) -> Feedback:
    """See `check_exercise`."""
    exercise = find(name, EXERCISES)
    _check_class(exercise, answer)
    missing = unwritten(exercise, answer)
    if missing:
        return Feedback(exercise.name, False, missing)
    try:
        verdict = examine(exercise, answer)
    except KeyboardInterrupt:
        return Feedback(
            exercise.name,
            False,
            "You stopped the check before its end; nothing of it is left running.",
            interrupted=True,
        )
    lines = verdict.get("trace")
    return Feedback(
        exercise.name,
        verdict["passed"],
        verdict["sentence"],
        tuple(verdict["covered"]),
        tuple(verdict.get("printed", ())),
        property=verdict.get("property"),
        explanation=verdict.get("explanation", ""),
        trace=None if lines is None else Trace.parse(lines),
        told=_story(verdict.get("story")),
    )


def _story(told: list[Any] | None) -> Story | None:
    if told is None:
        return None
    sentences, end = told
    return Story(tuple(Sentence(*one) for one in sentences), end)


def _check_class(exercise: Exercise, answer: Any) -> None:
    base = exercise.base.__name__
    if isinstance(answer, Node):
        kind = type(answer).__name__
        raise ScenarioError(f"that is a node of {kind}: give the class itself, without (...).")
    if not isinstance(answer, type):
        raise ScenarioError(f"{answer!r} is no class: write `class My{base}({base}): ...`.")
    if not issubclass(answer, exercise.base) or answer is exercise.base:
        raise ScenarioError(
            f"{answer.__name__} should be a class of your own: write `class My{base}({base}): ...`."
        )


def unwritten(exercise: Exercise, answer: Answer) -> str:
    """The first method that is not there yet, as a sentence; "" if all are."""
    for name in exercise.writes:
        takes = ", ".join(inspect.signature(getattr(exercise.base, name)).parameters)
        owner = next(cls for cls in answer.__mro__ if name in vars(cls))
        if owner in exercise.base.__mro__:
            return f"{answer.__name__} has no {name} of its own yet: write `def {name}({takes}):`."
        if _is_empty(vars(owner)[name]):
            return f"{name} is still empty: write what it does where the cell says so."
    return ""


def _is_empty(function: Any) -> bool:
    """Whether nothing stands in it but a docstring, `...` or `pass`."""
    function = inspect.unwrap(getattr(function, "__func__", function))  # a static method's
    if not inspect.isfunction(function):
        return False
    code = list(dis.get_instructions(function))
    loads = [one.argval for one in code if one.opname in ("LOAD_CONST", "RETURN_CONST")]
    return all(one.opname in _NOTHING for one in code) and loads == [None]
