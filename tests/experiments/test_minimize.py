"""A failing seed comes back as the shortest run, which is read, played, replayed and drawn."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from random import Random

import pytest

from clusterlab.check.invariants import raft
from clusterlab.check.locals import HANDLERS
from clusterlab.check.properties import always, eventually
from clusterlab.check.replay import replay
from clusterlab.check.story import tell
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import Heal, Kill, Restart, Schedule
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.spec import Get, KeyValue, Put
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz import SeedRun, Trial
from clusterlab.experiments.minimal import Minimal
from clusterlab.experiments.minimize import minimize, minimize_schedule, minimize_trace
from clusterlab.experiments.nemesis import draw_schedule
from clusterlab.experiments.raft_failover import RaftFailover
from clusterlab.experiments.scenario import play_scenario
from clusterlab.protocols.client import Client, Reply, Request, mixed_workload
from clusterlab.protocols.raft import Entry, Raft
from clusterlab.views.page import save as save_page
from clusterlab.views.picture import picture
from clusterlab.views.state import State
from tests.protocols.scenario import Scenario as Golden

FAILOVER_SEED = 7
"""The first seed of raft-failover in which a forgotten vote makes two leaders."""
FIGURE_8_SEED = 141
"""The first seed of `figure_8` in which an entry that was committed by counting is lost."""


class ForgetsItsVote(Raft):
    voted_for: NodeId | None = volatile(None)


class CommitsOldTerms(Raft):
    def may_commit(self, index: int) -> bool:
        return True


@cache
def vote_given_twice() -> Minimal:
    """Of five servers, from a storm of raft-failover."""
    experiment = RaftFailover(ForgetsItsVote)
    trace = experiment.run(seed=FAILOVER_SEED).trace
    clients = [
        Client(
            f"c{n}",
            servers=tuple(trace.meta["servers"]),
            workload=mixed_workload(prefix=f"c{n}", seed=n),
            every_ms=(10, 50),
        )
        for n in (1, 2, 3)
    ]
    return minimize_trace(
        trace,
        [*experiment.nodes(), *clients],
        raft.ELECTION_SAFETY,
        search_s=0,
    )


def figure_8(server: type[Raft]) -> tuple[Trial, Schedule]:
    """Three servers that send one entry at a time, deaths and pauses, and half of all mail lost."""

    def clients(servers: tuple[NodeId, ...], seed: int) -> list[Node]:
        return [
            Client(
                f"c{n}", servers=servers, workload=mixed_workload(f"c{n}", n), every_ms=(10, 100)
            )
            for n in (1, 2)
        ]

    trial = Trial(
        lambda: server.group(3, entries_max=1),
        clients,
        properties=(raft.LEADER_COMPLETENESS,),
        storm_ms=6_000,
        network=Network(loss=0.5),
    )
    schedule = draw_schedule(
        Random(FIGURE_8_SEED),
        ("n1", "n2", "n3"),
        until_ms=6_000,
        every_ms=(50, 400),
        misfortunes=("crash", "pause"),
    )
    return trial, schedule


@cache
def entry_lost() -> Minimal:
    """The figure, as a seed finds it."""
    trial, schedule = figure_8(CommitsOldTerms)
    return minimize(trial, trial.run(FIGURE_8_SEED, schedule), search_s=0)


FOUND = pytest.mark.parametrize("found", [vote_given_twice, entry_lost], ids=lambda f: f.__name__)

# Inputs of nodes count: arrivals, timers, operations, deaths, returns. The first starts do not.


@pytest.mark.slow
def test_a_vote_that_is_given_twice_comes_back_as_a_dozen_events() -> None:
    """Two elections among five, of five events each, and a death and a return between them."""
    found = vote_given_twice()
    assert found.of > 3_000
    assert len(found.path) <= 12
    assert found.events == len(found.path) - 1 == 11
    assert found.property == "ElectionSafety"
    assert {node.id for node in found.nodes} == {"n1", "n2", "n3", "n4", "n5"}, "no client is left"


@pytest.mark.slow
def test_its_story_names_the_vote_that_was_given_twice() -> None:
    story = str(vote_given_twice().story())
    votes = re.findall(
        r"(n\d) gets RequestVote\(.*\) from (n\d): it votes for (n\d) in (term 1)", story
    )
    voters = [voter for voter, *_ in votes]
    (twice,) = {voter for voter in voters if voters.count(voter) == 2}
    first, second = (candidate for voter, _, candidate, _ in votes if voter == twice)
    assert (
        f"{twice} dies and comes back with its disk: it has forgotten that it votes for {first}"
        in story
    )
    assert (
        f"it votes for {second} in term 1 (it has forgotten that it votes for {first} in term 1"
        in story
    )
    assert "So ElectionSafety is violated: n3 and n4 both became leader of term 1." in story


@pytest.mark.slow
def test_figure_8_comes_back_as_a_page_of_events() -> None:
    found = entry_lost()
    assert len(found.path) <= 40
    assert len(found.path) <= 20, "as long as it is here"
    assert found.schedule
    assert found.seed == FIGURE_8_SEED
    trial, schedule = figure_8(Raft)
    assert trial.run(FIGURE_8_SEED, schedule).ok, "the correct class keeps the entry"


@pytest.mark.slow
def test_its_story_names_the_entry_that_was_lost() -> None:
    found = entry_lost()
    story = str(found.story())
    lost = re.search(r"takes (entry \d of term \d) \(a no-op\) for committed", story)
    assert lost is not None, story
    index, term = re.findall(r"\d", lost[1])
    assert re.search(
        r"leads in term \d without what n\d took for committed in term \d", found.explanation
    )
    assert f"committed is [term {term}]" in found.explanation
    assert index == "1"


@pytest.mark.slow
@FOUND
def test_the_scenario_is_played_again_from_its_file(found: object, tmp_path: Path) -> None:
    shortest = found()  # type: ignore[operator]
    scenario, trace = shortest.save(tmp_path, "shortest")
    played = play_scenario(
        scenario, shortest.nodes, [raft.ELECTION_SAFETY, raft.LEADER_COMPLETENESS]
    )
    assert played.path == shortest.path
    assert played.violation is not None
    assert played.violation[:2] == (shortest.property, shortest.explanation)
    loaded = Trace.load(trace)
    assert loaded.digest() == shortest.trace.digest() == played.trace.digest()
    mended = [
        Raft(node.id, **{k: v for k, v in node.configuration().items() if k != "id"})
        for node in shortest.nodes
    ]
    assert play_scenario(scenario, mended, raft.SAFETY).violation is None


@pytest.mark.slow
@FOUND
def test_the_trace_replays_and_opens_in_the_player(found: object, tmp_path: Path) -> None:
    shortest = found()  # type: ignore[operator]
    loaded = Trace.load(shortest.trace.save(tmp_path / "shortest.jsonl"))
    agreed = replay(loaded, shortest.nodes)
    assert not agreed, str(agreed)
    assert str(tell(loaded, shortest.nodes)) == str(shortest.story())
    assert picture(State.of(loaded)).startswith("<svg")
    page = save_page(loaded, tmp_path / "shortest.html").read_text(encoding="utf-8")
    assert "RequestVote" in page


@pytest.mark.slow
def test_a_plain_scenario_can_be_taken_by_hand() -> None:
    lines = vote_given_twice().scenario().splitlines()
    golden = Golden(ForgetsItsVote)
    golden.run("raft 5", *lines[lines.index("nodes n1 n2 n3 n4 n5") + 1 :])
    leaders = golden.sim.trace.notes("leader")
    assert {note.node for note in leaders} == {"n3", "n4"}
    assert {note.data["data"] for note in leaders} == {1}


@pytest.mark.slow
def test_a_search_of_a_smaller_cluster_finishes_the_job() -> None:
    five = vote_given_twice()
    found = minimize_trace(
        five.trace,
        five.nodes,
        raft.ELECTION_SAFETY,
        smaller=lambda: ForgetsItsVote.group(3),
        search_s=100,
    )
    assert len(found.path) == 8
    assert found.events == 7, "as published: seven events with one restart"
    assert found.shortest
    assert len(found.nodes) == 3
    assert not replay(found.trace, found.nodes)
    assert "finds a run of 8 events: none is shorter." in found.how[-1]


class Truncates(Raft):
    def take_over(self, prev: int, entries: tuple[Entry, ...]) -> None:
        self.truncate(prev)
        self.log += entries


LATE_HEARTBEAT = """
nodes n1 n2 n3 c1
invoke c1 Put('x', 1)
fire n1 ElectionTimeout
deliver n1 n2 RequestVote
deliver n1 n3 RequestVote
deliver n2 n1 VoteReply
deliver n3 n1 VoteReply
fire n1 HeartbeatDue
deliver n1 n3 AppendEntries
deliver n1 n2 AppendEntries
deliver n2 n1 AppendReply
deliver c1 n1 Request
deliver n1 n2 AppendEntries 2
deliver n1 n2 AppendEntries     # the heartbeat, late
"""


def test_a_handler_that_raises_raises_the_same_in_the_shortest_run() -> None:
    """To leave out a node that is written to would be an error, too, but another one."""
    nodes = [*Truncates.group(3), Client("c1", servers=("n1", "n2", "n3"))]
    played = play_scenario(LATE_HEARTBEAT, nodes)
    assert played.violation is not None
    found = minimize_trace(played.trace, nodes, [], search_s=0)
    assert found.property == HANDLERS
    assert "(entry 1 is committed and must stay)" in found.explanation
    assert len(found.path) < len(played.path)
    assert {node.id for node in found.nodes} >= {"n1", "n2", "n3"}


# ---- smaller things ------------------------------------------------------------------------------


class Tick(Timer):
    number: int


class Add(Message):
    much: int
    why: str


class Sum(Message):
    total: int


class Adder(Node):
    """Adds up at even times what it is told, and tells its friend when it likes."""

    friend: NodeId
    total: int = volatile(0)

    def on_start(self) -> None:
        self.set_timer(Tick(0), (5, 15))

    def on_tick(self, t: Tick) -> None:
        self.set_timer(Tick(t.number + 1), (5, 15))
        if self.choose([False, True, True]):
            self.send(self.friend, Sum(1 + self.now_ms % 2))

    def on_sum(self, src: NodeId, m: Sum) -> None:
        self.total += m.total


def adders() -> list[Node]:
    return [Adder(a, friend=b) for a, b in (("a", "b"), ("b", "c"), ("c", "a"))]


SMALL = always("StaysSmall", lambda world: all(node.total < 4 for node in world.nodes))


def test_clocks_and_choices_are_kept_as_they_were() -> None:
    trial = Trial(adders, properties=(SMALL,), storm_ms=400)
    run = trial.run(3, [])
    found = minimize(trial, run)
    arrivals = [move for move in found.path if move.kind == "deliver"]
    assert len(arrivals) == 2, "two odd moments"
    assert len({move.node for move in arrivals}) == 1
    assert found.clocks
    assert not replay(found.trace, found.nodes)
    played = play_scenario(found.scenario(), adders(), SMALL)
    assert played.violation is not None
    assert played.path == found.path
    assert "clock " in found.scenario()
    assert "choose " in found.scenario()


class Stale(Node):
    """A store of one server that forgets what it was told."""

    value: object = volatile(None)

    def on_request(self, src: NodeId, m: Request) -> None:
        if isinstance(m.operation, Put) and m.serial % 3:
            self.value = m.operation.value
        result = self.value if isinstance(m.operation, Get) else None
        self.send(src, Reply(m.serial, result))


def test_a_history_that_makes_no_sense_is_shrunk_to_two_operations() -> None:
    trial = Trial(
        lambda: [Stale("s")],
        lambda servers, _: [
            Client(name, servers=servers, workload=mixed_workload(name, n, ("x",)), every_ms=5)
            for n, name in enumerate(("c1", "c2"))
        ],
        spec=KeyValue(),
        storm_ms=300,
    )
    run = trial.run(1, [])
    found = minimize(trial, run)
    assert found.property == "linearizable"
    operations = [event.data["operation"] for event in found.trace.of("invoke")]
    assert 1 <= len(operations) <= 4 < len(run.history)
    assert len(found.trace.of("return")) == len(operations)


class Scarred(Node):
    scars: int = durable(-1)

    def on_start(self) -> None:
        self.scars += 1


def test_of_a_promise_about_whole_runs_the_faults_are_shrunk() -> None:
    heals = eventually("Heals", lambda world: world["b"].scars < 1, within_ms=100)
    trial = Trial(lambda: [Scarred("a"), Scarred("b")], properties=(heals,), storm_ms=200)
    faults: Schedule = [(20.0, Kill("a")), (50.0, Kill("b")), (80.0, Heal()), (90.0, Restart("b"))]
    run = trial.run(1, faults)
    assert [violation.property for violation in run.violations] == ["Heals"]
    small = minimize_schedule(trial, run)
    assert small.schedule == [(50.0, Kill("b"))]
    assert small.violations


def test_misuse_is_a_sentence() -> None:
    quiet = Trial(lambda: Raft.group(3), properties=(raft.ELECTION_SAFETY,), storm_ms=100)
    run = quiet.run(1, [])
    with pytest.raises(ScenarioError, match="seed 1 breaks nothing: give one that fails"):
        minimize(quiet, run)
    with pytest.raises(ScenarioError, match="violates nothing"):
        minimize_trace(run.trace, Raft.group(3), raft.ELECTION_SAFETY)
    with pytest.raises(ScenarioError, match="the trace has n3 as well"):
        minimize_trace(run.trace, Raft.group(3)[:2], raft.ELECTION_SAFETY)
    never = eventually("Never", lambda world: False, within_ms=100)
    hopeless = Trial(lambda: Raft.group(3), properties=(never,), storm_ms=100)
    broken = hopeless.run(1, [])
    assert isinstance(broken, SeedRun)
    with pytest.raises(ScenarioError, match="is a promise about a whole run"):
        minimize(hopeless, broken)
