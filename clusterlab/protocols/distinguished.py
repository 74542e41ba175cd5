"""Paxos with a distinguished proposer, so that nobody duels.

Source: Leslie Lamport, "Paxos Made Simple", 2001, section 2.4; quotations are from there.

Who is distinguished is only a guess: the server with the greatest name among those that were heard
of late. Two that guess differently duel for a while, as without it; safety needs no guess.

>>> [server.id for server in Distinguished.group(3)]
['n1', 'n2', 'n3']
"""

from __future__ import annotations

from typing import Any

from clusterlab.core.node import Message, NodeId, Timer, volatile
from clusterlab.protocols.paxos import Paxos, Proposal, ProposalOverdue


class Alive(Message):
    """To all: I am up."""


class Wanted(Message):
    """To the distinguished proposer: have this chosen, if nothing is."""

    value: Any


class AliveDue(Timer):
    """Time to be heard."""


class Silent(Timer):
    """Nothing was heard of `server` for a while."""

    server: NodeId


class Distinguished(Paxos):
    """A server in all roles that proposes only while it takes itself for the distinguished one.

    Parameters
    ----------
    beat_ms:
        How often it is heard.
    silence_ms:
        Who was not heard for this long is taken for dead; well above `beat_ms`.
    """

    beat_ms: int = 50
    silence_ms: int = 200

    alive: set[NodeId] = volatile(set())
    errand: Wanted | None = volatile(None)  # the wish of another server's user

    def on_start(self) -> None:
        """Take everybody for alive, until they are silent."""
        # §2.4: a reliable election "must use either randomness or real time - for example, by using
        # timeouts"
        for server in self.acceptors:
            if server != self.id:
                self.on_alive(server, Alive())
        self.on_alive_due(AliveDue())

    def on_alive_due(self, t: AliveDue) -> None:
        """Be heard."""
        self.broadcast(Alive(), [server for server in self.acceptors if server != self.id])
        self.set_timer(AliveDue(), self.beat_ms)

    def on_alive(self, src: NodeId, m: Alive) -> None:
        """Another is up."""
        self.alive.add(src)
        self.set_timer(Silent(src), self.silence_ms)

    def on_silent(self, t: Silent) -> None:
        """Dead, cut off or slow: nobody can tell, and a wrong guess costs nothing but time."""
        self.alive.discard(t.server)
        if self.wish is not None and self.ballot is None:
            self.begin()

    @property
    def distinguished(self) -> NodeId:
        """Who should propose, as far as this server can tell."""
        return max({self.id, *self.alive})

    def begin(self) -> None:
        """Propose, or leave it to the one who may."""
        # "a distinguished proposer must be selected as the only one to try issuing proposals"
        if self.distinguished == self.id:
            super().begin()
        elif self.wish is not None:
            self.ballot = None
            self.tries += 1
            self.send(self.distinguished, Wanted(self.wish.value))
            self.set_timer(ProposalOverdue(), self.wait_ms())

    def on_wanted(self, src: NodeId, m: Wanted) -> None:
        """Do it, unless a ballot is on, which will do; all learners hear of it."""
        self.errand = m
        if self.ballot is None:
            self.begin()

    def on_proposal_overdue(self, t: ProposalOverdue) -> None:
        """Try again, for its own user or for another's."""
        if self.wish is not None or self.errand is not None:
            self.begin()

    def free_value(self) -> Any:
        """What its own user wants, or else another's."""
        if self.wish is None and self.errand is not None:
            return self.errand.value
        return super().free_value()

    def learn(self, proposal: Proposal) -> None:
        """The errand is done as well."""
        self.errand = None
        if self.wish is None:
            self.ballot = None
            self.cancel_timer(ProposalOverdue())
        super().learn(proposal)

    def status(self) -> dict[str, Any]:
        """Whoever takes itself for distinguished wears the crown."""
        shown = super().status()
        return {**shown, "role": "leader"} if self.distinguished == self.id else shown
