"""A still picture of a cluster as SVG: what a notebook shows where no widget can run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from clusterlab.core.node import NodeId
from clusterlab.core.trace import Trace
from clusterlab.views.layout import Layout, lay_out
from clusterlab.views.layouts import LayoutName, arrange
from clusterlab.views.palette import LEADER, MessageLook, Point, message_look, regular, role_look
from clusterlab.views.records import brief, type_of
from clusterlab.views.state import NodeState, State, sentence
from clusterlab.views.ways import Way, way_between

WIDTH, HEIGHT, FOOT = 900, 380, 52
CLIENT_X = 64
CROWD = 9
"""Among more nodes there is no room for words beside each."""
SMALL = 13
"""In a smaller node there is no room for its name."""
TAG_WIDTH = 150

INK, MUTED, PALE, FAINT, GROUND = "#1f2429", "#66707a", "#9aa2ab", "#d9dde2", "#ffffff"
DEAD = "#eceef0"
BAD, DOUBTFUL = "#d55e00", "#e69f00"
CROWN = "M-11 6 L-12 -5 L-5.5 0 L0 -9 L5.5 0 L12 -5 L11 6 Z"
DISK = "M-5 -4.5 A5 2 0 0 1 5 -4.5 V4.5 A5 2 0 0 1 -5 4.5 Z M-5 -4.5 A5 2 0 0 0 5 -4.5"
CLOCK = "M0 -7 A7 7 0 1 1 -0.01 -7 Z M0 -4 V0 L3 2"
CROSS = "M-9 -9 L9 9 M9 -9 L-9 9"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def element(name: str, inside: str = "", /, **attributes: object) -> str:
    """An SVG element: its attributes are quoted here, `inside` is markup already.

    An attribute that is None is left out, and `stroke_width` becomes `stroke-width`.
    """
    given = {k.rstrip("_").replace("_", "-"): v for k, v in attributes.items() if v is not None}
    quoted = "".join(f" {k}={quoteattr(_number(v))}" for k, v in given.items())
    return f"<{name}{quoted}>{inside}</{name}>" if inside else f"<{name}{quoted}/>"


def _number(value: object) -> str:
    return f"{round(value, 2):g}" if isinstance(value, float) else str(value)


def picture(state: State, layout: LayoutName = "ring", trace: Trace | None = None) -> str:
    """The cluster as an SVG document; `trace` tells the force layout who talks to whom."""
    arrangement = arrange(layout, state.servers, trace)
    ring = lay_out(state.servers, state.groups, WIDTH, HEIGHT, arrangement)
    clients = {name: _client_place(i, state) for i, name in enumerate(state.clients)}
    ways = Ways(ring, clients)
    words = sentence(state)
    parts = [
        f"<title>{escape(words)}</title>",
        element("rect", width=WIDTH, height=HEIGHT + FOOT, rx=8, fill=GROUND),
        *_regions(ring),
        *_mesh(state, ways),
        *_walls(ring),
        *_bad_links(state, ways),
        *_flights(state, ways),
        *(_server(state, state.nodes[name], ring) for name in state.servers),
        *(part for name in state.servers for part in _words_beside(state.nodes[name], ring)),
        *(part for name in clients for part in _client(state.nodes[name], clients[name])),
        text_at(24, HEIGHT + 12, words, 13, INK),
        *_legend(state),
    ]
    return element(
        "svg",
        "\n".join(parts),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT + FOOT}",
        width=WIDTH,
        height=HEIGHT + FOOT,
        role="img",
        aria_label=words,
        font_family=FONT,
    )


def _client_place(i: int, state: State) -> Point:
    """The clients stand in a column at the left, and at the right when there are many."""
    count = len(state.clients)
    column = math.ceil(count / 2) if count > 5 else count
    x = CLIENT_X if i < column else WIDTH - CLIENT_X
    rows = column if i < column else count - column
    return x, HEIGHT / 2 + (i % column - (rows - 1) / 2) * min(64, (HEIGHT - 60) / rows)


def text_at(
    x: float,
    y: float,
    text: str,
    size: float,
    colour: str,
    anchor: str = "start",
    weight: int = 400,
) -> str:
    """A line of text; `y` is where it stands on."""
    return element(
        "text",
        escape(text),
        x=float(x),
        y=float(y),
        font_size=size,
        fill=colour,
        text_anchor=anchor,
        font_weight=weight,
    )


def _at(place: Point, more: str = "") -> str:
    return f"translate({place[0]:.1f} {place[1]:.1f}){more}"


# --- what stands between the nodes ---


def _regions(layout: Layout) -> Iterator[str]:
    for box in layout.boxes:
        at = {"x": box.x, "y": box.y, "width": box.width, "height": box.height, "rx": 12}
        yield element("rect", class_="region", fill="#f7f8f9", stroke=FAINT, **at)
        name = shorten(box.name, int(box.width / 8))
        yield text_at(box.x + 12, box.y + 18, name, 13, MUTED, weight=600)


def _mesh(state: State, ways: Ways) -> Iterator[str]:
    """The links of a small cluster, without what a partition or an isolation cuts."""
    servers = state.servers if len(state.servers) <= CROWD else []
    side = {name: i for i, group in enumerate(state.groups) for name in group}
    for i, a in enumerate(servers):
        for b in servers[i + 1 :]:
            plugged = state.nodes[a].isolated is None and state.nodes[b].isolated is None
            if plugged and side.get(a) == side.get(b):
                line = {"fill": "none", "stroke": FAINT, "stroke_opacity": 0.7}
                yield element("path", d=ways.middle(a, b), **line)


def _walls(layout: Layout) -> Iterator[str]:
    for wall in layout.walls:
        points = [f"{x:.1f} {y:.1f}" for x, y in wall]
        d = f"M{points[0]} Q{points[1]} {points[2]}" if len(wall) == 3 else f"M{' L'.join(points)}"
        yield element(
            "path",
            d=d,
            class_="wall",
            fill="none",
            stroke=MUTED,
            stroke_width=9,
            stroke_dasharray="15 2.5",
        )


def _bad_links(state: State, ways: Ways) -> Iterator[str]:
    """An arrow for each way that has a fault, barred if nothing passes; beside it what is wrong."""
    for (src, dst), event in state.links.items():
        way = ways.get(src, dst)
        if way is None:
            continue
        data = event.data
        blocked = bool(data.get("block"))
        dash = "6 4" if blocked else "1.5 7" if data.get("loss") else "12 6"
        line = {"stroke": BAD if blocked else DOUBTFUL, "fill": "none", "stroke_linecap": "round"}
        yield element("path", d=way.path(), stroke_width=2, stroke_dasharray=dash, **line)
        yield element(
            "path",
            d="M0 -9 L0 9 M-12 -5 L-6 0 L-12 5" if blocked else "M-4 -5 L4 0 L-4 5",
            transform=_at(way.point(0.6), f" rotate({way.turn(0.6):.1f})"),
            stroke_width=4 if blocked else 2,
            **line,
        )
        x, y = way.point(0.36)
        yield text_at(x, y + 4, _link_words(data), 11, INK, "middle")


def _link_words(data: Mapping[str, Any]) -> str:
    """`loses 50 %, takes 200 to 400 ms`."""
    words = ["blocked"] if data.get("block") else []
    for name, verb in (("loss", "loses"), ("duplicate", "duplicates"), ("reorder", "reorders")):
        if data.get(name) is not None:
            words.append(f"{verb} {data[name]:.0%}".replace("%", " %"))
    if data.get("delay_ms"):
        words.append("takes {:g} to {:g} ms".format(*data["delay_ms"]))
    return ", ".join(words)


def _flights(state: State, ways: Ways) -> Iterator[str]:
    """The messages on their way; a second copy has a shadow, a late one a ring, a held one bars."""
    for event in state.flights.values():
        src, dst, msg = event.node, event.data["dst"], event.data["msg"]
        way = ways.get(src, dst)
        if way is None:
            continue
        delay_ms = event.data.get("delay_ms") or 10.0
        held = state.held.get(event.seq)
        at_ms = state.at_ms if held is None else held
        place = way.point(min(0.86, 0.14 + 0.72 * max(0.0, at_ms - event.at_ms) / delay_ms))
        look = message_look(type_of(msg), state.types)
        marks = [f"<title>{escape(f'{src} to {dst}: {brief(msg)}')}</title>"]
        if event.kind == "duplicate":
            marks.append(element("g", _message_shape(look, GROUND), transform=_at((4, -4))))
        marks.append(_message_shape(look))
        if event.data.get("reordered"):
            ring = {"fill": "none", "stroke": INK, "stroke_width": 1.5, "stroke_dasharray": "3 3"}
            marks.append(element("circle", r=10, **ring))
        if held is not None:
            marks.append(
                element("path", d="M-10.5 -8 v16 M10.5 -8 v16", stroke=INK, stroke_width=3)
            )
        yield element("g", "".join(marks), class_="message", transform=_at(place))


def _message_shape(look: MessageLook, fill: str | None = None) -> str:
    line = {
        "fill": fill or look.colour,
        "stroke": look.colour if fill else GROUND,
        "stroke_width": 1.5,
        "stroke_linejoin": "round",
    }
    if not look.corners:
        return element("circle", r=5.5, **line)
    points = " ".join(f"{5.5 * x:.1f},{5.5 * y:.1f}" for x, y in look.corners)
    return element("polygon", points=points, **line)


class Ways:
    """The way from any node to any other."""

    def __init__(self, layout: Layout, clients: Mapping[NodeId, Point]) -> None:
        self._places = {**layout.places, **clients}
        gaps = dict.fromkeys(layout.places, layout.radius + 10)
        self._gaps = {**gaps, **dict.fromkeys(clients, 20.0)}
        self._bulge = layout.bulge

    def get(self, src: NodeId | None, dst: NodeId) -> Way | None:
        """The way between two nodes; None if one of them is not in the picture."""
        if src is None or src not in self._places or dst not in self._places:
            return None
        ends = self._places[src], self._places[dst]
        return way_between(*ends, self._gaps[src], self._gaps[dst], self._bulge)

    def middle(self, a: NodeId, b: NodeId) -> str:
        """The plain link between two nodes, as path data."""
        if not self._bulge:
            return Way(self._places[a], self._places[b]).path()
        both = (self.get(a, b), self.get(b, a))
        return " ".join(way.path() for way in both if way is not None)


# --- the nodes ---


def _server(state: State, node: NodeState, layout: Layout) -> str:
    radius = layout.radius
    look = role_look(node.role, state.roles)
    ink = INK if node.dead or node.paused else look.ink
    parts = [element("circle", r=radius + 10, fill=GROUND), *_timer(state, node, radius)]
    if node.dead:
        ghost = {"fill": DEAD, "stroke": PALE, "stroke_width": 2, "stroke_dasharray": "4 4"}
        parts.append(element("circle", r=radius, **ghost))
        cross = {"stroke": "#c3c8ce", "stroke_width": 3, "stroke_linecap": "round"}
        parts.append(element("path", d=CROSS, transform=f"scale({radius / 13:.2f})", **cross))
    else:
        body = radius * look.scale
        opacity = 0.45 if node.paused else None
        parts.append(_body(look.sides, look.turn, body, look.colour, opacity))
    if node.role == LEADER:
        crown = {"fill": "#e69f00", "stroke": INK, "stroke_width": 1.5, "stroke_linejoin": "round"}
        parts.append(element("path", d=CROWN, transform=_at((0, -radius - 13)), **crown))
    if node.isolated:
        cage = {"fill": "none", "stroke": MUTED, "stroke_width": 6, "stroke_dasharray": "10 2"}
        parts.append(element("circle", r=radius + 15, **cage))
    if radius >= SMALL:
        y = radius * (-0.06 if node.paused else 0.2)
        size = round(min(16, radius * 0.56), 1)
        parts.append(text_at(0, y, shorten(node.name, 4), size, ink, "middle", 600))
    if node.paused:
        y = radius * 0.36 if radius >= SMALL else -4
        parts.append(element("path", d=f"M-4 {y:.1f} v8 M4 {y:.1f} v8", stroke=ink, stroke_width=3))
    parts += _marks(node, radius)
    place = _at(layout.places[node.name])
    return element("g", "".join(parts), class_="node", data_node=node.name, transform=place)


def _body(sides: int, turn: float, radius: float, colour: str, opacity: float | None) -> str:
    if not sides:
        return element("circle", r=radius, fill=colour, opacity=opacity)
    return element(
        "polygon",
        points=" ".join(f"{x:.1f},{y:.1f}" for x, y in regular(sides, turn, radius * 0.92)),
        fill=colour,
        stroke=colour,
        stroke_width=radius * 0.2,
        stroke_linejoin="round",
        opacity=opacity,
    )


def _marks(node: NodeState, radius: float) -> Iterator[str]:
    """What its disk holds, and how its clock is wrong."""
    line = {"stroke_width": 1.5, "stroke_linecap": "round"}
    aside = radius * 0.72 + 7
    if node.disk == "lost":
        d, place = f"{DISK} M-7 -7 L7 7", _at((aside, aside))
        yield element("path", class_="disk", d=d, transform=place, fill=GROUND, stroke=BAD, **line)
    elif node.disk and radius >= SMALL:
        look = {"fill": "#a8d9cb", "stroke": MUTED, **line}
        yield element("path", class_="disk", d=DISK, transform=_at((aside, aside)), **look)
    words = clock_words(node)
    if words:
        place = _at((-aside, aside))
        yield element("path", d=CLOCK, transform=place, fill=GROUND, stroke=INK, **line)
        yield text_at(-aside - 10, aside + 4, words, 11, INK, "end")


def clock_words(node: NodeState) -> str:
    """`+500 ms ×1.5`: how a clock is wrong; nothing of a true one."""
    offset_ms = 0 if node.skew is None else node.skew.data["offset_ms"]
    offset = f"{'+' if offset_ms > 0 else '−'}{abs(offset_ms):,} ms" if offset_ms else ""
    return " ".join(filter(None, (offset, "" if node.rate() == 1 else f"×{node.rate():g}")))


def _timer(state: State, node: NodeState, radius: float) -> Iterator[str]:
    """The longest pending timer as an arc that shrinks to nothing."""
    timer = node.longest_timer()
    if timer is None:
        return
    set_at, due = timer
    left = min(1.0, max(0.0, (due - state.at_ms) / max(due - set_at, 1e-9)))
    ring = radius + (3 if radius < SMALL else 6.5)
    around = 2 * math.pi * ring
    if left > 0:
        yield element(
            "circle",
            class_="timer",
            r=ring,
            fill="none",
            stroke=MUTED,
            stroke_width=1.75 if radius < SMALL else 3.5,
            stroke_dasharray=f"{left * around:.1f} {around:.1f}",
            transform="rotate(-90)",
        )


def _words_beside(node: NodeState, layout: Layout) -> Iterator[str]:
    """Role and label of a node; among many nodes only names that find no room inside."""
    x, y = layout.places[node.name]
    radius = layout.radius
    if radius < SMALL and layout.fixed:
        dy = -radius - 9 if layout.bulge and _is_odd(node.name, layout) else radius + 15
        yield text_at(x, y + dy, shorten(node.name, 8), 10, INK, "middle", 600)
        return
    if radius < SMALL:
        turn = math.atan2((y - HEIGHT / 2 - 6) * 1.6, x - WIDTH / 2)
        across, away = math.cos(turn), radius + 11
        anchor = "start" if across > 0.4 else "end" if across < -0.4 else "middle"
        x, y = x + across * away, y + math.sin(turn) * away * 1.15 + 3.5
        yield text_at(x, y, shorten(node.name, 16), 10, INK, anchor, 600)
        return
    crowd = len(layout.places) > CROWD
    head, label = ("", "") if crowd else (node_words(node), node.label)
    if len(node.name) > 4:
        head = " · ".join(filter(None, [node.name, head]))
    away = radius + (24 if node.isolated else 16)
    dx, dy, anchor = {
        "left": (-away, -1.0, "end"),
        "right": (away, -1.0, "start"),
        "below": (0.0, away + 9, "middle"),
        "above": (0.0, -away - (24 if label else 8), "middle"),
    }[_side(node.name, layout)]
    yield text_at(x + dx, y + dy + (0 if label else 5), shorten(head, 34), 13, INK, anchor, 600)
    yield text_at(x + dx, y + dy + 16, shorten(label, 34), 12, MUTED, anchor)


def _side(name: NodeId, layout: Layout) -> str:
    """The side on which words hide no other node: outwards, else inwards, else below."""
    if layout.fixed:
        return "above" if layout.bulge and _is_odd(name, layout) else "below"
    x, y = layout.places[name]
    reach = layout.radius + 12
    outwards = "left" if x < WIDTH / 2 - 20 else "right"
    for side in (outwards, "right" if outwards == "left" else "left"):
        direction = 1 if side == "right" else -1
        near = x + (layout.radius + 17) * direction
        low, high = sorted((near, near + TAG_WIDTH * direction))
        if all(
            other == name or ox + reach < low or ox - reach > high or abs(oy - y) > reach + 18
            for other, (ox, oy) in layout.places.items()
        ):
            return side
    return "below" if y < HEIGHT / 2 else outwards


def _is_odd(name: NodeId, layout: Layout) -> bool:
    """In a line words stand below and above in turn."""
    return list(layout.places).index(name) % 2 == 1


def node_words(node: NodeState) -> str:
    """What stands beside a node: `leader · epoch 3`."""
    if node.dead:
        return "dead"
    # Many labels tell the epoch already, under the name that it has there ("view 3").
    told = re.search(rf"[A-Za-z] {re.escape(str(node.epoch))}(\D|$)", node.label)
    words = [node.role or "", f"epoch {node.epoch}" if node.epoch is not None and not told else ""]
    words += ["paused" if node.paused else "", "isolated" if node.isolated else ""]
    return " · ".join(filter(None, words))


def _client(node: NodeState, place: Point) -> Iterator[str]:
    ground, ink = (DEAD, PALE) if node.dead else (GROUND, INK)
    box = element(
        "rect", x=-17, y=-13, width=34, height=26, rx=7, fill=ground, stroke=ink, stroke_width=1.5
    )
    name = text_at(0, 4.5, shorten(node.name, 4), 12, ink, "middle", 600)
    yield element("g", box + name, class_="node", data_node=node.name, transform=_at(place))
    if node.health != "up":
        yield text_at(place[0], place[1] + 28, node.health, 11, MUTED, "middle")


def _legend(state: State) -> Iterator[str]:
    """Which shape is which type of message."""
    x = 29.0
    for name in state.types:
        shape = _message_shape(message_look(name, state.types))
        yield element("g", shape, transform=_at((x, HEIGHT + 34)))
        yield text_at(x + 10, HEIGHT + 38, name, 12, MUTED)
        x += 34 + 6.6 * len(name)


def shorten(text: str, length: int) -> str:
    """A text cut to `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
