"""What a check of an exercise came to, as a sentence, a story and a picture."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from clusterlab.check.story import Story
from clusterlab.core.trace import Trace

_BOX = (
    "border-left:4px solid {colour};padding:2px 0 2px 12px;margin:4px 0;"
    "max-width:56em;line-height:1.45"
)
_GREEN, _ORANGE = "#009e73", "#d55e00"


@dataclass(frozen=True)
class Feedback:
    """What was found; in an `if` or `assert` it is true only if the answer passed.

    A notebook shows the sentence and the story, and below them the player with the run that breaks
    the answer, if there is one.
    """

    exercise: str
    passed: bool
    sentence: str
    """What is wrong, with the mend; "" if nothing is."""
    covered: tuple[str, ...] = ()
    """What was tried."""
    printed: tuple[str, ...] = ()
    """What the answer printed, cut short."""
    property: str | None = None
    """What was broken."""
    explanation: str = ""
    """The values that break it."""
    trace: Trace | None = field(default=None, repr=False)
    """The shortest run that breaks it; `show(feedback)` opens it there."""
    told: Story | None = field(default=None, repr=False)
    interrupted: bool = False

    def __bool__(self) -> bool:
        return self.passed

    def story(self) -> Story:
        """The same run in words."""
        return self.told or Story((), self.sentence)

    @builtins.property  # the field above has taken the name
    def headline(self) -> str:
        """The verdict in a few words."""
        if self.passed:
            return f"{self.exercise} passed."
        return f"{self.exercise}: {'stopped' if self.interrupted else 'not yet'}."

    def __str__(self) -> str:
        lines = [f"{'✓' if self.passed else '✗'} {self.headline}"]
        if self.sentence:
            lines.append(self.sentence)
        if self.covered:
            lines += ["Tried:", *(f"  {what}" for what in self.covered)]
        if self.told is not None:
            lines += ["The shortest run that shows it:", *self.told.lines()]
        if self.printed:
            lines += ["It printed:", *(f"  {line}" for line in self.printed)]
        return "\n".join(lines)

    def _html(self) -> str:
        colour = _GREEN if self.passed else _ORANGE
        mark = "✓" if self.passed else "✗"
        parts = [f"<b style='color:{colour}'>{mark}</b> <b>{escape(self.headline)}</b>"]
        if self.sentence:
            parts.append(f"<div>{escape(self.sentence)}</div>")
        if self.covered:
            items = "".join(f"<li>{escape(what)}</li>" for what in self.covered)
            parts.append(f"<ul style='margin:2px 0'>{items}</ul>")
        if self.told is not None:
            parts.append(_folded("The shortest run that shows it, in words", self.told.lines()))
        if self.printed:
            parts.append(_folded("What it printed", self.printed, opened=self.told is None))
        return f"<div style='{_BOX.format(colour=colour)}'>{''.join(parts)}</div>"

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - there is one if this is called

        data: dict[str, Any] = {"text/plain": str(self), "text/html": self._html()}
        display(data, raw=True)  # type: ignore[no-untyped-call]
        if self.trace is not None:
            from clusterlab.views import show  # noqa: PLC0415 - widgets load when used

            display(show(self))  # type: ignore[no-untyped-call]


def _folded(title: str, lines: Sequence[str], *, opened: bool = False) -> str:
    text = escape("\n".join(lines))
    style = "white-space:pre-wrap;margin:4px 0;font-size:0.92em"
    head = f"<summary style='cursor:pointer'>{escape(title)}</summary>"
    return f"<details{' open' if opened else ''}>{head}<pre style='{style}'>{text}</pre></details>"
