"""Charts: what they show is what the trace says."""

from __future__ import annotations

from collections import Counter

import pytest

from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import History
from clusterlab.core.node import WORLD
from clusterlab.core.spec import Get, Put
from clusterlab.core.trace import Trace
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation
from clusterlab.views import charts


def written(*events: tuple[float, str | None, str, dict[str, object]]) -> Trace:
    trace = Trace(clients=["c"])
    for event in events:
        trace.append(*event)
    return trace


def asked(at_ms: float, client: str = "c") -> tuple[float, str, str, dict[str, object]]:
    return (at_ms, client, "invoke", {"operation": Get("x")})


def told(
    at_ms: float, outcome: str = "ok", client: str = "c"
) -> tuple[float, str, str, dict[str, object]]:
    return (at_ms, client, "return", {"outcome": outcome, "value": None})


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A leader dies and comes back."""
    cluster = Simulation(Raft.group(3), seed=5)
    for name in ("c1", "c2"):
        workload = mixed_workload(prefix=name, seed=1)
        cluster.add_client(Client(name, servers=cluster.servers, workload=workload, every_ms=20))
    leader = cluster.run_until_leader()
    cluster.run(400)
    cluster.kill(leader)
    cluster.run(800)
    cluster.restart(leader)
    cluster.run(300)
    return cluster.trace


# --- gaps and bands ---


def test_a_gap_lasts_from_a_wish_to_the_next_success() -> None:
    run = written(asked(10), told(30), asked(100), told(150, "fail"), asked(160), told(400))
    assert charts.gaps(run) == [charts.Gap(100, 400), charts.Gap(10, 30)]
    assert charts.gaps(run, at_least_ms=50) == [charts.Gap(100, 400)]


def test_while_nobody_wants_anything_there_is_no_gap() -> None:
    run = written(asked(0), told(10), asked(1000), told(1010), (2000, "n", "fire", {}))
    assert [gap.ms for gap in charts.gaps(run)] == [10, 10]


def test_a_gap_goes_on_while_another_still_waits() -> None:
    run = written(asked(0, "a"), asked(5, "b"), told(10, client="a"), told(90, client="b"))
    assert charts.gaps(run) == [charts.Gap(10, 90), charts.Gap(0, 10)]


def test_a_gap_that_never_ends_lasts_to_the_end() -> None:
    run = written(asked(0), (500, "n", "fire", {}))
    assert charts.gaps(run) == [charts.Gap(0, 500)]


def test_a_fault_is_a_band_for_as_long_as_it_lasts() -> None:
    run = written(
        (10, "n1", "pause", {}),
        (20, "n1", "kill", {}),
        (30, None, "partition", {"groups": ()}),
        (40, "n2", "isolate", {}),
        (50, None, "heal", {}),
        (60, "n1", "restart", {}),
        (70, "n3", "kill", {}),
        (90, "n2", "fire", {}),
    )
    assert charts.bands(run) == [
        charts.Band("n1 is paused", 10, 20),
        charts.Band("n1 is dead", 20, 60),
        charts.Band("the network is cut or bad", 30, 50),
        charts.Band("n3 is dead", 70, 90),
    ]


# --- charts ---


def test_every_operation_that_ended_is_a_point(trace: Trace) -> None:
    figure = charts.operations(trace)
    points = sorted((x, y) for line in figure.data for x, y in zip(line.x, line.y, strict=True))
    ended = [op for op in History.of(trace) if op.returned_ms is not None]
    wanted = sorted((round((op.returned_ms or 0) / 1000, 6), op.latency_ms) for op in ended)
    assert points == wanted
    assert len(figure.layout.shapes) == len(charts.bands(trace)) == 1
    assert figure.layout.title.subtitle.text.startswith(f"{len(History.of(trace)):,} operations")


def test_outcomes_differ_in_shape_and_word_not_only_in_colour() -> None:
    run = written(asked(0), told(10), asked(20), told(30, "fail"), asked(40), told(50, "info"))
    lines = charts.operations(run).data
    assert len({line.marker.symbol for line in lines}) == len({line.name for line in lines}) == 3


def test_values_are_shown_as_text_not_as_html() -> None:
    call = {"operation": Put("<img src=x onerror=alert(1)>", "<b>")}
    run = written((0, "c", "invoke", call), told(5))
    (line,) = charts.operations(run).data
    assert "<" not in line.text[0]
    assert "&lt;img" in line.text[0]


def test_successes_are_counted_and_the_longest_gap_is_named(trace: Trace) -> None:
    figure = charts.availability(trace, every_ms=50, gap_ms=100)
    (line,) = figure.data
    assert sum(line.y) == len(History.of(trace).ok())
    longest = charts.gaps(trace)[0]
    assert f"the longest {longest.ms:,.0f} ms" in figure.layout.title.subtitle.text
    assert longest.ms > 150, "the leader's death is the outage"
    calm = charts.availability(written(asked(0), told(5)))
    assert "served at least every 150 ms" in calm.layout.title.subtitle.text


def test_messages_are_counted_by_type_and_the_lost_apart(trace: Trace) -> None:
    figure = charts.messages(trace)
    arrived = Counter(
        type(event.data["msg"]).__name__
        for event in trace.of("deliver")
        if event.data["src"] != WORLD
    )
    assert {bar.name: sum(bar.y) for bar in figure.data if bar.type == "bar"} == dict(arrived)
    (lost,) = [line for line in figure.data if line.name == "lost"]
    assert sum(lost.y) == len(trace.of("drop"))


def test_roles_follow_each_other_without_holes(trace: Trace) -> None:
    figure = charts.roles(trace)
    rows: dict[str, list[tuple[float, float, str]]] = {}
    for bar in figure.data:
        rows.setdefault(bar.y[0], []).append((bar.base[0], bar.x[0], bar.name))
    assert set(rows) == {"n1", "n2", "n3"}, "clients have no row"
    end = trace.events[-1].at_ms / 1000
    for spans in rows.values():
        assert sum(length for _, length, _ in spans) == pytest.approx(end)
    died = trace.of("kill")[0]
    dead = [span for span in rows[died.node or ""] if span[2] == charts.DEAD]
    assert [(begin, length) for begin, length, _ in dead] == [
        (pytest.approx(died.at_ms / 1000), pytest.approx(0.8))
    ]
    assert figure.layout.title.subtitle.text.startswith(f"led: {died.node}, ")


def test_a_trace_that_has_nothing_to_show_says_so() -> None:
    silent = written((0, "n", "start", {}))
    for chart in (charts.operations, charts.availability):
        with pytest.raises(ScenarioError, match="add a client"):
            chart(silent)
    with pytest.raises(ScenarioError, match="write status"):
        charts.roles(silent)
    with pytest.raises(ScenarioError, match="above 0"):
        charts.messages(silent, every_ms=0)
    assert charts.messages(silent).layout.meta["says"].startswith("Messages: 0 arrived")
