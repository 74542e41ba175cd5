"""What the parts of the benchmark share: the plan, this machine, child processes, memory."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
DEATH_LIMIT_S = 10.0


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure, and where to tell of it."""

    quick: bool
    say: Callable[[str], None]


def is_installed(module: str) -> bool:
    """Whether a module could be imported."""
    return importlib.util.find_spec(module) is not None


def version(distribution: str) -> str:
    """The installed version."""
    return importlib.metadata.version(distribution)


def load() -> float:
    """The load average of the last minute."""
    return psutil.getloadavg()[0]


def describe() -> dict[str, Any]:
    """This machine, as far as it matters for a figure."""
    return {
        "cores": os.cpu_count(),
        "cores_of_this_process": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_mib": psutil.virtual_memory().total // MIB,
        "load_average": list(psutil.getloadavg()),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {
            name: version(name)
            for name in ("ray", "simpy", "pysyncobj", "jupyterlab", "playwright")
            if is_installed(name)
        },
    }


def start(
    module: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stderr: IO[str] | None = None,
) -> subprocess.Popen[str]:
    """Run a module of this package as a process that one talks to in lines.

    It reads its standard input, and ends when that ends: so it ends with this process in any case.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        bufsize=1,
        start_new_session=True,  # Ctrl-C is for the one who started it
    )


def end(process: subprocess.Popen[Any], patience_s: float = 5.0) -> None:
    """Close its input and wait; kill it if it does not end by itself."""
    for pipe in (process.stdin, process.stdout):
        close(pipe)
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def close(pipe: IO[Any] | None) -> None:
    """Close a pipe whose other end may be gone."""
    if pipe is not None:
        try:
            pipe.close()
        except BrokenPipeError:
            return


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def has_pss() -> bool:
    """Whether the kernel tells the proportional share of memory (Linux does)."""
    return Path("/proc/self/smaps_rollup").exists()


def pss_mib(pid: int) -> float:
    """The process's share of memory: what it alone uses, and its part of what it shares."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0.0
    kib = next((line.split()[1] for line in text.splitlines() if line.startswith("Pss:")), "0")
    return int(kib) / 1024


class DeathWatch:
    """Notes when a process dies: the kernel tells it, nobody polls."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._watched = os.pidfd_open(pid)
        self._died_s: float | None = None
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        ready, _, _ = select.select([self._watched], [], [], DEATH_LIMIT_S)
        if ready:
            self._died_s = time.monotonic()
        os.close(self._watched)

    def died_s(self) -> float:
        """When it died, on the monotonic clock; waits for it."""
        self._thread.join()
        if self._died_s is None:
            raise TimeoutError(f"process {self._pid} did not die within {DEATH_LIMIT_S:.0f} s")
        return self._died_s
