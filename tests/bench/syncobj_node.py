"""One pysyncobj server as a process, told on standard input what to do.

A line in, a line out, both JSON; it ends when its input does.

| do | answer |
|---|---|
| status | ready, leader: whether this one leads |
| write: callers, seconds | latencies_ms: of the writes that were acknowledged |
| pace: every_ms | started; from then on a write every so often, whatever became of the others |
| acknowledged | acks_s: when they were acknowledged, on the monotonic clock; pacing ends |
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from typing import Any

TUNED = {"autoTickPeriod": 0.001, "appendEntriesPeriod": 0.005}


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address", nargs="+", help="mine, then those of the others")
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--journal")
    options = parser.parse_args()
    node = _node(options)
    writer = Writer(node)
    for line in sys.stdin:
        order = json.loads(line)
        answer = getattr(writer, order.pop("do"))(**order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)  # its threads are no daemons


def _node(options: argparse.Namespace) -> Any:
    from pysyncobj import SyncObj, SyncObjConf, replicated  # type: ignore[import-untyped]

    class Store(SyncObj):  # type: ignore[misc]
        def __init__(self) -> None:
            tuning = TUNED if options.tuned else {}
            conf = SyncObjConf(journalFile=options.journal, **tuning)
            mine, *others = options.address
            super().__init__(mine, others, conf)
            self.values: dict[str, str] = {}

        @replicated  # type: ignore[untyped-decorator]
        def put(self, key: str, value: str) -> None:
            self.values[key] = value

    return Store()


class Writer:
    """The callers: each writes again as soon as its write was acknowledged."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._acks_s: list[float] = []
        self._pacing = False

    def status(self) -> dict[str, Any]:
        """How this server sees the cluster."""
        leader = self._node._getLeader()
        return {
            "ready": bool(self._node.isReady()),
            "leader": leader is not None and leader == self._node.selfNode,
        }

    def write(self, callers: int, seconds: float) -> dict[str, Any]:
        """A closed loop a caller, by callbacks: cheaper than a thread each."""
        end = time.monotonic() + seconds
        latencies: list[float] = []
        left = [callers]
        done = threading.Event()

        def again(caller: int, number: int) -> None:
            begun = time.perf_counter()

            def over(_result: Any, error: int) -> None:
                if time.monotonic() >= end:
                    left[0] -= 1
                    if not left[0]:
                        done.set()
                    return
                if error == 0:
                    latencies.append((time.perf_counter() - begun) * 1000)
                again(caller, number + 1)

            self._node.put(f"c{caller}", f"c{caller}:{number}", callback=over)

        for caller in range(callers):
            again(caller, 0)
        done.wait(seconds + 10)
        return {"latencies_ms": latencies}

    def pace(self, every_ms: float) -> dict[str, Any]:
        """An open loop: what was lost with a leader holds up nothing."""
        self._acks_s, self._pacing = [], True
        acks = self._acks_s

        def run() -> None:
            number = 0
            while self._pacing:
                number += 1
                self._node.put(
                    "paced",
                    f"p:{number}",
                    callback=lambda _, error: None if error else acks.append(time.monotonic()),
                )
                time.sleep(every_ms / 1000)

        threading.Thread(target=run, daemon=True).start()
        return {"started": True}

    def acknowledged(self) -> dict[str, Any]:
        """What came of it."""
        self._pacing = False
        return {"acks_s": list(self._acks_s)}


if __name__ == "__main__":
    main()
