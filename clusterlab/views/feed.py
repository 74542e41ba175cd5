"""What runs between a cluster and the pictures of it: records go out in batches, commands come in.

Widget messages may arrive in a thread of their own (a subshell of the kernel), the batches leave
from another, and cells run in a third: whatever these share is behind one lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import ClusterlabError
from clusterlab.views.commands import COMMANDS, Deeds
from clusterlab.views.layouts import LayoutName
from clusterlab.views.page import PAST_LIMIT, past, run_of
from clusterlab.views.records import records_json
from clusterlab.views.state import State

PERIOD_S = 1 / 60
HEARTBEAT_S = 0.1
"""So often the time is told when there is nothing else to tell."""

Send = Callable[[dict[str, Any]], None]


class Feed:
    """Sends the records of a running cluster to its pictures, from when the first one opens.

    Args:
        cluster: where the records come from and the commands go to.
        send: sends a message to all pictures.
        speed: the pace that is shown at first, where the cluster lets one choose it.
        layout: where the nodes stand at first.
    """

    def __init__(
        self, cluster: Cluster, send: Send, speed: float, layout: LayoutName = "ring"
    ) -> None:
        self.cluster = cluster
        self._deeds = Deeds(cluster)
        self._layout = layout
        self._send = send
        self._speed = speed
        self._lock = threading.RLock()
        self._views: set[str] = set()
        self._sent = 0
        self._sent_ms = -1.0
        self._sent_at = 0.0
        self._before = State(cluster.servers, cluster.clients)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether records are being sent."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def open(self, view: str) -> None:
        """A picture opened: it gets the past, and from now on the batches."""
        with self._lock:
            if view in self._views:
                return  # it knocked again before it heard the answer
            if not self._views:
                self._sent = len(self.cluster.trace)
            self._views.add(view)
            self._tell_past(view, self._sent)
            if not self.running and not self._stopping.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="clusterlab-view", daemon=True
                )
                self._thread.start()

    def leave(self, view: str) -> None:
        """A picture closed; after the last one nothing is sent."""
        with self._lock:
            self._views.discard(view)

    def stop(self) -> None:
        """Send nothing more."""
        self._stopping.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2)

    def command(self, content: Mapping[str, Any]) -> None:
        """Carry out what a click asked for; whatever goes wrong comes back as a sentence."""
        action = str(content.get("do"))
        about = f"{action} {content['node']}" if "node" in content else action
        try:
            if action == "speed":
                self._pace(float(content["speed"]))
            elif action == "undo":
                self._send({"type": "said", "text": self._deeds.undo()})
            elif action not in COMMANDS:
                raise ValueError(f"there is no command {action!r}")  # noqa: TRY301 - told below
            elif not self._deeds.do(COMMANDS[action](content)):
                self._send({"type": "said", "text": f"{about}: nothing changed"})
        except ClusterlabError as error:
            self._send({"type": "error", "text": str(error)})
        except Exception as error:  # noqa: BLE001 - a click has no cell that could show a traceback
            self._send({"type": "error", "text": f"{about} did not work: {_words(error)}."})

    def _pace(self, speed: float) -> None:
        play = getattr(self.cluster, "play", None)
        if play is None:
            raise ValueError("this cluster runs at a speed of its own, chosen when it was started")
        play(speed)
        self._speed = speed

    def _tell_past(self, view: str | None, end: int) -> None:
        trace = self.cluster.trace
        start = max(0, end - PAST_LIMIT)
        self._before.know(self.cluster.servers, self.cluster.clients)
        self._before.add_all(trace.events[self._before.count : start])
        self._send(
            {
                **past(self._before, trace, start, end, self._layout),
                "to": view,
                "run": run_of(trace),
                "live": True,
                "now_ms": self.cluster.now_ms,
                "can_pace": hasattr(self.cluster, "play"),
                "speed": self._speed,
            }
        )

    def _run(self) -> None:
        try:
            while not self._stopping.wait(PERIOD_S):
                with self._lock:
                    if not self._views:
                        return
                    over = _has_stopped(self.cluster)
                    self._push()
                if over:
                    self._send({"type": "said", "text": "the cluster was stopped"})
                    return
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to, so the picture says it
            self._send(
                {
                    "type": "error",
                    "text": f"the picture stopped: {_words(error)}. "
                    "The cluster goes on; run the cell again.",
                }
            )

    def _push(self) -> None:
        """Send what is new."""
        trace, now_ms, at = self.cluster.trace, self.cluster.now_ms, time.monotonic()
        end = len(trace)
        if end - self._sent > PAST_LIMIT:
            self._tell_past(None, end)
        elif end > self._sent or (now_ms != self._sent_ms and at - self._sent_at > HEARTBEAT_S):
            self._send(
                {
                    "type": "records",
                    "records": records_json(trace.events[self._sent : end]),
                    "clients": list(self.cluster.clients),
                    "now_ms": now_ms,
                }
            )
        else:
            return
        self._sent, self._sent_ms, self._sent_at = end, now_ms, at


def _has_stopped(cluster: Cluster) -> bool:
    """Whether nothing more can come of a cluster; an engine tells it by `stopped` or `_stopped`."""
    return bool(getattr(cluster, "stopped", getattr(cluster, "_stopped", False)))


def _words(error: Exception) -> str:
    text = str(error).strip().rstrip(".")
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
