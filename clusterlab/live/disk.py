"""The disk of live nodes: one SQLite file, outside the process, which survives its death.

One node has one file, so that its death and the loss of its disk are its own
(clients, which live together, share one). Look into it with any SQLite browser:

| table | row |
|---|---|
| fields | node, name, value: a durable field as JSON (`values.encode`); NULL if it is a tuple |
| items | node, name, position, value: an item of a durable field that is a tuple |
| frames | the number of the newest trace frame whose saves are in here |

A tuple has a row for each item, so that a log of 20,000 entries grows by one row.
`synchronous=FULL` in WAL mode: when `commit` returns, the values would survive a loss of power.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from clusterlab.core.node import Message, NodeId
from clusterlab.core.values import Splice, decode, encode

EMPTYING_LIMIT_S = 2.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fields (
  node TEXT, name TEXT, value TEXT, PRIMARY KEY (node, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
  node TEXT, name TEXT, position INTEGER, value TEXT, PRIMARY KEY (node, name, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS frames (
  one INTEGER PRIMARY KEY CHECK (one = 1), life INTEGER, frame INTEGER
);
"""
_PUT_FIELD = "INSERT OR REPLACE INTO fields VALUES (?, ?, ?)"
_PUT_ITEM = "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)"
_CUT_ITEMS = "DELETE FROM items WHERE node = ? AND name = ? AND position >= ?"
_PUT_FRAME = "INSERT OR REPLACE INTO frames VALUES (1, ?, ?)"

_quote = json.encoder.encode_basestring
_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Disk:
    """Durable fields of one or more nodes in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        # How many items each tuple has, so that appending needs no DELETE; no entry: not a tuple.
        self._lengths: dict[tuple[NodeId, str], int] = {}
        # Nodes whose disk lies, and what it has confirmed and not written.
        self._cached: dict[NodeId, list[Mapping[str, Any]]] = {}
        for node, name, length in self._db.execute(
            "SELECT node, name,"
            " (SELECT count(*) FROM items i WHERE i.node = f.node AND i.name = f.name)"
            " FROM fields f WHERE value IS NULL"
        ):
            self._lengths[node, name] = length

    def commit(
        self, saves: Iterable[tuple[NodeId, Mapping[str, Any]]], life: int = 0, frame: int = 0
    ) -> None:
        """Write these Saves, in order, and the number of their trace frame, as one transaction."""
        merged: dict[tuple[NodeId, str], Any] = {}
        for node, values in saves:
            if node in self._cached:
                self._cached[node].append(values)
                continue
            for name, value in values.items():
                key = (node, name)
                merged[key] = join(merged[key], value) if key in merged else value
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            for (node, name), value in merged.items():
                self._put(db, node, name, value)
            db.execute(_PUT_FRAME, (life, frame))
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise

    def _put(self, db: sqlite3.Connection, node: NodeId, name: str, value: Any) -> None:
        key = (node, name)
        length = self._lengths.get(key)
        if type(value) is tuple:
            value = Splice(0, value)
        if type(value) is not Splice:
            if length is not None:
                db.execute(_CUT_ITEMS, (node, name, 0))
                del self._lengths[key]
            db.execute(_PUT_FIELD, (node, name, to_json(value)))
            return
        keep, items = value
        if length is None:
            db.execute(_PUT_FIELD, (node, name, None))
        elif keep < length:
            db.execute(_CUT_ITEMS, (node, name, keep))
        rows = [(node, name, keep + i, to_json(item)) for i, item in enumerate(items)]
        db.executemany(_PUT_ITEM, rows)
        self._lengths[key] = keep + len(items)

    def read(self, node: NodeId, vocabulary: Mapping[str, type]) -> dict[str, Any]:
        """What the disk holds of `node`: field -> value."""
        return _read(self._db, node, vocabulary)

    def erase(self, node: NodeId) -> None:
        """Lose everything of `node`."""
        for key in [key for key in self._lengths if key[0] == node]:
            del self._lengths[key]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM fields WHERE node = ?", (node,))
        self._db.execute("DELETE FROM items WHERE node = ?", (node,))
        self._db.execute("COMMIT")

    def let_lie(self, node: NodeId, lies: bool) -> None:
        """Keep what is saved of `node` in memory from now on; or write it, and be honest again."""
        if lies:
            self._cached.setdefault(node, [])
            return
        db, cached = self._db, self._cached.pop(node, [])
        db.execute("BEGIN IMMEDIATE")
        for values in cached:
            for name, value in values.items():
                self._put(db, node, name, value)
        db.execute("COMMIT")

    def lose_cache(self, node: NodeId) -> None:
        """The node has died."""
        self._cached.pop(node, None)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


class _Writers(dict[type, Callable[[Any], str]]):
    """How to write values of each class as JSON; asks once for each class."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        writer = self[kind] = self._writer(kind)
        return writer

    def _writer(self, kind: type) -> Callable[[Any], str]:
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            text = _template(kind, kind._fields)
            return lambda value: text % tuple([self[type(v)](v) for v in value])
        if issubclass(kind, Message):
            keys = tuple(f.name for f in fields(kind))  # type: ignore[arg-type]
            text = _template(kind, keys)

            def write(message: Message) -> str:
                held = message.__dict__
                return text % tuple([self[type(held[k])](held[k]) for k in keys])

            return write
        return lambda value: _dump(encode(value))


def _template(kind: type, keys: Iterable[str]) -> str:
    inside = "".join(f",{_quote(key)}:%s" for key in keys)
    return f'{{"$":{_quote(kind.__name__)}{inside}}}'


_writers: _Writers = _Writers(
    {
        str: _quote,
        int: repr,
        tuple: lambda value: "[" + ",".join([_writers[type(v)](v) for v in value]) + "]",
    }
)


def to_json(value: Any) -> str:
    """`encode(value)` as JSON text, without making the objects in between.

    Every follower writes every entry: that was a quarter of the processor time of a busy cluster.
    """
    return _writers[type(value)](value)


def join(first: Any, then: Any) -> Any:
    """One change that does what `first` and `then` do, one after the other."""
    if type(then) is not Splice:
        return then
    if type(first) is Splice:
        if then.keep < first.keep:
            return then
        return Splice(first.keep, first.items[: then.keep - first.keep] + then.items)
    return first[: then.keep] + then.items  # `first` is a whole tuple


def _read(db: sqlite3.Connection, node: NodeId, vocabulary: Mapping[str, type]) -> dict[str, Any]:
    known = {"Splice": Splice, **vocabulary}
    values: dict[str, Any] = {}
    for name, value in db.execute(
        "SELECT name, value FROM fields WHERE node = ?", (node,)
    ).fetchall():
        if value is not None:
            values[name] = decode(json.loads(value), known)
        else:
            rows = db.execute(
                "SELECT value FROM items WHERE node = ? AND name = ? ORDER BY position",
                (node, name),
            )
            values[name] = tuple(decode(json.loads(row), known) for (row,) in rows)
    return values


def read_disk(path: Path, node: NodeId, vocabulary: Mapping[str, type]) -> dict[str, Any]:
    """What the file (empty if there is none) holds of `node`; its owner is not disturbed."""
    if not path.exists():
        return {}
    db = sqlite3.connect(path, isolation_level=None)
    try:
        return _read(db, node, vocabulary)
    except sqlite3.OperationalError:  # the file was made, but not yet its tables
        return {}
    finally:
        db.close()


def newest_frame(path: Path, life: int) -> int:
    """The number of the newest frame of `life` whose saves are on this disk; -1: there is none.

    A process that was killed within a commit may have left it where only a recovery would find it.
    Whatever is found now is what everybody finds from now on: the write-ahead log is emptied.
    """
    if not path.exists():
        return -1
    db = sqlite3.connect(path, isolation_level=None)
    try:
        end = time.monotonic() + EMPTYING_LIMIT_S
        while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 1:  # somebody reads
            if time.monotonic() > end:
                break
            time.sleep(0.005)
        row = db.execute("SELECT frame FROM frames WHERE life = ?", (life,)).fetchone()
    except sqlite3.OperationalError:
        return -1
    finally:
        db.close()
    return -1 if row is None else int(row[0])


def lose(path: Path) -> None:
    """Delete the file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
