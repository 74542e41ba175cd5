"""The dial between consistency and availability: one workload, one cut, six stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from clusterlab.experiments.base import Check, Experiment, Prediction
from clusterlab.experiments.cap_store import STORES, CapStore, Measures
from clusterlab.experiments.several import Several

SOURCE = CapStore.source


class CapDial(Several):
    """What each store answers, loses and costs."""

    name: ClassVar[str] = "cap-dial"
    question: ClassVar[str] = (
        "Six stores, one workload, one cut: who answers where, what does it cost while all is "
        "well, and what is lost?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "How many of the six stores answer on both sides of the cut and are linearizable?",
        ("None.", "One: the quorum store, since it has no leader.", "Those with enough replicas."),
        0,
        "Whoever answers without the other side cannot know what was written there (Gilbert and "
        "Lynch 2002). What can be chosen is which side pays, and what for.",
    )
    source: ClassVar[str] = SOURCE
    stores: ClassVar[tuple[str, ...]] = tuple(store.name for store in STORES)

    def parts(self) -> Sequence[Experiment]:
        """A run of each store."""
        self.runs = [CapStore(store) for store in STORES if store.name in self.stores]
        return self.runs

    @property
    def table(self) -> list[Measures]:
        """What each store came to, in the order of the dial."""
        return [run.measures for run in self.runs if run.measures is not None]

    def compare(self) -> list[Check]:
        """Without a cut, too, truth costs round trips: the E in PACELC."""
        by_name = {row.store: row for row in self.table}
        raft, lease, crdt = (by_name[name] for name in ("raft", "lease", "crdt"))
        told = (
            f"crdt {crdt.read_ms:.0f} ms, lease {lease.read_ms:.0f} ms, raft {raft.read_ms:.0f} ms"
        )
        held = crdt.read_ms < raft.read_ms and lease.read_ms < raft.read_ms
        return [Check("a read that asks nobody is faster", held, told)]


class CapMinorityClient(CapDial):
    """The same cut, seen by the client on the smaller side of two stores."""

    name: ClassVar[str] = "cap-minority-client"
    question: ClassVar[str] = (
        "A client is cut off together with two of five servers: what does it get from a store that "
        "chose consistency, and what from one that chose availability?"
    )
    prediction: ClassVar[Prediction] = Prediction(
        "The client goes on reading and writing on the smaller side. What does Raft tell it?",
        (
            "Nothing, until the network heals.",
            "What the old leader remembers: reads go on, writes wait.",
            "The same as the other side, a little later.",
        ),
        0,
        "The old leader cannot know that nobody else leads by now, so even a read waits for a "
        "majority. The other store answers everything, and what it says is old on the other side.",
    )
    stores: ClassVar[tuple[str, ...]] = ("raft", "crdt")

    def compare(self) -> list[Check]:
        """One is silent, the other is stale."""
        raft, crdt = self.table
        told = f"raft answered {raft.minority:.0%}, crdt {crdt.minority:.0%}"
        return [Check("one is silent, the other answers", raft.minority < crdt.minority, told)]
