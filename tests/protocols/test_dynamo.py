"""The store of quorums: who is waited for, who stands in, which versions survive.

Sources: Gifford 1979; Attiya, Bar-Noy and Dolev 1995; DeCandia et al. 2007 (Dynamo), section 4.
"""

from __future__ import annotations

from typing import Any

import pytest

from clusterlab import Client, Cluster, Get, Message, Put
from clusterlab.core.errors import OperationFailed, OperationUnknown
from clusterlab.core.spec import CompareAndSet
from clusterlab.protocols.client import Reply, Request
from clusterlab.protocols.dynamo import AtomicStore, QuorumStore, Siblings, Version
from clusterlab.protocols.dynamo.messages import (
    Abandon,
    FallBack,
    Fetch,
    Fetched,
    HandedOff,
    HandOff,
    HintsDue,
    Keep,
    Kept,
)
from tests.protocols.bench import Bench

KEY = "seat"
HOMES = ("n1", "n2", "n3")
FIRST = (1, 1)
"""What answers to the first operation of a coordinator's first life carry."""

OLD, NEW = Version("old", (1, "c1", 1)), Version("new", (2, "c2", 1))


def store(
    kind: type[QuorumStore] = QuorumStore, name: str = "n4", size: int = 6, **options: Any
) -> Bench:
    """One server of six, of which the first three keep KEY; n4 is none of them."""
    (node,) = [one for one in kind.group(size, **options) if one.id == name]
    assert node.homes(KEY) == HOMES
    return Bench(node)


def asked(bench: Bench, operation: Any, serial: int = 1) -> Bench:
    return bench.receive("c1", Request(serial, operation))


def replies(bench: Bench) -> list[Any]:
    return [message.result for _, message in bench.sent(Reply)]


# --- quorums -------------------------------------------------------------------------------------


def test_a_write_is_acknowledged_when_w_homes_have_it_and_not_before():
    bench = asked(store(), Put(KEY, 1))
    assert [dst for dst, _ in bench.sent(Keep)] == list(HOMES)
    assert replies(bench.receive("n1", Kept(FIRST))) == []
    assert replies(bench.receive("n1", Kept(FIRST))) == [], "the same home again is no second one"
    assert replies(bench.receive("n3", Kept(FIRST))) == [None]
    assert replies(bench.receive("n2", Kept(FIRST))) == [], "it is answered once"


def test_a_read_returns_the_newest_that_r_homes_have():
    bench = asked(store(), Get(KEY))
    assert [dst for dst, _ in bench.sent(Fetch)] == list(HOMES)
    assert replies(bench.receive("n1", Fetched(FIRST, (OLD,)))) == []
    assert replies(bench.receive("n2", Fetched(FIRST, (NEW,)))) == ["new"]


def test_a_read_repairs_whoever_answered_with_less():
    bench = asked(store(), Get(KEY)).receive("n1", Fetched(FIRST, (OLD,)))
    bench.receive("n2", Fetched(FIRST, (NEW,)))
    assert bench.to("n1", Keep).versions == (NEW,)
    assert len(bench.sent(Keep)) == 1


def test_without_read_repair_nobody_is_told():
    bench = asked(store(read_repair=False), Get(KEY)).receive("n1", Fetched(FIRST, (OLD,)))
    assert bench.receive("n2", Fetched(FIRST, (NEW,))).sent(Keep) == []


def test_an_atomic_read_answers_when_w_homes_have_what_it_returns():
    bench = asked(store(AtomicStore), Get(KEY)).receive("n1", Fetched(FIRST, (OLD,)))
    bench.receive("n2", Fetched(FIRST, (NEW,)))
    assert bench.only_value(Keep).versions == (NEW,)
    assert replies(bench) == []
    assert replies(bench.receive("n2", Kept(FIRST))) == []
    assert replies(bench.receive("n1", Kept(FIRST))) == ["new"]


def test_an_atomic_write_asks_first_and_counts_above_all_that_a_quorum_knows():
    bench = asked(store(AtomicStore), Put(KEY, "mine"))
    assert bench.sent(Keep) == []
    bench.receive("n1", Fetched(FIRST, (OLD,))).receive("n3", Fetched(FIRST, (NEW,)))
    assert bench.only_value(Keep).versions == (Version("mine", (3, "c1", 1)),)


def test_who_asks_twice_has_asked_once_and_gets_the_answer_once_more():
    bench = asked(store(), Put(KEY, 1))
    assert asked(bench, Put(KEY, 1)).sent(Keep) == []
    bench.receive("n1", Kept(FIRST)).receive("n2", Kept(FIRST))
    assert replies(asked(bench, Put(KEY, 1))) == [None]


def test_what_was_asked_before_a_crash_answers_nothing_that_was_asked_after_it():
    bench = asked(asked(store(), Put(KEY, 1)).restart(), Put("other", 2), serial=2)
    assert replies(bench.receive("n1", Kept(FIRST)).receive("n2", Kept(FIRST))) == []
    (job,) = bench.node.jobs.values()
    assert (job.serial, job.kept) == (2, ())


def test_what_too_few_have_is_not_answered_and_may_be_read_later():
    with Cluster(QuorumStore.group(3), engine="sim") as cluster:
        cluster.add_client(Client("c1", servers=("n1",), retry_ms=60_000, give_up_ms=400))
        cluster.partition(["n1", "c1"], ["n2", "n3"])
        with pytest.raises(OperationUnknown):
            cluster.invoke("c1", Put("x", 1))
        cluster.heal()
        assert cluster.invoke("c1", Get("x")) == 1
        assert [op.outcome for op in cluster.history] == ["info", "ok"]


def test_a_coordinator_that_gives_up_says_nothing():
    bench = asked(store(sloppy=True), Put(KEY, 1)).fire(Abandon(FIRST))
    assert bench.sent(Message) == []
    assert bench.node.jobs == {}
    assert replies(bench.receive("n1", Kept(FIRST)).receive("n2", Kept(FIRST))) == []


def test_what_needs_agreement_is_refused():
    with (
        Cluster(QuorumStore.group(3), engine="sim") as cluster,
        pytest.raises(OperationFailed, match="without a leader"),
    ):
        cluster.invoke("c1", CompareAndSet("x", None, 1))


# --- stand-ins and hints -------------------------------------------------------------------------


def test_others_stand_in_for_the_homes_that_have_not_answered():
    bench = asked(store(sloppy=True), Put(KEY, 1)).receive("n2", Kept(FIRST)).fire(FallBack(FIRST))
    assert {(dst, keep.home) for dst, keep in bench.sent(Keep)} == {("n4", "n1"), ("n5", "n3")}
    assert replies(bench.receive("n5", Kept(FIRST))) == [None], "a stand-in counts"


def test_strict_nobody_stands_in():
    assert "FallBack" not in asked(store(), Put(KEY, 1)).set_timers()


def test_a_stand_in_keeps_a_hint_apart_shows_it_and_hands_it_on():
    bench = store(sloppy=True).receive("n5", Keep((1, 7), KEY, (NEW,), home="n1"))
    assert bench.only(Kept).number == (1, 7)
    assert bench.node.versions == {}
    assert bench.receive("n5", Fetch((1, 8), KEY)).only(Fetched).versions == (NEW,)
    assert bench.fire(HintsDue()).to("n1", HandOff) == HandOff(KEY, (NEW,))
    assert bench.node.hints, "it is not forgotten before it has arrived"
    bench.receive("n1", HandedOff(KEY, (NEW,)))
    assert bench.node.hints == {}
    assert bench.fire(HintsDue()).set_timers() == {}


def test_a_hint_survives_a_crash_of_the_stand_in():
    bench = store(sloppy=True).receive("n5", Keep((1, 7), KEY, (NEW,), home="n1")).restart()
    assert "HintsDue" in bench.set_timers()
    assert bench.fire(HintsDue()).to("n1", HandOff).versions == (NEW,)


def test_a_hint_that_grew_on_the_way_is_kept():
    bench = store(sloppy=True).receive("n5", Keep((1, 7), KEY, (OLD,), home="n1"))
    bench.receive("n5", Keep((1, 8), KEY, (NEW,), home="n1")).receive("n1", HandedOff(KEY, (OLD,)))
    assert bench.node.hints == {("n1", KEY): (NEW,)}


def test_after_the_healing_the_home_has_what_was_written_without_it():
    with Cluster(QuorumStore.group(6, w=3, sloppy=True), engine="sim") as cluster:
        cluster.add_client(Client("c1", servers=("n4",), retry_ms=60_000))
        cluster.isolate("n1")
        cluster.invoke("c1", Put(KEY, "kept"))
        assert any(cluster.state(node)["hints"] for node in cluster.servers)
        cluster.heal()
        cluster.run(1000)
        assert not any(cluster.state(node)["hints"] for node in cluster.servers)
        assert cluster.state("n1")["versions"][KEY][0].value == "kept"


# --- versions ------------------------------------------------------------------------------------


def test_by_clock_the_later_stamp_survives_whoever_comes_last():
    bench = (
        store(name="n1")
        .receive("n4", Keep((1, 1), KEY, (NEW,)))
        .receive("n4", Keep((1, 2), KEY, (OLD,)))
    )
    assert bench.node.versions[KEY] == (NEW,)


def test_by_vectors_what_never_met_stays_and_who_has_seen_both_replaces_both():
    with Cluster(QuorumStore.group(3, order="vector"), engine="sim") as cluster:
        for i in (1, 2):
            cluster.add_client(Client(f"c{i}", servers=(f"n{i}",), retry_ms=60_000))
            cluster.link(f"n{i}", f"n{3 - i}", delay_ms=(300, 300))
        for i in (1, 2):
            cluster.invoke(f"c{i}", Put("x", i))
        cluster.heal()
        cluster.run(1000)
        assert sorted(cluster.invoke("c1", Get("x")).values) == [1, 2]
        cluster.invoke("c2", Put("x", 3))
        assert cluster.invoke("c1", Get("x")) == 3


def test_siblings_reach_the_reader_in_an_order_that_all_replicas_share():
    one, other = Version("a", (1, "c1", 1), (("n1", 1),)), Version("b", (1, "c2", 1), (("n2", 1),))
    for first, second in ((one, other), (other, one)):
        bench = asked(store(order="vector"), Get(KEY)).receive("n1", Fetched(FIRST, (first,)))
        assert replies(bench.receive("n2", Fetched(FIRST, (second,)))) == [Siblings(("a", "b"))]


def test_a_coordinator_that_keeps_nothing_still_counts_its_writes_even_after_a_crash():
    bench = asked(store(order="vector"), Put(KEY, 1))
    first = bench.only_value(Keep).versions[0]
    assert bench.node.versions == {}
    later = asked(bench.restart(), Put(KEY, 2), serial=2).only_value(Keep).versions[0]
    assert (first.vector, later.vector) == ((("n4", 1),), (("n4", 2),))
    home = store(name="n1", order="vector").receive("n4", Keep((1, 1), KEY, (later,)))
    assert home.receive("n4", Keep((1, 2), KEY, (first,))).node.versions[KEY] == (later,)
