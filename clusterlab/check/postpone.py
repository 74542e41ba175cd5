"""Partial-order reduction: what nobody can notice is not tried in every order, but put off.

Two moves at different nodes commute: each changes its own cell, and what it sends only adds to
what others may do. So of the orders in which they can happen, one is enough, provided that nobody
can tell the difference. What is put off in a state:

- all moves of a *silent* node: left to itself, with the mail that it has, it would send nothing to
  others, spend no budget, note nothing for a ghost, do nothing wrong, and change nothing that a
  property reads. A learner that counts votes is one, and a proposer among late answers;
- in a multiset network, the delivery of an *ignored* letter: its receiver does not change and
  answers nothing, now and after each other move that it can make. When that is no longer so, the
  letter is tried again.

Why no verdict is lost. These are stubborn sets (Valmari, "Stubborn Sets for Reduced State Space
Generation", 1991; the ample sets of Clarke, Grumberg and Peled, "Model Checking", 1999, chapter
10, are the same idea), with Valmari's condition V in place of C2: everything that is visible is
followed. Take the shortest run from here to a state that breaks a property. If it consists of put
off moves alone, the properties read the same here as there: this state is broken itself. Otherwise
let t be the first of its moves that is not put off. No put off move before t can have enabled it,
prevented it or changed what it does; so t can come first, and the run behind it is one move
shorter. By induction the reduced search finds a broken state, and at no greater depth: its path is
a shortest one. No proviso for cycles is needed, since what is put off for ever is never visible.

What it needs: properties that say which fields they read, and which messages. One that reads
everything makes every change visible. A world whose clock may still tick, or whose network may
still be cut or healed, is not reduced there: such moves commute with little.
"""

from __future__ import annotations

from clusterlab.check.judge import Judge
from clusterlab.check.rows import Possible
from clusterlab.check.tables import Tables

CELLS_MAX = 500
"""A node is not called silent if that takes a look at more cells."""


class Postponing:
    """Says which moves must be followed; the rest may wait."""

    def __init__(self, tables: Tables, judge: Judge) -> None:
        self._tables = tables
        self._quick = judge.quick
        self._silent: dict[tuple[int, int, int], bool] = {}
        self.put_off = 0
        """How many kinds of moves were put off."""

    def keep(self, i: int, cid: int, budget: int, moves: list[Possible]) -> list[Possible]:
        """Those of the moves of a cell that must be followed."""
        left = self._tables.budgets.left(budget)
        if left.get("ticks") or left.get("partitions") or self._tables.budgets.cut(budget):
            return moves
        if self._is_silent(i, cid, budget):
            kept: list[Possible] = []
        else:
            kept = self._without_ignored(i, cid, moves)
        self.put_off += len(moves) - len(kept)
        return kept

    # --- silent nodes ---

    def _is_silent(self, i: int, cid: int, budget: int) -> bool:
        """Whether nothing that the node can do by itself from here is noticed by anyone."""
        known = self._silent.get((i, cid, budget))
        if known is None:
            reach = self._quiet_reach(i, cid, budget)
            known = self._silent[i, cid, budget] = reach is not None
            # What a silent node can become is silent too.
            self._silent.update(dict.fromkeys(((i, c, budget) for c in reach or ()), True))
        return known

    def _quiet_reach(self, i: int, cid: int, budget: int) -> set[int] | None:
        """The cells that the node can come to by itself; None if somebody would notice."""
        quick = self._quick[i]
        reach, waiting = {cid}, [cid]
        while waiting:
            cell = waiting.pop()
            known = self._silent.get((i, cell, budget))
            if known is False:
                return None
            after = set() if known else self._quiet_steps(i, cell, budget)
            if after is None or len(reach) > CELLS_MAX:
                return None
            if any(quick[new] != quick[cid] for new in after):
                return None
            waiting += after - reach
            reach |= after
        return reach

    def _quiet_steps(self, i: int, cid: int, budget: int) -> set[int] | None:
        """The cells after one move; None if a move is wrong, or is felt outside the cell."""
        broken = self._tables.broken
        told = len(broken)
        moves = list(self._tables.possible(i, cid, budget))
        if len(broken) > told:
            del broken[told:]  # it belongs to a state that is not looked at now
            return None
        after = set()
        for _, delta, adds in moves:
            change, spent = divmod(delta, self._tables.weights[i])
            if adds or spent:
                return None
            after.add(cid + change)
        return after

    # --- ignored letters ---

    def _without_ignored(self, i: int, cid: int, moves: list[Possible]) -> list[Possible]:
        """Without the deliveries that change nothing, now and after each of the other moves."""
        tables = self._tables
        network = tables.rules.discipline
        if network.name != "multiset":
            return moves  # in a set a letter stays; in a queue it stands before others
        cell = tables.cells[i][cid]
        quick = self._quick[i]
        weight = tables.weights[i]
        later = {tables.cells[i][cid + delta // weight].local for _, delta, _ in moves}
        ignored = set()
        for letter in network.heads(cell.inbox):
            without = tables.cell(i, cell._replace(inbox=network.take(cell.inbox, letter)))
            if quick[without] == quick[cid] and all(
                self._is_ignored(i, local, letter) for local in {cell.local, *later}
            ):
                ignored.add(without - cid)
        return [
            one
            for one in moves
            if one.adds or one.delta % weight or one.delta // weight not in ignored
        ]

    def _is_ignored(self, i: int, lid: int, letter: int) -> bool:
        """Whether a node in this state is no different for this letter, and says nothing to it."""
        if not self._tables.locals.states[i][lid].up:
            return True  # it is lost
        outcomes = self._tables.locals.steps(i, lid, letter)
        return bool(outcomes) and all(
            one.wrong is None and one.local == lid and not one.sends and not one.notes
            for one in outcomes
        )
