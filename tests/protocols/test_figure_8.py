"""Figure 8 of the Raft paper, played with the right server and with one that counts copies.

The schedule is `tests/scenarios/raft_figure_8.txt`. A server that commits entries of earlier terms
by counting them (bug R15; LogCabin had it) acknowledges a write in step (c) that is gone in (d).
"""

from __future__ import annotations

import pytest

from clusterlab.core.node import NodeId
from clusterlab.core.spec import Put
from clusterlab.core.trace import Trace
from clusterlab.lessons.mutants.raft_replication import CommitsOldTerms
from clusterlab.protocols.raft import Raft
from tests.protocols.scenario import FOLDER, Scenario

PRECIOUS = Put("x", "precious")


def commands(until: str) -> list[str]:
    """The commands of the scenario up to the remark that begins with `until`."""
    blocks = (FOLDER / "raft_figure_8.txt").read_text(encoding="utf-8").split("\n\n")
    before: list[str] = []
    for block in blocks:
        lines = block.split("\n")
        if lines[0].startswith(f"# {until}"):
            return before
        before += lines[: lines.index("----")] if "----" in lines else []
    raise AssertionError(f"no remark begins with {until}")


def play(raft: type[Raft], until: str) -> Scenario:
    scenario = Scenario(raft)
    scenario.run(*commands(until))
    return scenario


def committed(trace: Trace) -> dict[int, set[object]]:
    """Every entry that any server ever took for committed, by its index; rebuilt from the disks."""
    logs: dict[NodeId | None, tuple[object, ...]] = {}
    ever: dict[int, set[object]] = {}
    for event in trace:
        if event.kind == "save" and "log" in event.data["values"]:
            keep, items = event.data["values"]["log"]
            logs[event.node] = logs.get(event.node, ())[:keep] + items
        # The commit is noted in the same step, after the save.
        if event.kind == "note" and event.data["name"] == "commit":
            for index, entry in enumerate(logs[event.node][: event.data["data"]], 1):
                ever.setdefault(index, set()).add(entry)
    return ever


@pytest.mark.parametrize("raft", [Raft, CommitsOldTerms])
def test_the_story_is_that_of_the_paper(raft: type[Raft]) -> None:
    """(a), (b): S1 leads term 2 and copies its entry to S2; S5 leads term 3 with another one there.

    Reference: Figure 8
    """
    scenario = play(raft, "(c)")

    assert scenario.run("log") == [
        "n1: | 1:no-op 2:no-op 2:put(x, precious)",
        "n2: 1:no-op | 2:no-op 2:put(x, precious)",
        "n3: 1:no-op |",
        "n4: 1:no-op |",
        "n5: 1:no-op | 3:no-op",
    ]


def test_an_entry_of_an_earlier_term_on_a_majority_is_not_committed() -> None:
    """(c): the entry from term 2 is on a majority of the servers, but it is not committed.

    Reference: Figure 8
    """
    scenario = play(Raft, "(d)")

    holders = [n for n in scenario.sim.servers if has(scenario, n)]
    assert holders == ["n1", "n2", "n3"]
    assert scenario.sim.state("n1")["commit_index"] == 0
    assert scenario.run("history") == ["c1 put(x, precious) -> info None"]


def test_the_right_server_loses_nothing() -> None:
    """(d): S5 overwrites the entry; nobody was told that it was committed, so nothing is lost.

    Reference: Figure 8
    """
    scenario = play(Raft, "The client, never answered")

    assert not any(has(scenario, n) for n in ("n2", "n3", "n4", "n5"))
    assert scenario.sim.history.ok() == []
    assert all(len(entries) == 1 for entries in committed(scenario.sim.trace).values())


def test_a_server_that_counts_copies_loses_an_acknowledged_write() -> None:
    """The same schedule: in (c) the client is told that its write is safe, in (d) it is gone.

    Reference: section 5.4.2
    """
    scenario = play(CommitsOldTerms, "(d)")
    acknowledged = [op.call for op in scenario.sim.history.ok()]
    outcome = scenario.run(*commands("The client, never answered")[len(commands("(d)")) :])
    scenario.run("settle n2 n4 n5")

    assert acknowledged == [PRECIOUS]
    # n3 had heard that entry 2 was committed, and notices; n2 and n4 had not, and go along.
    noticed = "ERROR CommitsOldTerms n3 raised AssertionError (entry 2 is committed and must stay)"
    assert any(line.startswith(noticed) for line in outcome)
    assert [i for i, entries in committed(scenario.sim.trace).items() if len(entries) > 1] == [2, 3]
    assert not any(has(scenario, n) for n in ("n2", "n4", "n5"))


def test_an_entry_of_the_leaders_own_term_on_a_majority_ends_the_danger() -> None:
    """(e): if S1 replicates an entry from its current term on a majority before crashing, then it
    is committed and S5 cannot win an election.

    Reference: Figure 8
    """
    scenario = Scenario(Raft)
    story = commands("(d)")
    scenario.run(*story[: story.index("lose n1 n2 n3 n4 n5")])  # n1's own entry is not lost
    scenario.run("deliver n1 n3", "deliver n3 n1", "fire n1 HeartbeatDue", "settle n1 n2 n3")
    told = scenario.sim.state("n1")["commit_index"]
    scenario.run("kill n1", "restart n5", *["elect n5 n2 n3 n4"] * 3)

    assert told >= 4
    assert scenario.sim.state("n5")["role"] == "candidate"
    scenario.run("elect n3 n2 n4 n5", "settle n2 n3 n4 n5")
    assert scenario.sim.state("n3")["role"] == "leader"
    assert all(has(scenario, n) for n in ("n2", "n3", "n4", "n5"))


def has(scenario: Scenario, node: NodeId) -> bool:
    log = scenario.sim.state(node)["log"]
    return any(entry.command and entry.command.operation == PRECIOUS for entry in log)
