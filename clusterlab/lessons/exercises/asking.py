"""An answer goes to a process of its own and comes back as a verdict; whatever it does, this ends.

The class travels by cloudpickle (`live/wire.py`), so one from a notebook's `__main__` arrives with
the functions and classes that it uses. A fresh interpreter takes it: a fork of a kernel would take
its threads' locks along. Back comes JSON only, so nothing of a learner's runs here.
"""

from __future__ import annotations

import json
import linecache
import os
import signal
import subprocess
import sys
import tempfile
import time
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from clusterlab.core.errors import ScenarioError
from clusterlab.lessons.exercises.exercise import Answer, Exercise
from clusterlab.lessons.exercises.limits import MEMORY_MIB
from clusterlab.live.wire import dumps_by_value

POLL_S = 0.05
SILENT_S = 2.0
"""A check that takes longer says what it is doing."""
PATIENCE_S = 300
MODULE = "clusterlab.lessons.exercises.examiner"


def examine(exercise: Exercise, answer: Answer) -> dict[str, Any]:
    """The verdict on an answer: `passed`, `sentence`, and what the examiner adds to them.

    Raises ScenarioError for an answer that cannot travel; KeyboardInterrupt leaves nothing behind.
    """
    with tempfile.TemporaryDirectory(prefix="clusterlab-") as name:
        folder = Path(name)
        (folder / "answer").write_bytes(_packed(answer))
        request = {
            "exercise": exercise.name,
            "sources": _sources(answer),
        }
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        with (folder / "stderr").open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_path())},
                start_new_session=os.name == "posix",  # Ctrl-C is for us, who then end it
            )
        try:
            why = _wait(process, folder, exercise.name)
        finally:
            _end(process)
        verdict = folder / "verdict.json"
        if verdict.exists():
            found: dict[str, Any] = json.loads(verdict.read_text(encoding="utf-8"))
            return found
        return {"passed": False, "sentence": why or _died(process, folder), "covered": []}


def _path() -> list[str]:
    """Where modules are found here, the learner's own among them."""
    return [str(Path(entry).resolve()) for entry in sys.path]


def _packed(answer: Answer) -> bytes:
    try:
        return dumps_by_value(answer)
    except Exception as error:
        uses = _cannot_travel(answer)
        if uses:
            raise ScenarioError(
                f"{answer.__name__} uses `{uses}` of this notebook, which cannot be taken along: "
                "a handler may touch only `self` and what it is handed."
            ) from error
        raise ScenarioError(
            f"{answer.__name__} cannot be sent to the process that checks it ({error}): "
            "use in it only messages, functions and plain values."
        ) from error


def _functions(answer: Answer) -> list[types.FunctionType]:
    """The functions of the class and of what it inherits from outside the package."""
    return [
        value
        for cls in answer.__mro__
        if not cls.__module__.startswith(("clusterlab.", "builtins"))
        for value in vars(cls).values()
        if isinstance(value, types.FunctionType)
    ]


def _cannot_travel(answer: Answer) -> str:
    """A global name in one of its functions that cannot be pickled."""
    for function in _functions(answer):
        for name in function.__code__.co_names:
            if name in function.__globals__:
                try:
                    dumps_by_value(function.__globals__[name])
                except Exception:  # noqa: BLE001 - that is what is asked
                    return name
    return ""


def _sources(answer: Answer) -> dict[str, list[str]]:
    """The text of the cells that its functions stand in, to quote lines from."""
    files = {function.__code__.co_filename for function in _functions(answer)}
    return {file: lines for file in sorted(files) if (lines := linecache.getlines(file))}


def _wait(process: subprocess.Popen[bytes], folder: Path, name: str) -> str:
    """Wait for the end; a sentence if it was brought about here."""
    watched = psutil.Process(process.pid)
    begun = time.monotonic()
    line = _Line()
    try:
        while process.poll() is None:
            time.sleep(POLL_S)
            took = time.monotonic() - begun
            if _memory_mib(watched) > MEMORY_MIB:
                return (
                    f"Your code takes more than the {MEMORY_MIB // 1024} GB of memory that a check "
                    "may have: something in it grows without end."
                )
            if took > PATIENCE_S:
                return (
                    f"The check did not end in {PATIENCE_S // 60} minutes and was stopped: look "
                    "for a loop without an end, or for something that your code waits for."
                )
            if took > SILENT_S:
                line.show(f"checking {name}: {_progress(folder)} ({took:.0f} s)")
    finally:
        line.clear()
    return ""


def _memory_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / (1 << 20)
    except psutil.Error:
        return 0.0  # it has ended


def _progress(folder: Path) -> str:
    try:
        return (folder / "progress").read_text(encoding="utf-8")
    except OSError:
        return "steps by hand"


class _Line:
    """A line that is written over, on the screen of a notebook or a terminal."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, text: str) -> None:
        if text != self._shown:
            self._write(text)
            self._shown = text

    def clear(self) -> None:
        if self._shown:
            self._write("")
            sys.stdout.write("\r")
            sys.stdout.flush()

    def _write(self, text: str) -> None:
        sys.stdout.write("\r" + text.ljust(len(self._shown)))
        sys.stdout.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing running: neither the process nor what it has started."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _died(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Why there is no verdict."""
    code = process.returncode
    if code in (-signal.SIGXCPU, -signal.SIGKILL) if os.name == "posix" else False:
        return (
            "The check took too much time or memory and was ended: look for a loop without an end, "
            "or for a field that grows with each message."
        )
    said = (folder / "stderr").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = f" It said: {said[-1]}" if said else ""
    return f"Your code ended the process that checked it (exit code {code}): take that out.{last}"
