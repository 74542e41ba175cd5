"""Pictures of a cluster, drawn from the records of its trace alone.

`watch(cluster)` shows a cluster while it runs and lets one kill, pause and cut with a click;
`show(trace)` plays a recorded run; `save_html` writes one file that plays it without a kernel.
The widget libraries are imported when a picture is first asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from clusterlab.core.cluster import Cluster
from clusterlab.core.trace import Trace

if TYPE_CHECKING:
    from clusterlab.views.cluster_view import ClusterView

__all__ = ["save_html", "show", "watch"]


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


def show(trace: Trace) -> ClusterView:
    """A picture that plays a recorded run."""
    from clusterlab.views.cluster_view import ClusterView  # noqa: PLC0415 - widgets load when used

    return ClusterView.show(trace)


def save_html(trace: Trace, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that plays the run in any browser, without a kernel or a network."""
    from clusterlab.views.page import save  # noqa: PLC0415 - reads the scripts when used

    return save(trace, path)
