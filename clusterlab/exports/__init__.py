"""A run in the forms that other tools read: each function takes a trace and returns a text.

| format | for | of |
|---|---|---|
| `shiviz` | ShiViz and TSViz: space-time diagrams | Beschastnikh et al. 2016 |
| `chrome` | Perfetto (ui.perfetto.dev), chrome://tracing: a timeline | Trace Event Format |
| `mermaid` | Markdown: a sequence diagram | mermaid.js.org |
| `jepsen` | Knossos, Elle, `clusterlab judge`: the clients' history as EDN | jepsen.history |
"""

from __future__ import annotations

from collections.abc import Callable

from clusterlab.core.trace import Trace
from clusterlab.exports.chrome import chrome
from clusterlab.exports.jepsen import jepsen
from clusterlab.exports.mermaid import mermaid
from clusterlab.exports.shiviz import shiviz

__all__ = ["FORMATS", "chrome", "jepsen", "mermaid", "shiviz"]

FORMATS: dict[str, Callable[[Trace], str]] = {
    "shiviz": shiviz,
    "chrome": chrome,
    "mermaid": mermaid,
    "jepsen": jepsen,
}
"""What `clusterlab export --to` knows."""
