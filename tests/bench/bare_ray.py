"""The peer Ray without anything of ours: how long a call takes, what five empty actors cost."""

from __future__ import annotations

import importlib
import time
from typing import Any


def load_ray() -> Any:
    """Ray, without the types that its own decorators do not pass on."""
    return importlib.import_module("ray")


def round_trips_ms(calls: int) -> list[float]:
    """Times of calls from one actor to another, on the Ray that this process is connected to.

    The driver has no part in them; both actors are synchronous, the fastest kind.
    """
    ray = load_ray()

    class Echo:
        def echo(self, payload: bytes) -> bytes:
            return payload

    class Caller:
        def call(self, other: Any, times: int) -> list[float]:
            taken = []
            for _ in range(times):
                begun = time.perf_counter()
                ray.get(other.echo.remote(b"x" * 100))
                taken.append((time.perf_counter() - begun) * 1000)
            return taken

    as_actor = ray.remote(num_cpus=0)
    echo, caller = as_actor(Echo).remote(), as_actor(Caller).remote()
    try:
        ray.get(caller.call.remote(echo, calls // 10))  # warm
        taken: list[float] = ray.get(caller.call.remote(echo, calls))
        return taken
    finally:
        for actor in (caller, echo):
            ray.kill(actor)


DIRECTORY = "CLUSTERLAB_BENCH_RAY"
"""The environment variable with the folder in which that Ray keeps its sockets and logs."""

FIVE_EMPTY_ACTORS = f"""
import logging, os, ray
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
         logging_level=logging.ERROR, _temp_dir=os.environ["{DIRECTORY}"])

@ray.remote(num_cpus=0)
class Empty:
    def ready(self):
        return True

actors = [Empty.remote() for _ in range(5)]
ray.get([actor.ready.remote() for actor in actors])
"""
"""A program, or the cell of a notebook."""
