"""Quorums: what suffices, what two of them share, and how many may be down."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlab.core.errors import BadValue
from clusterlab.core.quorum import (
    Flexible,
    Grid,
    Majority,
    Quorums,
    Weighted,
    describe,
    disjoint,
    is_majority,
    majority,
    tolerated_failures,
)

ABCDE = ("a", "b", "c", "d", "e")


def subsets(nodes: tuple[str, ...]) -> list[tuple[str, ...]]:
    sizes = range(len(nodes) + 1)
    return list(chain.from_iterable(combinations(nodes, size) for size in sizes))


@pytest.mark.parametrize(
    ("n", "needed", "may_fail"),
    [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 3, 2), (6, 4, 2), (7, 4, 3)],
)
def test_majorities(n: int, needed: int, may_fail: int) -> None:
    assert (majority(n), tolerated_failures(n)) == (needed, may_fail)


@given(st.integers(1, 9))
def test_two_majorities_share_a_node_and_one_node_less_would_not_do(n: int) -> None:
    assert 2 * majority(n) > n >= 2 * (majority(n) - 1)


def test_votes_of_strangers_and_repeated_votes_do_not_count() -> None:
    assert is_majority(["a", "b"], ["a", "b", "c"])
    assert not is_majority(["a", "a", "a"], ["a", "b", "c"])
    assert not is_majority(["a", "x", "y"], ["a", "b", "c"])


def test_half_is_no_majority() -> None:
    assert not is_majority(["a", "b"], ["a", "b", "c", "d"])


@given(st.sets(st.sampled_from(ABCDE)), st.integers(1, 5))
def test_the_majority_rule_counts(votes: set[str], size: int) -> None:
    members = ABCDE[:size]

    assert Majority(members).is_quorum(votes) == (len(votes & set(members)) > size / 2)
    assert Majority(members).members() == members


def test_weights_are_added_up() -> None:
    rule = Weighted((("a", 2), ("b", 1), ("c", 1), ("witness", 0)), needed=3)

    assert rule.is_quorum(["a", "b"])
    assert not rule.is_quorum(["b", "c", "witness"])
    assert not rule.is_quorum(["a", "a"])
    assert rule.members() == ("a", "b", "c", "witness")


@pytest.mark.parametrize("needed", [0, -1, 5])
def test_weights_that_cannot_be_reached_are_refused(needed: int) -> None:
    with pytest.raises(BadValue) as error:
        Weighted((("a", 2), ("b", 2)), needed)

    assert str(error.value) == (
        f"a quorum of weight {needed} out of 4: give weights of at least 0 "
        "and a needed weight from 1 to 4."
    )


def test_negative_weights_are_refused() -> None:
    with pytest.raises(BadValue, match="give weights of at least 0"):
        Weighted((("a", 5), ("b", -1)), 3)


GRID = (("a", "b"), ("c", "d"))


def test_a_grid_has_rows_and_columns() -> None:
    row, column = Grid(GRID), Grid(GRID, "column")

    assert row.is_quorum(["a", "b"])
    assert not row.is_quorum(["a", "c"])
    assert column.is_quorum(["a", "d"])
    assert not column.is_quorum(["a", "b"])
    assert row.members() == ("a", "b", "c", "d")


@pytest.mark.parametrize(("rows", "kind"), [((), "row"), ((("a",), ()), "row"), (GRID, "diagonal")])
def test_a_grid_without_shape_is_refused(rows: tuple[tuple[str, ...], ...], kind: str) -> None:
    with pytest.raises(BadValue, match="give at least one row, none of them empty"):
        Grid(rows, kind)


RULES: list[tuple[Quorums, Quorums, bool]] = [
    (Majority(ABCDE), Majority(ABCDE), True),
    (Majority(("a", "b", "c")), Majority(("c", "d", "e")), False),
    (Grid(GRID), Grid(GRID, "column"), True),
    (Grid(GRID), Grid(GRID), False),
    (Weighted((("a", 1), ("b", 1)), 1), Weighted((("a", 1), ("b", 1)), 2), True),
    (Weighted((("a", 1), ("b", 1)), 1), Weighted((("a", 1), ("b", 1)), 1), False),
]


@pytest.mark.parametrize(("first", "second", "meet"), RULES)
def test_disjoint_finds_two_quorums_that_share_nobody(
    first: Quorums, second: Quorums, meet: bool
) -> None:
    found = disjoint(first, second)

    assert (found is None) == meet
    if found:
        assert first.is_quorum(found[0])
        assert second.is_quorum(found[1])
        assert not found[0] & found[1]
    # The same by looking at every pair.
    members = tuple(sorted({*first.members(), *second.members()}))
    pairs = ((one, two) for one in subsets(members) for two in subsets(members))
    apart = any(
        first.is_quorum(one) and second.is_quorum(two) and not set(one) & set(two)
        for one, two in pairs
    )
    assert apart != meet


def test_disjoint_refuses_what_would_take_for_ever() -> None:
    many = Majority(tuple(f"n{i}" for i in range(21)))

    with pytest.raises(BadValue) as error:
        disjoint(many, many)

    assert str(error.value) == "21 nodes have too many quorums to compare: give at most 20."


def test_rules_describe_themselves() -> None:
    text = describe(
        {
            "elect": Majority(ABCDE),
            "weigh": Weighted((("a", 2), ("b", 1)), 2),
            "write": Grid(GRID),
            "read": Grid(GRID, "column"),
        }
    )

    assert text == (
        "elect: any 3 of 5 nodes; 2 may be down\n"
        "weigh: nodes of weight 2 out of 3 (a: 2, b: 1)\n"
        "write: one whole row of a b / c d\n"
        "read: one node of each row of a b / c d"
    )


# --- a rule for each phase (Howard, Malkhi and Spiegelman 2016) ---

SIX = ("a", "b", "c", "d", "e", "f")


@given(st.integers(1, 6), st.integers(1, 6))
def test_sizes_that_add_up_to_more_than_all_nodes_are_accepted(first: int, second: int) -> None:
    if first + second > len(SIX):
        pair = Flexible.of_sizes(SIX, first, second)
        assert pair.phase_1.is_quorum(SIX[:first])
        assert not pair.phase_2.is_quorum(SIX[: second - 1])
    else:
        with pytest.raises(BadValue, match="share nobody"):
            Flexible.of_sizes(SIX, first, second)


def test_quorums_of_one_phase_need_not_meet() -> None:
    pair = Flexible.of_sizes(SIX, phase_1=5, phase_2=2)

    assert pair.phase_2.is_quorum(["a", "b"])
    assert pair.phase_2.is_quorum(["c", "d"])


def test_two_quorums_that_share_nobody_are_named() -> None:
    with pytest.raises(BadValue) as error:
        Flexible.of_sizes(SIX, phase_1=4, phase_2=2)

    assert str(error.value) == (
        "a quorum of phase 1 (a b c d) and one of phase 2 (e f) share nobody, so a new leader "
        "may never hear of what was chosen: make one of them larger."
    )


def test_columns_elect_and_rows_replicate() -> None:
    pair = Flexible.of_grid(GRID)

    assert pair.phase_1.is_quorum(["b", "c"])
    assert pair.phase_2.is_quorum(["c", "d"])
    with pytest.raises(BadValue, match=r"phase 1 \(a b\) and one of phase 2 \(c d\)"):
        Flexible(Grid(GRID), Grid(GRID))
