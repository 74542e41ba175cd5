"""Operations: handed to a client, begun, answered, refused, given up or never heard of again."""

from __future__ import annotations

import pytest

from clusterlab.core.errors import OperationFailed, OperationUnknown, UnknownNode
from clusterlab.core.history import Invoke
from clusterlab.core.network import Network
from clusterlab.sim import Simulation
from tests.sim.nodes import Client, Server, Store, client

STEADY = Network(delay_ms=(10, 10))


def cluster() -> Simulation:
    return Simulation([Server("n1"), Server("n2")], network=STEADY, client=client)


def test_invoke_waits_for_the_answer() -> None:
    sim = cluster()
    assert sim.invoke("c1", Store("x")) == 1
    assert sim.now_ms == 20
    assert sim.invoke("c1", Store("y")) == 2
    assert sim.state("n1")["values"] == ("x", "y")
    assert [(op.client, op.call, op.outcome, op.value) for op in sim.history] == [
        ("c1", Store("x"), "ok", 1),
        ("c1", Store("y"), "ok", 2),
    ]
    assert [op.latency_ms for op in sim.history] == [20, 20]


def test_a_client_is_made_when_it_is_first_named() -> None:
    sim = cluster()
    assert sim.clients == ()
    sim.invoke("alice", Store("x"))
    sim.invoke("bob", Store("y"))
    assert sim.clients == ("alice", "bob")
    assert sim.trace.meta["clients"] == ["alice", "bob"]
    assert sim.trace.meta["classes"]["bob"] == "Client"


def test_without_a_factory_a_client_must_exist() -> None:
    sim = Simulation([Server("n1")], network=STEADY)
    with pytest.raises(UnknownNode, match="no client 'c1'"):
        sim.invoke("c1", Store("x"))
    sim.add_client(Client("c1", servers=("n1",)))
    assert sim.invoke("c1", Store("x")) == 1


def test_an_operation_that_was_refused_has_failed() -> None:
    sim = cluster()
    with pytest.raises(OperationFailed, match=r"Store\(value='odd'\) was refused \('odd'\)"):
        sim.invoke("c1", Store("odd"))
    assert [op.outcome for op in sim.history] == ["fail"]


def test_an_operation_that_the_client_gave_up_is_unknown() -> None:
    sim = cluster()
    sim.add_client(Client("c1", servers=("n1",), patience_ms=100))
    sim.isolate("n1")
    with pytest.raises(OperationUnknown, match=r"it may or may not have happened"):
        sim.invoke("c1", Store("x"))
    assert sim.now_ms == 100
    assert [op.outcome for op in sim.history] == ["info"]
    assert [op.returned_ms for op in sim.history] == [100]


def test_an_operation_without_an_answer_is_unknown_at_the_limit() -> None:
    sim = cluster()
    sim.kill("n1")
    with pytest.raises(OperationUnknown, match=r"not answered within 500 ms"):
        sim.invoke("c1", Store("x"), limit_ms=500)
    assert sim.now_ms == 500
    (operation,) = sim.history
    assert (operation.outcome, operation.returned_ms) == ("info", None)


def test_a_late_answer_is_not_taken_for_that_of_the_next_call() -> None:
    sim = cluster()
    sim.add_client(Client("c1", servers=("n1",)))
    sim.link("n1", "c1", delay_ms=(300, 300))
    with pytest.raises(OperationUnknown):
        sim.invoke("c1", Store("slow"), limit_ms=100)
    assert sim.invoke("c1", Store("slow")) == 2, "the answer 1 belongs to the first call"
    assert [op.value for op in sim.history] == [1, 2]


def test_an_abandoned_call_that_was_not_begun_is_not_mixed_up_with_the_next() -> None:
    sim = cluster()
    sim.add_client(Client("c1", servers=("n1",)))
    sim.pause("c1")
    with pytest.raises(OperationUnknown):
        sim.invoke("c1", Store("same"), limit_ms=100)
    sim.resume("c1")
    assert sim.invoke("c1", Store("same")) == 2


class Worker(Client):
    """Has operations of its own to carry out first."""

    def on_start(self) -> None:
        self.queue = (Store("own 1"), Store("own 2"))
        self._go_on()


def test_what_a_client_does_of_its_own_accord_answers_nobody() -> None:
    sim = cluster()
    sim.add_client(Worker("c1", servers=("n1",)))
    assert sim.invoke("c1", Store("asked")) == 3


class Restless(Client):
    """Begins the next operation without a word about the last."""

    def on_invoke(self, src: str, m: Invoke) -> None:
        self.busy = False
        super().on_invoke(src, m)


def test_a_call_that_its_client_left_without_an_answer_gets_none() -> None:
    sim = cluster()
    sim.add_client(Restless("c1", servers=("n1",)))
    sim.isolate("c1")
    sim.submit("c1", Store("x"))
    sim.run(50)
    sim.heal()
    assert sim.invoke("c1", Store("y")) == 1


def test_submit_does_not_wait() -> None:
    sim = cluster()
    sim.add_client(Client("c1", servers=("n1",)))
    sim.submit("c1", Store("x"))
    sim.submit("c1", Store("y"))
    assert sim.now_ms == 0
    assert len(sim.history) == 0
    sim.run(0)
    assert [op.returned_ms for op in sim.history] == [None], "a client does one thing at a time"
    sim.run(100)
    assert [(op.call.value, op.value) for op in sim.history] == [("x", 1), ("y", 2)]
    with pytest.raises(UnknownNode):
        sim.submit("c9", Store("x"))


def test_an_invoke_queues_behind_what_was_submitted() -> None:
    sim = cluster()
    sim.add_client(Client("c1", servers=("n1",)))
    sim.submit("c1", Store("same"))
    assert sim.invoke("c1", Store("same")) == 2


@pytest.mark.parametrize("begun", [False, True])
def test_an_operation_that_died_with_its_client_is_not_taken_for_the_next(begun: bool) -> None:
    sim = cluster()
    sim.add_client(Client("c1", servers=("n1",)))
    if begun:
        sim.submit("c1", Store("x"))
        sim.run(5)
        sim.kill("c1")
    else:
        sim.kill("c1")
        sim.submit("c1", Store("x"))
    sim.run(100)  # the answer comes to a dead client
    sim.restart("c1")
    assert sim.invoke("c1", Store("x")) == (2 if begun else 1)


def test_an_operation_handed_to_a_paused_client_waits() -> None:
    sim = cluster()
    sim.add_client(Client("c1", servers=("n1",)))
    sim.pause("c1")
    sim.submit("c1", Store("x"))
    sim.run(100)
    assert len(sim.history) == 0
    sim.resume("c1")
    sim.run(20)
    assert [op.invoked_ms for op in sim.history] == [100]


def test_the_world_is_no_node() -> None:
    sim = cluster()
    sim.invoke("c1", Store("x"))
    assert "world" not in {event.node for event in sim.trace}
    kinds = [event.kind for event in sim.trace if event.node == "c1"]
    assert kinds.count("invoke") == kinds.count("return") == 1
    assert all(event.data["dst"] != "world" for event in sim.trace.of("send"))


def test_what_a_client_asks_is_a_cause_of_what_it_is_told() -> None:
    sim = cluster()
    sim.invoke("c1", Store("x"))
    (told,) = sim.trace.of("return")
    assert "invoke" in [event.kind for event in sim.trace.causes(told.seq)]
    assert "save" in [event.kind for event in sim.trace.causes(told.seq)]
