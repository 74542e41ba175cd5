"""Where things stand in the picture of a cluster; `js/layout.js` computes the same.

On the ring, nodes stand evenly along an ellipse. A partition moves them as little as it can
so that each side stands together, with a gap between the sides for the wall.
In another arrangement (`layouts.py`) nothing moves: a wall stands wherever the nearest node on
one side and the nearest on the other are equally far (an edge of the Voronoi diagram), so it
keeps clear of all nodes and parts the sides however they lie.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from clusterlab.core.node import NodeId
from clusterlab.views.layouts import Arrangement, Box
from clusterlab.views.palette import Point

GAP = 0.8
"""The room for a wall, as a share of the distance between two nodes."""
LABEL_ROOM = 190
"""What is left free on each side for the labels of nodes and for the clients."""
SAMPLES = 720
MARGINS = (110, 62, 110, 52)
"""What an arrangement leaves free at the left, above, at the right and below."""


class Ellipse:
    """An ellipse whose points are found by their share of its length, clockwise from the top."""

    def __init__(self, cx: float, cy: float, rx: float, ry: float) -> None:
        self.cx, self.cy, self.rx, self.ry = cx, cy, rx, ry
        points = [self._at(i / SAMPLES) for i in range(SAMPLES + 1)]
        self._lengths = [0.0]
        for a, b in pairwise(points):
            self._lengths.append(self._lengths[-1] + math.dist(a, b))
        self.length = self._lengths[-1]

    def _at(self, turn: float) -> Point:
        angle = 2 * math.pi * turn - math.pi / 2
        return self.cx + self.rx * math.cos(angle), self.cy + self.ry * math.sin(angle)

    def point(self, share: float) -> Point:
        """The point after this share of the length."""
        wanted = share % 1 * self.length
        i = min(max(bisect(self._lengths, wanted) - 1, 0), SAMPLES - 1)
        low, high = self._lengths[i], self._lengths[i + 1]
        inside = (wanted - low) / (high - low) if high > low else 0.0
        return self._at((i + inside) / SAMPLES)


class Layout(NamedTuple):
    """Places in a picture."""

    places: dict[NodeId, Point]
    radius: float
    walls: list[tuple[Point, ...]]
    """Each a curve (start, control, end), or straight (start, end)."""
    boxes: tuple[Box, ...] = ()
    bulge: float = 0.0
    fixed: bool = False
    """Whether nodes stay where they are during a partition."""


def order_for(servers: Sequence[NodeId], groups: Sequence[Sequence[NodeId]]) -> list[list[NodeId]]:
    """The servers of each side in the order of the ring, the sides by where they begin."""
    index = {name: i for i, name in enumerate(servers)}
    sides = [[index[name] for name in group if name in index] for group in groups]
    turned = sorted(
        (_turn(sorted(side), len(servers)) for side in sides if side), key=lambda s: s[0]
    )
    return [[servers[i] for i in side] for side in turned]


def _turn(side: list[int], count: int) -> list[int]:
    """Let a side begin after its largest gap: of 0, 1, 4 in a ring of five, 4 is the first."""
    gaps = [(side[i] - side[i - 1]) % count or count for i in range(len(side))]
    start = gaps.index(max(gaps))
    return side[start:] + side[:start]


def lay_out(
    servers: Sequence[NodeId],
    groups: Sequence[Sequence[NodeId]],
    width: float,
    height: float,
    arrangement: Arrangement | None = None,
) -> Layout:
    """Places for the servers of a cluster in a picture of this size (px)."""
    if arrangement is not None and all(name in arrangement.places for name in servers):
        return _arranged(arrangement, servers, groups, width, height)
    count = len(servers)
    if count < 2:
        middle = (width / 2, height / 2)
        return Layout(dict.fromkeys(servers, middle), 28, [])
    ry = height / 2 - 62
    stretch = 1.5 if count <= 9 else 2.3
    ring = Ellipse(
        width / 2, height / 2 + 6, max(ry * 0.8, min(width / 2 - LABEL_ROOM, ry * stretch)), ry
    )
    first = 0.75 if count == 2 else 0.0
    home = {name: first + i / count for i, name in enumerate(servers)}
    sides = order_for(servers, groups)
    if len(sides) < 2 or sum(map(len, sides)) != count:
        places = {name: ring.point(home[name]) for name in servers}
        return Layout(places, _radius(ring, count), [])
    total = count + GAP * len(sides)
    at, shares, borders = 0.0, {}, []
    for side in sides:
        for name in side:
            shares[name] = at / total
            at += 1
        borders.append((at - 1 + (1 + GAP) / 2) / total)
        at += GAP
    turn = _mean_turn([home[name] - share for name, share in shares.items()])
    places = {name: ring.point(shares[name] + turn) for name in servers}
    ends = [_beyond(ring, ring.point(border + turn), height) for border in borders]
    return Layout(places, _radius(ring, total), _walls(ring, ends, sides, places))


def _arranged(
    arrangement: Arrangement,
    servers: Sequence[NodeId],
    groups: Sequence[Sequence[NodeId]],
    width: float,
    height: float,
) -> Layout:
    left, top, right, bottom = MARGINS
    wide, high = width - left - right, height - top - bottom
    at = {n: (left + wide * x, top + high * y) for n, (x, y) in arrangement.places.items()}
    places = {name: at[name] for name in servers}
    boxes = tuple(
        # A box has room for the words beside its nodes.
        Box(b.name, left + wide * b.x, top + high * b.y - 24, wide * b.width, high * b.height + 48)
        for b in arrangement.boxes
    )
    points = list(places.values())
    near = min((math.dist(a, b) for i, a in enumerate(points) for b in points[:i]), default=width)
    radius = max(6.0, min(28.0, 0.36 * near - 2))
    walls = voronoi(places, groups, width, height)
    return Layout(places, radius, walls, boxes, arrangement.bulge, fixed=True)


def voronoi(
    places: dict[NodeId, Point], groups: Sequence[Sequence[NodeId]], width: float, height: float
) -> list[tuple[Point, ...]]:
    """The edges of the Voronoi diagram of the nodes that part nodes of different groups."""
    side = {name: i for i, group in enumerate(groups) for name in group}
    names = [name for name in places if name in side]
    walls: list[tuple[Point, ...]] = []
    for i, one in enumerate(names):
        for other in names[:i]:
            if side[one] == side[other]:
                continue
            (ax, ay), (bx, by) = places[one], places[other]
            x, y, dx, dy = (ax + bx) / 2, (ay + by) / 2, ay - by, bx - ax
            # Where along the bisector no other node is nearer than these two, within the picture.
            bounds = [(dx, width - 10 - x), (-dx, x - 10), (dy, height - 10 - y), (-dy, y - 10)]
            for name in names:
                if name not in (one, other):
                    cx, cy = places[name]
                    slope = 2 * (dx * (cx - ax) + dy * (cy - ay))
                    room = cx * cx + cy * cy - ax * ax - ay * ay
                    bounds.append((slope, room - 2 * (x * (cx - ax) + y * (cy - ay))))
            low, high = -math.inf, math.inf
            for slope, room in bounds:  # slope * t <= room
                if slope > 0:
                    high = min(high, room / slope)
                elif slope < 0:
                    low = max(low, room / slope)
                elif room < 0:
                    high = -math.inf
            if low < high:
                walls.append(((x + low * dx, y + low * dy), (x + high * dx, y + high * dy)))
    return walls


def _radius(ring: Ellipse, slots: float) -> float:
    return max(7.0, min(28.0, 0.36 * ring.length / slots - 4))


def _mean_turn(turns: list[float]) -> float:
    """The mean of turns on a circle, where 0.9 and 0.1 are 0.0 in the middle."""
    x = sum(math.cos(2 * math.pi * t) for t in turns)
    y = sum(math.sin(2 * math.pi * t) for t in turns)
    return math.atan2(y, x) / (2 * math.pi)


def _beyond(ring: Ellipse, point: Point, height: float) -> Point:
    """A point outside the ring, within the picture."""
    x = ring.cx + 1.36 * (point[0] - ring.cx)
    y = ring.cy + 1.36 * (point[1] - ring.cy)
    return x, min(max(y, 10.0), height - 10.0)


def _walls(
    ring: Ellipse, ends: list[Point], sides: list[list[NodeId]], places: dict[NodeId, Point]
) -> list[tuple[Point, ...]]:
    if len(sides) > 2:
        return [(end, (ring.cx, ring.cy)) for end in ends]
    middles = []
    for side in sides:
        xs, ys = zip(*(places[name] for name in side), strict=True)
        middles.append((sum(xs) / len(xs), sum(ys) / len(ys)))
    (ax, ay), (bx, by) = middles
    (sx, sy), (ex, ey) = ends
    through = ((ax + bx) / 2, (ay + by) / 2)
    control = (2 * through[0] - (sx + ex) / 2, 2 * through[1] - (sy + ey) / 2)
    return [(ends[0], control, ends[1])]
