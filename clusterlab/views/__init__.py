"""Pictures of a cluster, drawn from the records of its trace alone.

`watch(cluster)` shows a cluster while it runs and lets one kill, pause and cut with a click;
`show(trace)` plays a recorded run, `show(report)` opens where a search or a storm found something,
`show(verdict)` draws why a history is judged as it is;
`save_html` writes one file that plays a run without a kernel.
The widget libraries are imported when a picture is first asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, overload

from clusterlab.check.verdict import Verdict
from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import TraceError
from clusterlab.core.node import Node
from clusterlab.core.trace import Trace
from clusterlab.views.finding import Finding, Found
from clusterlab.views.layouts import LayoutName, check_layout

if TYPE_CHECKING:
    from clusterlab.views.cluster_view import ClusterView
    from clusterlab.views.interval_chart import IntervalChart

__all__ = ["save_html", "show", "svg_of", "watch"]


def watch(cluster: Cluster, speed: float | None = None, layout: LayoutName = "ring") -> ClusterView:
    """A live picture of `cluster`, in which a click kills.

    A click does what the tools above the picture say: kill, pause, isolate, or cut along a line
    that you draw. A right click, or Enter, opens the menu of a node, a link or a message on its
    way; Undo takes back what was done last. Below, pause and scrub: the cluster goes on meanwhile,
    and Live returns to it. The search box jumps to an event: `kind:deliver node:n3 RequestVote`.
    A click on an event in the space-time diagram shows its causes, its consequences and what it
    changed. Everything can be done from the keyboard: `?` lists the keys.

    The picture has `save_html(path)`, `svg()` and `sentence()`.

    Args:
        cluster: a cluster of either engine.
        speed: ms of cluster time for each ms of yours, where the cluster lets one choose (the
            simulator); by default slow enough to see messages fly.
        layout: where the nodes stand: `ring`, `line`, `tree`, `force`, or regions as a dict,
            `{"eu": ["n1", "n2"], "us": ["n3"]}`.

    Raises ScenarioError for a layout that there is not, or that leaves out a node.
    """
    from clusterlab.views.cluster_view import ClusterView  # noqa: PLC0415 - widgets load when used

    check_layout(layout, cluster.servers)
    play = getattr(cluster, "play", None)
    pace = cluster.speed if speed is None else speed
    if play is not None:
        play(pace)
    return ClusterView.watch(cluster, pace, layout)


@overload
def show(what: Verdict) -> IntervalChart: ...
@overload
def show(
    what: Trace | Found, nodes: Iterable[Node] = ..., layout: LayoutName = ...
) -> ClusterView: ...
def show(
    what: Trace | Found | Verdict, nodes: Iterable[Node] = (), layout: LayoutName = "ring"
) -> ClusterView | IntervalChart:
    """A picture that plays a recorded run, or one that shows why a history is judged as it is.

    It has the player, the search box, the diagram and the keys of `watch`, and no tools that break.
    What a search or a storm found opens at the violation, with its story beside it.
    With the `nodes` of a run that comes from a file, as they were given to the cluster, all their
    fields are shown; without them what they saved. `layout` is as in `watch`.
    Raises TraceError if no run shows what was found.
    """
    if isinstance(what, Verdict):
        from clusterlab.views.interval_chart import IntervalChart  # noqa: PLC0415 - as below

        return IntervalChart(what)
    from clusterlab.views.cluster_view import ClusterView  # noqa: PLC0415 - widgets load when used

    trace = _run_of(what, nodes)
    return ClusterView.show(trace, Finding.of(what), layout)


def _run_of(what: Trace | Found, nodes: Iterable[Node] = ()) -> Trace:
    trace = what if isinstance(what, Trace) else what.trace
    if trace is None:
        raise TraceError(
            "no run shows what was found, since nothing was violated: "
            "print the report, or show a trace."
        )
    trace.nodes = tuple(node.copy() for node in nodes) or trace.nodes
    return trace


def svg_of(what: object) -> str | None:
    """The still picture of what a notebook shows; None if there is none."""
    if isinstance(what, Verdict) and what.history is not None:
        return show(what).svg()
    return None


def save_html(
    what: Trace | Found, path: str | os.PathLike[str], nodes: Iterable[Node] = ()
) -> Path:
    """Write one HTML file that plays the run in any browser, without a kernel or a network.

    What a search or a storm found opens at the violation, and `nodes` is as in `show`.
    """
    from clusterlab.views.page import save  # noqa: PLC0415 - reads the scripts when used

    return save(_run_of(what, nodes), path, finding=Finding.of(what))
