"""Virtual time at the pace of real time: what lets one watch a simulation and click into it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

TICK_S = 1 / 60
LAG_S_MAX = 0.1
"""What a slow machine could not keep up with is left out, not caught up with at a gallop."""


class Pace:
    """A thread that advances virtual time; it changes when events run, never their order.

    Parameters
    ----------
    advance:
        Lets so many ms of virtual time pass.
    lock:
        Held while time advances; whoever holds it sees the cluster stand still.
    speed:
        Virtual ms for each real ms.
    """

    def __init__(
        self, advance: Callable[[float], None], lock: AbstractContextManager[Any], speed: float
    ) -> None:
        self._advance = advance
        self._lock = lock
        self._speed = speed
        self._over = threading.Event()
        self._error: Exception | None = None
        threading.Thread(target=self._run, name="clusterlab-pace", daemon=True).start()

    def wait(self, condition: Callable[[], bool]) -> bool:
        """Wait until `condition()` holds; False if the pace ended before it did.

        Raises what ended it, if that was an error.
        """
        while not condition():
            if self._error is not None:
                raise self._error
            if self._over.is_set():
                return False
            self._over.wait(TICK_S)
        return True

    def stop(self) -> None:
        """Let no more time pass; from the return of this call on, none does."""
        with self._lock:
            self._over.set()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._over.wait(TICK_S):
            now = time.monotonic()
            try:
                with self._lock:
                    if self._over.is_set():
                        return
                    self._advance(min(now - last, LAG_S_MAX) * 1000 * self._speed)
            except Exception as error:  # noqa: BLE001 - whoever waits is told: a thread has nobody
                self._error = error
                self._over.set()
            last = now
