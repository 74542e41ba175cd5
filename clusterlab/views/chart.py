"""A plotly figure as a notebook shows it: its picture where there is JupyterLab, else a sentence.

Plotly's own HTML would fetch its script from a CDN, and classrooms are offline. JupyterLab and
VS Code draw the figure from its data with the script that they bring; a page that cannot, such as
one of GitHub, and a printed notebook show what the chart says.
"""

from __future__ import annotations

import json
from typing import Any

from plotly.graph_objects import Figure

MIME = "application/vnd.plotly.v1+json"


class Chart(Figure):  # type: ignore[misc]  # plotly ships no types
    """A figure that says in words what it shows."""

    _ipython_display_ = None
    _repr_html_ = None

    @property
    def says(self) -> str:
        """The chart in one sentence."""
        return str((self.layout.meta or {}).get("says", ""))

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> dict[str, Any]:
        figure = {**json.loads(self.to_json()), "config": {"displaylogo": False}}
        return {MIME: figure, "text/plain": self.says}

    def __repr__(self) -> str:
        return self.says
