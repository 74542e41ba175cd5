"""The values that the state panel shows: short texts, cells of logs, and only what changed."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from clusterlab.core.node import Message, Node, durable, volatile
from clusterlab.core.trace import Trace
from clusterlab.protocols.client import Client, counting_writes
from clusterlab.protocols.primary_backup import PrimaryBackup
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation
from clusterlab.views.values import CELLS_MAX, Values, as_log, shown


class Item(NamedTuple):
    epoch: int
    what: str = "x"


class Write(Message):
    items: tuple[Any, ...] = ()


class Book(Node):
    """Keeps what it is told to."""

    pages: tuple[Any, ...] = durable(())
    told: int = volatile(0)

    def on_write(self, src: str, m: Write) -> None:
        self.pages = m.items
        self.told += 1

    def marks(self) -> dict[str, dict[str, int]]:
        return {"pages": {"read": self.told}}


def book(*contents: tuple[Any, ...]) -> Trace:
    """A node that is told these pages one after another."""
    trace = Trace()
    trace.append(0, "b", "start", {})
    for items in contents:
        trace.append(0, "b", "deliver", {"src": "w", "msg": Write(items)})
    trace.nodes = (Book("b"),)
    return trace


def folded(window: dict[str, Any], until: int) -> dict[str, dict[str, Any]]:
    """What a browser makes of a window."""
    nodes: dict[str, dict[str, Any]] = {}
    told = json.loads(json.dumps([*window["base"], *window["changes"]]))
    for seq, node, fields, _, _ in told:
        for name, value in fields.items() if seq < until else ():
            old = nodes.setdefault(node, {}).get(name)
            if value is None:
                nodes[node].pop(name, None)
            elif isinstance(value, dict):
                kept = old[: value["keep"]] if value["keep"] else []
                nodes[node][name] = [*kept, *value["cells"]]
            else:
                nodes[node][name] = value if isinstance(value, str) else value[1]
    return nodes


@pytest.fixture(scope="module")
def run() -> Trace:
    cluster = Simulation(Raft.group(3), seed=3)
    client = Client("c1", servers=cluster.servers, workload=counting_writes(), every_ms=20)
    cluster.add_client(client)
    leader = cluster.run_until_leader()
    cluster.run(200)
    cluster.kill(leader)
    cluster.run(500)
    cluster.restart(leader)
    cluster.run(100)
    return cluster.trace


# ---- what a value looks like ---------------------------------------------------------------------


def test_a_log_is_known_by_its_shape() -> None:
    assert as_log((Item(1), Item(2))) is not None
    assert as_log(((1, "x"),)) is not None
    assert as_log({1: (Item(3), "x"), 2: (4, "y")}) is not None, "a ballot begins with its round"
    assert as_log((None, Item(2))) is not None, "a hole"
    assert as_log((None, None)) is None
    for other in (
        (),
        (1, 2),
        ("a", "b"),
        ((True, 1),),
        {"n1": (1, 2)},
        {1: "x"},
        {1: (1,), 99: (2,)},
    ):
        assert as_log(other) is None


def test_a_long_value_is_shown_short_and_whole() -> None:
    assert shown(7) == "7"
    short, whole = shown("word " * 20)
    assert short.endswith("…")
    assert "word " * 20 in whole
    assert len(shown(list(range(10_000)))[1]) <= 600


def test_a_log_that_grows_is_told_by_what_is_new() -> None:
    trace = book((Item(1),), (Item(1), Item(2)), (Item(1), Item(3), Item(3)))
    changes = Values(trace).window(0, 99)["changes"]
    told = [change.fields["pages"] for change in changes[1:]]
    assert [(one["keep"], [cell[0] for cell in one["cells"]]) for one in told] == [
        (0, [1]),
        (1, [2]),
        (1, [3, 3]),
    ]
    assert [change.marks for change in changes] == [{"pages": {"read": n}} for n in range(4)]


def test_nothing_is_told_of_what_stays_the_same() -> None:
    trace = book((Item(1),))
    trace.append(0, "b", "note", {"name": "n", "data": None})
    assert [set(c.fields) for c in Values(trace).window(0, 99)["changes"]] == [
        {"pages", "told"},
        {"pages", "told"},
    ]


# ---- windows -------------------------------------------------------------------------------------


def test_any_window_comes_to_the_same_values(run: Trace) -> None:
    end = len(run)
    whole = Values(run).window(0, end, None)
    for start in range(0, end, end // 7):
        part = Values(run).window(start, end, None)
        assert folded(part, end) == folded(whole, end)
        before = {**part, "changes": []}
        assert folded(before, end) == folded(whole, start)


def test_a_run_that_grows_is_followed_on() -> None:
    cluster = Simulation(Raft.group(3), seed=3)
    values = Values(cluster.trace)
    cluster.run(300)
    first = values.window(0, len(cluster.trace))
    cluster.run(300)
    after = values.window(first["until"], len(cluster.trace))
    joined = {"base": first["base"], "changes": [*first["changes"], *after["changes"]]}
    now = folded(joined, len(cluster.trace))
    assert now["n2"]["current_term"] == str(cluster.state("n2")["current_term"])


def test_the_dead_have_no_memory(run: Trace) -> None:
    (death,) = run.of("kill")
    (change,) = [c for c in Values(run).window(0, len(run), None)["changes"] if c.state == "dead"]
    assert (change.seq, change.node) == (death.seq, death.node)
    gone = {name for name, value in change.fields.items() if value is None}
    assert "commit_index" in gone
    assert "log" not in gone


def test_a_long_log_begins_with_its_newest_cells() -> None:
    pages = tuple(Item(i) for i in range(CELLS_MAX + 50))
    (change,) = Values(book(pages)).window(2, 3)["base"]
    log = change.fields["pages"]
    assert (log["hidden"], len(log["cells"])) == (50, CELLS_MAX)
    assert log["cells"][-1][0] == CELLS_MAX + 49


def test_a_long_run_is_followed_in_several_answers(
    run: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterlab.views.values.CHUNK", 20)
    values, end = Values(run), len(run)
    answers = [values.window(end - 10, end, 0.0)]
    while answers[-1]["reached"] < end:
        answers.append(values.window(end - 10, end, 0.0))
    assert len(answers) > 1
    assert answers[0]["changes"] == answers[0]["base"] == []
    assert folded(answers[-1], end) == folded(Values(run).window(0, end, None), end)


def test_the_kinds_say_where_a_field_is_kept(run: Trace) -> None:
    kinds = Values(run).window(0, 1)["kinds"]
    assert (kinds["log"], kinds["commit_index"]) == ("disk", "memory")


def test_a_server_pair_marks_what_is_committed() -> None:
    cluster = Simulation(PrimaryBackup.pair(), seed=1)
    client = Client("c1", servers=cluster.servers, workload=counting_writes(), every_ms=20)
    cluster.add_client(client)
    cluster.run(1000)
    marks = [c.marks for c in Values(cluster.trace).window(0, 9**9, None)["changes"] if c.marks]
    assert marks[-1]["log"]["committed"] > 3
