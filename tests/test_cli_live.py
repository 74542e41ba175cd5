"""`clusterlab run --engine live`, as a command: its story, its end, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.processes import MARK, describe, started_by

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "clusterlab.cli", "run", "raft-failover", "--engine", "live"]

FAILING = """
import sys
from clusterlab import cli
from clusterlab.experiments import CATALOGUE, RaftFailover
from clusterlab.protocols.raft import Raft

class Failing(Raft):
    def on_request(self, src, m):
        raise RuntimeError("disk full")

class WithFailing(RaftFailover):
    def __init__(self):
        super().__init__(Failing)

CATALOGUE["raft-failover"] = WithFailing
sys.exit(cli.main(sys.argv[1:]))
"""


def nothing_left(before: set[int]) -> None:
    """Fail if a process that was started since is still there after a while."""
    new = [p for p in started_by(os.environ[MARK]) if p.pid not in before]
    _, alive = psutil.wait_procs(new, timeout=20)
    assert not alive, describe(alive)


@pytest.fixture
def before() -> set[int]:
    return {process.pid for process in started_by(os.environ[MARK])}


def test_a_live_run_keeps_every_promise_and_leaves_nothing(before, tmp_path):
    page = tmp_path / "run.html"
    done = subprocess.run(
        [*COMMAND, "--json", "--html", str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    outcome = json.loads(done.stdout)
    assert outcome["passed"], outcome["checks"]
    assert done.returncode == 0
    assert outcome["engine"] == "live"
    assert outcome["faults"]["kill"] > 0
    assert outcome["operations"]["ok"] > 20
    assert page.stat().st_size > 10_000
    nothing_left(before)


def test_ctrl_c_in_the_middle_ends_in_one_line_and_leaves_nothing(before):
    run = subprocess.Popen(
        COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    for line in run.stdout:
        if "is elected leader" in line:
            break
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert errors.startswith("Interrupted; everything that was started is stopped.")
    assert "Traceback" not in errors
    nothing_left(before)


def test_a_handler_that_raises_ends_the_run_with_its_sentence_and_leaves_nothing(before):
    command = [sys.executable, "-c", FAILING, *COMMAND[3:], "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    outcome = json.loads(done.stdout)
    assert done.returncode == 1
    failed = {check["name"]: check["explanation"] for check in outcome["checks"]}
    assert "raised RuntimeError (disk full) while handling Request" in failed["no node failed"]
    nothing_left(before)
