from __future__ import annotations

import xml.etree.ElementTree as ET
from math import dist

import pytest

from clusterlab.core.faults import Link
from clusterlab.core.trace import Trace
from clusterlab.views.layout import lay_out, order_for
from clusterlab.views.palette import for_browser, role_look
from clusterlab.views.picture import HEIGHT, WIDTH, element, picture
from clusterlab.views.state import State
from tests.views.conftest import FIVE, Alarm, Hello, Story

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<img src=x onerror=alert(1)>\"'&]]>"


def drawn(trace: Trace) -> ET.Element:
    return ET.fromstring(picture(State.of(trace)))


def texts(svg: ET.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def test_five_nodes_with_role_label_and_crown(story: Story) -> None:
    story.shows("n2", "leader", 3, "2 done")
    story.add("n2", "set_timer", timer=Alarm(), after_ms=100.0)
    svg = drawn(story.trace)
    nodes = [g for g in svg.iter(f"{SVG}g") if g.get("class") == "node"]
    assert [node.get("data-node") for node in nodes] == list(FIVE)
    assert {"leader · epoch 3", "2 done"} <= set(texts(svg))
    assert svg.get("aria-label") == "Five nodes at 0 ms: n2 leads in epoch 3."
    assert [c for c in svg.iter(f"{SVG}circle") if c.get("class") == "timer"]


def test_an_epoch_that_the_label_tells_is_not_told_twice(story: Story) -> None:
    story.shows("n1", "leader", 3, "view 3 · 7 done")
    story.shows("n2", "leader", 3, "3 done")
    words = texts(drawn(story.trace))
    assert "leader" in words
    assert "leader · epoch 3" in words


def test_text_from_a_trace_is_never_markup() -> None:
    story = Story([HOSTILE, "n2"], (f"c{HOSTILE}",))
    story.shows(HOSTILE, HOSTILE, 1, HOSTILE)
    story.send("n2", HOSTILE, HOSTILE)
    svg = drawn(story.trace)
    assert {part.tag.removeprefix(SVG) for part in svg.iter()} <= {
        "svg", "title", "rect", "path", "g", "circle", "polygon", "text",
    }  # fmt: skip
    assert any(HOSTILE[:20] in text for text in texts(svg))
    assert all(not name.startswith("on") for part in svg.iter() for name in part.attrib)


def test_faults_are_drawn(story: Story) -> None:
    story.add("n1", "kill", effects=None)
    story.add("n2", "pause")
    story.add("n3", "isolate")
    story.add(None, "partition", groups=(("n1", "n2"), ("n3", "n4", "n5")))
    story.add(None, "link", **Link("n1", "n2", block=True).data())
    story.send("n4", "n5", Hello())
    svg = drawn(story.trace)
    words = texts(svg)
    assert {"dead", "paused", "isolated"} <= set(words)
    classes = [part.get("class") for part in svg.iter()]
    assert classes.count("wall") == 1
    assert classes.count("message") == 1
    assert any(path.get("stroke") == "#d55e00" for path in svg.iter(f"{SVG}path"))


@pytest.mark.parametrize("count", [1, 2, 5, 12, 50])
def test_every_node_finds_room(count: int) -> None:
    names = [f"n{i}" for i in range(count)]
    layout = lay_out(names, (), WIDTH, HEIGHT)
    places = list(layout.places.values())
    assert len(places) == count
    for i, (x, y) in enumerate(places):
        assert layout.radius < x < WIDTH - layout.radius
        assert layout.radius < y < HEIGHT - layout.radius
        assert all(dist((x, y), other) > 2 * layout.radius for other in places[i + 1 :])
    ET.fromstring(picture(State(names)))


def test_a_partition_brings_each_side_together_and_moves_little() -> None:
    groups = (("n1", "n3"), ("n2", "n4", "n5"))
    assert order_for(FIVE, groups) == [["n3", "n1"], ["n4", "n5", "n2"]] or all(
        sorted(side) in [sorted(g) for g in groups] for side in order_for(FIVE, groups)
    )
    whole = lay_out(FIVE, (), WIDTH, HEIGHT)
    cut = lay_out(FIVE, (("n1", "n2"), ("n3", "n4", "n5")), WIDTH, HEIGHT)
    assert len(cut.walls) == 1
    assert all(dist(whole.places[n], cut.places[n]) < 90 for n in FIVE)
    (start, _, end) = cut.walls[0]
    sides = [_side(start, end, cut.places[name]) for name in FIVE]
    assert len(set(sides[:2])) == len(set(sides[2:])) == 1
    assert sides[0] != sides[2], "the wall stands between the sides"


def _side(a: tuple[float, float], b: tuple[float, float], p: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (p[1] - a[1]) > (b[1] - a[1]) * (p[0] - a[0])


def test_three_sides_have_three_walls() -> None:
    layout = lay_out(FIVE, (("n1",), ("n2", "n3"), ("n4", "n5")), WIDTH, HEIGHT)
    assert len(layout.walls) == 3


def test_the_order_of_a_side_begins_after_its_largest_gap() -> None:
    assert order_for(FIVE, (("n2", "n3"), ("n1", "n4", "n5"))) == [
        ["n2", "n3"],
        ["n4", "n5", "n1"],
    ]


def test_roles_take_their_looks_in_order_and_the_leader_its_own() -> None:
    roles = ["a", "leader", "b"]
    looks = [role_look(role, roles) for role in ("a", "b", "leader", None)]
    assert len({look.colour for look in looks}) == 4
    assert looks[2].colour == "#E69F00"
    browser = for_browser()
    assert browser["leaderRole"] == "leader"


def test_attributes_are_quoted() -> None:
    made = element("g", data_node='a"b<c', class_="x", opacity=None, r=1.256)
    assert ET.fromstring(made).attrib == {"data-node": 'a"b<c', "class": "x", "r": "1.26"}
