"""How Paxos gets done: waits that grow, a distinguished proposer, and quorums of each phase.

Sources: Lamport 2001, "Paxos Made Simple", section 2.4; Howard, Malkhi and Spiegelman 2016,
"Flexible Paxos".
"""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD
from clusterlab.core.quorum import Flexible
from clusterlab.lessons.mutants.paxos_worlds import hunting
from clusterlab.protocols.distinguished import Alive, AliveDue, Distinguished, Silent, Wanted
from clusterlab.protocols.paxos import (
    Accept,
    Accepted,
    Nack,
    Paxos,
    Prepare,
    Promise,
    ProposalOverdue,
    Propose,
    Proposer,
    roles,
)
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench, ballot

FOUR = ("a1", "a2", "a3", "a4")


def proposer(**options: Any) -> Bench:
    """p1, which wants x."""
    options = {"acceptors": ("a1", "a2", "a3"), **options}
    return Bench(Proposer("p1", **options)).receive(WORLD, Invoke(Propose("x")))


# --- waiting ---


def test_each_further_wait_is_longer() -> None:
    bench = proposer(retry_ms=(10, 20), back_off=2)
    first = bench.set_timers()
    waits = [bench.fire(ProposalOverdue()).set_timers() for _ in range(6)]

    assert [timers["ProposalOverdue"] for timers in (first, *waits)] == [
        (10 * n, 20 * n) for n in (1, 2, 4, 8, 16, 16, 16)
    ]


def test_after_a_refusal_it_waits_as_long_as_for_success() -> None:
    bench = proposer(retry_ms=10, back_off=3).fire(ProposalOverdue())

    bench.receive("a1", Nack(ballot(2), ballot(5, "p2")))

    assert bench.set_timers() == {"ProposalOverdue": 30}


def test_the_next_wish_begins_with_a_short_wait() -> None:
    bench = proposer(retry_ms=10, back_off=3).fire(ProposalOverdue())
    bench.node.chosen = None
    bench.node.wish = None

    bench.receive(WORLD, Invoke(Propose("y")))

    assert bench.set_timers() == {"ProposalOverdue": 10}


def duel(wait: int | tuple[int, int]) -> Simulation:
    """Two proposers, the second of which begins when the first has its promises."""
    sim = Simulation(roles(2, 3, 1, retry_ms=wait), network=Network(delay_ms=(10, 10)), seed=1)
    sim.submit("p1", Propose("x"))
    sim.run(12)
    sim.submit("p2", Propose("y"))
    return sim


def test_two_proposers_with_one_fixed_wait_overtake_each_other_for_ever() -> None:
    """Two proposers each keep issuing a sequence of proposals with increasing numbers, none of
    which are ever chosen.

    Reference: section 2.4
    """
    sim = duel(25)

    sim.run(5_000)

    assert sim.state("l1")["chosen"] is None
    assert min(sim.state(name)["round"] for name in ("p1", "p2")) > 150


def test_chance_ends_the_duel() -> None:
    """A reliable algorithm for electing a proposer must use either randomness or real time.

    Reference: section 2.4
    """
    sim = duel((25, 100))

    sim.run(5_000)

    assert sim.state("l1")["chosen"] is not None


# --- the distinguished proposer ---


def server(name: str = "n1", **options: Any) -> Bench:
    names = ("n1", "n2", "n3")
    return Bench(Distinguished(name, acceptors=names, learners=names, **options))


def test_a_wish_is_left_to_the_distinguished_proposer() -> None:
    """A distinguished proposer must be selected as the only one to try issuing proposals.

    Reference: section 2.4
    """
    bench = server("n1").receive(WORLD, Invoke(Propose("x")))

    assert bench.sent(Wanted) == [("n3", Wanted("x"))]
    assert bench.sent(Prepare) == []
    assert bench.told_world() == [Invoked(Propose("x"))]


def test_the_distinguished_proposer_proposes_for_others() -> None:
    bench = server("n3").receive("n1", Wanted("x"))
    asked = bench.only_value(Prepare)

    for name in ("n1", "n2"):
        bench.receive(name, Promise(asked.ballot, None))

    assert bench.only_value(Accept) == Accept(ballot(1, "n3"), "x")


def test_once_it_is_chosen_everybody_rests() -> None:
    bench = server("n3").receive("n1", Wanted("x"))

    for name in ("n1", "n2"):
        bench.receive(name, Accepted(ballot(1, "n3"), "x"))

    assert (bench.node.errand, bench.node.ballot) == (None, None)
    assert bench.told_world() == []  # the user is another server's
    assert bench.fire(ProposalOverdue()).sent(Prepare) == []


def test_the_asker_hears_what_was_chosen_as_a_learner() -> None:
    bench = server("n1").receive(WORLD, Invoke(Propose("x")))

    for name in ("n2", "n3"):
        bench.receive(name, Accepted(ballot(1, "n3"), "y"))

    assert bench.told_world() == [Returned("ok", "y")]


def test_the_next_one_takes_over_after_a_silence() -> None:
    bench = server("n2").receive(WORLD, Invoke(Propose("x")))
    assert bench.node.status()["role"] != "leader"

    bench.fire(Silent("n3"))

    assert bench.only_value(Prepare).ballot == ballot(1, "n2")
    assert bench.node.status()["role"] == "leader"


def test_who_is_heard_again_is_distinguished_again() -> None:
    bench = server("n2").fire(Silent("n3")).receive("n3", Alive())

    assert bench.set_timers() == {"Silent": 200}
    assert bench.receive(WORLD, Invoke(Propose("x"))).sent(Wanted) == [("n3", Wanted("x"))]


def test_everybody_is_heard_regularly() -> None:
    bench = server("n1", beat_ms=40).fire(AliveDue())

    assert [dst for dst, _ in bench.sent(Alive)] == ["n2", "n3"]
    assert bench.set_timers() == {"AliveDue": 40}


def test_a_wrong_guess_costs_time_and_nothing_else() -> None:
    """Safety is ensured regardless of the success or failure of the election.

    Reference: section 2.4
    """
    for seed in range(10):
        sim = Simulation(Distinguished.group(3), network=Network(loss=0.3), seed=seed)
        for name in sim.servers:
            sim.submit(name, Propose(f"of {name}"))
        sim.isolate("n3")
        sim.run(600)
        sim.heal()
        sim.run_until(
            lambda sim=sim: all(sim.state(name)["chosen"] for name in sim.servers),
            20_000,
            "a choice that all know",
        )
        assert len({sim.state(name)["chosen"].value for name in sim.servers}) == 1


# --- quorums of each phase ---


def test_promises_and_acceptances_are_counted_by_rules_of_their_own() -> None:
    bench = proposer(acceptors=FOUR, quorums=Flexible.of_sizes(FOUR, phase_1=3, phase_2=2))
    accepts = [
        len(bench.receive(name, Promise(ballot(1), None)).sent(Accept))
        for name in ("a1", "a2", "a3")
    ]

    bench.receive("a3", Accepted(ballot(1), "x"))
    early = bench.told_world()
    bench.receive("a4", Accepted(ballot(1), "x"))

    assert accepts == [0, 0, 4]
    assert early == []
    assert bench.told_world() == [Returned("ok", "x")]


@pytest.mark.slow
@pytest.mark.parametrize(("phase_1", "phase_2"), [(3, 1), (1, 3), (2, 2)])
def test_no_schedule_chooses_two_values_if_the_phases_meet(phase_1: int, phase_2: int) -> None:
    rules = Flexible.of_sizes(("a1", "a2", "a3"), phase_1, phase_2)

    class Chosen(Proposer):
        quorums: Flexible | None = rules

    silence = hunting()(Chosen, None)

    assert (silence.property, silence.covered.endswith("the whole world")) == (None, True)


def test_all_roles_in_one_server_take_the_rules_too() -> None:
    names = tuple(f"n{number}" for number in range(1, 5))
    rules = Flexible.of_sizes(names, phase_1=3, phase_2=2)
    sim = Simulation(Paxos.group(4, quorums=rules), seed=1)

    assert sim.invoke("n1", Propose("x")) == "x"
