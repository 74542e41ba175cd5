"""Binder builds what we mean: repo2docker prints, without Docker, what it would build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BINDER = ROOT / "binder"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Binder runs on Linux")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what decides how Binder builds: the root's own files and binder/."""
    copy = tmp_path / "tree"
    shutil.copytree(BINDER, copy / "binder")
    for name in ("pyproject.toml", "requirements.lock", "Makefile"):
        shutil.copy(ROOT / name, copy)
    return copy


def dockerfile(tree: Path) -> str:
    """What repo2docker would build from a tree; AssertionError if it refuses."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(tree)]
    # Elsewhere than in the tree: it also reads its own settings from where it is started.
    done = subprocess.run(command, cwd=tree.parent, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def commands(dockerfile: str) -> list[str]:
    """The RUN lines that differ between repositories: pip and our scripts."""
    return re.findall(r"^RUN (.*(?:pip install|binder/).*)$", dockerfile, re.MULTILINE)


@pytest.mark.slow
def test_binder_builds_python_3_12_with_our_pins_and_our_scripts(tree: Path) -> None:
    text = dockerfile(tree)
    assert "Building conda environment for python=3.12\n" in text
    assert commands(text) == [
        '${KERNEL_PYTHON_PREFIX}/bin/pip install --no-cache-dir -r "binder/requirements.txt"',
        "chmod +x binder/postBuild",
        "./binder/postBuild",
        'chmod +x "${REPO_DIR}/binder/start"',
    ]
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in text
    # JupyterLab's server and our kernel are one environment, so our pins hold for both.
    assert "ENV KERNEL_PYTHON_PREFIX=${NB_PYTHON_PREFIX}\n" in text
    # The package comes last: a change of ours does not install Ray anew.
    assert text.index("pip install") < text.index("COPY --chown=0:0 src/ ${REPO_DIR}/")
    assert text.index("COPY --chown=0:0 src/ ${REPO_DIR}/") < text.index("RUN ./binder/postBuild")


@pytest.mark.slow
def test_without_runtime_txt_the_python_would_be_another(tree: Path) -> None:
    (tree / "binder" / "runtime.txt").unlink()
    assert "python=3.12\n" not in dockerfile(tree)


def fake_python(folder: Path, exit_code: int) -> Path:
    """A `python` that only writes down how it was called."""
    folder.mkdir()
    program = folder / "python"
    program.write_text(f'#!/bin/bash\necho "$@" >> "{folder}/calls"\nexit {exit_code}\n')
    program.chmod(0o755)
    return folder / "calls"


@pytest.mark.parametrize(("exit_code", "calls"), [(0, 2), (3, 1)], ids=["all well", "pip fails"])
def test_post_build_installs_the_package_alone_and_stops_at_a_failure(
    tmp_path: Path, exit_code: int, calls: int
) -> None:
    called = fake_python(tmp_path / "bin", exit_code)
    env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run([BINDER / "postBuild"], cwd=tmp_path, env=env, check=False)
    assert done.returncode == exit_code
    lines = called.read_text().splitlines()
    assert len(lines) == calls
    assert lines[0] == "-m pip install --no-cache-dir --no-deps --editable ."


@pytest.mark.parametrize(
    ("chosen", "engine"), [({}, "sim"), ({"CLUSTERLAB_ENGINE": "live"}, "live")]
)
def test_start_prefers_the_simulator_and_becomes_the_command(
    chosen: dict[str, str], engine: str
) -> None:
    code = "import os, sys; print(os.getpid(), os.environ['CLUSTERLAB_ENGINE'], *sys.argv[1:])"
    started = subprocess.Popen(
        [BINDER / "start", sys.executable, "-c", code, "two words", "$HOME", ""],
        env={"PATH": os.environ["PATH"], **chosen},
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = started.communicate()
    # The same pid: signals of Binder reach JupyterLab, with no shell in between.
    assert output == f"{started.pid} {engine} two words $HOME \n"
    assert started.returncode == 0


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_the_scripts_are_strict_and_executable(name: str) -> None:
    script = BINDER / name
    assert os.access(script, os.X_OK)
    code = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert script.read_text().startswith("#!/bin/bash\n")
    assert code[0] == "set -euo pipefail"
