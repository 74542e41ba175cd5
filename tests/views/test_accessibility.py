"""What axe says of the picture: colours, names, roles, in the light and in the dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterlab.core.trace import Trace
from clusterlab.views.page import page as page_of
from clusterlab.views.page import recorded
from clusterlab.views.values import Values
from tests.views.conftest import a_run
from tests.views.test_browser import a_real_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SERIOUS = ("serious", "critical")


def complaints(page: Any, within: str | None = None) -> list[str]:
    """What axe finds that is serious: the rule, the element and what is wrong with it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=within).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:120]} {node['failureSummary']}"
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a picture in a page whose time is real, since axe waits for it."""
    contexts = []

    def open_it(trace: Trace, scheme: str, **more: Any) -> Any:
        path = tmp_path / "page.html"
        data = {**recorded(trace), "start": "end", **more}
        path.write_text(page_of(data, "A test", ""), encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": 1000, "height": 900}, offline=True, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.goto(path.as_uri())
        page.locator(".cl-node").first.wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_recorded_run_has_no_serious_fault(open_page: Any, scheme: str) -> None:
    page = open_page(a_run().trace, scheme)
    assert complaints(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_running_cluster_has_no_serious_fault(open_page: Any, scheme: str) -> None:
    live = {"live": True, "now_ms": 60.0, "can_pace": True, "speed": 0.05}
    page = open_page(a_run().trace, scheme, **live)
    page.locator('.cl-node[data-node="n1"]').focus()
    page.keyboard.press("Space")
    assert complaints(page) == []


def test_a_button_without_a_name_would_be_found(open_page: Any) -> None:
    page = open_page(a_run().trace, "light")
    page.evaluate(
        "document.querySelector('.clusterlab-view').append(document.createElement('button'))"
    )
    assert any(found.startswith("button-name") for found in complaints(page))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_state_of_the_nodes_has_no_serious_fault(open_page: Any, scheme: str) -> None:
    trace = a_real_run()
    page = open_page(trace, scheme, values=Values(trace).saved(0))
    page.locator(".cl-state > summary").click()
    page.locator("[data-do=compare]").select_option("n1")
    page.locator(".cl-log td[data-index]").first.wait_for()
    assert complaints(page, ".cl-state") == []
