"""Storms from seeds: healthy protocols stay silent, broken ones are named with their seed."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from clusterlab.check.invariants import raft as raft_invariants
from clusterlab.check.properties import Ghost, always, always_step, eventually, sometimes
from clusterlab.core.errors import ScenarioError, UnknownNode
from clusterlab.core.faults import Kill, Partition, Restart, Skew, check_fault
from clusterlab.core.node import Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.spec import KeyValue
from clusterlab.experiments.fuzz import LINEARIZABLE, Trial, fuzz, fuzz_trial, run_seed
from clusterlab.experiments.fuzz_spread import pack, unpack
from clusterlab.experiments.fuzz_subjects import SUBJECTS, StoreClients
from clusterlab.experiments.nemesis import Swarm, make_whole
from clusterlab.protocols.paxos import Paxos
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation
from tests.protocols import test_paxos_mutants as wrong_paxos
from tests.protocols import test_raft_mutants as wrong_raft


class Tick(Timer):
    pass


class Beat(Message):
    number: int


class Heart(Node):
    """Beats, counts its beats on disk and those of its friend in memory."""

    friend: NodeId

    beats: int = durable(0)
    heard: int = volatile(0)

    def on_start(self) -> None:
        self.set_timer(Tick(), 20)

    def on_tick(self, t: Tick) -> None:
        self.beats += 1
        self.note("beat", self.beats)
        self.send(self.friend, Beat(self.beats))
        self.set_timer(Tick(), 20)

    def on_beat(self, src: NodeId, m: Beat) -> None:
        self.heard = m.number


def hearts() -> list[Node]:
    return [Heart("a", friend="b"), Heart("b", friend="a")]


class IgnoresItsPromise(wrong_paxos.IgnoresItsPromise, Paxos):
    pass


# --- protocols --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seeds"), [("raft", 12), ("paxos", 100)])
def test_a_healthy_protocol_keeps_its_promises_while_everything_fails(name, seeds):
    report = fuzz_trial(SUBJECTS[name].trials(), range(seeds))

    assert report.ok, str(report)
    assert report.seeds == seeds
    assert report.operations["ok"] > 5 * seeds
    for kind in ("kill", "restart", "pause", "resume", "partition", "isolate", "link", "skew"):
        assert report.fired[kind], kind
    for fate in ("lost", "partition", "isolated", "blocked", "dead", "duplicated", "reordered"):
        assert report.fired[f"message {fate}"], fate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mutant", "seeds", "broken"),
    [
        ("raft", wrong_raft.ForgetsItsVote, range(10), "MonotonicAcrossRestarts"),
        ("raft", wrong_raft.ForgetsItsLog, range(10), "QuorumLogInv"),
        ("raft", wrong_raft.ExecutesRepetitions, range(1, 60, 3), LINEARIZABLE),
        ("raft", wrong_raft.NeedsHalf, range(2, 30, 3), "ElectionSafety"),
        ("paxos", IgnoresItsPromise, range(10), "AcceptorMonotonic"),
    ],
)
def test_a_broken_protocol_is_caught(name, mutant, seeds, broken):
    report = fuzz_trial(SUBJECTS[name].trials(mutant), seeds, until_violation=True)

    assert not report.ok
    assert broken in {one.property for one in report.broken}
    assert report.run.seed == report.seed == report.failed[0]
    assert report.trace.events[-1].at_ms <= report.run.violations[0].at_ms


@pytest.mark.slow
def test_a_forgotten_vote_gives_a_term_two_leaders():
    trials = [
        replace(trial, properties=(raft_invariants.ELECTION_SAFETY,))
        for trial in SUBJECTS["raft"].trials(wrong_raft.ForgetsItsVote)
    ]
    report = fuzz_trial(trials, range(58, 62), until_violation=True)
    assert report.property == "ElectionSafety"
    assert "both became leader of term" in report.explanation


def test_a_handler_that_raises_is_a_violation_with_its_seed():
    class Fragile(Heart):
        def on_beat(self, src, m):
            raise RuntimeError("disk full")

    report = fuzz(lambda: [Fragile("a", friend="b"), Heart("b", friend="a")], seeds=(7,))

    assert report.property == "every handler succeeds"
    assert report.seed == 7
    assert "raised RuntimeError (disk full) while handling Beat(number=" in report.explanation
    assert report.trace.of("error")


# --- a seed is a run --------------------------------------------------------------------------


def test_a_seed_is_the_same_run_with_its_own_schedule_and_another_with_none():
    seeded = partial(
        run_seed, partial(Raft.group, 3), seed=3, clients=StoreClients(), spec=KeyValue()
    )
    first, second = seeded(), seeded()
    assert first.trace.digest() == second.trace.digest()
    assert seeded(schedule=first.schedule).trace.digest() == first.trace.digest()

    quiet = seeded(schedule=[])
    assert quiet.ok
    assert not quiet.schedule
    assert set(quiet.fired) <= {"heal"}
    assert quiet.history.ok()


def test_processes_say_what_one_says_in_the_order_of_the_seeds():
    trials = SUBJECTS["paxos"].trials()
    one, two = (fuzz_trial(trials, range(12), workers=n) for n in (1, 2))
    one.seconds = two.seconds = 0.0
    assert str(one) == str(two)
    assert one.as_json() == two.as_json()
    assert multiprocessing.active_children() == []


def test_what_only_this_process_knows_can_be_handed_to_another():
    class Odd(Heart):
        """Made in a function, so that nobody can import it."""

    few = always("Few", lambda world: all(node.beats < 5 for node in world.nodes))
    trial = Trial(lambda: [Odd("a", friend="b"), Odd("b", friend="a")], properties=(few,))
    (there,) = unpack(pack([trial]))
    assert there.run(1).violations == trial.run(1).violations != []


def test_a_property_that_stands_in_a_module_is_handed_over_by_its_name():
    (there,) = unpack(pack([Trial(hearts, properties=(raft_invariants.LEADER_ELECTED,))]))
    assert there.properties[0] is raft_invariants.LEADER_ELECTED


def test_what_cannot_be_handed_over_is_a_sentence():
    lock = threading.Lock()
    with pytest.raises(ScenarioError, match="cannot be handed to another process"):
        pack([Trial(lambda: [lock])])


def test_an_error_in_another_process_is_the_error_of_the_check():
    with pytest.raises(ScenarioError, match="there is no node 'z'"):
        fuzz(hearts, seeds=range(9), invoke=[("z", Beat(1))], workers=2)
    assert multiprocessing.active_children() == []


def test_an_interrupt_keeps_the_part_that_is_known_and_leaves_no_process(monkeypatch):
    monkeypatch.setattr("clusterlab.experiments.fuzz_report.PROGRESS_EVERY_S", 0.0)

    def press_ctrl_c(progress):
        if progress.seeds == 4:
            raise KeyboardInterrupt

    for workers in (1, 2):
        report = fuzz_trial(
            SUBJECTS["paxos"].trials(), range(1_000), workers=workers, progress=press_ctrl_c
        )
        assert report.interrupted
        assert not report.ok
        assert report.seeds == 4
        assert "INTERRUPTED after 4 of 1,000" in str(report)
        assert multiprocessing.active_children() == []


def test_a_seed_that_fails_ends_the_search_if_told_so():
    never = always("Never", lambda world: False)
    report = fuzz(hearts, seeds=range(5, 50), properties=never, until_violation=True)
    assert (report.seeds, report.failed) == (1, [5])


# --- properties -------------------------------------------------------------------------------


def test_a_property_sees_what_a_node_remembers_and_of_the_dead_what_is_on_disk():
    seen = []

    def look(world):
        seen.append((sorted(world.up), world["a"].beats, world["a"].heard))
        return True

    schedule = [(90, Kill("a")), (200, Restart("a"))]
    run_seed(hearts, seed=1, properties=always("Looks", look), schedule=schedule, storm_ms=300)

    assert (["a", "b"], 4, 3) in seen
    assert (["b"], 4, 0) in seen  # dead: the disk remembers, the memory is gone
    assert (["a", "b"], 4, 0) in seen  # back again


def test_a_property_is_asked_again_when_what_it_reads_has_changed():
    asked = Counter()

    def count(world):
        asked["beats"] += 1
        return all(node.beats >= 0 for node in world.nodes)

    run = run_seed(
        hearts, seed=1, properties=always("Counts", count, reads=("beats",)), schedule=[]
    )
    beats = len(run.trace.notes("beat"))
    assert asked["beats"] == beats + 1  # and once at the beginning


def test_a_property_that_reads_more_than_it_says_is_told_so():
    peeking = always("Peeks", lambda world: world["a"].heard >= 0, reads=("beats",))
    with pytest.raises(ScenarioError, match=r"reads heard of a.*add 'heard' to its `reads`"):
        run_seed(hearts, seed=1, properties=peeking)


def test_a_ghost_hears_notes():
    most = Ghost(0, lambda ghost, node, name, data: max(ghost, data) if name == "beat" else ghost)
    few = always("FewBeats", lambda world: world.ghost < 6, ghost=most, reads=())
    (violation,) = run_seed(hearts, seed=1, properties=few, schedule=[]).violations
    assert violation == ("FewBeats", "world.ghost = 6", 120.0)


def test_a_step_is_judged_by_the_node_before_and_after_it():
    steady = always_step("Steady", lambda old, new: new.beats <= old.beats + 1)
    assert run_seed(hearts, seed=1, properties=steady).ok

    few = always_step("Few", lambda old, new: not (old.beats == 2 and new.beats == 3))
    (violation,) = run_seed(hearts, seed=1, properties=few, schedule=[]).violations
    assert violation.explanation == "a: beats 2 -> 3"


@pytest.mark.parametrize("across", [True, False])
def test_death_is_a_step_for_who_asks_across_crashes(across):
    kept = always_step("Kept", lambda old, new: new.heard >= old.heard, across_crashes=across)
    run = run_seed(hearts, seed=1, properties=kept, schedule=[(100, Kill("a"))])
    assert run.ok is not across


def test_a_step_that_dies_half_way_keeps_what_it_saved():
    def told(effects):
        schedule = [(50, Kill("a", effects)), (90, Restart("a"))]
        run = run_seed(hearts, seed=1, schedule=schedule)
        return [note.data["data"] for note in run.trace.notes("beat") if note.node == "a"][:4]

    # Its third beat falls into the step in which it dies: saved, noted, not sent.
    assert told(0) == [1, 2, 3, 4]
    assert told(1) == [1, 2, 4, 5]
    assert told(2) == [1, 2, 3, 4]


def test_messages_on_their_way_can_be_looked_at():
    empty = always("Empty", lambda world: not world.messages, messages=("Beat",))
    (violation,) = run_seed(hearts, seed=1, properties=empty, schedule=[]).violations
    assert violation.at_ms == 20.0


def test_what_never_comes_is_a_violation_once_the_faults_have_stopped():
    hope = eventually("Rich", lambda world: world["a"].beats > 10_000, within_ms=700)
    run = run_seed(hearts, seed=1, properties=hope, storm_ms=500)
    (violation,) = run.violations
    assert violation.property == "Rich"
    assert violation.at_ms >= 1_200
    assert violation.explanation.startswith("700 ms after the faults had stopped: a.beats = ")


def test_peace_ends_a_partition_and_wakes_the_dead_and_the_paused():
    hope = eventually(
        "AllHear", lambda world: len(world.up) == 2 and all(n.heard > 20 for n in world.nodes)
    )
    schedule = [(10, Partition((("a",), ("b",)))), (100, Kill("a")), (200, Kill("b", 0))]
    run = run_seed(hearts, seed=1, properties=hope, schedule=schedule, storm_ms=300)
    assert run.ok, run.violations
    assert 300 < run.reached["AllHear"] < 2_000


def test_who_can_be_spared_stays_dead_in_some_seeds():
    all_up = eventually("AllUp", lambda world: len(world.up) == 3, within_ms=100)
    report = fuzz(partial(Raft.group, 3), seeds=range(8), properties=all_up, storm_ms=0, spare=1)
    assert 0 < report.reached["AllUp"] < 8


def test_what_no_seed_reaches_makes_the_check_vacuous():
    rich = sometimes("rich", lambda world: world["a"].beats > 10_000)
    beaten = sometimes("beaten", lambda world: world["a"].beats > 3, reads=("beats",))
    report = fuzz(hearts, seeds=range(3), properties=[rich, beaten], storm_ms=200)
    assert not report
    assert report.never == ("rich",)
    assert report.reached == {"beaten": 3}
    assert str(report).startswith("VACUOUS: nothing was violated, but rich never happened")


def test_what_is_wrong_with_the_first_steps_is_in_the_report():
    class Hasty(Heart):
        friends: set[str] = volatile({"b", "c", "d"})

        def on_tick(self, t):
            super().on_tick(t)
            self.note("first", next(iter(self.friends)))

    report = fuzz(lambda: [Hasty("a", friend="b"), Heart("b", friend="a")], seeds=(1,))
    assert not report.ok
    assert "Hasty.on_tick depends on the order of a set" in report.hygiene[0]


# --- what cannot be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seeds": ()}, "there is no seed to run"),
        ({"seeds": (1,), "workers": 0}, "workers=0 run nothing"),
        ({"seeds": (1,), "storm_ms": -1}, "a storm lasts 0 ms or more"),
        ({"seeds": (1,), "spare": -1}, "0 or more nodes can be spared"),
        ({"seeds": (1,), "properties": always("Odd", lambda world: None)}, "Odd returned None"),
        ({"seeds": (1,), "properties": always("Odd", lambda w: w["a"].x)}, "Odd raised Attribute"),
        ({"seeds": (1,), "invoke": [("z", Beat(1))]}, "there is no node 'z'"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(options, sentence):
    with pytest.raises(ScenarioError, match=sentence):
        fuzz(hearts, **options)


def test_a_schedule_that_names_nobody_is_refused():
    with pytest.raises(UnknownNode, match="there is no node 'x'"):
        run_seed(hearts, seed=1, schedule=[(1, Kill("x"))])


# --- the swarm --------------------------------------------------------------------------------


def test_a_swarm_draws_only_faults_that_can_be_and_leaves_some_out():
    servers, clients = ("n1", "n2", "n3"), ("c1", "c2")
    kinds = []
    for seed in range(60):
        random = Random(seed)
        swarm = Swarm.draw(random)
        schedule = swarm.schedule(random, servers, clients, until_ms=2_000)
        assert [at for at, _ in schedule] == sorted(at for at, _ in schedule)
        for _, fault in schedule:
            check_fault(fault, servers, clients)
        assert all(fault.about not in clients for _, fault in schedule)
        kinds.append(frozenset(fault.kind for _, fault in schedule))
    for kind in ("kill", "pause", "partition", "isolate", "skew"):
        assert 5 < sum(kind in some for some in kinds) < 55, kind


def test_weather_sets_in_again_after_a_heal():
    swarm = Swarm(("partition",), (50, 100), loss=0.3)
    schedule = swarm.schedule(Random(1), ("n1", "n2", "n3"), until_ms=1_000)
    kinds = [fault.kind for _, fault in schedule]
    assert kinds.count("heal") > 0
    assert kinds.count("link") == 6 * (1 + kinds.count("heal"))


def test_a_cluster_that_is_made_whole_has_clocks_that_agree():
    sim = Simulation(hearts())
    sim.apply(Skew("a", offset_ms=500, rate=2.0))
    make_whole(sim)
    make_whole(sim)
    assert [event.data["rate"] for event in sim.trace.of("skew")] == [2.0, 1.0]
