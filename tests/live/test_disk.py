"""The disk: what was committed is read back, and only what changed is written."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlab.core.node import Message
from clusterlab.core.values import Splice, apply_change, change, encode
from clusterlab.live.disk import Disk, join, lose, newest_frame, read_disk, to_json
from clusterlab.live.wire import names_for, vocabulary
from clusterlab.protocols.raft.snapshots import Snapshot, Snapshots, pieces


class Entry(NamedTuple):
    term: int
    command: Any


class Add(Message):
    key: str
    number: int


class Nothing(Message):
    pass


NAMES = {"Entry": Entry, "Add": Add, "Nothing": Nothing}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "n1.sqlite"


VALUES = [
    0, -1, 2.5, "", 'quo"te\n', None, True, (), (1, (2, 3)), [1, [2]], {"a": 1, 2: (3,)}, {3, 1},
    Entry(1, Add("k", 2)), Entry(1, None), Add("ü", 3), Nothing(), (Entry(1, Add("x", 1)),) * 3,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_every_kind_of_value_comes_back_with_its_class(path: Path, value: Any) -> None:
    Disk(path).commit([("n1", {"field": value})])
    back = Disk(path).read("n1", NAMES)["field"]
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_the_fast_json_is_the_json_of_encode(value: Any) -> None:
    assert json.loads(to_json(value)) == json.loads(json.dumps(encode(value)))


def test_a_splice_touches_only_the_rows_that_changed(path: Path) -> None:
    disk = Disk(path)
    disk.commit([("n1", {"log": tuple(range(20_000))})])
    before = disk._db.total_changes
    disk.commit([("n1", {"log": Splice(20_000, (1, 2))})], 1, 1)
    assert disk._db.total_changes - before == 3  # two items and the number of the frame
    before = disk._db.total_changes
    disk.commit([("n1", {"log": Splice(19_999, (7,))})], 1, 2)
    assert disk._db.total_changes - before == 5  # three items cut, one put, the frame
    assert disk.read("n1", {})["log"] == (*range(19_999), 7)


def test_many_saves_of_one_turn_are_one_transaction(path: Path) -> None:
    disk = Disk(path)
    disk.commit(
        [
            ("n1", {"log": (1, 2), "term": 1}),
            ("n1", {"log": Splice(2, (3,)), "term": 2}),
            ("n2", {"term": 9}),
            ("n1", {"log": Splice(1, (5,))}),
        ],
        4,
        17,
    )
    assert disk.read("n1", {}) == {"log": (1, 5), "term": 2}
    assert disk.read("n2", {}) == {"term": 9}
    assert newest_frame(path, 4) == 17
    assert newest_frame(path, 5) == -1


def test_a_field_may_stop_being_a_tuple_and_become_one_again(path: Path) -> None:
    disk = Disk(path)
    for value in [(1, 2), None, (3,), {"a": 1}, ()]:
        disk.commit([("n1", {"field": value})])
        assert disk.read("n1", {}) == {"field": value}
        assert Disk(path).read("n1", {}) == {"field": value}


def test_a_commit_that_fails_leaves_the_disk_as_it_was(path: Path) -> None:
    disk = Disk(path)
    disk.commit([("n1", {"a": 1})])
    with pytest.raises(Exception, match="cannot be written"):
        disk.commit([("n1", {"a": 2}), ("n1", {"b": object()})])
    disk.commit([("n1", {"c": 3})])
    assert disk.read("n1", {}) == {"a": 1, "c": 3}


def test_it_is_durable_and_open_to_readers(path: Path) -> None:
    disk = Disk(path)
    disk.commit([("n1", {"log": (Entry(1, None),)})])
    assert disk._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert disk._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert read_disk(path, "n1", NAMES) == {"log": (Entry(1, None),)}
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT * FROM items").fetchall() == [
            ("n1", "log", 0, '{"$":"Entry","term":1,"command":null}')
        ]
    other.close()


def test_a_commit_that_its_process_did_not_survive_is_there_for_all_or_for_none(path: Path) -> None:
    """Killed after the write-ahead log was written and before its index was."""
    disk = Disk(path)
    disk.commit([("n1", {"a": 1})], 1, 1)
    index = (path.parent / "n1.sqlite-shm").read_bytes()
    disk.commit([("n1", {"a": 2})], 1, 2)
    left = {}
    for suffix in ("", "-wal"):
        left["n9.sqlite" + suffix] = (path.parent / (path.name + suffix)).read_bytes()
    left["n9.sqlite-shm"] = index
    for name, data in left.items():
        (path.parent / name).write_bytes(data)
    other = path.parent / "n9.sqlite"
    newest = newest_frame(other, 1)
    assert newest in (1, 2)
    assert read_disk(other, "n1", {}) == {"a": newest}
    assert Disk(other).read("n1", {}) == {"a": newest}
    assert not (path.parent / "n9.sqlite-wal").read_bytes()


def test_a_disk_that_lies_keeps_what_it_confirms_to_itself(path: Path) -> None:
    disk = Disk(path)
    disk.commit([("n1", {"log": (1,)}), ("n2", {"log": (1,)})], 1, 1)
    disk.let_lie("n1", True)
    disk.commit([("n1", {"log": Splice(1, (2,))}), ("n2", {"log": Splice(1, (2,))})], 1, 2)
    assert (disk.read("n1", {}), disk.read("n2", {})) == ({"log": (1,)}, {"log": (1, 2)})
    assert newest_frame(path, 1) == 2, "the process goes on as if it were written"
    disk.let_lie("n1", False)
    assert disk.read("n1", {}) == {"log": (1, 2)}
    disk.let_lie("n1", True)
    disk.commit([("n1", {"log": Splice(2, (3,))})], 1, 3)
    disk.lose_cache("n1")
    disk.commit([("n1", {"log": Splice(2, (4,))})], 1, 4)
    assert disk.read("n1", {}) == {"log": (1, 2, 4)}


def test_a_snapshot_comes_back_from_the_disk_whole(path: Path) -> None:
    nodes = Snapshots.group(1)
    state = {"machine": {"x": {"y": 1}}, "sessions": {"c1": (1, None)}}
    snapshot = Snapshot(2, 1, pieces(state))
    Disk(path).commit([("n1", {"snapshot": snapshot})])
    back = read_disk(path, "n1", names_for(nodes, vocabulary(nodes)))["snapshot"]
    assert (back, back.state()) == (snapshot, state)


def test_losing_it_loses_all(path: Path) -> None:
    disk = Disk(path)
    disk.commit([("n1", {"a": (1,)}), ("n2", {"a": 2})])
    disk.erase("n1")
    assert (disk.read("n1", {}), disk.read("n2", {})) == ({}, {"a": 2})
    disk.commit([("n1", {"a": (4,)})])
    assert disk.read("n1", {}) == {"a": (4,)}
    disk.close()
    lose(path)
    assert list(path.parent.iterdir()) == []
    assert read_disk(path, "n2", {}) == {}


tuples = st.lists(st.integers(0, 3), max_size=6).map(tuple)


@given(st.lists(tuples, min_size=3, max_size=3))
def test_joined_changes_do_what_both_do(values: list[tuple[int, ...]]) -> None:
    a, b, c = values
    first, then = change(a, b), change(b, c)
    assert apply_change(a, join(first, then)) == c
    assert join(b, then) == c
    assert join(first, "other") == "other"
