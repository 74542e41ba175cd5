"""Charts: what they show is what the trace says."""

from __future__ import annotations

import json
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


EVIL = "<img src=x onerror=alert(1)>"


def test_values_are_shown_as_text_not_as_html() -> None:
    call = {"operation": Put(EVIL, "<b>")}
    mail = {"src": EVIL, "msg": EVIL}
    run = written(
        (0, "c", "invoke", call),
        told(5),
        (6, EVIL, "state", {"role": EVIL, "epoch": EVIL}),
        (7, EVIL, "send", {"dst": EVIL, "msg": EVIL, "delay_ms": 1.0}),
        (8, EVIL, "deliver", mail),
        (9, EVIL, "kill", {}),
        (10, EVIL, "restart", {}),
    )
    for chart in (
        *(charts.operations, charts.availability, charts.outages),
        *(charts.messages, charts.queues, charts.roles),
    ):
        drawn = json.loads(chart(run).to_json())
        del drawn["layout"]["meta"]  # the sentence, which is shown as plain text
        assert "<img" not in json.dumps(drawn), chart.__name__
    (line,) = charts.operations(run).data
    assert "&lt;img" in line.text[0]


def test_a_notebook_gets_data_and_a_sentence_and_nothing_from_a_network(trace: Trace) -> None:
    from IPython.core.formatters import DisplayFormatter

    chart = charts.operations(trace)
    bundle, _ = DisplayFormatter().format(chart)
    assert set(bundle) == {"application/vnd.plotly.v1+json", "text/plain"}
    assert bundle["text/plain"] == chart.says == repr(chart)
    assert chart.says.startswith("Operations: ")
    assert bundle["application/vnd.plotly.v1+json"]["data"]


def test_a_chart_is_a_white_card_in_a_dark_theme_too(trace: Trace) -> None:
    template = charts.roles(trace).layout.template.layout
    assert (template.paper_bgcolor, template.plot_bgcolor) == ("white", "white")
    assert template.font.color == "#2a3f5f"


def test_successes_are_counted_and_the_longest_gap_is_named(trace: Trace) -> None:
    figure = charts.availability(trace, every_ms=50, gap_ms=100)
    (line,) = figure.data
    assert sum(line.y) == len(History.of(trace).ok())
    longest = charts.gaps(trace)[0]
    assert f"the longest {longest.ms:,.0f} ms" in figure.layout.title.subtitle.text
    assert longest.ms > 150, "the leader's death is the outage"
    calm = charts.availability(written(asked(0), told(5)))
    assert "served at least every 150 ms" in calm.layout.title.subtitle.text


def test_an_outage_is_a_bar_as_long_as_it_lasted(trace: Trace) -> None:
    bars, lost = charts.outages(trace, gap_ms=100).data
    gaps = charts.gaps(trace, 100)
    assert list(bars.text) == [f"{gap.ms:,.0f} ms" for gap in gaps]
    assert list(bars.x) == [pytest.approx(gap.ms / 1000) for gap in gaps]
    assert len(lost.x) == 0, "this cluster keeps what it acknowledges"
    assert "0 acknowledged writes were lost" in charts.outages(trace).says


def put(at_ms: float, value: object) -> list[tuple[float, str, str, dict[str, object]]]:
    call = {"operation": Put("x", value)}
    return [(at_ms, "c", "invoke", call), told(at_ms + 5)]


def test_an_acknowledged_write_that_the_last_read_misses_is_lost() -> None:
    read = {"outcome": "ok", "value": 1}
    run = written(*put(0, 1), *put(10, 2), *put(20, 3), asked(30), (35, "c", "return", read))
    chart = charts.outages(run)
    assert list(chart.data[1].x) == [0.015, 0.025]
    assert "2 acknowledged writes were lost" in chart.says
    later = written(*put(0, 1), asked(10), (15, "c", "return", read), *put(20, 2))
    assert "0 acknowledged writes were lost (1 were not read any more" in charts.outages(later).says
    known = charts.outages(later, lost=History.of(later).ok()[:1])
    assert list(known.data[1].x) == [0.005], "an experiment may know it better"


def test_a_queue_grows_with_each_send_and_shrinks_with_each_arrival() -> None:
    run = Trace(servers=["a", "b"])
    sent = [run.append(at, "a", "send", {"dst": "b", "msg": "m"}) for at in (10, 20, 150)]
    run.append(160, "b", "deliver", {"src": "a", "msg": "m"}, sent[0])
    run.append(320, "b", "drop", {"src": "a", "msg": "m", "why": "lost"}, sent[1])
    run.append(390, "b", "deliver", {"src": "a", "msg": "m"}, sent[2])
    run.append(510, "a", "fire", {})
    chart = charts.queues(run, every_ms=100)
    assert {line.name: list(line.y) for line in chart.data} == {
        "a": [0, 0, 0, 0, 0, 0],
        "b": [2, 3, 2, 2, 0, 0],
    }
    assert "at most 3, to b" in chart.says


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
    for chart in (charts.operations, charts.availability, charts.outages):
        with pytest.raises(ScenarioError, match="add a client"):
            chart(silent)
    with pytest.raises(ScenarioError, match="write status"):
        charts.roles(silent)
    with pytest.raises(ScenarioError, match="above 0"):
        charts.messages(silent, every_ms=0)
    assert charts.messages(silent).layout.meta["says"].startswith("Messages: 0 arrived")
