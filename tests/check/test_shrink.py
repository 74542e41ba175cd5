"""What is left of a failing list: exactly what the failure needs, as far as single items go."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlab.check.shrink import Progress, shrink
from clusterlab.core.errors import NodeError, ScenarioError, UnknownNode
from clusterlab.core.faults import Kill, Schedule
from clusterlab.core.node import NodeId, volatile
from clusterlab.experiments.base import play
from clusterlab.experiments.nemesis import draw_schedule
from clusterlab.experiments.raft_failover import one_leader_a_term
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation


@given(st.sets(st.integers(0, 60), max_size=6), st.integers(61, 90))
def test_what_is_needed_is_found_exactly(needed: set[int], size: int) -> None:
    found = shrink(range(size), lambda part: needed <= set(part))
    assert found.items == tuple(sorted(needed))
    assert found.kept == found.items
    assert found.minimal
    assert found.of == size


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 40))
def test_no_single_item_of_the_result_can_be_left_out(items: list[int], least: int) -> None:
    def fails(part: list[int]) -> bool:
        return sum(part) >= least and (len(part) % 2 == 0 or 9 in part)

    if not fails(items):
        with pytest.raises(ScenarioError, match="does not fail"):
            shrink(items, fails)
        return
    found = shrink(items, fails)
    kept = list(found.items)
    assert fails(kept)
    assert kept == [items[i] for i in found.kept]
    assert all(not fails(kept[:i] + kept[i + 1 :]) for i in range(len(kept)))


def test_what_fails_without_any_item_needs_none() -> None:
    found = shrink("abc", lambda _: True)
    assert found.items == ()
    assert str(found) == "it fails without any of the items, found in 3 tries."


def test_what_an_oracle_did_not_use_is_not_tried_one_by_one() -> None:
    items = [object() for _ in range(64)]
    needed = {id(items[7]), id(items[42])}
    asked = 0

    def used(part: list[object]) -> list[object] | bool:
        nonlocal asked
        asked += 1
        found = [item for item in part if id(item) in needed]
        return found if len(found) == len(needed) else False

    found = shrink(items, used)
    assert found.kept == (7, 42)
    assert found.minimal
    assert asked == found.tries <= 6


@pytest.mark.parametrize(("together", "left"), [(1, 7), (2, 5), (3, 2)])
def test_items_that_hang_together_go_together(together: int, left: int) -> None:
    """A pair and a triple can each be left out as a whole, and not in parts."""

    def fails(part: list[str]) -> bool:
        kept = set(part)
        return (
            {"x", "y"} <= kept and len(kept & set("ab")) != 1 and len(kept & set("def")) in (0, 3)
        )

    found = shrink("xadebfy", fails, together=together, tries_max=500)
    assert len(found.items) == left


def test_no_list_is_asked_twice_but_the_result() -> None:
    asked: list[tuple[int, ...]] = []

    def fails(part: list[int]) -> bool:
        asked.append(tuple(part))
        return {3, 77, 78} <= set(part)

    found = shrink(range(100), fails)
    assert asked.count(found.items) == 2
    assert len(set(asked)) == len(asked) - 1 == found.tries - 1
    assert found.tries < 100
    assert str(found) == (
        f"3 of 100 items fail, found in {found.tries} tries. None of them can be left out."
    )
    again = shrink(range(100), lambda part: {3, 77, 78} <= set(part))
    assert again == found


def test_a_limit_keeps_the_best_so_far_and_says_so() -> None:
    seen: list[Progress] = []
    found = shrink(range(1000), lambda p: {1, 998} <= set(p), tries_max=20, progress=seen.append)
    assert {1, 998} <= set(found.items)
    assert 2 < len(found.items) < 1000
    assert not found.minimal
    assert "The limit of 20 tries was reached" in str(found)
    assert [one.size for one in seen] == sorted({one.size for one in seen}, reverse=True)
    assert str(seen[-1]).startswith(f"{len(found.items)} of 1000 items left after ")


def test_an_interruption_keeps_the_best_so_far() -> None:
    count = 0

    def fails(part: list[int]) -> bool:
        nonlocal count
        count += 1
        if count == 15:
            raise KeyboardInterrupt
        return {1, 998} <= set(part)

    found = shrink(range(1000), fails)
    assert {1, 998} <= set(found.items)
    assert len(found.items) < 1000
    assert "interrupted" in str(found)


def test_what_cannot_be_run_does_not_fail() -> None:
    def fails(part: list[int]) -> bool:
        if 5 in part and 2 not in part:
            raise UnknownNode("there is no node 5 without 2.")
        return 5 in part

    assert shrink(range(10), fails).items == (2, 5)


def test_an_oracle_that_changes_its_mind_is_told() -> None:
    answers = iter([True, False, True, False, False, False])
    with pytest.raises(ScenarioError, match="failed and, run again, did not"):
        shrink("ab", lambda _: next(answers))


def test_misuse_is_a_sentence() -> None:
    with pytest.raises(ScenarioError, match="give at least 1"):
        shrink("ab", lambda _: True, tries_max=0)
    with pytest.raises(ScenarioError, match="does not fail, so there is nothing to shrink"):
        shrink("ab", lambda _: False)


# ---- a storm -------------------------------------------------------------------------------------

SERVERS = ("n1", "n2", "n3", "n4", "n5")


class Forgetful(Raft):
    """Votes are not on disk: after a restart it may vote again in the same term."""

    voted_for: NodeId | None = volatile(None)


def elects_two(raft: type[Raft], schedule: Schedule, seed: int) -> bool:
    """Whether some term gets two leaders under these faults."""
    sim = Simulation([raft(n, members=SERVERS) for n in SERVERS], seed=seed, record=False)
    with suppress(NodeError):  # two leaders of a term may meet, and say so
        play(sim, schedule)
        sim.run(1000)
    return "had 2" in one_leader_a_term(sim.trace).explanation


@pytest.mark.slow
def test_a_storm_that_elects_two_leaders_shrinks_to_the_deaths_that_forget_a_vote() -> None:
    seed = 1
    schedule = draw_schedule(Random(seed), SERVERS, until_ms=5000)
    found = shrink(schedule, lambda part: elects_two(Forgetful, part, seed))
    assert len(schedule) > 400
    assert len(found.items) <= 25
    assert found.minimal
    assert any(isinstance(fault, Kill) for _, fault in found.items)
    assert not elects_two(Raft, list(found.items), seed)  # it is the forgetting
