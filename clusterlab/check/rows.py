"""What the tables of a search are made of: cells, rows of differences, and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import getitem
from typing import NamedTuple, TypeAlias, TypeVar

from clusterlab.check.inboxes import Inbox
from clusterlab.check.moves import Move

Fields: TypeAlias = Sequence[int]
"""The cells of all nodes, the ghost, the budget."""

K = TypeVar("K")
V = TypeVar("V")


class LazyTable(dict[K, V]):
    """A table whose entries are worked out when they are first looked up."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[K], V]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: K) -> V:
        value = self[key] = self._make(key)
        return value


Differences: TypeAlias = LazyTable[int, int]
"""A field -> the difference that something makes to the state."""

Add: TypeAlias = tuple[int, Differences]
"""(position, table): the difference that depends on the field at that position."""


class Cell(NamedTuple):
    """A node, its mail, and the operations that WORLD may still hand to it."""

    local: int
    inbox: Inbox
    wishes: tuple[int, ...]


class Possible(NamedTuple):
    """Something that may happen: what it is called, and the differences that it makes."""

    move: Move
    delta: int
    adds: tuple[Add, ...]


One: TypeAlias = tuple[int, int, Differences]
More: TypeAlias = tuple[int, tuple[Add, ...]]
Row: TypeAlias = tuple[list[int], list[One], list[More], int]
"""What may happen in a cell under a budget, by the number of adds (none, one, more), and how much
that is, counting what changes nothing."""


def weights_for(capacities: Sequence[int]) -> list[int]:
    """Weights for fields with these capacities, the last field the lightest.

    They are odd-looking numbers on purpose: Python hashes an integer modulo 2**61 - 1, so with
    powers of two fields that lie 61 bits apart would cancel out, and the table of states would be
    slow, not wrong.
    """
    weights: list[int] = []
    reach = 0  # what all lighter fields can add up to
    golden = 0x9E3779B97F4A7C15
    for number, capacity in enumerate(reversed(capacities), 1):
        irregular = reach * (golden * number % (1 << 64)) >> 64
        weight = (reach + irregular + 1) | 1 if reach else 1
        weights.append(weight)
        reach += (capacity - 1) * weight
    return weights[::-1]


def fields_of(state: int, heavy: Sequence[int], light: Sequence[int]) -> list[int]:
    """The fields of a state: see `Tables.split_weights`."""
    fields = []
    for weight in heavy:
        field, state = divmod(state, weight)
        fields.append(field)
    return [*fields, state, *light]


class Canon:
    """Finds the representative of an orbit, from tables alone.

    Not all ways to rename are tried. Each cell has a *sign* that renaming does not change; only the
    ways that sort the signs within each group count, and they are few, mostly one.
    """

    def __init__(
        self,
        split: tuple[list[int], list[int]],
        signs: Sequence[tuple[int, Mapping[int, int]]],
        sorting: Mapping[tuple[int, ...], Sequence[Sequence[Mapping[int, int]]]],
    ) -> None:
        self._heavy, self._light = split
        self.signs = signs
        """(field, its signs): for every node that can change places."""
        self.sorting = sorting
        """signs -> for each way that sorts them, what each field adds to the renamed state."""

    def canonical(self, state: int) -> int:
        """The smallest of the states into which the sorting ways rename this one."""
        fields = fields_of(state, self._heavy, self._light)
        ways = self.sorting[tuple([table[fields[i]] for i, table in self.signs])]
        if len(ways) == 1:
            return sum(map(getitem, ways[0], fields))
        return min([sum(map(getitem, parts, fields)) for parts in ways])
