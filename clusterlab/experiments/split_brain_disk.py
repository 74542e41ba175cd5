"""Two servers and one disk: who may write to it, and what stops whoever may not any more?"""

from __future__ import annotations

from typing import ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.cluster import Cluster
from clusterlab.core.errors import LimitReached
from clusterlab.core.history import History
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import KeyValue
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.experiments.damage import Damage, damage_on_disk, divergent_keys
from clusterlab.experiments.power import Electrician
from clusterlab.protocols.client import Client, counting_writes, mixed_workload
from clusterlab.protocols.failover import Managed, PowerSwitch, Stonith
from clusterlab.protocols.lease import Leased
from clusterlab.protocols.shared_storage import HALVES, DiskPair, FencedStorage, Storage
from clusterlab.protocols.wanderer import Wanderer

CUT_MS = 1500
KEYS = ("x", "y")
LIMIT_MS = 10_000


def cut(cluster: Cluster, one: NodeId, other: NodeId) -> None:
    """Only these two cannot hear each other."""
    cluster.link(one, other, block=True)
    cluster.link(other, one, block=True)


def serving(cluster: Cluster) -> list[NodeId]:
    """Of n1 and n2, whoever believes to be the primary."""
    return [node for node in ("n1", "n2") if cluster.status(node)["role"] == "leader"]


def come_to_rest(cluster: Cluster) -> None:
    """The clients stop, and what is under way arrives."""
    for client in cluster.clients:
        cluster.kill(client)
    cluster.run(300)


def applied_tokens(cluster: Cluster) -> list[int]:
    """The tokens of the writes that the disk carried out, in order."""
    return [
        event.data["data"]
        for event in cluster.trace.of("note")
        if event.node == "disk" and event.data["name"] == "applied"
    ]


def falls(tokens: list[int]) -> int:
    """How many writes came with a token below an earlier one's."""
    newest, late = 0, 0
    for token in tokens:
        late += token < newest
        newest = max(newest, token)
    return late


class SharedDisk(Experiment):
    """A pair with one disk; the link between the servers dies, the one to the disk does not."""

    network: ClassVar[Network] = Network(delay_ms=(1, 5))
    storage: ClassVar[type[Storage]] = Storage

    def nodes(self) -> list[Node]:
        """The pair and its disk."""
        return DiskPair.with_disk(self.storage)

    def script(self, cluster: Cluster, story: Story) -> None:
        """Serve, cut, serve on whoever may, heal, come to rest."""
        cluster.run_until_leader()
        for number, servers in enumerate((("n1", "n2"), ("n2", "n1")), 1):
            name = f"c{number}"
            work = mixed_workload(name, seed=number, keys=KEYS)
            pace = (5, 15) if number == 1 else (20, 60)  # so n1 is ahead, and n2 writes over it
            cluster.add_client(
                Client(name, servers=servers, workload=work, every_ms=pace, retry_ms=150)
            )
        work = counting_writes("w")
        cluster.add_client(
            Wanderer("w", servers=("n1", "n2"), workload=work, every_ms=(10, 30), retry_ms=150)
        )
        cluster.run(400)
        story.say(f"{cluster.leader()} serves three clients; w asks another server each time")
        for one, other in (("n1", "n2"), ("n1", "c2"), ("n2", "c1")):
            cut(cluster, one, other)
        story.say("n1 and n2 cannot hear each other; both reach the disk, and w reaches both")
        cluster.run(CUT_MS)
        self.served = serving(cluster)
        story.say(f"{' and '.join(self.served)} call themselves primary")
        logs = [cluster.state(node)["log"] for node in ("n1", "n2")]
        self.divergent = divergent_keys(*logs) if len(self.served) == 2 else ()
        come_to_rest(cluster)
        cluster.heal()
        story.say("the network heals")
        try:
            cluster.run_until(
                lambda: len(serving(cluster)) == 1, limit_ms=LIMIT_MS, what="one primary"
            )
        except LimitReached:  # the checks will say so
            return
        cluster.run(300)
        self.damage = damage_on_disk(cluster, divergent=self.divergent)
        story.say(str(self.damage))

    divergent: tuple[str, ...] = ()
    damage: Damage = Damage()
    served: list[NodeId]


class SplitBrainSharedStorage(SharedDisk):
    """Both mount the disk and write."""

    name: ClassVar[str] = "split-brain-shared-storage"
    question: ClassVar[str] = (
        "Two servers share one disk, so there is only one copy of the data: can it still diverge?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "The two servers cannot hear each other any more, but both reach the disk. "
        "Each block is written whole. What becomes of the data?",
        (
            "Nothing happens to it: there is only one copy.",
            "The last writer of each record wins; every record can be read.",
            "Acknowledged records are overwritten, and some cannot be read at all.",
        ),
        2,
        "Each server appends where its own image of the disk ends, so both write to the same "
        "places. Of a record that takes two blocks the disk may hold half of each server's, and "
        "behind the records of one stand records of the other that do not follow from them.",
    )
    source: ClassVar[str] = (
        "Robertson 2001, Resource fencing using STONITH; "
        "Burrows 2006, The Chubby Lock Service, section 2.4"
    )

    def checks(self, cluster: Cluster) -> list[Check]:
        """What is expected: that it goes wrong, and how."""
        verdict = check_linearizability(cluster.history, KeyValue())
        return [
            Check("both wrote to the disk", len(self.served) == 2, f"{self.served} served"),
            Check("the sides differed", bool(self.damage.divergent), str(self.damage)),
            Check("acknowledged writes are lost", bool(self.damage.lost), str(self.damage)),
            Check("records are corrupted", bool(self.damage.corrupted), str(self.damage)),
            Check("the clients saw two stores", verdict.valid is False, verdict.explain()),
        ]


class SplitBrainReservation(SharedDisk):
    """The same pair and the same cut; the disk admits only the newest."""

    name: ClassVar[str] = "split-brain-reservation"
    question: ClassVar[str] = (
        "The same two servers, and a disk that refuses all but the newest: who serves now?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "The disk remembers the highest epoch that it has seen, and refuses lower ones. "
        "The servers cannot hear each other. What happens during the cut?",
        (
            "Both write, and records are corrupted as before.",
            "One writes: who mounted the disk last. The other's next write is refused.",
            "Nobody serves until the link heals.",
        ),
        1,
        "The backup mounts the disk in a higher epoch, and the disk refuses the old primary's next "
        "write. The disk is one, so it can decide what two servers never can. After a while the "
        "deposed one, which still hears nothing, takes the disk back: they take turns, safely.",
    )
    source: ClassVar[str] = "Kleppmann 2016, How to do distributed locking; SCSI-3 reservations"
    storage: ClassVar[type[Storage]] = FencedStorage

    def checks(self, cluster: Cluster) -> list[Check]:
        """What is expected: nothing is damaged."""
        return [*checks_of_health(cluster, self.damage), fence_held(cluster)]


def checks_of_health(cluster: Cluster, damage: Damage) -> list[Check]:
    """Nothing is lost or corrupted, and clients saw one store."""
    clients = set(cluster.clients)
    history = History([op for op in cluster.history if op.client in clients])
    verdict = check_linearizability(history, KeyValue())
    done = len(history.ok())
    return [
        Check("no acknowledged write is lost", done > 0 and not damage.lost, str(damage)),
        Check("no record is corrupted", not damage.corrupted, str(damage)),
        Check("history linearizable", verdict.valid is True, verdict.explain()),
    ]


def fence_held(cluster: Cluster) -> Check:
    """Some were refused, and the tokens of the others never fell."""
    tokens = applied_tokens(cluster)
    refused = sum(e.data["name"] == "fenced" for e in cluster.trace.of("note"))
    return Check(
        "the disk's tokens never fall, and somebody was refused",
        falls(tokens) == 0 < refused,
        f"{len(tokens)} blocks written under {len(set(tokens))} tokens, {falls(tokens)} late; "
        f"servers were refused {refused} times",
    )


class PausedHolder(Experiment):
    """The holder of a lease is stopped in the middle of a write, for longer than the lease."""

    network: ClassVar[Network] = Network(delay_ms=(1, 5))
    storage: ClassVar[type[Storage]] = Storage
    source: ClassVar[str] = (
        "Kleppmann 2016, How to do distributed locking; "
        "Gray and Cheriton 1989, Leases; Burrows 2006, The Chubby Lock Service, section 2.4"
    )
    damage: Damage = Damage()

    def nodes(self) -> list[Node]:
        """The pair, the lock service and the disk."""
        return Leased.with_disk(self.storage)

    def script(self, cluster: Cluster, story: Story) -> None:
        """Serve, stop the holder within a write, let the other take over, wake it."""
        holder = cluster.run_until_leader()
        for number, servers in enumerate((("n1", "n2"), ("n2", "n1")), 1):
            name = f"c{number}"
            work = counting_writes(name)
            cluster.add_client(
                Client(name, servers=servers, workload=work, every_ms=(10, 30), retry_ms=150)
            )
        cluster.run(400)
        story.say(f"{holder} has the lock, and writes")
        cluster.link("disk", holder, delay_ms=(300, 300))
        for half in (1, 0):

            def under_way(half: int = half) -> bool:
                state = cluster.state(holder)
                behind = state["written"] < HALVES * len(state["log"])
                return bool(behind and state["written"] % HALVES == half)

            cluster.run_until(under_way, limit_ms=LIMIT_MS, what="a record being written")
        cluster.pause(holder)
        story.say(f"{holder} has written half a record, and is stopped")
        cluster.run_until(
            lambda: cluster.leader() not in (None, holder), limit_ms=LIMIT_MS, what="a new holder"
        )
        cluster.run(500)
        story.say(f"its lease is over; {cluster.leader()} has the lock, and writes")
        cluster.resume(holder)
        cluster.run(500)
        story.say(f"{holder} goes on where it was stopped")
        cluster.heal()
        come_to_rest(cluster)
        self.damage = damage_on_disk(cluster)
        story.say(str(self.damage))


class SplitBrainLeasePause(PausedHolder):
    """A lease keeps a careful holder out, and not one that was stopped."""

    name: ClassVar[str] = "split-brain-lease-pause"
    question: ClassVar[str] = (
        "A server writes only while it holds a lease, by its own clock: can it write too late?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "The holder looks at its clock, begins a write, and its process is stopped for a second. "
        "Its lease runs out and another server gets the lock. What does the old one do on waking?",
        (
            "It sees that its lease is over before it does anything.",
            "It finishes what it had begun: the write lands in the middle of the new holder's.",
            "The operating system tells it that it was stopped.",
        ),
        1,
        "The look at the clock was before the pause, and the write comes after it. A process "
        "cannot notice that it was stopped between two of its steps, and a message that is late "
        "does the same without any pause.",
    )

    def checks(self, cluster: Cluster) -> list[Check]:
        """What is expected: the disk takes a write of the old holder after one of the new."""
        tokens = applied_tokens(cluster)
        return [
            Check(
                "the disk took a write of the old holder",
                falls(tokens) > 0,
                f"{falls(tokens)} of {len(tokens)} blocks came with a token below an earlier one",
            ),
            Check("a record is corrupted", bool(self.damage.corrupted), str(self.damage)),
            Check("an acknowledged write is lost", bool(self.damage.lost), str(self.damage)),
        ]


class SplitBrainFencing(PausedHolder):
    """The same pause; the disk looks at the number of the grant."""

    name: ClassVar[str] = "split-brain-fencing"
    question: ClassVar[str] = (
        "The same holder wakes up after its lease, and the disk checks a token: what happens?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "Every grant of the lock has a number, every write carries it, and the disk refuses a "
        "number below the highest it has seen. The stopped holder wakes up. What comes of its "
        "write?",
        (
            "It is written: it was begun under a valid lease.",
            "It is refused: the disk has seen a higher number.",
            "The new holder has to undo it.",
        ),
        1,
        "The disk needs no clock and no opinion about who is dead. It compares two numbers in the "
        "step in which it writes, and there is no gap in which anybody could be stopped.",
    )
    storage: ClassVar[type[Storage]] = FencedStorage

    def checks(self, cluster: Cluster) -> list[Check]:
        """What is expected: the late write is refused, nothing is damaged."""
        return [*checks_of_health(cluster, self.damage), fence_held(cluster)]


class SplitBrainStonith(Experiment):
    """The manager cannot hear a healthy primary, and has a power switch."""

    name: ClassVar[str] = "split-brain-stonith"
    question: ClassVar[str] = (
        "A failover manager cannot hear the primary, and can cut its power: what does that buy?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "Only the cable between the manager and the primary is broken. The primary is healthy and "
        "serves its clients. What happens?",
        (
            "Nothing: the primary still serves, so nobody has to be promoted.",
            "The backup is promoted, and there are two primaries until the cable is mended.",
            "A healthy machine is switched off, and then the backup is promoted: nothing is lost.",
        ),
        2,
        "The manager cannot tell a dead primary from one that it cannot hear, so it makes them the "
        "same. The price is a healthy machine; what it buys is that there are never two.",
    )
    source: ClassVar[str] = (
        "Robertson 2001, Resource fencing using STONITH; "
        "GitHub 2018, October 21 post-incident analysis"
    )
    network: ClassVar[Network] = Network(delay_ms=(1, 5))
    damage: Damage = Damage()

    def nodes(self) -> list[Node]:
        """The pair, its disk, its manager and the power switch."""
        return Managed.with_disk(Stonith("m"), PowerSwitch("pdu"))

    def script(self, cluster: Cluster, story: Story) -> None:
        """Serve, cut the manager off from the primary, see who is shot, mend."""
        cluster.run_until_leader()
        for number in (1, 2):
            name = f"c{number}"
            work = mixed_workload(name, seed=number, keys=KEYS)
            cluster.add_client(
                Client(name, servers=("n1", "n2"), workload=work, every_ms=(10, 30), retry_ms=150)
            )
        power = Electrician(cluster)
        power.run(400)
        story.say(f"{cluster.leader()} serves two clients")
        cut(cluster, "m", "n1")
        story.say("the manager m cannot hear n1, which is well")
        self.shot = power.run(CUT_MS)
        self.served = serving(cluster)
        who = " and ".join(node for node in self.served if cluster.health(node) == "up")
        story.say(f"the power of {' and '.join(self.shot) or 'nobody'} was cut; {who} serves")
        cluster.heal()
        for node in self.shot:
            cluster.restart(node)
        power.run(500)
        come_to_rest(cluster)
        self.damage = damage_on_disk(cluster)
        story.say(str(self.damage))

    shot: list[NodeId]
    served: list[NodeId]

    def checks(self, cluster: Cluster) -> list[Check]:
        """What is expected: the first was dead before the second began; nothing is damaged."""
        kills = [e.seq for e in cluster.trace.of("kill") if e.node == "n1"]
        begun = [
            e.seq for e in cluster.trace.of("note") if e.data["name"] == "leader" and e.node == "n2"
        ]
        in_order = bool(kills and begun) and kills[0] < begun[0]
        return [
            Check("a healthy primary was shot", self.shot == ["n1"], f"{self.shot} lost power"),
            Check(
                "it was dead before the other began",
                in_order,
                f"n1 died with event {kills[:1]}, n2 began with event {begun[:1]}",
            ),
            *checks_of_health(cluster, self.damage),
        ]
