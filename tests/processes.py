"""Processes that this test session started, found by a mark in their environment.

Parents are no guide: Ray's daemons and a browser's helpers are adopted by init when the one who
started them dies, which is exactly the case worth catching. The environment is inherited by all.
"""

from __future__ import annotations

import os
import sys
import uuid

import psutil

MARK = "CLUSTERLAB_TEST_SESSION"


def mark_session() -> str:
    """Mark this process's environment, which every process started from now on inherits."""
    session = uuid.uuid4().hex
    os.environ[MARK] = session
    return session


def started_by(session: str) -> list[psutil.Process]:
    """Living processes that inherited the mark, without this one and Python's own housekeeping."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.pid != os.getpid() and process.environ().get(MARK) == session
            # multiprocessing's tracker of resources lives as long as its parent, and ends with it.
            if marked and "resource_tracker" not in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def left_over(session: str, patience_s: float) -> list[psutil.Process]:
    """What is still there after `patience_s` seconds; returns at once when nothing is."""
    _, alive = psutil.wait_procs(started_by(session), timeout=patience_s)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def describe(processes: list[psutil.Process]) -> str:
    """One line a process: pid and what it runs."""
    lines = []
    for process in processes:
        try:
            lines.append(f"  {process.pid}: {' '.join(process.cmdline())[:160]}")
        except psutil.Error as error:
            lines.append(f"  {process.pid}: {type(error).__name__}")
    return "\n".join(lines)


def end(processes: list[psutil.Process]) -> None:
    """Kill exactly these processes, and wait until they are gone."""
    for process in processes:
        try:
            if sys.platform != "win32":
                process.resume()  # a paused node would not even die of SIGTERM
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(processes, timeout=10)
