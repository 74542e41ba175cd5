"""Kill the leader of a Raft cluster, cut its network, then all at once: do the writes survive?"""

from __future__ import annotations

import math
from typing import ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import LimitReached, OperationUnknown
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import KeyValue, Put
from clusterlab.core.trace import Trace
from clusterlab.experiments.base import Check, Experiment, Prediction, Story, play
from clusterlab.experiments.nemesis import MISFORTUNES, draw_schedule, make_whole
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.raft import Raft

LAST_WRITE = Put("last", "write")
STORM_MS = {"sim": 10_000, "live": 3_000}
"""How long faults drawn from the seed go on, by engine."""


class RaftFailover(Experiment):
    """Five Raft nodes, three clients that keep writing and reading, and every fault we have."""

    name: ClassVar[str] = "raft-failover"
    question: ClassVar[str] = (
        "When the leader dies and the network breaks, who takes over, "
        "and is any acknowledged write lost?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "Five servers, and a storm of deaths, cuts and losses. What do the clients get in the end?",
        (
            "Every write that was acknowledged, and each once.",
            "Every write that was acknowledged, some of them twice.",
            "All but the last few acknowledged writes of each leader that died.",
        ),
        0,
        "A write is acknowledged when three of five have it on disk, and nobody is elected without "
        "the votes of three: one of them has it. A repeated request is known by its serial number.",
    )
    source: ClassVar[str] = (
        "Ongaro and Ousterhout 2014, In Search of an Understandable Consensus Algorithm, §5"
    )
    network: ClassVar[Network] = Network(loss=0.01, duplicate=0.01, reorder=0.01)

    def __init__(self, raft: type[Raft] = Raft) -> None:
        self.raft = raft

    def nodes(self) -> list[Node]:
        """Five servers of the Raft class under test."""
        names = tuple(f"n{i}" for i in range(1, 6))
        return [self.raft(name, members=names) for name in names]

    def script(self, cluster: Cluster, story: Story) -> None:
        """Election; leader killed; leader cut off with a minority; a storm of faults; peace."""
        leader = cluster.run_until_leader()
        story.say(f"{leader} is elected leader")
        for number in (1, 2, 3):
            workload = mixed_workload(prefix=f"c{number}", seed=number)
            cluster.add_client(
                Client(f"c{number}", servers=cluster.servers, workload=workload, every_ms=(10, 50))
            )
        cluster.run(300)
        self._kill_the_leader(cluster, story)
        self._cut_the_leader_off(cluster, story)

        storm_ms = STORM_MS[cluster.engine]
        # A real process takes half a second to start: it cannot die and come back a hundred times.
        misfortunes = [m for m in MISFORTUNES if cluster.engine == "sim" or m != "flap"]
        schedule = draw_schedule(
            story.random, cluster.servers, until_ms=storm_ms, misfortunes=misfortunes
        )
        story.say(f"{len(schedule)} faults, drawn from the seed, in {storm_ms} ms")
        play(cluster, schedule)

        make_whole(cluster)
        cluster.run(100)
        make_whole(cluster)  # who was to die within a step may only have done so now
        leader = cluster.run_until_leader()
        story.say(f"peace; {leader} leads")
        self._come_to_rest(cluster)

    def _kill_the_leader(self, cluster: Cluster, story: Story) -> None:
        old = cluster.run_until_leader()
        killed_ms = cluster.now_ms
        cluster.kill(old)
        story.say(f"{old}, the leader, is killed")
        cluster.run_until(lambda: cluster.leader() not in (None, old), what="a new leader")
        took = cluster.now_ms - killed_ms
        story.say(f"{cluster.leader()} is elected after {took:.0f} ms")
        cluster.restart(old)
        story.say(f"{old} is restarted from its disk")
        cluster.run(300)

    def _cut_the_leader_off(self, cluster: Cluster, story: Story) -> None:
        old = cluster.run_until_leader()
        others = [node for node in cluster.servers if node != old]
        minority, majority = [old, others[0]], others[1:]
        cluster.partition(minority, majority)
        story.say(f"the network is cut: {' '.join(minority)} | {' '.join(majority)}")
        cluster.run_until(lambda: cluster.leader() in majority, what="a leader of the majority")
        story.say(f"{cluster.leader()} is elected by the majority")
        cluster.run(300)
        cluster.heal()
        story.say("the network heals")
        cluster.run(300)

    def _come_to_rest(self, cluster: Cluster) -> None:
        """Until a new write is acknowledged and every node has it; the checks judge the rest."""
        try:
            cluster.invoke("auditor", LAST_WRITE)
            cluster.run_until(lambda: not behind(cluster), limit_ms=5000, what="the last write")
        except (OperationUnknown, LimitReached):
            return

    def checks_of_trace(self, trace: Trace) -> list[Check]:
        """Election Safety can be judged from the trace alone."""
        return [one_leader_a_term(trace)]

    def checks(self, cluster: Cluster) -> list[Check]:
        """The promises of Raft that a user sees."""
        return [
            one_leader_a_term(cluster.trace),
            no_acknowledged_write_lost(cluster),
            committed_logs_agree(cluster),
            linearizable(cluster),
            served_again(cluster),
        ]


def one_leader_a_term(trace: Trace) -> Check:
    """Election Safety: at most one leader in a term, and at least one leader in the run."""
    leaders: dict[int, set[NodeId]] = {}
    for note in trace.notes("leader"):
        leaders.setdefault(note.data["data"], set()).add(note.node or "")
    twice = {term: sorted(nodes) for term, nodes in leaders.items() if len(nodes) > 1}
    if twice:
        term, nodes = min(twice.items())
        return Check(
            "one leader a term", False, f"term {term} had {len(nodes)}: {', '.join(nodes)}"
        )
    return Check("one leader a term", bool(leaders), f"{len(leaders)} terms had a leader, one each")


def no_acknowledged_write_lost(cluster: Cluster) -> Check:
    """Every write that a client was told of is in the committed log of the leader."""
    name = "no acknowledged write lost"
    leader = cluster.leader()
    if leader is None:
        return Check(name, False, "there is no leader in the end, so nothing can be read")
    state = cluster.state(leader)
    committed = state["log"][: state["commit_index"]]
    kept = {entry.command.operation for entry in committed if entry.command is not None}
    acknowledged = [op for op in cluster.history.ok() if isinstance(op.call, Put)]
    lost = [op for op in acknowledged if op.call not in kept]
    if lost:
        return Check(name, False, f"{len(lost)} of {len(acknowledged)} are gone, first {lost[0]}")
    return Check(
        name, bool(acknowledged), f"{len(acknowledged)} writes acknowledged, all in the log"
    )


def committed_logs_agree(cluster: Cluster) -> Check:
    """State Machine Safety: no two nodes committed different entries at one index."""
    name = "committed logs agree"
    states = {node: cluster.state(node) for node in cluster.servers}
    logs = {node: state["log"][: state["commit_index"]] for node, state in states.items()}
    longest = max(logs, key=lambda node: len(logs[node]))
    for node, log in logs.items():
        if log != logs[longest][: len(log)]:
            at = next(i for i, (a, b) in enumerate(zip(log, logs[longest], strict=False)) if a != b)
            return Check(
                name,
                False,
                f"index {at + 1} is {log[at]} on {node} and {logs[longest][at]} on {longest}",
            )
    return Check(name, True, f"{len(logs)} logs, the longest with {len(logs[longest])} entries")


def linearizable(cluster: Cluster) -> Check:
    """What the clients saw is what one copy would have shown."""
    verdict = check_linearizability(cluster.history, KeyValue())
    return Check("history linearizable", verdict.valid is True, verdict.explain())


def behind(cluster: Cluster) -> list[NodeId]:
    """The servers that have not committed the last write; all of them if it is in no log."""
    states = {node: cluster.state(node) for node in cluster.servers}
    places = [
        index
        for state in states.values()
        for index, entry in enumerate(state["log"], 1)
        if entry.command is not None and entry.command.operation == LAST_WRITE
    ]
    place = max(places, default=math.inf)
    return [node for node, state in states.items() if state.get("commit_index", 0) < place]


def served_again(cluster: Cluster) -> Check:
    """Once the faults are over, a write is acknowledged and every node has it."""
    told = any(op.call == LAST_WRITE and op.outcome == "ok" for op in cluster.history)
    late = behind(cluster)
    said = "acknowledged" if told else "NOT acknowledged"
    missing = f"{', '.join(late)} lack it" if late else "every node has it"
    explanation = f"the last write was {said}; {missing}"
    return Check("serves again after the faults", told and not late, explanation)
