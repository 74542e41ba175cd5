"""The benchmark compares like with like, and can tell what it found."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

import tests.bench
from tests.bench import heartbeats
from tests.bench.failover import gap_after
from tests.bench.figures import Comparison, Measured, Section, Target, digits, percentile, table
from tests.bench.machine import ROOT

BEATS = 7


def test_both_simulators_deliver_the_same_messages() -> None:
    pytest.importorskip("simpy", reason="the peers of the benchmark are an extra of their own")
    traced, bare = heartbeats.ours(BEATS, record=True), heartbeats.ours(BEATS, record=False)
    simpy = heartbeats.simpy(BEATS)
    assert traced.delivered == bare.delivered == simpy.delivered == heartbeats.expected(BEATS)
    assert heartbeats.expected(BEATS) == 7 * 5 * 4 * 2


def test_a_ratio_is_that_of_neighbours_in_time() -> None:
    # The machine was three times as slow in the last two rounds, for both.
    line = Comparison(
        "x", "1/s", Measured((60.0, 20.0, 22.0)), "peer", Measured((30.0, 10.0, 10.0))
    )
    assert line.ratio == 2.0


def test_a_target_is_of_our_figure_or_of_the_ratio() -> None:
    ours, peer = Measured((8.0,)), Measured((1.0,))
    at_most = Target("ratio", 10, at_least=False)
    assert Comparison("x", "ms", ours, "peer", peer, at_most).met is True
    assert (
        Comparison("x", "ms", ours, "peer", peer, Target("ratio", 10, at_least=True)).met is False
    )
    assert Comparison("x", "ms", ours, target=at_most).met is None
    assert Comparison("x", "ms", ours, target=Target("ours", 8, at_least=True)).met is True


def test_a_missed_target_and_what_was_left_out_are_told() -> None:
    line = Comparison("speed", "1/s", Measured((5.0,)), target=Target("ours", 9, at_least=True))
    section = Section("Part", [line], notes=["so"], skipped=["SimPy, which is not installed."])
    console = Console(file=StringIO(), width=120)
    console.print(table(section))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "≥ 9 MISSED" in shown
    assert "Left out: SimPy, which is not installed." in shown
    assert json.loads(json.dumps(section.as_json()))["lines"][0]["met"] is False


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (173449.2, "173,000"),
        (8.3041, "8.3"),
        (0.0213, "0.0213"),
        (20, "20"),
        (0, "0"),
        (1e-5, "0.00001"),
    ],
)
def test_numbers_are_shown_with_three_digits(value: float, text: str) -> None:
    assert digits(value) == text


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert percentile([5, 1, 3], 0.5) == 3
    assert percentile([5], 0.99) == 5


def test_the_gap_is_the_longest_that_ends_after_the_kill() -> None:
    before, during, after = [0.0, 3.0], [3.4], [3.5, 3.6]
    assert gap_after(before + during + after, killed_s=3.05) == 0.4
    with pytest.raises(TimeoutError, match="no write was acknowledged"):
        gap_after(before, killed_s=3.05)


def test_importing_the_benchmark_starts_and_needs_nothing() -> None:
    names = [f"tests.bench.{m.name}" for m in pkgutil.iter_modules(tests.bench.__path__)]
    assert "tests.bench.heartbeats" in names
    for name in names:
        importlib.import_module(name)
    heavy = {"ray", "simpy", "pysyncobj", "playwright"}
    code = f"import sys, {', '.join(names)}; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
    assert not done.stderr


def test_an_unknown_part_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--only", "simm"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    known = "sim, memory, live, death, kills, lab, pictures, check, world"
    assert f"--only knows {known}, not simm" in done.stderr
