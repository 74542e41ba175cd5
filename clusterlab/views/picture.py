"""A still picture of a cluster as SVG: what a notebook shows where no widget can run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from clusterlab.core.node import NodeId
from clusterlab.views.layout import Layout, lay_out
from clusterlab.views.palette import LEADER, MessageLook, Point, message_look, regular, role_look
from clusterlab.views.records import brief, type_of
from clusterlab.views.state import NodeState, State, sentence

WIDTH, HEIGHT, FOOT = 900, 380, 34
CLIENT_X = 64
INK, MUTED, FAINT, GROUND = "#1f2429", "#66707a", "#d9dde2", "#ffffff"
CROWN = "M-11 6 L-12 -5 L-5.5 0 L0 -9 L5.5 0 L12 -5 L11 6 Z"
CROSS = "M-9 -9 L9 9 M9 -9 L-9 9"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def picture(state: State) -> str:
    """The cluster as an SVG document, everything from the trace escaped."""
    layout = lay_out(state.servers, state.groups, WIDTH, HEIGHT)
    for i, name in enumerate(state.clients):
        layout.places[name] = _client_place(i, len(state.clients))
    words = sentence(state)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" width="{WIDTH}" '
        f'height="{HEIGHT + FOOT}" role="img" aria-label={quoteattr(words)} font-family="{FONT}">',
        f"<title>{escape(words)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT + FOOT}" rx="8" fill="{GROUND}"/>',
        *_links(state, layout),
        *_walls(layout),
        *_bad_links(state, layout),
        *_flights(state, layout),
    ]
    for name, place in layout.places.items():
        node = state.nodes[name]
        parts += _client(node, place) if node.client else _server(state, node, place, layout.radius)
    parts.append(_text(24, HEIGHT + 12, words, 13, INK))
    parts.append("</svg>")
    return "\n".join(parts)


def _client_place(i: int, count: int) -> Point:
    """The clients stand in a column at the left, and at the right when there are many."""
    column = math.ceil(count / 2) if count > 5 else count
    x = CLIENT_X if i < column else WIDTH - CLIENT_X
    rows = column if i < column else count - column
    return x, HEIGHT / 2 + (i % column - (rows - 1) / 2) * min(64, (HEIGHT - 60) / rows)


def _text(
    x: float,
    y: float,
    text: str,
    size: float,
    colour: str,
    anchor: str = "start",
    weight: int = 400,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(text)}</text>'
    )


def _links(state: State, layout: Layout) -> Iterator[str]:
    """The mesh of a small cluster, without what a partition cuts."""
    servers = state.servers
    if len(servers) > 9:
        return
    side = {name: i for i, group in enumerate(state.groups) for name in group}
    for i, a in enumerate(servers):
        for b in servers[i + 1 :]:
            if side.get(a) == side.get(b):
                (x1, y1), (x2, y2) = layout.places[a], layout.places[b]
                yield (
                    f'<path d="M{x1:.1f} {y1:.1f} L{x2:.1f} {y2:.1f}" stroke="{FAINT}" '
                    f'stroke-opacity="0.7" fill="none"/>'
                )


def _walls(layout: Layout) -> Iterator[str]:
    for wall in layout.walls:
        if len(wall) == 3:
            (sx, sy), (cx, cy), (ex, ey) = wall
            d = f"M{sx:.1f} {sy:.1f} Q{cx:.1f} {cy:.1f} {ex:.1f} {ey:.1f}"
        else:
            (sx, sy), (ex, ey) = wall
            d = f"M{sx:.1f} {sy:.1f} L{ex:.1f} {ey:.1f}"
        yield f'<path class="wall" d="{d}" stroke="{MUTED}" stroke-width="9" stroke-dasharray="15 2.5" fill="none"/>'


def _bad_links(state: State, layout: Layout) -> Iterator[str]:
    for (src, dst), event in state.links.items():
        if src not in layout.places or dst not in layout.places:
            continue
        a, b = _lane(layout.places[src], layout.places[dst])
        blocked = bool(event.data.get("block"))
        colour, dash = ("#D55E00", "6 4") if blocked else ("#E69F00", "2 4")
        yield (
            f'<path d="M{a[0]:.1f} {a[1]:.1f} L{b[0]:.1f} {b[1]:.1f}" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}" fill="none"/>'
        )
        if blocked:
            x, y = _between(a, b, 0.6)
            turn = math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))
            yield (
                f'<path d="M0 -9 L0 9" transform="translate({x:.1f} {y:.1f}) rotate({turn:.1f})" '
                f'stroke="{colour}" stroke-width="4" stroke-linecap="round"/>'
            )


def _flights(state: State, layout: Layout) -> Iterator[str]:
    for event in state.flights.values():
        src, dst = event.node, event.data["dst"]
        if src not in layout.places or dst not in layout.places:
            continue
        a, b = _lane(layout.places[src], layout.places[dst])
        delay_ms = event.data.get("delay_ms") or 10.0
        x, y = _between(a, b, min(0.86, 0.14 + 0.72 * (state.at_ms - event.at_ms) / delay_ms))
        name = type_of(event.data["msg"])
        yield (
            f'<g transform="translate({x:.1f} {y:.1f})"><title>{escape(f"{src} to {dst}: ")}'
            f"{escape(brief(event.data['msg']))}</title>{_message_shape(message_look(name, state.types))}</g>"
        )


def _message_shape(look: MessageLook) -> str:
    outline = f'fill="{look.colour}" stroke="{GROUND}" stroke-width="1.5" stroke-linejoin="round"'
    if not look.corners:
        return f'<circle r="5.5" {outline}/>'
    points = " ".join(f"{5.5 * x:.1f},{5.5 * y:.1f}" for x, y in look.corners)
    return f'<polygon points="{points}" {outline}/>'


def _lane(a: Point, b: Point) -> tuple[Point, Point]:
    """Messages keep to the right, so that those of both directions stay apart."""
    length = math.dist(a, b) or 1.0
    dx, dy = -(b[1] - a[1]) / length * 5, (b[0] - a[0]) / length * 5
    return (a[0] + dx, a[1] + dy), (b[0] + dx, b[1] + dy)


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _server(state: State, node: NodeState, place: Point, radius: float) -> Iterator[str]:
    x, y = place
    look = role_look(node.role, state.roles)
    inside = radius >= 12
    yield f'<g class="node" data-node={quoteattr(node.name)} transform="translate({x:.1f} {y:.1f})">'
    yield f'<circle r="{radius + 10:.1f}" fill="{GROUND}"/>'
    yield from _timer(state, node, radius + 6)
    if node.dead:
        yield f'<circle r="{radius:.1f}" fill="#eceef0" stroke="#9aa2ab" stroke-width="2" stroke-dasharray="4 4"/>'
        yield f'<path d="{CROSS}" stroke="#9aa2ab" stroke-width="3" stroke-linecap="round" transform="scale({radius / 13:.2f})"/>'
    else:
        yield _body(look.sides, look.turn, radius * look.scale, look.colour)
    if node.role == LEADER:
        lift = radius + 13
        yield (
            f'<path d="{CROWN}" transform="translate(0 {-lift:.1f})" fill="#E69F00" stroke="{INK}" '
            f'stroke-width="1.5" stroke-linejoin="round"/>'
        )
    if node.isolated:
        yield f'<circle r="{radius + 15:.1f}" fill="none" stroke="{MUTED}" stroke-width="6" stroke-dasharray="10 2"/>'
    ink = MUTED if node.dead else look.ink
    if inside:
        yield _text(0, radius * 0.18, node.name, round(radius * 0.54, 1), ink, "middle", 600)
    if node.paused:
        yield f'<path d="M-4 {radius * 0.36:.1f} v8 M4 {radius * 0.36:.1f} v8" stroke="{ink}" stroke-width="3"/>'
    yield "</g>"
    yield from _label(node, place, radius, inside)


def _body(sides: int, turn: float, radius: float, colour: str) -> str:
    if not sides:
        return f'<circle r="{radius:.1f}" fill="{colour}"/>'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in regular(sides, turn, radius * 0.92))
    width = radius * 0.2
    return (
        f'<polygon points="{points}" fill="{colour}" stroke="{colour}" stroke-width="{width:.1f}" '
        f'stroke-linejoin="round"/>'
    )


def _timer(state: State, node: NodeState, radius: float) -> Iterator[str]:
    """The longest pending timer as an arc that shrinks to nothing."""
    timer = node.longest_timer()
    if timer is None:
        return
    set_at, due = timer
    left = min(1.0, max(0.0, (due - state.at_ms) / max(due - set_at, 1e-9)))
    if left <= 0:
        return
    around = 2 * math.pi * radius
    yield (
        f'<circle r="{radius:.1f}" fill="none" stroke="{MUTED}" stroke-width="3" transform="rotate(-90)" '
        f'stroke-dasharray="{left * around:.1f} {around:.1f}"/>'
    )


def _label(node: NodeState, place: Point, radius: float, inside: bool) -> Iterator[str]:
    left = place[0] < WIDTH / 2 - 20
    x = place[0] + (-1 if left else 1) * (radius + (24 if node.isolated else 16))
    anchor = "end" if left else "start"
    head = node_words(node)
    if not inside:
        yield _text(x, place[1] + 4, node.name, 10, INK, anchor, 600)
        return
    yield _text(x, place[1] - (1 if node.label else -4), head, 13, INK, anchor, 600)
    if node.label:
        yield _text(x, place[1] + 15, node.label[:32], 12, MUTED, anchor)


def node_words(node: NodeState) -> str:
    """`leader · epoch 3`: what stands beside a node."""
    if node.dead:
        return "dead"
    words = [node.role or "", f"epoch {node.epoch}" if node.epoch is not None else ""]
    words += ["paused" if node.paused else "", "isolated" if node.isolated else ""]
    return " · ".join(filter(None, words))


def _client(node: NodeState, place: Point) -> Iterator[str]:
    x, y = place
    look = ("#eceef0", "#9aa2ab") if node.dead else (GROUND, INK)
    yield (
        f'<g class="node" data-node={quoteattr(node.name)} transform="translate({x:.1f} {y:.1f})">'
        f'<rect x="-17" y="-13" width="34" height="26" rx="7" fill="{look[0]}" stroke="{look[1]}" stroke-width="1.5"/>'
        f"{_text(0, 4.5, short_name(node.name), 12, look[1], 'middle', 600)}</g>"
    )
    words = "dead" if node.dead else "paused" if node.paused else ""
    if words:
        yield _text(x, y + 28, words, 11, MUTED, "middle")


def short_name(name: NodeId) -> str:
    """A name that fits into a client's small box."""
    return name if len(name) <= 4 else name[:3] + "…"
