"""Exports, read by parsers that share nothing with their writers."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from clusterlab.check.judging import judge_file
from clusterlab.cli import main
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD
from clusterlab.core.spec import Put
from clusterlab.core.trace import Trace
from clusterlab.exports import FORMATS, chrome, jepsen, mermaid, shiviz
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation

SHIVIZ = re.compile(r"(?P<host>\S*) (?P<clock>{.*})\n(?P<event>.*)\n")
"""The pattern that ShiViz offers."""


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A leader, its death, a cut network, copies and losses, two clients."""
    network = Network(loss=0.05, duplicate=0.05, reorder=0.05)
    cluster = Simulation(Raft.group(3), network=network, seed=3)
    for name in ("ann", "bob"):
        workload = mixed_workload(prefix=name, seed=1)
        cluster.add_client(Client(name, servers=cluster.servers, workload=workload, every_ms=20))
    leader = cluster.run_until_leader()
    cluster.run(200)
    cluster.kill(leader)
    cluster.run(600)
    cluster.restart(leader)
    cluster.partition([leader], [node for node in cluster.servers if node != leader])
    cluster.pause("n1")
    cluster.run(300)
    cluster.resume("n1")
    cluster.heal()
    cluster.run(300)
    assert {"kill", "partition", "drop", "duplicate", "return"} <= {e.kind for e in cluster.trace}
    return cluster.trace


# --- ShiViz ---


def _parsed(log: str) -> list[tuple[str, dict[str, int], str]]:
    found = [(m["host"], json.loads(m["clock"]), m["event"]) for m in SHIVIZ.finditer(log)]
    assert len(found) * 2 == log.count("\n"), "every line belongs to an event"
    return found


def test_a_host_s_own_entry_starts_at_1_and_grows_by_one(trace: Trace) -> None:
    counts: Counter[str] = Counter()
    for host, clock, _ in _parsed(shiviz(trace)):
        counts[host] += 1
        assert clock[host] == counts[host]
    assert {"n1", "n2", "n3", "ann", "bob", "the-network"} == set(counts)


def test_every_host_that_a_clock_names_has_that_event(trace: Trace) -> None:
    seen: Counter[str] = Counter()
    for host, clock, _ in _parsed(shiviz(trace)):
        seen[host] += 1
        assert all(1 <= count <= seen[other] for other, count in clock.items())


def test_clocks_tell_what_happened_before_what(trace: Trace) -> None:
    events = _parsed(shiviz(trace))
    shown = [e for e in trace if e.kind not in ("save", "set_timer", "cancel_timer", "duplicate")]
    shown = [e for e in shown if e.kind != "drop"]
    shown = [e for e in shown if WORLD not in (e.data.get("src"), e.data.get("dst"))]
    assert len(shown) == len(events)
    clocks = {event.seq: clock for event, (_, clock, _) in zip(shown, events, strict=True)}
    last = next(e for e in reversed(shown) if e.kind == "deliver")
    past = {e.seq for e in trace.causes(last.seq)}
    mine = clocks[last.seq]
    for event, (host, clock, _) in zip(shown, events, strict=True):
        before = event.seq != last.seq and clock[host] <= mine.get(host, 0)
        assert before == (event.seq in past), event


def test_names_with_spaces_are_one_word() -> None:
    trace = Trace()
    trace.append(0, "a node", "note", {"name": "two\nlines"})
    assert _parsed(shiviz(trace)) == [
        ("a_node", {"a_node": 1}, "0.0 ms note name='two\\nlines'"),
    ]


# --- Chrome ---


def _timeline(trace: Trace) -> tuple[list[dict[str, Any]], dict[int, str]]:
    events = json.loads(chrome(trace))["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    return [e for e in events if e["ph"] != "M"], names


def test_a_timeline_is_what_the_format_says(trace: Trace) -> None:
    events, names = _timeline(trace)
    for event in events:
        assert event["ph"] in "Xisf"
        assert event["pid"] in names
        assert isinstance(event["tid"], int)
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
        if event["ph"] == "i":
            assert event["s"] in "gp"
    assert set(names.values()) == {"the network", "n1", "n2", "n3", "ann", "bob"}


def test_each_arrow_ends_once_and_in_a_step(trace: Trace) -> None:
    events, _ = _timeline(trace)
    starts = Counter(e["id"] for e in events if e["ph"] == "s")
    ends = Counter(e["id"] for e in events if e["ph"] == "f")
    assert set(starts.values()) == set(ends.values()) == {1}
    assert set(ends) <= set(starts)
    delivered = sum(e.kind == "deliver" and e.data["src"] != WORLD for e in trace)
    assert len(ends) == delivered
    slices = defaultdict(list)
    for e in events:
        if e["ph"] == "X":
            slices[e["pid"], e["tid"]].append((e["ts"], e["ts"] + e["dur"]))
    for arrow in (e for e in events if e["ph"] in "sf"):
        row = slices[arrow["pid"], arrow["tid"]]
        assert any(begin <= arrow["ts"] <= end for begin, end in row), arrow


def test_downtime_and_operations_are_as_long_as_they_were(trace: Trace) -> None:
    events, names = _timeline(trace)
    down = [e for e in events if e["name"] in ("dead", "paused")]
    assert {e["name"] for e in down} == {"dead", "paused"}
    (kill,), (restart,) = trace.of("kill"), trace.of("restart")
    (dead,) = [e for e in down if e["name"] == "dead"]
    assert names[dead["pid"]] == kill.node
    assert dead["dur"] == pytest.approx((restart.at_ms - kill.at_ms) * 1000)
    returned = [e for e in events if "outcome" in e["args"]]
    assert len(returned) == len(trace.of("return"))


# --- Mermaid ---


def test_a_diagram_has_an_arrow_for_each_message_up_to_its_limit(trace: Trace) -> None:
    lines = mermaid(trace, arrows_max=50).splitlines()
    assert lines[0] == "sequenceDiagram"
    arrow = re.compile(r"    (\w+)(->>|-x)(\w+): (.+)")
    arrows = [m for m in map(arrow.fullmatch, lines) if m]
    assert len(arrows) == 50
    everything = sum(e.kind in ("deliver", "drop") and e.data["src"] != WORLD for e in trace)
    assert f"{everything - 50:,} messages more" in lines[-1]
    whole = mermaid(trace, arrows_max=everything)
    assert "more follow" not in whole
    assert whole.count("-x") == sum(e.kind == "drop" for e in trace)


def test_what_mermaid_would_take_for_its_own_is_written_as_codes() -> None:
    trace = Trace()
    sent = trace.append(0, "end", "send", {"dst": "x; y", "msg": "<b>#1;"})
    trace.append(1, "x; y", "deliver", {"src": "end", "msg": "<b>#1;"}, cause=sent)
    assert mermaid(trace).splitlines()[1:] == [
        "    participant node_1 as end",
        "    participant node_2 as x#59; y",
        "    node_1->>node_2: '#60;b#62;#35;1#59;'",
    ]
    assert mermaid(Trace()) == "sequenceDiagram\n"


# --- Jepsen ---


def test_a_history_is_judged_as_its_trace_is(trace: Trace, tmp_path: Path) -> None:
    file = tmp_path / "history.edn"
    file.write_text(jepsen(trace), encoding="utf-8")
    assert judge_file(file, "kv").valid is True
    a_read = r"(:ok, :f :read, :value \[\"\w+\" )\S+\]"
    spoiled = re.sub(a_read, r"\g<1>987]", jepsen(trace), count=1)
    assert spoiled != jepsen(trace)
    file.write_text(spoiled, encoding="utf-8")
    assert judge_file(file, "kv").valid is False


def test_a_process_of_unknown_outcome_does_not_come_back() -> None:
    trace = Trace()
    for number, outcome in enumerate(("ok", "info", "fail"), 1):
        call = {"operation": Put("x", number)}
        trace.append(number, "c", "invoke", call)
        trace.append(number, "c", "return", {"outcome": outcome, "value": None})
    processes = re.findall(r":process (\d+), :type :(\w+)", jepsen(trace))
    assert processes == [
        *(("0", "invoke"), ("0", "ok"), ("0", "invoke"), ("0", "info")),
        *(("1", "invoke"), ("1", "fail")),
    ]


# --- the command ---


def test_the_command_writes_every_format(
    trace: Trace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = trace.save(tmp_path / "run.jsonl")
    for name, write in FORMATS.items():
        assert main(["export", str(saved), "--to", name]) == 0
        assert capsys.readouterr().out == write(Trace.load(saved))
    assert main(["export", str(saved), "--to", "chrome", "-o", str(tmp_path / "x.json")]) == 0
    assert json.loads((tmp_path / "x.json").read_text())["traceEvents"]


def test_a_wrong_format_or_file_is_a_sentence(
    trace: Trace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = trace.save(tmp_path / "run.jsonl")
    assert main(["export", str(saved), "--to", "pdf"]) == 2
    assert "write shiviz, chrome, mermaid, jepsen" in capsys.readouterr().err.replace("\n", " ")
    assert main(["export", str(tmp_path / "no.jsonl"), "--to", "chrome"]) == 2
    assert "cannot read" in capsys.readouterr().err
    assert main(["export", str(saved), "--to", "chrome", "-o", str(tmp_path / "no" / "x")]) == 2
    assert "cannot write" in capsys.readouterr().err
