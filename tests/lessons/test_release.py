import json
from pathlib import Path

import pytest

from clusterlab.core.errors import ScenarioError
from clusterlab.lessons import release

ROOT = Path(__file__).parents[2]


def notebook(*sources: str) -> dict:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {"tags": ["kept"]},
            "source": source,
            "outputs": [{"output_type": "stream"}],
            "execution_count": 3,
        }
        for i, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {"machine": "mine"}, "nbformat": 4, "nbformat_minor": 5}


def test_a_solution_becomes_a_line_that_asks_for_code():
    source = "def f(x):\n    # BEGIN SOLUTION\n    y = x\n    return y\n    # END SOLUTION\nf(1)"
    (cell,) = release.release(notebook(source))["cells"]
    assert cell["source"] == "def f(x):\n    # YOUR CODE HERE\nf(1)"


def test_two_solutions_in_one_cell_are_two_gaps():
    part = "# BEGIN SOLUTION\nx = 1\n# END SOLUTION\n"
    (cell,) = release.release(notebook(part + "print()\n" + part))["cells"]
    assert cell["source"] == "# YOUR CODE HERE\nprint()\n# YOUR CODE HERE\n"


def test_outputs_counts_and_the_machine_are_removed_and_tags_kept():
    original = notebook("1 + 1")
    released = release.release(original)
    (cell,) = released["cells"]
    assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert cell["metadata"] == {"tags": ["kept"]}
    assert "machine" not in released["metadata"]
    assert original["cells"][0]["outputs"], "the solution itself is not changed"


@pytest.mark.parametrize("alone", ["# BEGIN SOLUTION\nx = 1", "x = 1\n# END SOLUTION"])
def test_a_solution_that_does_not_end_is_a_sentence(alone):
    with pytest.raises(ScenarioError, match="cell 1 begins or ends a solution alone"):
        release.release(notebook(alone))


def test_stale_names_what_differs_is_missing_or_has_no_solution(tmp_path):
    solutions, labs = tmp_path / "solutions", tmp_path / "labs"
    for name in ("00_a", "01_b"):
        (solutions / name).mkdir(parents=True)
        (solutions / name / f"{name}.ipynb").write_text(json.dumps(notebook(name)))
    (labs / "02_c").mkdir(parents=True)
    (labs / "02_c" / "02_c.ipynb").write_text("{}")
    names = [path.stem for path in release.stale(solutions, labs)]
    assert names == ["00_a", "01_b", "02_c"]


def test_main_writes_what_is_stale_and_check_only_tells(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "solutions" / "00_a"
    folder.mkdir(parents=True)
    (folder / "00_a.ipynb").write_text(json.dumps(notebook("x = 1")))
    assert release.main(["--check"]) == 1
    assert not (tmp_path / "labs").exists()
    assert release.main([]) == 0
    assert release.main(["--check"]) == 0
    assert "labs/ is up to date" in capsys.readouterr().out


def test_without_solutions_there_is_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert release.main([]) == 2
    assert "run this in the folder of the project" in capsys.readouterr().err


def test_labs_are_what_solutions_make():
    behind = release.stale(ROOT / "solutions", ROOT / "labs")
    assert not behind, f"run `make labs`: {behind}"


def test_notebooks_are_committed_without_outputs():
    for folder in ("solutions", "labs"):
        for path in (ROOT / folder).glob("*/*.ipynb"):
            for cell in json.loads(path.read_text())["cells"]:
                assert not cell.get("outputs"), path
                assert cell.get("execution_count") is None, path
