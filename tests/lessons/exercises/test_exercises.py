from __future__ import annotations

import pytest

from clusterlab import Acceptor, Raft, check_exercise
from clusterlab.core.errors import ScenarioError
from clusterlab.lessons.exercises.catalogue import EXERCISES
from clusterlab.lessons.exercises.examiner import _examine
from tests.lessons.exercises.answers import RIGHT, WRONG, acceptor, takes_the_first_report


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_passes_and_what_was_tried_is_told(name):
    feedback = check_exercise(name, RIGHT[name]())
    assert feedback.passed, str(feedback)
    assert any("states" in what for what in feedback.covered)
    assert feedback.trace is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "wrong", "promise"), WRONG)
def test_a_wrong_answer_breaks_a_promise_in_a_run(name, wrong, promise, tmp_path):
    # In this process, which is what the other one does: it need not start for each of them.
    verdict = _examine(EXERCISES[name], wrong(), tmp_path)
    assert not verdict["passed"]
    assert verdict["property"] == promise, verdict["sentence"]
    assert verdict["trace"]
    assert f"So {promise} is violated" in verdict["story"][1]


@pytest.mark.slow
def test_a_wrong_answer_is_answered_with_the_run_that_breaks_it():
    name, wrong, promise = WRONG[0]
    feedback = check_exercise(name, wrong())
    assert not feedback
    assert feedback.property == promise
    assert feedback.trace is not None
    assert feedback.trace.meta["property"] == promise
    assert f"So {promise} is violated" in feedback.story().end


def test_every_exercise_is_tried_with_a_right_answer_and_with_two_wrong_ones():
    for name in EXERCISES:
        assert name in RIGHT
        assert len([one for one, _, _ in WRONG if one == name]) >= 2, name


@pytest.mark.slow
def test_a_rule_that_only_many_ballots_need_is_told_by_a_step():
    feedback = check_exercise("14/proposer", takes_the_first_report())
    assert "should send Accept(ballot=3.p1, value='green') to a1" in feedback.sentence
    assert "the highest-numbered proposal among the responses" in feedback.sentence


def test_a_misspelt_exercise_is_a_sentence_with_near_matches():
    with pytest.raises(ScenarioError, match="did you mean '14/acceptor'"):
        check_exercise("14/acceptr", acceptor())


def test_what_is_no_class_of_ones_own_is_a_sentence():
    with pytest.raises(ScenarioError, match="give the class itself"):
        check_exercise("14/acceptor", acceptor()("a1", learners=()))
    with pytest.raises(ScenarioError, match="write `class MyAcceptor"):
        check_exercise("14/acceptor", "MyAcceptor")
    for other in (Acceptor, Raft):
        with pytest.raises(ScenarioError, match="should be a class of your own"):
            check_exercise("14/acceptor", other)


def test_what_is_not_written_yet_is_named_without_running_anything():
    class OnlyOne(Acceptor):
        def on_prepare(self, src, m):
            self.promised = m.ballot

    class Stub(acceptor()):
        def on_accept(self, src, m):
            """Phase 2 (b): accept, unless a higher ballot was promised."""
            # YOUR CODE HERE

    has_none = check_exercise("14/acceptor", OnlyOne)
    assert has_none.sentence == (
        "OnlyOne has no on_accept of its own yet: write `def on_accept(self, src, m):`."
    )
    assert check_exercise("14/acceptor", Stub).sentence.startswith("on_accept is still empty")
