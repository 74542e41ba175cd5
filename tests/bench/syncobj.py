"""The peer pysyncobj: three servers as processes of this machine."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.bench.machine import end, start

SERVERS = 3
READY_LIMIT_S = 30.0


class SyncObjCluster:
    """Starts the servers and waits until they have elected one of them."""

    def __init__(self, *, tuned: bool = False, journals: Path | None = None) -> None:
        self._tuned = tuned
        self._journals = journals
        self._addresses = free_addresses(SERVERS)
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the servers
        self.told = ""
        """What the servers wrote to their standard error, once they have ended."""

    def __enter__(self) -> Self:
        try:
            for address in self._addresses:
                self.start(address)
            self.wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all servers."""
        for process in self._processes.values():
            end(process, 1.0)
        if not self._errors.closed:
            self._errors.seek(0)
            self.told = self._errors.read()
            self._errors.close()

    def start(self, address: str) -> None:
        """Start the server of an address; again, if it was killed."""
        options = ["--tuned"] if self._tuned else []
        if self._journals is not None:
            options += ["--journal", str(self._journals / address.rpartition(":")[2])]
        others = [other for other in self._addresses if other != address]
        self._processes[address] = start(
            "tests.bench.syncobj_node", address, *others, *options, stderr=self._errors
        )

    def wait_until_ready(self) -> str:
        """Wait until all are ready and one leads; returns its address."""
        limit = time.monotonic() + READY_LIMIT_S
        while time.monotonic() < limit:
            status = {address: self.tell(address, do="status") for address in self._addresses}
            leaders = [address for address in self._addresses if status[address]["leader"]]
            if len(leaders) == 1 and all(one["ready"] for one in status.values()):
                return leaders[0]
            time.sleep(0.05)
        raise TimeoutError(f"the pysyncobj servers were not ready within {READY_LIMIT_S:.0f} s")

    def tell(self, address: str, **order: Any) -> dict[str, Any]:
        """Give an order and wait for the answer."""
        process = self._processes[address]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    def kill(self, address: str) -> None:
        """SIGKILL."""
        self._processes[address].kill()
        end(self._processes[address])

    def another(self, address: str) -> str:
        """A server that is not this one."""
        return next(other for other in self._addresses if other != address)


def free_addresses(count: int) -> list[str]:
    """Addresses on this machine that nobody listened at a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    finally:
        for one in sockets:
            one.close()
