"""Elections that come to nothing: split votes, and servers that disturb a leader."""

from __future__ import annotations

from typing import ClassVar

from clusterlab.core.cluster import Cluster
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.protocols.client import Client, counting_writes
from clusterlab.protocols.raft import Raft
from clusterlab.protocols.raft.production import ProductionRaft

ONGARO = "Ongaro and Ousterhout 2014, In Search of an Understandable Consensus Algorithm"
WATCH_MS = 4_000


class RaftSplitVote(Experiment):
    """Four servers lose their leader, and all wait for exactly as long before they stand."""

    name: ClassVar[str] = "raft-split-vote"
    question: ClassVar[str] = (
        "If all servers wait equally long for a leader before they stand for election, who wins?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "The leader dies, and the other four have the same election timeout. How long does it take "
        "until one of them leads?",
        (
            "One election timeout: the first candidate gets the votes of the others.",
            "A few timeouts: small delays in the network soon make a difference.",
            "For ever: each votes for itself, and they all try again at the same time.",
        ),
        2,
        "The requests for votes cross each other on the network: when they arrive, everybody has "
        "voted for itself. The next timeouts are as equal as these.",
    )
    source: ClassVar[str] = f"{ONGARO}, §5.2 and §9.3"
    network: ClassVar[Network] = Network(delay_ms=(40.0, 60.0))
    timeout_ms: ClassVar[tuple[int, int]] = (300, 300)

    def nodes(self) -> list[Node]:
        """n1 is less patient than the others: it leads first, and again in the end."""
        names = tuple(f"n{i}" for i in range(1, 6))
        return [
            Raft(
                name,
                members=names,
                election_timeout_ms=(170, 190) if name == "n1" else self.timeout_ms,
            )
            for name in names
        ]

    def script(self, cluster: Cluster, story: Story) -> None:
        """n1 leads, dies, and is missed."""
        cluster.run_until(lambda: cluster.leader() == "n1", what="n1 to lead")
        cluster.run(400)
        self.term = self.newest_term(cluster)
        cluster.kill("n1")
        killed_ms = cluster.now_ms
        story.say("n1, the leader, is killed")
        cluster.run(WATCH_MS)
        self.spent = self.newest_term(cluster) - self.term
        self.leaders = [
            (note.node or "", note.at_ms - killed_ms)
            for note in cluster.trace.notes("leader")
            if note.at_ms > killed_ms
        ]
        who = (
            f"{self.leaders[0][0]} after {self.leaders[0][1]:.0f} ms" if self.leaders else "nobody"
        )
        story.say(f"{WATCH_MS} ms later, {self.spent} terms were spent; elected was {who}")
        cluster.restart("n1")
        story.say("n1 comes back, with a timeout of its own")
        story.say(f"{cluster.run_until_leader()} leads")

    def newest_term(self, cluster: Cluster) -> int:
        """The highest term that any server is in."""
        return max(int(cluster.state(name)["current_term"]) for name in cluster.servers)

    def checks(self, cluster: Cluster) -> list[Check]:
        """Nobody was elected, however often they tried."""
        return [
            Check(
                "votes are split again and again",
                not self.leaders and self.spent >= WATCH_MS / 300 / 2,
                f"{self.spent} terms without a leader in {WATCH_MS} ms",
            ),
            led_in_the_end(cluster),
        ]


class RaftRandomTimeouts(RaftSplitVote):
    """The same with timeouts drawn from a range."""

    name: ClassVar[str] = "raft-split-vote-random"
    question: ClassVar[str] = "If each wait is drawn from a range, how soon is a split vote over?"
    prediction: ClassVar[Prediction] = Prediction(
        "Now each server draws each of its timeouts from 300 to 600 ms. A message takes 50 ms. How "
        "many terms does the election take?",
        ("One, always.", "One as a rule, now and then a few.", "About as many as before."),
        1,
        "It is enough that the first is ahead of the second by the time that a message takes. If "
        "it is not, all draw anew.",
    )
    timeout_ms: ClassVar[tuple[int, int]] = (300, 600)

    def checks(self, cluster: Cluster) -> list[Check]:
        """Somebody was elected soon."""
        took = f"after {self.leaders[0][1]:.0f} ms" if self.leaders else "never"
        return [
            Check(
                "a leader is elected in a few timeouts",
                bool(self.leaders) and self.spent <= 6,
                f"elected {took}; {self.spent} terms were spent",
            ),
            led_in_the_end(cluster),
        ]


def led_in_the_end(cluster: Cluster) -> Check:
    """The last step of the story."""
    leader = cluster.leader()
    return Check("somebody leads in the end", leader is not None, f"{leader or 'nobody'} leads")


CUT = (("n1", "n4"), ("n1", "n5"), ("n2", "n5"), ("n3", "n4"), ("n4", "n5"))
"""n1, n2 and n3 hear each other; n4 hears only n2, and n5 only n3."""


class RaftDisruptiveServer(Experiment):
    """Three of five servers hear each other; two hear one of them each, but not the leader."""

    name: ClassVar[str] = "raft-disruptive-server"
    question: ClassVar[str] = (
        "A majority is well connected, two others hear one of it each: does it keep its leader?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "A switch is half broken: n1, n2 and n3 hear each other, n4 hears only n2, n5 only n3. "
        "What becomes of the leader?",
        (
            "It leads on: it has a majority, and the other two do not matter.",
            "It is replaced once, by the best connected server.",
            "It is deposed again and again, by servers that cannot win.",
        ),
        2,
        "Who hears no leader raises its term and asks for votes. Whoever hears of the higher term "
        "follows it, and so does the leader. A server that can only ask one other cannot win, but "
        "it can go on asking for ever.",
    )
    source: ClassVar[str] = (
        "Cloudflare 2020, A Byzantine failure in the real world; "
        "Ongaro 2014, Consensus: Bridging Theory and Practice, §4.2.3 and §9.6"
    )
    raft: ClassVar[type[Raft]] = Raft

    def nodes(self) -> list[Node]:
        """Five servers."""
        return list(self.raft.group(5))

    def script(self, cluster: Cluster, story: Story) -> None:
        """Serve; break the switch; serve on, as well as it goes."""
        cluster.run_until_leader()
        cluster.add_client(
            Client(
                "c1",
                servers=("n1", "n2", "n3"),
                workload=counting_writes(),
                every_ms=20,
                retry_ms=150,
            )
        )
        cluster.run(500)
        for a, b in CUT:
            cluster.link(a, b, block=True)
            cluster.link(b, a, block=True)
        story.say("half of the links are dead: n4 hears only n2, n5 only n3")
        cluster.run(1_500)  # who led from the edge has lost its office by now
        begin_ms, begun = cluster.now_ms, self.terms(cluster)
        cluster.run(WATCH_MS)
        self.spent = {name: term - begun[name] for name, term in self.terms(cluster).items()}
        self.elected = [
            note.node for note in cluster.trace.notes("leader") if note.at_ms > begin_ms
        ]
        self.served = [op for op in cluster.history.ok() if op.invoked_ms > begin_ms]
        story.say(
            f"in {WATCH_MS} ms, {max(self.spent.values())} terms and {len(self.elected)} new "
            f"leaders; {len(self.served)} writes"
        )
        cluster.heal()
        cluster.run(500)
        story.say(f"all links are good again; {cluster.run_until_leader()} leads")

    def terms(self, cluster: Cluster) -> dict[NodeId, int]:
        """The term that each server is in."""
        return {name: cluster.state(name)["current_term"] for name in cluster.servers}

    def checks(self, cluster: Cluster) -> list[Check]:
        """Terms run away."""
        return [
            Check(
                "the well connected majority spends term after term",
                min(self.spent[name] for name in ("n1", "n2", "n3")) >= 5,
                f"terms spent by each server: {self.spent}",
            ),
            Check(
                "leaders are deposed all the time",
                len(self.elected) >= 3,
                f"{len(self.elected)} new leaders in {WATCH_MS} ms",
            ),
            led_in_the_end(cluster),
        ]


class RaftUndisturbed(RaftDisruptiveServer):
    """The same links, and servers with pre-vote and CheckQuorum."""

    name: ClassVar[str] = "raft-disruptive-server-cured"
    question: ClassVar[str] = (
        "With pre-vote and CheckQuorum, can servers that hear half of the others depose a leader?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "Candidates ask first whether they could win, servers that hear a leader say no, and a "
        "leader that hears no majority steps down. What becomes of the leader now?",
        (
            "It leads on, and no term is spent.",
            "It is deposed as often as before.",
            "It steps down by itself, since it does not hear n4 and n5.",
        ),
        0,
        "n2 and n3 hear the leader, so they would not vote for anybody; n4 and n5 learn that they "
        "could not win, and stay in their term. The leader hears a majority.",
    )
    raft: ClassVar[type[Raft]] = ProductionRaft

    def checks(self, cluster: Cluster) -> list[Check]:
        """One leader, no new term, and the client is served."""
        waits = [op.latency_ms or 0.0 for op in self.served]
        return [
            Check(
                "no term is spent",
                not any(self.spent.values()),
                f"terms spent by each server: {self.spent}",
            ),
            Check("the leader leads on", not self.elected, f"{len(self.elected)} new leaders"),
            Check(
                "the client is served all the time",
                len(self.served) > 20 and max(waits) < 1_000,
                f"{len(self.served)} writes, the slowest in {max(waits, default=0):.0f} ms",
            ),
            led_in_the_end(cluster),
        ]
