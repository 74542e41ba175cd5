"""The Rafts of the zoo that change their members wrongly."""

from __future__ import annotations

import pytest

from clusterlab.lessons import zoo
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.raft_membership import MUTANTS

FOUND = {mutant.name: mutant for mutant in MUTANTS}

pytestmark = pytest.mark.slow


def test_the_zoo_has_them_all() -> None:
    names = ["R34", "R35", "R36", "R37", "R38", "R39"]
    assert [name for name in zoo.find_mutants() if name in FOUND] == names


@pytest.mark.parametrize("mutant", MUTANTS, ids=FOUND.keys())
def test_a_mutant_overrides_one_method(mutant: Mutant) -> None:
    assert mutant.broken.__bases__ == (mutant.healthy,)
    methods = [
        name
        for name, value in vars(mutant.broken).items()
        if callable(value) and name != "__init__"
    ]
    assert len(methods) == 1


@pytest.mark.parametrize("name", ["R34", "R37", "R38"])  # the others: `make zoo`
def test_it_is_caught(name: str) -> None:
    mutant = FOUND[name]
    caught = mutant.hunt(mutant.broken, None)
    assert caught.property == mutant.caught_by
    assert caught.trace is not None


@pytest.mark.parametrize("name", ["R37", "R38"])
def test_the_healthy_one_is_silent_in_the_same_whole_world(name: str) -> None:
    silence = FOUND[name].hunt(FOUND[name].healthy, None)
    assert silence.property is None
    assert silence.covered.endswith("the whole world")
