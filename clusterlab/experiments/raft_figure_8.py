"""Figure 8 of the Raft paper, made to happen by deaths and cut links: with the rule and without.

The network is slow, so that a link can be cut while a message is on its way, on real processes too.
Only n1 and n5 are impatient: nobody else ever stands for election.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from clusterlab.check.linearizability import check_linearizability
from clusterlab.core.cluster import Cluster
from clusterlab.core.network import Network
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import KeyValue, Put
from clusterlab.experiments.base import Check, Experiment, Prediction, Story
from clusterlab.protocols.client import Client
from clusterlab.protocols.raft import Raft

PRECIOUS = Put("x", "precious")
NAMES = ("n1", "n2", "n3", "n4", "n5")
IMPATIENT_MS, PATIENT_MS = (500, 600), (60_000, 60_000)
LIMIT_MS = 20_000


class CountsCopies(Raft):
    """Whatever a majority holds counts as committed, of whichever term it is."""

    def may_commit(self, index: int) -> bool:  # noqa: ARG002 - that is the point
        """It does not look at the term."""
        return True


class RaftFigure8(Experiment):
    """An entry of an old term reaches a majority: it is not committed, so nobody is deceived."""

    name: ClassVar[str] = "raft-figure-8"
    question: ClassVar[str] = "Is an entry safe as soon as a majority of the servers holds it?"
    prediction: ClassVar[Prediction] = Prediction(
        "The leader of a new term copies an entry of an old term to a majority and dies. Can the "
        "entry still disappear?",
        (
            "No: whoever is elected needs the vote of a server that has it.",
            "Yes: who has an entry of a later term gets those votes, and overwrites it.",
            "Only if the majority dies too.",
        ),
        1,
        "Votes go to the log whose last term is higher, however many copies the other entry has. "
        "So a leader commits entries of earlier terms only together with one of its own.",
    )
    source: ClassVar[str] = (
        "Ongaro and Ousterhout 2014, In Search of an Understandable Consensus Algorithm, §5.4.2 "
        "and Figure 8"
    )
    network: ClassVar[Network] = Network(delay_ms=(60.0, 80.0))
    raft: ClassVar[type[Raft]] = Raft

    def nodes(self) -> list[Node]:
        """Five servers; one entry a message, so that the old one travels alone."""
        return [
            self.raft(
                name,
                members=NAMES,
                election_timeout_ms=IMPATIENT_MS if name in ("n1", "n5") else PATIENT_MS,
                heartbeat_ms=200,
                entries_max=1,
            )
            for name in NAMES
        ]

    def script(self, cluster: Cluster, story: Story) -> None:
        """The steps (a) to (d) of the figure, and peace."""
        cluster.kill("n5")
        cluster.run_until(lambda: cluster.leader() == "n1", LIMIT_MS, "n1 to lead")
        cluster.restart("n5")
        self._wait(
            cluster,
            "entry 1 on all",
            lambda: all(len(cluster.state(name)["log"]) == 1 for name in NAMES),
        )
        cluster.kill("n5")
        self._a(cluster, story)
        self._b(cluster, story)
        self._c(cluster, story)
        self._d(cluster, story)

    def _a(self, cluster: Cluster, story: Story) -> None:
        cluster.partition(["n1", "n2"], ["n3", "n4", "n5"])
        cluster.add_client(
            Client("c1", servers=("n1",), workload=(PRECIOUS,), retry_ms=150, give_up_ms=60_000)
        )
        self._wait(cluster, "the write on n2", lambda: self._has(cluster, "n2"))
        cluster.kill("n1")
        story.say("(a) n1 leads, and has copied a client's write to n2 alone when it dies")

    def _b(self, cluster: Cluster, story: Story) -> None:
        cluster.restart("n5")
        self._wait(
            cluster,
            "the votes for n5",
            lambda: all(cluster.state(name)["voted_for"] == "n5" for name in ("n3", "n4")),
        )
        # n5 hears of its votes; what it sends then is lost.
        for name in ("n3", "n4"):
            cluster.link("n5", name, block=True)
        cluster.run_until(lambda: cluster.leader() == "n5", LIMIT_MS, "n5 to lead")
        cluster.kill("n5")
        story.say("(b) n5 is elected by n3 and n4, and has another entry 2 when it dies")

    def _c(self, cluster: Cluster, story: Story) -> None:
        cluster.heal()
        cluster.link("n1", "n4", block=True)
        cluster.restart("n1")
        self._wait(cluster, "the old entry on n3", lambda: self._has(cluster, "n3"))
        # Its answer is on its way; no later entry may follow, nor word of what is committed.
        for name in ("n2", "n3"):
            cluster.link("n1", name, block=True)
        self._wait(
            cluster,
            "n1 to hear of it",
            lambda: cluster.state("n1")["match_index"].get("n3", 0) >= 2,
        )
        self.committed = cluster.state("n1")["commit_index"]
        self.holders = [name for name in ("n1", "n2", "n3") if self._has(cluster, name)]
        cluster.run(100)  # for its answer to the client, if it gives one
        self.told = bool(cluster.history.ok())
        cluster.kill("n1")
        story.say(
            f"(c) n1 leads again; {', '.join(self.holders)} hold the old entry, and n1 "
            f"{'takes it for committed' if self.committed >= 2 else 'does not commit it'}; it dies"
        )

    def _d(self, cluster: Cluster, story: Story) -> None:
        cluster.heal()
        cluster.restart("n5")
        cluster.run_until(lambda: cluster.leader() == "n5", LIMIT_MS, "n5 to lead")
        self._wait(
            cluster,
            "the logs of all",
            lambda: not any(self._has(cluster, name) for name in ("n2", "n3", "n4")),
        )
        story.say("(d) n5 is elected by n3 and n4, and overwrites the entry on all others")
        cluster.restart("n1")
        cluster.run(1_500)
        auditor = Client("auditor", servers=("n5",))
        cluster.add_client(auditor)
        self.found = cluster.get("x", client="auditor")
        story.say(f"x is {self.found!r} in the end")

    def _wait(self, cluster: Cluster, what: str, condition: Callable[[], bool]) -> None:
        cluster.run_until(condition, LIMIT_MS, what)

    def _has(self, cluster: Cluster, name: NodeId) -> bool:
        """Whether the client's write stands in the second place of its log."""
        log = cluster.state(name)["log"]
        return len(log) > 1 and log[1].command is not None

    def checks(self, cluster: Cluster) -> list[Check]:
        """The right server: not committed, nobody told, and so nothing lost."""
        verdict = check_linearizability(cluster.history, KeyValue())
        return [
            self.on_a_majority(),
            Check(
                "n1 does not commit it",
                self.committed < 2 and not self.told,
                f"n1 had committed {self.committed} entries, and the client was "
                f"{'' if self.told else 'not '}told",
            ),
            Check(
                "the client asks again and is served",
                self.found == PRECIOUS.value,
                f"x is {self.found!r} in the end",
            ),
            Check("history linearizable", verdict.valid is True, verdict.explain()),
        ]

    def on_a_majority(self) -> Check:
        """What makes the shortcut tempting."""
        held = len(self.holders) >= 3
        return Check("a majority held the entry", held, f"{', '.join(self.holders)} held it")


class RaftFigure8Counting(RaftFigure8):
    """The same schedule, and servers that commit whatever a majority holds."""

    name: ClassVar[str] = "raft-figure-8-counting"
    question: ClassVar[str] = (
        "Servers that commit whatever a majority holds, of whichever term: what do they lose?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "Now the leader counts copies, of whichever term, and tells its client. What happens when "
        "the other candidate is elected?",
        (
            "It cannot be elected: a committed entry is never lost.",
            "It is elected, and brings the entry back from those who hold it.",
            "It is elected, and the acknowledged write is gone.",
        ),
        2,
        "Voters do not ask what anybody took for committed; they ask for the last term. LogCabin, "
        "Raft's own reference implementation, had this bug (#44).",
    )
    source: ClassVar[str] = (
        "Ongaro and Ousterhout 2014, In Search of an Understandable Consensus Algorithm, "
        "Figure 8; LogCabin #44"
    )
    raft: ClassVar[type[Raft]] = CountsCopies

    def checks(self, cluster: Cluster) -> list[Check]:
        """The wrong server: committed, told, and lost."""
        verdict = check_linearizability(cluster.history, KeyValue())
        return [
            self.on_a_majority(),
            Check(
                "n1 commits it and tells the client",
                self.committed >= 2 and self.told,
                f"n1 had committed {self.committed} entries, and the client was "
                f"{'' if self.told else 'not '}told",
            ),
            Check(
                "the acknowledged write is gone",
                self.found is None,
                f"x is {self.found!r} in the end",
            ),
            Check("the clients saw it disappear", verdict.valid is False, verdict.explain()),
        ]
