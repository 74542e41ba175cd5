import json
import re
from pathlib import Path

import pytest

from clusterlab.core.errors import ScenarioError
from clusterlab.experiments import CATALOGUE
from clusterlab.lessons.predictions import PREDICTIONS, predict

ROOT = Path(__file__).parents[2]


def test_every_question_of_the_labs_exists_and_every_question_is_asked():
    asked = set()
    for path in (ROOT / "solutions").glob("*/*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            asked |= set(re.findall(r'predict\("([^"]+)"\)', "".join(cell["source"])))
    assert asked - CATALOGUE.keys() == set(PREDICTIONS)


def test_every_answer_is_one_of_its_options():
    for prediction in PREDICTIONS.values():
        assert prediction.options[prediction.answer]
        assert len(set(prediction.options)) == len(prediction.options) > 1


def test_the_reason_is_shown_only_with_the_right_answer():
    question, options, verdict = predict("00/leader-dies").children
    prediction = PREDICTIONS["00/leader-dies"]
    assert prediction.question in question.value
    assert verdict.value == ""
    options.index = (prediction.answer + 1) % len(prediction.options)
    assert "Something else happens" in verdict.value
    assert prediction.because[:20] not in verdict.value
    options.index = prediction.answer
    assert prediction.because[:20] in verdict.value


def test_a_misspelt_question_is_a_sentence():
    with pytest.raises(ScenarioError, match="did you mean '00/leader-dies'"):
        predict("00/leader-dead")
