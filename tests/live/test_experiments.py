"""Experiments on real processes: what is expected on the simulator happens here too."""

from __future__ import annotations

import pytest

from clusterlab.experiments import CATALOGUE

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.mark.parametrize(
    "name", ["split-brain-naive", "split-brain-witness", "split-brain-majority"]
)
def test_an_experiment_has_its_expected_outcome(name: str) -> None:
    outcome = CATALOGUE[name]().run(engine="live", seed=1)
    assert outcome.passed, outcome.failures()
