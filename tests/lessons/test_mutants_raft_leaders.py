"""The Rafts of the zoo that cannot keep a leader, or read what is no longer so."""

from __future__ import annotations

import pytest

from clusterlab.core.history import History
from clusterlab.lessons import zoo
from clusterlab.lessons.mutants import Mutant, raft_prevote, raft_reads

MUTANTS = {mutant.name: mutant for mutant in (*raft_prevote.MUTANTS, *raft_reads.MUTANTS)}
SLOW = {"R45", "R45b"}
"""`make zoo` hunts these: a lease has to be cut off at the right moment, which takes many seeds."""

pytestmark = pytest.mark.slow


def test_the_zoo_has_them_all() -> None:
    names = ["R12", "R13", "R14", "R14b", "R43", "R44", "R45", "R45b"]
    assert [name for name in zoo.find_mutants() if name in MUTANTS] == names


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_mutant_overrides_one_thing(mutant: Mutant) -> None:
    """Or is what the healthy one builds on: a Raft without the cure."""
    if mutant.name in ("R12", "R13"):
        assert issubclass(mutant.healthy, mutant.broken)
    else:
        assert mutant.broken.__bases__ == (mutant.healthy,)


@pytest.mark.parametrize("name", sorted(MUTANTS.keys() - SLOW))
def test_it_is_caught(name: str) -> None:
    mutant = MUTANTS[name]
    caught = mutant.hunt(mutant.broken, None)
    assert caught.property == mutant.caught_by
    assert caught.trace is not None
    assert not zoo.is_longer(mutant, caught)


@pytest.mark.parametrize("name", ["R14", "R43"])  # R44 has the world of R43
def test_the_healthy_one_is_silent_in_the_same_whole_world(name: str) -> None:
    silence = MUTANTS[name].hunt(MUTANTS[name].healthy, None)
    assert silence.property is None
    assert silence.covered.endswith("the whole world")


def test_a_stale_read_is_in_the_trace_for_all_to_see() -> None:
    caught = MUTANTS["R44"].hunt(MUTANTS["R44"].broken, None)
    assert caught.trace is not None
    write, read = History.of(caught.trace).ok()
    assert (read.value, write.call.value) == (None, 1)  # type: ignore[attr-defined]
    assert write.returned_ms is not None
    assert write.returned_ms < read.invoked_ms
