"""The verbs of a cluster, the same for every engine.

An engine subclasses `Cluster` and supplies what differs: how a fault is carried out,
how time passes, where the state is.
The names, the checks of arguments and the sentences of the errors are here, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Literal, Self, TypeAlias, cast

from clusterlab.core.errors import OperationFailed, OperationUnknown, ScenarioError
from clusterlab.core.faults import (
    DiskLies,
    DropMessage,
    DuplicateMessage,
    Fault,
    Heal,
    HoldMessage,
    Isolate,
    Kill,
    Link,
    Partition,
    Pause,
    Range,
    ReleaseMessage,
    Restart,
    Resume,
    Skew,
    check_fault,
    check_name,
)
from clusterlab.core.history import History, Returned
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId
from clusterlab.core.spec import CompareAndSet, Get, Put
from clusterlab.core.trace import Trace

Health: TypeAlias = Literal["up", "paused", "dead"]
ClientFactory: TypeAlias = Callable[[NodeId, tuple[NodeId, ...]], Node]
"""Makes a client node from its id and the ids of the servers."""

DEFAULT_CLIENT: NodeId = "c1"
OPERATION_LIMIT_MS = 10_000


class Cluster(ABC):
    """Nodes, a network between them, and everything that can be done to both.

    Parameters
    ----------
    nodes:
        The servers. Their ids are names such as `n1`.
    network:
        The conditions of every link while no fault says otherwise.
    client:
        Makes the client node for `invoke` and `put` when a client of that name does not exist yet.
    seed:
        Seeds everything that is drawn.
    speed:
        Ms of cluster time for each ms of real time, live and in a simulation that plays:
        1.0 is real time, 0.05 slow enough to watch a message fly.
    """

    engine: ClassVar[str]

    def __init__(
        self,
        nodes: Iterable[Node],
        *,
        network: Network | None = None,
        client: ClientFactory | None = None,
        seed: int = 0,
        speed: float = 1.0,
    ) -> None:
        nodes = list(nodes)
        _check_nodes(nodes)
        if speed <= 0:
            raise ScenarioError(
                f"at speed {speed} nothing would ever happen: "
                "give a speed above 0, such as 0.1 to watch."
            )
        self.speed = speed
        self.seed = seed
        self.network = network or Network()
        self.servers: tuple[NodeId, ...] = tuple(node.id for node in nodes)
        self.clients: tuple[NodeId, ...] = ()
        self._client_factory = client
        self._at_stop: list[Callable[[], None]] = []
        self._shown: dict[NodeId, Mapping[str, Any]] = {}  # engines keep the newest status() here
        self.trace = Trace(
            engine=self.engine,
            seed=seed,
            servers=list(self.servers),
            clients=[],
            classes={node.id: type(node).__name__ for node in nodes},
        )
        self.trace.nodes = tuple(node.copy() for node in nodes)

    # --- what an engine supplies ---

    @abstractmethod
    def _apply(self, fault: Fault) -> bool:
        """Carry out a fault that `check_fault` has passed; returns whether it changed anything."""

    @abstractmethod
    def _add_client(self, node: Node) -> None:
        """Start a client node."""

    @abstractmethod
    def _invoke(self, node: NodeId, operation: Message, limit_ms: float) -> Returned | None:
        """Hand `Invoke(operation)` to a node; what it returns to WORLD, or None at the limit."""

    @abstractmethod
    def state(self, node: NodeId) -> dict[str, Any]:
        """The declared fields of a node; of a dead one, what its disk holds."""

    @abstractmethod
    def health(self, node: NodeId) -> Health:
        """`up`, `paused` or `dead`."""

    @property
    @abstractmethod
    def now_ms(self) -> float:
        """Cluster time."""

    @abstractmethod
    def _run_to(self, until_ms: float) -> None:
        """Let time pass up to `until_ms` of cluster time."""

    @abstractmethod
    def run_until(
        self, condition: Callable[[], bool], limit_ms: float = 60_000, what: str = "the condition"
    ) -> None:
        """Let time pass until `condition()` holds.

        Raises LimitReached after `limit_ms` of cluster time.
        """

    @abstractmethod
    def stop(self) -> None:
        """End everything that this cluster started; harmless when called again."""

    def at_stop(self, call: Callable[[], None]) -> None:
        """Call this once the cluster has stopped: its trace is whole then."""
        self._at_stop.append(call)

    def _tell_stopped(self) -> None:
        """Engines say so at the end of `stop`."""
        while self._at_stop:
            self._at_stop.pop(0)()

    # --- time ---

    def run(self, ms: float | None = None, *, until_ms: float | None = None) -> None:
        """Let `ms` of cluster time pass, or let it pass until it is `until_ms`."""
        if (ms is None) == (until_ms is None):
            raise ScenarioError("run takes a time: write run(500) or run(until_ms=2000).")
        if ms is not None and ms < 0:
            raise ScenarioError(f"time does not run backwards: run({ms}) needs at least 0 ms.")
        self._run_to(self.now_ms + ms if ms is not None else cast(float, until_ms))

    # --- faults ---

    def apply(self, fault: Fault) -> bool:
        """Make `fault` happen now.

        Returns whether it changed anything: killing the dead does not.
        Raises UnknownNode or BadFault if it cannot be.
        """
        check_fault(fault, self.servers, self.clients)
        return self._apply(fault)

    def kill(self, node: NodeId, effects: int | None = None) -> bool:
        """The node's process dies; its disk stays.

        With `effects=k`: within its next step, after performing the first k effects of it.
        """
        return self.apply(Kill(node, effects))

    def restart(self, node: NodeId, disk: Literal["keep", "lose"] = "keep") -> bool:
        """A dead node comes back, with its disk or with an empty one."""
        return self.apply(Restart(node, disk))

    def disk_lies(self, node: NodeId, lies: bool = True) -> bool:
        """Let the node's disk confirm writes that a death loses, or write them out after all."""
        return self.apply(DiskLies(node, lies))

    def pause(self, node: NodeId) -> bool:
        """The node's process stops without dying; its mail waits."""
        return self.apply(Pause(node))

    def resume(self, node: NodeId) -> bool:
        """A paused node goes on."""
        return self.apply(Resume(node))

    def partition(self, *groups: Iterable[NodeId]) -> bool:
        """Messages pass only within a group: `partition(["n1", "n2"], ["n3", "n4", "n5"])`."""
        kept = tuple(g if isinstance(g, str) else tuple(g) for g in groups)
        return self.apply(Partition(kept))  # type: ignore[arg-type]  # a text is refused there

    def isolate(self, node: NodeId) -> bool:
        """Pull the node's network cable."""
        return self.apply(Isolate(node))

    def heal(self) -> bool:
        """Make the network whole: no partition, no isolation, no bad link, no message held."""
        return self.apply(Heal())

    def link(
        self,
        src: NodeId,
        dst: NodeId,
        *,
        block: bool = False,
        loss: float | None = None,
        delay_ms: Range | None = None,
        duplicate: float | None = None,
        reorder: float | None = None,
    ) -> bool:
        """Set the conditions of the link from `src` to `dst`, in that direction only."""
        return self.apply(Link(src, dst, block, loss, delay_ms, duplicate, reorder))

    def skew(self, node: NodeId, offset_ms: int = 0, rate: float = 1.0) -> bool:
        """Let the node's clock show `offset_ms` more and run `rate` times as fast."""
        return self.apply(Skew(node, offset_ms, rate))

    def hold_message(self, seq: int) -> bool:
        """Let a message on its way wait; `seq` is that of the trace event that sent it."""
        return self.apply(HoldMessage(seq))

    def release_message(self, seq: int) -> bool:
        """Let a message that was held go on."""
        return self.apply(ReleaseMessage(seq))

    def drop_message(self, seq: int) -> bool:
        """Lose a message on its way."""
        return self.apply(DropMessage(seq))

    def duplicate_message(self, seq: int) -> bool:
        """Let a message on its way arrive twice."""
        return self.apply(DuplicateMessage(seq))

    # --- clients ---

    def add_client(self, node: Node) -> None:
        """Start a client, which may have a workload of its own."""
        _check_nodes([node])
        if node.id in self.servers + self.clients:
            raise ScenarioError(f"there is a node {node.id} already: give the client another name.")
        self.clients += (node.id,)
        self.trace.meta["clients"] = list(self.clients)
        self.trace.meta["classes"][node.id] = type(node).__name__
        self.trace.nodes += (node.copy(),)
        self._add_client(node)

    def invoke(
        self, client: NodeId, operation: Message, limit_ms: float = OPERATION_LIMIT_MS
    ) -> Any:
        """Let `client` carry out `operation` and return its result.

        A client of that name is made if there is none.
        Raises OperationFailed if it certainly had no effect, OperationUnknown if nobody knows.
        """
        if client not in self.servers + self.clients:
            if self._client_factory is None:
                check_name(client, self.servers + self.clients, "client")
            else:
                self.add_client(self._client_factory(client, self.servers))
        answer = self._invoke(client, operation, limit_ms)
        if answer is None or answer.outcome == "info":
            raise OperationUnknown(
                f"{operation!r} was not answered within {limit_ms:.0f} ms: it may or may not have "
                "happened, and may still happen; see that a majority of the servers is up and "
                "connected, then read."
            )
        if answer.outcome == "fail":
            raise OperationFailed(
                f"{operation!r} was refused ({answer.value!r}): it had no effect; try it again."
            )
        return answer.value

    def put(self, key: str, value: Any, client: NodeId = DEFAULT_CLIENT) -> None:
        """Write `value` under `key` and wait until the cluster has acknowledged it."""
        self.invoke(client, Put(key, value))

    def get(self, key: str, client: NodeId = DEFAULT_CLIENT) -> Any:
        """The value under `key`."""
        return self.invoke(client, Get(key))

    def compare_and_set(
        self, key: str, expected: Any, new: Any, client: NodeId = DEFAULT_CLIENT
    ) -> bool:
        """Write `new` under `key` if it holds `expected`; returns whether it did."""
        return bool(self.invoke(client, CompareAndSet(key, expected, new)))

    # --- what one sees ---

    @property
    def history(self) -> History:
        """What the clients asked and were told so far."""
        return History.of(self.trace)

    def status(self, node: NodeId) -> Mapping[str, Any]:
        """What the node last showed of itself: role, epoch, label; empty if it never did."""
        check_name(node, self.servers + self.clients)
        return self._shown.get(node, {})

    def leader(self) -> NodeId | None:
        """Of the nodes that are up and show the role `leader`, the one with the highest epoch."""
        shown = {node: self.status(node) for node in self.servers if self.health(node) == "up"}
        leaders = [node for node, status in shown.items() if status.get("role") == "leader"]
        return max(leaders, key=lambda node: shown[node].get("epoch", 0), default=None)

    def run_until_leader(self, limit_ms: float = 60_000) -> NodeId:
        """Let time pass until there is a leader; returns its name."""
        self.run_until(lambda: self.leader() is not None, limit_ms, "a leader")
        leader = self.leader()
        return leader if leader is not None else self.run_until_leader(limit_ms)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        up = sum(self.health(node) == "up" for node in self.servers)
        return (
            f"<{self.engine} cluster: {up} of {len(self.servers)} nodes up, {self.now_ms:.0f} ms>"
        )


def _check_nodes(nodes: list[Node]) -> None:
    for node in nodes:
        if not isinstance(node, Node):
            raise ScenarioError(
                f"a cluster is made of nodes, not of {node!r}: give it objects of a Node class, "
                "such as [Raft(name, members=names) for name in names]."
            )
        if type(node.id) is not str or not node.id:
            raise ScenarioError(f"{node!r} has the id {node.id!r}: an id is a text such as 'n1'.")
    names = [node.id for node in nodes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ScenarioError(f"two nodes are called {twice[0]}: give every node its own id.")
    if not nodes:
        raise ScenarioError("a cluster needs at least one node: give it a list of Node objects.")
