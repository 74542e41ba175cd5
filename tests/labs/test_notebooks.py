"""Every notebook from top to bottom, in a real kernel: solutions on both engines, and labs.

One kernel runs them all, emptied in between, since Ray needs many seconds to start and stays warm
for the next cluster of the same process.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.labs.notebooks import NAMES, path_of, with_engine

CELL_LIMIT_S = 120
EMPTY = "get_ipython().run_line_magic('reset', '-f')"


@pytest.fixture(scope="module")
def kernel() -> Iterator[NotebookClient]:
    """A kernel as a learner's JupyterLab starts it."""
    client = NotebookClient(
        nbformat.v4.new_notebook(), timeout=CELL_LIMIT_S, kernel_name="python3", allow_errors=True
    )
    with client.setup_kernel():
        yield client


def run_all(kernel: NotebookClient, folder: str, name: str, engine: str) -> list[Any]:
    """Run All: the code cells with their outputs."""
    text = path_of(folder, name).read_text(encoding="utf-8")
    notebook = nbformat.from_dict(with_engine(json.loads(text), engine))
    notebook.cells.append(nbformat.v4.new_code_cell(EMPTY))
    kernel.nb = notebook
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            kernel.execute_cell(cell, number)
    return [cell for cell in notebook.cells[:-1] if cell.cell_type == "code"]


def errors_of(cells: list[Any]) -> list[str]:
    """What went wrong, each with the cell."""
    return [
        f"{cell.source}\n---\n{output.ename}: {output.evalue}"
        for cell in cells
        for output in cell.outputs
        if output.output_type == "error"
    ]


def shown(cell: Any) -> str:
    """What a cell shows, as text."""
    return "\n".join(
        output.text if output.output_type == "stream" else output.data.get("text/plain", "")
        for output in cell.outputs
        if output.output_type != "error"
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ["sim", pytest.param("live", marks=pytest.mark.ray)])
@pytest.mark.parametrize("name", NAMES)
def test_a_solution_runs_from_top_to_bottom_and_its_exercises_pass(kernel, name, engine):
    cells = run_all(kernel, "solutions", name, engine)
    assert not errors_of(cells), "\n\n".join(errors_of(cells))
    for cell in cells:
        if "check_exercise(" in cell.source:
            assert " passed." in shown(cell), f"{cell.source}\n---\n{shown(cell)}"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_a_lab_runs_too_and_says_where_something_is_to_be_written(kernel, name):
    cells = run_all(kernel, "labs", name, "sim")
    assert not errors_of(cells), "\n\n".join(errors_of(cells))
    for cell in cells:
        if "check_exercise(" in cell.source:
            assert "is still empty: write what it does" in shown(cell), shown(cell)
