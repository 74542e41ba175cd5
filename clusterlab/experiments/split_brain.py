"""An active-passive pair whose link is cut: with and without somebody to ask who may go on."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import LimitReached
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import KeyValue
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.experiments.damage import Damage, divergent_keys, lost_writes, wrote
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.primary_backup import PrimaryBackup, Witnessed
from clusterlab.protocols.records import Record
from clusterlab.protocols.replicated_log import Replica

CUT_MS = 1500
KEYS = ("x", "y")


class SplitBrain(Experiment):
    """Two servers, a client at the side of each; the link between the sides is cut, then heals."""

    network: ClassVar[Network] = Network(delay_ms=(1, 5))

    @abstractmethod
    def sides(self) -> tuple[list[NodeId], list[NodeId]]:
        """Who is on which side of the cut; a client stands with the first server of its side."""

    def script(self, cluster: Cluster, story: Story) -> None:
        """Serve, cut, serve on whoever may, heal, come to rest."""
        cluster.run_until_leader()
        sides = self.sides()
        for number, side in enumerate(sides, 1):
            near = side[0]
            far = next(other[0] for other in sides if other is not side)
            cluster.add_client(
                Client(
                    f"c{number}",
                    servers=(near, far),
                    workload=mixed_workload(f"c{number}", seed=number, keys=KEYS),
                    every_ms=(10, 30),
                    retry_ms=150,
                    give_up_ms=1000,
                )
            )
        cluster.run(400)
        story.say(f"{cluster.leader()} serves, two clients write")
        self.cut_ms = cluster.now_ms
        cluster.partition(*([*side, f"c{number}"] for number, side in enumerate(sides, 1)))
        story.say(f"the network is cut: {' | '.join(' '.join(side) for side in sides)}")
        cluster.run(CUT_MS)
        self.healed_ms = cluster.now_ms
        self.divergent = divergent_keys(*(self.committed(cluster, node) for node in ("n1", "n2")))
        serving = [node for node in cluster.servers if cluster.status(node)["role"] == "leader"]
        story.say(f"{' and '.join(serving)} call themselves primary")
        cluster.heal()
        story.say("the network heals")
        try:
            cluster.run_until(lambda: self.is_whole(cluster), limit_ms=5000, what="one primary")
        except LimitReached:  # the checks will say so
            return
        cluster.run(500)
        story.say(f"{cluster.leader()} serves")
        self.damage = self.count_damage(cluster)
        story.say(str(self.damage))

    data: ClassVar[tuple[NodeId, ...]] = ("n1", "n2")
    """Who keeps data."""
    divergent: tuple[str, ...] = ()
    damage: Damage = Damage()

    def committed(self, cluster: Cluster, node: NodeId) -> tuple[Record, ...]:
        """What that server told its clients is done."""
        state = cluster.state(node)
        return tuple(state["log"][: state.get("committed", 0)])

    def is_whole(self, cluster: Cluster) -> bool:
        """Whether one server leads and the others follow it."""
        roles = [cluster.status(node)["role"] for node in self.data]
        return sorted(roles) == ["backup"] * (len(roles) - 1) + ["leader"]

    def served(self, cluster: Cluster) -> dict[NodeId, int]:
        """How many operations each client got done during the cut."""
        done = {"c1": 0, "c2": 0}
        for op in cluster.history.ok():
            if self.cut_ms < op.invoked_ms and (op.returned_ms or 0.0) < self.healed_ms:
                done[op.client] += 1
        return done

    def count_damage(self, cluster: Cluster) -> Damage:
        """What differed when it healed, and what is not in the log of whoever leads in the end."""
        leader = cluster.leader()
        kept = cluster.state(leader)["log"] if leader is not None else ()
        return Damage(self.divergent, lost_writes(cluster, kept))


class SplitBrainNaive(SplitBrain):
    """The pair alone: both take over, both acknowledge, one half of it is thrown away."""

    name: ClassVar[str] = "split-brain-naive"
    question: ClassVar[str] = (
        "A primary and a backup that takes over when it hears nothing: what if only the link died?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "The link between primary and backup is cut while a client writes on either side. "
        "Both machines are healthy. What becomes of the writes made during the cut?",
        (
            "The backup stays passive, since the primary is alive: nothing happens.",
            "Both acknowledge writes, and the healing merges them.",
            "Both acknowledge writes, and the healing throws one side's away.",
        ),
        2,
        "Silence is all that the backup hears, whether the primary is dead or the link. "
        "Two logs that grew apart cannot both be kept: one side follows the other and forgets.",
    )
    source: ClassVar[str] = (
        "Budhiraja, Marzullo, Schneider and Toueg 1993, The Primary-Backup Approach; "
        "GitHub 2018, October 21 post-incident analysis"
    )

    def nodes(self) -> list[Node]:
        """The pair."""
        return [*PrimaryBackup.pair()]

    def sides(self) -> tuple[list[NodeId], list[NodeId]]:
        """Each for itself."""
        return ["n1"], ["n2"]

    def checks(self, cluster: Cluster) -> list[Check]:
        """What is expected: that it goes wrong, and how."""
        done = self.served(cluster)
        lost = self.count_damage(cluster).lost
        verdict = check_linearizability(cluster.history, KeyValue())
        first = f", first {lost[0]}" if lost else ""
        return [
            Check(
                "both sides served during the cut",
                all(done.values()),
                f"{done['c1']} and {done['c2']} operations were acknowledged",
            ),
            Check(
                "acknowledged writes are lost when it heals",
                bool(lost),
                f"{len(lost)} are gone{first}",
            ),
            Check("the clients saw two stores", verdict.valid is False, verdict.explain()),
            one_in_the_end(self, cluster),
        ]


class SplitBrainWitness(SplitBrain):
    """The pair and a witness: the side that it is on goes on, the other waits."""

    name: ClassVar[str] = "split-brain-witness"
    question: ClassVar[str] = (
        "The same cut, with a third vote that holds no data: who goes on, and is anything lost?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "A third machine without data has a vote, and is on the backup's side of the cut. "
        "Who serves?",
        (
            "The old primary: it has the newest data.",
            "The backup: with the witness it is two of three.",
            "Both, as before.",
            "Nobody, until the link heals.",
        ),
        1,
        "Two of three is a majority, and there is only one. The old primary cannot get a second "
        "vote for any write, so it stops acknowledging: availability on its side is the price.",
    )
    source: ClassVar[str] = (
        "Paris 1986, Voting with Witnesses; "
        "Ongaro and Ousterhout 2014, In Search of an Understandable Consensus Algorithm, §5.4"
    )

    def nodes(self) -> list[Node]:
        """The pair and its witness."""
        return Witnessed.trio()

    def sides(self) -> tuple[list[NodeId], list[NodeId]]:
        """The witness is with the backup, so the primary has to stop."""
        return ["n1"], ["n2", "w"]

    def checks(self, cluster: Cluster) -> list[Check]:
        """What is expected: one side pays with its availability, nothing is lost."""
        return one_side_serves(self, cluster)


class SplitBrainMajority(SplitBrain):
    """Three servers with data: what a majority has counts, and there is only one majority."""

    name: ClassVar[str] = "split-brain-majority"
    question: ClassVar[str] = (
        "Three servers keep the data, and the primary is cut off from the two others: who goes on?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "A write counts when two of three have it. The primary is cut off, alone; it is healthy, "
        "and its clients reach it. What do they see during the cut?",
        (
            "It serves them: it is the primary, and has all data.",
            "It answers reads, but no writes.",
            "It acknowledges nothing, since nobody else has what it writes.",
            "It stops at once, since it knows that it is cut off.",
        ),
        2,
        "One of three is no majority. The primary need not know what is wrong: it waits for a "
        "second copy, and as long as that does not come nobody is told that anything is done. "
        "Even a read has to wait, for somebody else may have written meanwhile.",
    )
    source: ClassVar[str] = (
        "Thomas 1979, A Majority Consensus Approach to Concurrency Control; "
        "Oki and Liskov 1988, Viewstamped Replication"
    )
    data: ClassVar[tuple[NodeId, ...]] = ("n1", "n2", "n3")

    def nodes(self) -> list[Node]:
        """Three replicas and their controller."""
        return Replica.group(3)

    def sides(self) -> tuple[list[NodeId], list[NodeId]]:
        """The primary alone."""
        return ["n1"], ["n2", "n3", "m"]

    def checks(self, cluster: Cluster) -> list[Check]:
        """What is expected: one side pays with its availability, nothing is lost."""
        return one_side_serves(self, cluster)


def one_side_serves(experiment: SplitBrain, cluster: Cluster) -> list[Check]:
    """One side pays with its availability, nothing is lost."""
    done = experiment.served(cluster)
    lost = experiment.count_damage(cluster).lost
    verdict = check_linearizability(cluster.history, KeyValue())
    writes = sum(wrote(op) for op in cluster.history.ok())
    return [
        Check(
            "one side served during the cut, the other refused",
            done["c1"] == 0 < done["c2"],
            f"{done['c1']} and {done['c2']} operations were acknowledged",
        ),
        Check(
            "no acknowledged write is lost",
            not lost and writes > 0,
            f"{len(lost)} of {writes} are gone",
        ),
        Check("history linearizable", verdict.valid is True, verdict.explain()),
        one_in_the_end(experiment, cluster),
    ]


def one_in_the_end(experiment: SplitBrain, cluster: Cluster) -> Check:
    """After the healing one server leads and the others follow it."""
    logs = {node: len(cluster.state(node)["log"]) for node in experiment.data}
    told = ", ".join(f"{node} has {length} records" for node, length in logs.items())
    return Check("one primary in the end", experiment.is_whole(cluster), told)
