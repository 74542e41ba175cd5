"""The same seed gives the same run, whatever the process, the order of sets or the pace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusterlab.core.network import Network
from clusterlab.core.node import Node, volatile
from clusterlab.sim import Simulation
from tests.sim.gossip import gossip
from tests.sim.nodes import Number, Peer, got

ROOT = Path(__file__).parent.parent.parent


def digest_in_a_new_process(seed: int, hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim.gossip", str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_a_run_is_the_same_in_two_processes_with_two_hash_seeds() -> None:
    first, second = (digest_in_a_new_process(7, hash_seed) for hash_seed in ("1", "2"))
    assert len(first) == 16
    assert first == second == gossip(7).trace.digest()


def test_the_run_that_is_compared_has_all_that_could_make_it_differ() -> None:
    fired = gossip(7).trace.fired()
    wanted = ("kill", "restart", "message lost", "message duplicated", "message reordered")
    assert all(fired[kind] > 0 for kind in wanted), fired
    kills = gossip(7).trace.of("kill")
    assert {"effects": 1} in [event.data for event in kills], "the crash within a step is missing"


def test_other_seeds_are_other_runs() -> None:
    digests = {gossip(seed).trace.digest() for seed in range(5)}
    assert len(digests) == 5


def test_ties_in_time_are_broken_by_the_order_of_sending() -> None:
    nodes = [Peer(name, to=("z",), count=3) for name in ("c", "a", "b")]
    sim = Simulation([*nodes, Peer("z")], network=Network(delay_ms=(5, 5)))
    sim.run(100)
    arrivals = [(src, number) for src, number in sim.state("z")["got"]]
    assert arrivals == [(src, number) for number in (1, 2, 3) for src in ("c", "a", "b")]


def test_how_time_is_let_pass_makes_no_difference() -> None:
    def run(stride_ms: float) -> Simulation:
        nodes = [Peer("a", to=("b",), count=50), Peer("b", to=("a",), every_ms=7, count=50)]
        sim = Simulation(nodes, seed=3)
        while sim.now_ms < 600:
            sim.run(stride_ms)
        return sim

    assert run(600).trace.digest() == run(1).trace.digest() == run(0.25).trace.digest()


class Chooser(Node):
    chosen: tuple[str, ...] = volatile(())

    def on_number(self, src: str, m: Number) -> None:
        self.chosen = (*self.chosen, self.choose(["red", "green", "blue"]))


def test_choices_are_drawn_from_the_seed() -> None:
    def chosen(seed: int) -> tuple[str, ...]:
        sim = Simulation([Chooser("n1"), Peer("n2", to=("n1",), count=30)], seed=seed)
        sim.run(1000)
        return tuple(sim.state("n1")["chosen"])

    assert set(chosen(1)) == {"red", "green", "blue"}
    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


def test_one_list_of_nodes_starts_two_clusters_that_do_not_know_each_other() -> None:
    nodes = [Peer("a", to=("b",), count=3), Peer("b")]
    first = Simulation(nodes)
    first.run(200)
    second = Simulation(nodes)
    assert got(first, "b", "a") == [1, 2, 3]
    assert got(second, "b", "a") == []
    second.run(200)
    assert first.trace.digest() == second.trace.digest()
