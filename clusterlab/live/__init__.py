"""The live engine: every node a process of its own, on Ray.

Ray loads when the first cluster starts.
"""

from clusterlab.live.cluster import LiveCluster
from clusterlab.live.session import connect, disconnect

__all__ = ["LiveCluster", "connect", "disconnect"]
