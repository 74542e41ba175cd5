"""The host: one process's nodes, their effects and their deaths, without Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clusterlab.check.replay import replay
from clusterlab.core.faults import (
    DropMessage,
    DuplicateMessage,
    Heal,
    HoldMessage,
    Kill,
    Link,
    Partition,
    Pause,
    ReleaseMessage,
    Restart,
    Resume,
    Skew,
)
from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD, Message, Node, Timer, durable, volatile
from clusterlab.core.trace import Trace
from clusterlab.live import records as r
from clusterlab.live.clocks import ClusterClock, Origin
from clusterlab.live.disk import read_disk
from clusterlab.live.host import Host, disk_path, journal_path
from clusterlab.live.hosted import Born, HostName, Post, Setting, Waiting
from clusterlab.live.merge import Death, Merger
from clusterlab.live.wire import Wire, vocabulary


class Add(Message):
    number: int


class Copy(Message):
    number: int


class Copied(Message):
    number: int


class Soon(Timer):
    pass


class Bad(Message):
    how: str


class Keeper(Node):
    """Adds what it is told, and lets a friend copy it before it answers."""

    friend: str
    total: int = durable(0)
    log: tuple[int, ...] = durable(())
    fired: int = volatile(0)
    clock: int = volatile(0)

    def on_invoke(self, src: str, m: Invoke) -> None:
        assert isinstance(m.operation, Add)
        self.send(WORLD, Invoked(m.operation))
        self.total += m.operation.number
        self.log += (m.operation.number,)
        self.note("adding")
        self.send(self.friend, Copy(self.total))
        self.set_timer(Soon(), 0)

    def on_copy(self, src: str, m: Copy) -> None:
        self.total = m.number
        self.send(src, Copied(m.number))

    def on_copied(self, src: str, m: Copied) -> None:
        self.send(WORLD, Returned("ok", m.number))

    def on_soon(self, t: Soon) -> None:
        self.fired += 1
        self.clock = self.now_ms

    def on_bad(self, src: str, m: Bad) -> None:
        if m.how == "raise":
            self.total += 1
            raise RuntimeError("too bad")
        self.total += 1
        self.send(WORLD, Bad("first"))
        self.send("nobody", m)

    def status(self) -> dict[str, Any]:
        return {"role": "keeper", "epoch": self.total}


class Bus:
    """Carries batches between hosts of this process when it is told to."""

    def __init__(self) -> None:
        self.hosts: dict[HostName, Host] = {}
        self.arrived: dict[HostName, list[bytes]] = {}
        self.batches: list[tuple[HostName, bytes]] = []
        self.flushed = 0
        self.before_send: Callable[[], None] = lambda: None


class Stop(Post):
    """Where one host meets the bus."""

    def __init__(self, bus: Bus, name: HostName) -> None:
        self.bus = bus
        self.name = name
        bus.arrived[name] = []

    def wake(self) -> None:
        """A host that is turned by hand does not sleep."""

    def receive(self, patience: float | None) -> list[bytes]:
        batches, self.bus.arrived[self.name] = self.bus.arrived[self.name], []
        return batches

    def send(self, host: HostName, batch: bytes) -> None:
        self.bus.before_send()
        self.bus.batches.append((host, batch))

    def life(self, host: HostName) -> int:
        return self.bus.hosts[host].setting.life

    def flush(self, limit_s: float) -> None:
        self.bus.flushed += 1

    def close(self) -> None:
        """Nothing is open."""


class ByHand(ClusterClock):
    """A clock that stands still until it is set."""

    at_ms: ClassVar[float] = 0.0

    def now_ms(self) -> float:
        return self.at_ms


class World:
    """Hosts that are turned by hand."""

    def __init__(self, folder: Path, delay_ms: tuple[float, float] = (0, 0)) -> None:
        self.folder = folder
        self.bus = Bus()
        self.dead: list[str] = []
        self.nodes = [Keeper("a", friend="b"), Keeper("b", friend="a")]
        self.wire = Wire(vocabulary(self.nodes))
        self.network = Network(delay_ms=delay_ms)
        self.origin = Origin.now(1.0)
        self.clock: type[ClusterClock] = ClusterClock

    def host(self, name: HostName, *nodes: Node, life: int = 0, record: bool = True) -> Host:
        life = life or len(self.bus.hosts) + 1
        setting = Setting(
            name, life, str(self.folder), "", self.network, (), 0, name == nodes[0].id, record
        )
        stop = Stop(self.bus, name)
        host = Host(setting, Wire(self.wire.classes), stop, lambda: self.dead.append(name))
        host._clock = self.clock(self.origin)
        self.bus.hosts[name] = host
        where = {node.id: name for node in nodes}
        for other in self.bus.hosts.values():
            host._outbox.where.update(other._outbox.where)
            other._outbox.where.update(where)
        host._outbox.where.update(where)
        host._bear([Born(node) for node in nodes])
        return host

    def turn(self, *hosts: Host, at_ms: float = 0.0) -> None:
        """Everything that arrived and everything that is due, until nothing moves."""
        ByHand.at_ms = at_ms
        for _ in range(20):
            batches, self.bus.batches = self.bus.batches, []
            for name, batch in batches:
                if name not in self.dead:
                    self.bus.arrived[name].append(batch)
            for host in hosts or self.bus.hosts.values():
                if host.setting.name not in self.dead:
                    host._take(0.0)
                    host._turn()

    def pair(self) -> tuple[Host, Host]:
        return self.host("a", self.nodes[0]), self.host("b", self.nodes[1])

    def turn_until(self, condition: Callable[[], bool]) -> None:
        """Turn all hosts while time passes, for 5 s at most."""
        end = time.monotonic() + 5
        while not condition() and time.monotonic() < end:
            self.turn()

    def trace(self) -> tuple[Trace, list[Death]]:
        deaths = list[Death]()
        return self.merged(deaths)[1], deaths

    def merged(self, deaths: list[Death] | None = None) -> tuple[Merger, Trace]:
        trace = Trace()
        merger = Merger(trace, {}, (deaths if deaths is not None else []).append, 10_000)
        for name, host in self.bus.hosts.items():
            life = host.setting.life
            merger.feed(name, [(r.LIFE, 0.0, life)])
            frames = r.Frames(self.wire)
            merger.feed(name, frames.feed(journal_path(self.folder, name, life).read_bytes()))
        merger.merge()
        return merger, trace

    def kinds(self, node: str) -> list[str]:
        return [event.kind for event in self.trace()[0] if event.node == node]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for host in made.bus.hosts.values():
        host._control_stop()


def add(host: Host, number: int) -> Waiting:
    waiting = Waiting(Add(number))
    host._inbox.put(("invoke", host.setting.name, waiting))
    return waiting


def test_an_operation_goes_there_and_back_and_the_trace_has_all_of_it(world: World) -> None:
    a, _ = world.pair()
    waiting = add(a, 5)
    world.turn()
    assert waiting.done.is_set()
    assert waiting.answer == Returned("ok", 5)
    trace, _ = world.trace()
    assert world.kinds("a") == [
        "start", "state", "deliver", "save", "invoke", "note", "send", "set_timer", "state",
        "fire", "deliver", "return",
    ]  # fmt: skip
    assert [e.kind for e in trace if e.node == "b"][2:] == ["deliver", "save", "send", "state"]
    returned = trace.of("return")[0]
    assert [e.kind for e in trace.causes(returned.seq) if e.node == "b"][2] == "deliver"


def test_nothing_leaves_before_its_save_is_on_the_disk_and_its_record_in_the_journal(
    world: World,
) -> None:
    a, _ = world.pair()
    seen = []

    def look() -> None:
        saved = read_disk(disk_path(world.folder, "a"), "a", {})
        seen.append((saved["total"], "save" in world.kinds("a")))

    world.bus.before_send = look
    add(a, 5)
    a._take(0.0)
    a._turn()
    assert seen == [(5, True)]


def test_one_turn_saves_once_and_sends_one_batch_to_each_process(world: World) -> None:
    a, _ = world.pair()
    commits: list[int] = []
    commit = a._disk.commit
    a._disk.commit = lambda saves, *rest: (commits.append(len(saves)), commit(saves, *rest))  # type: ignore[method-assign,assignment,func-returns-value]
    for n in range(20):
        add(a, n)
    a._take(0.0)
    a._turn()
    assert commits == [20]
    assert len(world.bus.batches) == 1
    world.turn()
    assert read_disk(disk_path(world.folder, "a"), "a", {})["log"] == tuple(range(20))


def test_a_timer_of_0_ms_fires_after_all_that_arrived_within_the_same_turn(world: World) -> None:
    a, _ = world.pair()
    add(a, 1)
    add(a, 2)
    a._take(0.0)
    a._turn()
    kinds = world.kinds("a")
    assert kinds.count("fire") == 1  # the second setting reset the first
    assert kinds.index("fire") > max(i for i, kind in enumerate(kinds) if kind == "invoke")


def test_a_partition_eats_what_is_in_flight(tmp_path: Path) -> None:
    world = World(tmp_path, delay_ms=(30, 30))
    a, b = world.pair()
    add(a, 5)
    a._take(0.0)
    a._turn()
    for host in (a, b):
        host._control_switch([Partition((("a",), ("b",)))])
    world.turn_until(lambda: "drop" in world.kinds("b"))
    trace, _ = world.trace()
    drop = trace.of("drop")[0]
    assert drop.data == {"src": "a", "msg": Copy(5), "why": "partition"}
    assert trace[drop.cause or 0].kind == "send"
    assert drop.at_ms >= trace[drop.cause or 0].at_ms + 30
    add(a, 6)
    world.turn()
    assert [e.data["why"] for e in world.trace()[0].of("drop", node="b")] == ["partition"] * 2
    for host in (a, b):
        host._control_switch([])


def test_loss_duplication_and_delay_are_the_switch_s(world: World) -> None:
    a, b = world.pair()
    for host in (a, b):
        host._control_switch([Link("a", "b", duplicate=1.0)])
    add(a, 1)
    world.turn()
    trace, _ = world.trace()
    assert [e.kind for e in trace if e.node == "a" and e.kind in ("send", "duplicate")] == [
        "send", "duplicate",
    ]  # fmt: skip
    assert len(trace.of("deliver", node="b")) == 2
    a._control_switch([Heal(), Link("a", "b", loss=1.0)])
    add(a, 1)
    world.turn()
    assert [e.data["why"] for e in world.trace()[0].of("drop")] == ["lost"]


def test_a_message_that_waits_in_its_receiver_is_taken_hold_of_by_its_name(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, delay_ms=(30, 30))
    world.clock = ByHand
    a, b = world.pair()
    for number in (1, 2, 3):
        add(a, number)
    world.turn()
    merger, trace = world.merged()
    sent = [event.seq for event in trace.of("send", node="a")]
    (first, dst), (second, _), (third, _) = (merger.flight(seq) or ((0, 0), "") for seq in sent)
    assert dst == "b"
    assert b._control_message(HoldMessage(sent[0]), first)
    assert b._control_message(DuplicateMessage(sent[1]), second)
    assert b._control_message(DropMessage(sent[2]), third)
    assert not b._control_message(ReleaseMessage(sent[1]), second), "nobody holds it"
    world.turn(at_ms=30)
    assert b._control_message(ReleaseMessage(sent[0]), first)
    world.turn(at_ms=30)
    trace = world.trace()[0]
    (copy,) = trace.of("duplicate")
    assert (copy.cause, copy.node) == (sent[1], "a")
    assert [(e.cause, e.data["why"]) for e in trace.of("drop")] == [(sent[2], "lost")]
    assert [e.cause for e in trace.of("deliver", node="b")] == [sent[1], copy.seq, sent[0]]
    assert not b._control_message(DropMessage(sent[0]), first), "it has arrived"


@pytest.mark.parametrize(
    ("effects", "total", "recorded", "batches"),
    [
        (0, 0, ["kill"], 0),  # even the save is lost
        (1, 5, ["save", "kill"], 0),
        (2, 5, ["save", "invoke", "kill"], 0),
        (4, 5, ["save", "invoke", "note", "send", "kill"], 1),
    ],
)
def test_a_kill_within_a_step_performs_its_first_effects(
    world: World, effects: int, total: int, recorded: list[str], batches: int
) -> None:
    a, _ = world.pair()
    a._control_strike(Kill("a", effects))
    waiting = add(a, 5)
    a._take(0.0)
    a._turn()
    assert world.dead == ["a"]
    assert world.bus.flushed == 1
    assert world.kinds("a")[2:] == ["deliver", *recorded]
    assert read_disk(disk_path(world.folder, "a"), "a", {})["total"] == total
    assert len(world.bus.batches) == batches
    assert not waiting.done.is_set()
    kill = world.trace()[0].of("kill")[0]
    assert kill.data == {"effects": effects}


def test_the_steps_before_the_one_that_it_dies_in_are_whole(world: World) -> None:
    a, _ = world.pair()
    add(a, 1)
    a._take(0.0)
    a._control_strike(Kill("a", 0))
    a._nodes["a"].crash_after = None
    a._turn()
    a._control_strike(Kill("a", 0))
    add(a, 10)
    a._take(0.0)
    a._turn()
    assert read_disk(disk_path(world.folder, "a"), "a", {})["total"] == 1
    assert len(world.bus.batches) == 1


@pytest.mark.parametrize(
    ("how", "kind", "words", "recorded"),
    [
        ("raise", "HandlerRaised", "Keeper a raised RuntimeError (too bad)", ["deliver", "error"]),
        ("nobody", "NodeError", "there is no such node: send to a, b.",
         ["deliver", "save", "send", "error"]),
    ],
)  # fmt: skip
def test_a_wrong_node_says_so_and_dies(
    world: World, how: str, kind: str, words: str, recorded: list[str]
) -> None:
    a, b = world.pair()
    b._outbox.letters["a"] = ([(0.0, "b", "a", (2, 99))], [Bad(how)])
    b._outbox.outs = []
    b._outbox.records.append(
        (r.STEP, 0.0, "b", (r.SILENT,), [(r.SEND, 99, "a", Bad(how), 0.0, False, 1)])
    )
    b._perform()
    world.turn(a)
    trace, deaths = world.trace()
    assert world.dead == ["a"]
    assert world.kinds("a")[2:] == recorded
    assert [(death.node, death.kind) for death in deaths] == [("a", kind)]
    assert words in deaths[0].sentence
    assert words in trace.of("error")[0].data["error"]
    assert "Traceback" in deaths[0].details


def test_a_value_that_cannot_travel_is_a_sentence_too(world: World) -> None:
    a, _ = world.pair()
    kind, told = a._failure(__import__("pickle").PicklingError("a lock"))[2:0:-1]
    assert kind == "BadValue"
    assert "use ints, strings, tuples" in told
    assert a._failure(ZeroDivisionError())[2] == "ClusterlabError"


def test_clients_share_a_process_and_faults_strike_them_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    both = world.host("clients", *world.nodes)
    world.turn()
    both._control_strike(Pause("b"))
    waiting = Waiting(Add(5))
    both._inbox.put(("invoke", "a", waiting))
    world.turn()
    assert not waiting.done.is_set()  # its friend is paused: mail waits
    both._control_strike(Resume("b"))
    world.turn()
    assert waiting.answer == Returned("ok", 5)
    both._control_strike(Kill("b"))
    assert world.dead == []
    both._inbox.put(("invoke", "a", Waiting(Add(1))))
    world.turn()
    assert world.trace()[0].of("drop")[-1].data["why"] == "dead"
    both._control_strike(Restart("b"))
    assert both._control_state("b")["total"] == 5
    both._control_strike(Kill("b"))
    both._control_strike(Restart("b", disk="lose"))
    assert both._control_state("b")["total"] == 0
    both._perform()
    kinds = [e.kind for e in world.trace()[0] if e.node == "b"]
    assert [k for k in kinds if k in ("pause", "resume", "kill", "restart", "start")] == [
        "start", "pause", "resume", "kill", "restart", "start", "kill", "restart", "start",
    ]  # fmt: skip
    both._control_stop()


def test_a_skewed_clock_shows_it_and_its_timers_run_at_its_rate(world: World) -> None:
    a, _ = world.pair()
    a._control_strike(Skew("a", offset_ms=1_000_000, rate=2.0), at_ms=50.0)
    env = a._nodes["a"].env
    env.at_ms = 60.0
    assert env.now_ms == 1_000_000 + 70
    from clusterlab.core.node import SetTimer

    a._outbox.begin()
    at = a._clock.now_ms()
    a._outbox.collect(a._nodes["a"], [SetTimer(Soon(), 600_000)], at)
    number = a._nodes["a"].timers[Soon()]
    assert [entry[0] for entry in a._heap if entry[1] == number] == [at + 300_000]


def test_pending_timers_go_on_at_the_new_rate(world: World) -> None:
    a, _ = world.pair()
    world.turn()
    host = a._nodes["a"]
    a._wake(host, Soon(), 100_050.0)
    a._control_strike(Skew("a", rate=2.0), at_ms=50.0)
    assert [e[0] for e in a._heap if e[1] == host.timers[Soon()]] == [50_050.0]
    a._control_strike(Skew("a", rate=0.5), at_ms=50.0)
    assert [e[0] for e in a._heap if e[1] == host.timers[Soon()]] == [200_050.0]


class Hurrying(ClusterClock):
    """Goes on by 0.4 ms whenever somebody looks at it."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self.looks = count()

    def now_ms(self) -> float:
        return round(0.4 * next(self.looks), 3)


class Impatient(Node):
    """Reads its clock twice in each step."""

    def on_start(self) -> None:
        self.set_timer(Soon(), 1)

    def on_soon(self, t: Soon) -> None:
        self.note("clock", (self.now_ms, self.now_ms))
        self.set_timer(Soon(), 1)


def test_the_clock_stands_still_within_a_step_so_a_replay_agrees(world: World) -> None:
    node = Impatient("i")
    world.clock = Hurrying
    host = world.host("i", node)
    world.turn()
    host._control_strike(Skew("i", offset_ms=500, rate=1.7))
    world.turn()
    trace, _ = world.trace()
    shown = [note.data["data"] for note in trace.notes("clock")]
    assert len(set(shown)) > 20
    assert all(first == second for first, second in shown)
    found = replay(trace, [node])
    assert not found, str(found)
    assert found.steps["i"] == len(shown) + 1


def test_without_record_the_rare_things_are_still_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    a = world.host("a", world.nodes[0], record=False)
    world.host("b", world.nodes[1], record=False)
    waiting = add(a, 5)
    world.turn()
    assert waiting.answer == Returned("ok", 5)
    assert set(world.kinds("a")) == {"start", "state", "invoke", "note", "return"}
    for host in world.bus.hosts.values():
        host._control_stop()


def test_a_batch_that_goes_to_several_is_written_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    a, _ = world.pair()
    world.bus.batches.clear()
    calls: list[Any] = []
    dumps = a._wire.dumps
    a._wire.dumps = lambda value: (calls.append(value), dumps(value))[1]  # type: ignore[method-assign]
    same = [Copy(1), Copy(2)]
    a._mail(
        {"b": ([(1.0, "a", "b", (1, 1))] * 2, same), "c": ([], list(same)), "d": ([], [Add(1)])}
    )
    assert sum(value == same for value in calls) == 1
    assert len(world.bus.batches) == 3
    for host in world.bus.hosts.values():
        host._control_stop()


def test_an_answer_belongs_to_the_call_that_the_node_began(world: World) -> None:
    """Also if nobody waits any more for the call before it, which was the same."""
    a, _ = world.pair()
    late, next_ = add(a, 5), add(a, 5)
    hosted = a._nodes["a"]
    hosted.waiting = [late, next_]
    hosted.tell(Invoked(Add(5)))
    hosted.tell(Returned("ok", 1))
    assert (late.answer, next_.answer) == (Returned("ok", 1), None)
    hosted.tell(Invoked(Add(5)))
    hosted.tell(Returned("ok", 2))
    assert next_.answer == Returned("ok", 2)
    hosted.tell(Returned("ok", 3))  # of a workload: nobody asked
    assert hosted.waiting == []
