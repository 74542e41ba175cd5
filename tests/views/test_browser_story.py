"""A counterexample opens at the violation: who contradicts whom is marked, its story is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from clusterlab.check.report import Report
from clusterlab.views import save_html
from clusterlab.views.finding import Finding
from tests.views.test_browser import HOSTILE
from tests.views.test_finding import two_leaders

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def report() -> Report:
    return two_leaders()


def open_at(show_page: Any, report: Report) -> Any:
    assert report.trace is not None
    return show_page(report.trace, finding=Finding.of(report))


def test_the_cursor_is_on_the_violation_and_the_two_are_marked(
    show_page: Any, report: Report
) -> None:
    screen = open_at(show_page, report)
    assert report.trace is not None
    assert screen.js("view.cursor.seq") == len(report.trace) - 1
    for name, marked in (("n1", "true"), ("n2", "false"), ("n3", "true")):
        expect(screen.node(name)).to_have_attribute("data-contradicts", marked)
    expect(screen.button("violation")).to_have_text(
        "So ElectionSafety is violated: n1 and n3 both became leader of term 1."
    )
    expect(screen.button("violation")).to_have_attribute("aria-current", "step")
    screen.js("view.goTo(0)")
    screen.wait(50)
    expect(screen.node("n1")).to_have_attribute("data-contradicts", "false")
    screen.page.get_by_label("what ‹ and › step over").select_option("violation")
    screen.button("step").click()
    assert screen.js("view.anchor") == len(report.trace) - 1


def test_each_sentence_moves_the_cursor_to_its_event(show_page: Any, report: Report) -> None:
    screen = open_at(show_page, report)
    sentences = report.story().sentences
    buttons = screen.page.locator(".cl-sentences .cl-sentence")
    expect(buttons).to_have_text([sentence.text for sentence in sentences])
    for place in (2, 0, len(sentences) - 1):
        buttons.nth(place).click()
        screen.wait(50)
        assert screen.js("view.anchor") == sentences[place].seq
        expect(buttons.and_(screen.page.locator("[aria-current=step]"))).to_have_text(
            [sentences[place].text]
        )


def test_a_saved_counterexample_opens_alike(chromium: Any, report: Report, tmp_path: Path) -> None:
    page = chromium.new_page(offline=True)
    page.goto(save_html(report, tmp_path / "found.html").as_uri())
    expect(page.locator(".cl-verdict")).to_have_attribute("aria-current", "step")
    expect(page.locator('[data-contradicts="true"]')).to_have_count(2)
    assert not page.evaluate("document.querySelector('#clusterlab').clusterView.clock.moving")
    page.close()


def test_its_words_are_text(show_page: Any, report: Report) -> None:
    assert report.trace is not None
    finding = Finding(HOSTILE, HOSTILE, 3, (HOSTILE,), report.story())
    screen = show_page(report.trace, finding=finding)
    expect(screen.page.locator(".cl-storyhead")).to_have_text(HOSTILE)
    expect(screen.page.locator("img")).to_have_count(0)
