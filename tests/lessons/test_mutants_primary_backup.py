"""The failovers of the zoo that are wrong: each is killed by its own promise, and no right one."""

from __future__ import annotations

import inspect

import pytest

from clusterlab.lessons import zoo
from clusterlab.lessons.mutants import Mutant, views
from clusterlab.lessons.mutants import primary_backup as failovers

MUTANTS = {mutant.name: mutant for mutant in (*failovers.MUTANTS, *views.MUTANTS)}
LARGE = {"B1", "B3", "B5", "B7", "B8"}
"""`make zoo` asks the healthy class; a test of it would take seconds."""


def test_the_zoo_has_every_bug_of_failovers() -> None:
    names = [f"B{number}" for number in (*range(1, 9), 13)]
    assert [name for name in zoo.find_mutants() if name in MUTANTS] == names


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_a_mutant_overrides_one_method(mutant: Mutant) -> None:
    assert mutant.broken.__bases__ == (mutant.healthy,)
    own = {*vars(mutant.broken), *inspect.get_annotations(mutant.broken)}
    assert len({name for name in own if not name.startswith("_")}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_failover_is_caught(name: str) -> None:
    mutant = MUTANTS[name]
    caught = mutant.hunt(mutant.broken, None)
    assert caught.property == mutant.caught_by
    assert caught.trace is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MUTANTS.keys() - LARGE))
def test_the_right_one_is_silent_in_the_same_whole_world(name: str) -> None:
    mutant = MUTANTS[name]
    silence = mutant.hunt(mutant.healthy, None)
    assert (silence.property, silence.trace) == (None, None)
    assert silence.covered.endswith("the whole world")
