"""The picture in JupyterLab in a browser: frames, latency, opening, scrubbing, a kill by click."""

from __future__ import annotations

import bisect
import itertools
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterlab.doctor import find_browser
from tests.bench.figures import Comparison, Measured, Section, Target
from tests.bench.machine import DeathWatch, Plan, is_installed
from tests.bench.notebook import write_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = Path(__file__).with_suffix(".js")
FRAMES_PER_S, LATENCY_MS, OPEN_S, SCRUB_PER_S, CLICK_MS = 60, 100, 1, 30, 100
NEARLY = 0.98
"""A screen that refreshes 60 times a second is counted as 59 now and then."""
LIMIT_MS = 60_000
RATES = (100, 500, 2000)
LENGTHS = (10_000, 100_000)
Frames = Sequence[tuple[float, int]]


def measure(plan: Plan) -> Section:
    """One JupyterLab; in its kernel one cluster after the other, each with its picture."""
    section = Section("The picture: JupyterLab in headless Chromium")
    for module in ("jupyterlab", "playwright"):
        if not is_installed(module):
            section.skipped.append(f"everything: {module} is not installed: run `make setup`.")
            return section
    browser = find_browser()
    if browser is None:
        section.skipped.append("everything: there is no Chromium or Chrome here: install one.")
        return section
    from tests.labs.jupyter import browser_page, lab_server

    with tempfile.TemporaryDirectory() as name, browser_page(browser) as page:
        folder = Path(name)
        write_notebook(folder, "import clusterlab\nfrom tests.bench import chatter")
        with lab_server(folder) as (url, _):
            _open(page, url)
            for nodes, rate in itertools.product((5, 50), RATES):
                plan.say(f"pictures: {rate} events/s, {nodes} nodes")
                section.lines += _running(page, folder, nodes, rate, 4 if plan.quick else 10)
            for events in LENGTHS:
                plan.say(f"pictures: a recorded run of {events:,} events")
                section.lines += _recorded(page, folder, events, 2 if plan.quick else 5)
            if is_installed("ray"):
                plan.say("pictures: clicks that kill")
                section.lines.append(_killing(page, 2 if plan.quick else 5))
            else:
                section.skipped.append("clicks: Ray is not installed: run `make setup`.")
    section.notes.append(
        "Rendered in software; kernel, server and browser share the machine. Latency: from the "
        "event in the kernel to the end of the frame that shows it."
    )
    return section


def _open(page: Page, url: str) -> None:
    from playwright.sync_api import expect

    from tests.labs.jupyter import run_all

    page.goto(url)
    page.locator(".jp-Notebook").wait_for(timeout=LIMIT_MS)
    idle = page.get_by_text("Python 3 (ipykernel) | Idle")
    expect(idle).to_be_visible(timeout=LIMIT_MS)
    run_all(page)
    page.evaluate(SCRIPT.read_text(encoding="utf-8"))


def _show(page: Page, code: str) -> None:
    """Run a cell at the end of the notebook that shows a picture, and go there."""
    from tests.labs.jupyter import add_cell

    cell = add_cell(page, code)
    picture = cell.locator(".clusterlab-view")
    picture.wait_for(timeout=LIMIT_MS)
    picture.scroll_into_view_if_needed(timeout=LIMIT_MS)
    page.wait_for_function("bench.ready()", timeout=LIMIT_MS)


def _running(page: Page, folder: Path, nodes: int, rate: int, seconds: float) -> list[Comparison]:
    """Frames a second and the latency of events, of a cluster that makes so many events."""
    from tests.labs.jupyter import run_cell

    _show(page, f"watched = chatter.Watched({nodes}, {rate}); watched.view")
    page.wait_for_timeout(3000)  # the picture finds its pace, fifty nodes fill their links
    frames = page.evaluate(f"bench.watch({seconds})")
    flying = page.evaluate("bench.flying()")
    samples = folder / "samples.txt"
    run_cell(page, f"watched.stop({str(samples)!r})")
    delays = latencies(frames, _samples(samples))
    what = f"{nodes} nodes, {rate:,} events/s"
    if flying > 100:
        what += f", {flying:,} messages on their way"
    quick = Target("ours", FRAMES_PER_S * NEARLY, at_least=True)
    soon = Target("ours", LATENCY_MS, at_least=False)
    p95 = statistics.quantiles(delays, n=20)[-1]
    return [
        Comparison(f"{what}: frames", "1/s", _per_second(frames), target=quick),
        Comparison("  event to screen, median", "ms", Measured.of([statistics.median(delays)])),
        Comparison("  event to screen, p95", "ms", Measured.of([p95]), target=soon),
    ]


def latencies(frames: Frames, samples: Frames) -> list[float]:
    """For each event that came onto the screen: ms from when it was made.

    `frames` tells when each frame was drawn and the newest event in it (-1: none), `samples` how
    many events there were at a time.
    """
    counts = [count for _, count in samples]
    delays = []
    for (_, before), (at_ms, newest) in itertools.pairwise(frames):
        for seq in range(before + 1, newest + 1):
            made = bisect.bisect_right(counts, seq)
            if 0 < made < len(samples):
                delays.append(at_ms - samples[made][0])
    return delays


def _samples(path: Path) -> list[tuple[float, int]]:
    rows = (line.split() for line in path.read_text().splitlines())
    return [(float(at_ms), int(count)) for at_ms, count in rows]


def _per_second(frames: Frames) -> Measured:
    took_s = (frames[-1][0] - frames[0][0]) / 1000
    return Measured.of([(len(frames) - 1) / took_s])


def _recorded(page: Page, folder: Path, events: int, seconds: float) -> list[Comparison]:
    """Seconds from `show(trace)` to its first frame, and frames a second while it is scrubbed."""
    from tests.labs.jupyter import run_cell

    asked = folder / "asked.txt"
    made = run_cell(page, f"trace = chatter.trace_of({events}); len(trace)")
    page.evaluate("bench.opening()")
    _show(page, f"view = chatter.opened(trace, {str(asked)!r}); view")
    shown_ms: float = page.evaluate("bench.opened")
    took_s = (shown_ms - float(asked.read_text())) / 1000
    page.wait_for_timeout(500)
    scrubbed: list[Any] = page.evaluate(f"bench.scrub({seconds})")
    run_cell(page, "view.close(); 1")
    soon, smooth = (
        Target("ours", OPEN_S, at_least=False),
        Target("ours", SCRUB_PER_S, at_least=True),
    )
    what = f"a run of {int(made):,} events"
    return [
        Comparison(
            f"{what}: to its first frame",
            "s",
            Measured.of([took_s]),
            target=soon,
        ),
        Comparison("  frames while scrubbing", "1/s", _per_second(scrubbed), target=smooth),
    ]


def _killing(page: Page, kills: int) -> Comparison:
    """Ms from the click on a node to the end of its process."""
    from playwright.sync_api import expect

    from tests.labs.jupyter import run_cell

    run_cell(page, "live = clusterlab.Cluster(clusterlab.Raft.group(5), engine='live'); 1")
    _show(page, "clusterlab.watch(live)")
    page.evaluate("bench.clicks()")
    took = []
    for number in range(kills):
        name = f"n{number % 5 + 1}"
        node = page.locator(f'.clusterlab-view [data-node="{name}"]').last
        expect(node).to_have_attribute("data-health", "up", timeout=LIMIT_MS)
        watch = DeathWatch(int(run_cell(page, f"live.pid('{name}')")))
        node.scroll_into_view_if_needed()
        page.wait_for_timeout(1000)
        wall_ms = (time.time() - time.monotonic()) * 1000
        node.click()
        died_ms = watch.died_s() * 1000 + wall_ms
        took.append(died_ms - page.evaluate("bench.clicked.at(-1)"))
        page.wait_for_timeout(500)
        node.click()  # and it is started again
    run_cell(page, "live.stop(); 1")
    target = Target("ours", CLICK_MS, at_least=False)
    return Comparison(
        "click on a node to the end of its process", "ms", Measured.of(took), target=target
    )
