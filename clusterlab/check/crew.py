"""The workers of a spread search: processes of this machine, or actors of a Ray cluster.

A crew carries commands to its workers and their answers back, one at a time for each worker.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import socket
import subprocess
import sys
import warnings
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from clusterlab.check.expander import Expander, Setup
from clusterlab.core.errors import EngineUnavailable, ScenarioError

END_LIMIT_S = 2.0
"""A worker that has nobody to work for ends by itself; one that has not by then is killed."""


class WorkerDied(Exception):  # noqa: N818 - it becomes a sentence of the report
    """A worker is gone, and its states with it."""


class Crew(Protocol):
    """Some workers."""

    size: int
    """How many."""

    def start(self, setups: Sequence[Setup]) -> None:
        """Start a worker for each setup."""

    def send(self, worker: int, command: tuple[Any, ...]) -> None:
        """Let a worker carry out a command."""

    def receive(self) -> tuple[int, Any]:
        """The next answer, and whose it is."""

    def close(self) -> None:
        """End all workers."""


class Processes:
    """Workers as processes of this machine.

    They are started afresh and not forked: a fork of a notebook's kernel, with its threads, may
    hang, and they need nothing of this process. They do not hear Ctrl-C, which is for us; when we
    are gone, however that came, their pipe ends and so do they.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._pipes: list[Connection] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, setups: Sequence[Setup]) -> None:
        """One process after another."""
        for setup in setups:
            self._start(setup)

    def _start(self, setup: Setup) -> None:
        ours, theirs = Pipe()
        self._pipes.append(ours)
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from clusterlab.check.crew import serve; "
            f"serve({theirs.fileno()})"
        )
        command = [sys.executable, "-c", code]
        process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
        self._processes.append(process)
        theirs.close()
        ours.send(setup)

    def send(self, worker: int, command: tuple[Any, ...]) -> None:
        """Through its pipe."""
        try:
            self._pipes[worker].send(command)
        except OSError:
            raise self._died(worker) from None

    def receive(self) -> tuple[int, Any]:
        """From whichever pipe has something."""
        ready = wait(self._pipes)[0]
        worker = next(w for w, pipe in enumerate(self._pipes) if pipe is ready)
        try:
            return worker, self._pipes[worker].recv()
        except (EOFError, OSError):
            raise self._died(worker) from None

    def _died(self, worker: int) -> WorkerDied:
        code = self._processes[worker].wait(END_LIMIT_S)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return WorkerDied(f"worker {worker + 1} of {len(self._pipes)} died ({how})")

    def close(self) -> None:
        """Close the pipes; who does not end is killed."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            try:
                process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def serve(fileno: int) -> None:
    """The life of a worker process: commands in, answers out, until there is nobody there."""
    gc.disable()  # integers make no cycles, and the tables are large
    pipe = Connection(fileno)
    with contextlib.suppress(EOFError, OSError):
        expander = Expander(pipe.recv())
        while True:
            pipe.send(expander.handle(pipe.recv()))


class RayActors:
    """Workers as actors of the Ray cluster at an address; clusterlab must be installed there.

    A connection that is there already is used and left; one that is made here is ended here.
    """

    def __init__(self, address: str, size: int | None) -> None:
        try:
            self._ray = ray = importlib.import_module("ray")
        except ImportError:
            raise EngineUnavailable(
                f"address={address!r} needs Ray, which is not installed: run `make setup`, or "
                "leave out the address to use this machine's cores."
            ) from None
        self._actors: list[Any] = []
        self._waiting: dict[Any, int] = {}
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(ray, address)
        self.size = size or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def start(self, setups: Sequence[Setup]) -> None:
        """One actor for each, which needs no core of its own: the cluster may be busy."""
        remote = self._ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(Expander)
        self._actors = [remote.options(scheduling_strategy="SPREAD").remote(s) for s in setups]

    def send(self, worker: int, command: tuple[Any, ...]) -> None:
        """A call, whose result is the answer."""
        self._waiting[self._actors[worker].handle.remote(command)] = worker

    def receive(self) -> tuple[int, Any]:
        """The result of whichever call is over."""
        done, _ = self._ray.wait(list(self._waiting), num_returns=1)
        worker = self._waiting.pop(done[0])
        try:
            return worker, self._ray.get(done[0])
        except self._ray.exceptions.RayActorError as error:
            reason = str(error).strip().splitlines()[0]
            raise WorkerDied(
                f"worker {worker + 1} of {len(self._actors)} died ({reason})"
            ) from None

    def close(self) -> None:
        """End the actors, and the connection if it is ours."""
        for actor in self._actors:
            self._ray.kill(actor)
        if self._ours:
            self._ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    """Join a cluster, if somebody answers: Ray would try for a minute, and then end Python."""
    try:
        if address != "auto" and "://" not in address:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=3.0).close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's, about itself
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise ScenarioError(
            f"there is no Ray cluster at address={address!r} ({str(error).splitlines()[0]}): start "
            "one with `ray start --head`, or leave out the address to use this machine's cores."
        ) from None
