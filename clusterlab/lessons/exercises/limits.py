"""Limits for code that nobody has read yet: time, memory, output.

The code is a learner's, so it is wrong by accident and not by intent: it loops, prints, grows,
leaves, and each of these must end in one sentence. What runs here is a process of its own; the
process that asked ends it in any case (`asking.py`).
"""

from __future__ import annotations

import functools
import inspect
import io
import os
import signal
import sys
import types
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from clusterlab.core.errors import NodeError
from clusterlab.core.node import run_in_place

MEMORY_MIB = 1024
CPU_S = 120
"""For everything together; what a right answer needs is a tenth of it."""
FILE_MIB = 64
TICK_S = 0.25
TICKS_MAX = 6
"""A handler is at work for microseconds. One that is met by so many ticks does not end."""
LINES_MAX, LETTERS_MAX = 20, 400

PACKAGE = str(Path(__file__).parents[2])


class EndlessError(BaseException):
    """A handler does not end; no `except Exception` of a learner's catches it."""


class Printed(io.TextIOBase):
    """What was printed: the first lines, and how many more there were."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.more = 0
        self._line = ""

    def write(self, text: str) -> int:
        """Keep the first lines and count the others."""
        if len(self.lines) >= LINES_MAX:
            self.more += text.count("\n")
            return len(text)
        *whole, rest = (self._line + text).split("\n")
        for line in whole:
            if len(self.lines) < LINES_MAX:
                self.lines.append(line[:LETTERS_MAX])
            else:
                self.more += 1
        self._line = rest[:LETTERS_MAX]
        return len(text)

    def told(self) -> list[str]:
        """The lines to show."""
        lines = [*self.lines, self._line] if self._line else list(self.lines)
        if self.more:
            lines.append(f"… and {self.more:,} more line{'s' * (self.more > 1)}")
        return lines


def set_limits() -> None:
    """Limit what this process may take of the machine, where the system knows such limits."""
    try:
        import resource  # noqa: PLC0415 - POSIX only
    except ImportError:
        return
    wanted = {
        "RLIMIT_DATA": MEMORY_MIB << 20,  # Linux; macOS takes it and does not keep it
        "RLIMIT_CPU": CPU_S,
        "RLIMIT_FSIZE": FILE_MIB << 20,
        "RLIMIT_CORE": 0,
    }
    for name, limit in wanted.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)  # noqa: PLW2901 - nobody may raise it
        resource.setrlimit(kind, (limit, limit))


def watch_for_endless_handlers() -> None:
    """Look from time to time whether the same handler is still at work.

    Ticks are counted, not time: a machine that stands still lets none pass.
    """
    if not hasattr(signal, "setitimer"):
        return  # without POSIX signals the process that asked has the only watch
    seen: list[tuple[types.FrameType | None, int]] = [(None, 0)]
    parent = os.getppid()

    def look(_: int, frame: types.FrameType | None) -> None:
        if os.getppid() != parent:
            os._exit(1)  # nobody waits for an answer any more
        stack = _stack(frame)
        handling = next((one for one in stack if one.f_code is run_in_place.__code__), None)
        before, ticks = seen[0]
        ticks = ticks + 1 if handling is not None and handling is before else 0
        seen[0] = (handling, ticks)
        if ticks >= TICKS_MAX:
            seen[0] = (None, 0)
            raise EndlessError(_where(stack))

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)


def _stack(frame: types.FrameType | None) -> list[types.FrameType]:
    """The frames, the innermost first."""
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found


def _where(stack: list[types.FrameType]) -> str:
    """The learner's innermost line: `on_prepare, line 4: `while True:``."""
    frame = next((one for one in stack if is_learners(one.f_code.co_filename)), stack[0])
    return place(frame.f_code.co_name, frame.f_code.co_filename, frame.f_lineno)


def place(function: str, file: str, number: int) -> str:
    """A line of code in words."""
    import linecache  # noqa: PLC0415 - only for what is wrong

    line = linecache.getline(file, number).strip()
    return f"{function}, line {number}" + (f": `{line}`" if line else "")


def is_learners(file: str) -> bool:
    """Whether code of this file was written by the learner."""
    if file.startswith((PACKAGE, "<frozen")):
        return False
    library = (os.__file__.rpartition(os.sep)[0], "site-packages")
    return not any(part in file for part in library)


def guard(answer: type[Any], names: Iterable[str], returns_none: Collection[str] = ()) -> None:
    """Say in a sentence what the methods that a learner wrote commonly do wrong."""
    for name in names:
        written = getattr(answer, name)
        if isinstance(written, types.FunctionType):
            guarded = _guarded(name, written, name in returns_none)
            static = isinstance(inspect.getattr_static(answer, name), staticmethod)
            setattr(answer, name, staticmethod(guarded) if static else guarded)


def _guarded(name: str, written: Callable[..., Any], returns_none: bool) -> Callable[..., Any]:
    @functools.wraps(written)
    def run(*arguments: Any) -> Any:
        try:
            value = written(*arguments)
        except NotImplementedError as error:
            raise NodeError(
                f"{name} is not written yet: replace the line that raises NotImplementedError."
            ) from error
        except MemoryError as error:
            raise NodeError(
                f"{name} takes more than the {MEMORY_MIB // 1024} GB of memory that a check may "
                "have: something in it grows without end."
            ) from error
        if name.startswith("on_") and value is not None:
            raise NodeError(
                f"{name} returns {str(value)[:LETTERS_MAX]}, which goes nowhere: "
                "a handler answers with self.send(src, ...)."
            )
        if not name.startswith("on_") and value is None and not returns_none:
            raise NodeError(f"{name} returns None: is a `return` missing?")
        return value

    return run


def take_out(base: type[Any], names: tuple[str, ...]) -> None:
    """Remove from a class what an exercise asks to write, so that nobody calls the answer."""

    def missing(name: str) -> Callable[..., Any]:
        def absent(*_: Any) -> None:
            raise NodeError(
                f"{name} of {base.__name__} is a part of what this exercise asks you to write: "
                f"do here yourself what it would do."
            )

        return absent

    for name in names:
        setattr(base, name, missing(name))


def capture_output() -> Printed:
    """From now on, what is printed is kept instead of shown."""
    printed = Printed()
    sys.stdout = sys.stderr = printed
    return printed
