"""Reads the journals of all processes while they grow, and keeps the cluster's trace.

The journals are the buffer: when the processes write faster than the driver can read,
the trace lags behind and says so, and no memory is used up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from clusterlab.core.garbage import no_garbage_collection
from clusterlab.core.node import NodeId
from clusterlab.core.trace import Trace
from clusterlab.live import records as r
from clusterlab.live.merge import DRIVER, Death, Merger
from clusterlab.live.wire import Wire

PENDING_MAX = 20_000
"""A process's journal is not read on while so many of its records wait to be merged."""
BEHIND_BYTES = 32 << 20
"""So much unread in the journals is worth a note in the trace."""


class _Source:
    """One journal, as far as it has been read."""

    def __init__(self, path: Path, wire: Wire) -> None:
        self.path = path
        self.frames = r.Frames(wire)
        self.read = 0
        self._file: BinaryIO | None = None

    def more(self, limit: int) -> bytes:
        """The next bytes; none if there are none yet."""
        if self._file is None:
            if not self.path.exists():
                return b""
            self._file = self.path.open("rb", buffering=0)
        data = self._file.read(limit)
        self.read += len(data)
        return data

    def size(self) -> int:
        """How long the journal is now."""
        return self.path.stat().st_size if self.path.exists() else 0

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


class Collector:
    """Fills a trace from journals."""

    def __init__(
        self, trace: Trace, shown: dict[NodeId, Mapping[str, Any]], wire: Wire, limit: int
    ) -> None:
        self.deaths: deque[Death] = deque()
        self._wire = wire
        self._merger = Merger(trace, shown, self.deaths.append, limit)
        self._sources: dict[str, _Source] = {}
        self._lock = threading.RLock()
        self._behind = False

    def open(self, name: str, life: int, path: Path, at_ms: float) -> None:
        """A process was started, and writes to `path`."""
        with self._lock:
            self._sources[name] = _Source(path, self._wire)
            self._merger.feed(name, [(r.LIFE, at_ms, life)])

    def close(
        self, name: str, life: int, at_ms: float, saved: int, nodes: Iterable[NodeId]
    ) -> None:
        """A process is dead; the newest frame whose saves are on its disk is `saved`."""
        with self._lock:
            source = self._sources.pop(name)
            self._drain(name, source, None)
            source.close()
            self._merger.feed(name, source.frames.last(saved))
            self._merger.feed(name, [(r.END, at_ms, life, tuple(nodes))])
            self._merger.merge()

    def add(self, name: str, record: r.Record) -> None:
        """Something that the driver did; to a process after all that it wrote so far."""
        with self._lock:
            source = self._sources.get(name)
            if source is not None:
                self._drain(name, source, source.size())
            self._merger.feed(name, [record])
            if name == DRIVER:
                self._merger.merge(0.02)

    def flight(self, seq: int) -> tuple[r.MessageName, NodeId] | None:
        """Name and receiver of the message that this event sent, if it is on its way."""
        with self._lock:
            return self._merger.flight(seq)

    def collect(self, seconds: float) -> None:
        """Read and merge for about so long."""
        with self._lock, no_garbage_collection(keeps=True):
            full = False
            for name, source in self._sources.items():
                if self._merger.waiting(name) < PENDING_MAX:
                    data = source.more(r.READ_BYTES)
                    full = full or len(data) == r.READ_BYTES
                    if data:
                        self._merger.feed(name, source.frames.feed(data))
                else:
                    full = True
            self._merger.merge(seconds)
            if full or self._behind:
                self._measure()

    def flush(self) -> None:
        """Bring into the trace all that is in the journals now."""
        with self._lock:
            ends = {name: source.size() for name, source in self._sources.items()}
            for name, end in ends.items():
                self._drain(name, self._sources[name], end)
            self._merger.merge()

    def finish(self) -> None:
        """The processes have ended: bring in the rest, and close the files."""
        with self._lock:
            self.flush()
            for source in self._sources.values():
                source.close()
            self._sources.clear()
            self._merger.release()

    def _drain(self, name: str, source: _Source, end: int | None) -> None:
        while end is None or source.read < end:
            data = source.more(r.READ_BYTES)
            if not data:
                return
            self._merger.feed(name, source.frames.feed(data))
            if self._merger.waiting(name) > PENDING_MAX:
                self._merger.merge()

    def _measure(self) -> None:
        unread = sum(source.size() - source.read for source in self._sources.values())
        if unread > BEHIND_BYTES and not self._behind:
            self._behind = True
            data = {"name": "trace is behind", "data": {"unread_mib": unread >> 20}}
            self._merger.note(data)
        elif unread < BEHIND_BYTES // 4:
            self._behind = False
