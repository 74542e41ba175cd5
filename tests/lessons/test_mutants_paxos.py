"""The wrong Paxos of the zoo: quick hunts, what small bounds hide, and what shows it after all."""

from __future__ import annotations

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.invariants.paxos import (
    LEARNED_WAS_CHOSEN,
    P2C,
    PROMISED_COVERS_ACCEPTED,
)
from clusterlab.check.properties import Property
from clusterlab.core.node import Node
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.paxos import (
    MUTANTS,
    AcceptsWithoutPromising,
    AddsUpBallots,
    IgnoresItsPromise,
    KeepsItsFirstValue,
    PicksTheLowestBallot,
    PicksTheMostFrequentValue,
    SharesItsNumbers,
)
from clusterlab.lessons.mutants.paxos_worlds import (
    Forgetful,
    duel,
    events,
    first_phase_done,
    has_heard_nothing,
    hunting,
    wishes,
)

TWO_BALLOTS = MUTANTS[:9]

pytestmark = pytest.mark.slow


def test_the_whole_table_is_here() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert names == ["P1", "P2", "P3", "P4", "P5a", "P5b", "P5c", *(f"P{i}" for i in range(6, 13))]


@pytest.mark.parametrize("mutant", TWO_BALLOTS, ids=lambda mutant: mutant.name)
def test_two_ballots_are_enough(mutant: Mutant) -> None:
    caught = mutant.hunt(mutant.broken, None)
    assert caught.property == mutant.caught_by
    assert "l1 learned" in caught.explanation
    assert caught.depth is not None
    assert mutant.depth is not None
    assert caught.depth <= mutant.depth
    assert caught.trace is not None


@pytest.mark.parametrize("name", ["P1", "P2", "P4"])
def test_the_right_class_is_silent_in_the_same_hunt(name: str) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    silence = mutant.hunt(mutant.healthy, None)
    assert (silence.property, silence.trace) == (None, None)
    assert silence.covered.endswith("the whole world")


# --- small bounds lie --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [PicksTheLowestBallot, PicksTheMostFrequentValue, AcceptsWithoutPromising, KeepsItsFirstValue],
)
def test_every_schedule_of_two_ballots_is_fine_and_the_class_is_wrong(broken: type[Node]) -> None:
    silence = hunting(ballots=2)(broken, None)
    assert silence.property is None
    assert silence.covered.endswith("states, the whole world")


@pytest.mark.parametrize("ballots", [2, 3])
def test_who_adds_up_ballots_is_fine_with_as_many_as_three(ballots: int) -> None:
    hunt = hunting(ballots, others=(Forgetful,), after=first_phase_done(ballots))
    silence = hunt(AddsUpBallots, None)
    assert silence.property is None
    assert silence.covered.endswith("the whole world")


SOONER: list[tuple[type[Node], Property, int]] = [
    (AcceptsWithoutPromising, PROMISED_COVERS_ACCEPTED, 1),
    (AddsUpBallots, LEARNED_WAS_CHOSEN, 2),
]


@pytest.mark.parametrize(("broken", "stronger", "ballots"), SOONER)
def test_a_stronger_property_needs_fewer_ballots(
    broken: type[Node], stronger: Property, ballots: int
) -> None:
    report = explore(
        duel(broken, ballots),
        properties=stronger,
        network="set",
        timers=0,
        invoke=wishes(ballots),
    )
    assert report.property == stronger.name


def test_what_is_proposed_against_the_past_is_seen_before_it_is_chosen() -> None:
    report = explore(
        duel(KeepsItsFirstValue, 3),
        properties=P2C,
        network="set",
        timers=0,
        invoke=wishes(3),
        after=first_phase_done(3),
        bound=has_heard_nothing,
    )
    assert (report.property, events(report)) == ("P2c", 14)


# --- the worlds --------------------------------------------------------------------------------


def test_shared_numbers_are_safe_where_an_acceptor_promises_each_number_once() -> None:
    assert hunting()(SharesItsNumbers, None).property is None


def test_it_loses_nothing_to_begin_with_the_first_phase_of_the_lowest_ballot() -> None:
    at_once = hunting(after=first_phase_done(2))
    assert at_once(IgnoresItsPromise, None).depth == hunting()(IgnoresItsPromise, None).depth == 12


def test_it_loses_nothing_to_forget_promises_that_were_used() -> None:
    forgetful = hunting(others=(Forgetful,))
    assert forgetful(IgnoresItsPromise, None).depth == 12
