"""The processes of one cluster, seen from the driver: made, told, signalled and ended."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from clusterlab.core.errors import EngineUnavailable
from clusterlab.core.history import Returned
from clusterlab.core.node import Message, NodeId
from clusterlab.live.clocks import Origin
from clusterlab.live.host import disk_path, journal_path
from clusterlab.live.hosted import Born, HostName, Setting
from clusterlab.live.machine import end_process, is_alive, is_stopped, send_signal, wait_for
from clusterlab.live.session import load_ray
from clusterlab.live.wire import Wire, dumps_by_value

CLIENTS: HostName = "clients"
READY_LIMIT_S = 60.0
CONTROL_LIMIT_S = 5.0
"""A process that does not answer for so long is not waited for: what it was told, it will do."""
KILL_PATIENCE_S = 0.05
"""How long Ray is given to end a process before we do."""


@dataclass
class Process:
    """One process, in one of its lives."""

    name: HostName
    life: int
    handle: Any
    nodes: tuple[NodeId, ...]
    journal: Path
    disk: Path
    socket: str
    pid: int = 0
    alive: bool = True
    paused: bool = False
    begun: bool = False
    """Whether its nodes run: before, nobody carries out control calls."""

    @property
    def peer(self) -> tuple[str | None, int]:
        """What the others must know of it: where it listens (None: it is dead), and its life."""
        return self.socket if self.alive else None, self.life


class Processes:
    """All processes of one cluster."""

    def __init__(self, wire: Wire, directory: Path) -> None:
        self._ray = load_ray()

        from clusterlab.live.actor import actor_class  # noqa: PLC0415 - as above

        self._actor = actor_class()
        # Disks, journals and signals are this machine's, also on a borrowed Ray of several.
        self._here = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            self._ray.get_runtime_context().get_node_id(), soft=False
        )
        self._wire = wire
        self._directory = directory
        self._search_path = list(sys.path)
        self._by_name: dict[HostName, Process] = {}
        self.where: dict[NodeId, HostName] = {}
        self.origin = Origin.now(1.0)

    def __contains__(self, name: HostName) -> bool:
        return name in self._by_name

    def all(self) -> list[Process]:
        """Every process, dead ones too."""
        return list(self._by_name.values())

    def get(self, name: HostName) -> Process:
        """The process of that name, in its newest life."""
        return self._by_name[name]

    def of(self, node: NodeId) -> Process:
        """The process that runs `node`."""
        return self._by_name[self.where[node]]

    def _answering(self) -> Iterator[Process]:
        return (p for p in self.all() if p.begun and p.alive and not p.paused)

    # --- made ---

    def create(self, setting: Setting, nodes: tuple[NodeId, ...]) -> Process:
        """Start a process; it takes a moment to be ready."""
        handle = self._actor.options(scheduling_strategy=self._here).remote(
            self._search_path, setting, dumps_by_value(self._wire.classes)
        )
        process = Process(
            setting.name,
            setting.life,
            handle,
            nodes,
            journal_path(self._directory, setting.name, setting.life),
            disk_path(self._directory, setting.name),
            setting.socket,
        )
        self._by_name[setting.name] = process
        return process

    def wait_until_ready(self, names: Iterable[HostName]) -> None:
        """Wait for processes to be up; raises EngineUnavailable if one does not come up."""
        starting = [self._by_name[name] for name in names]
        answers = self._get([process.handle.who.remote() for process in starting])
        for process, (pid, _, _) in zip(starting, answers, strict=True):
            process.pid = pid

    def begin(self, born: Mapping[HostName, list[Born]]) -> None:
        """Let processes that are up run their nodes."""
        peers = {p.name: p.peer for p in self.all()}
        self._get(
            [
                self._by_name[name].handle.begin.remote(
                    self.origin, self.where, peers, dumps_by_value(nodes)
                )
                for name, nodes in born.items()
            ]
        )
        for name in born:
            self._by_name[name].begun = True

    def _get(self, refs: list[Any]) -> list[Any]:
        """What starting processes answer."""
        try:
            answers: list[Any] = self._ray.get(refs, timeout=READY_LIMIT_S)
        except self._ray.exceptions.GetTimeoutError as error:
            raise EngineUnavailable(
                f"the nodes' processes did not come up within {READY_LIMIT_S:.0f} s: "
                "close other programs and try again with fewer nodes, or use engine='sim'."
            ) from error
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or str(error).strip().splitlines()[-1]
            raise EngineUnavailable(
                f"a node's process could not start ({cause!s}): see that its fields are values "
                "and that every module that it needs can be imported from this folder; "
                "or use engine='sim'."
            ) from error
        return answers

    # --- told ---

    def introduce(self, process: Process) -> None:
        """Tell everybody that a process came (or went)."""
        peer = {process.name: process.peer}
        self._wait([p.handle.meet.remote(peer) for p in self._answering()])

    def settle(self, where: Mapping[NodeId, HostName]) -> None:
        """Tell everybody where nodes are."""
        self.where.update(where)
        self.tell_all("where", dict(where))

    def learn(self, classes: Sequence[type]) -> None:
        """Tell everybody of new classes."""
        if classes:
            shipped = dumps_by_value(list(classes))
            self._wait([p.handle.learn.remote(shipped) for p in self._answering()])

    def bear(self, process: Process, born: list[Born]) -> None:
        """Start further nodes in a process."""
        self._wait([process.handle.bear.remote(dumps_by_value(born))])

    def tell_all(self, what: str, *args: Any) -> None:
        """A control call to everybody; those who are stopped get it when they go on."""
        refs = []
        for process in self.all():
            if process.alive and process.begun:
                ref = process.handle.control.remote(what, *args)
                if not process.paused:
                    refs.append(ref)
        self._wait(refs)

    def tell(self, process: Process, what: str, *args: Any) -> None:
        """A control call to one."""
        ref = process.handle.control.remote(what, *args)
        if not process.paused:
            self._wait([ref])

    def ask(self, process: Process, what: str, *args: Any) -> Any:
        """A control call's answer; None if the process died over it."""
        ref = process.handle.control.remote(what, *args)
        try:
            return self._wire.loads(self._ray.get(ref, timeout=CONTROL_LIMIT_S))
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.GetTimeoutError):
            return None

    def _wait(self, refs: list[Any]) -> None:
        if not refs:
            return
        done, _ = self._ray.wait(refs, num_returns=len(refs), timeout=CONTROL_LIMIT_S)
        with contextlib.suppress(self._ray.exceptions.RayActorError):
            self._ray.get(done)

    def invoke(
        self, process: Process, node: NodeId, operation: Message, limit_s: float
    ) -> Callable[[float], tuple[bool, Returned | None]]:
        """Begin an operation; the function that is returned waits, and says whether it is over."""
        ref = process.handle.invoke.remote(node, self._wire.dumps(operation), limit_s)
        exceptions = self._ray.exceptions

        def wait(seconds: float) -> tuple[bool, Returned | None]:
            try:
                answer = self._ray.get(ref, timeout=seconds)
            except exceptions.GetTimeoutError:
                return False, None
            except exceptions.RayActorError:
                return True, None
            return True, None if answer is None else self._wire.loads(answer)

        return wait

    def submit(self, process: Process, node: NodeId, operation: Message) -> None:
        """Begin an operation that nobody waits for."""
        process.handle.submit.remote(node, self._wire.dumps(operation))

    # --- signalled and ended ---

    def is_gone(self, process: Process) -> bool:
        """Whether a process that we believe to live is dead."""
        return process.alive and process.pid != 0 and not is_alive(process.pid)

    def pause(self, process: Process) -> None:
        """SIGSTOP; returns when it has taken effect."""
        process.paused = True
        send_signal(process.pid, signal.SIGSTOP)
        wait_for(lambda: is_stopped(process.pid), 1.0)

    def resume(self, process: Process) -> None:
        """SIGCONT."""
        process.paused = False
        send_signal(process.pid, signal.SIGCONT)

    def kill(self, process: Process) -> None:
        """End the process through Ray; a stopped one cannot hear Ray, so the kernel does it."""
        paused, process.alive, process.paused = process.paused, False, False
        with contextlib.suppress(Exception):
            self._ray.kill(process.handle, no_restart=True)
        if paused or not wait_for(lambda: not is_alive(process.pid), KILL_PATIENCE_S):
            end_process(process.pid)

    def stop(self) -> None:
        """End them all; those that can finish their journal first."""
        with contextlib.suppress(Exception):
            self._wait([p.handle.control.remote("stop") for p in self._answering()])
        living = [p for p in self.all() if p.alive]
        for process in living:
            with contextlib.suppress(Exception):
                self._ray.kill(process.handle, no_restart=True)
        for process in living:
            if process.pid and not wait_for(lambda p=process: not is_alive(p.pid), KILL_PATIENCE_S):  # type: ignore[misc]
                with contextlib.suppress(psutil.Error):
                    end_process(process.pid)
            process.alive = process.paused = False
