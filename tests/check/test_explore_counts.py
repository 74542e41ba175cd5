"""The search sees every state and no state twice: against a naive search, and by exact numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.rows import weights_for
from clusterlab.core.node import Node
from clusterlab.protocols.paxos import Acceptor, Propose, roles
from clusterlab.protocols.raft import Raft
from tests.check.naive import Naive
from tests.check.toys import Bump, duel, relays

X, Y = ("p1", Propose("x")), ("p2", Propose("y"))
BUMP = (("a", Bump()),)


# Rows: the world, and the number of states that it has.
SMALL: list[tuple[Callable[[], Sequence[Node]], str, dict[str, Any], int]] = [
    (relays, "set", {"timers": 2, "invoke": BUMP}, 678),
    (relays, "set", {"timers": 1, "crashes": 2, "invoke": BUMP}, 3_504),
    (relays, "set", {"timers": 1, "crashes": 1, "restarts": "either", "invoke": BUMP}, 5_617),
    (relays, "multiset", {"timers": 2, "invoke": BUMP}, 10_752),
    (relays, "fifo", {"timers": 1, "crashes": 1, "losses": 1}, 4_462),
    (relays, "multiset", {"timers": 1, "losses": 1, "duplicates": 1}, 3_481),
    (relays, "fifo", {"timers": 1, "partitions": 2}, 1_799),
    (lambda: roles(1, 2, 0), "multiset", {"timers": 0, "partitions": 1, "invoke": [X]}, 178),
    (lambda: roles(1, 3, 0), "multiset", {"timers": 0, "invoke": [X]}, 318),
    (lambda: roles(1, 3, 0), "set", {"timers": 0, "invoke": [X]}, 1_270),
    (lambda: roles(1, 2, 0), "multiset", {"timers": 0, "crashes": 1, "invoke": [X]}, 181),
    (lambda: roles(2, 1, 0), "set", {"timers": 0, "invoke": [X, Y]}, 508),
    (lambda: roles(2, 2, 0), "multiset", {"timers": 0, "invoke": [X, Y]}, 2_413),
    (lambda: Raft.group(2), "set", {"timers": 2}, 383),
    (lambda: Raft.group(3), "set", {"timers": 1}, 238),
    (lambda: Raft.group(2), "fifo", {"timers": 2, "crashes": 1}, 719),
]


@pytest.mark.slow
@pytest.mark.parametrize(("nodes", "network", "world", "states"), SMALL)
def test_the_count_is_that_of_a_naive_search(
    nodes: Callable[[], Sequence[Node]], network: str, world: dict[str, Any], states: int
) -> None:
    report = explore(nodes(), network=network, **world)  # type: ignore[arg-type]
    assert report.verdict == "holds", str(report)
    restarts = {"either": ("keep", "lose")}.get(world.get("restarts", "keep"), ("keep",))
    naive = Naive(nodes(), network, **{**world, "restarts": restarts})
    assert report.states == naive.states == states
    if "crashes" not in world:  # deaths that come to the same are one move here, and many there
        assert report.transitions == naive.transitions


@pytest.mark.slow
def test_two_proposers_and_three_acceptors_whom_nobody_hears() -> None:
    # The naive search counts the same states and transitions, in half a minute.
    nodes = [
        Acceptor(node.id, learners=()) if isinstance(node, Acceptor) else node for node in duel()
    ]
    report = explore(nodes, network="multiset", invoke=[X, Y], timers=0)
    assert (report.states, report.transitions, report.depth) == (80_648, 346_833, 22)


@pytest.mark.slow
def test_two_proposers_and_three_acceptors() -> None:
    report = explore(duel(), network="multiset", invoke=[X, Y], timers=0)
    assert (report.states, report.transitions, report.depth) == (551_099, 2_823_087, 26)
    assert report.verdict == "holds"
    assert report.handler_calls < 3_000
    assert report.bytes_a_state < 150


@pytest.mark.slow
def test_the_same_world_has_the_same_states_whatever_the_hash_seed() -> None:
    code = (
        "from tests.check.toys import Bump, duel, relays\n"
        "from clusterlab.check.explore import explore\n"
        "from clusterlab.check.properties import always\n"
        "low = always('Low', lambda w: all(n.best < 3 for n in w.nodes))\n"
        "world = dict(network='multiset', timers=2, crashes=1, invoke=[('a', Bump())])\n"
        "r = explore(relays(), **world)\n"
        "print(r.states, r.transitions, r.depth)\n"
        "print(*explore(relays(), properties=low, **world).path, sep='\\n')\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert told.pop().startswith("64144 248819 ")


def test_a_state_is_its_fields_and_nothing_else() -> None:
    capacities = [5, 3, 1, 4, 1]
    weights = weights_for(capacities)
    sums = {
        a * weights[0] + b * weights[1] + d * weights[3]
        for a in range(5)
        for b in range(3)
        for d in range(4)
    }
    assert len(sums) == 5 * 3 * 4
    large = weights_for([1 << 26] * 5 + [1 << 24, 6])
    for at, weight in enumerate(large[:-1]):
        lighter = zip(([1 << 26] * 5 + [1 << 24, 6])[at + 1 :], large[at + 1 :], strict=True)
        assert weight > sum((capacity - 1) * w for capacity, w in lighter)


def test_fields_that_lie_61_bits_apart_do_not_hash_alike() -> None:
    weights = weights_for([1 << 61, 1 << 26])
    assert len({hash(i * weights[0] + (1000 - i) * weights[1]) for i in range(1000)}) == 1000
