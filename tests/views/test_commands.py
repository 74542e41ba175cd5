"""What a picture asks for, and how it is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusterlab.core.faults import (
    DropMessage,
    DuplicateMessage,
    Fault,
    HoldMessage,
    Link,
    ReleaseMessage,
    Skew,
)
from clusterlab.core.network import Network
from clusterlab.sim import Simulation
from clusterlab.views.commands import COMMANDS, Deeds
from tests.sim.nodes import Peer

NAMES = ("a", "b", "c")


@pytest.fixture
def sim() -> Iterator[Simulation]:
    nodes = [Peer("a", to=("b",), count=1), Peer("b"), Peer("c")]
    with Simulation(nodes, network=Network(delay_ms=(100, 100))) as made:
        made.run(20)
        yield made


def network(sim: Simulation) -> dict[tuple[str, str], Any]:
    """What the switch says of every link."""
    return {(src, dst): sim._switch.link(src, dst) for src in NAMES for dst in NAMES if src != dst}


@pytest.mark.parametrize(
    ("command", "faults"),
    [
        ({"do": "skew", "node": "a", "offset_ms": 500, "rate": 1}, (Skew("a", 500, 1),)),
        (
            {"do": "link", "src": "a", "dst": "b", "both": True, "delay_ms": [9, 9]},
            (Link("a", "b", delay_ms=(9, 9)), Link("b", "a", delay_ms=(9, 9))),
        ),
        ({"do": "link", "src": "a", "dst": "b", "block": True}, (Link("a", "b", block=True),)),
        ({"do": "hold", "message": 7}, (HoldMessage(7),)),
        ({"do": "release", "message": 7}, (ReleaseMessage(7),)),
        ({"do": "drop", "message": 7}, (DropMessage(7),)),
        ({"do": "duplicate", "message": 7}, (DuplicateMessage(7),)),
    ],
)
def test_a_command_is_a_few_faults(command: dict[str, Any], faults: tuple[Fault, ...]) -> None:
    assert COMMANDS[command["do"]](command) == faults


@pytest.mark.parametrize(
    "command",
    [
        {"do": "partition", "groups": [["a"], ["b", "c"]]},
        {"do": "isolate", "node": "a"},
        {"do": "link", "src": "a", "dst": "b", "both": True, "loss": 0.5},
        {"do": "heal"},
    ],
)
@pytest.mark.parametrize("cut_before", [False, True])
def test_undo_makes_the_network_what_it_was(
    sim: Simulation, command: dict[str, Any], cut_before: bool
) -> None:
    if cut_before:
        sim.partition(["a", "b"], ["c"])
        sim.link("a", "b", delay_ms=(1, 2))
        sim.isolate("c")
    before = network(sim)
    deeds = Deeds(sim)
    deeds.do(COMMANDS[command["do"]](command))
    assert network(sim) != before or (command["do"] == "heal" and not cut_before)
    deeds.undo()
    assert network(sim) == before


def test_undo_takes_back_one_after_the_other(sim: Simulation) -> None:
    deeds = Deeds(sim)
    for command in (
        {"do": "kill", "node": "a"},
        {"do": "pause", "node": "b"},
        {"do": "skew", "node": "c", "offset_ms": 50},
        {"do": "skew", "node": "c", "offset_ms": 70},
    ):
        assert deeds.do(COMMANDS[str(command["do"])](command))
    assert [deeds.undo() for _ in range(5)] == [
        "skew c is undone", "skew c is undone", "pause b is undone", "kill a is undone",
        "there is nothing to undo",
    ]  # fmt: skip
    assert [sim.health(name) for name in NAMES] == ["up"] * 3
    assert [event.data["offset_ms"] for event in sim.trace.of("skew")] == [50, 70, 50, 0]


def test_a_message_that_was_held_by_hand_is_released_and_a_lost_one_stays_lost(
    sim: Simulation,
) -> None:
    deeds, seq = Deeds(sim), sim.trace.of("send")[0].seq
    deeds.do((HoldMessage(seq),))
    assert deeds.undo() == "hold message is undone"
    deeds.do((DropMessage(seq),))
    assert deeds.undo() == "there is nothing to undo"


def test_what_changed_nothing_is_not_undone(sim: Simulation) -> None:
    deeds = Deeds(sim)
    assert not deeds.do(COMMANDS["resume"]({"node": "a"}))
    assert deeds.undo() == "there is nothing to undo"
