"""The import rules, read from the syntax tree: lower layers do not know the higher ones.

```
core < -{protocols, sim, check, live} < -{experiments, cluster, doctor}, views < -lessons < -cli
core < -exports < -cli
```

The four in the middle never import each other: an engine does not know Paxos, Paxos does not know
engines. Views read records only, so they know neither protocols nor experiments.
An import counts wherever it stands: in a function and under TYPE_CHECKING as well, where only
`typing_extensions`, which is not there when the program runs, is free for all.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import clusterlab

PACKAGE = Path(clusterlab.__file__).parent

MIDDLE = {"core", "protocols", "sim", "check", "live"}
RUNS = MIDDLE | {"experiments", "cluster", "doctor"}

# What each part may import besides itself. "" is `clusterlab` itself: the learner's vocabulary.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "protocols": {"core"},
    "sim": {"core"},
    "check": {"core"},
    "live": {"core"},
    "exports": {"core"},
    "cluster": MIDDLE,
    "doctor": MIDDLE,
    "experiments": MIDDLE | {"cluster", "doctor"},
    "views": MIDDLE - {"protocols"},
    "lessons": RUNS | {"views", ""},
    "cli": RUNS | {"views", "exports", "lessons", ""},
    "__main__": {"cli"},
    "": RUNS | {"views", "lessons"},
}

# A handler that reads a clock, a random number or the machine cannot be replayed. The first line is
# the rule of the design, the second its near relations.
IMPURE = {"time", "random", "threading", "asyncio", "os", "ray", "numpy"} | {
    "concurrent",
    "datetime",
    "multiprocessing",
    "secrets",
    "socket",
    "subprocess",
    "tempfile",
    "uuid",
}
PURE_PARTS = {"core", "protocols"}


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every module that is imported, by its full name, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: None if is_package else -1]
                parents = parents[: len(parents) - (node.level - 1)]
                base = ".".join([*parents, base]).rstrip(".")
            for alias in node.names:
                # `from clusterlab import core` may name a part; `from time import sleep` may not.
                yield node.lineno, f"{base}.{alias.name}"
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("__import__", "import_module", "importlib.import_module")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def lines_for_types(tree: ast.AST) -> set[int]:
    """The lines under `if TYPE_CHECKING:`."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for line in range(node.lineno, (node.body[-1].end_lineno or node.lineno) + 1)
    }


def part_of(name: str, package: Path) -> str:
    """The part of clusterlab that a full name belongs to; "" for the package itself."""
    first = [*name.split("."), ""][1]
    is_part = (
        first in MAY_IMPORT or (package / first).is_dir() or (package / f"{first}.py").exists()
    )
    return first if is_part else ""


def violations(package: Path) -> list[str]:
    """Every import in a package that breaks the rules, as `file:line: what and why`."""
    found = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        names = ["clusterlab", *relative.with_suffix("").parts]
        is_package = names[-1] == "__init__"
        module = ".".join(names[:-1] if is_package else names)
        part = part_of(module, package)
        if part not in MAY_IMPORT:
            found.append(
                f"{relative}:1: {part} has no place among the layers: add it to MAY_IMPORT"
            )
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for_types = lines_for_types(tree)
        for line, name in imports(tree, module, is_package):
            root = name.split(".")[0]
            if root == "typing_extensions" and line in for_types:
                continue
            if root == "clusterlab":
                target = part_of(name, package)
                if target != part and target not in MAY_IMPORT[part]:
                    found.append(
                        f"{relative}:{line}: {part or root} may not import {target or root}"
                    )
            elif part in PURE_PARTS and root in IMPURE:
                found.append(f"{relative}:{line}: {part} must stay pure and may not import {root}")
            elif part in PURE_PARTS and root not in sys.stdlib_module_names:
                found.append(
                    f"{relative}:{line}: {part} may import the standard library, not {root}"
                )
    return found


# ---- the rules hold ------------------------------------------------------------------------------


def test_imports_run_one_way() -> None:
    assert {path.name for path in PACKAGE.iterdir()} >= {"core", "doctor.py"}, (
        "nothing was looked at"
    )
    found = violations(PACKAGE)
    assert not found, "\n".join(found)


def test_importing_clusterlab_starts_nothing_and_loads_nothing_heavy() -> None:
    code = """
import sys, threading
import clusterlab
heavy = {"ray", "plotly", "ipywidgets", "anywidget", "networkx", "numpy", "IPython", "asyncio"}
print(sorted(heavy & set(sys.modules)))
print(threading.active_count())
import psutil
print(len(psutil.Process().children(recursive=True)))
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["[]", "1", "0"]
    assert done.stderr == ""


# ---- and a broken one is seen --------------------------------------------------------------------


FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that keeps every rule, with a file in each layer."""
    files = {
        "__init__.py": "from clusterlab.core.node import Node\n",
        "core/__init__.py": "",
        "core/node.py": "import json\nfrom clusterlab.core import errors\n",
        "core/errors.py": "from . import quorum\nfrom .quorum import majority\n",
        "core/quorum.py": f"{FOR_TYPES}from typing_extensions import dataclass_transform\n",
        "protocols/__init__.py": "",
        "protocols/raft.py": "import dataclasses\nfrom clusterlab.core.node import Node\n",
        "sim/__init__.py": "import random\nfrom clusterlab.core import node\n",
        "check/__init__.py": "import clusterlab.core.node\n",
        "live/__init__.py": "import ray\nimport time\nfrom clusterlab.core import node\n",
        "cluster.py": "def f():\n    from clusterlab import live, sim\n",
        "experiments/__init__.py": "from clusterlab import cluster, protocols\n",
        "views/__init__.py": "import anywidget\nfrom clusterlab.core.node import Node\n",
        "lessons/__init__.py": "from clusterlab import Node, experiments\n",
        "cli.py": "from clusterlab import __version__, doctor, lessons, views\n",
        "doctor.py": "import psutil\n",
        "__main__.py": "from clusterlab.cli import main\n",
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source, encoding="utf-8")
    return tmp_path


def test_a_package_that_keeps_the_rules_passes(package: Path) -> None:
    assert violations(package) == []


@pytest.mark.parametrize(
    ("file", "line", "why"),
    [
        ("core/node.py", "import time", "core must stay pure and may not import time"),
        ("core/node.py", "import os.path", "core must stay pure and may not import os"),
        (
            "core/node.py",
            "from random import choice",
            "core must stay pure and may not import random",
        ),
        ("core/node.py", "import networkx", "core may import the standard library, not networkx"),
        (
            "core/node.py",
            "import typing_extensions",
            "core may import the standard library, not typing_extensions",
        ),
        ("core/node.py", "from clusterlab.sim import x", "core may not import sim"),
        ("core/node.py", "from clusterlab import Node", "core may not import clusterlab"),
        ("core/node.py", "from ..sim import x", "core may not import sim"),
        ("core/node.py", "from .. import sim", "core may not import sim"),
        ("core/__init__.py", "from ..sim import x", "core may not import sim"),
        (
            "protocols/raft.py",
            "import asyncio",
            "protocols must stay pure and may not import asyncio",
        ),
        ("protocols/raft.py", "from clusterlab import sim", "protocols may not import sim"),
        (
            "protocols/raft.py",
            "def f():\n    import clusterlab.check",
            "protocols may not import check",
        ),
        (
            "protocols/raft.py",
            "__import__('ray')",
            "protocols must stay pure and may not import ray",
        ),
        ("sim/__init__.py", "import clusterlab.protocols.raft", "sim may not import protocols"),
        ("check/__init__.py", "from clusterlab.sim import x", "check may not import sim"),
        ("live/__init__.py", "from clusterlab.cluster import x", "live may not import cluster"),
        (
            "live/__init__.py",
            "import importlib\nimportlib.import_module('clusterlab.views')",
            "live may not import views",
        ),
        (
            "cluster.py",
            "from clusterlab.experiments import x",
            "cluster may not import experiments",
        ),
        ("experiments/__init__.py", "import clusterlab.views", "experiments may not import views"),
        (
            "views/__init__.py",
            "from clusterlab.protocols import raft",
            "views may not import protocols",
        ),
        (
            "views/__init__.py",
            f"{FOR_TYPES}from clusterlab.experiments import x",
            "views may not import experiments",
        ),
        ("lessons/__init__.py", "from clusterlab.cli import main", "lessons may not import cli"),
        ("__init__.py", "from clusterlab import cli", "clusterlab may not import cli"),
        ("extras.py", "", "extras has no place among the layers: add it to MAY_IMPORT"),
    ],
)
def test_a_planted_violation_is_found(package: Path, file: str, line: str, why: str) -> None:
    path = package / file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{before}{line}\n", encoding="utf-8")
    number = max(1, (before + line).count("\n") + 1)
    assert violations(package) == [f"{file}:{number}: {why}"]
