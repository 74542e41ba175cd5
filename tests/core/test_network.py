"""The switch: who reaches whom after which faults, and what becomes of a message."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlab.core.faults import Fault, Heal, Isolate, Kill, Link, Partition, Pause
from clusterlab.core.network import REORDER_DELAYS, Flight, Network, Switch

NODES = ("a", "b", "c", "d")


def switch(*faults: Fault, network: Network | None = None) -> Switch:
    made = Switch(network or Network())
    for fault in faults:
        made.apply(fault)
    return made


def cuts(made: Switch) -> dict[str, str]:
    """`ab` -> why nothing passes from a to b; open links are left out."""
    pairs = ((src, dst) for src in NODES for dst in NODES)
    return {src + dst: why for src, dst in pairs if (why := made.cut(src, dst)) is not None}


def draws(*numbers: float) -> object:
    return iter(numbers).__next__


# --- who reaches whom ---


def test_at_first_everyone_reaches_everyone() -> None:
    assert cuts(switch()) == {}


def test_a_partition_lets_messages_pass_within_groups_only() -> None:
    made = switch(Partition((("a", "b"), ("c", "d"))))

    assert cuts(made) == dict.fromkeys(
        ("ac", "ad", "bc", "bd", "ca", "cb", "da", "db"), "partition"
    )


def test_who_stands_in_no_group_reaches_all() -> None:
    made = switch(Partition((("a",), ("b",))))

    assert cuts(made) == {"ab": "partition", "ba": "partition"}


def test_a_new_partition_replaces_the_old() -> None:
    made = switch(Partition((("a",), ("b", "c", "d"))), Partition((("a", "b", "c"), ("d",))))

    assert set(cuts(made)) == {"ad", "bd", "cd", "da", "db", "dc"}


def test_an_isolated_node_reaches_only_itself() -> None:
    assert cuts(switch(Isolate("a"))) == dict.fromkeys(
        ("ab", "ac", "ad", "ba", "ca", "da"), "isolated"
    )


def test_a_blocked_link_is_one_way() -> None:
    assert cuts(switch(Link("a", "b", block=True))) == {"ab": "blocked"}


def test_a_heal_ends_all_of_it() -> None:
    made = switch(
        Partition((("a",), ("b", "c", "d"))), Isolate("b"), Link("c", "d", block=True), Heal()
    )

    assert cuts(made) == {}


def test_what_was_remembered_of_a_link_is_forgotten_with_a_fault() -> None:
    made = switch()
    assert made.cut("a", "b") is None

    made.apply(Isolate("a"))
    assert made.cut("a", "b") == "isolated"
    made.apply(Heal())
    assert made.cut("a", "b") is None


@pytest.mark.parametrize("fault", [Kill("a"), Pause("a")])
def test_faults_of_nodes_change_no_link(fault: Fault) -> None:
    assert cuts(switch(fault)) == {}


def test_a_link_keeps_what_was_not_said() -> None:
    network = Network(delay_ms=(1, 2), loss=0.1)

    made = switch(Link("a", "b", duplicate=0.5), network=network)

    assert made.link("a", "b")[1] == Network(delay_ms=(1, 2), loss=0.1, duplicate=0.5)
    assert made.link("b", "a")[1] == network


# --- what becomes of a message ---


def test_a_delay_is_drawn_from_the_range() -> None:
    made = switch(network=Network(delay_ms=(10, 20)))

    assert made.fate("a", "b", draws(0.25)) == [Flight(12.5, False)]  # type: ignore[arg-type]


def test_where_nothing_is_to_be_drawn_nothing_is_drawn() -> None:
    made = switch(network=Network(delay_ms=(7, 7)))

    assert made.fate("a", "b", draws()) == [Flight(7, False)]  # type: ignore[arg-type]
    made.apply(Isolate("a"))
    assert made.fate("a", "b", draws()) == "isolated"  # type: ignore[arg-type]


def test_a_lost_message_has_no_copies() -> None:
    made = switch(network=Network(delay_ms=(7, 7), loss=0.5))

    assert made.fate("a", "b", draws(0.49)) == "lost"  # type: ignore[arg-type]
    assert made.fate("a", "b", draws(0.5)) == [Flight(7, False)]  # type: ignore[arg-type]


def test_a_duplicated_message_has_two_copies_with_delays_of_their_own() -> None:
    made = switch(network=Network(delay_ms=(0, 10), duplicate=0.5))

    fate = made.fate("a", "b", draws(0.1, 0.2, 0.9))  # type: ignore[arg-type]

    assert fate == [Flight(1, False), Flight(9, False)]


def test_a_reordered_message_is_held_back() -> None:
    made = switch(network=Network(delay_ms=(10, 10), reorder=0.5))

    fate = made.fate("a", "b", draws(0.4, 0.5))  # type: ignore[arg-type]

    assert fate == [Flight(10 + 0.5 * REORDER_DELAYS * 10, True)]


@pytest.mark.parametrize(
    ("network", "counted"),
    [
        (Network(loss=0.2), "lost"),
        (Network(duplicate=0.2), "twice"),
        (Network(reorder=0.2), "reordered"),
    ],
)
def test_shares_are_what_they_say(network: Network, counted: str) -> None:
    made, draw = switch(network=network), Random(1).random
    fates = [made.fate("a", "b", draw) for _ in range(2000)]

    share = {
        "lost": sum(fate == "lost" for fate in fates),
        "twice": sum(len(fate) == 2 for fate in fates),
        "reordered": sum(isinstance(fate, list) and fate[0].reordered for fate in fates),
    }
    assert 0.17 < share.pop(counted) / 2000 < 0.23
    assert set(share.values()) == {0}


@given(
    st.lists(
        st.sampled_from(
            [
                Isolate("a"),
                Isolate("c"),
                Heal(),
                Link("a", "b", block=True),
                Link("a", "b", loss=0.5),
                Partition((("a", "b"), ("c", "d"))),
                Partition((("a",), ("b", "c", "d"))),
            ]
        ),
        max_size=6,
    )
)
def test_asking_in_between_changes_nothing(faults: list[Fault]) -> None:
    """The switch remembers what it found out; every fault must make it forget."""
    asked, never_asked = switch(), switch()
    for fault in faults:
        cuts(asked)
        asked.apply(fault)
        never_asked.apply(fault)

    assert cuts(asked) == cuts(never_asked)
    plain = [
        (src, dst)
        for src in NODES
        for dst in NODES
        if asked.cut(src, dst) is None and not asked.link(src, dst)[1].loss
    ]
    assert sorted(asked.plain) == sorted(plain)
