"""The space-time diagram: its window, its events and what they changed, and the files it writes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from clusterlab.core.values import Splice
from tests.views.conftest import Bye, Hello, Story, a_run
from tests.views.test_browser import HOSTILE, a_real_run
from tests.views.test_browser_player import relay

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SVG = "{http://www.w3.org/2000/svg}"


def where(screen: Any, seq: int) -> tuple[float, float]:
    """Where an event is on the page."""
    x, y = screen.js(
        "(b => view.tape.placeOf(view.tape.view, view.timeline.find(given))"
        ".map((v, i) => v + [b.left, b.top][i]))(view.tape.canvas.getBoundingClientRect())",
        seq,
    )
    return x, y


def a_vote() -> tuple[Story, int]:
    """A message that changes what its receiver has on disk, what it shows, and a list of it."""
    story = Story(("a", "b"))
    story.add("b", "save", values={"n": 1, "log": (1, 2)})
    story.shows("b", "idle", 1)
    story.at(5).send("b", "a", Bye())
    sent = story.send("a", "b", Hello(), 5)
    got = story.at(10).deliver(sent)
    story.add("b", "save", cause=got, values={"n": 2, "log": Splice(2, (3,))})
    story.add("b", "state", cause=got, role="busy", epoch=2, label="")
    story.at(20).add("a", "note", name="end", data=None)
    return story, got


# ---- events --------------------------------------------------------------------------------------


def test_a_click_on_any_event_tells_what_it_changed(show_page: Any) -> None:
    story, got = a_vote()
    screen = show_page(story.trace)
    screen.page.mouse.click(*where(screen, got))
    screen.wait(50)
    assert screen.js("view.tape.chosen.seq") == got
    detail = screen.page.locator(".cl-detail")
    expect(detail.locator(".cl-detailwords")).to_have_text(
        "10 ms: b receives Hello(text='hi') from a."
    )
    changes = detail.locator(".cl-changes")
    expect(changes.locator("dt")).to_have_text(["b.n", "b.log", "b.role", "b.epoch"])
    expect(changes.locator("dd")).to_have_text(
        ["1 → 2", "2 items → [3…] 3", "idle → busy", "1 → 2"]
    )
    note = story.events[-1].seq
    screen.page.mouse.click(*where(screen, note))
    screen.wait(50)
    assert screen.js("view.tape.chosen.seq") == note, "an event that is no message, too"
    expect(changes.locator("dt")).to_have_count(0)
    screen.js("view.goTo(0)")
    screen.button("go-there").click()
    assert screen.js("view.cursor.atMs") == 20


def test_what_a_step_changed_is_told_of_what_it_made_as_well(show_page: Any) -> None:
    story, got = a_vote()
    screen = show_page(story.trace)
    for seq in (got + 1, got + 2):
        screen.js("view.choose(given)", seq)
        expect(screen.page.locator(".cl-changes dt")).to_have_count(4)


def test_lost_late_and_second_copies_are_told_apart(show_page: Any) -> None:
    story = Story(("a", "b"))
    for time in range(0, 400, 20):
        sent = story.at(time).send("a", "b", Hello(), 10)
        story.at(time + 10).deliver(sent)
    first = story.at(400).send("a", "b", Hello(), 10)
    copy = story.add("a", "duplicate", cause=first, dst="b", msg=Hello(), delay_ms=12)
    late = story.send("a", "b", Hello(), 200)
    story.at(410).deliver(first)
    story.at(412).deliver(copy)
    lost = story.send("b", "a", Hello(), None)
    story.drop(lost, "lost")
    story.at(600).deliver(late)
    screen = show_page(story.trace)
    kinds = screen.js(
        "given.map(seq => (m => [m.copy, m.late, m.end])"
        "(view.history.messages.find(m => m.seq === seq)))",
        [first, copy, late, lost],
    )
    assert kinds == [
        [False, False, "deliver"], [True, False, "deliver"],
        [False, True, "deliver"], [False, False, "lost"],
    ]  # fmt: skip
    dashes = re.findall(r'stroke-dasharray="([^"]*)"', screen.js("view.svgOf('tape')"))
    assert {"1.5 4", "8 4"} <= set(dashes)


def test_lanes_know_roles_epochs_and_times_without_a_node(show_page: Any) -> None:
    story = a_run()
    story.at(70).add("n4", "restart", disk="keep")
    story.at(80).shows("n1", "follower", 3)
    screen = show_page(story.trace)
    lane = "(l => [l.spans.map(s => [s.t, s.health, s.role]), l.epochs.map(e => [e.t, e.epoch])])"
    assert screen.js(f"{lane}(view.history.lanes.get('n4'))") == [
        [[0, "up", None], [0, "up", "follower"], [30, "dead", None], [70, "up", None]],
        [[0, 1], [30, None]],
    ]
    assert screen.js(f"{lane}(view.history.lanes.get('n1'))")[1] == [[0, 1], [80, 3]]


# ---- its window ----------------------------------------------------------------------------------


def test_the_window_is_brushed_clicked_and_zoomed(show_page: Any) -> None:
    screen = show_page(a_real_run())
    span = screen.js("view.tape.span")
    box = screen.page.locator(".cl-tapecanvas").bounding_box()
    y = box["y"] + box["height"] - 8
    wanted = screen.js("[300, 500].map(x => view.tape.timeAt(x))")
    screen.page.mouse.move(box["x"] + 300, y)
    screen.page.mouse.down()
    screen.page.mouse.move(box["x"] + 500, y)
    expect(screen.page.locator(".cl-brush")).to_be_visible()
    screen.page.mouse.up()
    screen.wait(50)
    shown = screen.js("[view.tape.right - view.tape.span, view.tape.right]")
    assert shown == pytest.approx(wanted, abs=span / 300)
    screen.page.locator(".cl-tapecanvas").focus()
    screen.page.keyboard.press("Escape")
    screen.wait(50)
    assert screen.js("view.tape.span") == pytest.approx(span)
    screen.page.keyboard.press("0")
    screen.wait(50)
    left, right, start, end = screen.js(
        "[view.tape.right - view.tape.span, view.tape.right, view.timeline.from, view.timeline.to]"
    )
    assert left <= start + 1
    assert right >= end - 1
    wanted = screen.js("view.tape.timeAt(400)")
    screen.page.mouse.click(box["x"] + 400, y)
    assert screen.js("view.cursor.atMs") == pytest.approx(wanted, abs=2), "a click moves the cursor"
    screen.page.mouse.move(box["x"] + 400, box["y"] + 80)
    before = screen.js("[view.tape.timeAt(400), view.tape.span]")
    screen.page.keyboard.down("Control")
    screen.page.mouse.wheel(0, -300)
    screen.page.keyboard.up("Control")
    screen.wait(50)
    at, span = screen.js("[view.tape.timeAt(400), view.tape.span]")
    assert span == pytest.approx(before[1] / 2.718, rel=0.01), "the wheel zooms"
    assert at == pytest.approx(before[0], abs=span / 200), "about the pointer"


# ---- files ---------------------------------------------------------------------------------------


def test_what_is_seen_is_saved_as_svg(show_page: Any) -> None:
    story = a_run()
    story.at(61).add("n1", "note", name=HOSTILE, data=None)
    screen = show_page(story.trace)
    for action, name in (("svg", "diagram"), ("svg-stage", "cluster")):
        with screen.page.expect_download() as waiting:
            screen.button(action).click()
        assert waiting.value.suggested_filename == f"{name}-61ms.svg"
        root = ET.fromstring(Path(waiting.value.path()).read_text(encoding="utf-8"))
        found = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert not found & {"image", "foreignObject", "script", "img"}, "nothing but strokes"
        assert len(root.findall(f".//{SVG}path")) > 10
        words = [element.text for element in root.iter(f"{SVG}text")]
        assert {"n1", "n5"} <= set(words)
        assert (HOSTILE in words) is (action == "svg")


def test_a_relay_looks_the_same_on_paper(show_page: Any) -> None:
    """The same strokes: a line for each message, from where it was sent to where it arrived."""
    story, sent = relay()
    screen = show_page(story.trace)
    lines = screen.js(
        "Object.values(given).map(seq => (l => [l.x1, l.y1, l.x2, l.y2])(view.tape.tiles.lineOf("
        "view.tape.view, view.history.messages.find(m => m.seq === seq))))",
        sent,
    )
    drawn = screen.js("view.svgOf('tape')")
    for x1, y1, x2, y2 in lines:
        ends = [f"{round(v * 100) / 100:g}" for v in (x1, y1, x2, y2)]
        assert f"M{ends[0]} {ends[1]}L{ends[2]} {ends[3]}" in drawn
