"""Session guarantees (Terry et al. 1994): what one client may count on though replicas lag.

"Session Guarantees for Weakly Consistent Replicated Data", section 2 and 3. A session is a client.

| guarantee | in words |
|---|---|
| read your writes | a read sees the session's earlier writes, or newer ones |
| monotonic reads | a read sees what the session's earlier reads saw, or newer |
| monotonic writes | where a write is, the session's earlier writes are, in front of it |
| writes follow reads | where a write is, what its session had read before is, in front of it |

All four together are causal consistency. The paper defines them by what servers hold; here they are
judged by what clients saw. A guarantee holds if some order of the versions of each key explains all
reads; with `real_time` (the default) that order must also be the order of time, where two writes to
a key do not overlap, as in a store whose writes all go through one leader. Sometimes only two
guarantees together are contradicted, and nobody can say which one it was: both are named then.

Versions are told apart by their values, so write different ones: a read of a value that was
written twice is left out, and told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple, TypeAlias

from clusterlab.check.accesses import Access, access, written
from clusterlab.check.spans import Span, as_history, bits, spans_of
from clusterlab.check.verdict import Breach, Verdict, count_of, verdict_on
from clusterlab.core.faults import check_name
from clusterlab.core.history import Operation
from clusterlab.core.node import NodeId

READ_YOUR_WRITES, MONOTONIC_READS = "read your writes", "monotonic reads"
MONOTONIC_WRITES, WRITES_FOLLOW_READS = "monotonic writes", "writes follow reads"
GUARANTEES = (READ_YOUR_WRITES, MONOTONIC_READS, MONOTONIC_WRITES, WRITES_FOLLOW_READS)

LOOKED_AT = 60
"""Through how many versions a shortest contradiction is looked for."""


class Version(NamedTuple):
    """What a write made, or what was there at first (`by` is None then)."""

    number: int
    key: Hashable
    by: Span | None


class Edge(NamedTuple):
    """One version must come before another (their numbers): `by` shows it, and is None for time."""

    older: int
    newer: int
    by: Span | None = None


def check_sessions(
    history: Iterable[Operation],
    guarantees: Collection[str] = GUARANTEES,
    *,
    real_time: bool = True,
) -> Verdict:
    """Which session guarantees a history of reads and writes breaks, with the operations that do.

    Parameters
    ----------
    history:
        Reads and writes of registers or of a store: Put, Get, Write, Read, CompareAndSet.
    guarantees:
        Those that are promised, of GUARANTEES.
    real_time:
        Writes to a key that do not overlap take effect in the order of time. Without it, as in a
        store where the timestamps of skewed clocks decide, the versions may have any order.

    Raises ScenarioError for another kind of operation.

    >>> from clusterlab.core.spec import Get, Put
    >>> put = Operation("c1", Put("x", 1), 0, 10, "ok")
    >>> print(check_sessions([put, Operation("c1", Get("x"), 20, 30, "ok", None)]))
    read your writes broken: c1 wrote 1 to 'x', then read None there.
    """
    for name in guarantees:
        check_name(name, GUARANTEES, "session guarantee")
    history = as_history(history)
    versions = Versions(history.operations)
    wanted = [name for name in GUARANTEES if name in guarantees]
    breaches = [*versions.impossible]
    breaches += (_breach(some, cycle) for some, cycle in _broken(versions, wanted, real_time))
    left_out = ""
    if versions.ambiguous:
        reads = count_of(versions.ambiguous, "read")
        left_out = f"; {reads} of values that were written twice left out"
    fine = (
        f"{', '.join(wanted)}: kept in {count_of(versions.judged, 'read')} of "
        f"{count_of(len(versions.sessions), 'session')}{left_out}."
        if versions.judged
        else f"unknown: there is no read to judge{left_out}."
    )
    return verdict_on(history, breaches, fine=fine, judged=versions.judged)


_Cycle: TypeAlias = "list[tuple[Edge, tuple[Operation, ...]]]"
"""Edges, each with the operations that show it."""


def _broken(
    versions: Versions, wanted: Sequence[str], real_time: bool
) -> Iterator[tuple[tuple[str, ...], _Cycle]]:
    """The smallest sets of guarantees that contradict what was seen."""
    if Knowledge(versions, frozenset(wanted), real_time).contradiction() is None:
        return
    broken: list[tuple[str, ...]] = []
    for size in range(len(wanted) + 1):
        for some in combinations(wanted, size):
            if any(set(less) <= set(some) for less in broken):
                continue
            cycle = Knowledge(versions, frozenset(some), real_time).contradiction()
            if cycle is not None:
                broken.append(some)
                yield some, cycle


def _breach(names: tuple[str, ...], cycle: _Cycle) -> Breach:
    what = " or ".join(names) if names else "one order of the versions"
    told = [_told(because) for _, because in cycle if len(because) > 1]
    operations = {id(op): op for _, because in cycle for op in because}.values()
    shown = sorted(operations, key=lambda op: (op.invoked_ms, op.invoke_seq))
    return Breach(what, f"{'; and '.join(dict.fromkeys(told))}.", tuple(shown))


def _told(operations: Sequence[Operation]) -> str:
    """`c1 wrote 1 to 'x', then read None there`."""
    words: list[str] = []
    before: tuple[NodeId, Hashable] | None = None
    for operation in operations:
        key = getattr(operation.call, "key", None)
        wrote = written(operation.call)
        same = before == (operation.client, key)
        if wrote is None:
            there = "" if key is None else " there" if same else f" at {key!r}"
            text = f"read {operation.value!r}{there}"
        else:
            there = "" if key is None else " there" if same else f" to {key!r}"
            text = f"wrote {wrote[1]!r}{there}"
        if before is None or before[0] != operation.client:
            text = f"{operation.client} {text}"
        words.append(text)
        before = (operation.client, key)
    return ", then ".join(words)


class Versions:
    """What each operation of a history made and saw."""

    def __init__(self, operations: Collection[Operation]) -> None:
        found = [(span, access(span.operation)) for span in spans_of(list(operations))]
        did = sorted(((s, a) for s, a in found if a is not None), key=lambda pair: pair[0].begin)
        self.sessions = list(dict.fromkeys(span.operation.client for span, _ in did))
        self.impossible: list[Breach] = []
        """Reads of what cannot be."""
        self.ambiguous = 0
        """Reads of which nobody can tell what they saw."""
        self.all: list[Version] = []
        self.of_key: dict[Hashable, int] = {}
        """The versions of each key, as a mask; the first of them is what was there at first."""
        self._by_value: dict[tuple[Hashable, Hashable], list[Version]] = {}
        self.made: dict[int, Version] = {}
        for span, what in did:
            self._learn(span, what)
        self.seen = {id(span): seen for span, what in did if (seen := self._seen(span, what))}
        self.judged = len(self.seen)
        ends = ((s.end, s, False) for s, _ in did if s.end is not None)
        self.moments = sorted(
            [*((s.begin, s, True) for s, _ in did), *ends], key=lambda moment: moment[0]
        )
        """Every invocation (True) and return (False), in the order of time."""

    def _learn(self, span: Span, what: Access) -> None:
        if what.key not in self.of_key:
            self._by_value[what.key, None] = [self._version(what.key, None)]
        if what.wrote is not None:
            made = self.made[id(span)] = self._version(what.key, span)
            self._by_value.setdefault((what.key, what.wrote[0]), []).append(made)

    def _version(self, key: Hashable, by: Span | None) -> Version:
        made = Version(len(self.all), key, by)
        self.all.append(made)
        self.of_key[key] = self.of_key.get(key, 0) | 1 << made.number
        return made

    def _seen(self, span: Span, what: Access) -> Version | None:
        """The version that a read saw; None if it is none, nobody can tell, or it cannot be."""
        if what.saw is None or span.end is None:
            return None
        candidates = [v for v in self._by_value.get((what.key, what.saw[0]), []) if v.by != span]
        possible = [v for v in candidates if v.by is None or v.by.begin < span.end]
        if len(possible) == 1:
            return possible[0]
        if possible:
            self.ambiguous += 1
            return None
        why = "before anybody began to write it" if candidates else "which nobody has written"
        told = f"{_told([span.operation])}, {why}."
        self.impossible.append(Breach("a read of what cannot be", told, (span.operation,)))
        return None


class Knowledge:
    """What the sessions of a history must have known if some guarantees were kept.

    A set of versions is a mask. `brings[v]` are the versions that any server with v must have.
    """

    def __init__(self, versions: Versions, guarantees: frozenset[str], real_time: bool) -> None:
        self._versions = versions
        self._guarantees = guarantees
        self._brings: dict[int, int] = {}
        self._edges: dict[int, dict[int, Edge]] = {}
        self._know_order(real_time)
        self._live_through()

    def _edge(self, older: int, newer: int, by: Span | None = None) -> None:
        self._edges.setdefault(older, {}).setdefault(newer, Edge(older, newer, by))

    def _know_order(self, real_time: bool) -> None:
        """What is sure without any guarantee: what was there at first, and time."""
        everything = self._versions.all
        for mask in self._versions.of_key.values():
            first, *others = (everything[number] for number in bits(mask))
            for a in others:
                self._edge(first.number, a.number)
            for a, b in combinations(others, 2) if real_time else ():
                assert a.by is not None
                assert b.by is not None
                if a.by.end is not None and a.by.end < b.by.begin:
                    self._edge(a.number, b.number)
        for span in (version.by for version in everything):
            if span is not None and id(span) in self._versions.seen:  # a compare-and-set
                made = self._versions.made[id(span)]
                self._edge(self._versions.seen[id(span)].number, made.number, span)

    def _live_through(self) -> None:
        """Follow all sessions through time, and note which version must be before which."""
        made, seen, of_key = self._versions.made, self._versions.seen, self._versions.of_key
        own = dict.fromkeys(self._versions.sessions, 0)
        read = dict.fromkeys(self._versions.sessions, 0)
        due: dict[int, int] = {}
        for _, span, begins in self._versions.moments:
            client, at = span.operation.client, id(span)
            if begins:
                due[at] = self._if(READ_YOUR_WRITES, own[client])
                due[at] |= self._if(MONOTONIC_READS, read[client])
            if begins and at in made:
                number = made[at].number
                brings = self._if(MONOTONIC_WRITES, own[client])
                brings |= self._if(WRITES_FOLLOW_READS, read[client])
                self._brings[number] = brings
                for older in bits(brings & of_key[made[at].key] & ~(1 << number)):
                    self._edge(older, number, span)
            if not begins and at in seen:
                number = seen[at].number
                for older in bits(due[at] & of_key[seen[at].key] & ~(1 << number)):
                    self._edge(older, number, span)
                read[client] |= 1 << number | self._brings.get(number, 0)
            if not begins and at in made:
                number = made[at].number
                own[client] |= 1 << number | self._brings[number]

    def _if(self, guarantee: str, mask: int) -> int:
        return mask if guarantee in self._guarantees else 0

    def contradiction(self) -> _Cycle | None:
        """A shortest cycle of versions, each before the next; None if they can be ordered."""
        left = {a: set(newer) for a, newer in self._edges.items()}
        # What nothing precedes, or what precedes nothing, is on no cycle.
        while True:
            targets = {b for newer in left.values() for b in newer}
            kept = {a: newer & left.keys() for a, newer in left.items() if a in targets}
            kept = {a: newer for a, newer in kept.items() if newer}
            if kept == left:
                break
            left = kept
        cycles = (self._cycle_through(start, left) for start in sorted(left)[:LOOKED_AT])
        shortest = min((cycle for cycle in cycles if cycle), key=len, default=None)
        if shortest is None:
            return None
        edges = [self._edges[a][b] for a, b in pairwise([*shortest, shortest[0]])]
        return [(edge, self._because(edge)) for edge in edges]

    def _cycle_through(self, start: int, left: dict[int, set[int]]) -> list[int] | None:
        came_from: dict[int, int] = {}
        queue = deque([start])
        while queue:
            a = queue.popleft()
            for b in sorted(left[a]):
                if b == start:
                    cycle = [a]
                    while cycle[-1] != start:
                        cycle.append(came_from[cycle[-1]])
                    return cycle[::-1]
                if b in left and b not in came_from:
                    came_from[b] = a
                    queue.append(b)
        return None

    def _because(self, edge: Edge) -> tuple[Operation, ...]:
        """The operations that show an edge, in the order in which one follows from the other."""
        if edge.by is None:
            spans = (self._versions.all[number].by for number in (edge.older, edge.newer))
            return tuple(span.operation for span in spans if span is not None)
        writing = edge.by is self._versions.all[edge.newer].by
        if writing and self._versions.seen.get(id(edge.by)) == self._versions.all[edge.older]:
            maker = self._versions.all[edge.older].by
            return (*(() if maker is None else (maker.operation,)), edge.by.operation)
        return (*self._path(edge.older, edge.by, writing), edge.by.operation)

    def _path(self, version: int, span: Span, writing: bool) -> tuple[Operation, ...]:
        """How the session of `span` had come to know a version before that operation."""
        by_writing = MONOTONIC_WRITES if writing else READ_YOUR_WRITES
        by_reading = WRITES_FOLLOW_READS if writing else MONOTONIC_READS
        made, seen = self._versions.made, self._versions.seen
        found: tuple[Operation, ...] | None = None
        for _, other, begins in self._versions.moments:
            if other.operation.client != span.operation.client or begins:
                continue
            if other.end is None or other.end > span.begin:
                continue
            known = [made.get(id(other))] if by_writing in self._guarantees else []
            known += [seen.get(id(other))] if by_reading in self._guarantees else []
            for one in known:
                if one is None:
                    continue
                if one.number == version:
                    return (other.operation,)
                if self._brings.get(one.number, 0) >> version & 1 and found is None:
                    assert one.by is not None
                    through = self._path(version, one.by, writing=True)
                    step = () if one.by is other else (one.by.operation,)
                    found = (*through, *step, other.operation)
        assert found is not None, "the session knew it"
        return found
