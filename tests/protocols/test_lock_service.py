"""A lock with sessions: leases do not overlap, grants are numbered, and jeopardy ends."""

from __future__ import annotations

from typing import Any

from clusterlab.check.explore import explore
from clusterlab.check.invariants.primary_backup import GRANTS_GROW, LEASES_DISJOINT
from clusterlab.core.network import Network
from clusterlab.core.node import (
    Deliver,
    Env,
    Fire,
    Node,
    Note,
    Send,
    Start,
    restart,
    step,
    volatile,
)
from clusterlab.lessons.mutants.primary_backup import TWO_GRANTS
from clusterlab.protocols.lock_service import (
    KeepAlive,
    KeepAliveDue,
    KeptAlive,
    Lease,
    LeaseOver,
    LockBusy,
    LockClient,
    LockService,
    LockTaken,
    OpenSession,
    SessionLost,
    SessionOpened,
    TakeLock,
)
from clusterlab.sim import Simulation


class Holder(LockClient):
    """Wants the lock, and does nothing with it."""

    has: bool = volatile(False)

    def on_start(self) -> None:
        self.open_session()

    def locked(self, token: int) -> None:
        self.has = True

    def unlocked(self) -> None:
        self.has = False


class Told:
    """A node at times that the test chooses."""

    def __init__(self, node: Node) -> None:
        self.node: Any = node
        self.said: list[Any] = []
        self.notes: list[Any] = []

    def at(self, now_ms: int, event: Any) -> Told:
        self.node, effects = step(self.node, event, Env(now_ms))
        self.said = [e.msg for e in effects if isinstance(e, Send)]
        self.notes += [e.data for e in effects if isinstance(e, Note)]
        return self


def service() -> Told:
    return Told(LockService("lock", lease_ms=100))


def test_a_lock_is_granted_once_and_to_whoever_asks_again() -> None:
    lock = service().at(0, Deliver("n1", OpenSession(0))).at(0, Deliver("n2", OpenSession(0)))
    assert lock.at(1, Deliver("n1", TakeLock(1))).said == [LockTaken(1, 1)]
    assert lock.at(2, Deliver("n2", TakeLock(2))).said == [LockBusy(2)]
    assert lock.at(3, Deliver("n1", TakeLock(1))).said == [LockTaken(1, 1)]


def test_a_lock_dies_with_the_session_of_its_holder_and_the_next_grant_has_a_higher_token() -> None:
    lock = service().at(0, Deliver("n1", OpenSession(0))).at(0, Deliver("n1", TakeLock(1)))
    lock.at(50, Deliver("n2", OpenSession(50)))
    assert lock.at(100, Deliver("n2", TakeLock(2))).said == [LockTaken(2, 2)]
    assert lock.at(101, Deliver("n1", KeepAlive(1, 99))).said == [SessionLost(1)]


def test_nobody_uses_the_session_of_another() -> None:
    lock = service().at(0, Deliver("n1", OpenSession(0)))
    assert lock.at(1, Deliver("n2", TakeLock(1))).said == [SessionLost(1)]


def test_a_service_that_restarts_gives_every_session_a_whole_lease() -> None:
    lock = service().at(0, Deliver("n1", OpenSession(0))).at(0, Deliver("n1", TakeLock(1)))
    lock.node = restart(lock.node)
    lock.at(90, Start())
    assert lock.at(150, Deliver("n1", KeepAlive(1, 150))).said == [KeptAlive(1, 150, 100)]
    assert lock.at(151, Deliver("n2", OpenSession(151))).said == [SessionOpened(2, 151, 100)]
    assert lock.at(152, Deliver("n2", TakeLock(2))).said == [LockBusy(2)]


def test_a_lease_counts_from_when_it_was_asked_for_and_is_shorter_than_granted() -> None:
    holder = Told(Holder("n1", drift=0.1))
    holder.at(0, Fire(KeepAliveDue())).at(40, Deliver("lock", SessionOpened(1, 0, 100)))
    assert holder.said == [TakeLock(1)]
    holder.at(50, Deliver("lock", LockTaken(1, 1)))
    assert holder.notes == [Lease(50, 90)]


def test_a_lock_that_comes_after_the_lease_is_none() -> None:
    holder = Told(Holder("n1"))
    holder.at(0, Fire(KeepAliveDue())).at(40, Deliver("lock", SessionOpened(1, 0, 100)))
    assert not holder.at(95, Deliver("lock", LockTaken(1, 1))).node.has


def test_in_jeopardy_nothing_is_done_until_the_service_is_heard_again() -> None:
    holder = Told(Holder("n1"))
    holder.at(0, Fire(KeepAliveDue())).at(10, Deliver("lock", SessionOpened(1, 0, 100)))
    holder.at(20, Deliver("lock", LockTaken(1, 1)))
    assert holder.at(90, Fire(LeaseOver())).node.has is False
    holder.at(120, Deliver("lock", KeptAlive(1, 110, 100)))
    assert holder.said == [TakeLock(1)]
    assert holder.at(130, Deliver("lock", LockTaken(1, 1))).node.has


def trio(holder: type[Holder]) -> list[Node]:
    return [
        *(holder(name, drift=0.0) for name in ("n1", "n2")),
        LockService("lock", lease_ms=50),
    ]


WORLD: dict[str, Any] = {
    "properties": (LEASES_DISJOINT, GRANTS_GROW, TWO_GRANTS),
    "network": "fifo",
    "ticks": 2,
    "tick_ms": 50,
    "bound": lambda node: getattr(node, "opened", 0) <= 3,
    "timers": {"KeepAliveDue": 1, "LeaseOver": 0, "GraceOver": 0},
}


class CountsFromTheAnswer(Holder):
    def extend(self, sent_ms: int, lease_ms: int) -> None:
        super().extend(self.now_ms, lease_ms)


def test_no_schedule_lets_two_leases_overlap_unless_they_count_from_the_answer() -> None:
    right, wrong = explore(trio(Holder), **WORLD), explore(trio(CountsFromTheAnswer), **WORLD)
    assert right.ok, right
    assert wrong.property == LEASES_DISJOINT.name


def holding(drift: float) -> tuple[int, int]:
    """How many moments there are with a holder, and how many with two, beside a slow clock."""
    nodes = [*(Holder(name, drift=drift) for name in ("n1", "n2")), LockService("lock")]
    sim = Simulation(nodes, network=Network(delay_ms=(1, 5)), seed=1)
    for node in ("n1", "n2"):
        sim.skew(node, rate=0.7)
    one = two = 0
    for round_ in range(400):
        first = next((n for n in ("n1", "n2") if sim.state(n)["has"]), None)
        if round_ % 100 == 50 and first is not None:
            sim.isolate(first)
        elif round_ % 100 == 99:
            sim.heal()
        sim.run(10)
        has = sum(sim.state(node)["has"] for node in ("n1", "n2"))
        one, two = one + (has >= 1), two + (has == 2)
    return one, two


def test_clocks_within_the_bound_are_safe_and_clocks_beyond_it_are_not() -> None:
    """Both run at seven tenths: thirty per cent is their bound, and ten is not enough."""
    within, beyond = holding(0.35), holding(0.1)
    assert within[0] > 100
    assert within[1] == 0
    assert beyond[1] > 0
