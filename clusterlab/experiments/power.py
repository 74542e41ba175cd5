"""The hand on the power switch: what it was commanded to cut is killed, and it is told so."""

from __future__ import annotations

from clusterlab.core.cluster import Cluster
from clusterlab.core.node import NodeId
from clusterlab.protocols.failover import IsOff

SLICE_MS = 20.0


class Electrician:
    """Carries out what a PowerSwitch notes, while time passes."""

    def __init__(self, cluster: Cluster, switch: NodeId = "pdu") -> None:
        self.cluster = cluster
        self.switch = switch
        self.seen = 0  # of the trace

    def run(self, ms: float) -> list[NodeId]:
        """Let so much time pass, with a hand on the switch; whose power was cut."""
        until_ms = self.cluster.now_ms + ms
        cut: list[NodeId] = []
        while self.cluster.now_ms < until_ms:
            self.cluster.run(min(SLICE_MS, until_ms - self.cluster.now_ms))
            cut += self.cut()
        return cut

    def cut(self) -> list[NodeId]:
        """Kill those that the switch was commanded to cut since the last look."""
        events = self.cluster.trace.events
        new, self.seen = events[self.seen :], len(events)
        doomed = [
            event.data["data"]
            for event in new
            if event.kind == "note"
            and event.node == self.switch
            and event.data["name"] == "power off"
        ]
        for node in doomed:
            self.cluster.kill(node)
            self.cluster.invoke(self.switch, IsOff(node))
        return doomed
