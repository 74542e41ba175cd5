"""How a value gets its picture in a notebook without knowing who draws it.

What a lower layer finds, a higher one draws. A value that has a picture is `Pictured`; the package
says once who draws (`draw_with`), and the drawing code is loaded when a picture is first shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Painter: TypeAlias = "Callable[[Any], str | None]"
"""From a value to its picture as SVG; None if it has none."""

_painters: list[Painter] = []


def draw_with(painter: Painter) -> None:
    """From now on `painter` draws what is shown in a notebook."""
    _painters[:] = [painter]


class Pictured:
    """A value whose picture a notebook shows, with its text for where no picture can be."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        bundle = {"text/plain": str(self)}
        svg = _painters[0](self) if _painters else None
        return bundle if svg is None else {**bundle, "image/svg+xml": svg}
