"""Raft under faults: what Figure 3 guarantees holds at every moment, and wrong servers break it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from clusterlab.experiments.fuzz import Trial, fuzz_trial
from clusterlab.experiments.fuzz_subjects import SUBJECTS
from clusterlab.protocols.raft import Raft
from tests.protocols import test_raft_mutants as wrong

HASTY = {"election_timeout_ms": (100, 150)}
"""Timeouts close together: many split votes."""


def trial(raft: type[Raft], size: int) -> Trial:
    first, *_ = SUBJECTS["raft"].trials(raft, size)
    return replace(first, nodes=partial(raft.group, size, **HASTY))


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 5])
def test_what_the_paper_guarantees_holds_under_faults(size: int) -> None:
    """Figure 3: election safety, leader append-only, log matching, leader completeness, state
    machine safety. And the runs are no idle ones: leaders change and logs conflict.
    """
    notes: Counter[str] = Counter()
    answered = 0
    for seed in range(8):
        run = trial(Raft, size).run(seed)
        assert run.ok, f"seed {seed}: {run.violations}"
        answered += len(run.history.ok())
        notes.update(note.data["name"] for note in run.trace.of("note"))

    assert answered > 8 * 20
    assert notes["leader"] > 16
    assert notes["truncate"] > 0


CAUGHT_BY_RUNS = [
    wrong.ForgetsItsVote,
    wrong.ForgetsItsTerm,
    wrong.ForgetsItsLog,
    wrong.VotesForAll,
    wrong.LeadsOnInAHigherTerm,
    wrong.IgnoresTheLog,
    wrong.AlwaysTruncates,
    wrong.TrustsLeaderCommit,
    wrong.AcknowledgesItsOwnLog,
    wrong.AnswersBeforeCommitment,
    wrong.AcceptsWithoutPredecessor,
]


@pytest.mark.slow
@pytest.mark.parametrize("mutant", CAUGHT_BY_RUNS, ids=lambda mutant: mutant.__name__)
def test_wrong_servers_are_caught(mutant: type[Raft]) -> None:
    """By a property from outside, or by one of Raft's own assertions."""
    report = fuzz_trial(trial(mutant, 3), range(100), until_violation=True)
    assert report.broken, f"{mutant.__name__} survived {report.seeds} seeds"
