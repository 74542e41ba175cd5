"""The verbs of a cluster, on an engine that only remembers what it was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from clusterlab.core.cluster import Cluster, Health
from clusterlab.core.errors import (
    BadFault,
    LimitReached,
    OperationFailed,
    OperationUnknown,
    ScenarioError,
    UnknownNode,
)
from clusterlab.core.faults import (
    DiskLies,
    DropMessage,
    DuplicateMessage,
    Fault,
    Heal,
    HoldMessage,
    Isolate,
    Kill,
    Link,
    Partition,
    Pause,
    ReleaseMessage,
    Restart,
    Resume,
    Skew,
)
from clusterlab.core.history import Returned
from clusterlab.core.node import Message, Node
from clusterlab.core.spec import CompareAndSet, Get, Put


class Plain(Node):
    pass


class Paper(Cluster):
    """An engine of paper: it writes down faults and operations, and answers as it was told to."""

    engine: ClassVar[str] = "paper"

    def __init__(self, *names: str, **options: Any) -> None:
        super().__init__([Plain(name) for name in names or ("n1", "n2", "n3")], **options)
        self.faults: list[Fault] = []
        self.asked: list[tuple[str, Message]] = []
        self.answer: Returned | None = Returned("ok", None)
        self.healths: dict[str, Health] = {}
        self.stopped = 0
        self.now = 0.0

    def _apply(self, fault: Fault) -> bool:
        self.faults.append(fault)
        return True

    def _add_client(self, node: Node) -> None:
        pass

    def _invoke(self, node: str, operation: Message, limit_ms: float) -> Returned | None:
        self.asked.append((node, operation))
        return self.answer

    def state(self, node: str) -> dict[str, Any]:
        return {}

    def health(self, node: str) -> Health:
        return self.healths.get(node, "up")

    @property
    def now_ms(self) -> float:
        return self.now

    def _run_to(self, until_ms: float) -> None:
        self.now = until_ms

    def run_until(
        self, condition: Callable[[], bool], limit_ms: float = 60_000, what: str = "the condition"
    ) -> None:
        if not condition():
            raise LimitReached(f"{what} did not come true.")

    def stop(self) -> None:
        self.stopped += 1


def test_each_verb_is_a_fault() -> None:
    cluster = Paper()

    cluster.kill("n1")
    cluster.kill("n1", effects=2)
    cluster.restart("n1", disk="lose")
    cluster.pause("n1")
    cluster.resume("n1")
    cluster.partition(["n1"], ("n2", "n3"))
    cluster.isolate("n2")
    cluster.heal()
    cluster.link("n1", "n2", loss=0.5, delay_ms=(1, 2))
    cluster.skew("n3", offset_ms=100, rate=1.5)
    cluster.disk_lies("n1")
    cluster.hold_message(7)
    cluster.release_message(7)
    cluster.drop_message(7)
    cluster.duplicate_message(7)

    assert cluster.faults == [
        Kill("n1"),
        Kill("n1", 2),
        Restart("n1", "lose"),
        Pause("n1"),
        Resume("n1"),
        Partition((("n1",), ("n2", "n3"))),
        Isolate("n2"),
        Heal(),
        Link("n1", "n2", loss=0.5, delay_ms=(1, 2)),
        Skew("n3", 100, 1.5),
        DiskLies("n1"),
        HoldMessage(7),
        ReleaseMessage(7),
        DropMessage(7),
        DuplicateMessage(7),
    ]


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda c: c.kill("n9"), UnknownNode),
        (lambda c: c.partition(["n1", "n2"]), BadFault),
        (lambda c: c.partition("n1", "n2"), BadFault),
        (lambda c: c.link("n1", "n2", loss=7), BadFault),
        (lambda c: c.link("n1", "n9"), UnknownNode),
        (lambda c: c.skew("n1", rate=-1), BadFault),
        (lambda c: c.status("n9"), UnknownNode),
    ],
)
def test_what_cannot_be_does_not_reach_the_engine(
    act: Callable[[Paper], object], error: type[Exception]
) -> None:
    cluster = Paper()

    with pytest.raises(error):
        act(cluster)

    assert cluster.faults == []


def test_put_get_and_compare_and_set_are_operations_of_a_client() -> None:
    cluster = Paper(client=lambda name, servers: Plain(name))
    cluster.answer = Returned("ok", 7)

    cluster.put("x", 7)
    assert cluster.get("x", client="c2") == 7
    assert cluster.compare_and_set("x", 7, 8) is True

    assert cluster.asked == [
        ("c1", Put("x", 7)),
        ("c2", Get("x")),
        ("c1", CompareAndSet("x", 7, 8)),
    ]
    assert cluster.clients == ("c1", "c2")
    assert cluster.trace.meta["clients"] == ["c1", "c2"]
    assert cluster.trace.meta["classes"] == dict.fromkeys(("n1", "n2", "n3", "c1", "c2"), "Plain")


def test_without_a_way_to_make_clients_their_names_must_exist() -> None:
    with pytest.raises(UnknownNode, match=r"^there is no client 'c1'; there are n1, n2, n3"):
        Paper().put("x", 1)


@pytest.mark.parametrize("answer", [None, Returned("info")])
def test_no_answer_is_unknown_and_not_failed(answer: Returned | None) -> None:
    cluster = Paper()
    cluster.answer = answer

    with pytest.raises(OperationUnknown) as error:
        cluster.invoke("n1", Put("x", 1), limit_ms=500)

    assert str(error.value) == (
        "Put(key='x', value=1) was not answered within 500 ms: it may or may not have happened, "
        "and may still happen; see that a majority of the servers is up and connected, then read."
    )


def test_a_refusal_is_a_failure() -> None:
    cluster = Paper()
    cluster.answer = Returned("fail", "busy")

    with pytest.raises(OperationFailed) as error:
        cluster.invoke("n1", Get("x"))

    assert str(error.value) == (
        "Get(key='x') was refused ('busy'): it had no effect; try it again."
    )


def test_the_leader_is_up_and_of_the_highest_epoch() -> None:
    cluster = Paper()
    assert cluster.leader() is None
    cluster._shown = {
        "n1": {"role": "leader", "epoch": 3},
        "n2": {"role": "leader", "epoch": 5},
        "n3": {"role": "follower", "epoch": 9},
    }

    assert cluster.leader() == "n2"
    assert cluster.run_until_leader() == "n2"
    cluster.healths["n2"] = "paused"
    assert cluster.leader() == "n1"
    assert cluster.status("n3") == {"role": "follower", "epoch": 9}


def test_waiting_for_a_leader_that_does_not_come() -> None:
    with pytest.raises(LimitReached, match="a leader did not come true"):
        Paper().run_until_leader()


def test_a_cluster_describes_itself() -> None:
    cluster = Paper()
    cluster.healths["n1"] = "dead"

    assert repr(cluster) == "<paper cluster: 2 of 3 nodes up, 0 ms>"
    assert (cluster.servers, len(cluster.history)) == (("n1", "n2", "n3"), 0)


def test_a_cluster_stops_at_the_end_of_a_with_block_whatever_happens() -> None:
    cluster = Paper()

    with pytest.raises(ZeroDivisionError), cluster:
        _ = 1 // 0

    assert cluster.stopped == 1


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([], "a cluster needs at least one node: give it a list of Node objects."),
        (
            [Plain("n1"), Plain("n2"), Plain("n1")],
            "two nodes are called n1: give every node its own id.",
        ),
        (
            ["n1"],
            (
                "a cluster is made of nodes, not of 'n1': give it objects of a Node class, "
                "such as [Raft(name, members=names) for name in names]."
            ),
        ),
        ([Plain("")], "Plain  has the id '': an id is a text such as 'n1'."),
        ([Plain(7)], "Plain 7 has the id 7: an id is a text such as 'n1'."),  # type: ignore[arg-type]
    ],
)
def test_nodes_that_make_no_cluster(nodes: list[Node], said: str) -> None:
    class Bare(Paper):
        def __init__(self) -> None:
            Cluster.__init__(self, nodes)

    with pytest.raises(ScenarioError) as error:
        Bare()

    assert str(error.value) == said


def test_a_client_needs_a_name_of_its_own() -> None:
    cluster = Paper()

    with pytest.raises(ScenarioError) as error:
        cluster.add_client(Plain("n1"))

    assert str(error.value) == "there is a node n1 already: give the client another name."


def test_a_speed_of_nothing_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"^at speed 0 nothing would ever happen: give a speed"):
        Paper(speed=0)


def test_time_passes_by_a_length_or_up_to_a_moment() -> None:
    cluster = Paper()
    cluster.run(300)
    cluster.run(until_ms=1000)
    assert cluster.now_ms == 1000


@pytest.mark.parametrize("wrong", [{}, {"ms": 5, "until_ms": 5}])
def test_a_run_without_a_time_or_with_two_is_a_sentence(wrong: dict[str, float]) -> None:
    with pytest.raises(ScenarioError, match=r"write run\(500\) or run\(until_ms=2000\)"):
        Paper().run(**wrong)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ScenarioError, match="time does not run backwards"):
        Paper().run(-1)
