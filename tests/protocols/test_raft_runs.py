"""Raft under faults: what Figure 3 guarantees holds at every moment, and wrong servers break it.

The invariants are those of Figure 3 and of the TLA+ models of Raft, whose names they have.
The cluster is looked at every few ms, from outside, as nobody inside could.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from random import Random
from typing import Any

import pytest

from clusterlab.core.errors import NodeError
from clusterlab.core.faults import Fault, Heal, Isolate, Kill, Partition, Pause, Restart, Resume
from clusterlab.core.network import Network
from clusterlab.core.node import NodeId
from clusterlab.core.spec import Put
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.raft import Entry, Raft
from clusterlab.sim import Simulation
from tests.protocols import test_raft_mutants as wrong

NETWORK = Network(delay_ms=(1, 20), loss=0.05, duplicate=0.05, reorder=0.1)
LOOK_EVERY_MS = 10


class BrokenError(Exception):
    """An invariant does not hold."""


class Watch:
    """Looks at all servers, and remembers what may never change again."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.leaders: dict[int, NodeId] = {}
        self.committed: list[Entry] = []  # by index: what any server ever took for committed
        self.last: dict[NodeId, dict[str, Any]] = {}
        self.seen = 0

    def look(self) -> None:
        up = [node for node in self.sim.servers if self.sim.health(node) != "dead"]
        # Of a dead server we see its disk; what a wrong one did not save is gone.
        states = {node: {"log": (), **self.sim.state(node)} for node in self.sim.servers}
        self.election_safety()
        self.state_machine_safety({node: states[node] for node in up})
        self.leader_completeness(states)
        self.log_matching([state["log"] for state in states.values()])
        self.quorum_log([state["log"] for state in states.values()])
        for node in up:
            self.monotonic(node, states[node], states)
        self.last = {node: states[node] for node in up}

    def election_safety(self) -> None:
        for event in self.sim.trace.events[self.seen :]:
            if event.kind == "note" and event.data["name"] == "leader" and event.node:
                first = self.leaders.setdefault(event.data["data"], event.node)
                if first != event.node:
                    raise BrokenError(f"ElectionSafety: {first} and {event.node} in {event.data}")
        self.seen = len(self.sim.trace.events)

    def state_machine_safety(self, states: dict[NodeId, dict[str, Any]]) -> None:
        for node, state in states.items():
            for index, entry in enumerate(state["log"][: state["commit_index"]]):
                if index == len(self.committed):
                    self.committed.append(entry)
                elif self.committed[index] != entry:
                    raise BrokenError(
                        f"StateMachineSafety: {node} has another entry at {index + 1}"
                    )

    def leader_completeness(self, states: dict[NodeId, dict[str, Any]]) -> None:
        # By the disks of the dead as well: one of them may have led a newer term, and committed.
        newest = max(states.values(), key=lambda state: state.get("current_term", 0))
        if newest.get("role") == "leader":
            log = newest["log"][: len(self.committed)]
            if list(log) != self.committed:
                raise BrokenError("LeaderCompleteness: the newest leader lacks a committed entry")

    def log_matching(self, logs: Sequence[tuple[Entry, ...]]) -> None:
        for a, b in combinations(logs, 2):
            agree = [i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x.term == y.term]
            if agree and a[: agree[-1] + 1] != b[: agree[-1] + 1]:
                raise BrokenError(
                    "LogMatching: equal terms at an index, different entries before it"
                )

    def quorum_log(self, logs: Sequence[tuple[Entry, ...]]) -> None:
        size = len(self.committed)
        holders = sum(list(log[:size]) == self.committed for log in logs)
        if holders <= len(logs) // 2:
            raise BrokenError(f"QuorumLog: {holders} servers hold the {size} committed entries")

    def monotonic(
        self, node: NodeId, state: dict[str, Any], states: dict[NodeId, dict[str, Any]]
    ) -> None:
        before = self.last.get(node, {})
        if state["current_term"] < before.get("current_term", 0):
            raise BrokenError(f"Monotonic: the term of {node} fell")
        same = all(state[f] == before.get(f) for f in ("role", "current_term"))
        if same and state["role"] == "leader":
            if state["log"][: len(before["log"])] != before["log"]:
                raise BrokenError(f"LeaderAppendOnly: {node} changed its own log")
            if any(state["match_index"][p] < i for p, i in before["match_index"].items()):
                raise BrokenError(f"Monotonic: a match index of {node} fell")
        for peer, index in state["match_index"].items():
            if not index < state["next_index"][peer] <= len(state["log"]) + 1:
                raise BrokenError(f"NextIndex: {node} has {state['next_index'][peer]} for {peer}")
            same_term = states[peer].get("current_term") == state["current_term"]
            if same_term and states[peer]["log"][:index] != state["log"][:index]:
                raise BrokenError(f"MatchIndex: {peer} lacks what {node} counts on")


def misfortune(random: Random, servers: tuple[NodeId, ...]) -> list[tuple[float, Fault]]:
    """A fault, and after a while its end."""
    node, end_ms = random.choice(servers), random.uniform(20, 600)
    kind = random.choice(("kill", "kill in a step", "pause", "partition", "isolate"))
    match kind:
        case "kill":
            return [(0, Kill(node)), (end_ms, Restart(node))]
        case "kill in a step":
            return [(0, Kill(node, random.randrange(4))), (end_ms, Restart(node))]
        case "pause":
            return [(0, Pause(node)), (end_ms, Resume(node))]
        case "isolate":
            return [(0, Isolate(node)), (end_ms, Heal())]
    shuffled = random.sample(servers, len(servers))
    cut = random.randrange(1, len(servers))
    return [(0, Partition((tuple(shuffled[:cut]), tuple(shuffled[cut:])))), (end_ms, Heal())]


def bounce_a_voter(sim: Simulation, random: Random) -> None:
    """During an election somebody dies and comes back at once: what it forgot, is asked again."""
    roles = {node: sim.status(node).get("role") for node in sim.servers}
    others = [node for node, role in roles.items() if role != "candidate"]
    if "candidate" in roles.values() and others and random.random() < 0.5:
        node = random.choice(others)
        sim.kill(node)
        sim.restart(node)


def storm(raft: type[Raft], seed: int, size: int = 3, ms: int = 3_000) -> Simulation:
    """A run with faults drawn from the seed; raises BrokenError if an invariant does not hold."""
    random = Random(seed)
    # Timeouts close together: many split votes.
    servers = raft.group(size, election_timeout_ms=(100, 150))
    sim = Simulation(servers, network=NETWORK, seed=seed)
    for name in ("c1", "c2", "c3"):
        work = mixed_workload(name, seed=seed)
        sim.add_client(
            Client(name, servers=sim.servers, workload=work, every_ms=(1, 20), retry_ms=150)
        )
    schedule: dict[int, list[Fault]] = defaultdict(list)
    at = 0.0
    while at < ms:
        at += random.uniform(20, 300)
        for after, fault in misfortune(random, sim.servers):
            schedule[int((at + after) / LOOK_EVERY_MS)].append(fault)
    watch = Watch(sim)
    for tick in range(ms // LOOK_EVERY_MS):
        for fault in schedule[tick]:
            sim.apply(fault)
        bounce_a_voter(sim, random)
        sim.run(LOOK_EVERY_MS)
        watch.look()
    return sim


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 5])
def test_what_the_paper_guarantees_holds_under_faults(size: int) -> None:
    """Figure 3: election safety, leader append-only, log matching, leader completeness, state
    machine safety. And the runs are no idle ones: leaders change, logs conflict, faults strike.
    """
    leaders = truncated = 0
    fired: set[str] = set()
    for seed in range(8):
        sim = storm(Raft, seed, size)
        leaders += len(sim.trace.notes("leader"))
        truncated += len(sim.trace.notes("truncate"))
        fired |= set(sim.trace.fired())

        # Peace: everybody comes back, and all agree on every write that was acknowledged.
        for _ in range(2):  # who was to die within a step may do so only now
            sim.heal()
            for node in sim.servers:
                sim.resume(node)
                sim.restart(node)
            sim.run(1_000)
        logs = [sim.state(node)["log"][: sim.state(node)["commit_index"]] for node in sim.servers]
        longest = max(logs, key=len)
        done = {entry.command.operation for entry in longest if entry.command}
        assert all(longest[: len(log)] == log for log in logs)
        assert min(len(log) for log in logs) > len(longest) - 50
        assert all(op.call in done for op in sim.history.ok() if isinstance(op.call, Put))
        assert len(sim.history.ok()) > 20, f"seed {seed} did nothing"

    assert leaders > 16
    assert truncated > 0
    assert {"kill", "restart", "pause", "partition", "isolate", "message lost"} <= fired


CAUGHT_BY_RUNS = [
    wrong.ForgetsItsVote,
    wrong.ForgetsItsTerm,
    wrong.ForgetsItsLog,
    wrong.VotesForAll,
    wrong.LeadsOnInAHigherTerm,
    wrong.IgnoresTheLog,
    wrong.AlwaysTruncates,
    wrong.TrustsLeaderCommit,
    wrong.AcknowledgesItsOwnLog,
    wrong.AnswersBeforeCommitment,
    wrong.AcceptsWithoutPredecessor,
]


def hunt(raft: type[Raft]) -> None:
    """Storms from many seeds; the first that shows something ends the search."""
    for seed in range(100):
        storm(raft, seed)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", CAUGHT_BY_RUNS, ids=lambda mutant: mutant.__name__)
def test_wrong_servers_are_caught(mutant: type[Raft]) -> None:
    """By an invariant from outside, or by one of Raft's own assertions."""
    with pytest.raises((BrokenError, NodeError)):
        hunt(mutant)
