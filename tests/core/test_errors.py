"""Errors: one tree, and in a notebook one sentence."""

from __future__ import annotations

import inspect

import pytest

from clusterlab.core import errors
from clusterlab.core.errors import ClusterlabError, NodeError, ScenarioError

EVERY = [
    cls
    for cls in vars(errors).values()
    if inspect.isclass(cls) and issubclass(cls, ClusterlabError)
]


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    assert errors.__doc__ is not None
    assert len(EVERY) >= 15
    for cls in EVERY:
        assert cls.__name__ in errors.__doc__
        assert cls in (ClusterlabError, NodeError, ScenarioError) or issubclass(
            cls, (NodeError, ScenarioError)
        )
        assert cls.__doc__


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_a_notebook_shows_the_sentence_and_no_traceback(cls: type[ClusterlabError]) -> None:
    error = cls("n9 is missing: add it.")

    assert error._render_traceback_() == [f"{cls.__name__}: n9 is missing: add it."]


def test_ipython_shows_it_so(capsys: pytest.CaptureFixture[str]) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_cell(
        "from clusterlab.core.faults import Kill, check_fault\ncheck_fault(Kill('n9'), ['n1'])"
    )

    out = capsys.readouterr()
    assert "UnknownNode: there is no node 'n9'; there are n1." in out.out
    assert "Traceback" not in out.out + out.err
    assert "check_name" not in out.out + out.err
