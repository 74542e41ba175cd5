"""Networks as values: what is on its way to one node, and what may arrive next.

A message is an int here. Every kind of network is a set of pure functions over inboxes,
and an inbox is hashable and canonical: equal contents are equal values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias

Renamed: TypeAlias = Callable[[int], int]

Inbox: TypeAlias = Any
"""A tuple whose shape only its discipline knows."""

EMPTY: Inbox = ()


class Discipline(Protocol):
    """What a network does to the messages of one inbox."""

    name: ClassVar[str]
    keeps: ClassVar[bool]
    """A delivered message stays and may be delivered again."""
    says: ClassVar[str]

    def put(self, inbox: Inbox, letters: tuple[int, ...], src: Hashable) -> Inbox:
        """The inbox after `letters` were sent to it, in this order, by `src`."""

    def take(self, inbox: Inbox, letter: int) -> Inbox:
        """The inbox without one copy of `letter`, which is among its `heads`."""

    def heads(self, inbox: Inbox) -> tuple[int, ...]:
        """What may arrive next, each once."""

    def letters(self, inbox: Inbox) -> tuple[int, ...]:
        """All that is in it."""

    def renamed(self, inbox: Inbox, letter: Renamed, places: Sequence[int]) -> Inbox:
        """The inbox with other letters, by `letter`, from other senders, by `places`."""


# A discipline takes the sender, needed or not.
# ruff: noqa: ARG002


class SetNetwork:
    """Whatever was sent may arrive at any time, any number of times, or never.

    Loss, duplication and reordering are free. What was sent is never forgotten (Lamport's usual
    way of specifying Paxos).
    """

    name: ClassVar[str] = "set"
    keeps: ClassVar[bool] = True
    says: ClassVar[str] = "messages may be lost, doubled and reordered without limit"

    def put(self, inbox: Inbox, letters: tuple[int, ...], src: Hashable) -> Inbox:
        """A letter that is there already changes nothing."""
        new = set(letters).difference(inbox)
        return tuple(sorted((*inbox, *new))) if new else inbox

    def take(self, inbox: Inbox, letter: int) -> Inbox:
        """It stays."""
        return inbox

    def heads(self, inbox: Inbox) -> tuple[int, ...]:
        """Everything."""
        return tuple(inbox)

    letters = heads

    def renamed(self, inbox: Inbox, letter: Renamed, places: Sequence[int]) -> Inbox:
        """In order, as `put` leaves it."""
        return tuple(sorted(map(letter, inbox)))


class MultisetNetwork:
    """Each message arrives at most once, in any order; loss and duplication cost a budget."""

    name: ClassVar[str] = "multiset"
    keeps: ClassVar[bool] = False
    says: ClassVar[str] = "messages may be reordered without limit"

    def put(self, inbox: Inbox, letters: tuple[int, ...], src: Hashable) -> Inbox:
        """Equal letters count."""
        return tuple(sorted(inbox + letters))

    def take(self, inbox: Inbox, letter: int) -> Inbox:
        """One copy less."""
        at = inbox.index(letter)
        return inbox[:at] + inbox[at + 1 :]

    def heads(self, inbox: Inbox) -> tuple[int, ...]:
        """Each distinct letter."""
        return tuple(dict.fromkeys(inbox))

    def letters(self, inbox: Inbox) -> tuple[int, ...]:
        """With repetitions."""
        return tuple(inbox)

    def renamed(self, inbox: Inbox, letter: Renamed, places: Sequence[int]) -> Inbox:
        """In order, as `put` leaves it."""
        return tuple(sorted(map(letter, inbox)))


class FifoNetwork:
    """Each link keeps the order, as TCP does; loss and duplication cost a budget."""

    name: ClassVar[str] = "fifo"
    keeps: ClassVar[bool] = False
    says: ClassVar[str] = "each link keeps the order of its messages"

    def put(self, inbox: Inbox, letters: tuple[int, ...], src: Hashable) -> Inbox:
        """At the end of the sender's queue."""
        queues = dict(inbox)
        queues[src] = queues.get(src, ()) + letters
        return tuple(sorted(queues.items()))

    def take(self, inbox: Inbox, letter: int) -> Inbox:
        """The head of its queue."""
        rest = ((src, queue[1:] if queue[0] == letter else queue) for src, queue in inbox)
        return tuple((src, queue) for src, queue in rest if queue)

    def heads(self, inbox: Inbox) -> tuple[int, ...]:
        """The first of each queue."""
        return tuple(queue[0] for _, queue in inbox)

    def letters(self, inbox: Inbox) -> tuple[int, ...]:
        """Queue by queue."""
        return tuple(letter for _, queue in inbox for letter in queue)

    def renamed(self, inbox: Inbox, letter: Renamed, places: Sequence[int]) -> Inbox:
        """Queues by their new senders."""
        return tuple(sorted((places[src], tuple(map(letter, queue))) for src, queue in inbox))


DISCIPLINES: dict[str, Discipline] = {
    one.name: one for one in (SetNetwork(), MultisetNetwork(), FifoNetwork())
}
