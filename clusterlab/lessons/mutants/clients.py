"""Raft servers that are wrong to their clients: what they tell is not linearizable.

Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
Version)", 2014, section 8, and chapter 6 of Ongaro's dissertation (2014).

The states of the servers are fine in every run; only what the clients were told is not. So the
search remembers the clients' history as part of the state, and judges it.

Those whose reads do not go through the log are in `raft_reads.py`.
"""

from __future__ import annotations

from typing import Any

from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.properties import Answer, Ghost, Property, always, sometimes
from clusterlab.check.report import Report
from clusterlab.check.world import NodeView, World
from clusterlab.core.history import History
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Add, Counter, Read, Register, Spec, Write
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz import LINEARIZABLE
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.hunts import by_search
from clusterlab.protocols.client import Client, Reply, Request
from clusterlab.protocols.raft import LEADER, AppendEntries, Command, Raft

# --- wrong servers -----------------------------------------------------------------------------


class RemembersNoSession(Raft):
    """R40. Forgets what it has done for whom, so that what a client asks again is done again."""

    def apply(self, command: Command) -> None:
        """Carry it out, answer, and forget it."""
        super().apply(command)
        del self.sessions[command.client]


class ReadsItsOwnState(Raft):
    """R42. A leader answers reads at once; others may have elected another one meanwhile."""

    def on_request(self, src: NodeId, m: Request) -> None:
        """Look into the machine; only writes go through the log."""
        if self.role == LEADER and self.spec.is_read(m.operation):
            self.send(src, Reply(m.serial, self.spec.apply(self.machine, m.operation)[1]))
        else:
            super().on_request(src, m)


# --- what clients were told --------------------------------------------------------------------


def _remember(ghost: tuple[Any, ...], node: NodeId, name: str, data: Any) -> tuple[Any, ...]:
    return (*ghost, (node, name, data)) if name in ("invoke", "return") else ghost


HISTORY = Ghost((), _remember)
"""What clients asked and were told, in order."""


def history(told: tuple[Any, ...]) -> History:
    """The operations that HISTORY remembers, a millisecond from one event to the next."""
    trace = Trace()
    for at_ms, (client, name, data) in enumerate(told):
        if name == "invoke":
            trace.append(at_ms, client, name, {"operation": data})
        else:
            trace.append(at_ms, client, name, {"outcome": data[0], "value": data[1]})
    return History.of(trace)


def linearizable(spec: Spec) -> Property:
    """What clients were told up to now could be told by one `spec` in one place."""

    def has_an_order(world: World) -> Answer:
        verdict = check_linearizability(history(world.ghost), spec)
        return verdict.valid is True or verdict.sentence

    return always(LINEARIZABLE, has_an_order, ghost=HISTORY, reads=())


ALL_ANSWERED = sometimes(
    "both operations are answered",
    lambda world: len(history(world.ghost).ok()) == 2,
    ghost=HISTORY,
    reads=(),
)


# --- worlds ------------------------------------------------------------------------------------


def one_server(server: type[Any]) -> list[Node]:
    """A server that counts, and a client."""
    return [*server.group(1, spec=Counter()), Client("c1", servers=("n1",))]


def two_clients(server: type[Any]) -> list[Node]:
    """Three servers with a register; c1 knows only n2, and c2 only n1."""
    return [
        *server.group(3, spec=Register()),
        Client("c1", servers=("n2",)),
        Client("c2", servers=("n1",)),
    ]


def firing(elections: int, retries: int = 0) -> dict[str, int]:
    """So many elections, and so often a client asks again; nobody gives up."""
    return {
        "ElectionTimeout": elections,
        "AnswerOverdue": retries,
        **dict.fromkeys(("HeartbeatDue", "TryAgain", "GiveUp"), 0),
    }


def stays_small(node: NodeView) -> bool:
    """A bound: two terms, and clients keep to the servers that they know."""
    if hasattr(node, "current_term"):
        return bool(node.current_term <= 2)
    return node.server is None or node.server in node.servers


def asks_too_early(world: World) -> bool:
    """c2 asks before c1 was answered, or c1 waits for a server that does not lead: not followed.

    A read that overlaps the write, or a write that was never answered, may return either value; and
    an answer that is on its way when its server loses the lead might as well have arrived before.
    So nothing goes wrong behind these states that does not go wrong without them.
    """
    writer, reader = world["c1"], world["c2"]
    waits = writer.operation is not None
    begun = waits or writer.reserved > 0
    if reader.reserved > 0 and (waits or not begun):
        return True
    return waits and world["n2"].role != LEADER


def events(report: Report) -> int:
    """The moves of a path as the source of R42 counts them.

    There a client's request is one event with its answer, and a leader begins without a blank
    entry: so the arrival of requests and replies does not count, nor that of an AppendEntries
    with a blank entry only, nor the answer to it.
    """
    count = 0
    for move in report.path:
        blank = (
            move.kind == "deliver"
            and isinstance(move.msg, AppendEntries)
            and move.msg.entries != ()
            and all(entry.command is None for entry in move.msg.entries)
        )
        if blank:
            count -= 1  # for the answer, which counts below
        elif not isinstance(move.msg, (Request, Reply)):
            count += 1
    return count


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "R40",
        "does again what was asked again",
        "Ongaro's dissertation, chapter 6; DSLabs, at-most-once",
        RemembersNoSession,
        Raft,
        LINEARIZABLE,
        by_search(
            one_server,
            properties=(linearizable(Counter()), ALL_ANSWERED),
            network="multiset",
            invoke=(("c1", Add()), ("c1", Read())),
            losses=1,
            timers=firing(elections=1, retries=1),
        ),
    ),
    Mutant(
        "R42",
        "a leader reads its own state",
        "SandTable, Xraft-KV#1; etcd 0.4.1; Consul",
        ReadsItsOwnState,
        Raft,
        LINEARIZABLE,
        by_search(
            two_clients,
            count=events,
            properties=(linearizable(Register()), ALL_ANSWERED),
            network="fifo",
            invoke=(("c1", Write(1)), ("c2", Read())),
            timers=firing(elections=2),
            bound=stays_small,
            prune=asks_too_early,
        ),
        depth=10,
    ),
)
