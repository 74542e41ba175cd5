"""All exercises by name: a file for each lab."""

from __future__ import annotations

from clusterlab.lessons.exercises import cap, multi_paxos, paxos, raft_election, split_brain
from clusterlab.lessons.exercises.exercise import Exercise

EXERCISES: dict[str, Exercise] = {
    one.name: one
    for module in (split_brain, cap, paxos, multi_paxos, raft_election)
    for one in module.EXERCISES
}
