"""The zoo: quick hunts catch what they must, the healthy stay silent, and the score is honest."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.invariants import raft as invariants
from clusterlab.check.properties import always, sometimes
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Message, Node, Timer, volatile
from clusterlab.core.trace import Trace
from clusterlab.lessons import zoo
from clusterlab.lessons.mutants import Caught, Mutant
from clusterlab.lessons.mutants import raft_election as election
from clusterlab.lessons.mutants import raft_replication as replication
from clusterlab.lessons.mutants.hunts import by_prefix, by_search, by_seeds, fires
from clusterlab.lessons.mutants.raft_worlds import firing, servers, up_to
from clusterlab.protocols.raft import ElectionTimeout, Raft

RAFTS = {mutant.name: mutant for mutant in (*election.MUTANTS, *replication.MUTANTS)}
SLOW = {"R8", "R15", "R19", "R22", "R24b"}
"""`make zoo` hunts these; a test of them would take a second and more."""
SMALL = {"R1", "R2", "R4", "R5", "R6", "R10", "R11", "R17", "R20", "R21", "R23", "R24"}
"""The healthy class has few states in these worlds."""


def test_the_zoo_has_every_bug_of_elections_and_replication() -> None:
    names = [f"R{number}" for number in (*range(1, 12), *range(15, 25))] + ["R24b"]
    assert [name for name in zoo.find_mutants() if name in RAFTS] == names


def test_a_mutant_overrides_and_copies_nothing() -> None:
    for mutant in RAFTS.values():
        assert mutant.broken.__bases__ == (mutant.healthy,) == (Raft,)
        own = {*vars(mutant.broken), *inspect.get_annotations(mutant.broken)}
        assert len({name for name in own if not name.startswith("_")}) == 1, mutant.name


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RAFTS.keys() - SLOW))
def test_a_wrong_raft_is_caught(name: str) -> None:
    mutant = RAFTS[name]
    caught = mutant.hunt(mutant.broken, None)
    assert caught.property == mutant.caught_by
    assert caught.trace is not None
    assert not zoo.is_longer(mutant, caught)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_right_raft_is_silent_in_the_same_whole_world(name: str) -> None:
    mutant = RAFTS[name]
    silence = mutant.hunt(mutant.healthy, None)
    assert (silence.property, silence.trace) == (None, None)
    assert silence.covered.endswith("the whole world")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "world"),
    [
        (3, {"bound": up_to(1, 1), "timers": firing(2), "crashes": 1}),
        (2, {"bound": up_to(2, 2), "timers": firing(2, 2)}),
        (2, {"bound": up_to(2, 2), "timers": firing(2), "crashes": 1, "restarts": "keep"}),
    ],
)
def test_the_right_raft_keeps_every_promise_in_small_worlds(
    size: int, world: dict[str, Any]
) -> None:
    report = explore(
        Raft.group(size),
        properties=(*invariants.SAFETY, election.VOTE_IDEMPOTENT, *replication.HAPPENS),
        **world,
    )
    assert report.ok, report


@pytest.mark.parametrize("name", ["R8", "R9", "R15"])
def test_the_right_raft_can_follow_each_prefix(name: str) -> None:
    prefix, make, small = {
        "R8": (election.R8_PREFIX, election.servers_and_a_client, {"invoke": election.WRITE}),
        "R9": (election.R9_PREFIX, election.servers_and_a_client, {"invoke": election.WRITE}),
        "R15": (replication.FIGURE_8, servers(3, entries_max=1), {}),
    }[name]
    report = explore(make(Raft), after=prefix, depth_max=0, properties=invariants.SAFETY, **small)
    assert report.verdict == "not finished", "nothing is wrong at the end of the prefix"
    assert report.states == 1


# --- builders ------------------------------------------------------------------------------------


class Tick(Timer):
    """Once more."""


class Hop(Message):
    """From one to the other."""


class Counts(Node):
    """Counts its ticks, and stops at two; tells the other of each."""

    other: str
    ticks: int = volatile(0)
    hops: int = volatile(0)

    def on_start(self) -> None:
        self.set_timer(Tick(), 10)

    def on_tick(self, t: Tick) -> None:
        if self.ticks < self.most():
            self.ticks += 1
            self.send(self.other, Hop())
            self.set_timer(Tick(), 10)

    def on_hop(self, src: str, m: Hop) -> None:
        self.hops += 1

    def most(self) -> int:
        return 2


class CountsOn(Counts):
    def most(self) -> int:
        return 4


class Forbidden(Counts):
    """Does something else whenever it is run."""

    runs = 0

    def most(self) -> int:
        type(self).runs += 1
        self.note("runs", self.runs)
        return 4


FEW = always("FewTicks", lambda world: all(node.ticks <= 2 for node in world.nodes))
TICKS = sometimes("it ticks", lambda world: world["a"].ticks > 0)


def pair(node: type[Any]) -> list[Node]:
    return [node("a", other="b"), node("b", other="a")]


WORLD: dict[str, Any] = {"properties": (FEW, TICKS), "network": "multiset", "timers": 6}
SEARCH = by_search(pair, **WORLD)


def toy(**changes: Any) -> Mutant:
    mutant = Mutant("T1", "counts on", "nowhere", CountsOn, Counts, "FewTicks", SEARCH, depth=3)
    return dataclasses.replace(mutant, **changes)


def test_a_search_finds_the_shortest_run_and_says_what_silence_means() -> None:
    caught, silence = SEARCH(CountsOn, None), SEARCH(Counts, None)
    assert (caught.property, caught.checker, caught.depth) == ("FewTicks", "search", 3)
    assert silence.property is None
    assert silence.covered == f"{silence.states:,} states, the whole world"


def test_what_a_prefix_did_in_vain_is_left_out_of_the_run() -> None:
    detour = [fires("b", Tick()), fires("a", Tick())]
    caught = by_prefix(pair, detour, **WORLD)(CountsOn, None)
    assert (caught.checker, caught.depth) == ("prefix", 3)
    assert caught.trace is not None
    assert {event.node for event in caught.trace.of("fire")} == {"a"}


def test_a_prefix_that_cannot_be_is_told() -> None:
    with pytest.raises(ScenarioError, match="after 0 moves, a fires ElectionTimeout"):
        by_prefix(pair, [fires("a", ElectionTimeout())], **WORLD)(Counts, None)


def test_a_hunt_in_which_nothing_happens_is_told() -> None:
    with pytest.raises(ScenarioError, match="it ticks never happened, so this hunt says nothing"):
        by_search(pair, **{**WORLD, "timers": 0})(Counts, None)


def test_a_run_that_does_not_replay_is_no_proof() -> None:
    with pytest.raises(ScenarioError, match=r"does not replay .* see with check.hygiene"):
        by_search(pair, **WORLD)(Forbidden, None)


@pytest.mark.slow
def test_seeds_see_that_a_leader_is_stuck_and_are_shrunk_to_the_faults_it_needs() -> None:
    hunt = by_seeds(replication.storm_and_peace, range(20))
    caught, silence = hunt(replication.StopsAtAnOldTerm, None), hunt(Raft, None)
    assert (caught.property, caught.checker) == ("Converges", "seeds")
    assert "committed" in caught.explanation
    assert caught.trace is not None
    assert "kill" in caught.trace.fired()
    assert sum(caught.trace.fired().values()) < 10
    assert (silence.property, silence.covered) == (None, "20 seeds")


# --- the score -----------------------------------------------------------------------------------


def accused(node: type[Node], progress: Callable[[str], None] | None) -> Caught:
    """A hunt that accuses everybody."""
    return Caught("FewTicks", "too many", "search", 3, 5, 0.0, Trace(), "5 states")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"broken": Counts}, "alive: nothing was found in 81 states, the whole world"),
    ({"caught_by": "NoTicks"}, "FewTicks was violated, and not NoTicks"),
    ({"depth": 2}, "its run has 3 events, and the published one 2"),
    ({"hunt": accused}, "false alarm: Counts is said to violate FewTicks (too many)"),
    ({"hunt": by_search(pair, **{**WORLD, "timers": 0})}, "it ticks never happened"),
]


@pytest.mark.parametrize(("changes", "complaint"), WRONG, ids=lambda value: str(value)[:20])
def test_the_zoo_fails_if(
    changes: dict[str, Any], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zoo.main([], {"T1": toy(**changes)}) == 1
    out = capsys.readouterr().out
    assert complaint in out
    assert "0 of 1 mutants killed" in out


def test_the_zoo_fails_if_a_kill_takes_too_long() -> None:
    slow = dataclasses.replace(accused(Counts, None), seconds=61.0)
    silent = dataclasses.replace(slow, property=None, seconds=1.0)
    mutant = toy(hunt=lambda node, progress: slow if node is CountsOn else silent)
    assert zoo.hunt(mutant).complaints == ("it took 61 s of CPU, and not 60 s at most",)
    assert zoo.hunt(mutant, seconds=70).killed


def test_the_zoo_is_in_order_if_all_are_killed_and_nobody_else_is_accused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert zoo.main(["T1", "--traces", str(tmp_path / "runs")], {"T1": toy()}) == 0
    out = capsys.readouterr().out
    assert "T1" in out
    assert "3 / 3" in out
    assert "1 of 1 mutants killed" in out
    assert "no false alarm" in out
    assert len(Trace.load(tmp_path / "runs" / "T1.jsonl").of("fire")) == 3


def test_the_zoo_tells_whom_it_hunts_and_how_far_the_hunt_is() -> None:
    def hunt(node: type[Node], progress: Callable[[str], None]) -> Caught:
        progress("5 states, depth 3")
        return accused(node, progress)

    lines: list[str] = []
    zoo.hunt(toy(hunt=hunt), say=lines.append)
    assert lines == ["broken: 5 states, depth 3", "healthy: 5 states, depth 3"]


def test_ctrl_c_shows_what_is_known_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(node: type[Node], progress: Callable[[str], None] | None) -> Caught:
        raise KeyboardInterrupt

    both = {"T1": toy(), "T2": toy(name="T2", hunt=interrupted)}
    assert zoo.main([], both) == 130
    out = capsys.readouterr().out
    assert "1 of 2 mutants killed" in out
    assert "Interrupted: 1 were not hunted to the end" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["R111"], "there is no mutant 'R111'; there are R1, R2, R11. Did you mean R11?"),
        (["--seconds", "0"], "--seconds 0: give a hunt more than 0 seconds."),
        (["--traces", "{file}"], "name a folder that you can write to."),
    ],
)
def test_wrong_usage_is_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    known = {name: RAFTS[name] for name in ("R1", "R2", "R11")}
    words = [word.format(file=tmp_path / "file") for word in arguments]
    assert zoo.main(words, known) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
