"""Two servers and one disk: the damage without a cure, and none with it."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.core.spec import Put
from clusterlab.experiments.base import Experiment
from clusterlab.experiments.damage import Damage, divergent_keys
from clusterlab.experiments.split_brain_disk import (
    SharedDisk,
    SplitBrainFencing,
    SplitBrainLeasePause,
    SplitBrainReservation,
    SplitBrainSharedStorage,
    SplitBrainStonith,
)
from clusterlab.protocols.failover import FailoverManager, Managed, PowerSwitch
from clusterlab.protocols.records import Record
from clusterlab.protocols.shared_storage import Storage

SEEDS = range(3, 8)
"""The catalogue's own test runs the first three."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment",
    [
        *(SplitBrainSharedStorage, SplitBrainReservation),
        *(SplitBrainLeasePause, SplitBrainFencing, SplitBrainStonith),
    ],
)
def test_what_is_expected_happens_on_every_seed(experiment: type[Any]) -> None:
    for seed in SEEDS:
        outcome = experiment().run(seed=seed)
        assert outcome.passed, f"seed {seed}: {outcome.failures()}"


def failures(experiment: Experiment) -> set[str]:
    return {check.name for check in experiment.run(seed=1).failures()}


def test_a_cure_without_its_fence_is_none() -> None:
    class NoReservation(SplitBrainReservation):
        storage = Storage

    class NoFence(SplitBrainFencing):
        storage = Storage

    harm = {"no acknowledged write is lost", "no record is corrupted"}
    fence = "the disk's tokens never fall, and somebody was refused"
    assert failures(NoReservation()) == {*harm, "history linearizable", fence}
    assert failures(NoFence()) >= {*harm, fence}


def test_a_manager_without_a_power_switch_splits_the_brain() -> None:
    class Naive(SplitBrainStonith):
        def nodes(self):
            return Managed.with_disk(FailoverManager("m"), PowerSwitch("pdu"))

    assert failures(Naive()) >= {
        "a healthy primary was shot",
        "it was dead before the other began",
        "no record is corrupted",
    }


def test_a_power_cut_is_a_kill_and_the_switch_is_told_afterwards() -> None:
    outcome = SplitBrainStonith().run(seed=2)
    (killed,) = [event for event in outcome.trace.of("kill") if event.node == "n1"]
    told = [
        event
        for event in outcome.trace.of("send")
        if event.node == "pdu" and type(event.data["msg"]).__name__ == "SwitchedOff"
    ]
    assert told
    assert told[0].seq > killed.seq


def test_a_client_that_turns_to_another_server_each_time_writes_to_both_sides() -> None:
    outcome = SplitBrainSharedStorage().run(seed=1)
    cut = outcome.trace.of("link")[0].at_ms
    answered = {
        event.data["src"]
        for event in outcome.trace.of("deliver")
        if event.node == "w"
        and event.at_ms > cut + 500
        and type(event.data["msg"]).__name__ == "Reply"
    }
    assert answered == {"n1", "n2"}
    assert issubclass(SplitBrainSharedStorage, SharedDisk)


def test_damage_is_told_in_words() -> None:
    assert Damage().none
    assert str(Damage()) == (
        "no key differed between the sides; no acknowledged write is lost; no record is corrupted."
    )
    told = str(Damage(divergent=("x", "y"), corrupted=(3,)))
    assert told.startswith("2 keys differed between the sides (x, y); no ")
    assert told.endswith("; 1 record is corrupted.")


def test_a_log_that_is_late_has_not_diverged() -> None:
    one, two = Record(1, "c", 1, Put("x", 1)), Record(1, "c", 2, Put("y", 2))
    other = Record(2, "d", 1, Put("y", 3))
    assert divergent_keys((one,), (one, two)) == ()
    assert divergent_keys((one, two), (one, other)) == ("y",)
