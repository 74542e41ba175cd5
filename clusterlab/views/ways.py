"""The ways that messages take in a still picture; `js/ways.js` computes the same.

They lead from edge to edge and keep to the right, so that those of both directions stay apart.
In a line of nodes they bend aside, since a straight way would lead over other nodes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from clusterlab.views.palette import Point

ASIDE = 5.0
BEND_LIMIT = 118.0


class Way(NamedTuple):
    """From start to end; bent towards `bend`, if there is one."""

    start: Point
    end: Point
    bend: Point | None = None

    def point(self, part: float) -> Point:
        """Where one is after this part of the way."""
        (ax, ay), (bx, by), rest = self.start, self.end, 1 - part
        if self.bend is None:
            return ax + (bx - ax) * part, ay + (by - ay) * part
        cx, cy = self.bend
        return (
            rest * rest * ax + 2 * rest * part * cx + part * part * bx,
            rest * rest * ay + 2 * rest * part * cy + part * part * by,
        )

    def turn(self, part: float) -> float:
        """The direction there, in degrees."""
        (ax, ay), (bx, by) = self.point(part - 0.02), self.point(part + 0.02)
        return math.degrees(math.atan2(by - ay, bx - ax))

    def path(self) -> str:
        """The way as SVG path data."""
        bend = "L" if self.bend is None else f"Q{self.bend[0]:.1f} {self.bend[1]:.1f} "
        return f"M{self.start[0]:.1f} {self.start[1]:.1f} {bend}{self.end[0]:.1f} {self.end[1]:.1f}"


def way_between(a: Point, b: Point, gap_a: float, gap_b: float, bulge: float) -> Way:
    """The way from `a` to `b` that leaves so much free at its ends."""
    length = math.dist(a, b) or 1.0
    ux, uy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    if not bulge:
        return Way(
            (a[0] + ux * gap_a - uy * ASIDE, a[1] + uy * gap_a + ux * ASIDE),
            (b[0] - ux * gap_b - uy * ASIDE, b[1] - uy * gap_b + ux * ASIDE),
        )
    bent = 2 * min(bulge * length, BEND_LIMIT)
    bend = ((a[0] + b[0]) / 2 - uy * bent, (a[1] + b[1]) / 2 + ux * bent)
    return Way(_towards(a, bend, gap_a), _towards(b, bend, gap_b), bend)


def _towards(a: Point, b: Point, far: float) -> Point:
    share = far / (math.dist(a, b) or 1.0)
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
