"""The live cluster: every server a process of its own, and all verbs carried out for real.

| verb | what happens |
|---|---|
| kill | the process is killed; its file on disk stays |
| pause, resume | SIGSTOP and SIGCONT |
| restart | a new process, which reads the disk (or an empty one) |
| partition, isolate, link, heal | every process's switch is set; messages in flight are eaten on arrival |
| skew | the node's clock |

Clients live together in one further process, started with the first of them, so that 64 clients do not
cost 64 processes; their faults strike the client, not that process.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from clusterlab.core import errors
from clusterlab.core.cluster import ClientFactory, Cluster, Health
from clusterlab.core.errors import ClusterlabError, LimitReached, ScenarioError
from clusterlab.core.faults import (
    Fault,
    Heal,
    Isolate,
    Kill,
    Link,
    Partition,
    Pause,
    Restart,
    Resume,
    Skew,
    check_name,
)
from clusterlab.core.history import History, Returned
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.core.trace import Trace
from clusterlab.live import records as r
from clusterlab.live.clocks import ClusterClock, Origin, Skewed
from clusterlab.live.collect import Collector
from clusterlab.live.disk import lose, newest_frame, read_disk
from clusterlab.live.hosted import Born, HostName, Setting
from clusterlab.live.merge import DRIVER, Death
from clusterlab.live.processes import CLIENTS, Process, Processes
from clusterlab.live.session import Progress, session
from clusterlab.live.wire import Wire, names_for, vocabulary

TICK_S = 1 / 30
TICK_WORK_S = 0.010
"""How much of a tick the collector may work; the journals hold the rest."""
TRACE_LIMIT = 1_000_000
"""Events in the trace, beyond which messages, timers and saves are left out."""


class LiveCluster(Cluster):
    """A cluster of real processes.

    Parameters beyond those of `Cluster`
    ----------
    speed:
        1.0 is real time; 0.05 makes a message take twenty times as long, to be watched.
        It scales delays and timers, nothing else.
    address:
        None: on a Ray started here. "auto" or "host:6379": on a running one, which is never shut down by us.
    directory:
        Where disks and journals are; kept. None: a temporary one, removed by `stop`.
    progress:
        Called with a few words at each step of the start; None prints them where somebody reads along.
    record:
        False leaves messages, timers and saves out of the trace (operations and faults stay in), for speed.

    Raises EngineUnavailable if Ray cannot start.
    """

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
        if not speed > 0:
            raise ScenarioError(f"speed={speed}: give a number above 0 (1.0 is real time).")
        self._stopped = True  # until there is something to stop
        super().__init__(nodes, network=network, client=client, seed=seed)
        self.speed = speed
        self._record = record
        self._classes = {node.id: type(node) for node in nodes}
        self._born = {node.id: node for node in nodes}
        self._keep_directory = directory is not None
        self._say = progress or _say
        self._clock = ClusterClock(Origin.now(speed))
        self._skewed: dict[NodeId, Skewed] = {}
        self._health: dict[NodeId, Health] = {}
        self._faults: list[Fault] = []  # those that made the switch what it is
        self._lives = itertools.count(1)
        self._verbs = threading.RLock()
        self._failures: list[ClusterlabError] = []
        self._wire = Wire(vocabulary(nodes))
        self._collector = Collector(self._trace, self._shown, self._wire, TRACE_LIMIT)
        self._ticked = threading.Condition()
        self._stopped = False
        session.join(self, address, self._say)
        try:
            self._directory = self._make_directory(directory)
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
            return path
        return Path(tempfile.mkdtemp(prefix="run-", dir=session.directory))

    def _setting(self, name: HostName, *, alone: bool) -> Setting:
        return Setting(
            name,
            next(self._lives),
            str(self._directory),
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
        session.leave(self)

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

    def run(self, ms: float) -> None:
        """Let so many ms of cluster time pass; raises the error of a node that was wrong."""
        self._wait(lambda: False, self.now_ms + ms)

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

    # --- what one sees ---

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

    def state(self, node: NodeId) -> dict[str, Any]:
        """The declared fields of a node; of a dead or paused one, what its disk holds."""
        check_name(node, self._health)
        process = self._processes.of(node)
        if not self._stopped and process.alive and not process.paused:
            state = self._processes.ask(process, "state", node)
            if state is not None:
                return dict(state)
        names = names_for([self._born[node]], self._wire.classes)
        return read_disk(process.disk, node, names)

    def health(self, node: NodeId) -> Health:
        """`up`, `paused` or `dead`."""
        check_name(node, self._health)
        return self._health[node]

    def pid(self, node: NodeId) -> int:
        """The id of the process that runs the node."""
        check_name(node, self._health)
        return self._processes.of(node).pid

    # --- clients ---

    def _add_client(self, node: Node) -> None:
        with self._verbs:
            self._check_running()
            new = self._wire.learn(vocabulary([node]))
            self._processes.learn(new)
            self._born[node.id] = node
            self._classes[node.id] = type(node)
            if CLIENTS not in self._processes:
                self._start_client_process()
            self._processes.settle({node.id: CLIENTS})
            clients = self._processes.get(CLIENTS)
            clients.nodes += (node.id,)
            self._health[node.id] = "up"
            self._processes.bear(clients, [Born(node)])

    def _start_client_process(self) -> None:
        process = self._processes.create(self._setting(CLIENTS, alone=False), ())
        self._processes.wait_until_ready((CLIENTS,))
        self._collector.open(CLIENTS, process.life, process.journal, self.now_ms)
        self._processes.introduce(process)
        self._processes.begin({CLIENTS: []})

    def _invoke(self, node: NodeId, operation: Message, limit_ms: float) -> Returned | None:
        self._check_running()
        self._raise_failure()
        limit_s = self._clock.seconds(limit_ms)
        end = time.monotonic() + limit_s
        process = self._processes.of(node)
        if self._health[node] != "dead":
            call = self._processes.invoke(process, node, operation, limit_s)
            while time.monotonic() < end + 0.5:
                over, answer = call(0.05)
                if over:
                    if answer is not None:
                        return answer
                    break
                self._check_running()
                self._raise_failure()
        # Nobody is there to answer, but somebody may still find out what is wrong.
        self._wait(lambda: False, self.now_ms + (end - time.monotonic()) * 1000 * self.speed)
        return None

    def submit(self, node: NodeId, operation: Message) -> None:
        """Hand an operation to a node without waiting: what comes of it is in the history."""
        self._check_running()
        check_name(node, self._health)
        if self._health[node] != "dead":
            self._processes.submit(self._processes.of(node), node, operation)

    # --- faults ---

    def _apply(self, fault: Fault) -> bool:
        with self._verbs:
            self._check_running()
            if isinstance(fault, (Partition, Isolate, Link, Heal)):
                self._cut(fault)
                return True
            node = fault.about or ""
            health = self._health[node]
            possible = {
                Kill: health != "dead",
                Restart: health == "dead",
                Pause: health == "up",
                Resume: health == "paused",
                Skew: True,
            }
            if not possible[type(fault)]:
                return False
            process = self._processes.of(node)
            if isinstance(fault, Skew):
                self._skew(process, fault)
            elif isinstance(fault, Kill) and fault.effects is not None:
                self._processes.tell(process, "strike", fault)
            elif process.name == CLIENTS:
                self._strike_client(process, fault)
            else:
                self._strike_server(process, fault)
            return True

    def _cut(self, fault: Fault) -> None:
        if isinstance(fault, Heal):
            self._faults.clear()
        else:
            self._faults.append(fault)
        record = (r.FAULT, self.now_ms, fault.about, fault.kind, fault.data())
        self._collector.add(DRIVER, record)
        self._processes.tell_all("switch", tuple(self._faults))

    def _skew(self, process: Process, fault: Skew) -> None:
        self._skewed[fault.node] = Skewed(fault.offset_ms, fault.rate, self.now_ms)
        if process.alive:
            self._processes.tell(process, "strike", fault)
        else:
            self._log(process, fault)

    def _log(self, process: Process, fault: Fault) -> None:
        record = (r.FAULT, self.now_ms, fault.about, fault.kind, fault.data())
        self._collector.add(process.name, record)

    def _strike_client(self, process: Process, fault: Fault) -> None:
        node = fault.about or ""
        if not process.alive:
            raise ScenarioError(
                "the process of the clients is gone (something outside killed it): make a new cluster."
            )
        after: dict[type[Fault], Health] = {
            Kill: "dead", Restart: "up", Pause: "paused", Resume: "up",
        }  # fmt: skip
        self._processes.tell(process, "strike", fault)
        self._health[node] = after[type(fault)]

    def _strike_server(self, process: Process, fault: Fault) -> None:
        node = process.name
        match fault:
            case Kill():
                self._health[node] = "dead"
                self._processes.kill(process)
                self._buried(process)
            case Restart(disk=disk):
                self._restart(process, fault, lost=disk == "lose")
            case Pause():
                self._processes.pause(process)
                self._health[node] = "paused"
                self._log(process, fault)
            case Resume():
                self._log(process, fault)
                self._health[node] = "up"
                self._processes.resume(process)
                self._processes.tell(process, "switch", tuple(self._faults))

    def _restart(self, old: Process, fault: Fault, *, lost: bool) -> None:
        if lost:
            lose(old.disk)
        node = old.name
        process = self._processes.create(self._setting(node, alone=True), (node,))
        self._processes.wait_until_ready((node,))
        self._collector.open(node, process.life, process.journal, self.now_ms)
        self._log(process, fault)
        self._health[node] = "up"
        born = Born(self._born[node], self._skewed.get(node, Skewed()), again=True)
        self._processes.begin({node: [born]})
        self._processes.introduce(process)

    def _buried(self, process: Process) -> None:
        """The process is dead: the others learn it, and its journal is complete."""
        for node in process.nodes:
            self._health[node] = "dead"
        self._processes.introduce(process)
        saved = newest_frame(process.disk, process.life)
        self._collector.close(process.name, process.life, self.now_ms, saved, process.nodes)
        self._take_deaths()

    # --- what happens by itself ---

    def _tick(self) -> None:
        """Collect, and look after those who died by themselves."""
        self._collector.collect(TICK_WORK_S)
        self._take_deaths()
        for process in self._processes.all():
            if self._processes.is_gone(process):
                with self._verbs:
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


def _as_error(death: Death) -> ClusterlabError:
    kind = getattr(errors, death.kind, ClusterlabError)
    error: ClusterlabError = kind(death.sentence)
    error.add_note(f"In the process of {death.node}:\n{death.details}")
    return error


def _collect(cluster_ref: weakref.ref[LiveCluster]) -> None:
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
