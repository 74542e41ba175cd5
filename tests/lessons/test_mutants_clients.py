"""The servers of the zoo that are wrong to their clients: the history tells."""

from __future__ import annotations

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.world import World
from clusterlab.core.history import History
from clusterlab.core.spec import Add, Read, Register, Write
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.clients import (
    MUTANTS,
    ReadsItsOwnState,
    asks_too_early,
    firing,
    history,
    linearizable,
    stays_small,
    two_clients,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_wrong_server_is_caught_and_the_right_one_is_not(mutant: Mutant) -> None:
    caught = mutant.hunt(mutant.broken, None)
    assert caught.property == mutant.caught_by
    assert caught.depth is not None
    assert mutant.depth is None or caught.depth <= mutant.depth
    silence = mutant.hunt(mutant.healthy, None)
    assert (silence.property, silence.trace) == (None, None)
    assert silence.covered.endswith("the whole world")


def test_the_trace_holds_the_history_that_no_order_explains() -> None:
    caught = MUTANTS[0].hunt(MUTANTS[0].broken, None)
    assert caught.trace is not None
    told = [(op.call, op.outcome, op.value) for op in History.of(caught.trace)]
    assert told == [(Add(), "ok", None), (Read(), "ok", 2)]


def test_a_leader_may_read_too_early_even_if_there_is_no_other() -> None:
    """It holds the write, and does not know yet that it is committed (R43)."""

    def too_early_or_two_leaders(world: World) -> bool:
        leaders = [node for node in world.having("role") if node.role == "leader"]
        return len(leaders) > 1 or asks_too_early(world)

    report = explore(
        two_clients(ReadsItsOwnState),
        properties=linearizable(Register()),
        network="fifo",
        invoke=(("c1", Write(1)), ("c2", Read())),
        timers=firing(elections=2),
        bound=stays_small,
        prune=too_early_or_two_leaders,
    )
    assert report.property == "linearizable"
    assert report.trace is not None
    assert [note.data["data"] for note in report.trace.notes("leader")] == [1, 2]


def test_what_clients_were_told_is_remembered_in_order() -> None:
    told = (("c1", "invoke", Write(1)), ("c2", "invoke", Read()), ("c1", "return", ("ok", None)))
    write, read = history(told)
    assert (write.outcome, write.invoked_ms, write.returned_ms) == ("ok", 0, 2)
    assert (read.outcome, read.returned_ms) == ("info", None)
