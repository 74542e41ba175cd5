"""`clusterlab check`: exit codes, sentences, the report, and what is left behind."""

from __future__ import annotations

import json
import multiprocessing

import pytest

from clusterlab import cli
from clusterlab.check.invariants import raft
from clusterlab.core.trace import Trace
from clusterlab.experiments.scenario import play_scenario
from tests.protocols.test_raft_mutants import ForgetsItsVote

ALONE = ["--workers", "1"]


def test_promises_that_hold_are_told_with_what_struck(capsys):
    assert cli.main(["check", "paxos", "--seeds", "6", *ALONE]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "HELD in all 6 seeds." in told
    assert "Faults that struck: " in told
    assert "Operations: ok " in told
    assert "Decides 6" in told
    assert "Run: 6 seeds" in told


def test_a_class_of_ones_own_is_caught_and_its_run_saved(tmp_path, capsys):
    what = "tests.protocols.test_raft_mutants:ForgetsItsVote"
    arguments = ["check", what, "--seeds", "2", "--nodes", "3", "--save", str(tmp_path / "runs")]
    assert cli.main([*arguments, *ALONE]) == cli.FAILED

    told = " ".join(capsys.readouterr().out.split())
    assert "VIOLATED by 2 of 2 seeds" in told
    assert "MonotonicAcrossRestarts (2 of 2 seeds, first 0): in term" in told
    assert f"check {what} --nodes 3 --first-seed 0 --seeds 1" in told
    (saved,) = (tmp_path / "runs").iterdir()
    assert saved.name == "tests.protocols.test_raft_mutants.ForgetsItsVote-0.jsonl"
    trace = Trace.load(saved)
    assert trace.of("kill")
    assert trace.meta["seed"] == 0


@pytest.mark.slow
def test_the_seed_that_fails_comes_back_as_the_shortest_run(tmp_path, capsys):
    what = "tests.protocols.test_raft_mutants:ForgetsItsVote"
    arguments = ["check", what, "--seeds", "1", "--nodes", "3", "--save", str(tmp_path), "--shrink"]
    assert cli.main([*arguments, *ALONE]) == cli.FAILED

    told = " ".join(capsys.readouterr().out.split())
    assert " 1 of " in told
    assert " faults are needed." in told
    assert "n3 dies" in told or "n1 dies" in told or "n2 dies" in told
    assert "So MonotonicAcrossRestarts is violated: in term 1, the vote of" in told
    scenario = tmp_path / "tests.protocols.test_raft_mutants.ForgetsItsVote-0-shortest.txt"
    assert f"The scenario is in {scenario}" in told
    found = play_scenario(scenario, ForgetsItsVote.group(3), raft.SAFETY)
    assert found.violation is not None
    assert len(found.path) == 2
    assert Trace.load(scenario.with_suffix(".jsonl")).digest() == found.trace.digest()


def test_json_is_the_report_and_nothing_else(capsys):
    assert cli.main(["check", "paxos", "--seeds", "3", "--first-seed", "5", "--json", *ALONE]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["seeds"] == 3
    assert report["broken"] == report["failed"] == []
    assert report["trace"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["paxoss"], "Did you mean paxos?"),
        (["paxos", "--seeds", "0"], "--seeds 0 runs nothing"),
        (["paxos", "--workers", "0"], "workers=0 run nothing"),
        (["paxos", "--nodes", "0"], "a cluster of 0 servers is none"),
        (["no_such_module:Raft"], "cannot import no_such_module"),
        (["clusterlab.protocols.raft:Rafft"], "no Node class in clusterlab.protocols.raft 'Rafft'"),
        (["clusterlab.core.errors:Raft"], "clusterlab.core.errors has no Node class"),
        (["clusterlab.protocols.client:Client"], "say which it speaks with --like raft"),
        (["clusterlab.protocols.client:Client", "--like", "raft"], "Client has no group(size)"),
        (["clusterlab.protocols.client:Client", "--like", "raf"], "Did you mean raft?"),
        (["paxos", "--save", "README.md/runs"], "name a folder that you can write to"),
        (["paxos", "--address", "127.0.0.1:1"], "no Ray cluster answers at '127.0.0.1:1'"),
    ],
)
def test_wrong_words_are_one_sentence_and_exit_2(arguments, sentence, capsys):
    assert cli.main(["check", *arguments]) == cli.USAGE
    said = " ".join(capsys.readouterr().err.split())
    assert sentence in said
    assert "Traceback" not in said


def test_an_interrupt_tells_what_is_known_and_exits_130(monkeypatch, capsys):
    monkeypatch.setattr("clusterlab.experiments.fuzz_report.PROGRESS_EVERY_S", 0.0)
    monkeypatch.setattr("clusterlab.experiments.fuzz_report.LINE_EVERY_S", 0.0)

    def write(text):
        if text.startswith("3 of"):
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stderr.write", write)
    assert cli.main(["check", "paxos", "--seeds", "1000", "--workers", "2"]) == cli.INTERRUPTED
    assert "INTERRUPTED after 3 of 1,000." in " ".join(capsys.readouterr().out.split())
    assert multiprocessing.active_children() == []
