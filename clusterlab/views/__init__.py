"""Pictures of a cluster, drawn from the records of its trace alone.

`watch(cluster)` shows a cluster while it runs and lets one kill, pause and cut with a click;
`show(trace)` plays a recorded run, `show(verdict)` draws why a history is judged as it is;
`save_html` writes one file that plays a run without a kernel.
The widget libraries are imported when a picture is first asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, overload

from clusterlab.check.verdict import Verdict
from clusterlab.core.cluster import Cluster
from clusterlab.core.trace import Trace

if TYPE_CHECKING:
    from clusterlab.views.cluster_view import ClusterView
    from clusterlab.views.interval_chart import IntervalChart

__all__ = ["save_html", "show", "svg_of", "watch"]


def watch(cluster: Cluster, speed: float | None = None) -> ClusterView:
    """A live picture of `cluster`, in which a click kills.

    Args:
        cluster: a cluster of either engine.
        speed: ms of cluster time for each ms of yours, where the cluster lets one choose (the
            simulator); by default slow enough to see messages fly.
    """
    from clusterlab.views.cluster_view import ClusterView  # noqa: PLC0415 - widgets load when used

    play = getattr(cluster, "play", None)
    pace = cluster.speed if speed is None else speed
    if play is not None:
        play(pace)
    return ClusterView.watch(cluster, pace)


@overload
def show(what: Trace) -> ClusterView: ...
@overload
def show(what: Verdict) -> IntervalChart: ...
def show(what: Trace | Verdict) -> ClusterView | IntervalChart:
    """A picture that plays a recorded run, or one that shows why a history is judged as it is."""
    if isinstance(what, Verdict):
        from clusterlab.views.interval_chart import IntervalChart  # noqa: PLC0415 - as below

        return IntervalChart(what)
    from clusterlab.views.cluster_view import ClusterView  # noqa: PLC0415 - widgets load when used

    return ClusterView.show(what)


def svg_of(what: object) -> str | None:
    """The still picture of what a notebook shows; None if there is none."""
    if isinstance(what, Verdict) and what.history is not None:
        return show(what).svg()
    return None


def save_html(trace: Trace, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that plays the run in any browser, without a kernel or a network."""
    from clusterlab.views.page import save  # noqa: PLC0415 - reads the scripts when used

    return save(trace, path)
