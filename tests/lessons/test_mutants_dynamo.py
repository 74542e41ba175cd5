"""Wrong stores of quorums: the quick hunts; `make zoo` has all, and the right classes in each."""

from __future__ import annotations

import pytest

from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.dynamo import MUTANTS

pytestmark = pytest.mark.slow
QUICK = [mutant for mutant in MUTANTS if mutant.name in ("D1", "D4", "D5")]


@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: mutant.name)
def test_a_wrong_store_is_caught(mutant: Mutant) -> None:
    assert mutant.hunt(mutant.broken, None).property == mutant.caught_by


def test_a_tie_that_all_break_alike_is_no_fault() -> None:
    (mutant,) = (one for one in MUTANTS if one.name == "D4")
    silence = mutant.hunt(mutant.healthy, None)
    assert (silence.property, silence.covered) == (None, "1,114 states, the whole world")
