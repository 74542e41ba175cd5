"""Multi-Paxos in every schedule of a small world, and in storms from seeds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.invariants.multi_paxos import LEADER_ELECTED, SAFETY, SLOT_EXECUTED
from clusterlab.check.world import NodeView
from clusterlab.core.quorum import Flexible
from clusterlab.core.spec import Put
from clusterlab.experiments.fuzz_subjects import SUBJECTS
from clusterlab.lessons.mutants.hunts import arrives, asked
from clusterlab.lessons.mutants.multi_paxos import TWO_WRITES, elect, firing, two_writers
from clusterlab.protocols.client import Client, Request
from clusterlab.protocols.multi_paxos import MultiPaxos

WISH = Put("x", 1)
N1_LEADS = elect("n1", "n2", 1)
N1_PROPOSES = [*N1_LEADS, asked("c1", WISH), arrives("c1", "n1", Request(1, WISH))]
HAPPENS = (LEADER_ELECTED, SLOT_EXECUTED)
FOUR = ("n1", "n2", "n3", "n4")


def stays_small(node: NodeView) -> bool:
    """Two rounds; clients keep to the server that they know."""
    if hasattr(node, "promised"):
        return bool(node.promised.round <= 2)
    return node.server in (None, *node.servers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "world", "states"),
    [
        # No command, and every way in which two may ask to lead.
        ({}, {"timers": firing(2), "invoke": (), "bound": None}, 3_436),
        # n1 has proposed a command, and another may take over at any time.
        ({}, {"timers": firing(1), "after": N1_PROPOSES, "network": "fifo"}, None),
        # The same with a snapshot after each slot, and a death.
        (
            {"snapshot_every": 1},
            {
                "timers": firing(1),
                "after": N1_PROPOSES,
                "network": "fifo",
                "crashes": 1,
                "crashing": ("n1",),
            },
            None,
        ),
    ],
    ids=["no command", "one command", "snapshots and a death"],
)
def test_every_schedule_of_a_small_world_keeps_every_promise(
    options: dict[str, Any], world: dict[str, Any], states: int | None
) -> None:
    client = Client("c1", servers=("n1",))
    idle = world.get("invoke") == ()
    nodes = [*MultiPaxos.group(3, **options), *([] if idle else [client])]
    kinds = HAPPENS[: 1 if idle else 2]

    report = explore(
        nodes,
        properties=(*SAFETY, *kinds),
        **{"invoke": (("c1", WISH),), "bound": stays_small, **world},
    )

    assert report.verdict == "holds", str(report)
    assert report.states > 3_000
    if states is not None:
        assert report.states == states


@pytest.mark.slow
def test_holes_are_executed_by_nobody_in_any_schedule() -> None:
    """Two commands under way at once, in any order of arrival: 82,112 states."""
    report = explore(
        two_writers(MultiPaxos),
        properties=(*SAFETY, *HAPPENS),
        invoke=TWO_WRITES,
        timers=firing(0),
        after=N1_LEADS,
        network="multiset",
        bound=stays_small,
    )

    assert report.verdict == "holds", str(report)


@pytest.mark.slow
def test_storms_break_nothing_and_are_no_idle_ones() -> None:
    notes: Counter[str] = Counter()
    answered = 0
    hurried, *others = SUBJECTS["multipaxos"].trials()
    runs = [*((hurried, seed) for seed in (3, 12)), *((trial, 1) for trial in others)]
    for trial, seed in runs:
        run = trial.run(seed)
        assert run.ok, f"seed {seed}: {run.violations}"
        answered += len(run.history.ok())
        notes.update(note.data["name"] for note in run.trace.of("note"))

    assert answered > 200
    assert notes["leader"] > 10
    assert notes["no-op"] > 0
    assert notes["snapshot installed"] > 0


@pytest.mark.slow
def test_small_quorums_of_phase_2_break_nothing() -> None:
    """Flexible Paxos: three of four elect, any two choose."""
    rules = Flexible.of_sizes(FOUR, phase_1=3, phase_2=2)
    (trial, *_) = SUBJECTS["multipaxos"].trials(_flexible(rules), 4)
    for seed in range(3):
        run = trial.run(seed)
        assert run.ok, f"seed {seed}: {run.violations}"


def _flexible(rules: Flexible) -> type[MultiPaxos]:
    class FlexibleMultiPaxos(MultiPaxos):
        quorums: Flexible | None = rules

    return FlexibleMultiPaxos
