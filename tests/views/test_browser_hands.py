"""Hands on the topology in a real browser: menus, links, messages, the line that cuts, layouts."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from clusterlab.core.faults import Link
from clusterlab.views.layout import lay_out
from clusterlab.views.layouts import arrange, arrangements
from tests.views.conftest import FIVE, Hello, Screen, Story, a_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE = "<img src=x onerror=alert(1)>"


def stage_at(screen: Screen, x: float, y: float) -> tuple[float, float]:
    """A point of the topology in the page."""
    box = screen.page.locator(".cl-stage").bounding_box()
    return box["x"] + x, box["y"] + y


def drag(screen: Screen, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press at one point of the topology and move to another."""
    screen.page.mouse.move(*stage_at(screen, *start))
    screen.page.mouse.down()
    screen.page.mouse.move(*stage_at(screen, *end))


def items(screen: Screen) -> list[str]:
    """The words of the menu that is open."""
    return list(screen.page.get_by_role("menuitem").all_inner_texts())


def test_the_menu_of_a_node_does_all_that_can_be_done_to_it(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    screen.node("n1").click(button="right")
    expect(screen.page.get_by_role("menu", name="n1")).to_be_visible()
    assert items(screen)[:4] == ["Kill", "Pause", "Isolate", "Link to …"]
    screen.page.get_by_role("menuitem", name="Clock 500 ms ahead").click()
    expect(screen.page.get_by_role("menu")).to_have_count(0)
    screen.node("n4").click(button="right")
    assert items(screen)[:2] == ["Restart", "Restart without its disk"]
    screen.page.get_by_role("menuitem", name="Restart without its disk").click()
    assert screen.sent == [
        {"do": "skew", "offset_ms": 500, "rate": 1, "node": "n1"},
        {"do": "restart", "disk": "lose", "node": "n4"},
    ]


def test_the_menu_from_the_keyboard(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    keyboard = screen.page.keyboard
    screen.node("n1").focus()
    keyboard.press("Enter")
    expect(screen.page.get_by_role("menuitem", name="Kill")).to_be_focused()
    keyboard.press("Escape")
    expect(screen.page.get_by_role("menu")).to_have_count(0)
    expect(screen.node("n1")).to_be_focused()
    keyboard.press("Enter")
    for key in ("ArrowUp", "ArrowDown", "ArrowDown", "Enter"):
        keyboard.press(key)
    assert screen.sent == [{"do": "pause", "node": "n1"}]
    expect(screen.node("n1")).to_be_focused()


def test_a_link_between_two_nodes_is_chosen_with_keys_alone(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    keyboard = screen.page.keyboard
    screen.node("n1").focus()
    keyboard.press("Enter")
    screen.page.get_by_role("menuitem", name="Link to …").press("Enter")
    assert "choose the other node" in screen.status
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        keyboard.press(key)
    expect(screen.page.get_by_role("menu", name="n1 ↔ n3")).to_be_visible()
    assert "Heal this link" not in items(screen)
    screen.page.get_by_role("menuitem", name="Cut n3 → n1").press("Enter")
    assert screen.sent == [{"do": "link", "src": "n3", "dst": "n1", "block": True}]


def test_a_link_under_the_pointer_has_a_menu_and_says_what_is_wrong(show_page: Any) -> None:
    story = a_run()
    story.add(None, "link", **Link("n1", "n3", delay_ms=(200, 400)).data())
    screen = show_page(story.trace, live=True)
    words = screen.page.locator('.cl-link[data-src="n1"] .cl-linkwords')
    expect(words).to_have_text("takes 200 to 400 ms")
    way = screen.js("view.stage.wayOf('n1', 'n3')")
    x, y = (way[a] + (way[b] - way[a]) * 0.3 for a, b in (("x1", "x2"), ("y1", "y2")))
    screen.page.mouse.click(*stage_at(screen, x, y), button="right")
    expect(screen.page.get_by_role("menu", name="n1 ↔ n3")).to_be_visible()
    screen.page.get_by_role("menuitem", name="Heal this link").click()
    assert screen.sent == [{"do": "link", "src": "n1", "dst": "n3", "both": True}]


def test_a_message_is_taken_hold_of_with_a_click_and_let_go(show_page: Any) -> None:
    story = a_run()
    screen = show_page(story.trace, live=True)
    sent = next(e.seq for e in story.trace.of("send") if e.data["dst"] == "n3")
    at = "(({x, y}) => [x, y])(view.stage.flights.find(given))"
    screen.page.mouse.click(*stage_at(screen, *screen.js(at, sent)))
    assert screen.sent == [{"do": "hold", "message": sent}]
    story.at(61).add(None, "hold_message", message=sent)
    screen.tell_events(story.events[-1:], 61)
    before = screen.js(at, sent)
    story.at(90).add("n1", "note", name="later", data=None)
    screen.tell_events(story.events[-1:], 90)
    assert screen.js(at, sent) == before, "what is held stands still"
    screen.page.mouse.click(*stage_at(screen, *before), button="right")
    assert items(screen) == ["Release", "Drop", "Duplicate"]
    screen.page.get_by_role("menuitem", name="Drop").click()
    screen.page.mouse.click(*stage_at(screen, *before))
    assert screen.sent == [{"do": "drop", "message": sent}, {"do": "release", "message": sent}]


def test_messages_are_reached_with_keys_and_read_aloud(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    spot = screen.page.locator(".cl-spot")
    spot.focus()
    screen.wait(50)
    label = "n2 → n3: Hello(text='hi'), 1 of 1 on their way"
    expect(spot).to_have_attribute("aria-label", label)
    expect(screen.page.locator(".cl-stage .cl-tip")).to_contain_text("Hello(text='hi')")
    screen.page.keyboard.press("Enter")
    assert items(screen) == ["Hold", "Drop", "Duplicate"]


def test_a_line_across_the_picture_cuts_along_it(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    screen.page.locator('[data-tool="cut"]').click()
    places = screen.js("Object.fromEntries(view.stage.places)")
    x = (places["n1"][0] + places["n2"][0]) / 2
    drag(screen, (x, 20), (x, 360))
    groups = [{n for n, (at, _) in places.items() if (at > x) == right} for right in (True, False)]
    words = screen.page.locator(".cl-cutwords").text_content()
    assert [set(side.split()) for side in words.split(" | ")] == groups, "told before it is done"
    expect(screen.node("n2")).to_have_attribute("data-side", "one")
    assert screen.sent == []
    screen.page.mouse.up()
    (command,) = screen.sent
    assert [set(group) for group in command["groups"]] == groups
    drag(screen, (5, 5), (30, 5))
    screen.page.mouse.up()
    screen.node("n1").click()
    assert screen.sent == [], "a line beside all nodes cuts nothing, nor does a click"


def test_a_line_is_given_up_with_escape(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    screen.page.locator('[data-tool="cut"]').click()
    screen.node("n1").focus()
    drag(screen, (480, 20), (480, 360))
    screen.page.keyboard.press("Escape")
    screen.page.mouse.up()
    assert screen.sent == []


def test_a_group_chosen_with_space_is_cut_off(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    keyboard = screen.page.keyboard
    screen.node("n1").focus()
    for key in (" ", "ArrowRight", " ", "ArrowRight", " ", " "):
        keyboard.press(key)
    expect(screen.node("n2")).to_have_attribute("aria-pressed", "true")
    assert "n1, n2: Shift+P cuts them off" in screen.status
    keyboard.press("Shift+P")
    keyboard.press("Control+z")
    assert screen.sent == [
        {"do": "partition", "groups": [["n1", "n2"], ["n3", "n4", "n5"]]},
        {"do": "undo"},
    ]


def test_the_layout_is_chosen_in_the_picture_and_is_the_same_as_in_python(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    choice = screen.page.get_by_label("layout", exact=True)
    for layout in ("line", "tree", "force"):
        choice.select_option(layout)
        screen.wait(1000)
        laid = lay_out(
            FIVE, (), screen.js("view.stage.width"), 380, arrange(layout, FIVE, a_run().trace)
        )
        for name, place in laid.places.items():
            assert screen.js("view.stage.places.get(given)", name) == pytest.approx(place, abs=0.2)
        assert screen.js("view.stage.layout.radius") == pytest.approx(laid.radius, abs=0.1)


def test_walls_stand_where_python_has_them(show_page: Any) -> None:
    groups = (("n1", "n3"), ("n2", "n4", "n5"))
    story = a_run()
    story.add(None, "partition", groups=groups)
    screen = show_page(story.trace)
    screen.page.get_by_label("layout", exact=True).select_option("tree")
    screen.wait(1000)
    laid = lay_out(FIVE, groups, screen.js("view.stage.width"), 380, arrange("tree", FIVE))
    walls = [point for wall in screen.js("view.stage.walls") for point in wall]
    expected = [point for wall in laid.walls for point in wall]
    assert len(walls) == len(expected)
    for point, place in zip(walls, expected, strict=True):
        assert point == pytest.approx(place, abs=0.5)


def test_regions_are_boxes_whose_names_are_text(show_page: Any) -> None:
    regions = {HOSTILE: ["n1", "n2"], "us": ["n3", "n4", "n5"]}
    screen = show_page(a_run().trace)
    past = {**screen.js("view.past"), **arrangements(regions, FIVE), "to": None}
    screen.tell(past)
    screen.wait(1000)
    expect(screen.page.locator(".cl-regionname")).to_have_text([HOSTILE, "us"])
    expect(screen.page.locator("img")).to_have_count(0)


def test_disks_and_clocks_have_marks_and_words(show_page: Any) -> None:
    story = a_run()
    story.add("n1", "save", values={"x": 1})
    story.add("n4", "restart", disk="lose")
    story.add("n3", "skew", offset_ms=-500, rate=1.5)
    screen = show_page(story.trace)
    expect(screen.node("n1").locator(".cl-disk")).to_have_attribute("data-state", "saved")
    expect(screen.node("n4").locator(".cl-disk")).to_have_attribute("data-state", "lost")
    expect(screen.node("n3").locator(".cl-skew")).to_have_text("−500 ms ×1.5")
    assert "disk lost" in screen.node("n4").get_attribute("aria-label")
    assert "clock −500 ms ×1.5" in screen.node("n3").get_attribute("aria-label")


def test_what_became_of_a_message_has_a_mark_and_words(show_page: Any, story: Story) -> None:
    story.at(10)
    first = story.send("n1", "n3", Hello(), 40.0)
    story.add("n1", "duplicate", cause=first, dst="n3", msg=Hello(), delay_ms=60.0)
    story.at(14).add(None, "hold_message", message=first)
    screen = show_page(story.trace)
    spot = screen.page.locator(".cl-spot")
    spot.focus()
    told = []
    for _ in range(2):
        told.append(spot.get_attribute("aria-label"))
        screen.page.keyboard.press("ArrowRight")
    assert told == [
        "n1 → n3  (held): Hello(text='hi'), 1 of 2 on their way",
        "n1 → n3  (second copy): Hello(text='hi'), 2 of 2 on their way",
    ]
    x, y = screen.js("(({x, y}) => [x, y])(view.stage.flights.find(given))", first)
    pixel = "view.stage.flights.canvas.getContext('2d').getImageData(given[0], given[1], 1, 1)"
    assert screen.js(f"{pixel}.data[3]", [x - 10, y]) > 0, "bars stand beside what is held"
