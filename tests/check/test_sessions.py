"""Session guarantees: the paper's examples, and an oracle that tries all orders of versions."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlab.check.sessions import (
    GUARANTEES,
    MONOTONIC_READS,
    MONOTONIC_WRITES,
    READ_YOUR_WRITES,
    WRITES_FOLLOW_READS,
    check_sessions,
)
from clusterlab.core.errors import ScenarioError, UnknownNode
from clusterlab.core.history import Operation
from clusterlab.core.spec import Add, CompareAndSet, Get, Put, Read, Write
from tests.check.histories import made_stale, op, recorded


def run(*steps: tuple[str, Any, Any]) -> list[Operation]:
    """Operations one after another: (client, call, what it returned)."""
    return [
        op(client, call, 10 * number, 10 * number + 5, value)
        for number, (client, call, value) in enumerate(steps)
    ]


def broken(history: Iterable[Operation], **options: Any) -> list[str]:
    return [breach.what for breach in check_sessions(history, **options).breaches]


# ---- the examples of Terry et al. 1994, section 3 ------------------------------------------------


def test_the_password_that_is_not_there_yet() -> None:
    """Section 3.1: one changes a password and cannot log in with it: read your writes."""
    history = run(("Grapevine", Put("password", "new"), None), ("Grapevine", Get("password"), None))
    verdict = check_sessions(history)
    assert str(verdict) == (
        "read your writes broken: Grapevine wrote 'new' to 'password', then read None there."
    )
    assert verdict.breaches[0].operations == tuple(history)
    assert verdict.misfit == history[1]
    others = [g for g in GUARANTEES if g != READ_YOUR_WRITES]
    assert check_sessions(history, others).valid


def test_the_appointment_that_disappears() -> None:
    """Section 3.2: a calendar shows a meeting, and then it does not: monotonic reads."""
    history = run(
        ("boss", Put("meeting", 9), None), ("me", Get("meeting"), 9), ("me", Get("meeting"), None)
    )
    verdict = check_sessions(history)
    assert broken(history) == [MONOTONIC_READS]
    assert verdict.explain() == (
        "monotonic reads broken: me read 9 at 'meeting', then read None there."
    )


def test_the_reply_without_its_article() -> None:
    """Section 3.3: a bulletin board shows a reply before its article: writes follow reads."""
    history = run(
        ("a", Put("article", "?"), None),
        ("b", Get("article"), "?"),
        ("b", Put("reply", "!"), None),
        ("c", Get("reply"), "!"),
        ("c", Get("article"), None),
    )
    assert broken(history) == [f"{MONOTONIC_READS} or {WRITES_FOLLOW_READS}"]
    sentence = check_sessions(history).breaches[0].sentence
    assert sentence == (
        "b read '?' at 'article', then wrote '!' to 'reply', then c read '!' at 'reply', "
        "then read None at 'article'."
    )
    assert broken(history, guarantees=[WRITES_FOLLOW_READS]) == []


def test_the_library_without_its_new_version() -> None:
    """Section 3.4: the program that needs a new library is there, the library is not: writes."""
    history = run(
        ("dev", Put("library", 2), None),
        ("dev", Put("program", 2), None),
        ("user", Get("program"), 2),
        ("user", Get("library"), None),
    )
    assert broken(history) == [f"{MONOTONIC_READS} or {MONOTONIC_WRITES}"]


# ---- what else one sees --------------------------------------------------------------------------


def test_without_time_two_writers_may_be_seen_in_either_order_but_not_in_both() -> None:
    history = run(
        *(("a", Write(1), None), ("b", Write(2), None)),
        *(("c", Read(), 2), ("c", Read(), 1)),
    )
    assert broken(history) == [MONOTONIC_READS]
    assert broken(history, real_time=False) == []
    both = [*history, *run(*[("x", Read(), 0)] * 4, ("d", Read(), 1), ("d", Read(), 2))[4:]]
    assert broken(both, real_time=False) == [MONOTONIC_READS]


def test_a_compare_and_set_tells_the_order_of_versions() -> None:
    history = run(
        ("a", Put("x", 1), None),
        ("b", CompareAndSet("x", 1, 2), True),
        ("b", CompareAndSet("x", 1, 3), False),
        ("c", Get("x"), 2),
        ("c", Get("x"), 1),
    )
    assert broken(history, real_time=False) == [MONOTONIC_READS]
    assert broken(history[:-1]) == []


def test_a_write_of_unknown_outcome_is_not_missed() -> None:
    lost = op("a", Put("x", 1), 0, None, None, "info")
    assert broken([lost, op("a", Get("x"), 10, 20, None)]) == []
    seen = [lost, op("a", Get("x"), 10, 20, 1), op("a", Get("x"), 30, 40, None)]
    assert broken(seen) == [MONOTONIC_READS]


def test_values_out_of_thin_air_and_out_of_the_future() -> None:
    history = run(("a", Get("x"), 7), ("b", Get("x"), 1), ("a", Put("x", 1), None))
    verdict = check_sessions(history)
    assert [breach.sentence for breach in verdict.breaches] == [
        "a read 7 at 'x', which nobody has written.",
        "b read 1 at 'x', before anybody began to write it.",
    ]


def test_what_was_written_twice_says_nothing() -> None:
    history = run(("a", Put("x", 1), None), ("b", Put("x", 1), None), ("c", Get("x"), 1))
    verdict = check_sessions(history)
    assert verdict.valid is None
    assert "1 read of values that were written twice left out" in str(verdict)


def test_what_is_no_register_is_refused() -> None:
    with pytest.raises(ScenarioError, match="neither reads nor writes a register"):
        check_sessions([op("a", Add(1), 0, 1)])
    with pytest.raises(UnknownNode, match="no session guarantee 'monotonic'"):
        check_sessions([], ["monotonic"])


def test_a_long_history_is_judged() -> None:
    history = recorded(3)
    assert check_sessions(history)
    verdict = check_sessions(made_stale(history, 0.7), real_time=True)
    assert verdict.valid in (True, False)  # whether a client notices is a matter of luck


# ---- the oracle ----------------------------------------------------------------------------------


def first_access(o: Operation) -> tuple[str, Any, Any]:
    """(key, what it saw or "-", what it wrote or "-")."""
    match o.call:
        case Get(key=key):
            return key, o.value, "-"
        case Put(key=key, value=value):
            return key, "-", value
        case CompareAndSet(key=key, expected=expected, new=new):
            return key, expected, new
    raise AssertionError(o)


def possible(history: Sequence[Operation], guarantees: Iterable[str], real_time: bool) -> bool:
    """Whether some order of the versions of each key explains all, by the words of the paper.

    The operations follow one another in time, and none is of unknown outcome.
    """
    wanted = set(guarantees)
    facts = [(o, *first_access(o)) for o in history if o.value is not False]
    brings: dict[Any, set[Any]] = {None: set()}
    demands: list[tuple[str, Any, set[Any]]] = []  # (key, version, what is not newer)
    for i, (o, key, saw, wrote) in enumerate(facts):
        earlier = [f for f in facts[:i] if f[0].client == o.client]
        own = {(k, w) for _, k, _, w in earlier if w != "-"}
        read = {(k, s) for _, k, s, _ in earlier if s != "-"}
        if saw != "-":
            must = (own if READ_YOUR_WRITES in wanted else set()) | (
                read if MONOTONIC_READS in wanted else set()
            )
            must |= {v for u in must for v in brings.get(u, ())}
            demands.append((key, saw, {v for k, v in must if k == key}))
        if wrote != "-":
            with_it = (own if MONOTONIC_WRITES in wanted else set()) | (
                read if WRITES_FOLLOW_READS in wanted else set()
            )
            with_it |= {v for u in with_it for v in brings.get(u, ())}
            brings[key, wrote] = with_it
            demands.append((key, wrote, {v for k, v in with_it if k == key}))
            if saw != "-":
                demands.append((key, wrote, {saw}))
    keys = sorted({key for _, key, _, _ in facts})
    written = {k: [w for _, key, _, w in facts if key == k and w != "-"] for k in keys}
    choices = [[w] if real_time else list(permutations(w)) for w in written.values()]
    for chosen in product(*choices):
        place = {
            (k, v): i
            for k, order in zip(keys, chosen, strict=True)
            for i, v in enumerate([None, *order])
        }
        if all(place[k, v] <= place[k, new] for k, new, olds in demands for v in olds):
            return True
    return False


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Operations one after another on two keys; reads return some version that was there."""
    there: dict[str, list[int | None]] = {"x": [None], "y": [None]}
    history: list[Operation] = []
    for number in range(draw(st.integers(2, 8))):
        client, key = draw(st.sampled_from("abc")), draw(st.sampled_from("xxy"))
        call: Any = Get(key)
        value = draw(st.sampled_from(there[key][-3:]))
        kind = draw(st.integers(0, 9))
        if kind < 3:
            call, value = Put(key, number), None
        elif kind == 3:
            call, value = CompareAndSet(key, value, number), True
        if kind <= 3:
            there[key].append(number)
        history.append(op(client, call, 10 * number, 10 * number + 5, value))
    return history


def subsets() -> Iterator[tuple[str, ...]]:
    for mask in range(1 << len(GUARANTEES)):
        yield tuple(g for i, g in enumerate(GUARANTEES) if mask >> i & 1)


@pytest.mark.slow
def test_it_agrees_with_an_oracle_that_tries_every_order_of_versions() -> None:
    tally: Tally[tuple[str, ...]] = Tally()

    @settings(max_examples=300)
    @given(histories(), st.booleans())
    def agree(history: list[Operation], real_time: bool) -> None:
        verdict = check_sessions(history, real_time=real_time)
        named = [
            () if b.what == "one order of the versions" else tuple(b.what.split(" or "))
            for b in verdict.breaches
        ]
        impossible = [s for s in subsets() if not possible(history, s, real_time)]
        smallest = [s for s in impossible if not any(set(t) < set(s) for t in impossible)]
        assert sorted(named) == sorted(smallest)
        assert verdict.valid is (None if not verdict.judged else not impossible)
        for breach in verdict.breaches:
            part = [o for o in history if any(o is b for b in breach.operations)]
            assert part
        tally.update(named)

    agree()
    assert set(tally) >= {(READ_YOUR_WRITES,), (MONOTONIC_READS,)}
