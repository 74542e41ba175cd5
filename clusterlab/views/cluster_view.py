"""The widget: a cluster as it runs, or a recorded run, as a topology above a space-time diagram."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import anywidget

from clusterlab.core.cluster import Cluster
from clusterlab.core.trace import Trace
from clusterlab.views.feed import Feed
from clusterlab.views.finding import Finding
from clusterlab.views.last_picture import LastPicture
from clusterlab.views.layouts import LayoutName, check_layout
from clusterlab.views.page import recorded, run_of, save, style, widget_script
from clusterlab.views.picture import picture
from clusterlab.views.state import State, sentence
from clusterlab.views.values import Values


class ClusterView(anywidget.AnyWidget):
    """A picture of a cluster; made by `watch` or `show`.

    It reads trace records and gives commands as faults. It knows no protocol:
    roles and types of messages are names, with a colour and a shape each.
    """

    _esm = widget_script()
    _css = style()

    def __init__(
        self,
        trace: Trace,
        cluster: Cluster | None = None,
        speed: float = 1.0,
        finding: Finding | None = None,
        layout: LayoutName = "ring",
    ) -> None:
        super().__init__()
        check_layout(layout, trace.meta.get("servers") or State.of(trace).servers)
        self._layout = layout
        self._trace = trace
        self._finding = finding
        self._lock = threading.Lock()
        self._state = State(trace.meta.get("servers", ()), trace.meta.get("clients", ()))
        self._past: dict[str, Any] | None = None
        self._values = Values(trace)
        self._feed = None if cluster is None else Feed(cluster, self.send, speed, layout)
        self._place = LastPicture(self._repr_mimebundle_)
        if cluster is not None:
            cluster.at_stop(self._place.refresh)
        self.on_msg(self._receive)
        _hear_while_cells_run(self.comm)

    @classmethod
    def watch(
        cls, cluster: Cluster, speed: float = 1.0, layout: LayoutName = "ring"
    ) -> ClusterView:
        """A picture of a running cluster."""
        return cls(cluster.trace, cluster, speed, layout=layout)

    @classmethod
    def show(
        cls, trace: Trace, finding: Finding | None = None, layout: LayoutName = "ring"
    ) -> ClusterView:
        """A picture that plays a recorded run; one in which something was found opens there."""
        return cls(trace, finding=finding, layout=layout)

    @property
    def running(self) -> bool:
        """Whether records are being sent to a picture on the screen."""
        return self._feed is not None and self._feed.running

    def sentence(self) -> str:
        """The cluster as it is now, in words."""
        with self._lock:
            return sentence(self._now())

    def svg(self) -> str:
        """The cluster as it is now, as a still picture."""
        with self._lock:
            return picture(self._now(), self._layout, self._trace)

    def save_html(self, path: str | os.PathLike[str]) -> Path:
        """Write one HTML file that plays the run so far, without a kernel and without a network."""
        return save(self._trace, path, finding=self._finding, layout=self._layout)

    def close(self) -> None:
        """Remove the picture and end what serves it; the cluster goes on."""
        if self._feed is not None:
            self._feed.stop()
        super().close()

    def _now(self) -> State:
        """The state after all records; those that came since the last time are added."""
        meta = self._trace.meta
        self._state.know(meta.get("servers", ()), meta.get("clients", ()))
        return self._state.add_all(self._trace.events[self._state.count :])

    def _recorded(self) -> dict[str, Any]:
        return {
            **recorded(self._trace, finding=self._finding, layout=self._layout),
            "run": run_of(self._trace),
        }

    def _receive(self, _: Any, content: dict[str, Any], __: Any) -> None:
        action = content.get("do")
        if action == "values":
            self._tell_values(content)
        elif self._feed is None:
            if action == "ready":
                self._past = self._past or self._recorded()
                self.send({**self._past, "to": content["view"]})
        elif action == "ready":
            self._feed.open(content["view"])
        elif action == "bye":
            self._feed.leave(content["view"])
        else:
            self._feed.command(content)

    def _tell_values(self, asked: dict[str, Any]) -> None:
        """The fields of the nodes in a window of the run, for the state panel."""
        start, end = int(asked["from"]), int(asked["until"])
        found = self._values.window(start, end, base=not asked.get("onwards"))
        self.send({"type": "values", "to": asked["view"], **found})

    def __repr__(self) -> str:
        return self.sentence()

    def _ipython_display_(self) -> None:
        """Show it in a notebook; when the cluster stops, its last picture takes that place."""
        self._place.show()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The widget, and for where no widget can run the picture and the sentence."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        return {**data, "image/svg+xml": self.svg(), "text/plain": self.sentence()}, metadata


def _hear_while_cells_run(comm: Any) -> None:
    """Let clicks arrive beside a running cell, in the subshell that the page sends them to.

    ipykernel (7.4) hands a widget's messages to whichever shell the widget last spoke from.
    Ours is made by a cell, so they would wait in the main shell until all cells have run.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _, subshell: subshell
