"""The trace: what happened, what it was caused by, and a file that brings it all back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusterlab.core.errors import TraceError
from clusterlab.core.node import Message
from clusterlab.core.trace import FORMAT, Trace, TraceEvent
from clusterlab.protocols.paxos import Ballot, Prepare, Promise, Proposal
from clusterlab.protocols.raft import Command, Entry


class Hello(Message):
    words: Any


def conversation() -> Trace:
    """n1 says hello to n2, which answers; a message to n3 is lost; n3 minds its own business."""
    trace = Trace(engine="sim", seed=1)
    trace.append(0, "n1", "start", {})  # 0
    trace.append(0, "n2", "start", {})  # 1
    trace.append(0, "n3", "start", {})  # 2
    trace.append(1, "n1", "send", {"dst": "n2", "msg": Hello("hi"), "delay_ms": 5.0}, 0)  # 3
    trace.append(1, "n1", "send", {"dst": "n3", "msg": Hello("hi"), "delay_ms": None}, 0)  # 4
    trace.append(1, "n3", "drop", {"src": "n1", "msg": Hello("hi"), "why": "lost"}, 4)  # 5
    trace.append(3, "n3", "note", {"name": "alone", "data": None}, 2)  # 6
    trace.append(6, "n2", "deliver", {"src": "n1", "msg": Hello("hi")}, 3)  # 7
    trace.append(6, "n2", "send", {"dst": "n1", "msg": Hello(("a", 1)), "delay_ms": 5.0}, 7)  # 8
    trace.append(7, "n1", "note", {"name": "before", "data": 1}, 0)  # 9
    trace.append(11, "n1", "deliver", {"src": "n2", "msg": Hello(("a", 1))}, 8)  # 10
    return trace


def seqs(events: list[TraceEvent]) -> list[int]:
    return [event.seq for event in events]


def test_events_are_numbered_and_found_by_kind_and_node() -> None:
    trace = conversation()

    assert len(trace) == 11
    assert [event.seq for event in trace] == list(range(11))
    assert trace[3].kind == "send"
    assert seqs(trace.of("send")) == [3, 4, 8]
    assert seqs(trace.of("send", "deliver", node="n2")) == [7, 8]
    assert seqs(trace.of(node="n3")) == [2, 5, 6]
    assert seqs(trace.notes("before")) == [9]
    assert repr(trace) == "<Trace: 11 events, 11 ms>"


def test_an_unknown_kind_is_said() -> None:
    with pytest.raises(TraceError, match=r"^there is no kind of event 'sned'; there are start"):
        conversation().of("sned")


@pytest.mark.parametrize(
    ("seq", "past"),
    [
        (3, [0]),
        (7, [0, 1, 3]),
        # All that n1 did until it sent is before n2's answer, and not what it did afterwards.
        (8, [0, 1, 3, 7]),
        (10, [0, 1, 3, 4, 7, 8, 9]),
        # That a message to n3 was lost is nothing that n3 knows of.
        (6, [2]),
        (5, [0, 3, 4]),
    ],
)
def test_the_causal_past(seq: int, past: list[int]) -> None:
    assert seqs(conversation().causes(seq)) == past


@pytest.mark.parametrize(
    ("seq", "future"),
    [
        (0, [3, 4, 5, 7, 8, 9, 10]),
        (7, [8, 10]),
        (6, []),
        (2, [6]),
        (4, [5, 9, 10]),
        (5, []),
    ],
)
def test_the_causal_future(seq: int, future: list[int]) -> None:
    assert seqs(conversation().consequences(seq)) == future


def test_past_and_future_are_two_sides_of_one_relation() -> None:
    trace = conversation()

    for a in range(len(trace)):
        for b in range(len(trace)):
            before = a in seqs(trace.causes(b))
            assert before == (b in seqs(trace.consequences(a))), (a, b)


def test_faults_that_struck_are_counted() -> None:
    trace = conversation()
    trace.append(20, "n1", "kill", {"effects": None})
    trace.append(20, None, "partition", {"groups": (("n1",), ("n2", "n3"))})
    copy = {"dst": "n2", "msg": Hello("x"), "delay_ms": 1}
    first = trace.append(21, "n1", "send", copy)
    second = trace.append(21, "n1", "duplicate", copy, first)
    trace.append(22, "n2", "deliver", {"src": "n1", "msg": Hello("x")}, second)
    trace.append(23, "n2", "deliver", {"src": "n1", "msg": Hello("x")}, first)

    assert trace.fired() == {
        "message lost": 1,
        "kill": 1,
        "partition": 1,
        "message duplicated": 1,
        "message reordered": 1,
    }


def test_events_read_well() -> None:
    lines = [str(event) for event in conversation()]

    assert lines[3] == "    3       1.0 ms  n1   send n1 -> n2 Hello(words='hi')"
    assert lines[5] == "    5       1.0 ms  n3   drop n1 -> n3 Hello(words='hi') (lost)"
    assert lines[7] == "    7       6.0 ms  n2   deliver n1 -> n2 Hello(words='hi')"
    assert lines[9] == "    9       7.0 ms  n1   note name='before', data=1"
    assert lines[0] == "    0       0.0 ms  n1   start"


# --- digest ---


def test_equal_runs_have_equal_digests() -> None:
    assert conversation().digest() == conversation().digest()


@pytest.mark.parametrize(
    "change",
    [
        {"at_ms": 2.0},
        {"node": "n2"},
        {"kind": "duplicate"},
        {"cause": None},
        {"data": {"dst": "n2", "msg": Hello("ho"), "delay_ms": 5.0}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_difference_changes_the_digest(change: dict[str, Any]) -> None:
    other = conversation()
    other.events[3] = other.events[3]._replace(**change)

    assert other.digest() != conversation().digest()


# --- files ---


def test_a_trace_is_read_back_whole(tmp_path: Path) -> None:
    trace = conversation()

    path = trace.save(tmp_path / "run.jsonl")
    back = Trace.load(path)

    assert back.events == trace.events
    assert back.meta == {"engine": "sim", "seed": 1}
    assert back.digest() == trace.digest()
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_one_line_an_event(tmp_path: Path) -> None:
    lines = conversation().save(tmp_path / "run.jsonl").read_text(encoding="utf-8").split("\n")

    assert len(lines) == 13
    assert json.loads(lines[0]) == {"clusterlab_trace": 1, "meta": {"engine": "sim", "seed": 1}}
    assert json.loads(lines[4]) == {
        "seq": 3,
        "at_ms": 1,
        "node": "n1",
        "kind": "send",
        "data": {"dst": "n2", "msg": {"$": "Hello", "words": "hi"}, "delay_ms": 5.0},
        "cause": 0,
    }


@pytest.mark.parametrize("text", ["a\u2028b", "a\x85b", "a\nb\r\nc", "é ☃ \U0001f600", "\x0b\x1c"])
def test_texts_of_all_kinds_come_back(text: str, tmp_path: Path) -> None:
    trace = Trace()
    trace.append(0, "n1", "note", {"name": text, "data": {text: (text,)}})

    assert Trace.load(trace.save(tmp_path / "run.jsonl")).events == trace.events


def test_the_tuples_of_a_protocol_come_back_as_what_they_were(tmp_path: Path) -> None:
    """Handlers compare ballots and read entries: a stand-in would not do for a replay."""
    trace = Trace()
    said = Promise(Ballot(1, "p1"), Proposal(Ballot(0, "p2"), "x"))
    trace.append(0, "n1", "deliver", {"src": "a1", "msg": said})
    entries = (Entry(1), Entry(2, Command("c1", 1, Prepare(Ballot(1, "p1")))))
    trace.append(0, "n1", "note", {"name": "log", "data": entries})

    back = Trace.load(trace.save(tmp_path / "run.jsonl"))

    assert back.events == trace.events
    assert type(back[0].data["msg"].accepted) is Proposal
    assert back[0].data["msg"].ballot < Ballot(2, "a")
    assert back[1].data["data"][1].command.client == "c1"


def test_a_trace_can_be_read_without_the_protocol_that_wrote_it() -> None:
    back = Trace.parse(conversation().lines(), vocabulary={})

    assert repr(back[3].data["msg"]) == "Hello(words='hi')"
    assert back.digest() == conversation().digest()


def damaged(tmp_path: Path, lines: list[str]) -> str:
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(TraceError) as error:
        Trace.load(path)
    return str(error.value).replace(str(path), "FILE")


def test_a_file_that_is_cut_off_is_said(tmp_path: Path) -> None:
    lines = list(conversation().lines())

    said = damaged(tmp_path, [*lines[:5], lines[5][:20]])

    assert said.startswith("line 6 of FILE is not a trace record (")
    assert said.endswith("): the file is cut off or is something else; record it again.")


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ('{"seq": 0}', 2),
        ("[]", 2),
        ("7", 2),
        ('{"seq": 0, "data": []}', 2),
        ('{"seq": 0, "data": {}, "kind": "note", "node": null, "at_ms": 0, "cause": 0, "x": 1}', 2),
        ("not json", 2),
    ],
)
def test_a_line_that_is_no_record_is_said(line: str, number: int, tmp_path: Path) -> None:
    header = next(conversation().lines())

    said = damaged(tmp_path, [header, line])

    assert said.startswith(f"line {number} of FILE is not a trace record (")


def test_a_line_that_is_missing_is_said(tmp_path: Path) -> None:
    lines = list(conversation().lines())

    said = damaged(tmp_path, lines[:3] + lines[4:])

    assert said == (
        "line 4 of FILE is not a trace record (event 2 should stand there, not 3): "
        "the file is cut off or is something else; record it again."
    )


def test_a_file_without_a_header_is_said(tmp_path: Path) -> None:
    said = damaged(tmp_path, list(conversation().lines())[1:])

    assert said.startswith("line 1 of FILE is not a trace record ('clusterlab_trace')")


def test_an_empty_file_is_said(tmp_path: Path) -> None:
    assert damaged(tmp_path, []) == "FILE is empty: record it again."


def test_a_file_of_another_format_is_said(tmp_path: Path) -> None:
    said = damaged(tmp_path, [json.dumps({"clusterlab_trace": 99, "meta": {}})])

    assert said == f"FILE was written in format 99, this version reads {FORMAT}: record it again."


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"^cannot read .*none.jsonl: .*; name a trace that was"):
        Trace.load(tmp_path / "none.jsonl")


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(TraceError, match="name a trace that was saved here"):
        Trace.load(tmp_path / "x")


def test_a_place_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(TraceError) as error:
        conversation().save(tmp_path / "no" / "run.jsonl")

    assert str(error.value) == (
        f"cannot write the trace to {tmp_path / 'no' / 'run.jsonl'}: No such file or directory; "
        "name a file in a folder that you can write to."
    )


def test_an_old_file_stays_whole_if_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    path = conversation().save(tmp_path / "run.jsonl")
    before = path.read_text(encoding="utf-8")
    broken = conversation()
    broken.append(0, "n1", "note", {"name": "x", "data": object()})

    with pytest.raises(Exception, match="cannot be written to a trace"):
        broken.save(path)

    assert path.read_text(encoding="utf-8") == before
