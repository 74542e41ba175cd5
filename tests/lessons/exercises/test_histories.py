"""Histories to classify: one of each kind at least, and the checker says why one is wrong."""

from __future__ import annotations

import pytest

from clusterlab.core.errors import ScenarioError
from clusterlab.lessons.exercises.histories import HISTORIES, LEVELS, classify, strongest
from clusterlab.views import show

RIGHT = {
    "A": "linearizable",
    "B": "sequential",
    "C": "causal",
    "D": "eventual",
    "E": "sequential",
}


def test_every_promise_is_the_strongest_of_some_history():
    assert {name: strongest(q.history) for name, q in HISTORIES.items()} == RIGHT
    assert set(RIGHT.values()) == set(LEVELS)


def test_right_answers_pass():
    judged = classify(RIGHT)
    assert judged.passed
    assert judged.verdict is None
    assert "C is causal" in judged.covered


def test_who_says_too_much_sees_the_operation_that_fits_nowhere():
    judged = classify({**RIGHT, "C": "sequential"})
    assert not judged
    assert judged.sentence.startswith("C is not sequential")
    assert judged.verdict.misfit is not None


def test_who_says_too_little_sees_the_order_that_explains_it():
    judged = classify({**RIGHT, "E": "eventual"})
    assert judged.sentence.startswith("E keeps a stronger promise than eventual")
    assert len(judged.verdict.order) == len(HISTORIES["E"].history)


def test_what_is_missing_is_named():
    assert "B, C, D, E still to do" in classify({"A": "linearizable"}).sentence


def test_a_promise_that_there_is_not_is_a_sentence():
    with pytest.raises(ScenarioError, match="strict"):
        classify({"A": "strict"})


@pytest.mark.parametrize("name", HISTORIES)
def test_the_picture_of_a_question_does_not_give_the_answer(name):
    assert not any(f"not {level}" in show(HISTORIES[name]).svg() for level in LEVELS)
    assert not HISTORIES[name].order
