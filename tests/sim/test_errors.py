"""A wrong node dies of its error, which is in the trace and reaches who let time pass."""

from __future__ import annotations

import pytest

from clusterlab.core.errors import (
    BadFault,
    HandlerRaised,
    NodeError,
    ScenarioError,
    UnhandledMessage,
    UnknownNode,
)
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node
from clusterlab.sim import Simulation
from tests.sim.nodes import Client, Fragile, Lost, Number, Peer, Server, Store, got

STEADY = Network(delay_ms=(10, 10))


def test_a_handler_that_raises_kills_its_node_and_says_where() -> None:
    nodes = [Fragile("f"), Peer("a", to=("f", "b"), count=5), Peer("b")]
    sim = Simulation(nodes, network=STEADY)
    with pytest.raises(HandlerRaised) as caught:
        sim.run(1000)
    sentence = str(caught.value)
    assert sentence.startswith(
        "Fragile f raised ValueError (three is too many) while handling Number(number=3) from a "
        "in on_number, line "
    )
    assert sentence.endswith("Mend the handler; a real node would have died here.")
    assert isinstance(caught.value.__cause__, ValueError)
    (error,) = sim.trace.of("error")
    assert (error.node, error.at_ms, error.data) == ("f", 40.0, {"error": sentence})
    assert error.cause is not None
    assert sim.trace[error.cause].data["msg"] == Number(3)
    assert sim.health("f") == "dead"
    sim.run(1000)
    assert got(sim, "b", "a") == [1, 2, 3, 4, 5], "the others go on"
    assert sim.trace.fired() == {"message dead": 2}


def test_a_node_that_died_of_an_error_can_be_restarted() -> None:
    sim = Simulation([Fragile("f"), Peer("a", to=("f",), count=5)], network=STEADY)
    with pytest.raises(HandlerRaised):
        sim.run(1000)
    assert sim.restart("f")
    sim.run(1000)
    assert sim.state("f") == {"seen": 2}


class Unheard(Message):
    pass


class Shouter(Node):
    to: str

    def on_start(self) -> None:
        self.send(self.to, Unheard())


def test_a_message_that_nobody_handles_is_an_error() -> None:
    sim = Simulation([Shouter("s", to="p"), Peer("p")])
    with pytest.raises(UnhandledMessage, match="Peer p got Unheard"):
        sim.run(100)
    assert [event.node for event in sim.trace.of("error")] == ["p"]


def test_a_message_to_nobody_is_an_error_after_the_effects_before_it() -> None:
    sim = Simulation([Lost("x"), Peer("a", to=("x",), count=1)], network=STEADY)
    with pytest.raises(NodeError) as caught:
        sim.run(100)
    assert str(caught.value) == (
        "Lost x sends Number(number=1) to 'n9', but there is no such node: send to one of x, a."
    )
    assert [event.data["name"] for event in sim.trace.of("note")] == ["before"]
    assert sim.health("x") == "dead"
    assert [event.data["error"] for event in sim.trace.of("error")] == [str(caught.value)]


class Broken(Node):
    def on_start(self) -> None:
        raise RuntimeError("no")


def test_a_node_that_cannot_start_stops_the_cluster_from_being_made() -> None:
    with pytest.raises(HandlerRaised, match=r"Broken b raised RuntimeError \(no\) while starting"):
        Simulation([Peer("a"), Broken("b")])


def test_an_error_within_a_restart_reaches_who_restarted() -> None:
    sim = Simulation([Peer("a")])
    with pytest.raises(HandlerRaised, match="while starting"):
        sim.add_client(Broken("b"))
    assert sim.health("b") == "dead"
    with pytest.raises(HandlerRaised, match="while starting"):
        sim.restart("b")


# ---- a wrong run ---------------------------------------------------------------------------------


def test_a_cluster_needs_nodes_with_names_of_their_own() -> None:
    with pytest.raises(ScenarioError, match="needs at least one node"):
        Simulation([])
    with pytest.raises(ScenarioError, match="two nodes are called a"):
        Simulation([Peer("a"), Peer("a")])
    with pytest.raises(ScenarioError, match="made of nodes, not of 'a'"):
        Simulation(["a"])  # type: ignore[list-item]
    with pytest.raises(ScenarioError, match="has the id 1: an id is a text"):
        Simulation([Peer(1)])  # type: ignore[arg-type]
    sim = Simulation([Peer("a")])
    with pytest.raises(ScenarioError, match="there is a node a already"):
        sim.add_client(Peer("a"))


@pytest.mark.parametrize("verb", ["kill", "restart", "pause", "resume", "isolate", "skew"])
def test_a_verb_with_a_name_that_does_not_exist(verb: str) -> None:
    sim = Simulation([Peer("n1"), Peer("n2")])
    with pytest.raises(UnknownNode, match=r"there is no node 'n3'; there are n1, n2\."):
        getattr(sim, verb)("n3")
    for ask in (sim.state, sim.health, sim.status):
        with pytest.raises(UnknownNode, match="no node 'n3'"):
            ask("n3")


def test_faults_that_cannot_be() -> None:
    sim = Simulation([Peer("n1"), Peer("n2"), Peer("n3")])
    before = len(sim.trace)
    with pytest.raises(BadFault, match="the partition forgets n3"):
        sim.partition(["n1"], ["n2"])
    with pytest.raises(BadFault, match="n1 stands twice"):
        sim.partition(["n1", "n2"], ["n1", "n3"])
    with pytest.raises(BadFault, match="not the text 'n1'"):
        sim.partition("n1", ["n2", "n3"])
    with pytest.raises(BadFault, match="loss=2 is not a probability"):
        sim.link("n1", "n2", loss=2)
    with pytest.raises(BadFault, match="is not a range"):
        sim.link("n1", "n2", delay_ms=(9, 1))
    with pytest.raises(BadFault, match="disk='maybe'"):
        sim.restart("n1", disk="maybe")  # type: ignore[arg-type]
    with pytest.raises(BadFault, match="give a rate above 0"):
        sim.skew("n1", rate=0)
    with pytest.raises(BadFault, match="kill after -1 effects"):
        sim.kill("n1", effects=-1)
    with pytest.raises(BadFault, match="duplicate=-1 is not a probability"):
        Network(duplicate=-1)
    assert len(sim.trace) == before, "a fault that cannot be leaves no trace"


# ---- what a cluster tells ------------------------------------------------------------------------


def test_a_state_is_recorded_when_it_changed() -> None:
    sim = Simulation([Server("n1")], network=STEADY)
    sim.add_client(Client("c1", servers=("n1",)))
    assert sim.status("n1") == {"role": "server", "label": "0"}
    assert sim.status("c1") == {}
    for value in ("a", "odd", "b"):
        sim.submit("c1", Store(value))
    sim.run(200)
    assert [event.data["label"] for event in sim.trace.of("state", node="n1")] == ["0", "1", "2"]
    assert sim.status("n1")["label"] == "2"
    sim.kill("n1")
    sim.restart("n1")
    assert [event.data["label"] for event in sim.trace.of("state", node="n1")][-1] == "2"
    assert len(sim.trace.of("state", node="n1")) == 4, "a new process shows itself anew"


class Ruler(Node):
    reign: int

    def status(self) -> dict[str, object]:
        return {"role": "leader" if self.reign else "follower", "epoch": self.reign}


def test_the_leader_is_the_living_one_with_the_highest_epoch() -> None:
    sim = Simulation([Ruler("n1", reign=2), Ruler("n2", reign=3), Ruler("n3", reign=0)])
    assert sim.leader() == sim.run_until_leader() == "n2"
    sim.pause("n2")
    assert sim.leader() == "n1"
    sim.kill("n1")
    assert sim.leader() is None
    sim.resume("n2")
    assert sim.leader() == "n2"


def test_a_cluster_introduces_itself() -> None:
    sim = Simulation([Peer("n1"), Peer("n2")], seed=5)
    sim.kill("n1")
    sim.run(1500)
    assert repr(sim) == "<sim cluster: 1 of 2 nodes up, 1500 ms>"
    assert sim.trace.meta == {
        "engine": "sim",
        "seed": 5,
        "servers": ["n1", "n2"],
        "clients": [],
        "classes": {"n1": "Peer", "n2": "Peer"},
        "record": True,
    }


# ---- a short trace -------------------------------------------------------------------------------


def busy(record: bool) -> Simulation:
    sim = Simulation(
        [Server("n1"), Peer("n2", to=("n3",), count=50), Peer("n3")],
        network=Network(loss=0.2, duplicate=0.2, reorder=0.2),
        client=lambda name, servers: Client(name, servers=servers, patience_ms=100),
        seed=4,
        record=record,
    )
    sim.add_client(Client("c1", servers=("n1",), patience_ms=100))
    for value in range(10):
        sim.submit("c1", Store(str(value)))
    sim.run(200)
    sim.kill("n3")
    sim.restart("n3")
    sim.run(3000)
    return sim


def test_a_short_trace_leaves_out_messages_timers_and_saves_and_changes_nothing_else() -> None:
    long, short = busy(record=True), busy(record=False)
    left_out = {"send", "deliver", "fire", "save", "set_timer", "cancel_timer"}
    assert {event.kind for event in short.trace}.isdisjoint(left_out)
    kept = [(e.at_ms, e.node, e.kind, e.data) for e in long.trace if e.kind not in left_out]
    assert [(e.at_ms, e.node, e.kind, e.data) for e in short.trace] == kept
    kinds = {kind for _, _, kind, _ in kept}
    assert kinds >= {"start", "state", "invoke", "return", "drop", "duplicate", "kill", "restart"}
    assert [op.outcome for op in short.history] == [op.outcome for op in long.history]
    fired = long.trace.fired()
    assert fired.pop("message reordered") > 0, "this alone is seen in deliveries only"
    assert short.trace.fired() == fired
    assert short.trace.meta["record"] is False


def test_a_short_trace_can_be_stepped_through() -> None:
    sim = Simulation([Peer("a", to=("b",), count=2), Peer("b")], network=STEADY, record=False)
    steps = 0
    while sim.step() is not None:
        steps += 1
    assert steps == 4
    assert got(sim, "b", "a") == [1, 2]
