"""The slots of a replica: what is chosen is executed in order, without gaps, once.

Sources: Lamport 2001, "Paxos Made Simple", section 3, for the order of execution; van Renesse and
Altinbuken 2015, "Paxos Made Moderately Complex", for replicas and repeated commands; Chandra,
Griesemer and Redstone 2007, "Paxos Made Live", for snapshots and replicas that lag.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusterlab.core.node import Node, NodeId, durable, volatile
from clusterlab.core.packing import pack, unpack
from clusterlab.core.spec import KeyValue, Spec
from clusterlab.protocols.client import Reply
from clusterlab.protocols.multi_paxos.messages import (
    CHOSEN,
    CatchUp,
    Command,
    Learn,
    Snapshot,
    TakeSnapshot,
)
from clusterlab.protocols.paxos import Ballot, Proposal


class Replica(Node):
    """Keeps slots, executes what was chosen for them, and brings others up to date."""

    spec: Spec = KeyValue()
    snapshot_every: int | None = 1000
    commands_max: int = 256

    snapshot: Snapshot = durable(Snapshot(0, None, None))
    # What was accepted in the slots behind the snapshot; None: nothing. A tuple, so that a disk
    # writes only what is new.
    log: tuple[Proposal | None, ...] = durable(())

    executed: int = volatile(0)  # all slots through this one
    learned: dict[int, Command | None] = volatile({})  # chosen, and waiting for an earlier slot
    machine: Any = volatile(None)  # the state of the replicated application
    sessions: dict[NodeId, tuple[int, Any]] = volatile({})  # client -> newest serial and its result
    waiting: dict[NodeId, int] = volatile({})  # client that waits -> its newest serial

    # --- slots -------------------------------------------------------------------------------

    @property
    def last_slot(self) -> int:
        """The last slot of which anything is known."""
        return self.snapshot.slot + len(self.log)

    def at(self, slot: int) -> Proposal | None:
        """What was accepted in a slot; only the slots behind the snapshot are kept."""
        index = slot - self.snapshot.slot - 1
        return self.log[index] if 0 <= index < len(self.log) else None

    def slots_from(self, first: int) -> tuple[Proposal | None, ...]:
        """What was accepted in the slots from `first`, which is behind the snapshot, on."""
        return self.log[first - self.snapshot.slot - 1 :]

    def record(self, ballot: Ballot, first: int, commands: Iterable[Command | None]) -> None:
        """Write down what is accepted for the slots from `first` on."""
        new = tuple([Proposal(ballot, command) for command in commands])
        new = new[max(0, self.snapshot.slot + 1 - first) :]  # the others were chosen long ago
        start = max(0, first - self.snapshot.slot - 1)
        gap = (None,) * (start - len(self.log))
        old = self.log[start : start + len(new)]
        kept = (
            was if was is not None and was.ballot > ballot else now
            for was, now in zip(old, new, strict=False)
        )
        if old:
            self.log = (*self.log[:start], *kept, *new[len(old) :], *self.log[start + len(new) :])
        else:
            self.log += gap + new

    # --- execution ---------------------------------------------------------------------------

    def restore(self) -> None:
        """Begin where the snapshot ends."""
        slot, machine, sessions = self.snapshot
        self.machine = unpack(machine) if slot else self.spec.initial()
        self.sessions = unpack(sessions) if slot else {}
        self.executed = slot
        self.learned = {known: what for known, what in self.learned.items() if known > slot}

    def learn(self, first: int, commands: Iterable[Command | None]) -> None:
        """These are chosen for the slots from `first` on; execute what has no gap before it."""
        for slot, command in enumerate(commands, first):
            if slot > self.executed:
                self.learned[slot] = command
        before = self.executed
        # Lamport §3: "it can't execute commands 138-140, which it also knows, because commands 136
        # and 137 have yet to be chosen"
        while self.next_slot() in self.learned:
            self.executed = slot = self.next_slot()
            command = self.learned.pop(slot)
            if command is not None:
                self.execute(command)
            if self.snapshot_every and slot % self.snapshot_every == 0:
                self.take_snapshot()
        if self.executed > before:
            self.note("executed", self.executed)

    def next_slot(self) -> int:
        """The slot whose turn it is."""
        return self.executed + 1

    def execute(self, command: Command) -> None:
        """Carry out a chosen command, once; the leader answers whoever waits for it."""
        # A client that asks two leaders may have its command chosen for two slots (van Renesse and
        # Altinbuken, section 2). The newest number of each client, with its result, tells.
        client, number, operation = command
        if number > self.sessions.get(client, (0, None))[0]:
            self.machine, result = self.spec.apply(self.machine, operation)
            self.sessions[client] = (number, result)
        serial, result = self.sessions[client]
        if self.waiting.get(client) == number == serial:
            del self.waiting[client]
            self.send(client, Reply(serial, result))

    def take_snapshot(self) -> None:
        """Replace the slots that were executed by what came of them."""
        # It is taken after the same slots everywhere, so that any two can be compared.
        last = self.executed
        self.log = self.slots_from(last + 1)
        self.snapshot = Snapshot(last, pack(self.machine), pack(self.sessions))

    # --- replicas that lag ---------------------------------------------------------------------

    def learn_through(self, ballot: Ballot, chosen: int) -> None:
        """Whoever leads under `ballot` says that all slots through `chosen` are chosen."""
        commands: list[Command | None] = []
        # What this replica accepted under another ballot may not be what was chosen.
        for slot in range(self.executed + 1, chosen + 1):
            accepted = self.at(slot)
            if accepted is None or accepted.ballot not in (ballot, CHOSEN):
                break
            commands.append(accepted.value)
        if commands:
            self.learn(self.executed + 1, commands)

    def on_catch_up(self, src: NodeId, m: CatchUp) -> None:
        """Tell what was chosen; whoever has executed it knows."""
        first = m.first
        if first <= self.snapshot.slot:
            self.send(src, TakeSnapshot(self.snapshot))
            first = self.snapshot.slot + 1
        last = min(self.executed, first + self.commands_max - 1)
        chosen = [self.at(slot) for slot in range(first, last + 1)]
        commands = tuple([one.value for one in chosen if one is not None])
        assert len(commands) == len(chosen), "what was executed stays until it is in a snapshot"
        if commands:
            self.send(src, Learn(first, commands, self.executed))

    def on_learn(self, src: NodeId, m: Learn) -> None:
        """Take over what was chosen; ask for more if there is."""
        before = self.executed
        self.record(CHOSEN, m.first, m.commands)
        self.learn(m.first, m.commands)
        if before < self.executed < m.executed:
            self.send(src, CatchUp(self.executed + 1))

    def on_take_snapshot(self, src: NodeId, m: TakeSnapshot) -> None:
        """Take the result of many slots; one that came late says nothing new."""
        if m.snapshot.slot > self.executed:
            self.log = self.slots_from(m.snapshot.slot + 1)
            self.snapshot = m.snapshot
            self.restore()
            self.note("snapshot installed", m.snapshot.slot)
            self.learn(self.executed + 1, ())  # later ones may have waited for it
