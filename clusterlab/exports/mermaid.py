"""A run as a sequence diagram in Mermaid, which GitHub and Jupyter draw from Markdown."""

from __future__ import annotations

import re

from clusterlab.core.node import WORLD, NodeId
from clusterlab.core.trace import Trace, TraceEvent

ARROWS_MAX = 200
"""More arrows than a reader follows, and near to what Mermaid refuses to draw."""
TEXT_MAX = 60


def mermaid(trace: Trace, arrows_max: int = ARROWS_MAX) -> str:
    """The messages of a trace as they arrive or are lost, with faults, notes and operations.

    After `arrows_max` arrows the diagram ends with a note that says so.

    >>> trace = Trace()
    >>> sent = trace.append(0, "a", "send", {"dst": "b", "msg": "ping"})
    >>> _ = trace.append(5, "b", "deliver", {"src": "a", "msg": "ping"}, cause=sent)
    >>> print(mermaid(trace), end="")
    sequenceDiagram
        participant a as a
        participant b as b
        a->>b: 'ping'
    """
    names = _names(trace)
    lines = [f"participant {short} as {_text(node)}" for node, short in names.items()]
    arrows = left_out = 0
    for event in trace:
        is_arrow = event.kind in ("deliver", "drop") and event.data["src"] != WORLD
        if arrows < arrows_max:
            lines += _lines(event, names)
        elif is_arrow:
            left_out += 1
        arrows += is_arrow
    if left_out:
        lines.append(f"Note over {next(iter(names.values()))}: {left_out:,} messages more follow")
    return "sequenceDiagram\n" + "".join(f"    {line}\n" for line in lines)


def _names(trace: Trace) -> dict[NodeId, str]:
    """Names that Mermaid cannot take for something else: letters and digits, and one each."""
    names: dict[NodeId, str] = {}
    for event in trace:
        for node in (event.node, event.data.get("src"), event.data.get("dst")):
            if node is not None and node != WORLD and node not in names:
                plain = re.fullmatch(r"[a-zA-Z]+[0-9]+|[a-z]", node)
                names[node] = node if plain else f"node_{len(names) + 1}"
    return names


def _lines(event: TraceEvent, names: dict[NodeId, str]) -> list[str]:
    data = event.data
    if event.kind in ("deliver", "drop"):
        if data["src"] == WORLD or event.node is None:
            return []
        arrow = "->>" if event.kind == "deliver" else "-x"
        lost = f" ({data['why']})" if event.kind == "drop" else ""
        return [f"{names[data['src']]}{arrow}{names[event.node]}: {_text(repr(data['msg']))}{lost}"]
    if event.node is None:  # the network's
        shorts = list(names.values())
        return [f"Note over {shorts[0]},{shorts[-1]}: {_text(event.words())}"] if shorts else []
    if event.kind in ("kill", "restart", "pause", "resume", "skew", "isolate", "error"):
        return [f"Note over {names[event.node]}: {_text(event.words())}"]
    if event.kind == "note":
        told = "" if data.get("data") is None else f" {data['data']!r}"
        return [f"Note over {names[event.node]}: {_text(data['name'] + told)}"]
    if event.kind in ("invoke", "return"):
        what = data["operation"] if event.kind == "invoke" else data.get("value")
        how = "invoke" if event.kind == "invoke" else data["outcome"]
        return [f"Note over {names[event.node]}: {_text(f'{how} {what!r}')}"]
    return []


def _text(text: str) -> str:
    """A text that Mermaid shows as it is: what has a meaning to it is written as a code."""
    text = " ".join(text.split())
    text = text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"
    return re.sub(r"[#;<>&:%\"`]", lambda m: f"#{ord(m[0])};", text)
