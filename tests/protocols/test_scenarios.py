"""Every file in `tests/scenarios/` is played, and its outcome compared with what stands there.

`make golden` (pytest --rewrite) writes what happens now; read the difference before committing it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.protocols.scenario import FOLDER, Scenario

FILES = sorted(FOLDER.glob("*.txt"))


def test_there_are_scenarios() -> None:
    assert len(FILES) >= 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, golden: Callable[[Path, str], None]) -> None:
    golden(path, Scenario().rewritten(path.read_text(encoding="utf-8")))
