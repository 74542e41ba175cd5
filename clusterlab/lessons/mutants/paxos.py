"""Paxos, wrong in twelve classic ways, and the worlds that show it.

The paper: Leslie Lamport, "Paxos Made Simple", 2001; quotations are from there.

How many ballots are possible matters more than how many nodes: P8 to P11 hold in every schedule of
two ballots, P12 also in every schedule of three, and all are wrong. Stronger properties see them
sooner: PromisedCoversAccepted needs one ballot for P10, LearnedWasChosen two for P12, and P2c 14
events instead of 17 for the others (tests/lessons/test_mutants_paxos.py).

How events are counted stands in `paxos_worlds`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from clusterlab.check.invariants.paxos import AGREEMENT
from clusterlab.core.node import Node, NodeId, volatile
from clusterlab.lessons.mutants import Hunt, Mutant
from clusterlab.lessons.mutants.paxos_worlds import (
    AnswersAgain,
    Forgetful,
    first_phase_done,
    hunting,
)
from clusterlab.protocols.paxos import (
    ZERO,
    Accept,
    Accepted,
    Acceptor,
    Ballot,
    Learner,
    Promise,
    Proposal,
    Propose,
    Proposer,
)


class IgnoresItsPromise(Acceptor):
    """P1. Accepts whatever comes."""

    def may_accept(self, ballot: Ballot) -> bool:
        """Always."""
        return True


class PrefersItsOwnValue(Proposer):
    """P2. Does not look at what the promises report."""

    def pick_value(self) -> Any:
        """The wish of its own user."""
        assert self.wish is not None
        return self.wish.value


class CountsPromisesOfOtherBallots(Proposer):
    """P3. Takes a promise that it was given before for one of the present ballot."""

    def on_promise(self, src: NodeId, m: Promise) -> None:
        """As if it were of the ballot that is on."""
        if self.ballot is not None:
            super().on_promise(src, Promise(self.ballot, m.accepted))


class SharesItsNumbers(Proposer):
    """P4. Counts rounds and leaves its name out, so that two proposers own the same ballot."""

    def next_ballot(self) -> Ballot:
        """A number that others may use too."""
        return super().next_ballot()._replace(proposer="p")


class ForgetsItsPromise(Acceptor):
    """P5. A restart takes its promise."""

    promised: Ballot = volatile(ZERO)


class ForgetsWhatItAccepted(Acceptor):
    """P5. A restart takes what it accepted."""

    accepted: Proposal | None = volatile(None)


class ForgetsEverything(Acceptor):
    """P5. A restart takes both."""

    promised: Ballot = volatile(ZERO)
    accepted: Proposal | None = volatile(None)


class IsContentWithHalf(Proposer):
    """P6. Two of four are enough, for promises and for learning what was chosen."""

    def has_quorum(self, votes: Collection[NodeId]) -> bool:
        """Whether these acceptors are half of them."""
        return len(votes) >= len(self.acceptors) // 2


class ComparesWithWhatItAccepted(Acceptor):
    """P7. Looks at the ballot that it accepted, where it should look at the one it promised."""

    def may_accept(self, ballot: Ballot) -> bool:
        """Whether nothing higher was accepted."""
        return self.accepted is None or ballot >= self.accepted.ballot


class PicksTheLowestBallot(Proposer):
    """P8. Takes the oldest of the reported proposals."""

    def pick_value(self) -> Any:
        """The value of the lowest ballot."""
        reported = [proposal for proposal in self.promises.values() if proposal is not None]
        return min(reported).value if reported else super().pick_value()


class PicksTheMostFrequentValue(Proposer):
    """P9. Lets the reported proposals vote."""

    def pick_value(self) -> Any:
        """The value that most acceptors report; of equals, the first that was reported."""
        reported = [p.value for p in self.promises.values() if p is not None]
        return Counter(reported).most_common(1)[0][0] if reported else super().pick_value()


class AcceptsWithoutPromising(Acceptor):
    """P10. Accepts a ballot without raising its promise to it."""

    def on_accept(self, src: NodeId, m: Accept) -> None:
        """Accept, and leave the promise as it was."""
        before = self.promised
        super().on_accept(src, m)
        self.promised = before


class KeepsItsFirstValue(Acceptor):
    """P11. Goes on reporting the first proposal that it ever accepted."""

    def on_accept(self, src: NodeId, m: Accept) -> None:
        """Accept, but remember the first."""
        first = self.accepted
        super().on_accept(src, m)
        self.accepted = first or self.accepted


class AddsUpBallots(Learner):
    """P12. Counts who accepted a value, under whatever ballot."""

    def on_accepted(self, src: NodeId, m: Accepted) -> None:
        """As if each value had one ballot."""
        super().on_accepted(src, Accepted(Ballot(1, str(m.value)), m.value))


# One acceptor dies, and acceptors are alike: it may as well be this one.
_RESTART: dict[str, Any] = {"crashes": 1, "crashing": ("a1",)}
_TWICE: dict[str, Any] = {
    "crashes": 1,
    "crashing": ("p1",),
    "invoke": [("p1", Propose("x")), ("p1", Propose("y"))],
}


_UNLESS = '§2.2, "unless it has already responded to a prepare request having a number greater"'
_HIGHEST = '§2.2, "the value of the highest-numbered proposal among the responses"'
_REMEMBER = '§2.2, "must remember this information even if it fails and then restarts"'

_ROWS: tuple[tuple[str, str, str, type[Node], Hunt, int], ...] = (
    ("P1", "accepts below its promise", _UNLESS, IgnoresItsPromise, hunting(), 12),
    ("P2", "ignores what promises report", _HIGHEST, PrefersItsOwnValue, hunting(), 12),
    (
        "P3",
        "counts promises of another ballot",
        '§2.2, "a response to its prepare requests (numbered n) from a majority"',
        CountsPromisesOfOtherBallots,
        hunting(1, **_TWICE),
        9,
    ),
    (
        "P4",
        "two proposers own one ballot",
        '§2.5, "choose their numbers from disjoint sets of numbers"',
        SharesItsNumbers,
        hunting(others=(AnswersAgain,)),
        9,
    ),
    ("P5a", "a restart takes its promise", _REMEMBER, ForgetsItsPromise, hunting(**_RESTART), 13),
    (
        "P5b",
        "a restart takes what it accepted",
        _REMEMBER,
        ForgetsWhatItAccepted,
        hunting(**_RESTART),
        13,
    ),
    ("P5c", "a restart takes both", _REMEMBER, ForgetsEverything, hunting(**_RESTART), 13),
    (
        "P6",
        "half is a majority",
        '§2.1, "any two majorities have at least one acceptor in common"',
        IsContentWithHalf,
        hunting(acceptors=4),
        12,
    ),
    (
        "P7",
        "compares with what it accepted",
        _UNLESS,
        ComparesWithWhatItAccepted,
        hunting(),
        12,
    ),
    ("P8", "picks the lowest ballot", _HIGHEST, PicksTheLowestBallot, hunting(3), 17),
    ("P9", "picks the most frequent value", _HIGHEST, PicksTheMostFrequentValue, hunting(3), 17),
    (
        "P10",
        "accepting does not raise the promise",
        "MIT 6.824, paxos-code.html, line 20",
        AcceptsWithoutPromising,
        hunting(3),
        17,
    ),
    (
        "P11",
        "keeps its first accepted value",
        '§2.2, "to remember only the highest-numbered proposal that it has ever accepted"',
        KeepsItsFirstValue,
        hunting(3),
        17,
    ),
    (
        "P12",
        "adds up acceptances across ballots",
        '§2.3, "a proposal has been accepted by a majority of acceptors"',
        AddsUpBallots,
        hunting(4, others=(Forgetful,), after=first_phase_done(4)),
        20,
    ),
)

MUTANTS: tuple[Mutant, ...] = tuple(
    Mutant(
        name,
        title,
        source if source.startswith("MIT") else f"Lamport 2001, {source}",
        broken,
        next(kind for kind in (Proposer, Acceptor, Learner) if issubclass(broken, kind)),
        AGREEMENT.name,
        hunt,
        depth,
    )
    for name, title, source, broken, hunt, depth in _ROWS
)
