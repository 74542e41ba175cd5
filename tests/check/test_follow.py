"""Following a trace: the nodes are led to where they were, as the trace grows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.follow import Seen, Walk
from clusterlab.core.node import Message, Node, durable, volatile
from clusterlab.core.trace import Trace
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation


class Say(Message):
    word: str = "hi"


class Parrot(Node):
    """Says on what it hears; remembers the last word, and how many."""

    word: str = durable("")
    heard: int = volatile(0)

    def on_say(self, src: str, m: Say) -> None:
        self.word = m.word
        self.heard += 1


@pytest.fixture(scope="module")
def run() -> Simulation:
    """Clients that choose their servers, a death within a step, a restart, a skewed clock."""
    cluster = Simulation(Raft.group(3), seed=3)
    for name in ("c1", "c2"):
        workload = mixed_workload(prefix=name, seed=1)
        cluster.add_client(Client(name, servers=cluster.servers, workload=workload, every_ms=20))
    leader = cluster.run_until_leader()
    cluster.skew("c1", offset_ms=50, rate=1.1)
    cluster.run(200)
    cluster.kill(leader, effects=1)
    cluster.run(400)
    cluster.restart(leader)
    cluster.run(200)
    return cluster


def steps(follower: Walk, at_a_time: int) -> Iterator[Seen]:
    while follower.count < len(follower.trace):
        yield from follower.until(follower.count + at_a_time)


def test_every_node_ends_where_the_cluster_has_it(run: Simulation) -> None:
    newest = {seen.node: seen for seen in Walk(run.trace).until(len(run.trace))}
    assert set(newest) == {*run.servers, *run.clients}
    for name, seen in newest.items():
        assert (seen.whole, seen.dead) == (True, False)
        assert seen.fields == run.state(name)


def test_following_in_pieces_is_following_at_once(run: Simulation) -> None:
    whole = list(Walk(run.trace).until(len(run.trace)))
    assert list(steps(Walk(run.trace), 7)) == whole


def test_of_the_dead_only_the_disk_is_left(run: Simulation) -> None:
    (death,) = run.trace.of("kill")
    seen = [seen for seen in Walk(run.trace).until(len(run.trace)) if seen.dead]
    assert [(one.seq, one.node, one.whole) for one in seen] == [(death.seq, death.node, False)]
    assert set(seen[0].fields) == {"current_term", "voted_for", "log"}
    assert seen[0].fields["current_term"] >= 1


def test_marks_come_from_the_node(run: Simulation) -> None:
    seen = [seen for seen in Walk(run.trace).until(len(run.trace)) if seen.node == "n1"]
    last = seen[-1]
    assert last.marks["log"]["committed"] == last.fields["commit_index"] > 0


def test_without_nodes_what_was_saved_is_known(run: Simulation) -> None:
    copy = Trace(**run.trace.meta)
    copy.events = run.trace.events
    newest = {seen.node: seen for seen in Walk(copy).until(len(copy))}
    assert not newest["n1"].whole
    state = run.state("n1")
    assert newest["n1"].fields == {name: state[name] for name in newest["n1"].fields}
    assert "log" in newest["n1"].fields


def test_a_node_that_strays_is_known_by_its_disk_alone() -> None:
    class Deaf(Parrot):
        def on_say(self, src: str, m: Say) -> None: ...

    trace = Trace()
    for word in ("a", "b"):
        seq = trace.append(0, "p", "deliver", {"src": "q", "msg": Say(word)})
        trace.append(0, "p", "save", {"values": {"word": word}}, seq)
    right = [seen.fields for seen in Walk(trace, [Parrot("p")]).until(9)]
    assert right == [{"word": "a", "heard": 1}, {"word": "b", "heard": 2}]
    seen = list(Walk(trace, [Deaf("p")]).until(9))
    assert [(one.fields, one.whole) for one in seen][1:] == [
        ({"word": "a"}, False),
        ({"word": "b"}, False),
    ]


def test_a_counterexample_brings_its_nodes() -> None:
    report = explore(
        [Parrot("p")], invoke=[], goal=lambda world: not world.up, crashes=1, restarts="never"
    )
    assert report.trace is not None
    last = list(Walk(report.trace).until(len(report.trace)))[-1]
    assert (last.node, last.dead, last.fields) == ("p", True, {"word": ""})
