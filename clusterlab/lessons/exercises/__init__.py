"""Exercises: a class is written in a cell, and the checker answers.

`check_exercise("14/acceptor", MyAcceptor)` tries a few steps by hand, then every schedule of a
small world or storms from seeds, in a process of its own. The answer is what was covered, or one
sentence and the shortest run that breaks the class, in words and in the player.

| what | where |
|---|---|
| what an exercise is | `exercise` |
| the exercises | `catalogue`, and a file for each protocol |
| the process that tries an answer, and its limits | `asking`, `examiner`, `limits` |
| what the learner sees | `feedback` |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clusterlab.lessons.exercises.feedback import Feedback

__all__ = ["check_exercise"]


def check_exercise(name: str, answer: type[Any]) -> Feedback:
    """Check what a learner wrote.

    Parameters
    ----------
    name:
        The exercise, as the notebook calls it: `14/acceptor`.
    answer:
        The class itself, not a node of it.

    Raises ScenarioError for an exercise that does not exist, or for something that is no class.
    """
    from clusterlab.lessons.exercises.check import check  # noqa: PLC0415 - loads when it is used

    return check(name, answer)
