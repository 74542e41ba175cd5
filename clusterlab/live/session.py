"""The Ray that live clusters run on: borrowed, or started here and then ended here.

Without an address we always start a Ray of our own: a left-over address file would make a bare
`ray.init()` attach to whatever it names. What we start we end: 60 s after the last cluster
was stopped (so that the next one starts at once), when Python exits, when a start is interrupted.
If this process is killed outright, the kernel ends Ray's daemons with it, and they their workers.

The kernel does so when the THREAD that started them ends, not the process:
started from a cell's or a widget's own thread, Ray would be gone a moment later.
So one thread of ours starts it and lives as long as Python does.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import queue
import shutil
import socket
import sys
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import psutil

from clusterlab.core.errors import EngineUnavailable
from clusterlab.live.machine import MIB, check_memory

START_LIMIT_S = 90.0
LINGER_S = 60.0
OBJECT_STORE_BYTES = 80 * MIB  # Ray refuses less than 75 MiB; we never put anything in
PREFIX = "clusterlab-"

Progress = Callable[[str], None]

_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_MEMORY_MONITOR": "1",
    # Ray's workers give way to everyone else (nice 15): beside a busy browser or kernel a leader
    # would be late with its heartbeats, and the cluster would elect for no reason that one can see.
    "RAY_worker_niceness": "0",
}


class _Stoppable(Protocol):
    def stop(self) -> None: ...


class Session:
    """This process's connection to Ray, shared by all live clusters in it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._jobs: queue.SimpleQueue[Callable[[], None]] | None = None
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()
        self._linger: threading.Timer | None = None
        self._pid = 0
        self._abandoned = False  # a start that nobody waits for any more is still going on
        self._gcs = ""
        self.ours = False
        self.directory: Path | None = None
        """Of the Ray that we started: its sockets and logs, and our clusters' files."""

    # --- for clusters ---

    def join(self, user: _Stoppable, address: str | None, progress: Progress) -> None:
        """Connect, starting Ray if there is none, on behalf of `user`.

        Raises EngineUnavailable.
        """
        with self._lock:
            if self._linger is not None:
                self._linger.cancel()
                self._linger = None
            self._connect(address, progress)
            self._users.add(user)

    def leave(self, user: _Stoppable) -> None:
        """`user` needs Ray no longer."""
        with self._lock:
            self._users.discard(user)
            if not self._users and self.ours:
                self._linger = threading.Timer(LINGER_S, self._end_if_unused)
                self._linger.daemon = True
                self._linger.start()

    def end(self) -> None:
        """Stop all clusters, and Ray if it is ours."""
        for user in list(self._users):
            user.stop()
        with self._lock:
            if self._linger is not None:
                self._linger.cancel()
                self._linger = None
            if self.ours and self._pid == os.getpid():
                self.ours = False
                if self._gcs == _gcs_address(load_ray()):  # else somebody else's Ray has its place
                    self._on_keeper(_shutdown, 30.0)
                self._remove_directory()

    def _end_if_unused(self) -> None:
        with self._lock:
            if not self._users:
                self.end()

    # --- connecting ---

    def _connect(self, address: str | None, progress: Progress) -> None:
        ray = load_ray()
        if self._abandoned:
            progress("waiting for the start that was interrupted to end ...")
            with contextlib.suppress(TimeoutError):
                self._on_keeper(lambda: None, START_LIMIT_S)
            self._abandoned = False
        if ray.is_initialized():
            self.ours = self.ours and self._gcs == _gcs_address(ray)
            return
        self.ours = False
        if address not in (None, "local"):
            progress(f"connecting to Ray at {address} ...")
            self._start(lambda: _borrow(ray, str(address)), address)
            return
        check_memory()
        progress("starting Ray on this machine (a few seconds) ...")
        _sweep()
        root = "/tmp" if os.name == "posix" else None
        self.directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))
        self._pid = os.getpid()
        try:
            self._start(lambda: _init_local(ray, self.directory), None)
        except BaseException:
            self._remove_directory()
            raise
        self.ours = True
        self._gcs = _gcs_address(ray)
        atexit.register(self.end)

    def _start(self, init: Callable[[], None], address: str | None) -> None:
        try:
            self._on_keeper(init, START_LIMIT_S)
        except TimeoutError as error:
            self._abandon()
            raise EngineUnavailable(
                f"Ray did not start within {START_LIMIT_S:.0f} s: close other programs and try "
                "again, run `clusterlab doctor`, or use engine='sim'."
            ) from error
        except Exception as error:
            self._later(_shutdown)
            raise EngineUnavailable(explain(error, address)) from error
        except BaseException:  # interrupted
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Nobody waits for the start any more: end what it makes as soon as it is made."""
        self._abandoned = True
        self._later(_shutdown)

    def _on_keeper(self, job: Callable[[], None], limit_s: float) -> None:
        """Run `job` in the thread that lives as long as Python does."""
        done = threading.Event()
        errors: list[BaseException] = []

        def run() -> None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - raised again where the job was ordered
                errors.append(error)
            done.set()

        self._later(run)
        if not done.wait(limit_s):
            raise TimeoutError
        if errors:
            raise errors[0]

    def _later(self, job: Callable[[], None]) -> None:
        if self._jobs is None or self._pid not in (0, os.getpid()):
            self._jobs = queue.SimpleQueue()
            threading.Thread(
                target=_keep, args=(self._jobs,), name="clusterlab-ray", daemon=True
            ).start()
        self._jobs.put(job)

    def _remove_directory(self) -> None:
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None


def _keep(jobs: queue.SimpleQueue[Callable[[], None]]) -> None:
    while True:
        with contextlib.suppress(Exception):
            jobs.get()()


def load_ray() -> Any:
    """The ray module, quietly; raises EngineUnavailable if it is missing."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("ray")
    except ImportError as error:
        raise EngineUnavailable(
            f"Ray is not installed here ({error}): run `pip install ray` "
            "(it has wheels for Python 3.11 to 3.14), or use engine='sim', which runs the same "
            "nodes without it."
        ) from error


def _init(ray: Any, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    # The death of a process is what our users ask for; Ray would print a page about each.
    ray._private.worker._worker_logs_enabled = False


def _init_local(ray: Any, directory: Path | None) -> None:
    with _loopback_only(ray):
        _init(
            ray,
            address="local",
            num_cpus=min(os.cpu_count() or 1, 2),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=str(directory),
        )


def _borrow(ray: Any, address: str) -> None:
    """Connect to a running Ray, if somebody answers there.

    Left to itself, Ray tries an address that nobody listens at for a minute, and then ends Python.
    """
    if "://" in address:
        _init(ray, address=address)
        return
    host, _, port = ray._private.services.canonicalize_bootstrap_address(address).rpartition(":")
    if _answers(host, int(port)):
        _init(ray, address=f"{host}:{port}")
        return
    # It takes the outside address even for 127.0.0.1, where alone a Ray that we started listens.
    if not address.startswith(("auto", "127.", "localhost")) or not _answers(
        "127.0.0.1", int(port)
    ):
        raise ConnectionError(f"nobody listens at {host}:{port}")
    with _loopback_only(ray):
        _init(ray, address=f"127.0.0.1:{port}")


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=3.0).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _loopback_only(ray: Any) -> Iterator[None]:
    """Let Ray take 127.0.0.1 for this machine's address, so that its servers listen there alone.

    It takes the outside address otherwise, even if it is told `_node_ip_address="127.0.0.1"`;
    this switch is what it uses on macOS and Windows.
    """
    name, constants = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", ray._private.ray_constants
    before = os.environ.get(name), constants.ENABLE_RAY_CLUSTER
    os.environ[name], constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before[1]
        if before[0] is None:
            del os.environ[name]
        else:
            os.environ[name] = before[0]


def _gcs_address(ray: Any) -> str:
    """Which Ray this process is connected to."""
    return str(ray.get_runtime_context().gcs_address) if ray.is_initialized() else ""


def _shutdown() -> None:
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()


def explain(error: Exception, address: str | None) -> str:
    """What went wrong with Ray's start, as a sentence with the mend."""
    text = " ".join(str(error).split())[:300]
    low = text.lower()
    if address is not None:
        return (
            f"no Ray cluster answers at {address!r} ({text}): see that `ray start --head` runs "
            "there and that the address is right, or leave the address out to start one here."
        )
    if "address already in use" in low or "port" in low or "socket" in low or "bind" in low:
        return (
            f"Ray could not open the ports or sockets that it needs ({text}): "
            "another program holds them; end left-over Ray "
            "processes (`clusterlab doctor` names them), or use engine='sim'."
        )
    if "memory" in low or "shm" in low:
        return (
            f"Ray could not get the memory that it needs ({text}): close other programs, "
            "or use engine='sim'."
        )
    return (
        f"Ray did not start ({text}): "
        "run `clusterlab doctor`, which says what is missing, or use engine='sim'."
    )


def _sweep() -> None:
    """Remove the directories of processes that were killed before they could."""
    root = Path("/tmp" if os.name == "posix" else tempfile.gettempdir())
    for old in root.glob(f"{PREFIX}[0-9]*-*"):
        pid = old.name.removeprefix(PREFIX).split("-")[0]
        with contextlib.suppress(OSError):
            mine = not hasattr(os, "getuid") or old.stat().st_uid == os.getuid()
            if pid.isdigit() and mine and not psutil.pid_exists(int(pid)):
                shutil.rmtree(old, ignore_errors=True)


session = Session()


def connect(address: str | None = None, progress: Progress | None = None) -> None:
    """Connect this process to Ray ahead of the first live cluster.

    address:
        None or "local": start one here (ended when Python exits).
        "auto" or "host:6379": borrow a running one, which is never shut down by us.

    Raises EngineUnavailable, with the mend.
    """
    session.join(_Nobody(), address, progress or (lambda _: None))


def disconnect() -> None:
    """Stop all live clusters of this process now, and Ray if it was started here."""
    session.end()


class _Nobody:
    def stop(self) -> None:
        """Nothing to stop."""
