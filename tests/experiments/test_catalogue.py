"""What every experiment must have and do."""

from __future__ import annotations

import pytest

from clusterlab.experiments import CATALOGUE

SEEDS = range(3)
"""`make experiments` runs fifty."""


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_experiment_asks_before_it_tells(name: str) -> None:
    experiment = CATALOGUE[name]
    guess = experiment.prediction
    assert experiment.question.endswith("?")
    assert guess.question.endswith("?")
    assert 1 < len(set(guess.options)) == len(guess.options) < 10
    assert guess.options[guess.answer]
    assert guess.because.endswith(".")
    assert experiment.source


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
def test_an_experiment_ends_as_it_says(name: str) -> None:
    for seed in SEEDS:
        outcome = CATALOGUE[name]().run(seed=seed)
        assert outcome.checks
        assert outcome.passed, f"seed {seed}: {outcome.failures()}"
