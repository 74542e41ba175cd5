"""Paxos under faults: at most one value is ever chosen, and in peace one is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from clusterlab.core.errors import NodeError
from clusterlab.core.network import Network
from clusterlab.core.node import Node
from clusterlab.protocols.paxos import Acceptor, Learner, Paxos, Propose, Proposer, roles
from clusterlab.sim import Simulation
from tests.protocols import test_paxos_mutants as wrong

NETWORK = Network(delay_ms=(1, 60), loss=0.1, duplicate=0.1, reorder=0.3)


class DisagreementError(Exception):
    """Two values were chosen, or one that nobody proposed."""


def nodes(
    acceptor: type[Acceptor] = Acceptor,
    proposer: type[Proposer] = Proposer,
    learner: type[Learner] = Learner,
    acceptors: int = 3,
) -> list[Node]:
    kinds = {Acceptor: acceptor, Proposer: proposer, Learner: learner}
    right = roles(3, acceptors, 1, retry_ms=(20, 120))
    return [kinds[type(node)](**node.configuration()) for node in right]  # type: ignore[index]


def storm(servers: list[Node], seed: int, ms: int = 1_500) -> Simulation:
    """Every proposer wants its own value; everybody crashes now and then."""
    random = Random(seed)
    sim = Simulation(servers, network=NETWORK, seed=seed)
    proposers = [node.id for node in servers if isinstance(node, Proposer)]
    for name in proposers:
        sim.submit(name, Propose(f"of {name}"))
    for _ in range(ms // 20):
        sim.run(20)
        victim = random.choice(sim.servers)
        if random.random() < 0.3 and sim.kill(victim):
            sim.restart(victim)
            if victim in proposers:
                sim.submit(victim, Propose(f"again of {victim}"))
        agree(sim)
    return sim


def agree(sim: Simulation) -> set[object]:
    """What was chosen; raises DisagreementError if that is two values, or was not proposed."""
    chosen = {note.data["data"].value for note in sim.trace.notes("chosen")}
    told = {op.value for op in sim.history.ok()}
    proposed = {op.call.value for op in sim.history}  # type: ignore[attr-defined]
    if len(chosen | told) > 1 or not chosen | told <= proposed:
        raise DisagreementError(f"chosen {chosen}, told {told}")
    return chosen


@pytest.mark.slow
@pytest.mark.parametrize("acceptors", [3, 4, 5])
def test_at_most_one_value_is_chosen_and_in_peace_one_is(acceptors: int) -> None:
    """Only a value that has been proposed may be chosen, and only a single value is chosen.

    Reference: section 2.1
    """
    crowded = 0
    for seed in range(15):
        sim = storm(nodes(acceptors=acceptors), seed)
        crowded += len({e.data["msg"].ballot for e in sim.trace.of("send") if _asks(e)}) > 3
        for node in sim.servers:
            sim.restart(node)
        sim.submit("p1", Propose("last"))
        sim.run_until(lambda sim=sim: agree(sim) != set(), 10_000, "a chosen value")

    assert crowded > 8, "the proposers hardly met"


def _asks(event: object) -> bool:
    return type(event.data["msg"]).__name__ == "Prepare"  # type: ignore[attr-defined]


def test_all_roles_in_one_server() -> None:
    for seed in range(10):
        sim = storm(list(Paxos.group(3, retry_ms=(20, 120))), seed, ms=600)
        sim.run_until(lambda sim=sim: agree(sim) != set(), 10_000, "a chosen value")


CAUGHT_BY_RUNS: list[Callable[[], list[Node]]] = [
    lambda: nodes(acceptor=wrong.IgnoresItsPromise),
    lambda: nodes(acceptor=wrong.ComparesWithWhatItAccepted),
    lambda: nodes(acceptor=wrong.ForgetsItsPromise),
    lambda: nodes(acceptor=wrong.ForgetsWhatItAccepted),
    lambda: nodes(acceptor=wrong.ReportsNothing),
    lambda: nodes(proposer=wrong.PrefersItsOwnValue),
    lambda: nodes(proposer=wrong.PicksTheLowestBallot),
    lambda: nodes(proposer=wrong.CountsPromisesOfOtherBallots),
    lambda: nodes(proposer=wrong.IsContentWithHalf, learner=wrong.LearnsFromHalf, acceptors=4),
]


def hunt(wrong_nodes: Callable[[], list[Node]]) -> None:
    """Storms from many seeds; the first that shows something ends the search."""
    for seed in range(300):
        storm(wrong_nodes(), seed)


@pytest.mark.slow
@pytest.mark.parametrize("wrong_nodes", CAUGHT_BY_RUNS, ids=range(len(CAUGHT_BY_RUNS)))
def test_wrong_nodes_are_caught(wrong_nodes: Callable[[], list[Node]]) -> None:
    with pytest.raises((DisagreementError, NodeError)):
        hunt(wrong_nodes)
