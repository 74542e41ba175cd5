"""Quorums: which sets of nodes may decide for all of them.

Two quorums that must not both decide differently have to share a node.
The arithmetic is here, once, for every protocol that counts votes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from clusterlab.core.errors import BadValue
from clusterlab.core.node import NodeId


def majority(n: int) -> int:
    """The least number that is more than half of `n`.

    >>> [majority(n) for n in (1, 2, 3, 4, 5)]
    [1, 2, 2, 3, 3]
    """
    return n // 2 + 1


def is_majority(votes: Collection[NodeId], members: Collection[NodeId]) -> bool:
    """Whether more than half of `members` stand in `votes`; votes of others do not count."""
    return len(set(votes) & set(members)) >= majority(len(members))


def tolerated_failures(n: int) -> int:
    """How many of `n` nodes may be down while a majority is left.

    >>> [tolerated_failures(n) for n in (1, 2, 3, 4, 5)]
    [0, 0, 1, 1, 2]
    """
    return n - majority(n)


class Quorums(Protocol):
    """A rule that says which sets of nodes suffice."""

    def is_quorum(self, votes: Iterable[NodeId]) -> bool:
        """Whether `votes` suffice."""

    def members(self) -> tuple[NodeId, ...]:
        """Every node that has a vote."""

    def describe(self) -> str:
        """The rule in a sentence."""


@dataclass(frozen=True)
class Majority:
    """More than half of the nodes.

    >>> Majority(("a", "b", "c")).is_quorum({"a", "c"})
    True
    """

    nodes: tuple[NodeId, ...]

    def is_quorum(self, votes: Iterable[NodeId]) -> bool:
        """Whether more than half are in `votes`."""
        return is_majority(set(votes), self.nodes)

    def members(self) -> tuple[NodeId, ...]:
        """All nodes."""
        return self.nodes

    def describe(self) -> str:
        """The rule in a sentence."""
        n = len(self.nodes)
        return f"any {majority(n)} of {n} nodes; {tolerated_failures(n)} may be down"


@dataclass(frozen=True)
class Weighted:
    """Votes of unequal weight (Gifford 1979): a quorum weighs at least `needed`.

    >>> Weighted((("a", 2), ("b", 1), ("c", 1)), needed=3).is_quorum({"a", "b"})
    True
    """

    weights: tuple[tuple[NodeId, int], ...]
    needed: int

    def __post_init__(self) -> None:
        total = sum(weight for _, weight in self.weights)
        if not 0 < self.needed <= total or any(weight < 0 for _, weight in self.weights):
            raise BadValue(
                f"a quorum of weight {self.needed} out of {total}: give weights of at least 0 and "
                f"a needed weight from 1 to {total}."
            )

    def is_quorum(self, votes: Iterable[NodeId]) -> bool:
        """Whether the weights in `votes` add up to what is needed."""
        chosen = set(votes)
        return sum(weight for node, weight in self.weights if node in chosen) >= self.needed

    def members(self) -> tuple[NodeId, ...]:
        """All nodes, also those with weight 0."""
        return tuple(node for node, _ in self.weights)

    def describe(self) -> str:
        """The rule in a sentence."""
        total = sum(weight for _, weight in self.weights)
        each = ", ".join(f"{node}: {weight}" for node, weight in self.weights)
        return f"nodes of weight {self.needed} out of {total} ({each})"


@dataclass(frozen=True)
class Grid:
    """Nodes in rows: a quorum is one whole row (`row`), or one node of every row (`column`).

    A row meets every column, so with Flexible Paxos (Howard et al. 2016, section 4)
    one kind may elect and the other replicate.
    """

    rows: tuple[tuple[NodeId, ...], ...]
    kind: str = "row"

    def __post_init__(self) -> None:
        if self.kind not in ("row", "column") or not self.rows or not all(self.rows):
            raise BadValue(
                f"a grid of {self.rows} with quorums of kind {self.kind!r}: give at least one row, "
                "none of them empty, and kind='row' or 'column'."
            )

    def is_quorum(self, votes: Iterable[NodeId]) -> bool:
        """Whether `votes` hold a whole row (or a node of each row)."""
        chosen = set(votes)
        if self.kind == "row":
            return any(chosen.issuperset(row) for row in self.rows)
        return all(chosen.intersection(row) for row in self.rows)

    def members(self) -> tuple[NodeId, ...]:
        """All nodes, row by row."""
        return tuple(node for row in self.rows for node in row)

    def describe(self) -> str:
        """The rule in a sentence."""
        shape = " / ".join(" ".join(row) for row in self.rows)
        return ("one whole row" if self.kind == "row" else "one node of each row") + f" of {shape}"


def disjoint(first: Quorums, second: Quorums) -> tuple[set[NodeId], set[NodeId]] | None:
    """A quorum of each that share no node, or None if all of them meet.

    Tries 2**n sets: n up to about 20.

    >>> disjoint(Majority(("a", "b", "c")), Majority(("a", "b", "c"))) is None
    True
    """
    members = sorted({*first.members(), *second.members()})
    if len(members) > 20:
        raise BadValue(f"{len(members)} nodes have too many quorums to compare: give at most 20.")
    for size in range(len(members) + 1):
        for votes in combinations(members, size):
            rest = set(members) - set(votes)
            if first.is_quorum(votes) and second.is_quorum(rest):
                return set(votes), rest
    return None


@dataclass(frozen=True)
class Flexible:
    """A rule for each phase of Paxos (Howard, Malkhi and Spiegelman 2016, "Flexible Paxos").

    Only quorums of different phases must meet: whoever wins phase 1 must hear of what an earlier
    phase 2 has chosen. Raises BadValue, with two quorums that share nobody, for a pair of rules
    that could lose a decision.

    >>> Flexible.of_sizes(("a", "b", "c", "d"), phase_1=3, phase_2=2).phase_2.is_quorum(["c", "d"])
    True
    """

    phase_1: Quorums
    phase_2: Quorums

    def __post_init__(self) -> None:
        apart = disjoint(self.phase_1, self.phase_2)
        if apart is not None:
            first, second = _least(self.phase_1, apart[0]), _least(self.phase_2, apart[1])
            raise BadValue(
                f"a quorum of phase 1 ({first}) and one of phase 2 ({second}) share nobody, so a "
                "new leader may never hear of what was chosen: make one of them larger."
            )

    @classmethod
    def of_sizes(cls, nodes: tuple[NodeId, ...], phase_1: int, phase_2: int) -> Flexible:
        """Any so many of the nodes; the two sizes must add up to more than there are."""
        one, two = (Weighted(tuple((n, 1) for n in nodes), size) for size in (phase_1, phase_2))
        return cls(one, two)

    @classmethod
    def of_grid(cls, rows: tuple[tuple[NodeId, ...], ...]) -> Flexible:
        """One node of each row elects, one whole row replicates."""
        return cls(Grid(rows, "column"), Grid(rows, "row"))


def _least(rule: Quorums, votes: set[NodeId]) -> str:
    """The votes without those that the quorum does not need."""
    for vote in sorted(votes):
        if rule.is_quorum(votes - {vote}):
            votes = votes - {vote}
    return " ".join(sorted(votes))


def describe(quorums: Mapping[str, Quorums]) -> str:
    """A line for each named rule.

    >>> print(describe({"write": Majority(("a", "b", "c"))}))
    write: any 2 of 3 nodes; 1 may be down
    """
    return "\n".join(f"{name}: {rule.describe()}" for name, rule in quorums.items())
