"""What is packed can be sent, and comes out as it went in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clusterlab.core.packing import pack, unpack

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
HASHABLE = SCALARS | st.tuples(SCALARS, SCALARS)
STATES = st.recursive(
    HASHABLE | st.sets(SCALARS, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=8,
)


@given(STATES)
def test_what_is_packed_is_hashable_and_comes_out_whole(state: object) -> None:
    packed = pack(state)

    hash(packed)
    assert unpack(packed) == state
    assert type(unpack(packed)) is type(state)


def test_the_order_in_which_a_dict_was_filled_does_not_show() -> None:
    assert pack({"x": 1, 2: "y"}) == pack({2: "y", "x": 1})


def test_what_comes_out_is_not_what_went_in() -> None:
    state = {"x": [1]}

    unpack(pack(state))["x"].append(2)

    assert state == {"x": [1]}
