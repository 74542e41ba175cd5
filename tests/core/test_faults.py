"""Faults: values that mean the same in every engine; what cannot be is refused in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab.core.errors import BadFault, UnknownNode
from clusterlab.core.faults import (
    DiskLies,
    Fault,
    Heal,
    HoldMessage,
    Isolate,
    Kill,
    Link,
    Partition,
    Pause,
    Restart,
    Resume,
    Skew,
    check_fault,
)
from clusterlab.core.network import Network

SERVERS = ("n1", "n2", "n3")
CLIENTS = ("c1",)


@pytest.mark.parametrize(
    ("fault", "kind", "about", "data"),
    [
        (Kill("n1"), "kill", "n1", {"effects": None}),
        (Kill("n1", 2), "kill", "n1", {"effects": 2}),
        (Restart("n1", "lose"), "restart", "n1", {"disk": "lose"}),
        (Pause("n1"), "pause", "n1", {}),
        (Resume("n1"), "resume", "n1", {}),
        (Isolate("c1"), "isolate", "c1", {}),
        (Heal(), "heal", None, {}),
        (HoldMessage(7), "hold_message", None, {"message": 7}),
        (DiskLies("n1"), "disk_lies", "n1", {"lies": True}),
        (Skew("n1", 5, 1.1), "skew", "n1", {"offset_ms": 5, "rate": 1.1}),
        (
            Partition((("n1",), ("n2", "n3"))),
            "partition",
            None,
            {"groups": (("n1",), ("n2", "n3"))},
        ),
        (
            Link("n1", "n2", loss=0.5),
            "link",
            None,
            {
                "src": "n1",
                "dst": "n2",
                "block": False,
                "loss": 0.5,
                "delay_ms": None,
                "duplicate": None,
                "reorder": None,
            },
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else "",
)
def test_a_fault_knows_its_record_in_the_trace(
    fault: Fault, kind: str, about: str | None, data: dict[str, Any]
) -> None:
    check_fault(fault, SERVERS, CLIENTS)

    assert (fault.kind, fault.about, fault.data()) == (kind, about, data)
    assert hash(fault) == hash(fault)


@pytest.mark.parametrize("fault", [Kill("n4"), Pause("N1"), Isolate("n4"), Skew("n4")])
def test_an_unknown_node_is_named_with_those_that_exist(fault: Fault) -> None:
    with pytest.raises(UnknownNode) as error:
        check_fault(fault, SERVERS, CLIENTS)

    assert str(error.value).startswith(
        f"there is no node {fault.about!r}; there are n1, n2, n3, c1."
    )


def test_a_misspelt_node_is_guessed() -> None:
    with pytest.raises(UnknownNode, match=r"there are node1, node2\. Did you mean node2\?$"):
        check_fault(Kill("nod2"), ("node1", "node2"))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            Partition((("n1", "n2"),)),
            (
                "the partition forgets n3: every node stands in one group, so add a group ['n3'] "
                "or put them into one of yours (to cut off a single node, isolate it)."
            ),
        ),
        (
            Partition((("n1",),)),
            (
                "the partition forgets n2, n3: every node stands in one group, so add a group "
                "['n2', 'n3'] or put them into one of yours (to cut off a single node, isolate it)."
            ),
        ),
        (
            Partition((("n1", "n2"), ("n2", "n3"))),
            "n2 stands twice in the partition: put it into one group.",
        ),
        (
            Partition(("n1", "n2")),  # type: ignore[arg-type]
            (
                "a partition takes groups of nodes, not the text 'n1': "
                "write partition(['n1', ...], [...])."
            ),
        ),
        (
            Restart("n1", "loose"),  # type: ignore[arg-type]
            "restart with disk='loose': write disk='keep' or disk='lose'.",
        ),
        (
            Skew("n1", rate=0),
            (
                "a clock with rate 0 would stand still or run backwards: "
                "give a rate above 0 (1.0 is true, 1.1 is ten per cent fast)."
            ),
        ),
        (Kill("n1", -1), "kill after -1 effects: give 0 or more, or leave it out."),
        (
            Link("n1", "n2", loss=1.5),
            "loss=1.5 is not a probability: give a number from 0 to 1.",
        ),
        (
            Link("n1", "n2", duplicate=-0.1),
            "duplicate=-0.1 is not a probability: give a number from 0 to 1.",
        ),
        (
            Link("n1", "n2", delay_ms=(9, 5)),
            "delay_ms=(9, 5) is not a range: give (low, high) in ms, such as (5, 15).",
        ),
        (
            Link("n1", "n2", delay_ms=7),  # type: ignore[arg-type]
            "delay_ms=7 is not a range: give (low, high) in ms, such as (5, 15).",
        ),
        (
            Link("n1", "n2", delay_ms=(-1, 5)),
            "delay_ms=(-1, 5) is not a range: give (low, high) in ms, such as (5, 15).",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_mend(fault: Fault, said: str) -> None:
    with pytest.raises(BadFault) as error:
        check_fault(fault, SERVERS, CLIENTS)

    assert str(error.value) == said


def test_a_partition_may_leave_clients_out_or_place_them() -> None:
    check_fault(Partition((("n1",), ("n2", "n3"))), SERVERS, CLIENTS)
    check_fault(Partition((("n1", "c1"), ("n2", "n3"))), SERVERS, CLIENTS)
    with pytest.raises(UnknownNode):
        check_fault(Partition((("n1", "c9"), ("n2", "n3"))), SERVERS, CLIENTS)


@pytest.mark.parametrize("end", ["src", "dst"])
def test_a_link_has_two_ends_that_exist(end: str) -> None:
    ends = {"src": "n1", "dst": "n2", end: "n7"}
    with pytest.raises(UnknownNode, match="there is no node 'n7'"):
        check_fault(Link(**ends), SERVERS, CLIENTS)


@pytest.mark.parametrize(
    "conditions", [{"loss": 2}, {"duplicate": -1}, {"reorder": 1.01}, {"delay_ms": (3, 1)}]
)
def test_a_network_has_conditions_that_can_be(conditions: dict[str, Any]) -> None:
    with pytest.raises(BadFault):
        Network(**conditions)
