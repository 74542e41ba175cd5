"""Named runs that each answer one question; `clusterlab run NAME` tells them in a terminal."""

from clusterlab.experiments.base import Check, Experiment, Outcome, Story
from clusterlab.experiments.raft_failover import RaftFailover
from clusterlab.experiments.split_brain import SplitBrainNaive, SplitBrainWitness

CATALOGUE: dict[str, type[Experiment]] = {
    cls.name: cls for cls in (RaftFailover, SplitBrainNaive, SplitBrainWitness)
}
"""Every experiment by its name."""

__all__ = ["CATALOGUE", "Check", "Experiment", "Outcome", "RaftFailover", "Story"]
