"""The state panel in a browser: fields, logs, changes, comparisons, and text that stays text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import expect

from clusterlab.core.node import Message, Node, durable, volatile
from clusterlab.core.trace import Trace
from clusterlab.sim import Simulation
from clusterlab.views.values import Values
from tests.views.conftest import Screen

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVIL = "<img src=x onerror=alert(1)>"


class Line(NamedTuple):
    epoch: int
    text: str


class Write(Message):
    epoch: int
    text: str


class Scribe(Node):
    """Writes down what it is told."""

    lines: tuple[Line, ...] = durable(())
    name: str = durable("nobody")
    heard: int = volatile(0)

    def on_write(self, src: str, m: Write) -> None:
        self.lines += (Line(m.epoch, m.text),)
        self.name = m.text
        self.heard += 1

    def marks(self) -> dict[str, dict[str, int]]:
        return {"lines": {"sealed": max(0, len(self.lines) - 1), "read": self.heard // 2}}


class Teller(Node):
    """Tells the scribes, one after another."""

    to: tuple[str, ...]

    def on_start(self) -> None:
        for number, name in enumerate(self.to):
            for epoch in range(1, 3 + number):
                self.send(name, Write(epoch, f"{name}:{epoch}"))


@pytest.fixture(scope="module")
def run() -> Trace:
    """a writes two lines, b three and dies."""
    cluster = Simulation([Scribe("a"), Scribe("b"), Teller("t", to=("a", "b"))], seed=1)
    cluster.run(200)
    cluster.kill("b")
    cluster.run(100)
    return cluster.trace


Open = Callable[..., Screen]


@pytest.fixture
def show_state(show_page: Open) -> Open:
    """Opens a page and the state panel in it."""

    def open_panel(trace: Trace, **options: Any) -> Screen:
        screen = show_page(trace, **options)
        screen.page.locator(".cl-state > summary").click()
        screen.wait(300)
        return screen

    return open_panel


def cell(screen: Screen, node: str, field: str) -> Any:
    return screen.page.locator(f'.cl-fields td[data-node="{node}"][data-field="{field}"]')


def entries(screen: Screen, node: str) -> list[str]:
    row = screen.page.locator(f'.cl-log tr[data-node="{node}"] td[data-index]')
    return [text for text in row.all_inner_texts() if text]


def moment(screen: Screen, trace: Trace, kind: str, node: str, number: int) -> int:
    """Go to just after an event."""
    seq = trace.of(kind, node=node)[number].seq
    screen.js("view.goTo(given)", seq)
    screen.wait(300)
    return seq


# ---- fields --------------------------------------------------------------------------------------


def test_every_field_of_every_node_stands_in_the_table(show_state: Open, run: Trace) -> None:
    screen = show_state(run, values=Values(run).saved(0))
    expect(cell(screen, "a", "name")).to_have_text("'a:2'")
    expect(cell(screen, "a", "heard")).to_have_text("2")
    expect(cell(screen, "b", "name")).to_have_text("'b:3'")
    expect(cell(screen, "b", "heard")).to_have_text("gone")
    expect(screen.page.locator(".cl-fields th[data-health=dead]")).to_contain_text("dead")
    assert screen.js("view.timeline.records.length") > 0


def test_the_table_follows_the_cursor_and_marks_what_changed(show_state: Open, run: Trace) -> None:
    screen = show_state(run, values=Values(run).saved(0))
    moment(screen, run, "deliver", "a", 0)
    expect(cell(screen, "a", "name")).to_have_text("'a:1'")
    changed = screen.page.locator(".cl-fields td[data-changed]")
    assert {(one["node"], one["field"]) for one in changed.evaluate_all(DATA)} == {
        ("a", "name"),
        ("a", "heard"),
    }
    sign = "getComputedStyle(e, '::before').content"
    assert changed.first.evaluate(f"e => {sign}") == '"● "'
    moment(screen, run, "deliver", "a", 1)
    expect(cell(screen, "a", "name")).to_have_text("'a:2'")


DATA = "cells => cells.map(cell => ({...cell.dataset}))"


def test_a_cell_tells_its_whole_value_to_the_mouse_and_to_the_keyboard(
    show_state: Open, run: Trace
) -> None:
    screen = show_state(run, values=Values(run).saved(0))
    said = screen.page.locator(".cl-whole")
    cell(screen, "a", "name").hover()
    expect(said).to_contain_text("a.name = 'a:2'; was 'a:1' until event")
    cell(screen, "a", "name").focus()
    screen.page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("b.name = 'b:3'")
    for _ in range(3):
        screen.page.keyboard.press("ArrowDown")
    expect(said).to_contain_text("b.lines 2: Line(epoch=2, text='b:2')")
    expect(screen.page.locator(".cl-scroll [tabindex='0']")).to_have_count(1)


def test_values_stay_text(show_state: Open) -> None:
    trace = Trace(servers=[EVIL])
    trace.append(0, EVIL, "start", {})
    trace.append(1, EVIL, "deliver", {"src": "t", "msg": Write(1, EVIL)})
    trace.nodes = (Scribe(EVIL),)
    screen = show_state(trace, values=Values(trace).saved(0))
    expect(screen.page.locator(".cl-fields td[data-field=name]")).to_have_text(f"'{EVIL}'")
    screen.page.locator(".cl-log td[data-index]").hover()
    expect(screen.page.locator(".cl-whole")).to_contain_text(EVIL)
    expect(screen.page.locator("img")).to_have_count(0)


# ---- logs ----------------------------------------------------------------------------------------


def test_logs_are_rows_of_numbered_cells_with_their_marks(show_state: Open, run: Trace) -> None:
    screen = show_state(run, values=Values(run).saved(0))
    assert entries(screen, "a") == ["1", "2"]
    assert entries(screen, "b") == ["1", "2", "3"]
    row = screen.page.locator('.cl-log tr[data-node="a"]')
    expect(row.locator(".cl-marks")).to_have_text("sealed 1read 1")
    marks = [one.get("marks") for one in row.locator("td[data-index]").evaluate_all(DATA)]
    assert marks == ["12", None, None]
    grounds = row.locator("td[data-index]").evaluate_all(
        "cells => cells.map(cell => cell.style.background)"
    )
    assert len(set(grounds[:2])) == 2


def test_of_a_long_log_the_newest_entries_are_shown(show_state: Open) -> None:
    trace = Trace(servers=["a"])
    trace.append(0, "a", "start", {})
    for number in range(300):
        trace.append(number, "a", "deliver", {"src": "t", "msg": Write(number % 9, str(number))})
    trace.nodes = (Scribe("a"),)
    screen = show_state(trace, values=Values(trace).saved(250))
    last = screen.page.locator(".cl-log td[data-index]").last
    expect(last).to_have_attribute("data-index", "300")
    expect(last).to_have_attribute("title", "Line(epoch=2, text='299')")
    assert 6 <= len(entries(screen, "a")) < 40
    expect(screen.page.locator(".cl-log caption")).to_contain_text("from entry")


# ---- comparing -----------------------------------------------------------------------------------


def test_two_nodes_are_compared(show_state: Open, run: Trace) -> None:
    screen = show_state(run, values=Values(run).saved(0))
    screen.page.locator("[data-do=compare]").select_option("a")
    screen.wait(300)
    differing = screen.page.locator(".cl-fields td[data-differs]").evaluate_all(DATA)
    assert {(one["node"], one["field"]) for one in differing} >= {("b", "name"), ("b", "heard")}
    assert not [one for one in differing if one["node"] == "a"]
    logs = screen.page.locator(".cl-log td[data-differs]").evaluate_all(DATA)
    assert [one["index"] for one in logs] == ["1", "2", "3"]


def test_a_moment_is_pinned_and_compared_with_a_later_one(show_state: Open, run: Trace) -> None:
    screen = show_state(run, values=Values(run).saved(0))
    moment(screen, run, "deliver", "a", 0)
    screen.page.locator("[data-do=pin]").click()
    moment(screen, run, "deliver", "a", 1)
    expect(cell(screen, "a", "name")).to_have_attribute("data-differs", "")
    cell(screen, "a", "name").hover()
    expect(screen.page.locator(".cl-whole")).to_contain_text("differs from 'a:1'")
    expect(screen.page.locator(".cl-statenote")).to_contain_text("Compared with")
    moment(screen, run, "deliver", "a", 0)
    expect(cell(screen, "a", "name")).not_to_have_attribute("data-differs", "")


# ---- where the values come from ------------------------------------------------------------------


def answer(screen: Screen, values: Values) -> list[dict[str, Any]]:
    """What was asked of the kernel, answered by it."""
    asked = [one for one in screen.sent if one["do"] == "values"]
    for one in asked:
        found = values.window(one["from"], one["until"], base=not one["onwards"])
        screen.tell({"type": "values", "to": one["view"], **found})
    screen.wait(400)
    return asked


def test_the_kernel_is_asked_once_the_panel_opens(show_state: Open, run: Trace) -> None:
    screen = show_state(run)
    expect(screen.page.locator(".cl-statenote")).to_have_text("Asking the kernel …")
    (asked,) = answer(screen, Values(run))
    assert asked["from"] == 0
    expect(cell(screen, "a", "name")).to_have_text("'a:2'")
    assert answer(screen, Values(run)) == [], "it has them all"


def test_a_live_cluster_is_asked_on_and_on(show_state: Open) -> None:
    cluster = Simulation([Scribe("a"), Teller("t", to=("a",))], seed=1)
    values = Values(cluster.trace)
    screen = show_state(cluster.trace, live=True)
    answer(screen, values)
    expect(cell(screen, "a", "name")).to_have_text("'nobody'")
    begin = len(cluster.trace)
    cluster.run(300)
    screen.tell_events(cluster.trace.events[begin:], cluster.now_ms)
    asked = answer(screen, values)
    assert [one["onwards"] for one in asked] == [True]
    expect(cell(screen, "a", "name")).to_have_text("'a:2'")
    assert entries(screen, "a") == ["1", "2"]


def test_a_run_without_its_nodes_says_how_to_see_more(show_state: Open, run: Trace) -> None:
    bare = Trace(**run.meta)
    bare.events = run.events
    screen = show_state(bare, values=Values(bare).saved(0))
    expect(cell(screen, "a", "name")).to_have_text("'a:2'")
    expect(cell(screen, "a", "heard")).to_have_count(0)
    expect(screen.page.locator(".cl-statenote")).to_contain_text("show(trace, nodes=...)")
