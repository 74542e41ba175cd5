"""What is shown of what was found: where it is violated, by whom, and how it came to that."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.invariants import raft
from clusterlab.check.report import Report
from clusterlab.core.errors import TraceError
from clusterlab.core.trace import Trace
from clusterlab.views import show
from clusterlab.views.finding import Finding, Found, named_in
from tests.check.test_story import TWO_LEADERS, ForgetsItsVote, play_scenario
from tests.views.conftest import Story


def two_leaders() -> Report:
    """As a search reports it; the path is a known one, so that nothing is searched."""
    played = play_scenario(TWO_LEADERS, ForgetsItsVote.group(3), raft.ELECTION_SAFETY)
    assert played.violation is not None
    name, explanation, _ = played.violation
    return Report(
        "violated", name, explanation, trace=played.trace, nodes=tuple(ForgetsItsVote.group(3))
    )


def test_a_report_is_opened_at_its_end_and_names_who_contradicts_whom() -> None:
    report = two_leaders()
    assert isinstance(report, Found)
    finding = Finding.of(report)
    assert finding is not None
    assert report.trace is not None
    assert (finding.property, finding.nodes) == ("ElectionSafety", ("n1", "n3"))
    assert finding.seq == len(report.trace) - 1
    assert [s["seq"] for s in finding.data()["sentences"]] == [
        sentence.seq for sentence in report.story().sentences
    ]


def test_a_trace_that_was_saved_with_its_violation_has_it_still(tmp_path: Path) -> None:
    report = two_leaders()
    assert report.trace is not None
    trace = Trace.load(report.trace.save(tmp_path / "found.jsonl"))
    assert Finding.of(trace) is None
    trace.meta |= {"property": report.property, "explanation": report.explanation}
    finding = Finding.of(trace)
    assert finding is not None
    assert finding.nodes == ("n1", "n3")
    assert finding.story.sentences


def test_where_no_node_is_named_it_is_that_of_the_last_event(story: Story) -> None:
    story.at(5).shows("n4", "leader", 1)
    story.trace.meta |= {"property": "P", "explanation": "it is not so"}
    finding = Finding.of(story.trace)
    assert finding is not None
    assert finding.nodes == ("n4",)


def test_names_are_whole_words(story: Story) -> None:
    assert named_in("n1, n20 and (n3) differ", story.trace) == ("n1", "n3")


def test_where_nothing_was_found_there_is_nothing_to_show() -> None:
    report = explore(ForgetsItsVote.group(1), properties=[raft.ELECTION_SAFETY], timers=0)
    with pytest.raises(TraceError, match="nothing was violated: print the report"):
        show(report)
