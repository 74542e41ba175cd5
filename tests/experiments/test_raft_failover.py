"""A hundred storms: the correct Raft stays silent, a forgetful one is caught."""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random

import pytest

from clusterlab.core.faults import check_fault
from clusterlab.core.node import Message, NodeId, volatile
from clusterlab.experiments.nemesis import draw_schedule
from clusterlab.experiments.raft_failover import RaftFailover
from clusterlab.protocols.raft import AppendEntries, Raft

SEEDS = range(100)


class Forgetful(Raft):
    """Votes are not on disk: after a restart it may vote again in the same term."""

    voted_for: NodeId | None = volatile(None)


class Breaking(Raft):
    """Raises when it is told of a committed entry."""

    def on_append_entries(self, src: NodeId, m: AppendEntries) -> None:
        if m.leader_commit > 3:
            raise RuntimeError("disk full")
        super().on_append_entries(src, m)


def weather(seed: int) -> tuple[int, list[str], dict[str, int], dict[str, int]]:
    """One seed, run in a process of its own: what failed, which faults struck, what was done."""
    outcome = RaftFailover().run(seed=seed)
    return seed, [str(check) for check in outcome.failures()], outcome.fired, outcome.operations


@pytest.mark.slow
def test_a_hundred_seeds_pass_and_every_kind_of_fault_struck(capsys):
    fired: Counter[str] = Counter()
    operations: Counter[str] = Counter()
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for seed, failures, struck, done in pool.map(weather, SEEDS, chunksize=5):
            assert not failures, f"clusterlab run raft-failover --seed {seed}: {failures}"
            fired.update(struck)
            operations.update(done)
    with capsys.disabled():
        told = f"{dict(operations)}; faults that struck: {dict(fired)}"
        sys.stdout.write(f"\n100 seeds of raft-failover: {told}\n")
    for kind in ("kill", "restart", "pause", "resume", "partition", "isolate", "link", "heal"):
        assert fired[kind], kind
    for fate in ("lost", "partition", "isolated", "blocked", "dead", "duplicated", "reordered"):
        assert fired[f"message {fate}"], fate
    assert operations["ok"] > 100 * len(SEEDS)


@pytest.mark.slow
def test_a_vote_that_is_forgotten_gives_a_term_two_leaders():
    outcomes = (RaftFailover(Forgetful).run(seed=seed) for seed in SEEDS)
    failed = ({check.name for check in outcome.failures()} for outcome in outcomes)
    assert any("one leader a term" in names for names in failed), "no seed caught it"


def test_a_handler_that_raises_is_a_failed_check_with_a_sentence():
    outcome = RaftFailover(Breaking).run(seed=1)
    (check,) = outcome.failures()
    assert check.name == "no node failed"
    assert "raised RuntimeError (disk full) while handling AppendEntries" in check.explanation
    assert "on_append_entries, line" in check.explanation
    assert outcome.trace.of("error")


def test_the_same_seed_is_the_same_run():
    first, second = (RaftFailover().run(seed=7).trace.digest() for _ in range(2))
    assert first == second
    assert RaftFailover().run(seed=8).trace.digest() != first


def test_the_nemesis_draws_only_faults_that_can_be():
    servers = ("n1", "n2", "n3", "n4", "n5")
    for seed in range(50):
        schedule = draw_schedule(Random(seed), servers, until_ms=5000)
        times = [at for at, _ in schedule]
        assert times == sorted(times)
        assert times[-1] < 5000
        for _, fault in schedule:
            check_fault(fault, servers)


def test_no_write_is_a_failed_check_not_a_pass():
    class Idle(RaftFailover):
        def script(self, cluster, story):
            cluster.run_until_leader()

    names = {check.name for check in Idle().run().failures()}
    assert "no acknowledged write lost" in names
    assert "serves again after the faults" in names


def test_a_lost_write_is_found():
    class Losing(RaftFailover):
        def checks(self, cluster):
            leader = cluster.run_until_leader()
            host = cluster._hosts[leader]
            host.node.log = tuple(e for e in host.node.log if e.command is None)
            return super().checks(cluster)

    failed = {check.name: check.explanation for check in Losing().run().failures()}
    assert "are gone, first" in failed["no acknowledged write lost"]
    assert "committed logs agree" in failed


def test_operations_of_the_clients_are_messages():
    outcome = RaftFailover().run(seed=3)
    calls = [event.data["operation"] for event in outcome.trace.of("invoke")]
    assert calls
    assert all(isinstance(call, Message) for call in calls)
