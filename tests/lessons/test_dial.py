"""The dial's table and chart: what stands in them is what was counted, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from clusterlab.core.errors import ScenarioError
from clusterlab.experiments.cap_store import Measures
from clusterlab.lessons.dial import BARS, PANELS, dial_chart, dial_table

STRICT = Measures(
    store="strict",
    chose="waits.",
    read_ms=19.4,
    write_ms=20.0,
    minority=0.0,
    majority=0.98,
    linearizable=True,
    stale_reads=0,
    divergent=(),
    lost=0,
    siblings=0,
)
OPEN = replace(
    STRICT,
    store="open",
    chose="answers.",
    minority=1.0,
    linearizable=False,
    stale_reads=7,
    divergent=("x", "y"),
    lost=3,
    siblings=1,
)
HOSTILE = replace(STRICT, store="<b>bold</b>", chose="a & b <script>")


def test_a_row_has_every_figure_of_its_store():
    head, strict, opened, *_ = dial_table([STRICT, OPEN]).text().splitlines()
    assert re.split(r"  +", strict) == ["strict", "0%", "98%", "19", "20", "yes", *"0000"]
    assert re.split(r"  +", opened) == ["open", "100%", "98%", "19", "20", "no", *"7231"]
    assert len(head) == len(strict) == len(opened)


def test_what_was_not_found_out_is_not_called_wrong():
    assert "unknown" in dial_table([replace(STRICT, linearizable=None)]).text()


def test_a_notebook_gets_a_table_and_a_terminal_gets_letters():
    bundle = dial_table([STRICT])._repr_mimebundle_()
    assert bundle["text/html"].count("<tr>") == 2
    assert bundle["text/plain"].endswith("strict  waits.")


def test_the_text_of_a_store_is_no_html():
    html = dial_table([HOSTILE]).html()
    assert "<b>" not in html
    assert "<script>" not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    figure = json.loads(dial_chart([HOSTILE]).to_json())
    assert figure["data"][0]["y"] == ["&lt;b&gt;bold&lt;/b&gt;"]
    assert "<b>" not in figure["layout"]["title"]["subtitle"]["text"]


def test_the_bars_are_as_long_as_the_figures():
    chart = dial_chart([STRICT, OPEN])
    lengths = {bar.name: list(bar.x) for bar in chart.data}
    assert lengths == {
        "smaller side": [0, 100],
        "larger side": [98, 98],
        "reads": [19.4, 19.4],
        "writes": [20, 20],
        "stale reads": [0, 7],
        "divergent keys": [0, 2],
        "lost updates": [0, 3],
    }
    assert all(list(bar.y) == ["strict", "open"] for bar in chart.data)


def test_no_two_bars_of_a_panel_differ_by_colour_alone():
    for panel, _ in enumerate(PANELS, 1):
        here = [bar for bar in BARS if bar.panel == panel]
        assert len({bar.pattern for bar in here}) == len({bar.colour for bar in here}) == len(here)


def test_where_there_is_no_picture_a_sentence_stands():
    assert repr(dial_chart([STRICT, OPEN])) == (
        "The dial: on the smaller side open answered and strict did not; 0 of 1 that did were "
        "linearizable, and 3 updates were lost."
    )


@pytest.mark.parametrize("shown", [dial_table, dial_chart])
def test_a_dial_that_has_not_run_is_a_sentence(shown):
    with pytest.raises(ScenarioError, match="run the dial first"):
        shown([])
