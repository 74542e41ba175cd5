"""The replicated application: what is committed is carried out, once (§5.3, §8)."""

from __future__ import annotations

from typing import Any

from clusterlab.protocols.client import Reply
from clusterlab.protocols.raft.messages import Command
from clusterlab.protocols.raft.state import State


class StateMachine(State):
    """Committed entries are applied in order; a repeated command is answered, not repeated."""

    def commit(self, index: int) -> None:
        """Entries through `index` are committed; apply them."""
        assert self.commit_index < index <= self.last_log_index
        self.commit_index = index
        self.note("commit", index)
        # Fig. 2: "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to
        # state machine (§5.3)"
        while self.last_applied < self.commit_index:
            self.last_applied += 1
            command = self.entry(self.last_applied).command
            if command is not None:
                self.apply(command)

    def apply(self, command: Command) -> None:
        """Carry out a committed command, once; the leader answers whoever waits for it."""
        if self.is_new(command):
            self.machine, result = self.spec.apply(self.machine, command.operation)
            self.sessions[command.client] = (command.serial, result)
        self.answer(command)

    def answer(self, command: Command) -> None:
        """Tell the client, if it waits for that here."""
        serial, result = self.sessions[command.client]
        if self.waiting.get(command.client) == command.serial == serial:
            del self.waiting[command.client]
            self.send(command.client, Reply(serial, result))

    def is_new(self, command: Command) -> bool:
        """Whether the command was not carried out before."""
        # §8: "the state machine tracks the latest serial number processed for each client, along
        # with the associated response"
        return command.serial > self.sessions.get(command.client, (0, None))[0]

    def applied_state(self) -> dict[str, Any]:
        """The fields that are what the applied entries made of them: all that a snapshot holds."""
        # Dissertation §5: the sessions belong to it, or a command that was carried out before the
        # snapshot would be carried out again.
        return {"machine": self.machine, "sessions": self.sessions}

    def take_state(self, applied: dict[str, Any]) -> None:
        """Be where these fields were written down."""
        for name, value in applied.items():
            setattr(self, name, value)
