"""A process that starts five nodes, or five empty actors, says so, and waits to be measured."""

from __future__ import annotations

import contextlib
import os
import sys

from tests.bench.bare_ray import FIVE_EMPTY_ACTORS

KINDS = ("ours", "ray")
PUTS = 20


def main(kind: str) -> None:
    """Start, say `ready`, and stay until the input ends."""
    if kind == "ours":
        from clusterlab import Client, Cluster, Raft

        cluster = Cluster(Raft.group(5), engine="live", progress=lambda _: None)
        cluster.run_until_leader()
        cluster.add_client(Client("c1", servers=cluster.servers))
        for number in range(PUTS):
            cluster.put("x", number)
    else:
        exec(FIVE_EMPTY_ACTORS, {})  # noqa: S102 - the same text is a cell of a notebook elsewhere
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
    if kind == "ours":
        from clusterlab.live import disconnect

        disconnect()
    else:
        import ray

        ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115,PTH123 - a pipe that is gone is not flushed
