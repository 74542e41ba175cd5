"""A search spread over processes says what one process says, and nobody is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from clusterlab.check.crew import Processes
from clusterlab.check.explore import explore
from clusterlab.check.invariants import paxos, raft
from clusterlab.check.properties import always, sometimes
from clusterlab.check.spread import Spread
from clusterlab.core.errors import EngineUnavailable, ScenarioError
from clusterlab.core.node import Node, NodeId
from clusterlab.protocols.paxos import Propose, roles
from clusterlab.protocols.raft import Raft
from tests.check.toys import Breaks, Bump, relays

ROOT = Path(__file__).parents[2]
X, Y = ("p1", Propose("x")), ("p2", Propose("y"))
SERVERS = ("n1", "n2", "n3")
ONE_ELECTION = {"timers": {"ElectionTimeout": 1, "HeartbeatDue": 1}, "crashes": 1}


class VotesForAll(Raft):
    def grants_vote(self, candidate: NodeId, m: Any) -> bool:
        return bool(m.term >= self.current_term and self.is_up_to_date(m))


def calm(w: Any) -> bool:
    return sum(letter.msg.hops == 3 for letter in w.messages) < 2


# Rows: nodes, and the rest of the world.
WORLDS: list[tuple[Callable[[], Sequence[Node]], dict[str, Any]]] = [
    (relays, {"network": "multiset", "timers": 2, "invoke": [("a", Bump())]}),
    (relays, {"network": "fifo", "timers": 1, "crashes": 1, "losses": 1}),
    (relays, {"properties": always("Low", lambda w: w["a"].best < 3), "timers": 2}),
    (relays, {"properties": always("Calm", calm), "timers": 2, "network": "multiset"}),
    (relays, {"prune": lambda w: w["a"].best > 1, "timers": 2, "network": "multiset"}),
    (relays, {"goal": lambda w: w["b"].best == 3, "timers": 2, "network": "multiset"}),
    (relays, {"properties": sometimes("High", lambda w: w["a"].best == 3), "timers": 2}),
    (relays, {"timers": 2, "depth_max": 3, "network": "multiset"}),
    (lambda: [Breaks("a", peer="b"), Breaks("b", peer="a")], {"network": "set"}),
    (lambda: Raft.group(3), {**ONE_ELECTION, "crashes": 0, "properties": raft.SAFETY}),
    (lambda: Raft.group(3), {**ONE_ELECTION, "properties": raft.SAFETY, "symmetry": SERVERS}),
    (
        lambda: roles(2, 2, 0),
        {
            "network": "multiset",
            "invoke": [X, Y],
            "timers": 0,
            "properties": paxos.CHOSEN_AGREEMENT,
            "symmetry": ("a1", "a2"),
            "partial_order": True,
        },
    ),
]


class FakeRay(ModuleType):
    """As much of Ray as a crew needs, in this process; one actor may be dead."""

    class exceptions:  # noqa: N801 - Ray's name
        class RayActorError(Exception):
            pass

    def __init__(self) -> None:
        super().__init__("ray")
        self.calls, self.dies_at = 0, 10**9
        self.connected = False
        self.log: list[str] = []

    def is_initialized(self) -> bool:
        return self.connected

    def init(self, **options: Any) -> None:
        self.connected = True
        self.log.append(f"init {options['address']}")

    def shutdown(self) -> None:
        self.connected = False
        self.log.append("shutdown")

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def remote(self, **options: Any) -> Any:
        assert options["max_restarts"] == options["max_task_retries"] == 0, "else silently twice"
        return lambda cls: SimpleNamespace(options=lambda **_: self.factory(cls))

    def factory(self, cls: type) -> Any:
        def make(setup: Any) -> Any:
            mine = cls(setup)
            call = SimpleNamespace(remote=lambda command: lambda: mine.handle(command))
            return SimpleNamespace(handle=call)

        return SimpleNamespace(remote=make)

    def wait(self, refs: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
        return refs[:num_returns], refs[num_returns:]

    def get(self, ref: Any) -> Any:
        self.calls += 1
        if self.calls >= self.dies_at:
            raise self.exceptions.RayActorError("The actor died.\nAnd a page more.")
        return ref()

    def kill(self, actor: Any) -> None:
        self.log.append("kill")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    """Workers in this process: quick to start, and none the wiser."""
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    return fake


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize(("nodes", "world"), WORLDS)
def test_three_workers_say_what_one_process_says(
    nodes: Callable[[], Sequence[Node]], world: dict[str, Any]
) -> None:
    alone = explore(nodes(), **world)
    spread = explore(nodes(), address="auto", workers=3, **world)
    assert (spread.verdict, spread.property, spread.depth, spread.reached) == (
        alone.verdict,
        alone.property,
        alone.depth,
        alone.reached,
    )
    assert len(spread.path) == len(alone.path)
    if not alone.path:  # all was looked at: then the counts are the same too
        assert (spread.states, spread.transitions) == (alone.states, alone.transitions)
        assert set(spread.not_covered) == set(alone.not_covered)
    assert spread.bytes_a_state > 0


@pytest.mark.slow
def test_processes_say_what_one_process_says() -> None:
    world: dict[str, Any] = {"network": "multiset", "timers": 2, "invoke": [("a", Bump())]}
    report = explore(relays(), workers=2, **world)
    assert (report.verdict, report.states, report.transitions) == ("holds", 10_752, 32_473)
    assert no_children()


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_the_path_has_as_few_moves() -> None:
    timers = {"ElectionTimeout": 2, "HeartbeatDue": 0}
    world: dict[str, Any] = {"timers": timers, "symmetry": SERVERS, "address": "auto"}
    report = explore(VotesForAll.group(3), properties=raft.ELECTION_SAFETY, **world)
    assert (report.property, len(report.path)) == ("ElectionSafety", 6)
    assert report.trace is not None
    assert len({leader.node for leader in report.trace.notes("leader")}) == 2


@pytest.mark.slow
def test_limits_are_told_with_the_workers_at_work() -> None:
    world: dict[str, Any] = {"timers": 2, "network": "multiset", "workers": 2}
    assert (
        "states_max=1,000 was reached" in explore(relays(), states_max=1_000, **world).explanation
    )
    assert "seconds_max=0 was reached" in explore(relays(), seconds_max=0.0, **world).explanation


# --- the end of workers --------------------------------------------------------------------------


def no_children() -> bool:
    return not [child for child in psutil.Process().children() if "serve(" in child.cmdline()[-1]]


@pytest.mark.slow
def test_a_worker_that_dies_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    receive, answers = Processes.receive, []

    def deadly(self: Processes) -> Any:
        answers.append(receive(self))
        if len(answers) == 30:
            os.kill(self._processes[1].pid, signal.SIGKILL)
        return answers[-1]

    monkeypatch.setattr(Processes, "receive", deadly)
    report = explore(relays(), timers=2, network="multiset", workers=2)
    assert report.verdict == "not finished"
    assert "worker 2 of 2 died (signal 9)" in report.explanation
    assert "a worker died, and not every state was looked at" in report.not_covered
    assert report.states > 10
    assert no_children()


@pytest.mark.slow
def test_an_interrupt_keeps_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    level, calls = Spread._level, []

    def interrupted(self: Spread, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return level(self, *arguments, **options)

    monkeypatch.setattr(Spread, "_level", interrupted)
    report = explore(relays(), timers=2, network="multiset", workers=2)
    assert report.interrupted
    assert str(report).startswith("NOT FINISHED: interrupted at depth 4")
    assert report.states > 10
    assert no_children()


@pytest.mark.slow
@pytest.mark.parametrize(("how", "keeps"), [(signal.SIGINT, True), (signal.SIGKILL, False)])
def test_nobody_is_left_behind(how: signal.Signals, keeps: bool) -> None:
    # Ctrl-C goes to the whole group of processes; the workers are not in it.
    code = (
        "from clusterlab.check.explore import explore\n"
        "from tests.check.toys import duel\n"
        "from clusterlab.protocols.paxos import Propose\n"
        "wishes = [('p1', Propose('x')), ('p2', Propose('y'))]\n"
        "say = lambda now: print('at work', flush=True)\n"
        "print(explore(duel(), network='multiset', invoke=wishes, workers=2, progress=say))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "at work\n"
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2
        os.killpg(process.pid, how)
        told = process.stdout.read()
        assert ("NOT FINISHED: interrupted" in told) is keeps
        process.wait(20)
        gone, alive = psutil.wait_procs(workers, timeout=20)
        assert len(gone) == 2, alive
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_workers_that_cannot_be() -> None:
    for count in (0, 2.5, True):
        with pytest.raises(ScenarioError, match="give a whole number of at least 1"):
            explore(relays(), workers=count)  # type: ignore[arg-type]


def test_a_cluster_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineUnavailable, match="needs Ray, which is not installed"):
        explore(relays(), address="auto")


def test_a_connection_of_others_is_left(ray: FakeRay) -> None:
    explore(relays(), timers=1, address="auto")
    assert ray.log == ["init auto", "kill", "kill", "shutdown"]
    ray.connected = True
    explore(relays(), timers=1, address="auto", workers=3)
    assert ray.log[4:] == ["kill"] * 3


def test_an_actor_that_dies_is_a_sentence(ray: FakeRay) -> None:
    ray.dies_at = 9
    report = explore(relays(), timers=1, network="multiset", address="auto")
    assert re.search(r"worker \d of 2 died \(The actor died.\)", report.explanation)
    assert report.verdict == "not finished"


@pytest.mark.usefixtures("ray")
def test_an_address_where_nobody_is() -> None:
    for address in ("127.0.0.1:1", "nowhere"):
        with pytest.raises(ScenarioError, match=f"no Ray cluster at address='{address}'"):
            explore(relays(), address=address)
