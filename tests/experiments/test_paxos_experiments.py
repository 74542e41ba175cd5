"""The experiments with Paxos say no when what they show is not there."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from clusterlab.core.node import Node
from clusterlab.core.quorum import Flexible
from clusterlab.experiments.base import Experiment
from clusterlab.experiments.flexible_quorums import SIX, FlexibleGrid, FlexibleQuorums
from clusterlab.experiments.multipaxos_holes import MultiPaxosHoles
from clusterlab.experiments.paxos_by_hand import PaxosByHand, PaxosNoPhase1, shortest_disagreement
from clusterlab.experiments.paxos_duel import (
    DRAWN,
    EQUAL,
    PaxosDistinguished,
    PaxosDuel,
    servers,
)
from clusterlab.lessons.mutants.paxos import PrefersItsOwnValue
from clusterlab.protocols.multi_paxos import MultiPaxos
from clusterlab.protocols.paxos import Paxos, Proposer

SEEDS = range(3, 13)
"""The catalogue's own test runs the first three."""
ALL = (
    *(PaxosByHand, PaxosNoPhase1, PaxosDuel, PaxosDistinguished),
    *(MultiPaxosHoles, FlexibleQuorums, FlexibleGrid),
)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ALL)
def test_what_is_expected_happens_on_every_seed(experiment: type[Experiment]) -> None:
    for seed in SEEDS:
        outcome = experiment().run(seed=seed)
        assert outcome.passed, (
            f"clusterlab run {experiment.name} --seed {seed}: {outcome.failures()}"
        )


def failures(experiment: Experiment) -> set[str]:
    return {check.name for check in experiment.run(seed=1).failures()}


def test_a_proposer_that_does_not_adopt_is_noticed() -> None:
    class Wrong(PaxosByHand):
        proposer: ClassVar[type[Proposer]] = PrefersItsOwnValue

    assert "p2 adopts" in failures(Wrong())


def test_with_phase_1_nothing_goes_wrong() -> None:
    class Right(PaxosNoPhase1):
        proposer: ClassVar[type[Proposer]] = Proposer

    assert failures(Right()) == {
        "two users were told different things",
        "one learner learned both",
    }


def test_the_shortest_run_without_phase_1_is_found() -> None:
    events, told = shortest_disagreement()

    assert events == 10  # two wishes, two acceptances of each, and who learns of them
    assert "p1 learned 'blue' and p2 learned 'green'" in told


def test_a_duel_of_drawn_waits_is_no_live_lock() -> None:
    class Drawn(PaxosDuel):
        def nodes(self) -> list[Node]:
            waits: dict[str, Any] = {"retry_ms": (100, 900)}
            return [*servers(EQUAL, **waits), *servers(DRAWN, **waits)]

    assert failures(Drawn()) == {"equal waits end in a live-lock"}


def test_without_a_distinguished_proposer_both_propose() -> None:
    class Everybody(PaxosDistinguished):
        def nodes(self) -> list[Node]:
            return list(Paxos.group(3, retry_ms=(100, 900)))

    assert failures(Everybody()) == {"only the next in line has proposed"}


def test_a_leader_that_ignores_what_is_reported_is_noticed() -> None:
    class IgnoresReports(MultiPaxos):
        def pick_command(self, slot: int, reports: Any) -> Any:
            return super().pick_command(slot, [])

    class Wrong(MultiPaxosHoles):
        def nodes(self) -> list[Node]:
            right = super().nodes()
            return [IgnoresReports(**node.configuration()) for node in right]

    assert "the next one fills it with a no-op" in failures(Wrong())


def test_majorities_do_not_go_on_with_two_of_six() -> None:
    class Majorities(FlexibleQuorums):
        def quorums(self) -> Flexible:
            return Flexible.of_sizes(SIX, phase_1=4, phase_2=4)

    assert {"two of six go on writing", "four of six elect nobody"} <= failures(Majorities())
