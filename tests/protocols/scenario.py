"""Golden scenarios: a cluster taken by hand, command by command, and the trace that comes of it.

A file in `tests/scenarios/` is a list of blocks: command lines, `----`, the expected lines, and an
empty line. Lines that begin with `#` are remarks. The commands:

    raft 5 [entries_max=1 ...]    servers n1 ... n5 of the class under test
    paxos 2 3 1                   proposers p1 p2, acceptors a1 a2 a3, learner l1
    client c1 n1 n2               a client that may ask n1 and n2, and begins with n1
    invoke c1 put x 1             also: get x, cas x 1 2, propose v (to a proposer)
    deliver n1 n2 [Message]       the oldest message from n1 to n2 (of that class) arrives
    drop n1 n2 [Message]          ... is lost
    lose n1 [n2 ...]              all that n1 has in flight (to n2 ...) is lost
    fire n1 HeartbeatDue          a pending timer fires
    settle [n1 n2 ...]            messages (among these nodes) arrive until none is left
    elect n1 n2 n3                n1's election timeout fires; only n2 and n3 are asked, and answer
    kill n1, restart n1 [lose], pause n1, resume n1, isolate n1, heal
    partition n1 n2 | n3 n4 n5
    log [n1 ...]                  the logs: term:operation, and `|` after what is committed
    state n1 field ...            fields of a node
    history                       what the clients asked and were told

Each line of the outcome is one event, in these forms; saves and timers that are set are left out:

    n1 -> n2 RequestVote(term=1, ...)      sent
    n2 <- n1 RequestVote                   arrived
    n1 -x n2 RequestVote (lost)            lost, and why
    n1 ! ElectionTimeout                   a timer fired
    n1 * leader 1                          a note
    n1 = follower: term 1 · 0 committed    its status, when it changed
    c1 ? Put('x', 1)                       an operation begins
    c1 . ok None                           it has ended
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from clusterlab.core.errors import NodeError
from clusterlab.core.node import WORLD, Message, Node
from clusterlab.core.spec import CompareAndSet, Get, Put
from clusterlab.core.trace import TraceEvent
from clusterlab.protocols.client import Client
from clusterlab.protocols.paxos import Propose, roles
from clusterlab.protocols.raft import Command, Entry, Raft, RequestVote
from clusterlab.sim import Simulation

T = TypeVar("T")

FOLDER = Path(__file__).parent.parent / "scenarios"


class ScenarioClient(Client):
    """Begins with the first server: a story is not to depend on what was drawn before."""

    def choose(self, options: Sequence[T]) -> T:
        return options[0]


class Scenario:
    """Carries out the commands of one file, or of a test."""

    def __init__(self, raft: type[Raft] = Raft) -> None:
        self.raft = raft
        self._sim: Simulation | None = None
        self._seen = 0

    @property
    def sim(self) -> Simulation:
        assert self._sim is not None, "a scenario begins with `raft 3` or `paxos 2 3 1`"
        return self._sim

    def rewritten(self, text: str) -> str:
        """The file with the outcome that its commands have now."""
        out: list[str] = []
        for block in text.strip("\n").split("\n\n"):
            lines = block.split("\n")
            commands = lines[: lines.index("----")] if "----" in lines else lines
            out += commands
            if any(line and not line.startswith("#") for line in commands):
                out.append("----")
                out += self.run(*commands)
            out.append("")
        return "\n".join(out)

    def run(self, *commands: str) -> list[str]:
        """The lines that these commands bring forth."""
        lines: list[str] = []
        for command in commands:
            if not command or command.startswith("#"):
                continue
            verb, *arguments = command.split()
            try:
                told = getattr(self, f"do_{verb}")(*arguments)
            except NodeError as error:
                told = [f"ERROR {error}"]
            lines += [*self._new_events(), *(told or ())]
        return lines

    def _new_events(self) -> Iterator[str]:
        events = self._sim.trace.events[self._seen :] if self._sim else []
        self._seen += len(events)
        return (line for event in events if (line := describe(event)) is not None)

    # --- the commands ---

    def do_raft(self, size: str, *options: str) -> None:
        given = {name: int(value) for name, value in (text.split("=") for text in options)}
        self._begin(self.raft.group(int(size), **given))

    def do_paxos(self, proposers: str, acceptors: str, learners: str = "0") -> None:
        self._begin(roles(int(proposers), int(acceptors), int(learners)))

    def _begin(self, nodes: Any) -> None:
        self._sim = Simulation(list[Node](nodes))
        self._seen = len(self._sim.trace.events)  # all start alike, which says nothing

    def do_client(self, name: str, *servers: str) -> None:
        self.sim.add_client(ScenarioClient(name, servers=servers))

    def do_invoke(self, node: str, kind: str, *arguments: str) -> None:
        operations = {"put": Put, "get": Get, "cas": CompareAndSet, "propose": Propose}
        self.sim.submit(node, operations[kind](*arguments))
        self.sim.deliver(WORLD, node)

    def do_deliver(self, src: str, dst: str, message: str | None = None) -> None:
        self.sim.deliver(src, dst, message)

    def do_drop(self, src: str, dst: str, message: str | None = None) -> None:
        self.sim.drop(src, dst, message)

    def do_lose(self, src: str, *dsts: str) -> None:
        for flight in self.sim.pending()[0]:
            if flight.src == src and (not dsts or flight.dst in dsts):
                self.sim.drop(src, flight.dst)

    def do_fire(self, node: str, timer: str | None = None) -> None:
        self.sim.fire(node, timer)

    def do_settle(self, *nodes: str) -> None:
        while links := [
            (flight.src, flight.dst)
            for flight in self.sim.pending()[0]
            if not nodes or {flight.src, flight.dst} <= set(nodes)
        ]:
            for src, dst in sorted(links):
                self.sim.deliver(src, dst)

    def do_elect(self, node: str, *voters: str) -> None:
        self.sim.fire(node, "ElectionTimeout")
        for src, dst, msg, _ in sorted(self.sim.pending()[0], key=lambda flight: flight.dst):
            if src == node and type(msg) is RequestVote:
                take = self.sim.deliver if dst in voters else self.sim.drop
                take(node, dst, "RequestVote")
        for voter in voters:
            self.sim.deliver(voter, node, "VoteReply")

    def do_kill(self, node: str) -> None:
        self.sim.kill(node)

    def do_restart(self, node: str, disk: str = "keep") -> None:
        self.sim.restart(node, disk)  # type: ignore[arg-type]

    def do_pause(self, node: str) -> None:
        self.sim.pause(node)

    def do_resume(self, node: str) -> None:
        self.sim.resume(node)

    def do_isolate(self, node: str) -> None:
        self.sim.isolate(node)

    def do_partition(self, *names: str) -> None:
        self.sim.partition(*(group.split() for group in " ".join(names).split("|")))

    def do_heal(self) -> None:
        self.sim.heal()

    def do_log(self, *nodes: str) -> list[str]:
        lines = []
        for node in nodes or self.sim.servers:
            state = self.sim.state(node)
            shown = [show(entry) for entry in state["log"]]
            committed = state.get("commit_index", 0)
            row = " ".join([*shown[:committed], "|", *shown[committed:]])
            lines.append(f"{node}: {row}".rstrip())
        return lines

    def do_state(self, node: str, *fields: str) -> list[str]:
        state = self.sim.state(node)
        return [f"{node}: " + ", ".join(f"{field}={show(state[field])}" for field in fields)]

    def do_history(self) -> list[str]:
        return [
            f"{op.client} {show(op.call)} -> {op.outcome} {show(op.value)}"
            for op in self.sim.history
        ]


def describe(event: TraceEvent) -> str | None:
    """The event as one line, or None for what a reader can do without."""
    node, data = event.node, event.data
    match event.kind:
        case "send" | "duplicate":
            return f"{node} -> {data['dst']} {show(data['msg'])}"
        case "deliver" if data["src"] == WORLD:
            return None  # the `invoke` that follows says it
        case "deliver":
            return f"{node} <- {data['src']} {type(data['msg']).__name__}"
        case "drop":
            return f"{data['src']} -x {node} {type(data['msg']).__name__} ({data['why']})"
        case "fire":
            return f"{node} ! {type(data['timer']).__name__}"
        case "note":
            return f"{node} * {data['name']} {show(data['data'])}"
        case "state":
            return f"{node} = {data['role']}: {data['label']}"
        case "invoke":
            return f"{node} ? {show(data['operation'])}"
        case "return":
            return f"{node} . {data['outcome']} {show(data['value'])}"
        case "save" | "set_timer" | "cancel_timer" | "start":
            return None
    inside = " ".join(show(value) for value in data.values() if value is not None)
    return f"{node or 'network'} # {event.kind} {inside}".rstrip()


def show(value: Any) -> str:
    """A value in short: log entries as `term:operation`, operations without the names of fields."""
    if isinstance(value, Entry):
        return f"{value.term}:{'no-op' if value.command is None else show(value.command)}"
    if isinstance(value, Command):
        return show(value.operation)
    if isinstance(value, (Put, Get, CompareAndSet, Propose)):
        inside = ", ".join(show(field) for field in vars(value).values())
        return f"{type(value).__name__.lower()}({inside})"
    if isinstance(value, Message):
        inside = ", ".join(f"{name}={show(field)}" for name, field in vars(value).items())
        return f"{type(value).__name__}({inside})"
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return "[" + " ".join(show(item) for item in value) + "]"
    if isinstance(value, tuple) and type(value).__name__ == "Proposal":
        return f"{value[0]}:{value[1]}"
    return str(value)
