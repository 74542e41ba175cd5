"""The wrong Multi-Paxos of the zoo is caught by its property, and the right one is spared."""

from __future__ import annotations

import pytest

from clusterlab.lessons import zoo
from clusterlab.lessons.mutants.multi_paxos import MUTANTS

QUICK = {mutant.name: mutant for mutant in MUTANTS if mutant.name != "P15"}
"""`make zoo` hunts P15, which takes some seconds."""


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
@pytest.mark.parametrize("name", ["P13", "P15", "P16"])
def test_the_right_class_is_silent_in_the_same_whole_world(name: str) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)

    silence = mutant.hunt(mutant.healthy, None)

    assert (silence.property, silence.trace) == (None, None)
    assert "the whole world" in silence.covered
