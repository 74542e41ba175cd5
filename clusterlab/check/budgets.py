"""Budgets: how often each kind of misfortune may happen in one run, as one small integer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import prod
from typing import TypeAlias

from clusterlab.core.errors import ScenarioError
from clusterlab.core.message import Timer, message_classes

Timers: TypeAlias = "int | Mapping[str, int] | None"
"""One budget for all timers; or one for each class that is named, and none for others; or none."""


class Budgets:
    """What is left of each budget, and how the network is cut; a kind not among them is free.

    >>> budgets = Budgets({"crashes": 1, "losses": 2})
    >>> [budgets.left(budgets.spend(budgets.start, (kind,))) for kind in ("crashes", "other")]
    [{'crashes': 0, 'losses': 2}, {'crashes': 1, 'losses': 2}]
    """

    def __init__(self, limits: Mapping[str, int], cuts: int = 0) -> None:
        for kind, limit in limits.items():
            if type(limit) is not int or limit < 0:
                raise ScenarioError(
                    f"{kind}={limit!r} is not a budget: give a whole number of at least 0, "
                    "or None where no limit is meant."
                )
        self.limits = dict(limits)
        self.cuts = cuts
        """In so many ways the network can be cut; 0 stands for the network as a whole."""
        self.size = prod(limit + 1 for limit in limits.values()) * (cuts + 1)
        self.used_up: set[str] = set()
        """The kinds that could have been spent once more in some state, had there been any left."""
        self.free = False
        """Nothing costs anything."""
        ranges = [range(limit, -1, -1) for limit in limits.values()]
        self._values = list(product(*ranges, range(cuts + 1)))
        self._ids = {values: number for number, values in enumerate(self._values)}
        self._position = {kind: at for at, kind in enumerate(limits)}
        self._spent: dict[tuple[int, tuple[str, ...]], int | None] = {}
        self.start = 0
        """Everything is left."""

    def spend(self, budget: int, kinds: tuple[str, ...]) -> int | None:
        """The budget after one of each of `kinds`; None if one of them is used up."""
        if self.free or not kinds:
            return budget
        try:
            return self._spent[budget, kinds]
        except KeyError:
            left = self._spent[budget, kinds] = self._spend(budget, kinds)
            return left

    def _spend(self, budget: int, kinds: tuple[str, ...]) -> int | None:
        left = list(self._values[budget])
        for kind in kinds:
            at = self._position.get(kind)
            if at is None:
                continue
            if not left[at]:
                self.used_up.add(kind)
                return None
            left[at] -= 1
        return self._ids[tuple(left)]

    def left(self, budget: int) -> dict[str, int]:
        """What is left of each kind."""
        return dict(zip(self.limits, self._values[budget][:-1], strict=True))

    def cut(self, budget: int) -> int:
        """How the network is cut; 0 if it is whole."""
        return self._values[budget][-1]

    def with_cut(self, budget: int, cut: int) -> int:
        """The same budget with another cut."""
        return self._ids[(*self._values[budget][:-1], cut)]


def timer_budgets(timers: Timers) -> dict[str, int]:
    """The budgets that `timers=` stands for: one for all, or one for each class that is named."""
    if timers is None:
        return {}
    if isinstance(timers, Mapping):
        known = {cls.__name__ for cls in message_classes() if issubclass(cls, Timer)}
        for name in timers:
            if name not in known:
                raise ScenarioError(
                    f"timers={{{name!r}: ...}} names no timer: there are "
                    f"{', '.join(sorted(known)) or 'none'}."
                )
        return {f"timers[{name}]": limit for name, limit in timers.items()}
    return {"timers": timers}


def timer_kind(timers: Timers, timer: Timer) -> str:
    """The budget that firing `timer` draws on; what is no budget is free."""
    return "timers" if isinstance(timers, int) else f"timers[{type(timer).__name__}]"
