"""A real JupyterLab, opened as a learner opens it, in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.labs.notebooks import ROOT, path_of, with_engine

START_LIMIT_S = 60
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def take_copy(folder: Path, lab: str, engine: str) -> Path:
    """A project folder with one lab in it, whose ENGINE is `engine`.

    The simulator is not slowed down to be watched.
    """
    source = path_of("labs", lab)
    target = folder / "labs" / source.parent.name / source.name
    target.parent.mkdir(parents=True)
    notebook = json.loads(source.read_text(encoding="utf-8"))
    changed = with_engine(notebook, engine, hasty=engine == "sim")
    target.write_text(json.dumps(changed), encoding="utf-8")
    return folder


@contextmanager
def lab_server(folder: Path, lab: str = "00") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`clusterlab lab` in `folder`: its address, which has the token in it, and its process."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "clusterlab.cli", "lab", lab, "--no-browser"]
    log = folder / "jupyter.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=out, stderr=out, text=True
        )
    try:
        yield _address(server, log), server
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(home, ignore_errors=True)


def _address(server: subprocess.Popen[str], log: Path) -> str:
    """Where the server listens, from what it says: that is how a learner finds it too."""
    for _ in range(START_LIMIT_S * 10):
        found = re.search(r"http://127\.0\.0\.1:\d+/lab\S*token=\w+", log.read_text())
        if found:
            return found[0]
        try:
            server.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")


@contextmanager
def browser_page(path: str) -> Iterator[Page]:
    """A page of a headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        try:
            yield browser.new_page(viewport={"width": 1400, "height": 1100})
        finally:
            browser.close()


def run_all(page: Page) -> None:
    """Run > Run All Cells, as a learner does."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def scroll_to(page: Page, share: float) -> None:
    """Scroll the notebook: 0 is its top, 1 its end. JupyterLab draws only the cells in sight."""
    page.locator(".jp-Notebook .jp-WindowedPanel-outer").first.evaluate(
        "(panel, share) => { panel.scrollTop = share * panel.scrollHeight; }", share
    )


def wait_until_idle(page: Page, limit_s: float = 120) -> None:
    """Until the last cell has run: its prompt has a number."""
    scroll_to(page, 1)
    last = page.locator(".jp-CodeCell .jp-InputPrompt").last
    expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=limit_s * 1000)


def add_cell(page: Page, code: str) -> Locator:
    """Run code in a new cell at the end."""
    scroll_to(page, 1)
    page.locator(".jp-Cell").last.click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    cell = page.locator(".jp-CodeCell").last
    cell.locator(".cm-content").click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    return cell


def run_cell(page: Page, code: str) -> str:
    """Run one expression in a new cell at the end, and return what it shows."""
    cell = add_cell(page, code)
    output = cell.locator(".jp-OutputArea-executeResult .jp-OutputArea-output")
    output.wait_for(timeout=60_000)
    return output.inner_text().strip()
