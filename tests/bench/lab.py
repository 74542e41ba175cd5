"""From the command to the first leader on the screen, beside JupyterLab with a bare Ray."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from clusterlab.doctor import find_browser
from tests.bench.bare_ray import DIRECTORY, FIVE_EMPTY_ACTORS
from tests.bench.figures import Comparison, Measured, Section, Target
from tests.bench.machine import Plan, family, is_installed, version
from tests.bench.notebook import write_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SECONDS_MAX = 20
LIMIT_MS = 90_000
LAB = "00"
STAGES = ("the server answers", "the kernel is ready", "shown after Run All")
BARE_SAYS = "five actors"


def measure(plan: Plan) -> Section:
    """Open the lab and run all its cells; then a notebook that starts five empty actors."""
    section = Section("Lab 00: from `clusterlab lab --no-browser` to the first leader shown")
    for module in ("ray", "jupyterlab", "playwright"):
        if not is_installed(module):
            section.skipped.append(f"everything: {module} is not installed: run `make setup`.")
            return section
    browser = find_browser()
    if browser is None:
        section.skipped.append("everything: there is no Chromium or Chrome here: install one.")
        return section
    rounds = 1 if plan.quick else 3
    ours: list[list[float]] = []
    bare: list[list[float]] = []
    for number in range(1, rounds + 1):
        where = f"lab, round {number} of {rounds}"
        plan.say(f"{where}: lab {LAB}")
        ours.append(first_leader(browser))
        plan.say(f"{where}: a notebook with a bare Ray")
        bare.append(first_answer(browser))
    name = f"JupyterLab {version('jupyterlab')}, Ray, 5 empty actors"
    target = Target("ours", SECONDS_MAX, at_least=False)
    totals = Measured.of(map(sum, ours)), Measured.of(map(sum, bare))
    section.lines.append(Comparison("all together", "s", totals[0], name, totals[1], target))
    for i, stage in enumerate(STAGES):
        section.lines.append(
            Comparison(
                f"  {stage}",
                "s",
                Measured.of(run[i] for run in ours),
                "likewise",
                Measured.of(run[i] for run in bare),
            )
        )
    section.notes.append(
        "Headless Chromium, started before; Run All Cells is chosen as soon as the kernel is ready."
    )
    section.notes.append("Ours elects its leader at a fifth of its speed, to be watched.")
    return section


def first_leader(browser: str) -> list[float]:
    """Seconds of each stage until the picture shows a leader."""
    from tests.labs.jupyter import take_copy

    with tempfile.TemporaryDirectory() as folder:
        take_copy(Path(folder), LAB, "live")
        return _open(
            browser,
            Path(folder),
            lambda page: page.locator('.clusterlab-view [data-node][data-role="leader"]').first,
        )


def first_answer(browser: str) -> list[float]:
    """Seconds of each stage until five empty actors have answered."""
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory(prefix="bench-ray-", dir="/tmp") as ray_folder,
    ):
        _write_bare_notebook(Path(folder), ray_folder)
        return _open(
            browser,
            Path(folder),
            lambda page: page.locator(".jp-OutputArea-output").get_by_text(BARE_SAYS),
        )


def _write_bare_notebook(folder: Path, ray_folder: str) -> None:
    cell = (
        f"import os\nos.environ[{DIRECTORY!r}] = {ray_folder!r}\n"
        f"{FIVE_EMPTY_ACTORS}\nprint({BARE_SAYS!r})"
    )
    write_notebook(folder, cell, LAB)


def _open(browser: str, folder: Path, shown: Callable[[Page], Locator]) -> list[float]:
    """Open the lab that is in `folder`, run all its cells, and wait until that is shown."""
    from playwright.sync_api import expect

    from tests.labs.jupyter import browser_page, lab_server, run_all, scroll_to

    members: list[psutil.Process] = []
    with browser_page(browser) as page:
        times = [time.monotonic()]
        with lab_server(folder, LAB) as (url, server):
            times.append(time.monotonic())
            page.goto(url)
            page.locator(".jp-Notebook").wait_for(timeout=LIMIT_MS)
            idle = page.get_by_text("Python 3 (ipykernel) | Idle")
            expect(idle).to_be_visible(timeout=LIMIT_MS)
            times.append(time.monotonic())
            run_all(page)
            if shown(page).count() == 0:
                scroll_to(page, 0)
            expect(shown(page)).to_be_visible(timeout=LIMIT_MS)
            times.append(time.monotonic())
            members = family(server.pid)
    psutil.wait_procs(members, timeout=20)  # the next round is to have the machine to itself
    return [b - a for a, b in itertools.pairwise(times)]
