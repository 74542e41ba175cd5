"""What the shared fixtures promise: nothing is skipped in CI, and no process is left unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.processes import MARK, end, left_over, mark_session, started_by

ROOT = Path(__file__).parent.parent


def run_pytest(folder: Path, source: str, *options: str, **env: str) -> tuple[int, str]:
    """Run tests with this project's conftest in a process of their own; exit code and output."""
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", MARK)}
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), "-p", "tests.conftest", *options, "test_it.py"],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


BROWSER_TEST = """
import pytest

@pytest.mark.browser
def test_it():
    pass
"""


@pytest.mark.slow
def test_without_a_browser_a_learner_sees_a_skip_and_a_notice(tmp_path: Path) -> None:
    code, output = run_pytest(tmp_path, BROWSER_TEST, PATH=str(tmp_path))
    assert code == 0, output
    assert "1 skipped" in output
    assert "Not everything was tested" in output
    assert "1 test was skipped: no Chromium or Chrome was found: install one" in output


@pytest.mark.slow
def test_without_a_browser_ci_fails(tmp_path: Path) -> None:
    code, output = run_pytest(tmp_path, BROWSER_TEST, PATH=str(tmp_path), CI="true")
    assert code == 1, output
    assert "In CI nothing is skipped, and no Chromium or Chrome was found" in output
    assert "1 error" in output


@pytest.mark.slow
def test_a_process_left_running_fails_the_session_and_is_ended(tmp_path: Path) -> None:
    source = """
import os, pathlib, subprocess, sys

def test_it():
    # Its parent ends at once, so that init adopts it: the case that parents cannot tell.
    started = subprocess.run(
        [sys.executable, "-c", "import subprocess, sys; print(subprocess.Popen("
         "[sys.executable, '-c', 'import time; time.sleep(600)'], stdout=subprocess.DEVNULL,"
         " stderr=subprocess.DEVNULL).pid)"],
        capture_output=True, text=True, check=True, start_new_session=True)
    pathlib.Path("pid").write_text(started.stdout)
"""
    code, output = run_pytest(tmp_path, source, CLUSTERLAB_TEST_PATIENCE_S="0.1")
    pid = int((tmp_path / "pid").read_text())
    assert code == 1, output
    assert f"  {pid}: {sys.executable} -c import time; time.sleep(600)" in output
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_only_what_carries_the_mark_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "restored afterwards")
    session = mark_session()
    waits = [sys.executable, "-c", "input()"]
    ours = subprocess.Popen(waits, stdin=subprocess.PIPE)
    theirs = subprocess.Popen(waits, stdin=subprocess.PIPE, env={**os.environ, MARK: "another"})
    try:
        assert [process.pid for process in started_by(session)] == [ours.pid]
        end(left_over(session, patience_s=0))
        assert not psutil.pid_exists(ours.pid)
        assert left_over(session, patience_s=0) == []
        assert theirs.poll() is None
    finally:
        ours.communicate()
        theirs.communicate()


@pytest.mark.slow
def test_a_golden_file_is_compared_and_rewritten_on_request(tmp_path: Path) -> None:
    source = """
import pathlib

def test_it(golden):
    golden(pathlib.Path("scenarios/run.txt"), "n1 -> n2 Ping\\nn2 -> n1 Pong\\n")
"""
    code, output = run_pytest(tmp_path, source)
    assert code == 1, output
    assert "is missing: write it with 'make golden'" in output

    code, output = run_pytest(tmp_path, source, "--rewrite")
    assert code == 0, output
    path = tmp_path / "scenarios" / "run.txt"
    assert path.read_text(encoding="utf-8") == "n1 -> n2 Ping\nn2 -> n1 Pong\n"

    path.write_text("n1 -> n2 Ping\nn2 -> n1 Ping\n", encoding="utf-8")
    code, output = run_pytest(tmp_path, source)
    assert code == 1, output
    assert "-n2 -> n1 Ping" in output
    assert "+n2 -> n1 Pong" in output
