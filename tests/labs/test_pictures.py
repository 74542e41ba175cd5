"""The picture as it is used: a live cluster in JupyterLab, broken by hand, looked back at, saved.

In both themes, and what axe says of them.
"""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.labs.jupyter import browser_page, lab_server, run_cell
from tests.labs.on_screen import LIMIT_MS, Picture, choose_theme, open_notebook, write_lab
from tests.views.test_accessibility import complaints

pytestmark = [pytest.mark.ray, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

IMPORTS = "from clusterlab import Client, Cluster, Network, Raft, counting_writes, watch"
START = """
cluster = Cluster(Raft.group(5), engine="live", speed=0.5, network=Network(delay_ms=(10, 30)))
work = counting_writes("w")
cluster.add_client(Client("c1", servers=cluster.servers, workload=work, every_ms=100, retry_ms=200))
view = watch(cluster)
view
"""
# What a server received, and what made it write something down: seen in the window, and hit there.
TELLING_EVENT = """view.tape.view?.records
  .filter(r => r.kind === "save" && r.cause !== null).map(r => view.timeline.find(r.cause))
  .findLast(r => r?.kind === "deliver"
    && view.tape.at(...view.tape.placeOf(view.tape.view, r))?.seq === r.seq)?.seq"""
WRITTEN = "view.timeline.records.filter(r => r.kind === 'return' && r.data.outcome === 'ok')"


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory, browser_path: str) -> Iterator[Page]:
    """JupyterLab in a browser, with a notebook that has imported the vocabulary."""
    folder = write_lab(tmp_path_factory.mktemp("pictures"), IMPORTS)
    with lab_server(folder) as (url, _), browser_page(browser_path) as page:
        open_notebook(page, url)
        yield page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_live_cluster_is_broken_by_hand_looked_back_at_and_saved(
    jupyter: Page, scheme: str, tmp_path: Path
) -> None:
    choose_theme(jupyter, scheme)
    picture = Picture.of(jupyter, START)
    picture.wait_for("view.theme?.dark === given", scheme == "dark")
    watch_a_commit(picture)
    kill_the_leader(picture)
    sides = partition_by_a_line(picture)
    look_back_and_at_a_cause(picture)
    assert complaints(jupyter, ".clusterlab-view") == []
    resume_and_heal(picture)

    saved = tmp_path / "run.html"
    run_cell(jupyter, f"view.save_html({str(saved)!r})")
    drawn = run_cell(jupyter, "[e.data['groups'] for e in cluster.trace.of('partition')]")
    assert [sorted(map(sorted, groups)) for groups in literal_eval(drawn)] == [sides]
    run_cell(jupyter, "cluster.stop(); 1")
    browser = jupyter.context.browser
    assert browser is not None
    play_without_a_network(browser, saved, scheme)


def watch_a_commit(picture: Picture) -> None:
    """Somebody wears the crown, and what the client writes is acknowledged."""
    expect(picture.servers(role="leader")).to_have_count(1, timeout=LIMIT_MS)
    expect(picture[".cl-tag.cl-client"]).to_contain_text("✓ Put(", timeout=LIMIT_MS)


def kill_the_leader(picture: Picture) -> None:
    """A click ends its process; another leads, and writes go on; a second click brings it back."""
    asked = "{node: cluster.pid(node) for node in cluster.servers}"
    pids = literal_eval(run_cell(picture.page, asked))
    picture.look()
    leader = picture.servers(role="leader").first.get_attribute("data-node")
    assert leader is not None
    pid = pids[leader]
    assert psutil.pid_exists(pid)
    picture.node(leader).click()
    expect(picture.node(leader)).to_have_attribute("data-health", "dead", timeout=LIMIT_MS)
    _, alive = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], 10)
    assert not alive
    expect(picture.servers(role="leader")).to_have_count(1, timeout=LIMIT_MS)
    assert picture.servers(role="leader").get_attribute("data-node") != leader
    picture.node(leader).click()
    expect(picture.servers(health="up")).to_have_count(5, timeout=LIMIT_MS)


def partition_by_a_line(picture: Picture) -> list[list[str]]:
    """The leader and its neighbour on one side of the line: the three elect another."""
    expect(picture.servers(role="leader")).to_have_count(1, timeout=LIMIT_MS)
    servers = picture.js("view.model.servers")
    old = servers.index(picture.servers(role="leader").first.get_attribute("data-node"))
    few = [servers[old], servers[(old + 1) % len(servers)]]
    picture.cut_off(few)
    picture.wait_for("view.model.groups.length === 2")
    groups = picture.js("view.model.groups.map(g => g.filter(n => view.model.servers.includes(n)))")
    sides = sorted(map(sorted, groups))
    assert sides == sorted([sorted(few), sorted(set(servers) - set(few))])
    leads = "view.model.nodes.get(name).role === 'leader'"
    picture.wait_for(f"view.model.servers.some(name => !given.includes(name) && {leads})", few)
    return sorted(map(sorted, picture.js("view.model.groups")))


def look_back_and_at_a_cause(picture: Picture) -> None:
    """The cursor stays in the past while the cluster goes on; an event there has a past too."""
    share = f"({WRITTEN}[0].at_ms - view.clock.from) / (view.clock.to - view.clock.from)"
    picture[".cl-slider"].fill(str(1000 * picture.js(share)))
    expect(picture["[data-do=live]"]).to_have_attribute("aria-pressed", "false")
    there, heard = picture.js("[view.cursor.atMs, view.timeline.records.length]")
    picture.wait_for("view.timeline.records.length > given + 50", heard)
    assert picture.js("view.cursor.atMs") == there < picture.js("view.clock.to")

    seq = picture.wait_for(TELLING_EVENT)
    picture.click_event(seq)
    picture.wait_for("view.tape.chosen?.seq === given", seq)
    assert picture.js("view.tape.chosen.before.size") > 0
    expect(picture[".cl-detail"]).to_contain_text("receives")
    expect(picture[".cl-changes dt"]).not_to_have_count(0)


def resume_and_heal(picture: Picture) -> None:
    """Back to the present: one leader again, and writes are acknowledged."""
    picture.press("live")
    expect(picture["[data-do=live]"]).to_have_attribute("aria-pressed", "true")
    picture.wait_for("view.clock.following && view.model.groups.length === 2")
    picture.press("heal")
    picture.wait_for("view.model.groups.length === 0")
    expect(picture.servers(role="leader")).to_have_count(1, timeout=LIMIT_MS)
    written = f"{WRITTEN}.length"
    picture.wait_for(f"{written} > given", picture.js(written))


def play_without_a_network(browser: Browser, saved: Path, scheme: str) -> None:
    """The saved page alone: it plays, it asks nobody for anything, and axe is content."""
    context = browser.new_context(offline=True, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    requests: list[str] = []
    troubles: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.goto(saved.as_uri())
    picture = Picture(page)
    expect(picture.servers()).to_have_count(5)
    picture.wait_for("view.clock.playing && view.cursor.atMs > view.clock.from")
    picture.press("play")
    expect(picture["[data-do=play]"]).to_have_text("Play")
    picture[".cl-slider"].fill("500")
    middle = picture.js("view.cursor.atMs")
    expect(picture.node("n1")).to_be_visible()
    assert complaints(page) == []
    picture.press("play")
    picture.wait_for("view.cursor.atMs > given", middle)
    context.close()
    assert requests == [saved.as_uri()]
    assert troubles == []
