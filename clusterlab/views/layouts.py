"""Arrangements of a cluster's nodes: line, tree, regions, force; the ring is in `layout.py`.

An arrangement is places from 0 to 1, for a picture of any size: computed here, once, for still
pictures and for the browser.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple, TypeAlias

from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import check_name
from clusterlab.core.node import NodeId
from clusterlab.core.trace import Trace
from clusterlab.views.palette import Point

Regions: TypeAlias = Mapping[str, Sequence[NodeId]]
LayoutName: TypeAlias = "str | Regions"

NAMES = ("ring", "line", "tree", "force")
ROUNDS = 80
"""Of the force layout: enough for fifty nodes to come to rest."""
REGION_GAP = 0.04


class Box(NamedTuple):
    """A region: its name and where it is drawn."""

    name: str
    x: float
    y: float
    width: float
    height: float


class Arrangement(NamedTuple):
    """Where nodes stand, from 0 to 1 both ways."""

    name: str
    places: dict[NodeId, Point]
    boxes: tuple[Box, ...] = ()
    bulge: float = 0.0
    """How far the way of a message bends aside, as a share of its length: in a line a straight
    way would lead over other nodes."""

    def for_browser(self) -> dict[str, Any]:
        """The same as JSON."""
        places = {name: [round(x, 4), round(y, 4)] for name, (x, y) in self.places.items()}
        boxes = [[box.name, *(round(v, 4) for v in box[1:])] for box in self.boxes]
        return {"name": self.name, "places": places, "boxes": boxes, "bulge": self.bulge}


def check_layout(layout: LayoutName, servers: Sequence[NodeId]) -> None:
    """Raise ScenarioError, with the mend, unless the nodes can be laid out so."""
    if isinstance(layout, str):
        if layout not in NAMES:
            raise ScenarioError(
                f"there is no layout {layout!r}; there are {', '.join(NAMES)}, and regions as "
                'a dict: layout={"eu": ["n1", "n2"], "us": ["n3"]}.'
            )
        return
    placed = [name for region in layout.values() for name in region]
    for name in placed:
        check_name(name, servers)
    forgotten = [name for name in servers if name not in placed]
    if forgotten:
        raise ScenarioError(
            f"no region has {', '.join(forgotten)}: put every node into one region of the layout."
        )
    twice = [name for name, count in Counter(placed).items() if count > 1]
    if twice:
        raise ScenarioError(f"{twice[0]} stands in two regions: put it into one of them.")


def arrange(
    layout: LayoutName, servers: Sequence[NodeId], trace: Trace | None = None
) -> Arrangement | None:
    """The places of the servers; None for the ring, whose places depend on partitions.

    `trace` tells the force layout who talks to whom.
    """
    check_layout(layout, servers)
    if not isinstance(layout, str):
        return _regions(layout)
    if layout == "line":
        return Arrangement("line", _line(servers), bulge=0.3)
    if layout == "tree":
        return Arrangement("tree", _tree(servers))
    return Arrangement("force", _force(servers, trace)) if layout == "force" else None


def arrangements(
    layout: LayoutName, servers: Sequence[NodeId], trace: Trace | None = None
) -> dict[str, Any]:
    """What the picture in the browser can choose from, and what it shows at first."""
    first = arrange(layout, servers, trace)
    made = {name: arrange(name, servers, trace) for name in NAMES}
    if first is not None:
        made[first.name] = first
    return {
        "layout": "ring" if first is None else first.name,
        "layouts": [one.for_browser() for one in made.values() if one is not None],
    }


def _line(servers: Sequence[NodeId]) -> dict[NodeId, Point]:
    return {name: ((i + 0.5) / len(servers), 0.5) for i, name in enumerate(servers)}


def _tree(servers: Sequence[NodeId]) -> dict[NodeId, Point]:
    """A binary tree in the order of the nodes, as a heap is one; leaves stand evenly."""
    count = len(servers)
    depth = count.bit_length()
    across: dict[int, float] = {}
    leaves = 0

    def place(i: int) -> float:
        nonlocal leaves
        children = [place(child) for child in (2 * i + 1, 2 * i + 2) if child < count]
        if not children:
            leaves += 1
            children = [leaves - 0.5]
        across[i] = sum(children) / len(children)
        return across[i]

    if servers:
        place(0)
    down = [(i + 1).bit_length() - 0.5 for i in range(count)]
    return {name: (across[i] / leaves, down[i] / depth) for i, name in enumerate(servers)}


def _regions(layout: Regions) -> Arrangement:
    """Boxes in one row, or in two if there are many; in each its nodes on a ring, or in rows."""
    names = [name for name, region in layout.items() if region]
    columns = len(names) if len(names) <= 4 else math.ceil(len(names) / 2)
    rows = math.ceil(len(names) / max(columns, 1))
    places: dict[NodeId, Point] = {}
    boxes = []
    for i, name in enumerate(names):
        width, height = 1 / columns - REGION_GAP, 1 / rows - REGION_GAP
        x = (i % columns) / columns + REGION_GAP / 2
        y = (i // columns) / rows + REGION_GAP / 2
        boxes.append(Box(str(name), x, y, width, height))
        for node, (u, v) in zip(layout[name], _inside(len(layout[name])), strict=True):
            places[node] = (x + width * u, y + height * v)
    return Arrangement("regions", places, tuple(boxes))


def _inside(count: int) -> list[Point]:
    """Places in a box: a ring of few, rows of many."""
    if count == 1:
        return [(0.5, 0.5)]
    if count == 2:
        return [(0.3, 0.34), (0.68, 0.74)]
    if count <= 6:
        turns = [2 * math.pi * i / count - math.pi / 2 for i in range(count)]
        return [(0.5 + 0.26 * math.cos(t), 0.54 + 0.3 * math.sin(t)) for t in turns]
    columns = math.ceil(math.sqrt(count / 1.6))
    rows = math.ceil(count / columns)
    return [
        ((i % columns + 0.5) / columns, 0.1 + 0.9 * (i // columns + 0.5) / rows)
        for i in range(count)
    ]


def _force(servers: Sequence[NodeId], trace: Trace | None) -> dict[NodeId, Point]:
    """Who talks to whom stands near: the share of messages is the strength of a spring.

    Fruchterman and Reingold, "Graph Drawing by Force-directed Placement" (1991).
    """
    count = len(servers)
    if count < 2:
        return dict.fromkeys(servers, (0.5, 0.5))
    pull = _traffic(servers, trace)
    best = 1 / math.sqrt(count)
    random = Random(0)
    at = [complex(*point) for point in _line(servers).values()]
    at = [p + complex(0, random.uniform(-0.4, 0.4)) for p in at]
    for step in range(ROUNDS):
        moves = [0j] * count
        for i in range(count):
            for j in range(i):
                apart = at[i] - at[j]
                far = abs(apart) or 1e-6
                strength = best * best / far - pull[i, j] * far * far / best
                moves[i] += apart / far * strength
                moves[j] -= apart / far * strength
        heat = 0.1 * (1 - step / ROUNDS)
        at = [p + m / (abs(m) or 1) * min(abs(m), heat) for p, m in zip(at, moves, strict=True)]
    low = complex(min(p.real for p in at), min(p.imag for p in at))
    wide = max(p.real for p in at) - low.real or 1.0
    high = max(p.imag for p in at) - low.imag or 1.0
    return {
        name: ((p.real - low.real) / wide, (p.imag - low.imag) / high)
        for name, p in zip(servers, at, strict=True)
    }


def _traffic(servers: Sequence[NodeId], trace: Trace | None) -> dict[tuple[int, int], float]:
    """The strength of each spring: 1 between those who talk most, little where nobody talks."""
    index = {name: i for i, name in enumerate(servers)}
    counts: Counter[tuple[int, int]] = Counter()
    for event in trace.of("send") if trace is not None else ():
        a, b = index.get(event.node or ""), index.get(event.data["dst"])
        if a is not None and b is not None:
            counts[max(a, b), min(a, b)] += 1
    most = max(counts.values(), default=0)
    return {
        (i, j): max(0.05, counts[i, j] / most) if most else 1.0
        for i in range(len(servers))
        for j in range(i)
    }
