"""The simulator: one heap of things to come, virtual time, and every draw from one seed.

The same seed gives the same run, to the last message, on every machine:
ties in time are broken by a counter, and nothing depends on hashes, clocks or threads.

Between events the whole cluster stands still, so a learner can look at it, step it,
or take it by hand: `deliver`, `drop` and `fire` make one chosen thing happen now.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from contextlib import suppress

from clusterlab.core.cluster import ClientFactory
from clusterlab.core.errors import LimitReached, ScenarioError
from clusterlab.core.faults import (
    DiskLies,
    Fault,
    Heal,
    Kill,
    MessageFault,
    Pause,
    Restart,
    Resume,
    Skew,
    check_name,
)
from clusterlab.core.garbage import no_garbage_collection
from clusterlab.core.history import Invoke, Returned
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD, Message, Node, NodeId, restart
from clusterlab.sim.callers import Call
from clusterlab.sim.engine import MESSAGE, TIMER
from clusterlab.sim.hand import Hand
from clusterlab.sim.host import Host
from clusterlab.sim.pace import Pace


class Simulation(Hand):
    """A cluster in virtual time.

    Parameters beyond those of `Cluster`
    ----------------------------------
    record:
        False keeps the trace short, for speed: operations, notes, states, starts and errors,
        faults and the messages that they lost or doubled. Sends, deliveries, timers and saves
        are left out, and with them the causes of what is kept.
    start:
        False starts no node: for a simulation that goes on from elsewhere (`situation.py`).

    >>> from clusterlab.core.node import Message, Node, volatile
    >>> class Hello(Message):
    ...     pass
    >>> class Greeter(Node):
    ...     friend: str
    ...     greeted: int = volatile(0)
    ...
    ...     def on_start(self):
    ...         self.send(self.friend, Hello())
    ...
    ...     def on_hello(self, src, m):
    ...         self.greeted += 1
    >>> sim = Simulation([Greeter("a", friend="b"), Greeter("b", friend="a")])
    >>> sim.run(20)
    >>> sim.state("a")
    {'greeted': 1}
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        *,
        network: Network | None = None,
        client: ClientFactory | None = None,
        seed: int = 0,
        speed: float = 1.0,
        record: bool = True,
        start: bool = True,
    ) -> None:
        self._pace: Pace | None = None
        super().__init__(
            nodes,
            network=network,
            client=client,
            seed=seed,
            speed=speed,
            record=record,
            start=start,
        )

    # --- time ---

    def _run_to(self, until_ms: float) -> None:
        if not self._paced(lambda: self._now >= until_ms):
            self.advance_to(until_ms)

    def advance_to(self, end_ms: float) -> None:
        """Let everything happen that is due up to `end_ms`, and set the time to it."""
        with self._lock, no_garbage_collection():
            self._check_running()
            heap, next_ = self._heap, self._next
            while heap and heap[0][0] <= end_ms:
                next_()
            self._now = max(self._now, end_ms)

    def run_until(
        self, condition: Callable[[], bool], limit_ms: float = 60_000, what: str = "the condition"
    ) -> None:
        """Let time pass until `condition()` holds.

        It is asked after every event; while the simulation plays, 60 times a second.
        Raises LimitReached when it did not hold within `limit_ms`.
        """
        end = self._now + limit_ms
        held = False

        def over() -> bool:
            nonlocal held
            with self._lock:
                held = condition()
                return held or self._now >= end

        if not self._paced(over):
            with self._lock, no_garbage_collection():
                self._check_running()
                while not over() and self._heap and self._heap[0][0] <= end:
                    self._next()
                if not held:
                    self._now = max(self._now, end)
                    held = condition()  # which may have asked what time it is
        if not held:
            quiet = "" if self._to_come() else "; nothing more can happen in this cluster"
            raise LimitReached(
                f"{what} did not come true within {limit_ms:.0f} ms{quiet}: "
                "look at the trace, or give it a larger limit_ms."
            )

    def play(self, speed: float | None = None) -> None:
        """Let virtual time pass by itself, `speed` times as fast as real time, until `halt`.

        Without a speed, at that of the cluster.
        """
        self._check_running()
        speed = self.speed if speed is None else speed
        if speed <= 0:
            raise ScenarioError(f"play({speed}) would stand still: give a speed above 0, or halt.")
        self.halt()
        self._pace = Pace(lambda ms: self.advance_to(self._now + ms), self._lock, speed)

    def halt(self) -> None:
        """Stop playing; time stands still again."""
        pace, self._pace = self._pace, None
        if pace is not None:
            pace.stop()

    def stop(self) -> None:
        """End the simulation; its trace and history stay readable."""
        self.halt()
        self._stopped = True
        self._tell_stopped()

    def _paced(self, over: Callable[[], bool]) -> bool:
        """While the simulation plays, wait until `over()`; False if it does not play (any more).

        Raises what an event raised; the simulation plays no more then.
        """
        pace = self._pace
        if pace is None:
            return False
        try:
            return pace.wait(over)
        except Exception:
            if self._pace is pace:
                self.halt()
            raise

    # --- clients ---

    def submit(self, node: NodeId, operation: Message) -> None:
        """Hand an operation to a node without waiting: what comes of it is in the history."""
        check_name(node, self._hosts)
        self._submit(node, operation)

    def _invoke(self, node: NodeId, operation: Message, limit_ms: float) -> Returned | None:
        call = self._submit(node, operation)
        with suppress(LimitReached):
            self.run_until(lambda: call.answer is not None, limit_ms)
        return call.answer

    def _submit(self, node: NodeId, operation: Message) -> Call:
        with self._lock:
            self._check_running()
            call = self._callers.add(node, operation)
            self._push(self._now, MESSAGE, self._host(node), WORLD, Invoke(operation), None)
            return call

    # --- faults ---

    def _apply(self, fault: Fault) -> bool:
        with self._lock:
            self._check_running()
            if isinstance(fault, MessageFault):
                return self._handle(fault)
            host = self._hosts.get(fault.about or "")
            if host is not None and not _can_strike(fault, host):
                return False
            if isinstance(fault, Kill) and fault.effects is not None and host is not None:
                host.crash_after = fault.effects  # the trace has it when it happens
                return True
            seq = self.trace.append(self._now, fault.about, fault.kind, fault.data())
            self._switch.apply(fault)
            if host is not None:
                self._strike(host, fault, seq)
            elif isinstance(fault, Heal):
                for held in list(self._parked):
                    self._release(held)
            return True

    def _strike(self, host: Host, fault: Fault, seq: int) -> None:
        match fault:
            case Kill():
                self._die(host)
            case Restart(disk=disk):
                host.node = restart(host.node, host.disk if disk == "keep" else {})
                host.disk = host.node.saved()
                host.alive, host.crash_after, host.shown = True, None, None
                self._start(host, seq)
            case Pause():
                host.paused = True
            case Resume():
                host.paused = False
                for entry in host.held:  # as overdue as it is, so that it keeps its order
                    heapq.heappush(self._heap, entry)
                host.held.clear()
            case DiskLies(lies=lies):
                host.let_disk_lie(lies)
            case Skew(offset_ms=offset_ms, rate=rate):
                self._rescale_timers(host, host.clock.rate / rate)
                host.clock.skew(self._now, offset_ms, rate)

    def _rescale_timers(self, host: Host, factor: float) -> None:
        """Timers run on the node's clock: what is left of them takes `factor` times as long."""
        for due, _, _, owner, timer, cause, _ in self._to_come(TIMER):
            if owner is host:
                due_ms = self._now + (due - self._now) * factor
                number = self._push(due_ms, TIMER, host, timer, cause, None)
                host.timers[timer] = (number, cause)


def _can_strike(fault: Fault, host: Host) -> bool:
    """Whether `fault` would change anything: the dead cannot be killed nor the living restarted."""
    match fault:
        case Kill():
            return host.alive
        case Restart():
            return not host.alive
        case Pause():
            return host.alive and not host.paused
        case Resume():
            return host.paused
        case DiskLies(lies=lies):
            return host.alive and lies != (host.synced is not None)
    return True
