"""A still picture of a cluster as SVG: what a notebook shows where no widget can run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from clusterlab.core.node import NodeId
from clusterlab.core.trace import Trace
from clusterlab.views.layout import Layout, lay_out
from clusterlab.views.layouts import LayoutName, arrange
from clusterlab.views.palette import LEADER, MessageLook, Point, message_look, regular, role_look
from clusterlab.views.records import brief, type_of
from clusterlab.views.state import NodeState, State, sentence

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
    places = {**ring.places, **clients}
    words = sentence(state)
    parts = [
        f"<title>{escape(words)}</title>",
        element("rect", width=WIDTH, height=HEIGHT + FOOT, rx=8, fill=GROUND),
        *_mesh(state, places),
        *_walls(ring),
        *_bad_links(state, places),
        *_flights(state, places),
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


def _line(a: Point, b: Point, **attributes: object) -> str:
    return element("path", d=f"M{a[0]:.1f} {a[1]:.1f} L{b[0]:.1f} {b[1]:.1f}", **attributes)


def _at(place: Point, more: str = "") -> str:
    return f"translate({place[0]:.1f} {place[1]:.1f}){more}"


# --- what stands between the nodes ---


def _mesh(state: State, places: Mapping[NodeId, Point]) -> Iterator[str]:
    """The links of a small cluster, without what a partition or an isolation cuts."""
    servers = state.servers if len(state.servers) <= CROWD else []
    side = {name: i for i, group in enumerate(state.groups) for name in group}
    for i, a in enumerate(servers):
        for b in servers[i + 1 :]:
            plugged = state.nodes[a].isolated is None and state.nodes[b].isolated is None
            if plugged and side.get(a) == side.get(b):
                yield _line(places[a], places[b], stroke=FAINT, stroke_opacity=0.7)


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


def _bad_links(state: State, places: Mapping[NodeId, Point]) -> Iterator[str]:
    for (src, dst), event in state.links.items():
        if src not in places or dst not in places:
            continue
        a, b = _lane(places[src], places[dst])
        blocked = bool(event.data.get("block"))
        colour, dash = (BAD, "6 4") if blocked else (DOUBTFUL, "2 4")
        yield _line(a, b, stroke=colour, stroke_width=2, stroke_dasharray=dash)
        if blocked:
            turn = math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))
            yield element(
                "path",
                d="M0 -9 L0 9",
                transform=_at(_between(a, b, 0.6), f" rotate({turn:.1f})"),
                stroke=colour,
                stroke_width=4,
                stroke_linecap="round",
            )


def _flights(state: State, places: Mapping[NodeId, Point]) -> Iterator[str]:
    for event in state.flights.values():
        src, dst, msg = event.node, event.data["dst"], event.data["msg"]
        if src is None or src not in places or dst not in places:
            continue
        a, b = _lane(places[src], places[dst])
        delay_ms = event.data.get("delay_ms") or 10.0
        place = _between(a, b, min(0.86, 0.14 + 0.72 * (state.at_ms - event.at_ms) / delay_ms))
        title = f"<title>{escape(f'{src} to {dst}: {brief(msg)}')}</title>"
        shape = _message_shape(message_look(type_of(msg), state.types))
        yield element("g", title + shape, class_="message", transform=_at(place))


def _message_shape(look: MessageLook) -> str:
    line = {"fill": look.colour, "stroke": GROUND, "stroke_width": 1.5, "stroke_linejoin": "round"}
    if not look.corners:
        return element("circle", r=5.5, **line)
    points = " ".join(f"{5.5 * x:.1f},{5.5 * y:.1f}" for x, y in look.corners)
    return element("polygon", points=points, **line)


def _lane(a: Point, b: Point) -> tuple[Point, Point]:
    """Messages keep to the right, so that those of both directions stay apart."""
    length = math.dist(a, b) or 1.0
    dx, dy = -(b[1] - a[1]) / length * 5, (b[0] - a[0]) / length * 5
    return (a[0] + dx, a[1] + dy), (b[0] + dx, b[1] + dy)


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


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
    }[_side(node.name, layout)]
    yield text_at(x + dx, y + dy + (0 if label else 5), shorten(head, 34), 13, INK, anchor, 600)
    yield text_at(x + dx, y + dy + 16, shorten(label, 34), 12, MUTED, anchor)


def _side(name: NodeId, layout: Layout) -> str:
    """The side on which words hide no other node: outwards, else inwards, else below."""
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
