"""The command line, without Ray and without a browser."""

from __future__ import annotations

import json

import pytest

from clusterlab import cli
from clusterlab.core.errors import EngineUnavailable
from clusterlab.core.trace import Trace
from clusterlab.experiments import CATALOGUE
from clusterlab.experiments.base import Check
from clusterlab.experiments.raft_failover import RaftFailover


def test_a_run_tells_its_story_and_exits_0(capsys):
    assert cli.main(["run", "raft-failover", "--seed", "4"]) == 0
    told = capsys.readouterr().out
    assert "is elected leader" in told
    assert "the network is cut" in told
    assert "held" in told
    assert "Faults that struck: " in told


def test_json_is_all_that_is_printed(capsys):
    assert cli.main(["run", "raft-failover", "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["passed"] is True
    assert outcome["faults"]["kill"] > 0
    assert {check["name"] for check in outcome["checks"]} >= {"one leader a term"}


def test_several_seeds_end_in_a_sum(capsys):
    assert cli.main(["run", "raft-failover", "--seeds", "3"]) == 0
    told = capsys.readouterr().out
    assert "seed 2: passed" in told
    assert "Faults that struck in 3 runs" in told
    assert "All 3 seeds passed." in told


def test_the_trace_is_saved_and_reads_back(tmp_path, capsys):
    file = tmp_path / "run.jsonl"
    assert cli.main(["run", "raft-failover", "--trace", str(file)]) == 0
    assert Trace.load(file).notes("leader")
    assert not list(tmp_path.glob("*.part"))


def test_a_page_is_saved(tmp_path, capsys):
    file = tmp_path / "run.html"
    assert cli.main(["run", "raft-failover", "--html", str(file)]) == 0
    assert "<html" in file.read_text()[:500]


def test_a_broken_promise_exits_1_and_says_how_to_see_it_again(monkeypatch, capsys):
    class Broken(RaftFailover):
        def checks(self, cluster):
            return [Check("water is wet", False, "it was dry")]

    monkeypatch.setitem(CATALOGUE, "raft-failover", Broken)
    assert cli.main(["run", "raft-failover", "--seed", "9"]) == cli.FAILED
    told = capsys.readouterr().out
    assert "BROKEN" in told
    assert "it was dry" in told
    assert "--seed 9 --trace" in " ".join(told.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "raft-fail"], "there is no experiment 'raft-fail'; there are raft-failover"),
        (["run", "raft-failover", "--trace", "no/such/x.jsonl"], "no/such is no folder"),
        (["run", "raft-failover", "--seeds", "0"], "runs nothing"),
        (["lab", "99"], "no lab begins with '99'"),
    ],
)
def test_wrong_words_are_one_sentence_and_exit_2(arguments, sentence, capsys):
    assert cli.main(arguments) == cli.USAGE
    said = " ".join(capsys.readouterr().err.split())
    assert sentence in said
    assert "Traceback" not in said


def test_an_engine_that_cannot_start_is_a_sentence(monkeypatch, capsys):
    def run(self, **options):
        raise EngineUnavailable("Ray is not installed: run `make setup`.")

    monkeypatch.setattr(RaftFailover, "run", run)
    assert cli.main(["run", "raft-failover", "--engine", "live"]) == cli.USAGE
    assert "Ray is not installed: run `make setup`." in capsys.readouterr().err


def test_an_interruption_exits_130_with_one_line(monkeypatch, capsys):
    def run(self, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(RaftFailover, "run", run)
    assert cli.main(["run", "raft-failover"]) == cli.INTERRUPTED
    assert capsys.readouterr().err.startswith("Interrupted")


def test_experiments_are_listed_with_their_questions(capsys):
    assert cli.main(["experiments"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for name in CATALOGUE:
        assert name in told
    assert "is any acknowledged write lost?" in told


def test_the_doctor_reports(capsys):
    assert cli.main(["doctor"]) in (0, cli.FAILED)
    assert "Python" in capsys.readouterr().out


def test_all_experiments_run_one_after_the_other(monkeypatch, capsys):
    for name in list(CATALOGUE):
        if name != "split-brain-witness":
            monkeypatch.delitem(CATALOGUE, name)
    assert cli.main(["run", "all", "--seeds", "2"]) == 0
    assert "split-brain-witness: 2 of 2 passed" in capsys.readouterr().out
    one = CATALOGUE["split-brain-witness"]
    monkeypatch.setattr(one, "checks", lambda self, cluster: [Check("no", False, "")])
    assert cli.main(["run", "all"]) == cli.FAILED
    told = capsys.readouterr().out
    assert "split-brain-witness: 0 of 1 passed" in told
    assert "clusterlab run split-brain-witness --engine sim --seed 0" in told


def test_a_trace_is_of_one_run(tmp_path, capsys):
    assert cli.main(["run", "all", "--trace", str(tmp_path / "x")]) == cli.USAGE
    assert "name one experiment" in capsys.readouterr().err
