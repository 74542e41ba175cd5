"""Journals survive the death of their writer, and become one trace ordered by cause."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from clusterlab.core.node import Message, Timer
from clusterlab.core.trace import Trace
from clusterlab.live import collect
from clusterlab.live import records as r
from clusterlab.live.collect import Collector
from clusterlab.live.merge import DRIVER, Death, Merger
from clusterlab.live.wire import Wire


class Ping(Message):
    number: int


class Tick(Timer):
    pass


WIRE = Wire([Ping, Tick])


def sends(at: float, node: str, number: int, dst: str, dst_life: int, **out: Any) -> r.Record:
    send = (r.SEND, number, dst, Ping(number), out.get("delay", 5.0), False, dst_life)
    return (r.STEP, at, node, (r.FIRED, Tick()), [send])


def delivers(at: float, node: str, name: r.MessageName) -> r.Record:
    return (r.STEP, at, node, (r.DELIVERED, name), [(r.NOTE, "got", name)])


# --- journals ---


def journal(path: Path, *frames: tuple[list[r.Record], bool]) -> bytes:
    writer = r.Journal(path, WIRE)
    for records, marked in frames:
        writer.write(records, marked=marked)
    writer.close()
    return path.read_bytes()


def test_frames_are_read_whole_however_the_bytes_arrive(tmp_path: Path) -> None:
    data = journal(tmp_path / "j", ([(1,)], True), ([(2, Ping(3))], True), ([(4,)], True))
    for size in (1, 7, len(data)):
        frames = r.Frames(WIRE)
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        assert [x for piece in pieces for x in frames.feed(piece)] == [(1,), (2, Ping(3)), (4,)]


def test_a_journal_that_was_cut_off_is_read_up_to_its_last_whole_frame(tmp_path: Path) -> None:
    whole = journal(tmp_path / "j", ([(1,)], True))
    longer = journal(tmp_path / "j", ([(2,)], True))
    for end in range(len(whole), len(longer)):
        frames = r.Frames(WIRE)
        assert frames.feed(longer[:end]) == [(1,)]


def test_the_last_frame_counts_only_if_its_saves_reached_the_disk(tmp_path: Path) -> None:
    data = journal(tmp_path / "j", ([(1,)], True), ([(2,)], False))
    for saved, expected in [(2, [(2,)]), (1, []), (-1, [])]:
        frames = r.Frames(WIRE)
        assert frames.feed(data) == [(1,)]
        assert frames.last(saved) == expected


def test_a_mark_releases_the_frame_before_it(tmp_path: Path) -> None:
    writer = r.Journal(tmp_path / "j", WIRE)
    frames = r.Frames(WIRE)
    writer.write([(1,)], marked=False)
    data = (tmp_path / "j").read_bytes()
    assert frames.feed(data) == []
    writer.mark()
    assert frames.feed((tmp_path / "j").read_bytes()[len(data) :]) == [(1,)]
    assert frames.last(99) == []


# --- merging ---


def merger(limit: int = 1000) -> tuple[Merger, Trace, list[Death]]:
    trace, deaths = Trace(), list[Death]()
    made = Merger(trace, {}, deaths.append, limit)
    for life, name in enumerate(("a", "b", "c"), 1):
        made.feed(name, [(r.LIFE, 0.0, life)])
    return made, trace, deaths


def kinds(trace: Trace) -> list[str]:
    return [f"{e.node} {e.kind}" for e in trace]


def test_a_delivery_waits_for_its_send_whatever_the_clocks_say() -> None:
    merge, trace, _ = merger()
    merge.feed("b", [delivers(1.0, "b", (1, 7))])  # by its clock, long before the send
    merge.merge()
    assert len(trace) == 0
    merge.feed("a", [sends(50.0, "a", 7, "b", 2)])
    merge.merge()
    assert kinds(trace) == ["a fire", "a send", "b deliver", "b note"]
    assert trace[2].cause == 1
    assert trace[3].cause == 2
    assert trace[2].data == {"src": "a", "msg": Ping(7)}


def test_the_order_of_each_process_is_kept_in_any_interleaving() -> None:
    chance = random.Random(5)
    names = ["a", "b", "c"]
    streams: dict[str, list[r.Record]] = {name: [] for name in names}
    flying: list[tuple[str, r.MessageName]] = []
    for number in range(300):
        if flying and chance.random() < 0.5:
            dst, name = flying.pop(chance.randrange(len(flying)))
            streams[dst].append(delivers(chance.random() * 100, dst, name))
        else:
            src, dst = chance.sample(names, 2)
            life = names.index(src) + 1
            step = sends(chance.random() * 100, src, number, dst, names.index(dst) + 1)
            streams[src].append(step)
            flying.append((dst, (life, number)))
    merge, trace, _ = merger()
    read = dict.fromkeys(names, 0)
    while any(read[name] < len(streams[name]) for name in names):
        name = chance.choice(names)
        piece = streams[name][read[name] : read[name] + chance.randrange(4)]
        read[name] += len(piece)
        merge.feed(name, piece)
        merge.merge()
    assert len(trace) == 600
    for event in trace:
        assert event.cause is None or event.cause < event.seq
        if event.kind == "deliver":
            cause = trace[event.cause or 0]
            assert (cause.kind, cause.data["dst"]) == ("send", event.node)
    for name in names:
        times = [e.at_ms for e in trace if e.node == name and e.kind in ("fire", "deliver")]
        assert times == [round(step[1], 3) for step in streams[name]]


def test_what_is_on_its_way_to_a_dead_process_is_lost() -> None:
    merge, trace, _ = merger()
    merge.feed("a", [sends(1.0, "a", 1, "b", 2), sends(2.0, "a", 2, "b", 2)])
    merge.feed("b", [delivers(3.0, "b", (1, 1)), (r.END, 4.0, 2, ("b",))])
    merge.feed("a", [sends(9.0, "a", 3, "b", 2), sends(9.5, "a", 4, "b", 8)])
    merge.merge()
    drops = trace.of("drop")
    assert [(e.node, e.data["msg"], e.data["why"]) for e in drops] == [
        ("b", Ping(2), "dead"),
        ("b", Ping(3), "dead"),  # sent by one who had not heard of the death
    ]
    assert [e.kind for e in trace.of(node="b")][:3] == ["deliver", "note", "kill"]
    assert all(trace[e.cause or 0].kind == "send" for e in drops)


def test_a_node_that_told_of_its_own_end_is_not_killed_again() -> None:
    merge, trace, deaths = merger()
    step = (r.STEP, 2.0, "b", (r.STARTED,), [(r.FAILED, "b is wrong.", "BadValue", "...")])
    merge.feed("b", [step, (r.END, 4.0, 2, ("b",))])
    merge.merge()
    assert kinds(trace) == ["b start", "b error"]
    assert deaths == [Death("b", "b is wrong.", "BadValue", "...")]


def test_a_restart_is_the_cause_of_the_start_and_clears_what_was_shown() -> None:
    shown: dict[str, Any] = {"a": {"role": "leader"}}
    trace = Trace()
    merge = Merger(trace, shown, print, 1000)
    merge.feed("a", [(r.LIFE, 0.0, 4), (r.FAULT, 1.0, "a", "restart", {"disk": "keep"})])
    merge.feed("a", [(r.STEP, 2.0, "a", (r.STARTED,), [])])
    merge.merge()
    assert [(e.kind, e.cause) for e in trace] == [("restart", None), ("start", 0)]
    assert shown == {}


def test_a_duplicate_has_the_send_as_its_cause_and_its_own_arrival() -> None:
    merge, trace, _ = merger()
    outs = [
        (r.SEND, 1, "b", Ping(1), 5.0, False, 2),
        (r.DUPLICATE, 2, "b", Ping(1), 9.0, True, 2),
    ]
    merge.feed("a", [(r.STEP, 0.0, "a", (r.STARTED,), outs)])
    merge.feed("b", [delivers(5.0, "b", (1, 1)), (r.DROPPED, 9.0, "b", (1, 2), "partition")])
    merge.merge()
    by_kind = {e.kind: e for e in trace}
    assert by_kind["duplicate"].cause == by_kind["send"].seq
    assert by_kind["deliver"].cause == by_kind["send"].seq
    assert by_kind["drop"].cause == by_kind["duplicate"].seq
    assert by_kind["duplicate"].data["reordered"] is True


def test_a_full_trace_says_so_and_keeps_what_is_rare() -> None:
    merge, trace, _ = merger(limit=3)
    merge.feed("a", [sends(1.0 * n, "a", n, "b", 2) for n in range(5)])
    merge.feed("b", [delivers(9.0, "b", (1, 4))])
    merge.merge()
    assert [e.kind for e in trace] == ["fire", "send", "fire", "note", "note"]
    assert trace.notes("trace is full")
    assert trace.notes("got")


def test_what_waits_for_a_cause_that_never_comes_is_released_at_the_end() -> None:
    merge, trace, _ = merger()
    merge.feed("b", [delivers(1.0, "b", (9, 9)), delivers(2.0, "b", (9, 8))])
    merge.merge()
    assert len(trace) == 0
    merge.release()
    assert kinds(trace) == ["b note", "b note"]


# --- collecting ---


def test_the_collector_follows_growing_files_and_a_restart(tmp_path: Path) -> None:
    trace = Trace()
    collector = Collector(trace, {}, WIRE, 1000)
    writers = {}
    for life, name in enumerate(("a", "b"), 1):
        collector.open(name, life, tmp_path / name, 0.0)
        writers[name] = r.Journal(tmp_path / name, WIRE)
    writers["b"].write([delivers(2.0, "b", (1, 1))], marked=True)
    collector.collect(1.0)
    assert len(trace) == 0
    writers["a"].write([sends(1.0, "a", 1, "b", 2)], marked=True)
    collector.flush()
    assert kinds(trace) == ["a fire", "a send", "b deliver", "b note"]
    writers["b"].write([sends(3.0, "b", 1, "a", 1)], marked=False)
    collector.close("b", 2, 4.0, saved=0, nodes=["b"])
    assert kinds(trace)[4:] == ["b kill"]  # the last frame never reached the disk
    collector.open("b", 3, tmp_path / "b3", 5.0)
    collector.add("b", (r.FAULT, 5.0, "b", "restart", {"disk": "keep"}))
    collector.add(DRIVER, (r.FAULT, 6.0, None, "heal", {}))
    again = r.Journal(tmp_path / "b3", WIRE)
    again.write([(r.STEP, 6.0, "b", (r.STARTED,), [])], marked=True)
    collector.finish()
    assert sorted(kinds(trace)[5:]) == ["None heal", "b restart", "b start"]
    for writer in (*writers.values(), again):
        writer.close()


def test_a_collector_that_falls_behind_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "BEHIND_BYTES", 10_000)
    monkeypatch.setattr(collect, "PENDING_MAX", 10)
    monkeypatch.setattr(r, "READ_BYTES", 5_000)
    trace = Trace()
    collector = Collector(trace, {}, WIRE, 10_000)
    collector.open("a", 1, tmp_path / "a", 0.0)
    writer = r.Journal(tmp_path / "a", WIRE)
    for n in range(1000):
        writer.write([(r.STEP, float(n), "a", (r.SILENT,), [(r.NOTE, "n", n)])], marked=True)
    writer.close()
    collector.collect(0.0)
    assert len(trace.notes("trace is behind")) == 1
    collector.finish()
    assert [e.data["data"] for e in trace.notes("n")] == list(range(1000))
