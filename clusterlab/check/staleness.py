"""Bounded staleness: how old, and how many versions behind, is what a read returned at least?

By time this is Golab, Li & Shah 2011, "Analyzing consistency properties for fun and profit"
(Delta-atomicity): a read may return what was overwritten at most so many ms before it was invoked.
By versions it is Aiyer, Alvisi & Bazzi 2005, "On the availability of non-strict quorum systems"
(k-atomicity): a read may return one of the newest so many versions.

Each read is judged by itself, and gets the benefit of every doubt: operations that overlap may have
taken effect in any order. So a bound that is said to be broken is broken; what only several reads
together contradict is a matter for linearizability.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from clusterlab.check.accesses import Access, access
from clusterlab.check.spans import Span, as_history, spans_of
from clusterlab.check.verdict import Breach, Verdict, count_of, verdict_on
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Operation
from clusterlab.core.spec import CompareAndSet, Get, Put, Read, Write

_ACCESSES = (CompareAndSet, Get, Put, Read, Write)


class Stale(NamedTuple):
    """How stale a read was at least."""

    read: Operation
    ms: float
    """From the moment at which what it returned had surely been overwritten to its invocation."""
    versions: int
    """How many newer versions there surely were when it was invoked."""
    newer: tuple[Operation, ...]
    """The writes of those, by their returns."""


def check_staleness(
    history: Iterable[Operation], *, ms: float | None = None, versions: int | None = None
) -> Verdict:
    """Whether no read is staler than a bound.

    Parameters
    ----------
    history:
        Reads and writes of registers or of a store, whose written values differ.
    ms:
        What a read returns was overwritten at most so long before it was invoked.
    versions:
        There were at most so many newer versions then. Without any bound, 0 ms is one.

    >>> from clusterlab.core.spec import Read, Write
    >>> writes = [Operation("a", Write(i), 10 * i, 10 * i + 5, "ok") for i in (1, 2, 3)]
    >>> read = Operation("b", Read(), 50, 60, "ok", 1)
    >>> print(check_staleness([*writes, read], ms=30))
    bounded staleness: no read is more than 30 ms stale; the stalest of 1 read returned what had
    been overwritten 25.0 ms before, and was 2 versions behind.
    >>> print(check_staleness([*writes, read], versions=1))
    bounded staleness broken: b Read() -> ok 1 [50.0, 60.0] ms returned what a Write(value=2) had
    overwritten 25.0 ms before; it is 2 versions behind, and the bound is 1
    version.
    """
    if ms is None and versions is None:
        ms = 0.0
    if (ms or 0) < 0 or (versions or 0) < 0:
        raise ScenarioError(f"ms={ms}, versions={versions}: a bound is at least 0.")
    history = as_history(history)
    reads = _Reads(history.operations)
    breaches = list(reads.impossible)
    for stale in reads.stale:
        limits = []
        if versions is not None and stale.versions > versions:
            limits.append(count_of(versions, "version"))
        if ms is not None and stale.ms > ms:
            limits.append(f"{ms:g} ms")
        if limits:
            told = f"{_told(stale)}, and the bound is {' and '.join(limits)}."
            breaches.append(Breach("bounded staleness", told, (*stale.newer, stale.read)))
    worst = max(reads.stale, key=lambda stale: (stale.ms, stale.versions), default=None)
    figures = {
        "reads": reads.judged,
        "stale": len(reads.stale),
        "stalest_ms": worst.ms if worst else 0.0,
        "most_versions": max((stale.versions for stale in reads.stale), default=0),
    }
    return verdict_on(
        history,
        breaches,
        fine=_fine(reads.judged, worst, ms, versions),
        judged=reads.judged,
        figures=figures,
    )


class Missing(NamedTuple):
    """Acknowledged writes that are not there in the end."""

    lost: tuple[Operation, ...]
    """Those that the last read of their key should have seen, or something newer."""
    unread: int
    """How many were acknowledged after the last read of their key: nobody knows of them."""


def missing_writes(history: Iterable[Operation]) -> Missing:
    """What was acknowledged and is lost, as far as the last read of each key shows it.

    A write that an acknowledged one overwrote counts as well if the last read saw something older:
    its effect has gone with the other's. Operations on other objects than registers show nothing.

    >>> from clusterlab.core.spec import Get, Put
    >>> ops = [Operation("c", Put("x", i), 10 * i, 10 * i + 5, "ok") for i in (1, 2)]
    >>> found = missing_writes([*ops, Operation("c", Get("x"), 50, 55, "ok", 1)])
    >>> [op.call for op in found.lost], found.unread
    ([Put(key='x', value=2)], 0)
    """
    accesses = [op for op in as_history(history) if isinstance(op.call, _ACCESSES)]
    last: dict[Hashable, Operation] = {}
    for op in accesses:
        if isinstance(op.call, (Get, Read)) and op.outcome == "ok":
            last[_key(op)] = op
    reads = _Reads(accesses)
    stale = {id(one.read): one for one in reads.stale}
    newer = [stale[id(read)].newer for read in last.values() if id(read) in stale]
    unread = 0
    for op in accesses:
        read = last.get(_key(op))
        did = access(op)
        if op.outcome == "ok" and did is not None and did.wrote is not None:
            unread += read is None or (op.returned_ms or 0.0) > read.invoked_ms
    return Missing(tuple(op for some in newer for op in some), unread)


def _key(operation: Operation) -> Hashable:
    return getattr(operation.call, "key", None)


def _told(stale: Stale) -> str:
    first = stale.newer[0]
    return (
        f"{stale.read} returned what {first.client} {first.call!r} had overwritten "
        f"{stale.ms:.1f} ms before; it is {count_of(stale.versions, 'version')} behind"
    )


def _fine(judged: int, worst: Stale | None, ms: float | None, versions: int | None) -> str:
    if not judged:
        return "unknown: there is no read to judge."
    bound = f"{ms:g} ms stale" if ms is not None else ""
    if versions is not None:
        bound += f"{' or ' if bound else ''}{count_of(versions, 'version')} behind"
    reads = count_of(judged, "read")
    if worst is None:
        return f"bounded staleness: none of {reads} is stale."
    return (
        f"bounded staleness: no read is more than {bound}; the stalest of {reads} returned what "
        f"had been overwritten {worst.ms:.1f} ms before, and was "
        f"{count_of(worst.versions, 'version')} behind."
    )


class _Reads:
    """Each read beside the writes to its key."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        did = [(span, access(span.operation)) for span in spans_of(list(operations))]
        self._writes: dict[Hashable, list[tuple[Span, Hashable]]] = {}
        self.stale: list[Stale] = []
        self.impossible: list[Breach] = []
        self.judged = 0
        for span, what in did:
            if what is not None and what.wrote is not None:
                self._writes.setdefault(what.key, []).append((span, what.wrote[0]))
        for span, what in sorted(did, key=lambda pair: pair[0].begin):
            if what is not None and what.saw is not None:
                self._judge(span, what, what.saw[0])

    def _judge(self, read: Span, what: Access, saw: Hashable) -> None:
        writes = [(s, value) for s, value in self._writes.get(what.key, []) if s is not read]
        assert read.end is not None
        sources = [s for s, value in writes if value == saw and s.begin < read.end]
        self.judged += 1
        if saw is None:
            found = self._newer(None, read, writes)
        elif sources:
            # What was written several times may be from any of them: the newest counts.
            found = min((self._newer(s, read, writes) for s in sources), key=len)
        else:
            told = f"{read.operation} returned what nobody had begun to write."
            self.impossible.append(Breach("a read of what cannot be", told, (read.operation,)))
            return
        if found:
            found.sort(key=lambda span: span.end or 0)
            newer = tuple(span.operation for span in found)
            overwritten_ms = newer[0].returned_ms or 0.0
            age_ms = read.operation.invoked_ms - overwritten_ms
            self.stale.append(Stale(read.operation, age_ms, len(newer), newer))

    @staticmethod
    def _newer(source: Span | None, read: Span, writes: list[tuple[Span, Hashable]]) -> list[Span]:
        """The writes that surely came after `source` and before the read."""
        if source is not None and source.end is None:
            return []  # it may have taken effect a moment ago
        after = -1 if source is None or source.end is None else source.end
        return [
            span
            for span, _ in writes
            if span.end is not None and span.end < read.begin and after < span.begin
        ]
