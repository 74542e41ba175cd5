"""Makes `labs/` from `solutions/`: the same notebooks without what the learner is to find out.

`python -m clusterlab.lessons.release` writes them, `--check` only says whether they are up to date.

In a solution, what stands between `# BEGIN SOLUTION` and `# END SOLUTION`
(one `#`: nbgrader and otter read that too) is replaced by a line that says what to do;
outputs, counts and the metadata of one machine are removed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from clusterlab.core.errors import ScenarioError

STUB = "# YOUR CODE HERE"
_SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)# BEGIN SOLUTION\b.*?\n.*?^[ \t]*# END SOLUTION[^\n]*",
    re.DOTALL | re.MULTILINE,
)
KEPT_METADATA = ("kernelspec", "language_info")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def release(solution: dict[str, Any]) -> dict[str, Any]:
    """The student's notebook of a solution notebook; the solution is not changed.

    Raises ScenarioError if a solution begins and does not end.
    """
    cells = []
    for number, cell in enumerate(solution["cells"], 1):
        source = _text(cell["source"])
        released = {
            **cell,
            "source": _without_solution(source, number),
            "metadata": cell["metadata"],
        }
        if cell["cell_type"] == "code":
            released |= {"outputs": [], "execution_count": None}
        cells.append(released)
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return {**solution, "cells": cells, "metadata": metadata}


def _without_solution(source: str, number: int) -> str:
    released = _SOLUTION.sub(lambda found: found["indent"] + STUB, source)
    if "BEGIN SOLUTION" in released or "END SOLUTION" in released:
        raise ScenarioError(
            f"cell {number} begins or ends a solution alone: "
            "write both `# BEGIN SOLUTION` and `# END SOLUTION`."
        )
    return released


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def as_text(notebook: dict[str, Any]) -> str:
    """A notebook as it stands in the file: one way to write it, so that diffs are small."""
    cells = [
        {**cell, "source": _text(cell["source"]).splitlines(keepends=True)}
        for cell in notebook["cells"]
    ]
    return (
        json.dumps({**notebook, "cells": cells}, indent=1, ensure_ascii=False, sort_keys=True)
        + "\n"
    )


def labs_from(solutions: Path) -> dict[Path, str]:
    """The text of each lab by its path below `labs/`."""
    found = sorted(solutions.glob("*/*.ipynb"))
    if not found:
        raise ScenarioError(
            f"there is no solution in {solutions}: run this in the folder of the project."
        )
    return {
        path.relative_to(solutions): as_text(release(json.loads(path.read_text(encoding="utf-8"))))
        for path in found
        if ".ipynb_checkpoints" not in path.parts
    }


def stale(solutions: Path, labs: Path) -> list[Path]:
    """The labs that differ from their solution, are missing, or have no solution."""
    wanted = labs_from(solutions)
    there = {
        path.relative_to(labs)
        for path in labs.glob("*/*.ipynb")
        if ".ipynb_checkpoints" not in path.parts
    }
    differing = [
        path
        for path, text in wanted.items()
        if path not in there or (labs / path).read_text(encoding="utf-8") != text
    ]
    return sorted([*differing, *(there - set(wanted))])


def main(arguments: list[str] | None = None) -> int:
    """Write the labs, or with `--check` say which are not up to date (exit 1)."""
    parser = argparse.ArgumentParser(
        prog="python -m clusterlab.lessons.release", description=__doc__
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a lab is stale"
    )
    options = parser.parse_args(arguments)
    solutions, labs = Path("solutions"), Path("labs")
    try:
        behind = stale(solutions, labs)
        if not options.check:
            wanted = labs_from(solutions)
            for path in behind:
                _bring_up_to_date(labs / path, wanted.get(path))
    except ScenarioError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for path in behind:
        sys.stdout.write(f"{'stale' if options.check else 'written'}: {labs / path}\n")
    if not behind:
        sys.stdout.write("labs/ is up to date with solutions/\n")
    return 1 if options.check and behind else 0


def _bring_up_to_date(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
