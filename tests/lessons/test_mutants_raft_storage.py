"""Rafts with wrong snapshots or hasty disks: they are caught, and the right ones spared."""

from __future__ import annotations

import pytest

from clusterlab.lessons import zoo
from clusterlab.lessons.mutants import raft_disk, raft_snapshots

FOUND = {mutant.name: mutant for mutant in (*raft_disk.MUTANTS, *raft_snapshots.MUTANTS)}
SLOW = {"R41"}
"""`make zoo` hunts it."""
SMALL = {"R25", "R28", "R31", "R32", "R33"}
"""The healthy class has few states in these worlds."""


def test_the_zoo_has_every_bug_of_snapshots_and_disks() -> None:
    names = [*(f"R{number}" for number in range(25, 32)), "R31b", "R32", "R33", "R41"]
    assert [name for name in zoo.find_mutants() if name in FOUND] == names


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FOUND.keys() - SLOW))
def test_a_wrong_snapshot_or_disk_is_caught(name: str) -> None:
    mutant = FOUND[name]
    caught = mutant.hunt(mutant.broken, None)
    assert caught.property == mutant.caught_by
    assert caught.trace is not None
    assert not zoo.is_longer(mutant, caught)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_right_one_is_silent_in_the_same_whole_world(name: str) -> None:
    mutant = FOUND[name]
    silence = mutant.hunt(mutant.healthy, None)
    assert silence.property is None
    assert "the whole world" in silence.covered
