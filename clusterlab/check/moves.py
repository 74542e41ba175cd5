"""One step of a run as the checker sees it: a value that can be read, replayed and told."""

from __future__ import annotations

from typing import Literal, NamedTuple

from clusterlab.core.node import Message, NodeId

MoveKind = Literal[
    "start", "deliver", "invoke", "fire", "kill", "restart", "drop", "tick", "partition", "heal"
]


class Move(NamedTuple):
    """What happens next in a run.

    `deliver` and `drop` have `src` and `msg`; `invoke` has the operation as `msg`, and `fire` the
    timer.
    """

    kind: MoveKind
    node: NodeId
    src: NodeId | None = None
    msg: Message | None = None
    choices: tuple[int, ...] = ()
    """Which option each `choose` of the handler took."""
    effects: int | None = None
    """The node dies within this step, after so many of its effects."""
    disk: str | None = None
    """Of a restart: `keep` or `lose`."""
    copy: bool = False
    """The network delivers a copy, and may deliver the message again."""
    groups: tuple[tuple[NodeId, ...], ...] = ()
    """Of a partition: who still hears whom."""

    def __str__(self) -> str:
        """`n1 -> n2 RequestVote(term=1)`."""
        words = {
            "start": f"{self.node} starts",
            "deliver": f"{self.src} -> {self.node} {self.msg!r}",
            "invoke": f"world -> {self.node} {self.msg!r}",
            "fire": f"{self.node} fires {self.msg!r}",
            "kill": f"{self.node} dies",
            "restart": f"{self.node} restarts with "
            + ("its disk" if self.disk == "keep" else "an empty disk"),
            "drop": f"{self.src} -> {self.node} {self.msg!r} is lost",
            "tick": "the clocks tick",
            "partition": f"a partition: {' | '.join(', '.join(group) for group in self.groups)}",
            "heal": "the network heals",
        }[self.kind]
        if self.copy:
            words += " (a copy)"
        if self.choices:
            words += f" (choosing option {', '.join(str(i + 1) for i in self.choices)})"
        if self.effects is not None:
            words += f", and {self.node} dies after {self.effects} of its effects"
        return words
