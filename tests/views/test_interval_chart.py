"""The chart of a verdict: what is drawn where, what is left out, and that text stays text."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from clusterlab.check.linearizability import check_linearizability
from clusterlab.check.sequential import check_sequential
from clusterlab.check.sessions import check_sessions
from clusterlab.check.tallies import check_ids
from clusterlab.check.verdict import Verdict
from clusterlab.core.errors import TraceError
from clusterlab.core.history import History, Operation
from clusterlab.core.spec import CompareAndSet, Get, KeyValue, Put
from clusterlab.core.trace import Trace
from clusterlab.views import show
from clusterlab.views.interval_chart import IntervalChart
from clusterlab.views.intervals import chart_of
from tests.check.histories import made_stale, op, recorded

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<img src=x onerror=alert(1)>\"'&]]>\x00\ud800"


def faults() -> Trace:
    """A cut that heals, a death until the restart, a skewed clock."""
    trace = Trace()
    trace.append(18, None, "partition", {"groups": (("n1", "n2"), ("n3",))})
    trace.append(30, "n3", "skew", {"offset_ms": 5, "rate": 1.0})
    trace.append(44, "n1", "kill", {"effects": None})
    trace.append(62, "n1", "restart", {"disk": "keep"})
    trace.append(78, None, "heal", {})
    return trace


@pytest.fixture
def history() -> History:
    operations = [
        op("c1", Put("x", 1), 0, 12),
        op("c2", Put("x", 2), 6, 30),
        op("c3", Get("x"), 8, 20, 1),
        op("c1", Get("x"), 22, 40, 2),
        op("c3", CompareAndSet("x", 2, 3), 34, 52, True),
        op("c2", Put("x", 9), 38, None, None, "info"),
        op("c4", Get("x"), 56, 70, 3),
        op("c1", Get("x"), 60, 76, 2),
        op("c3", Put("x", 4), 80, 90),
        op("c2", Put("x", 7), 82, 93, None, "fail"),
    ]
    return History(operations, faults().events)


def drawn(verdict: Verdict) -> ET.Element:
    return ET.fromstring(show(verdict).svg())


def bars(svg: ET.Element) -> dict[str, int]:
    """How many operations have each style."""
    styles = [g.get("class", "") for g in svg.iter(f"{SVG}g")]
    found = [style.removeprefix("operation ") for style in styles if style.startswith("operation")]
    return {style: found.count(style) for style in found}


def texts(svg: ET.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def test_what_fits_nowhere_is_marked_and_the_order_is_numbered(history: History) -> None:
    verdict = check_linearizability(history, KeyValue())
    svg = drawn(verdict)
    assert bars(svg) == {"placed": 6, "later": 2, "misfit": 1, "failed": 1}
    words = texts(svg)
    assert {"1", "2", "3", "4", "5", "6", "c1", "c2", "c3", "c4"} <= set(words)
    assert "Get('x') → 2, not 3" in words
    assert "Put('x', 7) failed" in words
    assert svg.get("aria-label") == str(verdict)
    assert any(word.startswith("not linearizable at 'x': c1 Get") for word in words)
    assert {"fits nowhere", "nobody knows its end", "did not happen"} <= set(words)


def test_the_faults_of_the_run_are_strips_as_long_as_they_lasted(history: History) -> None:
    verdict = check_linearizability(history, KeyValue())
    assert {"cut n1 n2 | n3", "n1 dead", "clock of n3 skewed", "faults"} <= set(
        texts(drawn(verdict))
    )
    chart = chart_of(verdict)
    assert chart is not None
    assert [(s.words, s.start_ms, s.end_ms) for s in chart.faults] == [
        ("cut n1 n2 | n3", 18, 78),
        ("clock of n3 skewed", 30, None),
        ("n1 dead", 44, 62),
    ]


def test_each_number_stands_inside_its_bar_and_they_follow_in_time(history: History) -> None:
    chart = chart_of(check_linearizability(History(history.operations[:7]), KeyValue()))
    assert chart is not None
    placed = sorted((b for b in chart.bars if b.number is not None), key=lambda b: b.number or 0)
    moments = [bar.moment_ms or 0.0 for bar in placed]
    assert moments == sorted(moments)
    assert len(set(moments)) == len(moments) == 6
    for bar in placed:
        assert bar.operation.invoked_ms <= (bar.moment_ms or 0.0) <= bar.end_ms(chart.last_ms)


def test_what_nobody_knows_the_end_of_runs_off_to_the_right_in_a_lane_of_its_own() -> None:
    lost, later = op("c", Put("x", 1), 0, None, None, "info"), op("c", Get("x"), 10, 20, 1)
    chart = chart_of(check_linearizability([lost, later], KeyValue()))
    assert chart is not None
    assert [bar.lane for bar in chart.bars] == [0, 1]
    assert chart.rows == {"c": 2}
    assert chart.bars[0].end_ms(chart.last_ms) == chart.last_ms
    dashed = [p for p in drawn(chart.verdict).iter(f"{SVG}path") if p.get("stroke-dasharray")]
    assert dashed


def test_a_session_guarantee_shows_the_operations_that_break_it() -> None:
    history = [
        op("a", Put("x", 1), 0, 5),
        op("b", Get("x"), 10, 15, 1),
        op("b", Get("x"), 20, 25, None),
        op("d", Get("x"), 20, 25, 1),
    ]
    svg = drawn(check_sessions(history))
    assert bars(svg) == {"because": 2, "misfit": 1, "judged": 1}
    assert "where it shows" in texts(svg)


def test_an_order_that_time_does_not_allow_is_drawn_all_the_same() -> None:
    stale = [op("p", Put("x", 1), 0, 10), op("q", Get("x"), 20, 30, None)]
    verdict = check_sequential(stale, KeyValue())
    chart = chart_of(verdict)
    assert chart is not None
    assert [(bar.number, bar.moment_ms) for bar in chart.bars] == [(2, 5.0), (1, 25.0)]
    assert bars(drawn(verdict)) == {"placed": 2}


def test_of_a_long_history_what_is_near_the_misfit_is_shown() -> None:
    verdict = check_linearizability(made_stale(recorded(7, unknown=0.05), 0.7), KeyValue())
    chart = chart_of(verdict)
    assert chart is not None
    assert len(chart.bars) == 32
    assert any(bar.style == "misfit" for bar in chart.bars)
    assert {bar.operation.call.key for bar in chart.bars} == {verdict.part}  # type: ignore[attr-defined]
    assert "32 of 2,000 operations are shown." in texts(drawn(verdict))


def test_text_from_a_history_is_never_markup() -> None:
    hostile: list[Operation] = [
        op(HOSTILE, Put(HOSTILE, HOSTILE), 0, 10),
        op("c2", Get(HOSTILE), 20, 30, HOSTILE + "2"),
    ]
    trace = Trace()
    trace.append(5, HOSTILE, "pause", {})
    verdict = check_linearizability(History(hostile, trace.events), KeyValue())
    svg = drawn(verdict)
    known = ["svg", "title", "defs", "pattern", "rect", "path", "g", "circle", "text"]
    assert {part.tag.removeprefix(SVG) for part in svg.iter()} <= set(known)
    assert all(not name.startswith("on") for part in svg.iter() for name in part.attrib)
    assert any("<img" in text for text in texts(svg))


@pytest.mark.parametrize(
    "operations",
    [
        [op("c", Get("x"), 5, 5, None)],
        [op("c", Get("x"), 0, None, None, "info")],
        [op("c", Get("x"), 1e12, 1e12 + 1e-3, 3)],
    ],
    ids=["no time", "never returned", "a moment long ago"],
)
def test_odd_times_are_drawn(operations: list[Operation]) -> None:
    assert bars(drawn(check_linearizability(operations, KeyValue())))


def test_without_a_history_there_is_the_sentence() -> None:
    words = texts(drawn(check_ids([])))
    assert words == ["unknown: no operation has returned an id."]
    assert show(check_ids([])).text() == "unknown: no operation has returned an id."


def test_in_letters(history: History) -> None:
    verdict = check_linearizability(history, KeyValue())
    lines = show(verdict).text().splitlines()
    assert lines[0] == str(verdict)
    assert lines[1] == "    fault: cut n1 n2 | n3, 18 to 78 ms"
    assert re.fullmatch(r"c1  \[=+1=+\] +\[=+4=+\] +\[X+\]", lines[4])
    assert re.fullmatch(r"c2 +\[=+3=+\] +\[~+>", lines[5])
    assert lines[-1].strip().startswith("0 to 9")


def test_a_notebook_shows_the_picture_of_a_verdict(history: History) -> None:
    verdict = check_linearizability(history, KeyValue())
    bundle = verdict._repr_mimebundle_()
    assert bundle["text/plain"] == str(verdict)
    assert bundle["image/svg+xml"] == show(verdict).svg()
    assert set(Verdict(True, "fine")._repr_mimebundle_()) == {"text/plain"}
    assert "text/plain" in show(verdict)._repr_mimebundle_()


def test_judging_alone_loads_no_views() -> None:
    code = (
        "import sys, clusterlab.check.linearizability as c; from clusterlab.core.spec import *; "
        "c.check_linearizability([], KeyValue()); print('clusterlab.views' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_picture_is_saved(history: History, tmp_path: Path) -> None:
    chart: Any = show(check_linearizability(history, KeyValue()))
    assert isinstance(chart, IntervalChart)
    path = chart.save_svg(tmp_path / "chart.svg")
    assert path.read_text(encoding="utf-8") == chart.svg()
    with pytest.raises(TraceError, match="cannot write the picture"):
        chart.save_svg(tmp_path / "no" / "chart.svg")
