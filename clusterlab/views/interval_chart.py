"""A verdict on a history as a picture: one row a client, a bar an operation, the order as numbers.

A bar runs from the invocation to the return; nobody knows the end of a dashed one. The numbers are
the order that was found, each at a moment inside its bar, and a thread leads through them. What
fits nowhere is hatched and crossed out. Faults are strips at the top, with a shade below.
The form is that of Herlihy & Wing 1990 and of porcupine's and Knossos' pictures.
"""

from __future__ import annotations

import math
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clusterlab.check.verdict import Verdict
from clusterlab.core.errors import TraceError
from clusterlab.views.interval_text import lines_of
from clusterlab.views.intervals import Bar, Chart, Strip, chart_of
from clusterlab.views.picture import (
    BAD,
    FAINT,
    FONT,
    GROUND,
    INK,
    MUTED,
    PALE,
    element,
    shorten,
    text_at,
)

WIDTH, WIDTH_MAX = 960, 1900
GUTTER, MARGIN = 84, 28
LANE, BAR = 46, 15
STRIP = 20
"""The height of a lane with its label, of a bar, of a lane of faults."""
BADGE = 8.5
LETTER = 6.1
"""The width of a letter in a label, about."""
THREAD_MAX = 24
"""Through more numbers a thread is a tangle."""

FILLS = {"placed": "#dcebf7", "because": "#dcebf7", "judged": "#eef1f4", "later": "#f6f7f8"}
STROKES = {"placed": "#0072b2", "because": INK, "judged": PALE, "later": "#cdd2d8", "failed": PALE}
WRONG = "#a34700"
SHADE = "#8a6fb0"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class IntervalChart:
    """The picture of a verdict; made by `show(verdict)`."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._chart = chart_of(verdict)

    def svg(self) -> str:
        """The picture, as an SVG document; of a verdict without a history only the sentence."""
        return _Drawing(self._chart or Chart(self._verdict, [])).svg()

    def text(self) -> str:
        """The same in letters, for where no picture can be."""
        lines = [] if self._chart is None else list(lines_of(self._chart))
        return "\n".join([str(self._verdict), *lines])

    def save_svg(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, and return its path.

        Raises TraceError if the file cannot be written.
        """
        target = Path(path)
        try:
            target.write_text(self.svg(), encoding="utf-8")
        except OSError as error:
            raise TraceError(
                f"cannot write the picture to {target}: {error.strerror}; "
                "name a file in a folder that you can write to."
            ) from error
        return target

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": self.text()}


class _Drawing:
    """Where everything stands."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.labels = chart.labels()
        lanes = [(bar.operation.client, bar.lane) for bar in chart.bars]
        crowd = max((lanes.count(lane) for lane in set(lanes)), default=0)
        self.width = min(WIDTH_MAX, max(WIDTH, GUTTER + MARGIN + 112 * crowd))
        head, dot, rest = _clean(str(chart.verdict)).partition(". ")
        self.head = textwrap.wrap(head + dot, int((self.width - 92) / 7.7))
        self.words = [*self.head, *textwrap.wrap(rest, int((self.width - 92) / 6.9))]
        self.strips = self._strip_lanes()
        top = 40 + 19 * len(self.words)
        self.strip_tops = [top + STRIP * i for i in range(len(self.strips))]
        self.top = top + STRIP * len(self.strips) + 8
        self.lane_tops: dict[tuple[str, int], float] = {}
        y = float(self.top)
        for name, count in chart.rows.items():
            for lane in range(count):
                self.lane_tops[name, lane] = y
                y += LANE
            y += 6
        self.bottom = y
        self.height = y + 64 if chart.bars else top

    def x(self, at_ms: float) -> float:
        """Where a moment is."""
        first, last = self.chart.first_ms, self.chart.last_ms
        share = (at_ms - first) / (last - first)
        return GUTTER + min(max(share, 0.0), 1.0) * (self.width - GUTTER - MARGIN)

    def svg(self) -> str:
        """All of it."""
        words = _clean(str(self.chart.verdict))
        parts = [
            f"<title>{text_of(words)}</title>",
            self._patterns(),
            element("rect", width=self.width, height=self.height, rx=8, fill=GROUND),
            *self._headline(),
        ]
        if self.chart.bars:
            parts += [
                *self._axis(),
                *self._faults(),
                *self._rows(),
                *self._thread(),
                *(part for bar in self.chart.bars for part in self._operation(bar)),
                *self._legend(),
            ]
        return element(
            "svg",
            "\n".join(parts),
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {self.width} {self.height:g}",
            width=self.width,
            height=self.height,
            role="img",
            aria_label=words,
            font_family=FONT,
        )

    def _patterns(self) -> str:
        line = element("path", d="M0 0 V7", stroke=BAD, stroke_width=2.2, stroke_opacity=0.55)
        ground = element("rect", width=7, height=7, fill="#fdf0e6")
        hatch = element(
            "pattern",
            ground + line,
            id="misfit",
            width=7,
            height=7,
            patternUnits="userSpaceOnUse",
            patternTransform="rotate(45)",
        )
        return element("defs", hatch)

    def _headline(self) -> Iterator[str]:
        """The mark of the verdict and its sentence."""
        valid = self.chart.verdict.valid
        colour = {True: "#007a55", False: BAD, None: "#8a6d00"}[valid]
        mark = {
            True: "M-5.5 0.5 L-1.5 4.5 L6 -4.5",
            False: "M-4.5 -4.5 L4.5 4.5 M4.5 -4.5 L-4.5 4.5",
            None: "M-4.5 0 H4.5",
        }[valid]
        inside = element("circle", r=12, fill=colour) + element(
            "path", d=mark, stroke=GROUND, stroke_width=2.6, fill="none", stroke_linecap="round"
        )
        yield element("g", inside, transform=f"translate(36 {33 if len(self.words) == 1 else 38})")
        for i, line in enumerate(self.words):
            yield text_at(60, 38 + 19 * i, line, 13, INK, weight=600 if i < len(self.head) else 400)

    def _axis(self) -> Iterator[str]:
        for at_ms in _ticks(self.chart.first_ms, self.chart.last_ms):
            x = self.x(at_ms)
            yield element(
                "path",
                d=f"M{x:.1f} {self.top} V{self.bottom:.1f}",
                stroke=FAINT,
                stroke_opacity=0.6,
            )
            yield text_at(x, self.bottom + 14, f"{at_ms:,g} ms", 10.5, MUTED, "middle")

    def _strip_lanes(self) -> list[list[Strip]]:
        """Faults that would hide each other stand below one another."""
        lanes: list[list[Strip]] = []
        ends: list[float] = []
        for strip in self.chart.faults:
            x = self.x(strip.start_ms)
            lane = next((i for i, end in enumerate(ends) if end <= x), len(ends))
            if lane == len(ends):
                ends.append(0.0)
                lanes.append([])
            lanes[lane].append(strip)
            stop = self.x(strip.start_ms if strip.end_ms is None else strip.end_ms)
            ends[lane] = max(stop, x + 10 + LETTER * len(strip.words)) + 8
        return lanes

    def _faults(self) -> Iterator[str]:
        if self.strips:
            yield text_at(GUTTER - 14, self.strip_tops[0] + 12, "faults", 11, MUTED, "end")
        for y, strips in zip(self.strip_tops, self.strips, strict=True):
            for strip in strips:
                yield from self._fault(strip, y)

    def _fault(self, strip: Strip, y: float) -> Iterator[str]:
        x = self.x(strip.start_ms)
        end = self.x(strip.start_ms if strip.end_ms is None else strip.end_ms)
        height = self.bottom - y - 7
        edge = {"stroke": SHADE, "stroke_width": 1.2, "stroke_dasharray": "2 4"}
        yield element("path", d=f"M{x:.1f} {y + 7:.1f} v{height:.1f}", **edge)
        if strip.end_ms is not None:
            yield element(
                "rect",
                x=x,
                y=y + 7,
                width=max(end - x, 1.0),
                height=height,
                fill=SHADE,
                fill_opacity=0.06,
            )
            yield element("path", d=f"M{end:.1f} {y + 7:.1f} v{height:.1f}", **edge)
            yield element("rect", x=x, y=y + 1, width=max(end - x, 3.0), height=5, rx=2, fill=SHADE)
        else:
            diamond = f"M{x:.1f} {y - 1:.1f} l4.5 4.5 l-4.5 4.5 l-4.5 -4.5 Z"
            yield element("path", d=diamond, fill=SHADE)
        room = self.width - MARGIN - x
        words = shorten(_clean(strip.words), max(4, int(room / LETTER)))
        yield text_at(x + 4, y + 16, words, 10.5, "#5b4580", weight=600)

    def _rows(self) -> Iterator[str]:
        for i, (name, count) in enumerate(self.chart.rows.items()):
            y = self.lane_tops[name, 0]
            if i:
                yield element(
                    "path",
                    d=f"M18 {y - 3:.1f} H{self.width - 18}",
                    stroke=FAINT,
                    stroke_opacity=0.7,
                )
            middle = y + (LANE * count) / 2 + 6
            short = shorten(_clean(name), 10)
            yield text_at(GUTTER - 14, middle, short, 13, INK, "end", 600)

    def _thread(self) -> Iterator[str]:
        """A line through the numbers, in their order."""
        numbered = sorted(
            (bar for bar in self.chart.bars if bar.style == "placed"), key=lambda b: b.number or 0
        )
        if not 1 < len(numbered) <= THREAD_MAX:
            return
        points = [f"{self._moment(bar):.1f} {self._middle(bar):.1f}" for bar in numbered]
        yield element(
            "path",
            d=f"M{' L'.join(points)}",
            fill="none",
            stroke="#0072b2",
            stroke_opacity=0.35,
            stroke_width=1.4,
        )

    def _moment(self, bar: Bar) -> float:
        """Where its number stands: inside the bar, if that is wide enough."""
        x = self.x(bar.operation.invoked_ms if bar.moment_ms is None else bar.moment_ms)
        left, right = self._ends(bar)
        if right - left < 2 * BADGE:
            return (left + right) / 2
        return min(max(x, left + BADGE), right - BADGE)

    def _ends(self, bar: Bar) -> tuple[float, float]:
        left = self.x(bar.operation.invoked_ms)
        right = self.width - 6.0 if not bar.known else self.x(bar.end_ms(self.chart.last_ms))
        return left, max(right, left + 4)

    def _middle(self, bar: Bar) -> float:
        return self.lane_tops[bar.operation.client, bar.lane] + 20 + BAR / 2

    def _operation(self, bar: Bar) -> Iterator[str]:
        left, right = self._ends(bar)
        y = self._middle(bar)
        wrong = bar.style == "misfit"
        pale = bar.style in ("later", "failed")
        label = self.labels[id(bar)]
        # The full text of a bar that has no room for it is its tooltip.
        parts = [f"<title>{text_of(_clean(str(bar.operation)))}</title>", self._body(bar)]
        if wrong:
            at = f"translate({right + 12:.1f} {y:.1f})" if bar.known else f"translate({left} {y})"
            disc = element("circle", r=8, fill=BAD)
            cross = element("path", d="M-3.4 -3.4 L3.4 3.4 M3.4 -3.4 L-3.4 3.4", stroke=GROUND,
                            stroke_width=2.2, stroke_linecap="round")  # fmt: skip
            parts.append(element("g", disc + cross, transform=at))
        colour, weight = (WRONG, 700) if wrong else (MUTED if pale else INK, 400)
        parts += self._label(bar, _clean(label), colour, weight)
        if bar.number is not None:
            x = self._moment(bar)
            size, radius = (10.0, BADGE) if bar.number < 100 else (8.0, BADGE + 1.5)
            ink = "#0072b2" if bar.style == "placed" else INK
            parts.append(
                element("circle", cx=x, cy=y, r=radius, fill=ink, stroke=GROUND, stroke_width=1.5)
            )
            parts.append(text_at(x, y + 3.6, str(bar.number), size, GROUND, "middle", 700))
        yield element("g", "".join(parts), class_=f"operation {bar.style}")

    def _label(self, bar: Bar, label: str, colour: str, weight: int) -> Iterator[str]:
        """The text above a bar: from its left end on, or up to its right end, where room is."""
        left, right = self._ends(bar)
        before, after = self._room(bar)
        letter = LETTER * (1.12 if weight > 400 else 1)
        wanted = letter * len(label)
        backwards = wanted > after - left and right - before > after - left and bar.known
        room = int((right - before if backwards else after - left) / letter)
        if room < 4:
            return
        yield element(
            "text",
            text_of(shorten(label, room)),
            x=right if backwards else left,
            y=self._middle(bar) - BAR / 2 - 5,
            font_size=11,
            fill=colour,
            text_anchor="end" if backwards else "start",
            font_weight=weight,
            stroke=GROUND,  # so that lines behind it do not cross it out
            stroke_width=3,
            stroke_linejoin="round",
            paint_order="stroke",
        )

    def _room(self, bar: Bar) -> tuple[float, float]:
        """Between which bars of its lane the label must stand."""
        lane = [
            other
            for other in self.chart.bars
            if (other.operation.client, other.lane) == (bar.operation.client, bar.lane)
        ]
        place = lane.index(bar)
        before = self._ends(lane[place - 1])[1] + 8 if place else float(GUTTER)
        after = self._ends(lane[place + 1])[0] - 4 if place + 1 < len(lane) else self.width - 10.0
        return before, after

    def _body(self, bar: Bar) -> str:
        left, right = self._ends(bar)
        top = self._middle(bar) - BAR / 2
        stroke = BAD if bar.style == "misfit" else STROKES[bar.style]
        fill = "url(#misfit)" if bar.style == "misfit" else FILLS.get(bar.style, GROUND)
        width = 2.4 if bar.style in ("misfit", "because") else 1.4
        if bar.known:
            dash = "1.5 3" if bar.style == "failed" else None
            return element(
                "rect", x=left, y=top, width=right - left, height=BAR,
                rx=min(7, (right - left) / 2), fill=fill, stroke=stroke, stroke_width=width,
                stroke_dasharray=dash,
            )  # fmt: skip
        # Open at the right: it may still happen.
        outline = f"M{right:.1f} {top:.1f} H{left + 7:.1f} a7 7 0 0 0 0 {BAR} H{right:.1f}"
        return element(
            "path", d=outline, fill=fill if bar.number is not None else "none",
            fill_opacity=0.5, stroke=stroke if bar.number is not None else MUTED,
            stroke_width=width, stroke_dasharray="6 4",
        )  # fmt: skip

    def _legend(self) -> Iterator[str]:
        """What the styles mean, of those that occur; and what is left out."""
        styles = {bar.style for bar in self.chart.bars}
        told = {
            "placed": "in the order found, by its number",
            "because": "shows what is wrong",
            "misfit": "fits nowhere" if not self.chart.verdict.breaches else "where it shows",
            "judged": "other operations",
            "later": "returned later, not explained",
            "failed": "did not happen",
        }
        y, x = self.bottom + 38, float(GUTTER)
        entries = [(style, words) for style, words in told.items() if style in styles]
        for style, words in entries:
            fill = "url(#misfit)" if style == "misfit" else FILLS.get(style, GROUND)
            stroke = BAD if style == "misfit" else STROKES[style]
            dash = "1.5 3" if style == "failed" else None
            yield element("rect", x=x, y=y - 9, width=20, height=11, rx=5, fill=fill,
                          stroke=stroke, stroke_width=1.4, stroke_dasharray=dash)  # fmt: skip
            yield text_at(x + 26, y, words, 11, MUTED)
            x += 46 + 5.7 * len(words)
        if any(not bar.known for bar in self.chart.bars):
            yield element("path", d=f"M{x:.1f} {y - 3.5:.1f} h20", stroke=MUTED,
                          stroke_width=1.6, stroke_dasharray="6 4")  # fmt: skip
            yield text_at(x + 26, y, "nobody knows its end", 11, MUTED)
        left_out = self.chart.total - len(self.chart.bars)
        if left_out:
            told_of = f"{len(self.chart.bars)} of {self.chart.total:,} operations are shown."
            yield text_at(self.width - MARGIN, self.bottom + 56, told_of, 11, MUTED, "end")


def text_of(text: str) -> str:
    """A text as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clean(text: str) -> str:
    """Without characters that XML forbids."""
    return _CONTROL.sub("�", text)


def _ticks(first_ms: float, last_ms: float) -> list[float]:
    """Round moments, about eight of them."""
    raw = (last_ms - first_ms) / 8
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw)
    number = math.ceil(first_ms / step)
    found = []
    while number * step <= last_ms:
        found.append(round(number * step, 6))
        number += 1
    return found
