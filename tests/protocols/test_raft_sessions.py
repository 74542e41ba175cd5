"""Sessions of clients: opened through the log, ended by it, kept by snapshots."""

from __future__ import annotations

from functools import partial

import pytest

from clusterlab.check.invariants import raft as invariants
from clusterlab.core.errors import OperationUnknown
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Counter
from clusterlab.experiments.fuzz import Trial
from clusterlab.experiments.fuzz_subjects import Counting
from clusterlab.protocols.client import Refused, Reply, Request
from clusterlab.protocols.raft import ElectionTimeout
from clusterlab.protocols.raft.sessions import (
    InSession,
    OpenSession,
    SessionClient,
    SessionExpired,
    Sessions,
)
from clusterlab.protocols.raft.snapshots import Snapshots
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench, put


class SessionSnapshots(Sessions, Snapshots):
    """Sessions that survive in snapshots."""


def lone(**options: int) -> Bench:
    """A cluster of one, which commits at once."""
    return Bench(SessionSnapshots("n1", members=("n1",), **options)).fire(ElectionTimeout())


def opened(bench: Bench, client: NodeId, serial: int = 1) -> int:
    """The session that `client` gets."""
    bench.receive(client, Request(serial, OpenSession()))
    session: int = bench.only(Reply).result
    return session


def test_a_session_is_opened_through_the_log_and_named_by_its_index() -> None:
    bench = lone()
    assert [opened(bench, "c1"), opened(bench, "c2")] == [2, 3]
    assert opened(bench, "c1") == 2, "asked again, answered again"


def test_an_operation_in_a_session_is_done_once() -> None:
    bench = lone()
    wish = Request(2, InSession(opened(bench, "c1"), put(7)))
    for _ in range(2):
        bench.receive("c1", wish)
        assert bench.only(Reply) == Reply(2, None)
    assert (bench.node.machine, bench.node.last_log_index) == ({"x": 7}, 3)


def test_the_session_that_was_unused_for_longest_ends() -> None:
    """An upper bound on the number of sessions, and the least recently used goes.

    Reference: dissertation, section 6.3
    """
    bench = lone(sessions_max=2)
    first, second = opened(bench, "c1"), opened(bench, "c2")
    bench.receive("c1", Request(2, InSession(first, put(1))))
    opened(bench, "c3")
    assert sorted(bench.node.sessions) == ["c1", "c3"]
    bench.receive("c2", Request(2, InSession(second, put(2))))
    assert bench.only(SessionExpired) == SessionExpired(2)
    assert bench.node.machine == {"x": 1}


def test_a_request_of_an_earlier_session_is_not_taken_for_one_of_the_present() -> None:
    """Else what came late or twice would be done twice."""
    bench = lone(sessions_max=1)
    wish = Request(2, InSession(opened(bench, "c1"), put(1)))
    bench.receive("c1", wish)
    opened(bench, "c2")
    opened(bench, "c1")  # the request that opened the first session comes once more
    bench.receive("c1", wish)
    assert bench.only(SessionExpired) == SessionExpired(2)


def test_who_has_no_session_is_told_to_open_one() -> None:
    bench = lone().receive("c1", Request(1, put(1)))
    assert "SessionClient" in bench.only(Refused).reason


def test_sessions_survive_in_snapshots() -> None:
    bench = lone(snapshot_entries=1)
    session = opened(bench, "c1")
    bench.receive("c1", Request(2, InSession(session, put(7)))).restart().fire(ElectionTimeout())
    assert (bench.node.opened, bench.node.used) == ({"c1": session}, {"c1": 3})
    bench.receive("c1", Request(2, InSession(session, put(7))))
    assert bench.only(Reply) == Reply(2, None)


def test_a_client_opens_another_session_when_its_own_has_ended() -> None:
    servers = SessionSnapshots.group(3, sessions_max=1, snapshot_entries=5)
    sim = Simulation(servers, client=SessionClient.for_servers, seed=3)
    sim.put("x", 1, client="c1")
    first = sim.state("c1")["session"]
    sim.put("y", 2, client="c2")
    with pytest.raises(OperationUnknown):
        sim.put("x", 3, client="c1")
    sim.put("x", 4, client="c1")
    assert sim.state("c1")["session"] > first
    assert sim.state(sim.run_until_leader())["machine"] == {"x": 4, "y": 2}


def clients(servers: tuple[NodeId, ...], seed: int) -> list[Node]:
    """Three, of whom two may have a session."""
    return [
        SessionClient(
            f"c{n}",
            servers=servers,
            workload=Counting(seed * 3 + n),
            every_ms=(0, 80),
            retry_ms=150,
            operations=20,
        )
        for n in range(1, 4)
    ]


def test_storms_and_too_many_clients_do_nothing_twice() -> None:
    trial = Trial(
        partial(SessionSnapshots.group, 3, spec=Counter(), sessions_max=2, snapshot_entries=6),
        clients=clients,
        properties=invariants.SAFETY,
        spec=Counter(),
        storm_ms=2_000,
    )
    expired = 0
    for seed in range(4):
        run = trial.run(seed)
        assert not run.violations
        expired += sum(type(e.data["msg"]) is SessionExpired for e in run.trace.of("deliver"))
    assert expired
