"""Virtual time at the pace of real time: what lets one watch a simulation and click into it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusterlab.sim.simulation import Simulation

TICK_S = 1 / 60


class Pace:
    """A thread that advances a simulation; it never touches the order of events, only when they are run."""

    def __init__(self, simulation: Simulation, speed: float) -> None:
        self._simulation = simulation
        self._speed = speed
        self._changed = threading.Condition()
        self._stopping = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="clusterlab-pace", daemon=True)
        self._thread.start()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition()` holds; raises what stopped the simulation, if something did."""
        with self._changed:
            while not condition():
                if self._error is not None:
                    raise self._error
                if self._stopping:
                    return
                self._changed.wait(timeout=1.0)

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stopping and self._error is None:
            time.sleep(TICK_S)
            now = time.monotonic()
            try:
                self._simulation.advance_to(
                    self._simulation.now_ms + (now - last) * 1000 * self._speed
                )
            except Exception as error:  # noqa: BLE001 - whoever waits is told; a thread has nobody to raise to
                self._error = error
            last = now
            with self._changed:
                self._changed.notify_all()
