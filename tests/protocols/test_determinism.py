"""One seed is one run: in another process, and with another order of every set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

RAFT = """
from clusterlab.protocols.raft import Raft
from tests.protocols.test_raft_runs import trial
print(trial(Raft, 5).run(seed=5).trace.digest())
"""

PAXOS = """
from tests.protocols.test_paxos_runs import nodes, storm
print(storm(nodes(acceptors=5), seed=5).trace.digest())
"""


def digest(program: str, hash_seed: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.slow
@pytest.mark.parametrize("program", [RAFT, PAXOS], ids=["raft", "paxos"])
def test_the_same_seed_is_the_same_run(program: str) -> None:
    digests = {digest(program, hash_seed) for hash_seed in ("0", "1")}

    assert len(digests) == 1
    assert len(digests.pop().strip()) == 16


@pytest.mark.slow
def test_another_seed_is_another_run() -> None:
    assert digest(RAFT, "0") != digest(RAFT.replace("seed=5", "seed=6"), "0")
