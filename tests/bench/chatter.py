"""What the picture is loaded with in a notebook: nodes that talk at a known rate."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from clusterlab import Cluster, show, watch
from clusterlab.core.cluster import Cluster as Verbs
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId, Timer
from clusterlab.core.trace import Trace
from clusterlab.views.cluster_view import ClusterView

PACES = {100: (200, 1), 500: (40, 1), 2000: (20, 3)}
"""Events a second -> ms between the words of each of five nodes, and how many words at once."""
CROWD = {100: (2000, 1), 500: (400, 1), 2000: (100, 1)}
"""Likewise of fifty nodes, whose words take two seconds: 1,000 on their way at the last pace."""
SAMPLE_S = 0.004


class Word(Message):
    """Something to say."""

    number: int


class Due(Timer):
    """Time to talk."""


class Chatter(Node):
    """Talks to its neighbours in turn."""

    peers: tuple[NodeId, ...]
    every_ms: int
    words: int

    def on_start(self) -> None:
        self.set_timer(Due(), (1, self.every_ms))

    def on_due(self, t: Due) -> None:
        self.set_timer(Due(), self.every_ms)
        for number in range(self.words):
            self.send(self.choose(self.peers), Word(number))

    def on_word(self, src: NodeId, m: Word) -> None:
        """Nothing to answer."""


def talkers(nodes: int, every_ms: int, words: int) -> Verbs:
    """A simulated cluster that makes nodes * 1000 / every_ms * (2 + 2 * words) events a second."""
    names = tuple(f"n{i}" for i in range(1, nodes + 1))
    delay = (2000, 2000) if nodes > 5 else (20, 40)
    return Cluster(
        [
            Chatter(
                name,
                peers=tuple(peer for peer in names if peer != name),
                every_ms=every_ms,
                words=words,
            )
            for name in names
        ],
        engine="sim",
        network=Network(delay_ms=delay),
    )


class Watched:
    """A cluster on the screen, and when each of its events was made (wall clock, ms)."""

    def __init__(self, nodes: int, events_per_s: int) -> None:
        pace = (PACES if nodes == 5 else CROWD)[events_per_s]
        self.cluster = talkers(nodes, *pace)
        self.view = watch(self.cluster, 1.0)
        self._samples: list[tuple[float, int]] = []
        self._over = threading.Event()
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._samples.append((time.time() * 1000, len(self.cluster.trace)))

    def stop(self, path: str) -> int:
        """End it and write one line for each sample: the time, and the events there were."""
        self._over.set()
        self.cluster.stop()
        self.view.close()
        lines = "".join(f"{at_ms:.1f} {count}\n" for at_ms, count in self._samples)
        Path(path).write_text(lines)
        return len(self._samples)


def trace_of(events: int) -> Trace:
    """A recorded run of five nodes with about so many events."""
    with talkers(5, *PACES[2000]) as cluster:
        cluster.run(events / 2)
        return cluster.trace


def opened(trace: Trace, path: str) -> ClusterView:
    """Show it, and write when that was asked for (wall clock, ms)."""
    Path(path).write_text(f"{time.time() * 1000:.1f}")
    return show(trace)
