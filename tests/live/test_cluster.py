"""The live cluster on Ray: every verb does for real what it says."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from clusterlab.core.errors import (
    HandlerRaised,
    LimitReached,
    OperationUnknown,
    ScenarioError,
    UnknownNode,
)
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD
from clusterlab.core.trace import TraceEvent
from clusterlab.live import LiveCluster
from clusterlab.live.disk import read_disk
from clusterlab.live.engine import LiveEngine
from clusterlab.live.machine import is_alive
from tests.live.nodes import Add, Asker, Counter, Explode, Server, counters

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FAST = Network(delay_ms=(0, 0))


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def shared() -> Iterator[LiveCluster]:
    """One cluster for the tests that leave it as they found it."""
    with LiveCluster(counters(), network=FAST, progress=quiet) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: LiveCluster) -> Iterator[LiveCluster]:
    yield shared
    shared.heal()
    for node in shared.servers:
        if shared.health(node) == "paused":
            shared.resume(node)
        if shared.health(node) == "dead":
            shared.restart(node)


def until(cluster: LiveCluster, condition: object, limit_ms: float = 10_000) -> None:
    assert callable(condition)
    cluster.run_until(condition, limit_ms)


# --- operations and what is recorded ---


def test_an_operation_is_carried_out_and_is_in_history_and_trace(cluster: LiveCluster) -> None:
    before = len(cluster.history)
    first = cluster.invoke("n1", Add(3))
    assert cluster.invoke("n1", Add(4)) == first + 4
    history = cluster.history
    assert len(history) == before + 2
    assert history.operations[-1].value == first + 4
    trace = cluster.trace
    returned = trace.of("return")[-1]
    past = trace.causes(returned.seq)
    assert {"n2", "n3"} & {event.node for event in past if event.kind == "deliver"}
    for event in trace:
        assert event.cause is None or event.cause < event.seq
        if event.kind == "deliver" and event.data["src"] != WORLD:
            sent = trace[event.cause or 0]
            assert (sent.kind, sent.data["msg"]) == ("send", event.data["msg"])


def test_latency_is_a_few_trips(cluster: LiveCluster) -> None:
    for _ in range(20):
        cluster.invoke("n1", Add(0))
    taken = []
    for _ in range(50):
        begun = time.perf_counter()
        cluster.invoke("n1", Add(0))
        taken.append(time.perf_counter() - begun)
    assert sorted(taken)[25] < 0.1  # about 5 ms on an idle machine


def test_each_server_is_a_process_and_the_picture_knows_the_leader(cluster: LiveCluster) -> None:
    assert len({cluster.pid(node) for node in cluster.servers} | {os.getpid()}) == 4
    assert cluster.run_until_leader() == "n1"
    assert cluster.status("n2")["role"] == "follower"
    assert "3 of 3 nodes up" in repr(cluster)


# --- kill, pause, restart ---


def test_kill_is_the_death_of_the_process_and_restart_reads_the_disk(cluster: LiveCluster) -> None:
    cluster.invoke("n1", Add(7))
    until(cluster, lambda: cluster.state("n3")["log"][-1:] == cluster.state("n1")["log"][-1:])
    log, pid = cluster.state("n3")["log"], cluster.pid("n3")
    begun = time.perf_counter()
    assert cluster.kill("n3")
    assert time.perf_counter() - begun < 1.0  # about 0.02 s on an idle machine
    assert not is_alive(pid)
    assert cluster.health("n3") == "dead"
    assert not cluster.kill("n3")
    assert cluster.state("n3") == {"log": log}
    assert [type(entry).__name__ for entry in cluster.state("n3")["log"]][-1:] == ["Entry"]
    cluster.invoke("n1", Add(1))
    until(cluster, lambda: cluster.trace.of("drop", node="n3"))
    assert cluster.restart("n3")
    assert not cluster.restart("n3")
    assert cluster.pid("n3") != pid
    assert cluster.state("n3")["log"] == log
    cluster.invoke("n1", Add(1))
    until(cluster, lambda: len(cluster.state("n3")["log"]) > len(log))
    kinds = [e.kind for e in cluster.trace.of("kill", "restart", "start", node="n3")]
    assert kinds == ["start", "kill", "restart", "start"]
    kill = cluster.trace.of("kill", node="n3")[0]
    after = [e for e in cluster.trace if e.node == "n3" and e.seq > kill.seq]
    assert {e.kind for e in after[: [e.kind for e in after].index("restart")]} <= {"drop"}


def test_a_lost_disk_is_lost(cluster: LiveCluster) -> None:
    cluster.invoke("n1", Add(7))
    cluster.kill("n2")
    assert cluster.state("n2")["log"]
    cluster.restart("n2", disk="lose")
    assert cluster.state("n2")["log"] == ()


def test_pause_stops_the_process_and_resume_lets_its_mail_in(cluster: LiveCluster) -> None:
    assert cluster.pause("n3")
    assert psutil.Process(cluster.pid("n3")).status() == psutil.STATUS_STOPPED
    assert cluster.health("n3") == "paused"
    assert not cluster.pause("n3")
    cluster.invoke("n1", Add(2))
    assert cluster.state("n3")["log"][-1:] != cluster.state("n1")["log"][-1:]  # as its disk has it
    assert cluster.resume("n3")
    assert not cluster.resume("n3")
    until(cluster, lambda: cluster.state("n3")["log"][-1] == cluster.state("n1")["log"][-1])
    kinds = [e.kind for e in cluster.trace.of("pause", "resume", "deliver", node="n3")]
    at = kinds.index("pause")
    assert kinds[at + 1] == "resume"  # it did nothing in between
    assert "deliver" in kinds[at + 2 :]


def test_a_paused_process_can_be_killed(cluster: LiveCluster) -> None:
    cluster.pause("n2")
    pid = cluster.pid("n2")
    assert cluster.kill("n2")
    assert not is_alive(pid)
    assert cluster.health("n2") == "dead"


def test_a_kill_within_a_step_loses_what_came_after(cluster: LiveCluster) -> None:
    length = len(cluster.state("n2")["log"])
    cluster.invoke("n1", Add(1))
    until(cluster, lambda: len(cluster.state("n2")["log"]) > length)
    length = len(cluster.state("n2")["log"])
    pid = cluster.pid("n2")
    until(cluster, lambda: cluster.trace.of("fire", node="n2"))
    assert cluster.kill("n2", effects=0)
    until(cluster, lambda: cluster.health("n2") == "dead" and not is_alive(pid))
    assert cluster.trace.of("kill", node="n2")[-1].data == {"effects": 0}
    assert (
        len(cluster.trace.of("kill", node="n2")) == len(cluster.trace.of("restart", node="n2")) + 1
    )
    assert len(cluster.state("n2")["log"]) == length


def test_a_process_that_somebody_else_kills_is_noticed(cluster: LiveCluster) -> None:
    psutil.Process(cluster.pid("n3")).kill()
    until(cluster, lambda: cluster.health("n3") == "dead")
    until(cluster, lambda: cluster.trace.of(node="n3")[-1].kind in ("kill", "drop"))
    assert cluster.restart("n3")
    assert cluster.health("n3") == "up"


# --- the network ---


def test_a_partition_lets_nothing_pass_until_it_is_healed(cluster: LiveCluster) -> None:
    cluster.partition(["n1"], ["n2", "n3"])
    with pytest.raises(OperationUnknown, match="not answered within 300 ms"):
        cluster.invoke("n1", Add(1), limit_ms=300)
    drops = [e.data["why"] for e in cluster.trace.of("drop")]
    assert drops[-2:] == ["partition", "partition"]
    assert cluster.state("n2")["log"] != cluster.state("n1")["log"]
    cluster.heal()
    cluster.invoke("n1", Add(1))
    assert [e.kind for e in cluster.trace.of("partition", "heal")][-2:] == ["partition", "heal"]


def test_a_partition_eats_what_is_in_flight(cluster: LiveCluster) -> None:
    cluster.link("n1", "n2", delay_ms=(300, 300))
    cluster.link("n1", "n3", delay_ms=(300, 300))
    before = len(cluster.trace.of("drop"))
    cluster.submit("n1", Add(1))
    until(cluster, lambda: cluster.trace.of("send", node="n1")[-1].data["delay_ms"] >= 300)
    cluster.isolate("n1")
    until(cluster, lambda: len(cluster.trace.of("drop")) >= before + 2)
    drops = cluster.trace.of("drop")[before:]
    assert {e.data["why"] for e in drops} == {"isolated"}
    for drop in drops:
        assert drop.at_ms - cluster.trace[drop.cause or 0].at_ms >= 295


def test_single_messages_are_held_released_and_dropped_on_their_way(cluster: LiveCluster) -> None:
    for node in ("n2", "n3"):
        cluster.link("n1", node, delay_ms=(2000, 2000))
    before = len(cluster.trace)
    cluster.submit("n1", Add(1))

    def since(kind: str) -> list[TraceEvent]:
        return [e for e in cluster.trace.of(kind) if e.seq >= before and "msg" in e.data]

    until(cluster, lambda: len(since("send")) >= 2)
    to = {event.data["dst"]: event for event in since("send")}
    assert cluster.hold_message(to["n2"].seq)
    assert cluster.drop_message(to["n3"].seq)
    until(cluster, lambda: len(since("drop")) == 1)
    assert since("drop")[0].cause == to["n3"].seq
    cluster.run(until_ms=to["n2"].at_ms + 2100)
    assert all(event.cause != to["n2"].seq for event in since("deliver"))
    assert cluster.release_message(to["n2"].seq)
    until(cluster, lambda: any(event.cause == to["n2"].seq for event in since("deliver")))
    assert not cluster.drop_message(to["n2"].seq), "it has arrived"
    acts = cluster.trace.of("hold_message", "drop_message", "release_message")
    assert [e.data["message"] for e in acts] == [to["n2"].seq, to["n3"].seq, to["n2"].seq]


# --- clients ---


def test_clients_share_one_process_and_can_be_struck_alone() -> None:
    servers = [Server("s1"), Server("s2")]
    with LiveCluster(
        servers,
        network=FAST,
        progress=quiet,
        client=lambda name, ids: Asker(name, servers=ids),
    ) as cluster:
        assert cluster.invoke("c1", Add(0)) == (1, "s1")
        cluster.add_client(Asker("c2", servers=("s2",)))
        assert cluster.invoke("c2", Add(0)) == (1, "s2")
        assert cluster.pid("c1") == cluster.pid("c2") != cluster.pid("s1")
        assert cluster.clients == ("c1", "c2")
        answers: list[object] = []
        threads = [
            threading.Thread(target=lambda n=name: answers.append(cluster.invoke(n, Add(0))))  # type: ignore[misc]
            for name in ("c3", "c4", "c5", "c6")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [(1, "s1")] * 4
        cluster.pause("c1")
        with pytest.raises(OperationUnknown):
            cluster.invoke("c1", Add(0), limit_ms=200)
        assert cluster.invoke("c2", Add(0)) == (2, "s2")
        cluster.kill("c1")
        cluster.restart("c1")
        cluster.isolate("c1")
        cluster.submit("c1", Add(0))
        until(cluster, lambda: len(cluster.history) == 8)
        cluster.heal()
        cluster.kill("c1")
        assert (cluster.health("c1"), cluster.health("c2")) == ("dead", "up")
        assert cluster.state("c1") == {"asked": 2}
        with pytest.raises(OperationUnknown):
            cluster.invoke("c1", Add(0), limit_ms=100)
        cluster.restart("c1")
        assert cluster.invoke("c1", Add(0)) == (3, "s1")
        cluster.isolate("c1")
        with pytest.raises(OperationUnknown):
            cluster.invoke("c1", Add(0), limit_ms=200)
        with pytest.raises(UnknownNode, match="Did you mean"):
            cluster.kill("c11")
    # Readable after the end. c1 got what it was asked while paused, but nothing while dead.
    history = [(op.client, op.outcome) for op in cluster.history if op.client in ("c1", "c2")]
    assert history == [
        ("c1", "ok"), ("c2", "ok"), ("c2", "ok"), ("c1", "info"), ("c1", "ok"), ("c1", "info"),
    ]  # fmt: skip


def test_speed_slows_delays_and_timers_down_and_nothing_else() -> None:
    nodes = counters(2, beat_ms=(100, 100))
    with LiveCluster(
        nodes, network=Network(delay_ms=(10, 10)), speed=0.1, progress=quiet
    ) as cluster:
        begun = time.monotonic()
        cluster.invoke("n1", Add(1))
        took = time.monotonic() - begun
        operation = cluster.history.operations[0]
        assert took >= 0.2  # two trips of 10 ms at a tenth of the speed
        assert 20 <= (operation.latency_ms or 0) <= took * 100 + 1
        cluster.run(100)
        fires = cluster.trace.of("fire", node="n1")
        assert fires[0].at_ms >= 100


# --- errors, and other ways to end ---


def test_a_handler_that_raises_is_one_sentence_at_the_next_verb_that_waits() -> None:
    with LiveCluster(counters(2), network=FAST, progress=quiet) as cluster:
        pid = cluster.pid("n2")
        with pytest.raises(HandlerRaised) as caught:
            cluster.invoke("n2", Explode())
        assert str(caught.value).startswith(
            "Counter n2 raised ZeroDivisionError (boom) while handling Invoke(operation=Explode())"
        )
        assert "raise ZeroDivisionError" in str(caught.value)
        assert any("Traceback" in note for note in caught.value.__notes__)
        assert cluster.health("n2") == "dead"
        until(cluster, lambda: not is_alive(pid))
        cluster.run(50)  # told once
        assert cluster.trace.of("error")[0].data["error"] == str(caught.value)
        assert not cluster.trace.of("kill")
        cluster.restart("n2")
        assert cluster.health("n2") == "up"


def test_limits_are_reported_and_a_stopped_cluster_says_so() -> None:
    cluster = LiveCluster(counters(1, wait_for=0), network=FAST, progress=quiet)
    with pytest.raises(LimitReached, match="a miracle did not come true within 50 ms"):
        cluster.run_until(lambda: False, 50, "a miracle")
    assert cluster.invoke("n1", Add(2)) == 2
    pid, directory = cluster.pid("n1"), cluster._directory
    cluster.stop()
    cluster.stop()
    assert not is_alive(pid)
    assert not directory.exists()
    assert cluster.history.operations[0].value == 2
    assert cluster.health("n1") == "up"  # as it was at the end
    for verb in (lambda: cluster.invoke("n1", Add(1)), lambda: cluster.kill("n1")):
        with pytest.raises(ScenarioError, match="was stopped"):
            verb()


def test_a_cluster_that_the_notebook_forgets_ends_itself() -> None:
    cluster: LiveEngine | None = LiveCluster(counters(1), progress=quiet)
    assert isinstance(cluster, LiveCluster)
    pid = cluster.pid("n1")
    cluster = None
    end = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not is_alive(pid)


def test_a_directory_that_was_named_is_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("disks")
    with LiveCluster(
        counters(1, wait_for=0), network=FAST, directory=folder, progress=quiet
    ) as cluster:
        cluster.invoke("n1", Add(2))
    assert len(read_disk(folder / "n1.sqlite", "n1", {})["log"]) == 1
    with LiveCluster(
        counters(1, wait_for=0), network=FAST, directory=folder, progress=quiet
    ) as again:
        assert again.state("n1")["log"] == ()  # another cluster begins anew
        assert not again.history.operations


def test_classes_made_in_a_function_work_live() -> None:
    class Sum(Counter):
        extra: int = 5

        @property
        def total(self) -> int:
            return sum(entry.number for entry in self.log) + self.extra

    with LiveCluster([Sum("n1", members=("n1",), wait_for=0)], progress=quiet) as cluster:
        assert cluster.invoke("n1", Add(1)) == 6
