"""The checkers: the search beside a naive one, its reductions, and histories of many lengths."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from clusterlab.check.explore import explore
from clusterlab.check.invariants import paxos, raft
from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.report import Report
from clusterlab.core.history import Operation
from clusterlab.core.node import Node
from clusterlab.core.spec import KeyValue
from clusterlab.protocols.paxos import Acceptor, Propose, roles
from clusterlab.protocols.raft import Raft
from tests.bench.figures import Comparison, Measured, Section, Target
from tests.bench.machine import Plan
from tests.check.histories import made_stale, recorded
from tests.check.naive import Naive
from tests.check.toys import duel

TRANSITIONS_PER_S_MIN = 500_000
HISTORY_S_MAX = 10.0

WISHES = (("p1", Propose("x")), ("p2", Propose("y")))
ACCEPTORS, SERVERS = ("a1", "a2", "a3"), ("n1", "n2", "n3")
ELECTION = {"timers": {"ElectionTimeout": 1, "HeartbeatDue": 1}, "crashes": 1}

LENGTHS, CLIENTS, KEYS = (500, 1_000, 2_000), (5, 20, 50), 10

T = TypeVar("T")


def measure(plan: Plan) -> Section:
    """Search, search with reductions, judge."""
    section = Section("Checking: two proposers and three acceptors, multiset network (CPU time)")
    _search(plan, section)
    if not plan.quick:
        _spread(plan, section)
    _reductions(plan, section)
    _histories(plan, section)
    section.notes.append(
        "The naive search keeps whole nodes and copies them (tests/check/naive.py); it counts the "
        "same states and transitions."
    )
    section.notes.append(
        "With reductions: distinct states, then processor time. Nobody hears the acceptors: a "
        "multiset network, no learner. An election, a death: a set network."
    )
    section.notes.append(
        f"Histories: {KEYS} keys, a twentieth of the writes without an answer; what is not valid "
        "has one stale read near its end."
    )
    return section


def unheard() -> list[Node]:
    """The same with acceptors who tell nobody: a seventh of the states."""
    return [
        Acceptor(node.id, learners=()) if isinstance(node, Acceptor) else node for node in duel()
    ]


def _search(plan: Plan, section: Section) -> None:
    rounds = 1 if plan.quick else 3
    found: list[tuple[Report, float]] = []
    for number in range(1, rounds + 1):
        plan.say(f"search, round {number} of {rounds}")
        found.append(timed(lambda: explore(duel(), network="multiset", invoke=WISHES, timers=0)))
    learners = 0 if plan.quick else 1
    plan.say("search, the naive one")
    world: dict[str, Any] = {"invoke": WISHES, "timers": 0}
    naive, naive_s = timed(lambda: Naive(roles(2, 2, learners), "multiset", **world))
    ours, ours_s = timed(lambda: explore(roles(2, 2, learners), network="multiset", **world))
    assert (ours.states, ours.transitions) == (naive.states, naive.transitions)
    name = f"naive search, {naive.states:,} states"
    section.lines += [
        Comparison(
            f"a world of {found[0][0].states:,} states",
            "transitions/s",
            Measured.of(report.transitions / seconds for report, seconds in found),
            target=Target("ours", TRANSITIONS_PER_S_MIN, at_least=True),
        ),
        Comparison("  bytes a state", "bytes", Measured.of((found[0][0].bytes_a_state,))),
        Comparison(
            "a world with two acceptors",
            "transitions/s",
            Measured.of((ours.transitions / ours_s,)),
            name,
            Measured.of((naive.transitions / naive_s,)),
        ),
    ]


def _spread(plan: Plan, section: Section) -> None:
    workers = min(os.cpu_count() or 1, 2)
    plan.say(f"search, {workers} workers")
    seconds = []
    for count in (1, workers):
        begun = time.monotonic()
        explore(duel(), network="multiset", invoke=WISHES, timers=0, workers=count)
        seconds.append(time.monotonic() - begun)
    section.lines.append(
        Comparison(
            f"  by {workers} workers (of the clock)",
            "s",
            Measured.of(seconds[1:]),
            "by one process",
            Measured.of(seconds[:1]),
        )
    )


def _reductions(plan: Plan, section: Section) -> None:
    worlds: list[tuple[str, Callable[[], Sequence[Node]], tuple[str, ...], dict[str, Any]]] = [
        (
            "Paxos, acceptors unheard",
            unheard,
            ACCEPTORS,
            {
                "network": "multiset",
                "invoke": WISHES,
                "timers": 0,
                "properties": paxos.CHOSEN_AGREEMENT,
            },
        ),
        (
            "Raft, an election, a death",
            lambda: Raft.group(3),
            SERVERS,
            {**ELECTION, "properties": raft.SAFETY},
        ),
    ]
    for name, nodes, alike, world in worlds:
        plan.say(f"reductions: {name}")
        plain, plain_s = timed(lambda n=nodes, w=world: explore(n(), **w))
        variants: list[tuple[str, dict[str, Any]]] = [
            ("symmetry", {"symmetry": alike}),
            ("partial order", {"partial_order": True}),
            ("both", {"symmetry": alike, "partial_order": True}),
        ]
        for what, options in variants:
            reduced, reduced_s = timed(lambda n=nodes, w=world, o=options: explore(n(), **w, **o))
            assert reduced.verdict == plain.verdict
            section.lines += [
                Comparison(
                    f"{name}: {what}",
                    "states",
                    Measured.of((reduced.states,)),
                    "without",
                    Measured.of((plain.states,)),
                ),
                Comparison(
                    f"  {name}: {what}",
                    "s",
                    Measured.of((reduced_s,)),
                    "without",
                    Measured.of((plain_s,)),
                ),
            ]


def _histories(plan: Plan, section: Section) -> None:
    lengths, clients = (LENGTHS[-1:], CLIENTS[-1:]) if plan.quick else (LENGTHS, CLIENTS)
    for operations in lengths:
        for count in clients:
            plan.say(f"linearizability: {operations:,} operations, {count} clients")
            history = recorded(7, operations=operations, clients=count, keys=KEYS, unknown=0.05)
            largest = (operations, count) == (LENGTHS[-1], CLIENTS[-1])
            for what, given, valid in (
                ("valid", history, True),
                ("not valid", made_stale(history, 0.9), False),
            ):
                section.lines.append(
                    Comparison(
                        f"{operations:,} ops, {count} clients, {what}",
                        "s",
                        Measured.of((_judged(given, valid),)),
                        target=Target("ours", HISTORY_S_MAX, at_least=False) if largest else None,
                    )
                )


def _judged(history: Sequence[Operation], valid: bool) -> float:
    verdict, seconds = timed(lambda: check_linearizability(history, KeyValue()))
    assert verdict.valid is valid
    return seconds


def timed(run: Callable[[], T]) -> tuple[T, float]:
    """What `run` returns, and the processor time that it took: others may be at work here."""
    gc.collect()
    begun = time.process_time()
    result = run()
    return result, time.process_time() - begun
