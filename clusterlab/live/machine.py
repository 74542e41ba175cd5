"""What the live engine asks of this machine: processes, signals, memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from clusterlab.core.errors import EngineUnavailable

MIB = 1 << 20
MEMORY_WANTED_MIB = 700
MEMORY_VARIABLE = "CLUSTERLAB_MEMORY_MIB"
_CGROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def available_mib(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that a new process could get: of the machine, or less if a container sets a limit."""
    free = psutil.virtual_memory().available
    for limit_name, usage_name, inactive_name in _CGROUPS:
        try:
            limit = int((cgroup / limit_name).read_text())
            usage = int((cgroup / usage_name).read_text())
            stat = (cgroup / limit_name).with_name("memory.stat").read_text()
        except (OSError, ValueError):  # no container, or one without a limit ("max")
            continue
        inactive = dict(line.split() for line in stat.splitlines()).get(inactive_name, "0")
        free = min(free, limit - usage + int(inactive))
    return free // MIB


def check_memory(available: Callable[[], int] = available_mib) -> None:
    """Raise EngineUnavailable unless there is room for Ray and a small cluster."""
    try:
        wanted = int(os.environ.get(MEMORY_VARIABLE, MEMORY_WANTED_MIB))
    except ValueError:
        raise EngineUnavailable(
            f"{MEMORY_VARIABLE}={os.environ[MEMORY_VARIABLE]!r} is not a number: "
            "give MiB, such as 500, or unset it."
        ) from None
    free = available()
    if free < wanted:
        raise EngineUnavailable(
            f"a live cluster wants about {wanted} MiB of memory and {max(free, 0)} MiB are free: "
            "close other notebooks and programs, or use engine='sim', which needs none; "
            f"if you know better, set the environment variable {MEMORY_VARIABLE} to a smaller one."
        )


# --- processes ---


def is_alive(pid: int) -> bool:
    """Whether anything of the process still runs; its entry may wait for its parent after that."""
    try:
        if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            return True
        # The first thread is dead. Another may still be at the end of a system call,
        # and as long as it is, the process holds its files and their locks.
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except (psutil.Error, OSError):
        return False


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP has taken effect."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def send_signal(pid: int, number: int) -> None:
    """Signal the process, if it is there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_for(condition: Callable[[], bool], limit_s: float) -> bool:
    """Wait, for at most `limit_s`, until `condition()` holds; returns whether it does."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def end_process(pid: int, limit_s: float = 2.0) -> bool:
    """Kill the process and wait until it is gone; returns whether it is."""
    send_signal(pid, signal.SIGKILL)
    return wait_for(lambda: not is_alive(pid), limit_s)
