"""What surrounds live nodes in their process: inbox, disk, clock, switch and journal.

This is the only place where effects happen for real. One thread does everything, in turns:

1. take all that has arrived and all that is due;
2. run each through `run_in_place`, collecting the effects;
3. write the records of these steps to the journal;
4. save once, for all of them (group commit);
5. send: one batch to each process, and the answers to those who wait.

So the order of rule 4 is kept (nothing leaves before its save is on the disk), and the disk is
asked once for many messages. A server has a process of its own; clients share one.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from typing import Any

from clusterlab.core.errors import NodeError
from clusterlab.core.faults import DiskLies, Fault, Kill, MessageFault, Pause, Restart, Resume, Skew
from clusterlab.core.history import Invoke, Returned
from clusterlab.core.node import (
    WORLD,
    Deliver,
    Event,
    Fire,
    Message,
    NodeId,
    Start,
    Timer,
    restart,
    run_in_place,
)
from clusterlab.live import records as r
from clusterlab.live.clocks import ClusterClock, LiveEnv, Origin, Skewed
from clusterlab.live.disk import Disk
from clusterlab.live.grip import Grip
from clusterlab.live.hosted import Born, Hosted, HostName, Post, Reply, Setting, Waiting
from clusterlab.live.outbox import Letters, Outbox
from clusterlab.live.wire import Wire, names_for

STEPS_A_TURN = 512
"""A turn ends after so many steps, so that their effects do not wait without end."""
GOODBYE_S = 1.0
"""How long a process that dies within a step waits for the messages of that step to get out."""

_MESSAGE, _TIMER = 0, 1
_SILENT = (r.SILENT,)
_deliver = tuple.__new__


class Host:
    """The nodes of one process, and the thread that runs them."""

    def __init__(
        self, setting: Setting, wire: Wire, post: Post, die: Callable[[], None] | None = None
    ) -> None:
        self.setting = setting
        self._die = die or _kill_myself
        self._wire = wire
        self._post = post
        self._life = setting.life
        self._record = setting.record
        folder = Path(setting.directory)
        folder.mkdir(parents=True, exist_ok=True)
        self._disk = Disk(disk_path(folder, setting.name))
        self._journal = r.Journal(journal_path(folder, setting.name, setting.life), wire)
        self._outbox = Outbox(setting, post, self._wake)
        self._nodes: dict[NodeId, Hosted] = {}
        self._inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._heap: list[tuple[Any, ...]] = []
        self._count = 0
        self._grip = Grip(self._heap, self._push, self._outbox)
        self._clock = ClusterClock(Origin.now(1.0))
        self._stopping = False
        self._thread = threading.Thread(target=self._main, name="clusterlab-host", daemon=True)

    # --- called from other threads ---

    def begin(self, origin: Origin, where: Mapping[NodeId, HostName], born: list[Born]) -> None:
        """Start the nodes; mail that came earlier has waited."""
        self._clock = ClusterClock(origin)
        self._outbox.where.update(where)
        self._put(("control", self._control_bear, (born,), Reply()))
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)  # a burst of messages is no reason to look for cycles
        self._thread.start()

    def invoke(self, node: NodeId, operation: Message, limit_s: float) -> Returned | None:
        """Hand an operation to a node and wait for what it returns; None at the limit."""
        waiting = Waiting(operation)
        self._put(("invoke", node, waiting))
        waiting.done.wait(limit_s)
        return waiting.answer

    def submit(self, node: NodeId, operation: Message) -> None:
        """Hand an operation to a node without waiting."""
        self._put(("invoke", node, Waiting(operation)))

    def control(self, what: str, *args: Any) -> Any:
        """Have the thread do something between two turns, and wait for it."""
        reply = Reply()
        self._put(("control", getattr(self, "_control_" + what), args, reply))
        reply.done.wait()
        if reply.error is not None:
            raise reply.error
        return reply.value

    def _put(self, item: tuple[Any, ...]) -> None:
        self._inbox.put(item)
        self._post.wake()

    # --- the loop ---

    def _main(self) -> None:
        try:
            while not self._stopping:
                self._take(self._patience())
                self._turn()
        except BaseException as error:  # noqa: BLE001 - whoever made the mistake: say so, and die
            outs = [self._failure(error)]
            step = (r.STEP, self._clock.now_ms(), self.setting.name, _SILENT, outs)
            self._journal.write([step], marked=True)
            self._die()

    def _failure(self, error: BaseException) -> tuple[Any, ...]:
        """An error outside a step, as the journal tells it."""
        kind, told = type(error).__name__, str(error)
        if isinstance(error, pickle.PicklingError):
            kind = "BadValue"
            told = (
                f"something that {self.setting.name} sends, saves or notes cannot go from one "
                f"process to another ({error}): use ints, strings, tuples, NamedTuples, "
                "Messages, and dicts, lists and sets of those."
            )
        elif not isinstance(error, NodeError):
            kind = "ClusterlabError"
            told = (
                f"the live engine failed in the process of {self.setting.name} ({error!r}): "
                "make a new cluster, and please report what led to this."
            )
        return (r.FAILED, told, kind, traceback.format_exc())

    def _patience(self) -> float | None:
        """How long nothing is due, in seconds; None: nothing ever."""
        heap = self._heap
        if not heap:
            return None
        return max(0.0, self._clock.seconds(heap[0][0] - self._clock.now_ms()))

    def _take(self, patience: float | None) -> None:
        for batch in self._post.receive(patience):
            self._unpack(batch)
        inbox = self._inbox
        with contextlib.suppress(Empty):
            while True:
                kind, *item = inbox.get_nowait()
                if kind == "invoke":
                    self._invoked(*item)
                else:
                    self._obey(*item)

    def _unpack(self, batch: bytes) -> None:
        sent_ms, envelopes, body = self._wire.loads(batch)
        messages = self._wire.loads(body)
        behind = self._clock.now_ms() - sent_ms
        late = min(behind, 0.0)  # the sender's clock is ahead: do not make its messages wait
        heap, number = self._heap, self._count
        for (due, src, dst, name), msg in zip(envelopes, messages, strict=True):
            number += 1
            heapq.heappush(heap, (due + late, number, _MESSAGE, dst, src, msg, name))
        self._count = number

    def _invoked(self, node: NodeId, waiting: Waiting) -> None:
        host = self._nodes.get(node)
        if host is not None and host.alive:
            host.waiting.append(waiting)
            self._push(self._clock.now_ms(), _MESSAGE, node, WORLD, Invoke(waiting.operation), None)

    def _obey(self, what: Callable[..., Any], args: tuple[Any, ...], reply: Reply) -> None:
        self._turn()  # what was taken before comes first
        try:
            reply.value = what(*args)
        except Exception as error:  # noqa: BLE001 - goes to who asked
            reply.error = error
        self._perform()
        reply.done.set()

    def _turn(self) -> None:
        """Run what is due, then perform the effects of all of it."""
        heap = self._heap
        now = self._clock.now_ms()
        left = STEPS_A_TURN
        while heap and left:
            if heap[0][0] > now:
                now = self._clock.now_ms()  # a timer of 0 ms belongs to this turn
                if heap[0][0] > now:
                    break
            entry = heapq.heappop(heap)
            left -= 1
            host = self._nodes.get(entry[3])
            if host is None:
                continue
            if entry[2] == _TIMER and host.timers.get(entry[4]) != entry[1]:
                continue  # cancelled, set anew, or the node died
            if host.paused:
                host.held.append(entry)
            elif entry[2] == _TIMER:
                del host.timers[entry[4]]
                trigger = (r.FIRED, entry[4]) if self._record else _SILENT
                self._run(host, Fire(entry[4]), trigger)
            else:
                self._arrive(host, entry[4], entry[5], entry[6])
        self._perform()

    def _wake(self, host: Hosted, timer: Timer, due_ms: float) -> None:
        host.timers[timer] = self._push(due_ms, _TIMER, host.id, timer, None, None)

    def _push(self, due_ms: float, kind: int, node: NodeId, a: Any, b: Any, c: Any) -> int:
        self._count = number = self._count + 1
        heapq.heappush(self._heap, (due_ms, number, kind, node, a, b, c))
        return number

    def _arrive(self, host: Hosted, src: NodeId, msg: Message, name: r.MessageName | None) -> None:
        if src == WORLD:
            if host.alive:
                asked = (r.ASKED, msg) if self._record else _SILENT
                self._run(host, Deliver(src, msg), asked)
            return
        if not host.alive or (src, host.id) not in self._outbox.switch.plain:
            why = self._outbox.switch.cut(src, host.id) if host.alive else "dead"
            if why is not None:
                self._dropped(host.id, name, why)
                return
        trigger = (r.DELIVERED, name) if self._record else _SILENT
        self._run(host, _deliver(Deliver, (src, msg)), trigger)

    def _dropped(self, node: NodeId, name: r.MessageName | None, why: str) -> None:
        if self._record:
            self._outbox.records.append((r.DROPPED, self._clock.now_ms(), node, name, why))

    # --- one step ---

    def _run(self, host: Hosted, event: Event, trigger: tuple[Any, ...]) -> None:
        if host.crash_after is not None:
            self._perform()  # the steps before it are whole
        outs = self._outbox.begin()
        host.env.at_ms = at_ms = self._clock.now_ms()
        try:
            effects = run_in_place(host.node, event, host.env)
            dies = host.crash_after is not None
            self._outbox.collect(host, effects[: host.crash_after] if dies else effects, at_ms)
        except NodeError as error:
            details = "".join(traceback.format_exception(error))
            outs.append((r.FAILED, str(error), type(error).__name__, details))
            self._outbox.records.append((r.STEP, at_ms, host.id, trigger, outs))
            self._bury(host)
            return
        if dies:
            outs.append((r.KILLED, host.crash_after))
            host.crash_after = None
            self._outbox.records.append((r.STEP, at_ms, host.id, trigger, outs))
            self._bury(host)
            return
        if host.shows:
            status = host.node.status()
            if status != host.shown:
                host.shown = dict(status)
                outs.append((r.STATE, host.shown))
        if outs or self._record:
            self._outbox.records.append((r.STEP, at_ms, host.id, trigger, outs))

    # --- the effects ---

    def _perform(self) -> None:
        """Journal, disk, network, in this order."""
        box = self._outbox
        if not box:
            return
        records, saves, letters = box.records, box.saves, box.letters
        local, answers = box.local, box.answers
        box.records, box.saves, box.letters, box.local, box.answers = [], [], {}, [], []
        if records:
            self._journal.write(records, marked=not saves)
        if saves:
            self._disk.commit(saves, self._life, self._journal.frame)
            if records:
                self._journal.mark()
        if letters:
            self._mail(letters)
        for due, src, dst, name, msg in local:
            self._push(due, _MESSAGE, dst, src, msg, name)
        for host, msg in answers:
            host.tell(msg)

    def _mail(self, out: Mapping[HostName, Letters]) -> None:
        """One batch to each process; what is the same for several (a broadcast) is written once."""
        dumps, now = self._wire.dumps, self._clock.now_ms()
        written: list[tuple[list[Message], bytes]] = []
        for target, (envelopes, messages) in out.items():
            body = next((data for others, data in written if others == messages), None)
            if body is None:
                body = dumps(messages)
                written.append((messages, body))
            self._post.send(target, dumps((now, envelopes, body)))

    # --- dying ---

    def _bury(self, host: Hosted) -> None:
        """Perform what was collected; then the node is dead, with the process that is its own."""
        host.alive = host.paused = False
        host.timers.clear()
        for entry in host.held:  # mail that waited for a paused node dies with it
            if entry[2] == _MESSAGE and entry[6] is not None:
                self._dropped(host.id, entry[6], "dead")
        host.held.clear()
        self._perform()
        self._disk.lose_cache(host.id)
        if self.setting.alone:
            self._stopping = True
            self._post.flush(GOODBYE_S)
            self._die()

    # --- what the driver asks for ---

    def _bear(self, born: Sequence[Born]) -> None:
        """Nodes come up."""
        for one in born:
            node_id = one.node.id
            random = Random(f"{self.setting.seed} {node_id} {self._life}")
            env = LiveEnv(random, one.skewed)
            node, held = one.node, dict[str, Any]()
            if one.again:
                held = self._disk.read(node_id, names_for([node], self._wire.classes))
                node = restart(node, held)
            lacks = {name: value for name, value in node.saved().items() if name not in held}
            if lacks:
                self._outbox.saves.append((node_id, lacks))
            self._nodes[node_id] = Hosted(node, env, random)
        self._perform()
        for one in born:
            self._run(self._nodes[one.node.id], Start(), (r.STARTED,))

    def _control_bear(self, born: Sequence[Born]) -> None:
        self._bear(born)

    def _control_meet(self, peers: Mapping[HostName, tuple[str | None, int]]) -> None:
        self._post.meet(peers)

    def _control_where(self, where: Mapping[NodeId, HostName]) -> None:
        self._outbox.where.update(where)

    def _control_switch(self, faults: Sequence[Fault]) -> None:
        self._outbox.set_switch(tuple(faults))

    def _control_message(self, fault: MessageFault, name: r.MessageName) -> bool:
        return self._grip.handle(fault, name, self._clock.now_ms())

    def _control_release(self) -> None:
        self._grip.release_all(self._clock.now_ms())

    def _control_state(self, node: NodeId) -> dict[str, Any]:
        host = self._nodes[node]
        if host.alive:
            return host.node.state()
        return self._disk.read(node, names_for([host.node], self._wire.classes))

    def _control_strike(self, fault: Fault, at_ms: float | None = None) -> None:
        """A fault of one node that its own process carries out; the driver may say when it was."""
        host = self._nodes[fault.about or ""]
        if isinstance(fault, Kill) and fault.effects is not None:
            host.crash_after = fault.effects  # the trace has it when it happens
            return
        now = self._clock.now_ms() if at_ms is None else at_ms
        self._outbox.records.append((r.FAULT, now, host.id, fault.kind, fault.data()))
        match fault:
            case Kill():
                self._bury(host)
            case Restart(disk=disk):
                if disk == "lose":
                    self._disk.erase(host.id)
                self._bear([Born(host.node, host.env.skewed, again=True)])
            case Pause():
                host.paused = True
            case Resume():
                host.paused = False
                for _, number, *rest in host.held:
                    heapq.heappush(self._heap, (now, number, *rest))
                host.held.clear()
            case DiskLies(lies=lies):
                self._disk.let_lie(host.id, lies)
            case Skew(offset_ms=offset_ms, rate=rate):
                self._rescale_timers(host, now, host.env.skewed.rate / rate)
                host.env.skewed = Skewed(offset_ms, rate, now)

    def _rescale_timers(self, host: Hosted, now: float, factor: float) -> None:
        """Timers run on the node's clock: what is left of them takes `factor` times as long."""
        due_of = {e[1]: e[0] for e in self._heap if e[2] == _TIMER and e[3] == host.id}
        for timer, number in list(host.timers.items()):
            due = due_of.get(number, now)  # one that came due while the node was paused waits
            if due > now:
                self._wake(host, timer, now + (due - now) * factor)

    def _control_sync(self) -> None:
        """Nothing: that it was done means that all before it was done."""

    def _control_stop(self) -> None:
        self._stopping = True
        self._perform()
        self._journal.close()
        self._disk.close()
        self._post.close()


def disk_path(folder: Path, host: HostName) -> Path:
    """Where the disk of a process is."""
    return folder / f"{host}.sqlite"


def journal_path(folder: Path, host: HostName, life: int) -> Path:
    """Where a process writes its records."""
    return folder / f"{host}.{life}.journal"


def _kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
