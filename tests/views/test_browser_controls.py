"""Clicks, keys and batches in a real browser, without a kernel; the test holds the clock."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.views.conftest import FIVE, Hello, Story, a_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]


# ---- what one can do -----------------------------------------------------------------------------


def test_a_click_kills_and_a_click_on_the_dead_restarts(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    screen.node("n2").click()
    screen.node("n4").click()
    assert screen.sent == [
        {"do": "kill", "node": "n2"},
        {"do": "restart", "node": "n4", "disk": "keep"},
    ]


def test_the_other_tools(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    tools = screen.page.locator(".cl-toolbar [aria-pressed=true]")
    expect(tools).to_have_text("Kill / restart")
    for tool, commands in (("pause", 1), ("isolate", 1), ("select", 0)):
        screen.page.locator(f'[data-tool="{tool}"]').click()
        screen.node("n1").click()
        assert screen.sent == [{"do": tool, "node": "n1"}] * commands
    screen.wait(50)
    expect(tools).to_have_text("Select")
    expect(screen.node("n1")).to_have_attribute("data-selected", "true")


def test_the_bar_of_the_chosen_node(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    screen.page.locator('[data-tool="select"]').click()
    screen.node("n4").click()
    screen.wait(50)
    expect(screen.page.locator(".cl-chosen")).to_have_text("n4")
    expect(screen.button("kill")).to_have_count(0)
    screen.button("restart-lose").click()
    screen.node("n2").click()
    screen.wait(50)
    for action in ("kill", "pause", "isolate"):
        screen.button(action).click()
    assert screen.sent == [
        {"do": "restart", "node": "n4", "disk": "lose"},
        {"do": "kill", "node": "n2"},
        {"do": "pause", "node": "n2"},
        {"do": "isolate", "node": "n2"},
    ]


def test_everything_from_the_keyboard(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    keyboard = screen.page.keyboard
    screen.page.locator("[data-do=heal]").focus()
    keyboard.press("Tab")
    expect(screen.node("n1")).to_be_focused()
    ring = screen.node("n1").locator(".cl-focus").evaluate("e => getComputedStyle(e).stroke")
    assert ring != "none"
    keyboard.press("ArrowRight")
    expect(screen.node("n2")).to_be_focused()
    for key in "kpi":
        keyboard.press(key)
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    expect(screen.node("c1")).to_be_focused()
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    expect(screen.node("n4")).to_be_focused()
    for key in ("r", "l", "r", "h"):
        keyboard.press(key)
    assert [tuple(m.values()) for m in screen.sent] == [
        ("kill", "n2"), ("pause", "n2"), ("isolate", "n2"),
        ("restart", "n4", "keep"), ("restart", "n4", "lose"), ("restart", "n4", "keep"), ("heal",),
    ]  # fmt: skip


def test_keys_do_not_reach_the_page_around(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    listen = "document.addEventListener('keydown', e => window.eaten.push(e.key))"
    screen.js(f"({listen}, window.eaten = [])")
    screen.node("n1").focus()
    screen.page.keyboard.press("p")
    screen.page.keyboard.press("x")
    assert screen.js("window.eaten") == ["x"]
    root = screen.page.locator(".clusterlab-view")
    expect(root).to_have_attribute("data-lm-suppress-shortcuts", "true")


def test_the_partition_buttons_keep_the_leader_where_they_say(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    screen.page.locator("[data-do=partition][data-side=majority]").click()
    screen.page.locator("[data-do=partition][data-side=minority]").click()
    screen.button("heal").click()
    majority, minority, heal = screen.sent
    assert heal == {"do": "heal"}
    for command, size in ((majority, 3), (minority, 2)):
        groups = command["groups"]
        assert sorted(map(len, groups)) == [2, 3]
        assert sorted(name for group in groups for name in group) == list(FIVE)
        assert next(len(group) for group in groups if "n2" in group) == size
    label = screen.page.locator("[data-side=minority]").get_attribute("aria-label")
    assert label == "Cut the network into 2 and 3: the leader stays with 2"


def test_a_recorded_run_takes_no_commands(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    screen.node("n2").click()
    screen.page.keyboard.press("k")
    assert screen.sent == []
    expect(screen.page.locator("button[data-tool]")).to_have_count(0)
    screen.wait(50)
    expect(screen.page.locator(".cl-chosenwords")).to_contain_text("leader")


def test_a_recorded_run_plays_pauses_and_is_searched(show_page: Any) -> None:
    screen = show_page(a_run().trace, start="play")
    expect(screen.button("play")).to_have_text("Pause")
    assert screen.js("view.clock.shown") < 30
    screen.wait(5000)
    assert screen.js("view.clock.shown") == 60
    expect(screen.button("play")).to_have_text("Play")
    slider = screen.page.get_by_role("slider", name="moment of the run")
    slider.fill("400")
    screen.wait(50)
    assert screen.js("view.clock.shown") == pytest.approx(24)
    expect(screen.node("n4")).to_have_attribute("data-health", "up")
    expect(slider).to_have_attribute("aria-valuetext", "24 ms")


# ---- what comes from the kernel ------------------------------------------------------------------


def test_batches_are_shown_and_told(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    for name in FIVE:
        story.shows(name, "follower", 1)
    story.at(100).shows("n3", "leader", 4)
    screen.tell_events(story.events[5:], 130)
    expect(screen.node("n3")).to_have_attribute("data-role", "leader")
    assert screen.status == "n3 became leader, epoch 4."
    story.at(200).add("n1", "kill", effects=None)
    story.at(200).add("n2", "pause")
    screen.tell_events(story.events[-2:], 210)
    assert screen.status == "n1 was killed; n2 is paused."
    expect(screen.page.locator(".cl-status")).to_have_attribute("aria-live", "polite")


def test_a_batch_that_comes_twice_counts_once(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    story.at(10).send("n1", "n2", Hello())
    screen.tell_events(story.events, 20)
    screen.tell_events(story.events, 21)
    assert screen.js("view.history.messages.length") == 1


def test_the_picture_follows_the_clock_of_the_cluster(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    batch = {"type": "records", "records": "[]", "clients": []}
    for tick in range(1, 61):
        screen.tell({**batch, "now_ms": tick * 50 / 20})
        screen.wait(50)
    assert screen.js("view.clock.rate") == pytest.approx(0.05, rel=0.05)
    assert screen.js("view.clock.newest - view.clock.shown") == pytest.approx(2.5, abs=2.6)
    screen.wait(5000)
    assert screen.js("view.clock.shown") == 150, "when the cluster stands still, all of it is shown"


def test_the_cluster_goes_on_while_one_looks_back(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    expect(screen.button("live")).to_have_attribute("aria-pressed", "true")
    screen.button("play").click()
    story.at(500).add("n1", "kill", effects=None)
    screen.tell_events(story.events[5:], 600)
    expect(screen.node("n1")).to_have_attribute("data-health", "up")
    expect(screen.button("live")).to_have_attribute("aria-pressed", "false")
    assert screen.js("view.timeline.records.length") == 6, "records are received all the same"
    screen.button("step").click()
    assert screen.status == "500 ms: n1 was killed."
    screen.wait(50)
    expect(screen.node("n1")).to_have_attribute("data-health", "dead")
    screen.button("step-back").click()
    assert screen.status == "There is no earlier event."
    screen.page.get_by_role("slider", name="moment of the run").fill("100")
    screen.wait(50)
    assert screen.js("[view.cursor.atMs, view.cursor.live]") == [60, False]
    expect(screen.node("n1")).to_have_attribute("data-health", "up")
    screen.page.locator(".cl-tapecanvas").focus()
    screen.page.keyboard.press("End")
    screen.wait(100)
    expect(screen.node("n1")).to_have_attribute("data-health", "dead")
    expect(screen.button("live")).to_have_attribute("aria-pressed", "true")


def test_a_past_that_is_played_arrives_in_the_present(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    story.at(40).add("n1", "pause")
    screen.tell_events(story.events[5:], 50)
    screen.button("play").click()
    screen.js("view.seek(0)")
    screen.button("play").click()
    screen.wait(100)
    assert screen.js("view.clock.following") is False
    screen.wait(4000)
    assert screen.js("view.clock.following") is True
    expect(screen.node("n1")).to_have_attribute("data-health", "paused")


def test_errors_are_said_and_stay_a_while(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    screen.tell({"type": "error", "text": "n9 does not exist: choose another."})
    story.at(10).add("n1", "pause")
    screen.tell_events(story.events[5:], 20)
    assert screen.status == "n9 does not exist: choose another."
    expect(screen.page.locator(".cl-status")).to_have_class(re.compile("cl-error"))
    screen.wait(5000)
    assert screen.status == "n1 is paused."


def test_a_new_past_replaces_the_old_one(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    past = screen.js("view.past")
    past |= {"to": None, "records": "[]", "roles": ["leader"], "now_ms": 900, "left_out": 20_005}
    screen.tell(past)
    screen.wait(100)
    assert screen.js("view.clock.shown") == 900
    assert "20,005 older ones are left out" in screen.status


def test_a_second_picture_of_the_same_channel_gets_its_own_past(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    screen.js("document.body.append(Object.assign(document.createElement('div'), {id: 'second'}))")
    place = "document.getElementById('second')"
    screen.js(f"(window.second = new view.constructor(window.clusterlab.channel, {place}), 0)")
    screen.wait(200)
    expect(screen.page.locator("#second .cl-node")).to_have_count(6)
    screen.js("window.second.close()")
    expect(screen.page.locator(".clusterlab-view")).to_have_count(1)
    left = screen.js("window.clusterlab.channel.sent.filter(m => m.do === 'bye').length")
    assert left == 1


def test_a_past_that_comes_twice_counts_once(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    screen.tell({**screen.js("view.past"), "to": screen.js("view.id")})
    screen.wait(100)
    expect(screen.node("n2")).to_have_attribute("data-role", "leader")


def test_closing_ends_everything(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    screen.js("window.clusterlab.close()")
    expect(screen.page.locator(".clusterlab-view")).to_have_count(0)
    frame = screen.js("0 * (window.frames_ = 0) || view.frame")
    screen.wait(200)
    assert screen.js("view.frame") == frame, "no further frame was asked for"
