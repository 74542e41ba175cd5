"""Lab 00 as a learner meets it: opened in JupyterLab, run, and clicked through."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.labs.jupyter import (
    browser_page,
    lab_server,
    run_all,
    run_cell,
    scroll_to,
    take_copy,
    wait_until_idle,
)
from tests.processes import MARK, started_by

LIMIT_MS = 60_000


def nodes(page: Page, **attributes: str):
    """The nodes of the picture with these attributes: role, health."""
    having = "".join(f'[data-{name}="{value}"]' for name, value in attributes.items())
    return page.locator(f'.clusterlab-view [data-node^="n"]{having}')


def ray_processes() -> list[psutil.Process]:
    """The processes of Ray, nodes among them, that this session started."""
    found = []
    for process in started_by(os.environ[MARK]):
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if re.search(r"ray::|raylet|gcs_server|ray/_private|ray/dashboard", command):
            found.append(process)
    return found


@pytest.fixture
def open_lab(tmp_path: Path, browser_path: str) -> Iterator[Callable[[str], Page]]:
    """Opens lab 00 with the given engine; everything ends with the test."""
    closing = []

    def open_with(engine: str) -> Page:
        server = lab_server(take_copy(tmp_path, "00", engine))
        url, _ = server.__enter__()
        closing.append(server)
        browser = browser_page(browser_path)
        page = browser.__enter__()
        closing.append(browser)
        page.goto(url)
        page.locator(".jp-Notebook").wait_for(timeout=LIMIT_MS)
        expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=LIMIT_MS)
        return page

    yield open_with
    while closing:
        closing.pop().__exit__(None, None, None)


def see_the_picture(page: Page) -> None:
    scroll_to(page, 0)
    page.locator(".clusterlab-view").first.scroll_into_view_if_needed(timeout=LIMIT_MS)


def run_the_lab_and_break_it(page: Page, new_pid: Callable[[str], int | None]) -> None:
    """Run all cells; kill the leader with a click; cut and heal with buttons; count the writes."""
    run_all(page)
    page.wait_for_timeout(200)
    scroll_to(page, 0)
    # The picture lives while cells still run.
    expect(nodes(page)).to_have_count(5, timeout=LIMIT_MS)
    expect(nodes(page, role="leader").first).to_be_visible(timeout=LIMIT_MS)
    wait_until_idle(page)

    assert run_cell(page, "lost_writes(cluster)") == "[]"
    see_the_picture(page)
    expect(nodes(page, health="up")).to_have_count(5, timeout=LIMIT_MS)
    expect(nodes(page, role="leader")).to_have_count(1, timeout=LIMIT_MS)

    # A click on the leader kills its process.
    leader = nodes(page, role="leader").get_attribute("data-node")
    assert leader is not None
    pid = new_pid(leader)
    see_the_picture(page)
    nodes(page, role="leader").click()
    expect(page.locator(f'[data-node="{leader}"]')).to_have_attribute(
        "data-health", "dead", timeout=LIMIT_MS
    )
    if pid is not None:
        _, alive = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], 5)
        assert not alive
    successor = page.locator(
        f'.clusterlab-view [data-node^="n"][data-role="leader"]:not([data-node="{leader}"])'
    )
    expect(successor).to_have_count(1, timeout=LIMIT_MS)
    assert run_cell(page, "lost_writes(cluster)") == "[]"

    # A second click brings it back.
    see_the_picture(page)
    page.locator(f'[data-node="{leader}"]').click()
    expect(nodes(page, health="up")).to_have_count(5, timeout=LIMIT_MS)

    # The network is cut with the leader among the two: the three elect their own.
    old = nodes(page, role="leader").first.get_attribute("data-node")
    page.locator('.clusterlab-view [data-do="partition"][data-side="minority"]').click()
    other = page.locator(
        f'.clusterlab-view [data-node^="n"][data-role="leader"]:not([data-node="{old}"])'
    )
    expect(other).to_have_count(1, timeout=LIMIT_MS)
    page.locator('.clusterlab-view [data-do="heal"]').click()
    expect(nodes(page, role="leader")).to_have_count(1, timeout=LIMIT_MS)
    writes = 'len([op for op in cluster.history.ok() if op.client == "writer"]) > 10'
    assert run_cell(page, writes) == "True"
    assert run_cell(page, "lost_writes(cluster)") == "[]"


def restart_kernel(page: Page) -> None:
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
    page.locator(".jp-Dialog button.jp-mod-accept").click()


@pytest.mark.ray
@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_click_kills_a_live_leader_and_no_write_is_lost(open_lab):
    page = open_lab("live")
    run_the_lab_and_break_it(page, lambda node: int(run_cell(page, f'cluster.pid("{node}")')))

    # A kernel restart ends every process of the cluster.
    running = ray_processes()
    assert len(running) > 5
    restart_kernel(page)
    _, alive = psutil.wait_procs(running, timeout=30)
    assert not alive, [" ".join(p.cmdline())[:100] for p in alive]
    assert not ray_processes()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_lab_runs_on_the_simulator(open_lab):
    run_the_lab_and_break_it(open_lab("sim"), lambda node: None)
