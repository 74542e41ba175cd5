"""The notebooks of the project, and the one word in each that chooses its engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NAMES = tuple(path.stem for path in sorted((ROOT / "solutions").glob("*/*.ipynb")))


def path_of(folder: str, name: str) -> Path:
    """The notebook that begins with `name` in `labs` or `solutions`."""
    (path,) = (ROOT / folder).glob(f"{name}*/{name}*.ipynb")
    return path


def with_engine(notebook: dict[str, Any], engine: str, *, hasty: bool = True) -> dict[str, Any]:
    """The notebook with another ENGINE; if `hasty`, nothing is slowed down to be watched."""
    changed = 0
    cells = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        changed += 'ENGINE = "live"' in text
        text = text.replace('ENGINE = "live"', f'ENGINE = "{engine}"')
        cells.append({**cell, "source": text.replace("speed=0.25", "speed=1.0") if hasty else text})
    assert changed == 1, "one changed word chooses the engine"
    return {**notebook, "cells": cells}
