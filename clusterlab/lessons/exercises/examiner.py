"""The process in which an answer is tried: `python -m ...exercises.examiner FOLDER`.

FOLDER holds the `request`; the verdict goes there as `verdict.json`, and what is being done as
`progress`. Nothing else leaves this process, and nothing that leaves it is code.
"""

from __future__ import annotations

import json
import linecache
import os
import pickle
import sys
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clusterlab.check.verdict import count_of
from clusterlab.core.errors import ClusterlabError
from clusterlab.lessons.exercises.catalogue import EXERCISES
from clusterlab.lessons.exercises.exercise import Answer, Exercise, Finding
from clusterlab.lessons.exercises.limits import (
    EndlessError,
    capture_output,
    guard,
    is_learners,
    place,
    set_limits,
    take_out,
    watch_for_endless_handlers,
)


def main() -> None:
    """Try the answer, and leave the verdict in the folder."""
    folder = Path(sys.argv[1])
    set_limits()
    printed = capture_output()
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    for file, lines in request["sources"].items():
        linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
    exercise = EXERCISES[request["exercise"]]
    verdict = _judge(exercise, folder)
    verdict["printed"] = printed.told()
    part = folder / "verdict.part"
    part.write_text(json.dumps(verdict), encoding="utf-8")
    part.replace(folder / "verdict.json")
    os._exit(0)  # whatever threads and exit handlers a learner's code has left


def _judge(exercise: Exercise, folder: Path) -> dict[str, Any]:
    take_out(exercise.base, (*exercise.writes, *exercise.hides))
    watch_for_endless_handlers()
    try:
        with _cloudpickle():
            answer = pickle.loads((folder / "answer").read_bytes())  # noqa: S301 - see `asking`
        guard(answer, exercise.writes, exercise.returns_none)
        return _examine(exercise, answer, folder)
    except EndlessError as error:
        return _failed(
            f"A handler does not come to an end: {error}. "
            "A handler does one thing and returns; what comes later arrives as a message or timer."
        )
    except ClusterlabError as error:
        return _failed(str(error))
    except SystemExit:
        return _failed("Your code calls exit(): take that out, a handler only returns.")
    except MemoryError:
        return _failed("Your code takes more memory than a check may have: something in it grows.")
    except BaseException as error:  # noqa: BLE001 - whatever it is, the learner gets a sentence
        return _failed(_blame(error))


def _examine(exercise: Exercise, answer: Answer, folder: Path) -> dict[str, Any]:
    number = 0
    for number, one in enumerate(exercise.tries, 1):
        problem = one.problem(answer)
        if problem:
            where = f"Step {number} of {len(exercise.tries)}, “{one.says}”"
            return _failed(f"{where}: {problem}")
    covered = [f"{count_of(number, 'step')} by hand"]
    for look in exercise.looks:
        finding = look(answer, lambda text: _tell(folder, text))
        if not finding.ok:
            return _broken(finding)
        covered.append(finding.covered)
    return {"passed": True, "sentence": "", "covered": covered}


def _broken(finding: Finding) -> dict[str, Any]:
    lines = list(finding.trace.lines()) if finding.trace is not None else None
    name, story = finding.broken, finding.story
    return {
        **_failed(f"{name}: {finding.explanation.rstrip('.')}."),
        "property": name,
        "explanation": finding.explanation,
        "story": None if story is None else [list(story.sentences), story.end],
        "trace": lines,
    }


def _failed(sentence: str) -> dict[str, Any]:
    return {"passed": False, "sentence": sentence, "covered": []}


def _blame(error: BaseException) -> str:
    """An exception from outside a handler, such as from `status`."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_learners(f.filename)]
    said = f"{type(error).__name__} ({error})"
    if not frames:
        return f"The check itself failed with {said}: please report this with your class."
    last = frames[-1]
    return f"Your code raised {said} in {place(last.name, last.filename, last.lineno or 0)}."


def _tell(folder: Path, text: str) -> None:
    part = folder / "progress.part"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / "progress")


@contextmanager
def _cloudpickle() -> Iterator[None]:
    """Ray's cloudpickle without Ray, which would take a second and its memory to load."""
    spec = find_spec("ray")
    if spec is None or "ray" in sys.modules:
        yield
        return
    alone = types.ModuleType("ray")
    alone.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["ray"] = alone
    try:
        yield
    finally:
        del sys.modules["ray"]


if __name__ == "__main__":
    main()
