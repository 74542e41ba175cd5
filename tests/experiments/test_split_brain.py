"""A pair is cut: alone it splits its brain, with a third vote one side waits."""

from __future__ import annotations

import pytest

from clusterlab.experiments.split_brain import (
    SplitBrain,
    SplitBrainMajority,
    SplitBrainNaive,
    SplitBrainWitness,
)
from clusterlab.protocols.primary_backup import PrimaryBackup

SEEDS = range(3, 10)
"""The catalogue's own test runs the first three."""


@pytest.mark.parametrize("experiment", [SplitBrainNaive, SplitBrainWitness, SplitBrainMajority])
def test_what_is_expected_happens_on_every_seed(experiment: type[SplitBrain]) -> None:
    for seed in SEEDS:
        outcome = experiment().run(seed=seed)
        assert outcome.passed, (
            f"clusterlab run {experiment.name} --seed {seed}: {outcome.failures()}"
        )
        assert outcome.fired["partition"] == outcome.fired["heal"] == 1
        assert outcome.fired["message partition"] > 10


def test_the_pair_alone_keeps_none_of_the_promises_of_the_witnessed_one() -> None:
    class Cured(SplitBrainWitness):
        def nodes(self):
            return [*PrimaryBackup.pair()]

        def sides(self):
            return ["n1"], ["n2"]

    failed = {check.name for check in Cured().run(seed=1).failures()}
    assert failed == {
        "one side served during the cut, the other refused",
        "no acknowledged write is lost",
        "history linearizable",
    }
