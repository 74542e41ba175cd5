"""The picture in a real browser, without a kernel or a network; the test holds the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from clusterlab.core.faults import Link
from clusterlab.core.trace import Trace
from clusterlab.views.records import records_json
from clusterlab.views.state import State
from tests.views.conftest import FIVE, Alarm, Hello, Story, a_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE = "<img src=x onerror=alert(1)>"


# ---- what is drawn -------------------------------------------------------------------------------


def test_five_nodes_are_drawn_with_role_and_health(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    expect(screen.page.locator(".cl-node:not(.cl-client)")).to_have_count(5)
    expect(screen.page.locator(".cl-client.cl-node")).to_have_count(1)
    expect(screen.node("n2")).to_have_attribute("data-role", "leader")
    expect(screen.node("n2")).to_have_attribute("aria-label", "n2: leader · epoch 3; 2 done")
    expect(screen.node("n2").locator(".cl-crown")).to_be_visible()
    expect(screen.node("n1").locator(".cl-crown")).to_be_hidden()
    expect(screen.node("n4")).to_have_attribute("data-health", "dead")
    expect(screen.page.locator(".cl-head", has_text="dead")).to_have_count(1)


def test_roles_differ_in_shape_as_well_as_in_colour(show_page: Any, story: Story) -> None:
    for name, role in zip(FIVE, ("one", "two", "leader", "three", "four"), strict=True):
        story.shows(name, role)
    screen = show_page(story.trace)
    bodies = screen.page.locator(".cl-body").evaluate_all(
        "all => all.map(b => [b.getAttribute('d'), b.style.fill])"
    )
    assert len({shape for shape, _ in bodies}) == len({colour for _, colour in bodies}) == 5


def test_a_message_moves_and_is_named_under_the_pointer(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    screen.js("view.seek(52 / 60)")
    screen.wait(50)
    where = "view.stage.flights.drawn.filter(d => d.m.dst === 'n3').map(d => [d.part, d.x, d.y])[0]"
    before = screen.js(where)
    assert before[0] == pytest.approx(0.1)
    screen.button("play").click()
    screen.wait(100)
    part, x, y = screen.js(where)
    assert part > before[0]
    pixel = screen.js(
        "[...view.stage.flights.canvas.getContext('2d').getImageData(...given, 1, 1).data]",
        [round(x), round(y)],
    )
    assert pixel == [0xD5, 0x5E, 0x00, 255], "the first type of message is vermillion"
    screen.button("play").click()
    stage = screen.page.locator(".cl-stage").bounding_box()
    screen.page.mouse.move(stage["x"] + x, stage["y"] + y)
    screen.wait(50)
    expect(screen.page.locator(".cl-stage .cl-tip")).to_contain_text("n2 → n3")
    expect(screen.page.locator(".cl-stage .cl-tip")).to_contain_text("Hello(text='hi')")


def test_a_lost_message_leaves_a_cross(show_page: Any) -> None:
    story = a_run()
    story.at(400).add("n1", "note", name="end", data=None)
    screen = show_page(story.trace)
    screen.js("view.seek(51 / 400)")
    screen.button("play").click()
    screen.wait(150)
    assert screen.js("view.stage.flights.crosses.length") == 1
    screen.wait(1500)
    assert screen.js("view.stage.flights.crosses.length") == 0


def test_a_flight_too_short_to_be_seen_leaves_a_glow(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    for tick in range(30):
        story.at(tick * 50 + 1)
        story.deliver(story.send("n1", "n2", Hello(), 1.0))
        batch = {"type": "records", "clients": [], "now_ms": tick * 50 + 5}
        screen.tell({**batch, "records": records_json(story.events[-2:])})
        screen.wait(50)
    assert screen.js("view.stage.flights.glows.length") > 0
    x1, y1 = screen.js("view.stage.places.get('n1')")
    x2, y2 = screen.js("view.stage.places.get('n2')")
    line = screen.js(
        "[...view.stage.flights.canvas.getContext('2d').getImageData(...given, 16, 16).data]",
        [round((x1 + x2) / 2) - 8, round((y1 + y2) / 2) - 8],
    )
    assert any(line[3::4]), "between the two the way is drawn"


def test_mail_waits_at_the_door_of_a_paused_node(show_page: Any, story: Story) -> None:
    story.add("n2", "pause")
    for _ in range(30):
        story.send("n1", "n2", Hello(), 10.0)
    story.at(100).add("n1", "note", name="x", data=None)
    screen = show_page(story.trace)
    assert screen.js("view.model.flying.size") == 30
    assert screen.js("view.stage.flights.drawn.length") == 8, "the others are counted, not drawn"


def test_the_diagram_shows_a_message_as_a_slanted_line(show_page: Any) -> None:
    story = Story(("a", "b"))
    sent = story.at(100).send("a", "b", Hello(), 40)
    story.at(140).deliver(sent)
    story.at(200).add("a", "note", name="end", data=None)
    screen = show_page(story.trace)
    middle = screen.js(
        "(() => { const t = view.tape, s = t.inner / t.span, h = t.canvas.clientHeight;"
        " return [74 + (120 - t.right + t.span) * s, 26 + (h - 50) / 2]; })()"
    )
    pixels = screen.js(
        "[...view.tape.canvas.getContext('2d').getImageData(given[0] - 3, given[1], 7, 1).data]",
        [round(part) for part in middle],
    )
    reds = [pixels[i : i + 3] for i in range(0, len(pixels), 4) if pixels[i + 3] > 150]
    assert [0xD5, 0x5E, 0x00] in reds or any(r > 190 and b < 60 for r, _, b in reds)


def test_looking_back_and_returning_to_now(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    expect(screen.button("now")).to_have_count(0)
    screen.page.locator(".cl-tapecanvas").focus()
    screen.js("view.tape.zoomBy(8)")
    screen.wait(50)
    screen.page.keyboard.press("ArrowLeft")
    screen.wait(50)
    assert screen.js("view.tape.right") < 60
    screen.button("now").click()
    screen.wait(50)
    assert screen.js("view.tape.following")
    expect(screen.button("now")).to_have_count(0)


def test_a_partition_is_a_wall_between_its_sides(show_page: Any, story: Story) -> None:
    screen = show_page(story.trace, live=True)
    story.at(5).send("n1", "n3", Hello(), 100.0)
    story.at(10).add(None, "partition", groups=(("n1", "n2"), ("n3", "n4", "n5")))
    screen.tell_events(story.events[5:], 10)
    expect(screen.page.locator(".cl-wall")).to_have_count(1)
    screen.js(
        "(window.stops = [], "
        "view.stage.lost = (_, m) => stops.push([m.stop, view.stage.atWall(m)]))"
    )
    story.at(100).drop(story.send("n2", "n4", Hello(), None), "partition")
    story.at(105).drop(5, "partition")
    screen.tell_events(story.events[7:], 110)
    stops = screen.js("window.stops")
    assert len(stops) == 2
    assert all(stop == wall for stop, wall in stops), "a message gets as far as the wall"
    story.at(200).add(None, "heal")
    screen.tell_events(story.events[-1:], 210)
    expect(screen.page.locator(".cl-wall")).to_have_count(0)


def test_isolated_paused_and_blocked_are_marked(show_page: Any, story: Story) -> None:
    story.add("n1", "isolate")
    story.add("n2", "pause")
    story.add(None, "link", **Link("n3", "n4", block=True).data())
    story.add(None, "link", **Link("n4", "n5", loss=0.5).data())
    screen = show_page(story.trace)
    expect(screen.node("n1").locator(".cl-cage")).to_be_visible()
    expect(screen.node("n2")).to_have_attribute("data-health", "paused")
    assert screen.node("n2").locator(".cl-sign").get_attribute("d")
    expect(screen.page.locator(".cl-link.cl-blocked[data-src=n3][data-dst=n4]")).to_have_count(1)
    expect(screen.page.locator(".cl-link:not(.cl-blocked)[data-src=n4]")).to_have_count(1)


def test_the_timer_arc_is_that_of_the_longest_pending_timer(show_page: Any, story: Story) -> None:
    story.add("n1", "set_timer", timer=Alarm(), after_ms=200.0)
    story.add("n1", "set_timer", timer=Hello("short"), after_ms=50.0)
    screen = show_page(story.trace)
    longest = "view.model.longestTimer(view.model.nodes.get('n1'))"
    assert screen.js(longest)["after"] == 200
    arc = "view.stage.flights.canvas.getContext('2d').getImageData(...given, 1, 1).data[3]"
    x, y = screen.js("view.stage.places.get('n1')")
    radius = screen.js("view.stage.layout.radius") + 6.5
    assert screen.js(arc, [round(x + radius), round(y)]) == 255


@pytest.mark.parametrize("count", [2, 3, 20, 50])
def test_any_number_of_nodes_finds_room(show_page: Any, count: int) -> None:
    names = [f"n{i + 1}" for i in range(count)]
    story = Story(names, clients=("c1", "c2"))
    half = count // 2
    story.add(None, "partition", groups=(tuple(names[:half]), tuple(names[half:])))
    screen = show_page(story.trace)
    places = screen.js("[...view.stage.layout.places.values()]")
    radius, width = screen.js("[view.stage.layout.radius, view.width]")
    assert len(places) == count
    for i, (x, y) in enumerate(places):
        assert radius < x < width - radius
        assert radius < y < 380 - radius
        for ox, oy in places[i + 1 :]:
            assert (x - ox) ** 2 + (y - oy) ** 2 > (2 * radius) ** 2, "two bodies overlap"


def test_names_from_a_trace_are_text(show_page: Any) -> None:
    story = Story([HOSTILE, "n2", "n3"], clients=(f"c{HOSTILE}",))
    story.shows(HOSTILE, HOSTILE, 1, HOSTILE)
    story.add(f"c{HOSTILE}", "invoke", operation=Hello(HOSTILE))
    story.at(5).add(HOSTILE, "note", name=HOSTILE, data=None)
    story.at(10).send("n2", HOSTILE, HOSTILE)
    story.at(11).add("n2", "error", error=HOSTILE)
    screen = show_page(story.trace, live=True)
    screen.tell({"type": "error", "text": HOSTILE})
    screen.node(HOSTILE).hover()
    screen.wait(100)
    expect(screen.page.locator(".cl-head", has_text=HOSTILE[:20])).to_have_count(1)
    expect(screen.page.locator(".cl-legend")).to_contain_text(HOSTILE[:20])
    expect(screen.page.locator(".cl-status")).to_have_text(HOSTILE)
    expect(screen.page.locator(".cl-stage .cl-tip")).to_contain_text(HOSTILE)
    expect(screen.page.locator("img")).to_have_count(0)
    assert screen.page.title() == "A test"


# ---- how it looks to different people ------------------------------------------------------------


def test_dark_and_light(show_page: Any) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        screen = show_page(a_run().trace, color_scheme=scheme)
        root = screen.page.locator(".clusterlab-view")
        grounds[scheme] = root.evaluate("e => getComputedStyle(e).backgroundColor")
        assert screen.js("view.theme.dark") is (scheme == "dark")
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 25, 29)"}


def test_the_theme_of_jupyterlab_comes_first(show_page: Any) -> None:
    screen = show_page(a_run().trace)
    for name, colour in (("--jp-layout-color0", "#111111"), ("--jp-ui-font-color0", "#eeeeee")):
        screen.js("document.documentElement.style.setProperty(...given)", [name, colour])
    screen.wait(1500)
    root = screen.page.locator(".clusterlab-view")
    assert root.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(17, 17, 17)"
    assert screen.js("view.theme.dark") is True


def test_with_reduced_motion_nothing_moves(show_page: Any) -> None:
    screen = show_page(a_run().trace, start="play", reduced_motion="reduce")
    assert screen.js("view.clock.playing") is False, "it does not start by itself"
    screen.js("view.seek(52 / 60)")
    screen.wait(1000)
    seen = "view.stage.flights.drawn.map(d => [Math.round(d.x), Math.round(d.y)])"
    before = screen.js(seen)
    assert len(before) == 2
    screen.button("play").click()
    screen.wait(60)
    assert screen.js(seen)[0] == before[0]
    assert screen.js("view.stage.moves.size") == 0


def test_every_button_has_a_name_and_the_picture_is_described(show_page: Any) -> None:
    screen = show_page(a_run().trace, live=True)
    names = screen.page.locator("button").evaluate_all(
        "all => all.map(b => b.getAttribute('aria-label') || b.textContent.trim())"
    )
    assert names
    assert all(names)
    for role, name in (
        ("region", "picture of a cluster"),
        ("img", "space-time diagram"),
        ("group", "nodes of"),
    ):
        assert screen.page.get_by_role(role, name=name).count() == 1


# ---- Python and JavaScript tell the same state ---------------------------------------------------


def test_the_browser_and_python_agree_on_a_real_run(show_page: Any) -> None:
    trace = a_real_run()
    screen = show_page(trace)
    compare = """(() => { const m = view.model; return {
        nodes: Object.fromEntries([...m.nodes.values()].map(n => [n.name,
            [healthOf(n), n.dead ? null : n.role, n.isolated, n.timers.size, n.client]])),
        groups: m.groups, links: [...m.links.keys()].sort(), flying: [...m.flying.keys()],
        roles: m.roles, types: m.types }; })()""".replace(
        "healthOf(n)", "n.dead ? 'dead' : n.paused ? 'paused' : 'up'"
    )
    for share in (0.21, 0.5, 0.77, 1.0):
        screen.js("view.seek(given)", share)
        done = screen.js("view.cursor.seq")
        state = State(trace.meta["servers"], trace.meta["clients"])
        state.add_all(trace.events[: done + 1])
        seen = screen.js(compare)
        assert seen["nodes"] == {
            n.name: [
                n.health,
                n.role,
                n.isolated is not None,
                0 if n.dead else len(n.timers),
                n.client,
            ]
            for n in state.nodes.values()
        }
        assert seen["groups"] == [list(group) for group in state.groups]
        assert seen["flying"] == list(state.flights)
        assert seen["roles"] == state.roles
        assert seen["types"] == state.types
        assert seen["links"] == sorted(f"{a}\0{b}" for a, b in state.links)


def a_real_run() -> Trace:
    """A replicated store under every fault there is."""
    from clusterlab.protocols.client import Client, counting_writes
    from clusterlab.protocols.raft import Raft
    from clusterlab.sim import Simulation

    sim = Simulation([Raft(name, members=FIVE) for name in FIVE], seed=5)
    sim.add_client(Client("c1", servers=FIVE, workload=counting_writes("x"), every_ms=(20, 60)))
    leader = sim.run_until_leader()
    sim.run(200)
    sim.kill(leader)
    sim.link("n1", "n2", loss=0.5, duplicate=0.5)
    sim.run(500)
    sim.restart(leader, disk="lose")
    sim.pause("n3")
    sim.run(200)
    sim.partition(FIVE[:2], FIVE[2:])
    sim.resume("n3")
    sim.run(400)
    sim.heal()
    sim.skew("n4", rate=1.5)
    sim.isolate("n5")
    sim.link("n2", "n1", block=True)
    sim.run(300)
    return sim.trace


# ---- speed ---------------------------------------------------------------------------------------


def test_two_thousand_events_a_second_leave_time_in_a_frame(show_page: Any, story: Story) -> None:
    """The work of a frame, not frames a second: these depend on what else the machine does."""
    screen = show_page(story.trace, live=True)
    screen.page.clock.resume()
    load = (Path(__file__).parent / "load.js").read_text(encoding="utf-8")
    work = screen.page.evaluate(load, {"events_per_s": 2000, "seconds": 4})
    assert work["messages"] > 2000
    assert work["median_ms"] < 1000 / 60
