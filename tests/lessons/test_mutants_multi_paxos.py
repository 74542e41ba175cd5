"""The wrong Multi-Paxos of the zoo is caught by its property, and the right one is spared."""

from __future__ import annotations

import pytest

from clusterlab.experiments.fuzz_subjects import CAUGHT_UP
from clusterlab.lessons import zoo
from clusterlab.lessons.mutants.multi_paxos import MUTANTS, KeepsItsSnapshot, few_in_a_snapshot
from clusterlab.protocols.multi_paxos import MultiPaxos

QUICK = {mutant.name: mutant for mutant in MUTANTS if mutant.name in ("P13", "P16")}
"""`make zoo` hunts the others too, which takes some seconds."""


def test_the_zoo_has_them_all() -> None:
    names = ["P13", "P14", "P15", "P16"]
    assert [mutant.name for mutant in MUTANTS] == names
    assert names == [name for name in zoo.find_mutants() if name in names]


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_wrong_replica_is_caught(name: str) -> None:
    mutant = QUICK[name]

    caught = mutant.hunt(mutant.broken, None)

    assert caught.property == mutant.caught_by
    assert caught.trace is not None


@pytest.mark.slow
def test_a_replica_that_gets_no_snapshot_never_catches_up() -> None:
    run = few_in_a_snapshot(KeepsItsSnapshot).run(2)

    assert [violation.property for violation in run.violations] == [CAUGHT_UP.name]
    assert few_in_a_snapshot(MultiPaxos).run(2).ok


@pytest.mark.slow
@pytest.mark.parametrize("name", ["P13", "P15", "P16"])
def test_the_right_class_is_silent_in_the_same_whole_world(name: str) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)

    silence = mutant.hunt(mutant.healthy, None)

    assert (silence.property, silence.trace) == (None, None)
    assert "the whole world" in silence.covered
