"""Takes the pictures of the README in a real JupyterLab: `make pictures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from clusterlab.doctor import find_browser
from tests.labs.jupyter import (
    ROOT,
    add_cell,
    browser_page,
    lab_server,
    run_all,
    scroll_to,
    take_copy,
    wait_until_idle,
)
from tests.labs.on_screen import LIMIT_MS, Picture, choose_theme, open_notebook, write_lab

FOLDER = ROOT / ".github"
# Runs of the simulator, the same each time: a cut cluster with a client on either side, and fifty.
RUNS = """
from clusterlab import Client, Cluster, Raft, counting_writes, show
from clusterlab.check.explore import explore
from clusterlab.check.invariants.raft import ELECTION_SAFETY
from clusterlab.lessons.mutants.raft_election import VotesForAll
from clusterlab.views import charts
from clusterlab.views.state_space import state_space
from tests.views.test_finding import two_leaders


def started(count, clients):
    cluster = Cluster(Raft.group(count), engine="sim", seed=7)
    for name in clients:
        work = counting_writes(name)
        made = Client(name, servers=cluster.servers, workload=work, every_ms=80, retry_ms=120)
        cluster.add_client(made)
    cluster.run_until_leader()
    cluster.run(500)
    return cluster


five = started(5, ("c1", "c2"))
cut = five.trace
old = five.leader()
beside, *many = [node for node in five.servers if node != old]
five.partition([old, beside, "c1"], [*many, "c2"])
five.run(900)
fifty = started(50, ("c1",)).trace
"""
CHART = ".js-plotly-plot"


def main() -> int:
    """Write the pictures; exit 1 without a browser."""
    browser = find_browser()
    if browser is None:
        sys.stderr.write("no Chromium or Chrome was found: install one.\n")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        lab = write_lab(Path(folder), RUNS)
        with lab_server(lab) as (url, _), browser_page(browser) as page:
            open_notebook(page, url)
            take_recorded(page)
    with tempfile.TemporaryDirectory() as folder:
        lab = take_copy(Path(folder), "00", "live")
        with lab_server(lab) as (url, _), browser_page(browser) as page:
            take_live(page, url)
    return 0


def take_live(page: Page, url: str) -> None:
    """Lab 00, its network cut with the leader among the two: two leaders, one of them of old."""
    page.goto(url)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=LIMIT_MS)
    run_all(page)
    wait_until_idle(page)
    scroll_to(page, 0)
    view = page.locator(".clusterlab-view").first
    view.scroll_into_view_if_needed()
    page.locator('.clusterlab-view [data-do="partition"][data-side="minority"]').click()
    page.locator('.clusterlab-view [data-role="leader"]').nth(1).wait_for(timeout=LIMIT_MS)
    page.wait_for_timeout(700)  # until there is something to see after the election
    view.screenshot(path=told("lab-00"))


def take_recorded(page: Page) -> None:
    """A counterexample, the state of the nodes, charts, a state space, fifty nodes; in the dark."""
    for scheme in ("light", "dark"):
        choose_theme(page, scheme)
        picture = Picture.of(page, "show(two_leaders())")
        picture.wait_for("view.finding && view.clock.shown > 0")
        picture.root.screenshot(path=told("counterexample", scheme))
        if scheme == "dark":
            return
        take_state(page)
        take_chart(page, "charts.availability(cut, every_ms=150)", "availability")
        search = (
            "explore(VotesForAll.group(2), properties=[ELECTION_SAFETY], timers=2, keep_graph=True)"
        )
        take_chart(page, f"state_space({search})", "state-space")
        picture = Picture.of(page, 'show(fifty, layout="force")')
        middle = "view.history.messages.findLast(m => m.end === 'deliver' && m.dst !== 'c1')"
        picture.js(f"(m => view.goToTime((m.t0 + m.t1) / 2))({middle})")
        picture.wait_for("view.stage.flights.drawn.length > 0")
        picture[".cl-stage"].screenshot(path=told("fifty-nodes"))


def take_state(page: Page) -> None:
    """What each node holds, after the cut: two logs that part."""
    picture = Picture.of(page, "show(cut)")
    picture[".cl-state > summary"].click()
    picture.js("view.seek(1)")
    picture[".cl-log td[data-index]"].first.wait_for(timeout=LIMIT_MS)
    picture[".cl-state"].screenshot(path=told("state"))


def take_chart(page: Page, code: str, name: str) -> None:
    """A chart as plotly draws it."""
    chart = add_cell(page, code).locator(CHART)
    chart.wait_for(timeout=LIMIT_MS)
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(500)  # plotly draws in steps
    chart.screenshot(path=told(name))


def told(name: str, scheme: str = "light") -> Path:
    """The file of a picture; says that it is taken."""
    path = FOLDER / f"{name}{'' if scheme == 'light' else '-dark'}.png"
    sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    sys.stdout.flush()
    return path


if __name__ == "__main__":
    sys.exit(main())
