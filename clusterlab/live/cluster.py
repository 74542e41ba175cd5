"""The live cluster: every server a process of its own, and all verbs carried out for real.

| verb | what happens |
|---|---|
| kill | the process is killed; its file on disk stays |
| pause, resume | SIGSTOP and SIGCONT |
| restart | a new process, which reads the disk (or an empty one) |
| partition, isolate, link, heal | every process's switch is set, so what is in flight is eaten |
| skew | the node's clock |
| a disk that lies | what is saved stays in the memory of the process |
| hold, release, drop, duplicate a message | in the process of its receiver, where it waits |

Clients live together in one further process, started with the first of them, so that 64 clients do
not cost 64 processes; their faults strike the client, not that process.
"""

from __future__ import annotations

import time
from typing import Any

from clusterlab.core.cluster import Health
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import (
    DiskLies,
    Fault,
    Heal,
    Isolate,
    Kill,
    Link,
    MessageFault,
    Partition,
    Pause,
    Restart,
    Resume,
    Skew,
    check_name,
)
from clusterlab.core.history import Returned
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.live import records as r
from clusterlab.live.clocks import Skewed
from clusterlab.live.disk import lose, read_disk
from clusterlab.live.engine import LiveEngine
from clusterlab.live.hosted import Born
from clusterlab.live.merge import DRIVER
from clusterlab.live.processes import CLIENTS, Process
from clusterlab.live.wire import names_for, vocabulary


class LiveCluster(LiveEngine):
    """A cluster of real processes.

    Parameters beyond those of `Cluster`
    ----------
    speed:
        1.0 is real time; 0.05 makes a message take twenty times as long, to be watched.
        It scales delays and timers, nothing else.
    address:
        None: on a Ray started here. "auto" or "host:6379": on a running one, which is never shut
        down by us.
    directory:
        Where disks and journals are; kept. None: a temporary one, removed by `stop`.
    progress:
        Called with a few words at each step of the start; None prints them where somebody reads.
    record:
        False leaves messages, timers and saves out of the trace, for speed
        (operations, notes and faults stay in).

    Raises EngineUnavailable if Ray cannot start.
    """

    # --- what one sees ---

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
        self._check_running()
        if isinstance(fault, (Partition, Isolate, Link, Heal)):
            with self._verbs:
                self._cut(fault)
            return True
        if isinstance(fault, MessageFault):
            return self._handle(fault)
        node = fault.about or ""
        # A restart takes a second; whoever kills another node meanwhile does not wait for it.
        with self._locks[self._processes.where[node]]:
            health = self._health[node]
            possible = {
                Kill: health != "dead",
                Restart: health == "dead",
                Pause: health == "up",
                Resume: health == "paused",
                Skew: True,
                DiskLies: health == "up",
            }
            if not possible[type(fault)]:
                return False
            process = self._processes.of(node)
            if isinstance(fault, Skew):
                self._skew(process, fault)
            elif isinstance(fault, DiskLies):
                self._processes.ask(process, "strike", fault)  # it is so when this returns
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
        if isinstance(fault, Heal):
            self._processes.tell_all("release")

    def _handle(self, fault: MessageFault) -> bool:
        """A fault of one message is carried out, and recorded, where the message waits."""
        found = self._collector.flight(fault.message)
        if found is None:
            return False
        name, dst = found
        process = self._processes.of(dst)
        if process.paused:  # it does so when it goes on
            self._processes.tell(process, "message", fault, name)
            return True
        return process.alive and bool(self._processes.ask(process, "message", fault, name))

    def _skew(self, process: Process, fault: Skew) -> None:
        at_ms = self.now_ms  # one moment for the process, for the next one, and for the trace
        self._skewed[fault.node] = Skewed(fault.offset_ms, fault.rate, at_ms)
        if process.alive:
            self._processes.tell(process, "strike", fault, at_ms)
        else:
            self._log(process, fault, at_ms)

    def _log(self, process: Process, fault: Fault, at_ms: float | None = None) -> None:
        now = self.now_ms if at_ms is None else at_ms
        record = (r.FAULT, now, fault.about, fault.kind, fault.data())
        self._collector.add(process.name, record)

    def _strike_client(self, process: Process, fault: Fault) -> None:
        node = fault.about or ""
        if not process.alive:
            raise ScenarioError(
                "the process of the clients is gone (something outside killed it): "
                "make a new cluster."
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
        if old.alive:  # it has told of its end, and is just about to
            self._processes.kill(old)
            self._buried(old)
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
        with self._verbs:  # a fault of the network may have come in between
            self._processes.tell(process, "switch", tuple(self._faults))
