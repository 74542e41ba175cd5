"""Colours and shapes: one table for the pictures made here and those made in the browser.

The colours are those of Okabe and Ito, "Color Universal Design" (2008), which stay apart for the
colour-blind, and a few between them. Messages take those that the first roles leave free.
No state is told by colour alone: each role and each type has a shape of its own, and a label.
Roles and types are just names; they get the slots in the order in which they appear.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

Point: TypeAlias = tuple[float, float]

LEADER = "leader"
"""The one role that views know: it wears the crown."""

DARK_INK, LIGHT_INK = "#14181d", "#ffffff"


class RoleLook(NamedTuple):
    """The body of a node: its colour, that of its name, a regular polygon (0 sides: a circle)."""

    colour: str
    ink: str
    sides: int
    turn: float
    """Degrees by which the polygon is turned."""
    scale: float
    """So that all bodies look equally large."""


class MessageLook(NamedTuple):
    """The colour of a type of message, and the corners of its shape of size 1 (none: a circle)."""

    colour: str
    corners: tuple[Point, ...]


def regular(sides: int, turn: float, radius: float = 1.0) -> tuple[Point, ...]:
    """The corners of a regular polygon; the first is at the top, then turned by `turn` degrees."""
    angles = (math.radians(turn - 90 + 360 * i / sides) for i in range(sides))
    return tuple((round(radius * math.cos(a), 3), round(radius * math.sin(a), 3)) for a in angles)


def _star(points: int, inner: float, radius: float) -> tuple[Point, ...]:
    outer, inside = regular(points, 0, radius), regular(points, 180 / points, radius * inner)
    return tuple(corner for pair in zip(outer, inside, strict=True) for corner in pair)


def _plus(arm: float, radius: float) -> tuple[Point, ...]:
    a, r = arm, radius
    return ((-a, -r), (a, -r), (a, -a), (r, -a), (r, a), (a, a),
            (a, r), (-a, r), (-a, a), (-r, a), (-r, -a), (-a, -a))  # fmt: skip


LEADER_LOOK = RoleLook("#E69F00", DARK_INK, 6, 0, 1.06)
NO_ROLE_LOOK = RoleLook("#B8BEC6", DARK_INK, 0, 0, 1.0)
ROLE_LOOKS = (
    RoleLook("#56B4E9", DARK_INK, 0, 0, 1.0),
    RoleLook("#CC79A7", DARK_INK, 4, 0, 1.17),
    RoleLook("#009E73", DARK_INK, 4, 45, 1.14),
    RoleLook("#F0E442", DARK_INK, 5, 0, 1.1),
    RoleLook("#0072B2", LIGHT_INK, 8, 22.5, 1.04),
    RoleLook("#D55E00", DARK_INK, 3, 0, 1.3),
)
MESSAGE_LOOKS = (
    MessageLook("#D55E00", ()),
    MessageLook("#0072B2", regular(4, 45, 1.2)),
    MessageLook("#009E73", regular(3, 0, 1.3)),
    MessageLook("#CC79A7", regular(4, 0, 1.3)),
    MessageLook("#4A545E", _plus(0.42, 1.15)),
    MessageLook("#8A6FB0", _star(5, 0.5, 1.45)),
    MessageLook("#A6761D", regular(6, 0, 1.15)),
    MessageLook("#56B4E9", regular(3, 180, 1.3)),
)

CELL_LOOKS = (
    ("#56B4E9", DARK_INK),
    ("#E69F00", DARK_INK),
    ("#009E73", DARK_INK),
    ("#CC79A7", DARK_INK),
    ("#F0E442", DARK_INK),
    ("#0072B2", LIGHT_INK),
    ("#D55E00", DARK_INK),
)
"""Colour and ink of an entry of a log by its number, which it shows as well; they come again."""


def role_look(role: str | None, roles: list[str]) -> RoleLook:
    """The look of a role, where `roles` are those that appeared, in order."""
    if role == LEADER:
        return LEADER_LOOK
    others = [name for name in roles if name != LEADER]
    return ROLE_LOOKS[others.index(role) % len(ROLE_LOOKS)] if role in others else NO_ROLE_LOOK


def message_look(name: str, types: list[str]) -> MessageLook:
    """The look of a type of message, where `types` are those that appeared, in order."""
    slot = types.index(name) if name in types else len(MESSAGE_LOOKS) - 1
    return MESSAGE_LOOKS[slot % len(MESSAGE_LOOKS)]


def for_browser() -> dict[str, object]:
    """The same table as JSON."""
    return {
        "leaderRole": LEADER,
        "leader": LEADER_LOOK._asdict(),
        "noRole": NO_ROLE_LOOK._asdict(),
        "roles": [look._asdict() for look in ROLE_LOOKS],
        "messages": [look._asdict() for look in MESSAGE_LOOKS],
        "cells": [{"colour": colour, "ink": ink} for colour, ink in CELL_LOOKS],
    }
