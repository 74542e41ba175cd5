"""A Multi-Paxos replica: slots, acceptor, leader, and the clients that it serves."""

from __future__ import annotations

from typing import Any, Self

from clusterlab.core.node import NodeId
from clusterlab.protocols.client import NotLeader, Refused, Reply, Request
from clusterlab.protocols.multi_paxos.leader import Leadership
from clusterlab.protocols.multi_paxos.messages import CHOSEN, LEADER, Command, ProposeDue
from clusterlab.protocols.paxos import Proposal


class MultiPaxos(Leadership):
    """A replica in all roles.

    Parameters
    ----------
    members:
        The ids of all replicas of the cluster, this one included.
    quorums:
        Which of them suffice in phase 1 and in phase 2; None: any majority in both.
    election_timeout_ms:
        The range from which each wait for a leader is drawn; well above `heartbeat_ms`.
    heartbeat_ms:
        How often a leader is heard, and repeats what was not answered.
    spec:
        The replicated application: an object with `initial()` and a pure `apply(state, operation)`.
    snapshot_every:
        After so many slots their result replaces them; None keeps them all.
    commands_max:
        The most commands that one message carries.
    alpha:
        So many rounds may be open at a time; the more, the wider the holes that a death leaves.
    gather_ms:
        How long a request waits for others to share its round; 0 for those that arrive together.
        None starts a round with the first of them: fewer steps to follow.
    lease_ms:
        How long acceptors that have heard a leader promise nobody else a ballot, so that it may
        answer reads from its own state; not above the shortest election timeout. None: reads go
        through the slots, as writes do, and nobody looks at a clock.
    clock_ratio:
        How many times as fast as the slowest clock the fastest may run. A lease is as good as this
        bound, and as the clocks that must not jump.

    >>> [server.id for server in MultiPaxos.group(3)]
    ['n1', 'n2', 'n3']
    """

    @classmethod
    def group(cls, size: int = 5, **options: Any) -> list[Self]:
        """The replicas n1, n2, ... of one cluster, all configured alike."""
        members = tuple(f"n{i}" for i in range(1, size + 1))
        return [cls(name, members=members, **options) for name in members]

    def on_request(self, src: NodeId, m: Request) -> None:
        """A client's operation: it gets a slot, unless it only reads and the lease lasts."""
        if self.role != LEADER:
            self.send(src, NotLeader(m.serial, self.leader_id))
            return
        serial, result = self.sessions.get(src, (0, None))
        if m.serial == serial:
            self.send(src, Reply(serial, result))
        elif m.serial > max(serial, self.waiting.get(src, 0)):
            reason = self.refusal(m)
            if reason is not None:
                self.send(src, Refused(m.serial, reason))
            elif self.spec.is_read(m.operation) and self.may_read():
                self.send(src, Reply(m.serial, self.spec.apply(self.machine, m.operation)[1]))
            else:
                self.receive(Command(src, m.serial, m.operation))

    def refusal(self, m: Request) -> str | None:
        """Why the application cannot do that; once in a slot it would stop every replica."""
        try:
            self.spec.apply(self.spec.initial(), m.operation)
        except TypeError as error:
            return str(error)
        return None

    def may_read(self) -> bool:
        """Whether this replica's state holds every write that was ever acknowledged."""
        # Whatever an earlier leader acknowledged was reported in phase 1.
        return self.holds_lease() and self.executed >= self.recovered

    def receive(self, command: Command) -> None:
        """It goes into the next round."""
        self.waiting[command.client] = command.serial
        self.received += (command,)
        if self.gather_ms is None:
            self.propose_received()
        elif len(self.received) == 1:
            self.set_timer(ProposeDue(), self.gather_ms)

    def status(self) -> dict[str, Any]:
        """Role, round, and how much is executed."""
        label = f"ballot {self.promised} · {self.executed} executed"
        return {"role": self.role, "epoch": self.promised.round, "label": label}

    def marks(self) -> dict[str, dict[str, int]]:
        """How far the slots are executed, and where the log begins."""
        return {"log": {"executed": self.executed, "start": self.snapshot.slot}}

    def in_words(self, name: str, before: Self) -> str:
        """What ballots and slots are made of; all else is bookkeeping."""
        if name == "promised" and self.promised != before.promised:
            verb = "asks for" if self.promised.proposer == self.id else "promises"
            return f"{verb} ballot {self.promised}"
        if name == "role" and self.role == LEADER != before.role:
            return f"leads under ballot {self.promised}"
        if name == "log":
            start = max(self.snapshot.slot, before.snapshot.slot) + 1
            slots = range(start, max(self.last_slot, before.last_slot) + 1)
            told = [(slot, self.at(slot)) for slot in slots if self.at(slot) != before.at(slot)]
            return " and ".join(_accepts(slot, now) for slot, now in told if now is not None)
        if name == "executed" and self.executed > before.executed:
            return f"has executed the slots up to {self.executed}"
        if name == "snapshot" and self.snapshot.slot > before.snapshot.slot:
            return f"has a snapshot of the slots up to {self.snapshot.slot}"
        return ""


def _accepts(slot: int, proposal: Proposal) -> str:
    """`accepts Put(...) in slot 3 under 2.n1`."""
    command = proposal.value
    what = "a no-op" if command is None else repr(command.operation)
    if proposal.ballot == CHOSEN:
        return f"learns that {what} was chosen for slot {slot}"
    return f"accepts {what} in slot {slot} under {proposal.ballot}"
