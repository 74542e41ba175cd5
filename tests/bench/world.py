"""A world of more than ten million states, searched whole: a target of its own, for it takes long.

`python -m tests.bench --only world`
"""

from __future__ import annotations

import resource

from clusterlab.check.explore import explore
from clusterlab.check.invariants import paxos
from clusterlab.protocols.paxos import roles
from tests.bench.explore import WISHES, timed
from tests.bench.figures import Comparison, Measured, Section, Target
from tests.bench.machine import Plan

STATES_MIN, GIB_MAX = 10_000_000, 24


def measure(plan: Plan) -> Section:
    """Two proposers, both of whom learn, three acceptors; one has a wish twice."""
    section = Section("A world of ten million states (CPU time)")
    plan.say("ten million states: some minutes")
    report, seconds = timed(
        lambda: explore(
            roles(2, 3, 0),
            network="multiset",
            invoke=(*WISHES, WISHES[0]),
            timers=0,
            properties=paxos.CHOSEN_AGREEMENT,
            states_max=10 * STATES_MIN,
            progress=lambda now: plan.say(str(now)),
        )
    )
    assert report.verdict == "holds", str(report)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    section.lines += [
        Comparison(
            "distinct states, all of them",
            "states",
            Measured.of((report.states,)),
            target=Target("ours", STATES_MIN, at_least=True),
        ),
        Comparison(
            "  the most memory at any time",
            "GiB",
            Measured.of((most,)),
            target=Target("ours", GIB_MAX, at_least=False),
        ),
        Comparison("  bytes a state", "bytes", Measured.of((report.bytes_a_state,))),
        Comparison("  transitions", "/s", Measured.of((report.transitions / seconds,))),
        Comparison("  processor time", "s", Measured.of((seconds,))),
    ]
    return section
