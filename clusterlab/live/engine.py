"""What a live cluster is made of: its start and end, its time, and the thread that collects.

`cluster.py` has the verbs.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from clusterlab.core import errors
from clusterlab.core.cluster import ClientFactory, Cluster, Health
from clusterlab.core.errors import ClusterlabError, LimitReached, ScenarioError
from clusterlab.core.faults import Fault
from clusterlab.core.history import History
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.core.trace import Trace
from clusterlab.live.clocks import ClusterClock, Origin, Skewed
from clusterlab.live.collect import Collector
from clusterlab.live.disk import lose, newest_frame
from clusterlab.live.host import disk_path
from clusterlab.live.hosted import Born, HostName, Setting
from clusterlab.live.merge import Death
from clusterlab.live.processes import CLIENTS, Process, Processes
from clusterlab.live.session import Progress, session
from clusterlab.live.wire import Wire, vocabulary

TICK_S = 1 / 30
TICK_WORK_S = 0.010
"""How much of a tick the collector may work; the journals hold the rest."""
TRACE_LIMIT = 1_000_000
"""Events in the trace, beyond which messages, timers and saves are left out."""


class LiveEngine(Cluster):
    """Everything of a live cluster but the verbs."""

    engine: ClassVar[str] = "live"

    def __init__(
        self,
        nodes: Iterable[Node],
        *,
        speed: float = 1.0,
        address: str | None = None,
        network: Network | None = None,
        client: ClientFactory | None = None,
        seed: int = 0,
        directory: str | Path | None = None,
        progress: Progress | None = None,
        record: bool = True,
    ) -> None:
        nodes = list(nodes)
        self._stopped = True  # until there is something to stop
        super().__init__(nodes, network=network, client=client, seed=seed, speed=speed)
        self._record = record
        self.trace.meta["record"] = record
        self._born = {node.id: node for node in nodes}
        self._keep_directory = directory is not None
        self._say = progress or _say
        self._clock = ClusterClock(Origin.now(speed))
        self._skewed: dict[NodeId, Skewed] = {}
        self._health: dict[NodeId, Health] = {}
        self._faults: list[Fault] = []  # those that made the switch what it is
        self._lives = itertools.count(1)
        self._verbs = threading.RLock()
        self._locks: defaultdict[HostName, threading.RLock] = defaultdict(threading.RLock)
        self._failures: list[ClusterlabError] = []
        self._wire = Wire(vocabulary(nodes))
        self._collector = Collector(self._trace, self._shown, self._wire, TRACE_LIMIT)
        self._ticked = threading.Condition()
        self._stopped = False
        session.join(self, address, self._say)
        try:
            self._directory = self._make_directory(directory)
            self._sockets = Path(tempfile.mkdtemp(prefix="mail-", dir=session.directory))
            self._processes = Processes(self._wire, self._directory)
            self._start_servers(nodes)
        except BaseException:
            self.stop()
            raise
        self._thread = threading.Thread(
            target=_collect, args=(weakref.ref(self),), name="clusterlab-collect", daemon=True
        )
        self._thread.start()

    # --- start and stop ---

    def _make_directory(self, directory: str | Path | None) -> Path:
        if directory is not None:
            path = Path(directory).absolute()
            path.mkdir(parents=True, exist_ok=True)
            for name in (*self.servers, CLIENTS):  # what an earlier cluster left here
                lose(disk_path(path, name))
                for old in path.glob(f"{name}.*.journal"):
                    old.unlink()
            return path
        return Path(tempfile.mkdtemp(prefix="run-", dir=session.directory))

    def _setting(self, name: HostName, *, alone: bool) -> Setting:
        life = next(self._lives)
        return Setting(
            name,
            life,
            str(self._directory),
            str(self._sockets / str(life)),
            self.network,
            tuple(self._faults),
            self.seed,
            alone,
            self._record,
        )

    def _start_servers(self, nodes: list[Node]) -> None:
        self._say(f"starting {len(nodes)} nodes, each a process of its own ...")
        begun = time.monotonic()
        for node in nodes:
            self._processes.create(self._setting(node.id, alone=True), (node.id,))
        self._processes.wait_until_ready(self.servers)
        origin = Origin.now(self.speed)
        self._clock = ClusterClock(origin)
        self._processes.origin = origin
        self._processes.where.update({node.id: node.id for node in nodes})
        for process in self._processes.all():
            self._collector.open(process.name, process.life, process.journal, 0.0)
        self._processes.begin({node.id: [Born(node)] for node in nodes})
        self._health.update(dict.fromkeys(self.servers, "up"))
        self._say(f"{len(nodes)} nodes are up ({time.monotonic() - begun:.1f} s).")

    def stop(self) -> None:
        """End all processes; trace and history stay readable."""
        with self._verbs:
            if self._stopped:
                return
            self._stopped = True
        thread = getattr(self, "_thread", None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)
        processes = getattr(self, "_processes", None)
        if processes is not None:
            processes.stop()
            self._collector.finish()
            self._take_deaths()
        if not self._keep_directory and hasattr(self, "_directory"):
            shutil.rmtree(self._directory, ignore_errors=True)
        if hasattr(self, "_sockets"):
            shutil.rmtree(self._sockets, ignore_errors=True)
        session.leave(self)
        self._tell_stopped()

    def __del__(self) -> None:
        if not getattr(self, "_stopped", True) and not sys.is_finalizing():
            self.stop()

    def _check_running(self) -> None:
        if self._stopped:
            raise ScenarioError("this cluster was stopped: make a new one to go on.")

    # --- time ---

    @property
    def now_ms(self) -> float:
        """Cluster time: real time since the start, times speed."""
        return self._clock.now_ms()

    def _run_to(self, until_ms: float) -> None:
        """Raises the error of a node that was wrong."""
        self._wait(lambda: False, until_ms)

    def run_until(
        self, condition: Callable[[], bool], limit_ms: float = 60_000, what: str = "the condition"
    ) -> None:
        """Let time pass until `condition()` holds; raises the error of a node that was wrong."""
        if not self._wait(condition, self.now_ms + limit_ms):
            raise LimitReached(
                f"{what} did not come true within {limit_ms:.0f} ms: "
                "look at the trace, or give it a larger limit_ms."
            )

    def _wait(self, condition: Callable[[], bool], end_ms: float) -> bool:
        while True:
            self._check_running()
            self._raise_failure()
            if condition():
                return True
            left_s = self._clock.seconds(end_ms - self.now_ms)
            if left_s <= 0:
                return False
            with self._ticked:
                self._ticked.wait(min(left_s, 0.05))

    # --- what is recorded ---

    @property
    def trace(self) -> Trace:
        """Everything recorded up to now; looking at it brings it up to date."""
        if not self._stopped:
            self._collector.flush()
        return self._trace

    @trace.setter
    def trace(self, trace: Trace) -> None:
        self._trace = trace

    @property
    def history(self) -> History:
        """What the clients asked and were told so far."""
        return History.of(self.trace)

    # --- what happens by itself ---

    def _tick(self) -> None:
        """Collect, and look after those who died by themselves."""
        self._collector.collect(TICK_WORK_S)
        self._take_deaths()
        for process in self._processes.all():
            if self._processes.is_gone(process):
                with self._locks[process.name]:
                    if self._processes.is_gone(process) and not self._stopped:
                        process.alive = False
                        self._buried(process)
        with self._ticked:
            self._ticked.notify_all()

    def _take_deaths(self) -> None:
        deaths = self._collector.deaths
        while deaths:
            death = deaths.popleft()
            if death.node in self._health:
                self._health[death.node] = "dead"
            if death.sentence:
                self._failures.append(_as_error(death))

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures.pop(0)

    def _buried(self, process: Process) -> None:
        """The process is dead: the others learn it, and its journal is complete."""
        for node in process.nodes:
            self._health[node] = "dead"
        self._processes.introduce(process)
        saved = newest_frame(process.disk, process.life)
        self._collector.close(process.name, process.life, self.now_ms, saved, process.nodes)
        self._take_deaths()


def _as_error(death: Death) -> ClusterlabError:
    kind = getattr(errors, death.kind, ClusterlabError)
    error: ClusterlabError = kind(death.sentence)
    error.add_note(f"In the process of {death.node}:\n{death.details}")
    return error


def _collect(cluster_ref: weakref.ref[LiveEngine]) -> None:
    """The collecting thread; it does not keep alive a cluster that the notebook has forgotten."""
    while True:
        begun = time.monotonic()
        cluster = cluster_ref()
        if cluster is None or cluster._stopped:
            return
        cluster._tick()
        del cluster
        time.sleep(max(0.005, TICK_S - (time.monotonic() - begun)))


def _say(text: str) -> None:
    """Progress, where somebody reads along: a notebook or a terminal."""
    if "ipykernel" in sys.modules or sys.stdout.isatty():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
