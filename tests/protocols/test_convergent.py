"""The store that always answers: replicas that met have the same, and no write is gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlab import Client, Cluster
from clusterlab.core.errors import OperationFailed
from clusterlab.core.network import Network
from clusterlab.core.spec import CompareAndSet, Get, Put
from clusterlab.protocols.client import counting_writes
from clusterlab.protocols.convergent import ConvergentStore, Registers
from clusterlab.protocols.dynamo import Siblings, Version

MERGE = ConvergentStore.merge


@st.composite
def states(draw: st.DrawFn) -> Registers:
    """What replicas may hold: each write has seen some of the others."""
    registers = []
    for key in draw(st.lists(st.sampled_from("xyz"), unique=True)):
        counts = st.dictionaries(st.sampled_from("abc"), st.integers(1, 3), min_size=1)
        vectors = {tuple(sorted(one.items())) for one in draw(st.lists(counts, min_size=1))}
        versions = tuple(Version(f"v{v}", (len(v), "c", 1), v) for v in sorted(vectors))
        registers.append((key, versions))
    return MERGE((), tuple(registers))


@given(states(), states(), states())
def test_merging_does_not_care_about_order_grouping_or_repetition(a, b, c) -> None:
    assert MERGE(a, b) == MERGE(b, a)
    assert MERGE(MERGE(a, b), c) == MERGE(a, MERGE(b, c))
    assert MERGE(a, a) == a


def test_both_sides_answer_during_a_cut_and_nothing_is_lost() -> None:
    with Cluster(ConvergentStore.group(3), engine="sim", network=Network(loss=0.05)) as cluster:
        for name, server in (("c1", "n1"), ("c2", "n3")):
            work = counting_writes(name, keys=4)
            client = Client(
                name, servers=(server,), workload=work, every_ms=20, operations=30, retry_ms=50
            )
            cluster.add_client(client)
        cluster.run(100)
        cluster.partition(["n1", "c1"], ["n2", "n3", "c2"])
        before = len(cluster.history.ok())
        cluster.run(300)
        for client_id in ("c1", "c2"):
            assert sum(op.client == client_id for op in cluster.history.ok()[before:]) > 5
        cluster.run_until(lambda: len(list(cluster.history)) == 60, what="all writes")
        cluster.heal()
        held = [lambda node=node: cluster.state(node)["payload"] for node in cluster.servers]
        cluster.run_until(lambda: len({one() for one in held}) == 1, what="equal replicas")
        values = {version.value for _, versions in held[0]() for version in versions}
        assert values == {f"{name}:{n}" for name in ("c1", "c2") for n in range(27, 31)}


def test_what_two_sides_wrote_at_once_is_there_twice() -> None:
    with Cluster(ConvergentStore.group(2), engine="sim") as cluster:
        for i in (1, 2):
            cluster.add_client(Client(f"c{i}", servers=(f"n{i}",)))
        cluster.partition(["n1", "c1"], ["n2", "c2"])
        for i in (1, 2):
            cluster.invoke(f"c{i}", Put("x", i))
        cluster.heal()
        cluster.run(1000)
        assert cluster.invoke("c1", Get("x")) == Siblings((1, 2))
        # Who has seen both overwrites both.
        cluster.invoke("c1", Put("x", 3))
        cluster.run(1000)
        assert cluster.invoke("c2", Get("x")) == 3


def test_what_needs_agreement_is_refused() -> None:
    with (
        Cluster(ConvergentStore.group(2), engine="sim") as cluster,
        pytest.raises(OperationFailed, match="without agreement"),
    ):
        cluster.invoke("c1", CompareAndSet("x", None, 1))
