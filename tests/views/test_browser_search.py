"""Jumping to events in words, stepping over what one chooses, one cursor for all pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.views.conftest import Hello, Story, a_run
from tests.views.test_browser import a_real_run
from tests.views.test_browser_player import relay

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Find = Callable[[str], Any]


@pytest.fixture
def find(show_page: Any) -> Find:
    """A function from a query to the seqs of its hits in the relay, or to what is wrong with it."""
    screen = show_page(relay()[0].trace)

    def search(query: str) -> Any:
        return screen.js(
            "(s => s.problem || s.seqs)(new (view.search ?? (view.box.on.changed('x'),"
            " view.search)).constructor(view.timeline, given))",
            query,
        )

    return search


def test_each_key_asks_what_it_says(find: Find) -> None:
    story, sent = relay()
    arrived = {
        name: next(e.seq for e in story.events if e.kind == "deliver" and e.cause == seq)
        for name, seq in sent.items()
    }
    assert find("kind:deliver") == sorted(arrived.values())
    assert find("kind:deliver node:b") == [arrived["first"], arrived["third"]]
    assert find("from:b to:c") == [sent["second"], arrived["second"]]
    assert find("type:Bye kind:send,drop to:a") == [sent["beside"]]
    assert find("text:\"sends Hello(text='two')\"") == [sent["second"]]
    assert find("KIND:Send hello") == [sent["first"], sent["second"]], "case does not matter"
    assert find("nobody") == find("") == []


def test_a_wrong_query_is_told_its_mend(find: Find) -> None:
    for query, mend in {
        "kind:delivr": "There is no kind delivr: write kind:deliver, or one of start, deliver,",
        "knd:deliver": "There is no key knd: write kind:deliver, or one of kind, node, from,",
        "node:": "Say what node: shall be, as in node:n1.",
    }.items():
        assert find(query).startswith(mend)


def test_enter_jumps_from_hit_to_hit_and_back(show_page: Any) -> None:
    screen = show_page(relay()[0].trace)
    screen.js("view.seek(0)")
    screen.page.locator(".cl-node").first.focus()
    screen.page.keyboard.press("/")
    box = screen.page.get_by_role("searchbox", name="jump to")
    expect(box).to_be_focused()
    box.fill("kind:deliver hello")
    screen.wait(50)
    hits = screen.page.locator(".cl-hits")
    expect(hits).to_have_text("2 hits")
    for key, at, place in (("Enter", 20, "1"), ("Enter", 30, "2"), ("Enter", 20, "1")):
        screen.page.keyboard.press(key)
        screen.wait(50)
        assert screen.js("view.cursor.atMs") == at
        expect(hits).to_have_text(f"{place} of 2")
    screen.page.keyboard.press("Shift+Enter")
    assert screen.status == "30 ms: c receives Hello(text='two') from b."
    screen.page.keyboard.press("Escape")
    screen.page.locator(".cl-tapecanvas").focus()
    screen.page.keyboard.press("N")
    assert screen.js("view.cursor.atMs") == 20
    box.fill("nobody")
    box.press("Enter")
    assert screen.status.startswith("There is no such event")


def test_the_arrows_step_over_what_one_chooses(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    screen.js("view.seek(0)")
    seen = {}
    for over in ("delivery", "change of state", "violation"):
        screen.js("view.seek(0)")
        screen.page.get_by_label("what ‹ and › step over").select_option(over)
        screen.button("step").click()
        seen[over] = screen.status
    assert seen == {
        "delivery": "40 ms: n1 receives Hello(text='hi') from n2.",
        "change of state": "20 ms: n2 is leader · epoch 3 · 2 done.",
        "violation": "There is no later violation.",
    }


def test_a_step_shows_an_event_with_all_that_it_brought(show_page: Any) -> None:
    story = Story(("a", "b"))
    got = story.at(10).deliver(story.send("a", "b", Hello(), 0))
    story.add("b", "state", cause=got, role="leader", epoch=1, label="")
    other = story.deliver(story.send("b", "a", Hello(), 0))
    screen = show_page(story.trace)
    screen.js("view.goTo(given)", got)
    screen.wait(50)
    expect(screen.node("b")).to_have_attribute("data-role", "leader")
    assert screen.js("view.cursor.seq") == got + 1 < other


def test_all_keys_are_told_on_a_question_mark(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    screen.page.locator(".cl-tapecanvas").focus()
    screen.page.keyboard.press("?")
    expect(screen.page.locator(".cl-help")).to_contain_text("play or pause")
    expect(screen.page.locator(".cl-help")).to_contain_text("kind:kill,restart is either")
    screen.page.keyboard.press("?")
    expect(screen.page.locator(".cl-help")).to_be_hidden()
    screen.page.keyboard.press("Home")
    assert screen.js("view.cursor.atMs") == 0
    screen.page.keyboard.press(" ")
    assert screen.js("view.clock.playing") is True
    screen.page.keyboard.press(" ")
    screen.page.keyboard.press("End")
    assert screen.js("[view.clock.playing, view.cursor.atMs]") == [False, 60]


def test_two_pictures_of_a_run_share_its_cursor(show_page: Any) -> None:
    screen = show_page(a_run().trace, run="r1")
    screen.js("document.body.append(Object.assign(document.createElement('div'), {id: 'second'}))")
    place = "document.getElementById('second')"
    screen.js(f"(window.second = new view.constructor(window.clusterlab.channel, {place}), 0)")
    screen.wait(200)
    screen.js("view.goToTime(25)")
    assert screen.js("second.cursor.atMs") == screen.js("second.clock.shown") == 25
    screen.js("second.step(1)")
    screen.wait(50)
    assert screen.js("view.clock.shown") == 30
    expect(screen.page.locator("#clusterlab [data-node=n4]")).to_have_attribute(
        "data-health", "dead"
    )
    screen.js("second.close()")
    screen.js("view.seek(0)")
    assert screen.js("second.clock.shown") == 30, "who has left is told nothing"


def test_going_back_comes_to_the_same_state(show_page: Any) -> None:
    """The checkpoints, which are copies, and the records from the nearest one on."""
    screen = show_page(a_real_run())
    looks = (
        "JSON.stringify([[...view.model.nodes.values()].map(n => [{...n}, [...n.timers]]),"
        " [...view.model.flying.keys()], view.model.groups, [...view.model.links]])"
    )
    count = screen.js("view.timeline.records.length")
    assert count > 1000, "there is a checkpoint on the way"
    places = [count // 7 * i for i in range(1, 8)]
    there = [screen.js(f"(view.show(0, given, false), {looks})", place) for place in places]
    back = [screen.js(f"(view.show(0, given, false), {looks})", at) for at in places[::-1]]
    assert there == back[::-1]
    assert len(set(there)) == len(there)


def test_of_a_long_live_run_the_oldest_records_go(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    made = screen.js(
        "(() => { const t = new view.timeline.constructor([], true),"
        " f = new view.states.constructor(t, { start: () => [0],"
        " apply: (s, r) => { s[0] += r.seq; }, copy: (s) => [...s] });"
        " for (let i = 0; i < 200; i++) { t.add(Array.from({ length: 1000 }, (_, k) =>"
        " ({ seq: 1000 * i + k, at_ms: i }))); if (i % 50 === 0) f.at(t.records.length); }"
        " const last = t.records[t.records.length - 1].seq;"
        " return [t.dropped, t.records.length, f.at(t.records.length)[0], last * (last + 1) / 2,"
        " f.at(0)[0], (t.dropped - 1) * t.dropped / 2]; })()"
    )
    dropped, kept, total, wanted, first, before = made
    assert dropped > 0
    assert dropped + kept == 200_000
    assert (total, first) == (wanted, before), "what went is in the new beginning"
