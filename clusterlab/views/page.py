"""The scripts of the view put together, and a page of its own that plays a recorded run.

There is no bundler: the parts are plain scripts that share one scope, joined in order.
The page holds everything in one file and forbids itself every request.
"""

from __future__ import annotations

import json
import os
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from clusterlab.core.errors import TraceError
from clusterlab.core.trace import Trace
from clusterlab.views.finding import Finding
from clusterlab.views.layouts import LayoutName, arrangements
from clusterlab.views.palette import for_browser
from clusterlab.views.picture import FONT, picture
from clusterlab.views.records import records_json
from clusterlab.views.state import State, sentence
from clusterlab.views.values import Values

HERE = Path(__file__).parent
PARTS = (
    *("dom", "words", "cursor", "timeline", "fields", "model", "history", "layout", "clock"),
    *("nodes", "ways", "flights", "links", "menu", "acts", "cutline", "hands", "stage"),
    *("tiles", "tape", "tape_drawing", "causes", "detail", "search", "transport"),
    *("story", "svg_canvas", "help", "keys", "controls", "values", "table", "cluster_view"),
)
STYLES = ("cluster_view", "player", "drawing", "stage", "table")
PAST_LIMIT = 20_000
"""A picture of a running cluster gets so many of the newest events, and the state before them."""
RECORDED_LIMIT = 200_000
"""Likewise of a recorded run, which comes only once."""


@cache
def script() -> str:
    """The scripts of the view, without a way in."""
    looks = json.dumps(for_browser(), separators=(",", ":"))
    parts = [(HERE / "js" / f"{part}.js").read_text(encoding="utf-8") for part in PARTS]
    return "\n".join([f"const LOOKS = {looks};", *parts])


def widget_script() -> str:
    """The scripts as the one module that anywidget takes."""
    return f"{script()}\nexport default {{ render }};\n"


@cache
def style() -> str:
    """The style sheets of the view."""
    return "\n".join((HERE / f"{name}.css").read_text(encoding="utf-8") for name in STYLES)


def past(
    before: State, trace: Trace, start: int, end: int, layout: LayoutName = "ring"
) -> dict[str, Any]:
    """What a picture needs to begin: the events from `start` to `end`, and the state before them.

    `before` is that state: the one after the first `start` events.
    """
    state = State(before.servers, before.clients)
    servers = trace.meta.get("servers")
    if servers is None:  # written by hand: every node that does something is on the ring
        state.add_all(trace.events[start:end])
        servers = state.servers
    return {
        "type": "past",
        "servers": list(servers),
        "clients": list(trace.meta.get("clients", ())) or state.clients,
        "serversKnown": trace.meta.get("servers") is not None,
        "roles": list(before.roles),
        "types": list(before.types),
        "base": records_json(before.base()),
        "records": records_json(trace.events[start:end]),
        "left_out": start,
        **arrangements(layout, list(servers), trace),
    }


_runs: WeakKeyDictionary[Trace, str] = WeakKeyDictionary()


def run_of(trace: Trace) -> str:
    """The name under which the pictures of a run find each other in a page, to share a cursor."""
    return _runs.setdefault(trace, uuid4().hex)


def recorded(
    trace: Trace,
    limit: int = RECORDED_LIMIT,
    finding: Finding | None = None,
    layout: LayoutName = "ring",
) -> dict[str, Any]:
    """What a picture needs to play the newest events of a trace, and what was found in it."""
    end = len(trace)
    start = max(0, end - limit)
    before = State(trace.meta.get("servers", ()), trace.meta.get("clients", ()))
    before.add_all(trace.events[:start])
    shown = {**past(before, trace, start, end, layout), "live": False, "start": "play"}
    return shown if finding is None else {**shown, "finding": finding.data()}


def page(data: dict[str, Any], title: str, still: str) -> str:
    """A page that plays `data`; `still` is what it shows where scripts are forbidden."""
    # "<" cannot end the script element, or begin a comment in it, when it is written as an escape.
    inside = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
    page_script = (HERE / "js" / "page.js").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
body {{ max-width: 960px; margin: 32px auto; padding: 0 16px; background: Canvas;
  color: CanvasText; font: 15px/1.5 {FONT}; }}
h1 {{ margin: 0 0 16px; font-size: 20px; font-weight: 600; }}
{style()}
</style>
</head>
<body>
<h1>{escape(title)}</h1>
<div id="clusterlab"></div>
<noscript>{still}</noscript>
<script type="application/json" id="clusterlab-data">{inside}</script>
<script type="module">
{script()}
{page_script}
</script>
</body>
</html>
"""


def save(
    trace: Trace,
    path: str | os.PathLike[str],
    title: str | None = None,
    limit: int = RECORDED_LIMIT,
    finding: Finding | None = None,
    layout: LayoutName = "ring",
) -> Path:
    """Write a page that plays the newest `limit` events of a trace, and return its path.

    Raises TraceError if the file cannot be written.
    """
    target = Path(path)
    state = State.of(trace)
    data = recorded(trace, limit, finding, layout)
    data["values"] = Values(trace).saved(data["left_out"])
    text = page(data, title or sentence(state), picture(state, layout, trace))
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TraceError(
            f"cannot write the picture to {target}: {error.strerror}; "
            "name a file in a folder that you can write to."
        ) from error
    return target
