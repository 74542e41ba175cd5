"""Fifty leaders die: how long nobody acknowledges a write, in election timeouts."""

from __future__ import annotations

from tests.bench import failover
from tests.bench.figures import Comparison, Measured, Section, Target, percentile
from tests.bench.machine import Plan, is_installed

KILLS, ROUNDS = 10, 5
"""Kills of one cluster, and clusters."""
MEDIAN_MAX, P99_MAX = 2, 4


def measure(plan: Plan) -> Section:
    """Kill the leader of a five-node Raft again and again; then of a new one."""
    section = Section("Deaths of the leader, many: five Raft nodes on Ray")
    if not is_installed("ray"):
        section.skipped.append("everything: Ray is not installed: run `make setup`.")
        return section
    from clusterlab.live import connect

    connect()
    gaps: list[float] = []
    for number in range(1, (1 if plan.quick else ROUNDS) + 1):
        plan.say(f"kills, cluster {number}: {KILLS} leaders")
        gaps += failover.ours(KILLS)[1]
    timeouts = [gap / failover.ELECTION_TIMEOUT_MAX_S["ours"] for gap in gaps]
    what = f"no write acknowledged, {len(gaps)} kills, in election timeouts"
    middle, most = (Target("ours", bound, at_least=False) for bound in (MEDIAN_MAX, P99_MAX))
    section.lines += [
        Comparison(
            f"{what}: median", "", Measured.of([Measured.of(timeouts).median]), target=middle
        ),
        Comparison("  p99", "", Measured.of([percentile(timeouts, 0.99)]), target=most),
        Comparison("  the longest", "", Measured.of([max(timeouts)])),
    ]
    section.notes.append("The longest election timeout is 300 ms: one of these.")
    return section
