"""A trace, run again node by node, agrees; one that was changed names the event."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.replay import replay
from clusterlab.check.world import World
from clusterlab.core.errors import ScenarioError, TraceError, UnknownNode
from clusterlab.core.faults import Kill, Restart
from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD, Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.spec import Put
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.experiments.raft_failover import RaftFailover
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.paxos import Acceptor, Propose
from clusterlab.protocols.raft import Raft, RequestVote
from clusterlab.sim import Simulation
from clusterlab.views.picture import picture
from clusterlab.views.state import State
from tests.check.toys import Reader, duel, relays

BAD_NETWORK = Network(loss=0.05, duplicate=0.05, reorder=0.1)


def storm() -> tuple[Trace, list[Node]]:
    """Raft with two clients, a lossy network, and deaths within and between steps."""
    servers = Raft.group(3)
    clients = [
        Client(name, servers=("n1", "n2", "n3"), workload=mixed_workload(name), every_ms=(10, 50))
        for name in ("c1", "c2")
    ]
    sim = Simulation(servers, network=BAD_NETWORK, seed=5)
    sim.run_until_leader()
    for client in clients:
        sim.add_client(client)
    for effects in (None, 0, 1, 2):
        sim.run(300)
        leader = sim.run_until_leader()
        sim.apply(Kill(leader, effects))
        sim.run_until(lambda: sim.health(leader) == "dead")  # noqa: B023
        sim.run(150)
        sim.apply(Restart(leader, "lose" if effects == 2 else "keep"))
    sim.skew("n1", offset_ms=50, rate=1.5)
    sim.submit("c1", Put("x", "from outside"))
    sim.run(500)
    return sim.trace, [*servers, *clients]


RUN = storm()


def changed(trace: Trace, seq: int, **data: Any) -> Trace:
    """The trace with other data in one event."""
    copy = Trace(**trace.meta)
    copy.events = list(trace.events)
    event = copy.events[seq]
    copy.events[seq] = event._replace(data={**event.data, **data})
    return copy


def first(trace: Trace, kind: str, test: Callable[[TraceEvent], bool] = lambda _: True) -> int:
    """The seq of the first event of a kind that passes a test."""
    return next(e.seq for e in trace.of(kind) if e.node != WORLD and test(e))


# ---- runs agree ----------------------------------------------------------------------------------


def test_a_run_with_faults_agrees_in_every_step() -> None:
    trace, nodes = RUN
    found = replay(trace, nodes)
    assert not found, str(found)
    began = trace.of("start", "deliver", "fire")
    errors = trace.of("error")
    assert sum(found.steps.values()) == len(began)
    assert len(began) > 200
    assert not errors
    fired = trace.fired()
    assert fired["kill"] == 4
    assert fired["message lost"]
    assert fired["message duplicated"]
    assert any(e.data["src"] == WORLD for e in trace.of("deliver"))


def test_it_ends_in_the_states_and_disks_of_the_run() -> None:
    sim = Simulation(Raft.group(3), network=BAD_NETWORK, seed=9)
    sim.run(700)
    sim.kill("n2")
    found = replay(sim.trace, Raft.group(3))
    assert found.nodes["n1"].state() == sim.state("n1")
    assert found.disks["n2"] == sim.state("n2")


def test_it_can_stop_before_an_event() -> None:
    trace, nodes = RUN
    kill = trace.of("kill")[0]
    found = replay(trace, nodes, until=kill.seq)
    assert not found
    assert sum(found.steps.values()) == sum(
        e.seq < kill.seq for e in trace.of("start", "deliver", "fire")
    )


def test_a_saved_trace_agrees(tmp_path: Path) -> None:
    trace, nodes = RUN
    loaded = Trace.load(trace.save(tmp_path / "run.jsonl"))
    found = replay(loaded, nodes)
    assert not found, str(found)
    assert found.steps == replay(trace, nodes).steps


def test_stand_ins_for_classes_that_are_not_at_hand_agree() -> None:
    simple = Simulation([Echo("e1", friend="e2"), Echo("e2", friend="e1")], seed=1)
    simple.run(100)
    read = Trace.parse(simple.trace.lines(), vocabulary={})
    assert not any(isinstance(e.data["msg"], Message) for e in read.of("deliver"))
    assert not replay(read, [Echo("e1", friend="e2"), Echo("e2", friend="e1")])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_storms_agree(seed: int) -> None:
    experiment = RaftFailover()
    trace = experiment.run(seed=seed).trace
    servers = tuple(trace.meta["servers"])
    clients = [
        Client(
            f"c{n}",
            servers=servers,
            workload=mixed_workload(prefix=f"c{n}", seed=n),
            every_ms=(10, 50),
        )
        for n in (1, 2, 3)
    ]
    found = replay(trace, [*experiment.nodes(), *clients])
    assert not found, str(found)
    assert sum(found.steps.values()) > 2_000
    assert found.left_out == ("auditor",)
    assert "Not replayed, since they were not given: auditor." in str(found)


def test_what_a_search_finds_agrees() -> None:
    worlds: list[tuple[list[Node], dict[str, Any]]] = [
        (duel(Acceptor), {"invoke": [("p1", Propose("x"))], "goal": chosen}),
        ([Reader("r")], {"invoke": [("r", Put("x", 1))], "ticks": 2, "goal": read_late}),
        (list(relays()), {"timers": 1, "crashes": 1, "restarts": "lose", "goal": came_back}),
    ]
    for nodes, world in worlds:
        report = explore(nodes, **world)
        assert report.trace is not None, str(report)
        found = replay(report.trace, nodes)
        assert not found, str(found)
        steps = [e for e in report.trace if e.kind in ("start", "deliver", "fire")]
        assert sum(found.steps.values()) == len(steps) > len(nodes)
        assert picture(State.of(report.trace)).startswith("<svg")


def chosen(world: World) -> bool:
    return sum(acceptor.accepted is not None for acceptor in world.having("promised")) >= 2


def read_late(world: World) -> bool:
    return bool(world["r"].read_at == 100)


def came_back(world: World) -> bool:
    """`a` has sent what `b` then saw, chose the second option twice, and lost its disk."""
    return bool(world["a"].best == 0 and world["b"].best == 2 and world["a"].tries == 0)


# ---- what was changed is named -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("send", {"msg": RequestVote(99, 0, 0)}),
        ("set_timer", {"after_ms": 1e6}),
        ("note", {"data": 99}),
        ("state", {"epoch": 99}),
        ("save", {"values": {"current_term": 99}}),
        ("return", {"value": "another"}),
        ("invoke", {"operation": Put("x", 99)}),
    ],
)
def test_a_changed_record_is_named(kind: str, data: dict[str, Any]) -> None:
    trace, nodes = RUN
    seq = first(trace, kind)
    found = replay(changed(trace, seq, **data), nodes)
    disagreement = found.disagreements[0]
    assert disagreement.event.seq == seq
    assert disagreement.recorded == disagreement.event.words()
    assert f"event {seq} ({kind}" in str(disagreement)
    assert f"run again, {disagreement.event.node} did" in str(disagreement)


def test_a_changed_delivery_is_not_what_was_sent() -> None:
    trace, nodes = RUN
    seq = first(trace, "deliver", lambda e: isinstance(e.data["msg"], RequestVote))
    msg = trace[seq].data["msg"]
    other = RequestVote(msg.term + 7, msg.last_log_index, msg.last_log_term)
    found = replay(changed(trace, seq, msg=other), nodes)
    assert [one.event.seq for one in found] == [seq]
    assert f"it is not what event {trace[seq].cause} sent" in str(found)


def test_a_step_with_an_effect_too_few_names_what_is_missing() -> None:
    trace, nodes = RUN
    seq = first(trace, "send")
    short = Trace(**trace.meta)
    short.events = [e._replace(cause=None) if e.seq == seq else e for e in trace.events]
    (found, *_) = replay(short, nodes)
    assert found.recorded is None or found.event.seq > seq
    assert found.event.cause == trace[seq].cause or found.event.seq == trace[seq].cause


def test_a_timer_that_was_not_set_cannot_fire() -> None:
    trace, nodes = RUN
    seq = first(trace, "fire")
    found = replay(changed(trace, seq, timer=Tick(99)), nodes)
    assert found.disagreements[0].event.seq == seq
    assert "that timer was not pending" in str(found)


class Talkative(Raft):
    """Votes for whoever asks."""

    def on_request_vote(self, src: NodeId, m: RequestVote) -> None:
        self.voted_for = None
        super().on_request_vote(src, m)


def test_another_class_disagrees() -> None:
    trace, _ = RUN
    found = replay(trace, [Talkative(n, members=("n1", "n2", "n3")) for n in ("n1", "n2", "n3")])
    assert found
    assert all(one.event.seq <= len(trace) for one in found)
    assert any("run again" in str(one) or "does not have" in str(one) for one in found)


# ---- what a trace does not say -------------------------------------------------------------------


class Tick(Timer):
    number: int


class Ball(Message):
    number: int


class Echo(Node):
    friend: NodeId
    seen: int = volatile(0)

    def on_start(self) -> None:
        self.send(self.friend, Ball(0))

    def on_ball(self, src: NodeId, m: Ball) -> None:
        self.seen += 1
        self.send(src, Ball(m.number + 1))


class Dice(Node):
    """Rolls two dice at each tick, and tells the sum one tick later."""

    last: int = volatile(0)

    def on_start(self) -> None:
        self.set_timer(Tick(0), 10)

    def on_tick(self, t: Tick) -> None:
        self.note("sum", self.last)
        self.last = self.choose([1, 2, 3]) + self.choose([1, 2, 3])
        self.set_timer(Tick(t.number + 1), (10, 20))


def test_choices_are_found_again_though_they_show_only_later() -> None:
    sim = Simulation([Dice("d1")], seed=3)
    sim.run(400)
    found = replay(sim.trace, [Dice("d1")])
    assert not found, str(found)
    assert found.steps["d1"] > 20
    seq = sim.trace.notes("sum")[-1].seq
    wrong = replay(changed(sim.trace, seq, data=7), [Dice("d1")])
    assert wrong.disagreements[0].event.seq == seq
    assert "the trace does not say what it chose" in str(wrong)


def test_what_was_chosen_is_told() -> None:
    sim = Simulation([Dice("d1")], seed=3)
    sim.run(400)
    chosen = replay(sim.trace, [Dice("d1")]).choices
    sums = [note.data["data"] for note in sim.trace.notes("sum")]
    # Three options each, from 1 on: the sum is told one tick later.
    assert [a + b + 2 for a, b in (chosen[seq] for seq in sorted(chosen)[:-1])] == sums[1:]


class Clock(Node):
    """Notes what its clock shows."""

    def on_start(self) -> None:
        self.note("time", self.now_ms)
        self.set_timer(Tick(0), (5, 9))

    def on_tick(self, t: Tick) -> None:
        self.note("time", self.now_ms)
        self.set_timer(t, (5, 9))


def test_the_clock_of_a_simulated_node_is_replayed_also_when_it_is_wrong() -> None:
    sim = Simulation([Clock("k1")], seed=3)
    sim.run(50)
    sim.skew("k1", offset_ms=500, rate=1.3)
    sim.run(50)
    sim.kill("k1")
    sim.restart("k1")
    sim.run(50)
    assert not replay(sim.trace, [Clock("k1")])


class Fragile(Node):
    """Fails at the third ball, or sends one to nobody."""

    how: str
    seen: int = durable(0)

    def on_start(self) -> None:
        self.set_timer(Tick(0), 5)

    def on_tick(self, t: Tick) -> None:
        self.seen += 1
        self.set_timer(t, 5)
        if self.seen == 3 and self.how == "raise":
            raise RuntimeError("enough")
        if self.seen == 3 and self.how == "nobody":
            self.send("nobody", Ball(1))


@pytest.mark.parametrize("how", ["raise", "nobody"])
def test_a_recorded_failure_agrees_and_an_unrecorded_one_does_not(how: str) -> None:
    sim = Simulation([Fragile("f1", how=how)])
    with pytest.raises(Exception, match=r"enough|no such node"):
        sim.run(100)
    assert sim.trace.of("error")
    assert not replay(sim.trace, [Fragile("f1", how=how)])
    other = replay(sim.trace, [Fragile("f1", how="well")])
    assert other
    assert "(error error=" in str(other) or "does not have" in str(other)


class Asker(Node):
    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        self.send(WORLD, Invoked(m.operation))
        self.send(WORLD, Returned("ok", 1))


def test_an_effect_without_a_step_is_a_gap() -> None:
    sim = Simulation([Echo("a", friend="a")], client=None)
    sim.add_client(Asker("c1"))
    sim.submit("c1", Put("x", 1))
    sim.run(1)
    assert not replay(sim.trace, [Asker("c1")])
    seq = first(sim.trace, "invoke")
    without = Trace()
    without.events = [e._replace(cause=None) if e.seq == seq else e for e in sim.trace.events]
    without.events = [
        e._replace(kind="note", node=None, data={"name": "", "data": 0})
        if e.kind == "deliver" and e.node == "c1"
        else e
        for e in without.events
    ]
    (found,) = replay(without, [Asker("c1")])
    assert "came out of no step of c1" in found.sentence


# ---- misuse --------------------------------------------------------------------------------------


def test_misuse_is_a_sentence() -> None:
    trace, nodes = RUN
    with pytest.raises(UnknownNode, match="no node in the trace 'n9'"):
        replay(trace, [Echo("n9", friend="n1")])
    with pytest.raises(ScenarioError, match="was given no node"):
        replay(trace, [])
    brief = Simulation(Raft.group(3), record=False)
    brief.run(10)
    with pytest.raises(TraceError, match="recorded without messages"):
        replay(brief.trace, nodes[:3])
