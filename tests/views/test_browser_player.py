"""Stepping through a recorded run, and the causes and consequences of a message."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from clusterlab.views.records import record
from tests.views.conftest import Bye, Hello, Story, a_run
from tests.views.test_browser import a_real_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def relay() -> tuple[Story, dict[str, int]]:
    """a tells b, b tells c; meanwhile c tells a, which nobody waits for."""
    story = Story(("a", "b", "c"))
    sent = {}
    sent["first"] = story.at(10).send("a", "b", Hello("one"))
    sent["beside"] = story.at(12).send("c", "a", Bye())
    story.at(20).deliver(sent["first"])
    sent["second"] = story.send("b", "c", Hello("two"))
    story.at(22).deliver(sent["beside"])
    story.at(30).deliver(sent["second"])
    sent["third"] = story.send("c", "b", Bye())
    story.at(40).deliver(sent["third"])
    return story, sent


# ---- stepping ------------------------------------------------------------------------------------


def test_a_run_is_stepped_event_by_event_and_back(show_page: Any) -> None:
    screen = show_page(relay()[0].trace)
    screen.js("view.seek(0)")
    for at in (20, 22, 30, 40):
        screen.button("step").click()
        assert screen.js("view.clock.shown") == at
    assert screen.status == "40 ms: b receives Bye from c."
    screen.button("step").click()
    assert screen.js("view.clock.shown") == 40
    assert screen.status == "There is no later event."
    for at in (30, 22):
        screen.button("step-back").click()
        assert screen.js("view.clock.shown") == at
    assert screen.status == "22 ms: a receives Bye from c."
    screen.page.keyboard.press(",")
    assert screen.status == "20 ms: b receives Hello(text='one') from a."
    screen.page.keyboard.press(".")
    assert screen.js("view.clock.shown") == 22


def test_stepping_stops_the_play_and_shows_the_moment_exactly(show_page: Any) -> None:
    screen = show_page(a_run().trace, start="play")
    expect(screen.button("play")).to_have_text("Pause")
    screen.js("view.seek(0)")
    screen.page.keyboard.press(".")  # the picture has no focus yet: nobody listens
    screen.button("step").click()
    expect(screen.button("play")).to_have_text("Pause")
    screen.wait(50)
    expect(screen.button("play")).to_have_text("Play")
    assert screen.js("view.clock.shown") == 30
    assert screen.status == "30 ms: n4 was killed."
    expect(screen.node("n4")).to_have_attribute("data-health", "dead")
    screen.button("step-back").click()
    assert screen.js("view.clock.shown") == 30, "there is nothing before it"


def test_every_kind_of_event_has_its_sentence(show_page: Any) -> None:
    trace = a_real_run()
    screen = show_page(trace)
    words = screen.js("view.timeline.records.map(r => view.words(r))")
    assert len(words) > 1000
    assert not [text for text in words if "undefined" in text or "null" in text or not text]
    assert any("is cut: n1 n2 | n3 n4 n5" in text for text in words)


# ---- causes and consequences ---------------------------------------------------------------------


def test_a_click_on_a_message_shows_what_led_to_it_and_what_followed(show_page: Any) -> None:
    story, sent = relay()
    screen = show_page(story.trace)
    middle = screen.js(
        "(() => { const v = view.tape.view, m = view.history.messages.find(m => m.seq === given);"
        " const l = view.tape.tiles.lineOf(v, m), b = view.tape.canvas.getBoundingClientRect();"
        " return [b.left + (l.x1 + l.x2) / 2, b.top + (l.y1 + l.y2) / 2]; })()",
        sent["second"],
    )
    screen.page.mouse.click(*middle)
    screen.wait(50)
    assert screen.js("[...view.tape.chosen.before]") == [sent["first"]]
    assert screen.js("[...view.tape.chosen.after]") == [sent["third"]]
    detail = screen.page.locator(".cl-detail")
    expect(detail).to_contain_text("20 ms: b sends Hello(text='two') to c.")
    expect(detail).to_contain_text(
        "1 message led to it (solid), 1 message followed from it (dashed)."
    )
    screen.page.keyboard.press("Escape")
    assert screen.js("view.tape.chosen") is None
    expect(detail).to_be_hidden()


def test_a_drag_chooses_nothing(show_page: Any) -> None:
    screen = show_page(relay()[0].trace)
    box = screen.page.locator(".cl-tapecanvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    screen.page.mouse.move(x, y)
    screen.page.mouse.down()
    screen.page.mouse.move(x + 60, y)
    screen.page.mouse.move(x, y)
    screen.page.mouse.up()
    screen.wait(50)
    assert screen.js("view.tape.chosen") is None


def test_events_are_chosen_from_the_keyboard(show_page: Any) -> None:
    story, sent = relay()
    screen = show_page(story.trace)
    screen.page.locator(".cl-tapecanvas").focus()
    chosen = []
    for key in "][[{}":
        screen.page.keyboard.press(key)
        chosen.append(screen.js("view.tape.chosen.seq"))
    last = len(story.events) - 1
    arrived = last - 2  # the second message at c, with which c's second sending begins
    assert chosen == [last, sent["third"], arrived, sent["beside"], arrived], "the last two of c"
    screen.page.keyboard.press("Enter")
    assert screen.js("view.cursor.atMs") == 30, "the cursor goes to the chosen event"


def test_the_chosen_message_stands_out(show_page: Any) -> None:
    story, sent = relay()
    screen = show_page(story.trace)
    before = screen.page.locator(".cl-tapecanvas").screenshot()
    screen.js("view.choose(given)", sent["second"])
    screen.wait(50)
    assert screen.page.locator(".cl-tapecanvas").screenshot() != before
    screen.js("view.choose(null)")
    screen.wait(50)
    assert screen.page.locator(".cl-tapecanvas").screenshot() == before


def test_the_browser_and_python_agree_on_causes(show_page: Any) -> None:
    trace = a_real_run()
    screen = show_page(trace)
    known = {event.seq for event in trace if record(event) is not None}
    sends = [event.seq for event in trace.of("send") if event.seq in known]
    for seq in sends[:: len(sends) // 12]:
        screen.js("view.choose(given)", seq)
        seen = screen.js("[[...view.tape.chosen.past], [...view.tape.chosen.future]]")
        past = {event.seq for event in trace.causes(seq)} & known
        future = {event.seq for event in trace.consequences(seq)} & known
        assert [set(seen[0]), set(seen[1])] == [past, future]


def test_a_live_run_knows_causes_too(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    begin = len(story.trace)
    first = story.at(100).send("n1", "n2", Hello())
    story.at(110).deliver(first)
    second = story.send("n2", "n3", Hello())
    story.at(120).deliver(second)
    screen.tell_events(story.events[begin:], 200)
    screen.js("view.choose(given)", second)
    assert screen.js("[...view.tape.chosen.before]") == [first]


def test_at_twice_the_size_nothing_is_cut_off(show_page: Any) -> None:
    """200 % zoom is half the width: rows wrap, and nothing reaches beyond the picture."""
    screen = show_page(a_run().trace, live=True)
    screen.page.set_viewport_size({"width": 500, "height": 900})
    screen.page.locator(".cl-tapecanvas").focus()
    screen.page.keyboard.press("?")
    screen.js("view.choose(view.timeline.records[view.timeline.records.length - 1].seq)")
    screen.wait(200)
    over = screen.js(
        "[...view.root.querySelectorAll('button, input, select, canvas, dd, p, section')]"
        ".filter(e => e.getClientRects().length).filter(e =>"
        " e.getBoundingClientRect().right > view.root.getBoundingClientRect().right + 1)"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert over == []
    assert screen.js("document.documentElement.scrollWidth") <= 500


def test_the_tab_key_goes_from_the_nodes_to_the_player_to_the_diagram(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    order = screen.js(
        "[...view.root.querySelectorAll('[tabindex=\"0\"], button, input, select')]"
        ".filter(e => e.getClientRects().length && e.tabIndex >= 0)"
        ".map(e => e.dataset.do ?? e.dataset.node ?? e.type ?? e.tagName.toLowerCase())"
    )
    places = [order.index(one) for one in ("step-back", "play", "step", "seek", "search", "svg")]
    assert places == sorted(places)
    assert order.index("step-back") > order.index(next(o for o in order if o in ("n1", "n2")))
