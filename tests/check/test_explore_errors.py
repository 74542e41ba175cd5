"""Limits are told, errors read well, and an interrupt keeps what was found."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.properties import Ghost, always, always_step, eventually
from clusterlab.check.report import Progress
from clusterlab.check.search import Search
from clusterlab.check.world import world_of
from clusterlab.core.errors import ScenarioError
from clusterlab.protocols.raft import Raft
from tests.check.toys import Bump, Reader, Relay, relays

OK = always("Fine", lambda w: True)


def fails(match: str, act: Callable[[], Any]) -> None:
    with pytest.raises(ScenarioError, match=match) as caught:
        act()
    sentence = str(caught.value)
    assert sentence.endswith((".", ")", "?")), sentence
    assert "\n" not in sentence


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_too_many_states_are_no_success() -> None:
    report = explore(relays(), properties=OK, timers=2, network="multiset", states_max=1_000)
    assert report.verdict == "not finished"
    assert not report
    assert re.search(r"states_max=1,000 was reached at depth \d+: [\d,]+ states", str(report))
    assert "states_max=1,000 was reached" in report.not_covered[0]
    assert report.states > 1_000


def test_too_deep_is_no_success_but_all_that_is_counted_was_checked() -> None:
    report = explore(relays(), properties=OK, timers=2, depth_max=2, network="multiset")
    assert report.verdict == "not finished"
    assert "depth_max=2 was reached" in report.explanation
    tried = always("Untried", lambda w: w["a"].tries < 2)
    assert explore(relays(), properties=tried, timers=2, depth_max=2).verdict == "violated"


def test_too_long_is_no_success() -> None:
    report = explore(relays(), timers=2, network="multiset", seconds_max=0.0)
    assert "seconds_max=0 was reached" in report.explanation


def test_budgets_that_bit_are_told_and_others_are_not() -> None:
    report = explore(relays(), timers=1, crashes=0, network="fifo", losses=9)
    assert "any duplicates" in report.not_covered
    assert "more than 1 timers" in report.not_covered
    assert not any("losses" in sentence for sentence in report.not_covered)
    assert "Not covered: more than 1 timers." in str(report)


def test_an_interrupt_keeps_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    expand, calls = Search._expand, []

    def interrupted(self: Search, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return expand(self, *arguments)

    monkeypatch.setattr(Search, "_expand", interrupted)
    report = explore(relays(), timers=2, network="multiset")
    assert report.interrupted
    assert report.verdict == "not finished"
    assert report.states > 10
    assert str(report).startswith("NOT FINISHED: interrupted at depth 3")


def test_progress_is_told_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterlab.check.account.PROGRESS_S", 0.0)
    told: list[Progress] = []
    report = explore(relays(), timers=1, progress=told.append)
    assert told
    assert [p.depth for p in told] == sorted(p.depth for p in told)
    assert told[-1].states <= report.states
    assert "states" in str(told[0])


def test_progress_as_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("clusterlab.check.account.PROGRESS_S", 0.0)
    explore(relays(), timers=1, progress=True)
    assert "transitions, depth 1" in capsys.readouterr().err
    explore(relays(), timers=1)
    assert capsys.readouterr().err == ""


# --- errors --------------------------------------------------------------------------------------


def test_a_property_that_raises_is_an_error_and_no_violation() -> None:
    wrong = always("Wrong", lambda w: w["z"].best == 0)
    fails(
        "there is no node 'z' in this world; there are a, b",
        lambda: explore(relays(), properties=wrong),
    )
    wrong = always("Wrong", lambda w: 1 / w["a"].best > 0)
    fails(
        r"property Wrong raised ZeroDivisionError \(division by zero\): mend the function",
        lambda: explore(relays(), properties=wrong),
    )
    missing = always("Wrong", lambda w: w["a"].rounds == 0)
    fails("raised AttributeError.*rounds", lambda: explore(relays(), properties=missing))
    step = always_step("Wrong", lambda before, after: after.rounds > 0)
    fails("property Wrong raised", lambda: explore(relays(), properties=step, timers=1))
    fails("`goal` raised", lambda: explore(relays(), goal=lambda w: w["a"].rounds > 0))
    fails("`bound` returned None", lambda: explore(relays(), bound=lambda node: None))  # type: ignore[arg-type,return-value]


def test_a_property_that_raises_tells_where_the_search_was() -> None:
    fragile = always("Fragile", lambda w: 1 // (2 - w["a"].best) >= 0)
    with pytest.raises(ScenarioError) as caught:
        explore(relays(), properties=fragile, timers=1)
    assert re.fullmatch(
        r"It was asked about the \d+ states found so far, at last about the one after these moves:"
        r"\n   1\. b fires Nudge\(\)\n   2\. b -> a Token\(hops=0\) \(choosing option 2\)",
        caught.value.__notes__[0],
    )
    at_once = always("AtOnce", lambda w: 1 // w["a"].best > 0)
    with pytest.raises(ScenarioError) as caught:
        explore(relays(), properties=at_once, timers=1)
    assert caught.value.__notes__[0].endswith("after no move at all.")


def test_an_answer_that_is_none_is_an_error() -> None:
    forgot = always("Forgot", lambda w: None)  # type: ignore[arg-type,return-value]
    fails(
        r"Forgot returned None.*is a `return` missing", lambda: explore(relays(), properties=forgot)
    )


def test_a_property_may_not_read_what_it_has_not_named() -> None:
    sly = always("Sly", lambda w: w["a"].tries == 0, reads=("best",))
    fails(
        "property Sly reads tries of a, but says that it reads only best",
        lambda: explore(relays(), properties=sly),
    )
    letters = always("Sly", lambda w: not w.messages, reads=("best",))
    fails(
        "looks at the messages, but names only fields",
        lambda: explore(relays(), properties=letters),
    )


def test_a_property_may_not_change_anything() -> None:
    def meddle(w: Any) -> bool:
        w["a"].best = 1
        return True

    fails("it may only look", lambda: explore(relays(), properties=always("Meddles", meddle)))


def test_worlds_that_cannot_be() -> None:
    fails("no node to explore", lambda: explore([]))
    fails("two nodes are called a", lambda: explore([Relay("a", peer="a"), Relay("a", peer="a")]))
    fails("network='bag'", lambda: explore(relays(), network="bag"))  # type: ignore[arg-type]
    fails("lost and doubled for nothing", lambda: explore(relays(), losses=1))
    fails("leave out losses, duplicates and partitions", lambda: explore(relays(), partitions=1))
    many = [Relay(f"n{i}", peer="n0") for i in range(9)]
    fails("255 ways", lambda: explore(many, network="fifo", partitions=1))
    fails("crashes=-1 is not a budget", lambda: explore(relays(), crashes=-1))
    fails("timers=2.5 is not a budget", lambda: explore(relays(), timers=2.5))  # type: ignore[arg-type]
    fails("names no timer", lambda: explore(relays(), timers={"Nugde": 1}))
    fails("restarts='maybe'", lambda: explore(relays(), restarts="maybe"))  # type: ignore[arg-type]
    fails("Did you mean", lambda: explore(relays(), invoke=[("aa", Bump())]))
    fails("invoke has 7", lambda: explore(relays(), invoke=[7]))  # type: ignore[list-item]
    fails("there is no node 'z'", lambda: explore(relays(), crashing=["z"]))
    fails("no node can start", lambda: explore(relays(), bound=lambda node: False))
    fails("reads now_ms.*ticks=4", lambda: explore([Reader("r")], invoke=[("r", Bump())]))
    fails("after 0 moves, c dies is not possible", lambda: explore(relays(), after=["c dies"]))


def test_properties_that_cannot_be() -> None:
    fails("is not a property: wrap it as always", lambda: explore(relays(), properties=[len]))  # type: ignore[list-item]
    fails("two properties are named Fine", lambda: explore(relays(), properties=[OK, OK]))
    fails(
        "promise about whole runs",
        lambda: explore(relays(), properties=eventually("E", lambda w: True)),
    )
    fails("give more than 0 ms", lambda: eventually("E", lambda w: True, within_ms=0))
    fails("for a predicate", lambda: always("E", True))  # type: ignore[arg-type]
    fails(r"write reads=\('best',\)", lambda: always("E", lambda w: True, reads="best"))


# --- properties ----------------------------------------------------------------------------------


def test_an_explanation_shows_what_was_read() -> None:
    low = always("Low", lambda w: all(node.best < 2 for node in w.nodes))
    report = explore(relays(), properties=low, timers=1)
    assert report.explanation in ("a.best = 2", "a.best = 0, b.best = 2")
    said = always("Low", lambda w: w["a"].best < 2 or f"a is at {w['a'].best}")
    assert explore(relays(), properties=said, timers=1).explanation == "a is at 2"
    told = always("Low", lambda w: w["a"].best < 2, explain=lambda w: f"a has {w['a'].best}")
    assert explore(relays(), properties=told, timers=1).explanation == "a has 2"


def test_fields_that_are_named_give_the_same_answers_as_all() -> None:
    def low(w: Any) -> bool:
        return all(node.best < 3 for node in w.nodes)

    found = [
        explore(relays(), properties=one, timers=1, network="multiset")
        for one in (always("Low", low), always("Low", low, reads=("best",)))
    ]
    assert found[0].path == found[1].path


@pytest.mark.slow
def test_messages_that_are_named_give_the_same_answers_as_all() -> None:
    def calm(w: Any) -> bool:
        return sum(letter.msg.hops == 3 for letter in w.messages) < 2

    found = [
        explore(relays(), properties=one, timers=2, network="multiset")
        for one in (
            always("Calm", calm),
            always("Calm", calm, messages=("Token",)),
            always("Calm", calm, reads=(), messages=("Token",)),
        )
    ]
    assert found[0].verdict == "violated"
    assert len({report.path for report in found}) == 1
    blind = always("Calm", calm, reads=(), messages=("Other",))
    assert explore(relays(), properties=blind, timers=1, network="multiset").verdict == "holds"


def test_a_ghost_remembers_notes_and_what_clients_tell() -> None:
    ghost = Ghost((), lambda past, node, name, data: (*past, (node, name, data))[-3:])
    asked = always("Asked", lambda w: "return" not in [name for _, name, _ in w.ghost], ghost=ghost)
    report = explore(relays(), properties=asked, invoke=[("a", Bump())], timers=0)
    assert (
        report.explanation == "world.ghost = (('a', 'invoke', Bump()), ('a', 'return', ('ok', 0)))"
    )


def test_the_dead_show_their_disk() -> None:
    def shows(w: Any) -> bool:
        return w.up != frozenset("b") or (w["a"].best, w["a"].tries) != (1, 0)

    report = explore(
        relays(), properties=always("Shows", shows), timers=1, crashes=1, crashing=["a"]
    )
    assert report.verdict == "violated"
    assert [move.kind for move in report.path] == ["fire", "deliver"]
    assert report.path[-1].effects == 1, "what was saved is there, what was only in memory is not"


def test_a_world_by_hand() -> None:
    world = world_of({node.id: node for node in Raft.group(2)}, up=frozenset(["n1"]))
    assert len(world) == 2
    assert world.up == {"n1"}
    assert world.messages == ()
    assert [node.id for node in world.having("voted_for")] == ["n1", "n2"]
