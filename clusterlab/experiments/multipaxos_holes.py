"""A leader dies and leaves a slot open between two that are chosen: what does the next one do?"""

from __future__ import annotations

from typing import ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.cluster import Cluster
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import KeyValue, Put
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.experiments.paxos_by_hand import ask
from clusterlab.protocols.client import Client
from clusterlab.protocols.multi_paxos import MultiPaxos

HEARTBEAT_MS, ELECTION_MS = 1_000, (2_500, 4_000)
"""Slow, so that all is over before anything is repeated, on real processes too."""
OPEN = 3


class MultiPaxosHoles(Experiment):
    """Slot 2 is chosen, 3 reached nobody, 4 is chosen, and the leader dies."""

    name: ClassVar[str] = "multipaxos-holes"
    question: ClassVar[str] = "What becomes of a slot that a dead leader has left open?"
    prediction: ClassVar[Prediction] = Prediction(
        "The leader had commands for slots 2, 3 and 4 under way at once. Slots 2 and 4 are chosen, "
        "the messages for slot 3 were lost, and the leader dies. What does the next leader do?",
        (
            "It executes 2 and 4: nobody has ever heard of slot 3.",
            "It moves the command of slot 4 to slot 3.",
            "It has a no-op chosen for slot 3, and then executes 3 and 4.",
            "It waits for the old leader, who alone knows the command of slot 3.",
        ),
        2,
        "Slot 4 may be chosen, so its command stays there, and commands are executed in order. "
        "Nobody who was asked reports anything for slot 3, so any value is safe there: a no-op "
        "closes the gap at once. The lost command gets a later slot when its client asks again.",
    )
    source: ClassVar[str] = "Lamport 2001, Paxos Made Simple, §3"

    def nodes(self) -> list[Node]:
        """Three replicas."""
        options = {"heartbeat_ms": HEARTBEAT_MS, "election_timeout_ms": ELECTION_MS}
        return list(MultiPaxos.group(3, **options))

    def script(self, cluster: Cluster, story: Story) -> None:
        """Make the hole, kill the leader, watch the next one fill it."""
        old = cluster.run_until_leader()
        near, far = (name for name in cluster.servers if name != old)
        for slot in (1, 2, 3, 4):
            cluster.add_client(Client(f"c{slot}", servers=(old,), retry_ms=600, give_up_ms=60_000))
        cluster.invoke("c1", Put("x", "one"))
        cluster.link(old, far, block=True)
        cluster.invoke("c2", Put("x", "two"))
        cluster.link(old, near, block=True)
        ask(cluster, "c3", Put("x", "three"))
        cluster.run_until(lambda: len(log(cluster, old)) == OPEN, what="slot 3 at the leader")
        cluster.link(old, near)
        ask(cluster, "c4", Put("x", "four"))
        cluster.run_until(
            lambda: OPEN + 1 in cluster.state(old)["learned"], what="the choice of slot 4"
        )
        self.left = {name: values(cluster, name) for name in (near, far)}
        story.say(f"{old} leads; slots 2 and 4 are chosen, slot 3 is known to {old} alone")
        cluster.kill(old)
        cluster.heal()
        story.say(f"{old} dies")
        cluster.run_until(lambda: cluster.leader() in (near, far), what="the next leader")
        self.new = cluster.leader() or near
        self.everywhere(cluster, (near, far), OPEN + 1)
        story.say(f"{self.new} leads, and its slots hold {values(cluster, self.new)}")
        cluster.restart(old)
        self.everywhere(cluster, cluster.servers, OPEN + 2)
        value = cluster.get("x")
        story.say(f"{old} is back, the command of slot 3 got slot 5, and x is {value}")

    def everywhere(self, cluster: Cluster, names: tuple[NodeId, ...], slot: int) -> None:
        """Until these replicas have executed a slot."""

        def executed() -> bool:
            return all(cluster.state(name)["executed"] >= slot for name in names)

        cluster.run_until(executed, what=f"slot {slot}")

    def checks(self, cluster: Cluster) -> list[Check]:
        """The hole, what fills it, and what became of the command."""
        filled = values(cluster, self.new)
        logs = {name: values(cluster, name)[: OPEN + 2] for name in cluster.servers}
        verdict = check_linearizability(cluster.history, KeyValue())
        expected = ["one", "two", "no-op", "four", "three"]
        hole = ["one", "two", "-", "four"]
        heard = ["three" in had for had in self.left.values()]
        return [
            Check(
                "the old leader left a hole",
                hole in self.left.values() and not any(heard),
                f"{self.left}",
            ),
            Check("the next one fills it with a no-op", filled[:4] == expected[:4], f"{filled}"),
            Check(
                "all replicas have the same slots",
                all(had == expected for had in logs.values()),
                f"{logs}",
            ),
            Check("history linearizable", verdict.valid is True, verdict.explain()),
        ]


def log(cluster: Cluster, name: NodeId) -> tuple[object, ...]:
    """The slots of a replica."""
    slots: tuple[object, ...] = cluster.state(name)["log"]
    return slots


def values(cluster: Cluster, name: NodeId) -> list[str]:
    """What the command of each slot writes; `-`: nothing is known of it."""
    told = []
    for proposal in cluster.state(name)["log"]:
        if proposal is None:
            told.append("-")
        elif proposal.value is None:
            told.append("no-op")
        else:
            told.append(getattr(proposal.value.operation, "value", "a read"))
    return told
