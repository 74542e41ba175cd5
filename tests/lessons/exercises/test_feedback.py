from __future__ import annotations

import pytest

from clusterlab import Acceptor
from clusterlab.check.story import Sentence, Story
from clusterlab.core.trace import Trace
from clusterlab.lessons.exercises import asking
from clusterlab.lessons.exercises.check import unwritten
from clusterlab.lessons.exercises.exercise import IDLE, every_schedule
from clusterlab.lessons.exercises.feedback import Feedback
from clusterlab.lessons.exercises.paxos import ACCEPTOR
from clusterlab.lessons.mutants.paxos_worlds import duel, wishes
from clusterlab.views import show
from clusterlab.views.finding import Finding


@pytest.fixture
def failing() -> Feedback:
    trace = Trace(servers=["a1"], clients=[])
    trace.append(0, "a1", "start", {})
    trace.append(20, "a1", "state", {"role": "acceptor"})
    story = Story((Sentence(1, "a1", "a1 accepts <red>."),), "So Agreement is violated.")
    return Feedback(
        "14/acceptor",
        False,
        "Agreement: l1 learned 'x'.",
        property="Agreement",
        explanation="l1 learned 'x'",
        trace=trace,
        told=story,
    )


@pytest.fixture
def displayed(monkeypatch):
    shown: list = []
    monkeypatch.setattr("IPython.display.display", lambda what, raw=False: shown.append(what))
    return shown


def test_a_notebook_shows_the_sentence_and_below_it_the_run_that_breaks_the_answer(
    failing, displayed
):
    failing._ipython_display_()
    text, picture = displayed
    assert "✗" in text["text/html"]
    assert "Agreement: l1 learned" in text["text/html"]
    assert "a1 accepts &lt;red&gt;" in text["text/html"]
    assert "a1 accepts <red>." in text["text/plain"]
    assert picture._trace is failing.trace


def test_the_picture_has_the_story_that_was_told_where_the_learners_class_is_known(failing):
    assert Finding.of(failing).story.sentences[0].text == "a1 accepts <red>."
    show(failing).close()


def test_a_passing_answer_has_no_picture(displayed):
    Feedback("14/acceptor", True, "", ("4 steps by hand",))._ipython_display_()
    (text,) = displayed
    assert "✓" in text["text/html"]
    assert "4 steps by hand" in text["text/html"]


@pytest.mark.parametrize("body", ["pass", "...", '"""Later."""', "return None", "return"])
def test_a_body_that_does_nothing_counts_as_not_written(body):
    written: dict = {}
    source = f"def on_prepare(self, src, m):\n    {body}\n"
    exec(source, written)  # noqa: S102 - bodies as a learner may write them
    answer = type("MyAcceptor", (Acceptor,), {"on_prepare": written["on_prepare"]})
    assert unwritten(ACCEPTOR, answer) == (
        "on_prepare is still empty: write what it does where the cell says so."
    )


def test_who_does_nothing_wrong_and_nothing_at_all_does_not_pass():
    class RefusesAll(Acceptor):
        def may_promise(self, ballot):
            return False

    look = ACCEPTOR.looks[0]
    finding = look(RefusesAll, lambda text: None)
    assert finding.broken == IDLE
    assert "it never happens that a value is chosen" in finding.explanation
    assert "which requests must it answer?" in finding.explanation


def test_a_world_that_never_ends_is_told_as_one_that_grows():
    look = every_schedule("two ballots", duel, invoke=wishes(2), timers=0, states_max=500)
    finding = look(Acceptor, lambda text: None)
    assert not finding.ok
    assert "there were still new ones" in finding.explanation


def test_the_line_of_progress_is_written_over_and_taken_away(capsys):
    line = asking._Line()
    line.show("checking 14/acceptor: 12 states")
    line.show("checking: done")
    line.clear()
    assert capsys.readouterr().out == (
        f"\rchecking 14/acceptor: 12 states\rchecking: done                 \r{' ' * 14}\r"
    )
