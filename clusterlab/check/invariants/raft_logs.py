"""The logs of Raft servers as properties compare them: some entries may be in a snapshot only.

A server with snapshots has an `offset`, the index before its first entry; two logs are compared
where both have entries. One whose disk writes while it goes on has entries in `unsynced`: they are
in its log and not on its disk. A dead server counts with what its disk holds.
"""

from __future__ import annotations

from typing import Any

from clusterlab.check.world import NodeView, World


def servers(world: World) -> tuple[NodeView, ...]:
    """The nodes that are Raft servers."""
    return world.having("current_term", "log")


def offset(server: NodeView) -> int:
    """How many entries of its log are only in a snapshot."""
    return int(getattr(server, "offset", 0))


def entries(server: NodeView) -> tuple[Any, ...]:
    """The entries of its log that it has, behind the snapshot."""
    log: tuple[Any, ...] = server.log
    return log + getattr(server, "unsynced", ())


def last_index(server: NodeView) -> int:
    """The index of the last entry of its log."""
    return offset(server) + len(entries(server))


def last_term(server: NodeView) -> int:
    """The term of that entry; 0 if there is none."""
    log = entries(server)
    if log:
        return int(log[-1].term)
    return int(server.snapshot.last_term) if offset(server) else 0


def commit_index(server: NodeView) -> int:
    """How far it takes its log for committed; a snapshot holds nothing else."""
    return max(int(server.commit_index), offset(server))


def differ_at(a: NodeView, b: NodeView, last: int) -> int | None:
    """The first index up to `last` at which two logs have different entries."""
    first = max(offset(a), offset(b))
    last = max(first, last)
    one, other = (entries(s)[first - offset(s) : last - offset(s)] for s in (a, b))
    if one == other:
        return None
    pairs = enumerate(zip(one, other, strict=False), first + 1)
    return next((index for index, (x, y) in pairs if x != y), None)


def lacks(server: NodeView, other: NodeView) -> bool:
    """Whether `server` misses something that `other` takes for committed."""
    last = commit_index(other)
    return last_index(server) < last or differ_at(server, other, last) is not None


def told(server: NodeView, last: int | None = None) -> str:
    """Its log, or the part of it through `last`, for an explanation."""
    before = f"a snapshot through {offset(server)} and " if offset(server) else ""
    kept = entries(server) if last is None else entries(server)[: last - offset(server)]
    return f"{before}[{', '.join(map(_entry_told, kept))}]"


def _entry_told(entry: Any) -> str:
    """`term 2: Put(key='x', value=1)`; a blank entry has its term only."""
    command = getattr(entry, "command", None)
    operation = getattr(command, "operation", command)
    return f"term {entry.term}" + (f": {operation!r}" if operation is not None else "")


def told_committed(server: NodeView) -> str:
    """What it takes for committed."""
    return told(server, commit_index(server))


LOG = ("current_term", "log", "offset", "snapshot", "unsynced")
"""What there is to read of a log."""
