"""A replica keeps versions, and hints for others that are away (Dynamo, sections 4.4 and 4.6)."""

from __future__ import annotations

from clusterlab.core.node import Node, NodeId, durable
from clusterlab.protocols.dynamo.messages import (
    Fetch,
    Fetched,
    HandedOff,
    HandOff,
    HintsDue,
    Keep,
    Kept,
)
from clusterlab.protocols.dynamo.versions import Order, Version, merged


class Replica(Node):
    """Keeps what it is told to, by one rule for which versions survive.

    Parameters
    ----------
    order:
        What a version is known by: `clock`, `counter` or `vector`; see `versions`.
    hint_ms:
        How often it tries to hand on what it keeps for others.
    """

    order: Order = "clock"
    hint_ms: int = 300

    versions: dict[str, tuple[Version, ...]] = durable({})
    hints: dict[tuple[NodeId, str], tuple[Version, ...]] = durable({})  # (home, key) -> versions

    def on_start(self) -> None:
        """Hand on what was kept for others before a crash."""
        if self.hints:
            self.set_timer(HintsDue(), self.hint_ms)

    def keep(self, key: str, versions: tuple[Version, ...]) -> None:
        """Those that survive beside what is here already."""
        self.versions[key] = merged((*self.versions.get(key, ()), *versions), self.order)

    def on_fetch(self, src: NodeId, m: Fetch) -> None:
        """Say what is here; a stand-in shows what it keeps for others as well."""
        hinted = [v for (_, key), kept in self.hints.items() if key == m.key for v in kept]
        found = merged((*self.versions.get(m.key, ()), *hinted), self.order)
        self.send(src, Fetched(m.number, found))

    def on_keep(self, src: NodeId, m: Keep) -> None:
        """Keep it, as one's own or for another."""
        if m.home is None:
            self.keep(m.key, m.versions)
        else:
            if not self.hints:
                self.set_timer(HintsDue(), self.hint_ms)
            place = (m.home, m.key)
            self.hints[place] = merged((*self.hints.get(place, ()), *m.versions), self.order)
        self.send(src, Kept(m.number))

    # --- hinted hand-off ---

    def on_hints_due(self, t: HintsDue) -> None:
        """Try every home."""
        # Dynamo §4.6: a stand-in keeps hinted replicas apart from its own, looks now and then
        # whether the home is back, and forgets them once they are delivered.
        for (home, key), versions in sorted(self.hints.items()):
            self.send(home, HandOff(key, versions))
        if self.hints:
            self.set_timer(HintsDue(), self.hint_ms)

    def on_hand_off(self, src: NodeId, m: HandOff) -> None:
        """Take what came while this replica was away."""
        self.keep(m.key, m.versions)
        self.send(src, HandedOff(m.key, m.versions))

    def on_handed_off(self, src: NodeId, m: HandedOff) -> None:
        """Forget it, unless more has come since."""
        if self.hints.get((src, m.key)) == m.versions:
            del self.hints[src, m.key]
