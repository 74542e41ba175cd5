"""Where nodes stand: line, tree, regions, force; and the walls between nodes that do not move."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from math import dist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlab.core.errors import ScenarioError, UnknownNode
from clusterlab.core.faults import Link
from clusterlab.views.layout import lay_out, voronoi
from clusterlab.views.layouts import LayoutName, arrange, arrangements
from clusterlab.views.picture import HEIGHT, WIDTH, picture
from clusterlab.views.state import State
from tests.views.conftest import FIVE, Hello, Story

REGIONS = {"eu": ["n1", "n2"], "us <img>": ["n3", "n4", "n5"]}


def names(count: int) -> list[str]:
    return [f"n{i}" for i in range(1, count + 1)]


@pytest.mark.parametrize("layout", ["line", "tree", "force"])
@pytest.mark.parametrize("count", [1, 2, 5, 12, 50])
def test_every_node_finds_room_in_every_layout(layout: str, count: int) -> None:
    laid = lay_out(names(count), (), WIDTH, HEIGHT, arrange(layout, names(count)))
    places = list(laid.places.values())
    assert len(places) == count
    for i, (x, y) in enumerate(places):
        assert laid.radius < x < WIDTH - laid.radius
        assert laid.radius < y < HEIGHT - laid.radius
        assert all(dist((x, y), other) > 2 * laid.radius for other in places[i + 1 :])


def test_the_nodes_of_a_region_stand_within_its_box() -> None:
    laid = lay_out(FIVE, (), WIDTH, HEIGHT, arrange(REGIONS, FIVE))
    for box, nodes in zip(laid.boxes, REGIONS.values(), strict=True):
        for x, y in (laid.places[name] for name in nodes):
            assert box.x + laid.radius < x < box.x + box.width - laid.radius
            assert box.y + laid.radius < y < box.y + box.height - laid.radius


def test_a_tree_is_the_heap_of_its_nodes() -> None:
    laid = arrange("tree", names(7))
    assert laid is not None
    heights = [laid.places[name][1] for name in names(7)]
    assert heights[0] < heights[1] == heights[2] < heights[3] == heights[6]


def test_who_talk_to_each_other_stand_near() -> None:
    story = Story()
    for _ in range(20):
        story.send("n1", "n2", Hello())
        story.send("n4", "n5", Hello())
    laid = arrange("force", FIVE, story.trace)
    assert laid is not None
    at = laid.places
    far = [dist(at[a], at[b]) for a in ("n1", "n2") for b in ("n4", "n5")]
    assert max(dist(at["n1"], at["n2"]), dist(at["n4"], at["n5"])) < min(far)


@pytest.mark.parametrize(
    ("layout", "error", "words"),
    [
        ("circle", ScenarioError, "there is no layout 'circle'; there are ring, line, tree, force"),
        ({"eu": ["n1"]}, ScenarioError, "no region has n2, n3, n4, n5: put every node into one"),
        ({"eu": [*FIVE, "n9"]}, UnknownNode, "there is no node 'n9'"),
        ({"eu": FIVE, "us": ["n1"]}, ScenarioError, "n1 stands in two regions"),
    ],
)
def test_what_cannot_be_laid_out_is_told(
    layout: LayoutName, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        arrange(layout, FIVE)


def test_the_browser_can_choose_among_all_and_begins_with_the_one_asked_for() -> None:
    given = arrangements(REGIONS, FIVE)
    assert given["layout"] == "regions"
    assert [one["name"] for one in given["layouts"]] == ["line", "tree", "force", "regions"]
    assert arrangements("ring", FIVE)["layout"] == "ring"


spots = st.tuples(st.integers(20, WIDTH - 20), st.integers(20, HEIGHT - 20))


@given(st.lists(spots, min_size=2, max_size=7, unique=True), st.data())
def test_walls_part_the_sides_and_keep_clear_of_nodes(
    points: list[tuple[int, int]], data: st.DataObject
) -> None:
    places = {f"n{i}": (float(x), float(y)) for i, (x, y) in enumerate(points)}
    side = {name: data.draw(st.integers(0, 1)) for name in places}
    groups = [[name for name in places if side[name] == k] for k in (0, 1)]
    walls = voronoi(places, groups, WIDTH, HEIGHT)
    assert bool(walls) == all(groups)
    for a, b in walls:
        middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        near = sorted(dist(middle, place) for place in places.values())
        by_side = [min(dist(middle, places[name]) for name in group) for group in groups]
        assert by_side[0] == pytest.approx(by_side[1], abs=1e-6), "no side is nearer to its wall"
        assert near[0] == pytest.approx(by_side[0], abs=1e-6)


def test_a_partition_moves_no_node_of_an_arrangement() -> None:
    groups = (("n1", "n3"), ("n2", "n4", "n5"))
    for layout in ("line", "tree", "force"):
        whole = lay_out(FIVE, (), WIDTH, HEIGHT, arrange(layout, FIVE))
        cut = lay_out(FIVE, groups, WIDTH, HEIGHT, arrange(layout, FIVE))
        assert cut.places == whole.places
        assert cut.walls
        assert not whole.walls


def test_marks_are_drawn_in_a_still_picture() -> None:
    story = Story()
    story.add("n1", "save", values={"x": 1})
    story.add("n2", "kill", effects=None)
    story.add("n2", "restart", disk="lose")
    story.add("n3", "skew", offset_ms=-500, rate=1.5)
    story.add(None, "link", **Link("n1", "n2", delay_ms=(200, 400), loss=0.5).data())
    held = story.send("n1", "n3", Hello())
    story.add("n1", "duplicate", cause=held, dst="n3", msg=Hello(), delay_ms=9.0)
    story.add(None, "hold_message", message=held)
    svg = ET.fromstring(picture(State.of(story.trace), REGIONS))
    texts = [part.text or "" for part in svg.iter() if part.tag.endswith("text")]
    assert {"−500 ms ×1.5", "loses 50 %, takes 200 to 400 ms", "us <img>"} <= set(texts)
    classes = [part.get("class") for part in svg.iter()]
    assert (classes.count("disk"), classes.count("region"), classes.count("message")) == (2, 2, 2)
    paths = [part.get("d") or "" for part in svg.iter() if part.tag.endswith("path")]
    assert any(d.startswith("M-10.5") for d in paths), "bars beside the message that is held"
