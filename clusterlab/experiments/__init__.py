"""Runs that answer a question, on either engine.

| what | where |
|---|---|
| one story, told by `clusterlab run NAME` | `base`, `telling`, and a module for each: `raft_failover`, `split_brain`, `split_brain_disk` with `damage` and `power`, ... |
| storms from thousands of seeds, `clusterlab check` | `fuzz`, with `nemesis` (the faults), `fuzz_watch` (the properties), `fuzz_subjects` (what it knows to fuzz), `fuzz_spread`, `fuzz_report` |
| a failing run made short | `minimize`, with `steps`, `rehearsal`, `reduction`; the result is `minimal` |
| a run written down, to be played again | `scenario` |
| what if something had gone otherwise? | `fork` |
"""  # noqa: E501 - a table

from clusterlab.experiments.base import Check, Experiment, Outcome, Prediction, Story
from clusterlab.experiments.cap_dial import CapDial, CapMinorityClient
from clusterlab.experiments.flexible_quorums import FlexibleGrid, FlexibleQuorums
from clusterlab.experiments.multipaxos_holes import MultiPaxosHoles
from clusterlab.experiments.paxos_by_hand import PaxosByHand, PaxosNoPhase1
from clusterlab.experiments.paxos_duel import PaxosDistinguished, PaxosDuel
from clusterlab.experiments.quorum_order import ClockSkewLww, QuorumNotLinearizable
from clusterlab.experiments.raft_elections import (
    RaftDisruptiveServer,
    RaftRandomTimeouts,
    RaftSplitVote,
    RaftUndisturbed,
)
from clusterlab.experiments.raft_failover import RaftFailover
from clusterlab.experiments.raft_figure_8 import RaftFigure8, RaftFigure8Counting
from clusterlab.experiments.raft_membership import RaftMembershipSafe, RaftMembershipUnsafe
from clusterlab.experiments.raft_reads import RaftLeaseSkew, RaftReadIndex, RaftStaleRead
from clusterlab.experiments.raft_storage import (
    RaftHonestFsync,
    RaftLostFsync,
    RaftSnapshotCatchUp,
)
from clusterlab.experiments.split_brain import (
    SplitBrainMajority,
    SplitBrainNaive,
    SplitBrainWitness,
)
from clusterlab.experiments.split_brain_disk import (
    SplitBrainFencing,
    SplitBrainLeasePause,
    SplitBrainReservation,
    SplitBrainSharedStorage,
    SplitBrainStonith,
)

CATALOGUE: dict[str, type[Experiment]] = {
    cls.name: cls
    for cls in (
        RaftFailover,
        RaftSplitVote,
        RaftRandomTimeouts,
        RaftFigure8,
        RaftFigure8Counting,
        RaftDisruptiveServer,
        RaftUndisturbed,
        RaftStaleRead,
        RaftReadIndex,
        RaftLeaseSkew,
        RaftSnapshotCatchUp,
        RaftLostFsync,
        RaftHonestFsync,
        RaftMembershipUnsafe,
        RaftMembershipSafe,
        PaxosByHand,
        PaxosNoPhase1,
        PaxosDuel,
        PaxosDistinguished,
        MultiPaxosHoles,
        FlexibleQuorums,
        FlexibleGrid,
        SplitBrainNaive,
        SplitBrainWitness,
        SplitBrainMajority,
        SplitBrainSharedStorage,
        SplitBrainReservation,
        SplitBrainLeasePause,
        SplitBrainFencing,
        SplitBrainStonith,
        CapDial,
        CapMinorityClient,
        QuorumNotLinearizable,
        ClockSkewLww,
    )
}
"""Every experiment by its name."""

__all__ = [
    "CATALOGUE",
    "Check",
    "Experiment",
    "Outcome",
    "Prediction",
    "RaftFailover",
    "Story",
]
