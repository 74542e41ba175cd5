"""Single-decree Paxos: many propose, one value is chosen, and it stays chosen.

Source: Leslie Lamport, "Paxos Made Simple", 2001, sections 2.2 to 2.5; quotations are from there.
A proposal number is a `Ballot` here, so that no two proposers own the same one.

Where it differs from the paper:
- An acceptor that turns a request down says so (`Nack`), as section 2.2 recommends; it is an
  optimisation that safety does not need.
- Anyone may propose; who fails waits for a time drawn at random, and longer each time if so
  configured, so that duels end. The distinguished proposer of section 2.4 is in `distinguished.py`.
- Which acceptors are enough in which phase may be chosen, as in "Flexible Paxos" (Howard, Malkhi
  and Spiegelman 2016); without a choice it is any majority, as in the paper.
- A proposer is a learner too: it has a user to tell what was chosen.
- Phase 2 goes to all acceptors, not only to those that promised; the paper allows any set.

Many decisions in a row (section 3) are in `multi_paxos`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, Self, cast

from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import WORLD, Delay, Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.quorum import Flexible, is_majority


class Ballot(NamedTuple):
    """A proposal number: rounds count up, and the name of the proposer tells equal rounds apart."""

    # §2.5: "different proposers choose their numbers from disjoint sets of numbers"
    round: int
    proposer: NodeId

    def __str__(self) -> str:
        """`2.p1`: round 2 of p1."""
        return f"{self.round}.{self.proposer}"


ZERO = Ballot(0, "")
"""Lower than every ballot that is used."""

LONGEST_WAIT = 16
"""However often it has failed, a proposer waits at most so many times its first wait."""


class Proposal(NamedTuple):
    """A value under a number."""

    ballot: Ballot
    value: Any


class Prepare(Message):
    """Phase 1, proposer to acceptors: promise me this ballot."""

    ballot: Ballot


class Promise(Message):
    """I will accept nothing below `ballot`; `accepted` is the highest that I have accepted."""

    ballot: Ballot
    accepted: Proposal | None


class Accept(Message):
    """Phase 2, proposer to acceptors: accept this value."""

    ballot: Ballot
    value: Any


class Accepted(Message):
    """Acceptor to learners: I have accepted this."""

    ballot: Ballot
    value: Any


class Nack(Message):
    """Acceptor to proposer: not `ballot`, I have promised a higher one."""

    ballot: Ballot
    promised: Ballot


class Propose(Message):
    """A user's operation: have a value chosen; returns the value that was, perhaps another's."""

    value: Any


class ProposalOverdue(Timer):
    """The ballot has not come through in time, or the pause after a refusal is over."""


class Acceptor(Node):
    """Remembers what it promised and what it accepted; a majority of these is the memory of Paxos.

    Parameters
    ----------
    learners:
        Who is told what it accepts.
    nacks:
        Whether it tells proposers that it turns them down.
    """

    learners: tuple[NodeId, ...]
    nacks: bool = True

    # §2.2: "an acceptor must remember this information even if it fails and then restarts"
    promised: Ballot = durable(ZERO)
    accepted: Proposal | None = durable(None)

    def on_prepare(self, src: NodeId, m: Prepare) -> None:
        """Phase 1 (b): promise to ignore lower ballots, and tell what was accepted."""
        if self.may_promise(m.ballot):
            self.promised = m.ballot
            self.send(src, Promise(m.ballot, self.accepted))
        else:
            self.turn_down(src, m.ballot)

    def on_accept(self, src: NodeId, m: Accept) -> None:
        """Phase 2 (b): accept, unless a higher ballot was promised."""
        if self.may_accept(m.ballot):
            self.promised = m.ballot
            self.accepted = Proposal(m.ballot, m.value)
            # §2.3: "have each acceptor, whenever it accepts a proposal, respond to all learners,
            # sending them the proposal"
            self.broadcast(Accepted(m.ballot, m.value), self.learners)
        else:
            self.turn_down(src, m.ballot)

    def turn_down(self, proposer: NodeId, ballot: Ballot) -> None:
        """Too low: safety needs no answer, but who knows can go higher."""
        # §2.2: "it should probably inform the proposer, who should then abandon its proposal"
        if self.nacks:
            self.send(proposer, Nack(ballot, self.promised))

    def may_promise(self, ballot: Ballot) -> bool:
        """Whether no ballot as high was promised."""
        # §2.2: "If an acceptor receives a prepare request with number n greater than that of any
        # prepare request to which it has already responded, then it responds"
        return ballot > self.promised

    def may_accept(self, ballot: Ballot) -> bool:
        """Whether no higher ballot was promised."""
        # §2.2: "it accepts the proposal unless it has already responded to a prepare request
        # having a number greater than n"
        return ballot >= self.promised

    def status(self) -> dict[str, Any]:
        """The promise, and the value if there is one."""
        label = f"promised {self.promised}" if self.promised != ZERO else "nothing promised"
        if self.accepted is not None:
            label += f" · {self.accepted.value}"
        return {"role": "acceptor", "epoch": self.promised.round, "label": label}


class Learner(Node):
    """Finds out what was chosen by counting who accepted which ballot.

    Parameters
    ----------
    acceptors:
        All of them.
    quorums:
        Which of them are enough in phase 1 and in phase 2; None: any majority.
    """

    acceptors: tuple[NodeId, ...]
    quorums: Flexible | None = None

    votes: dict[Ballot, set[NodeId]] = volatile({})
    chosen: Proposal | None = volatile(None)

    def on_accepted(self, src: NodeId, m: Accepted) -> None:
        """Count it; a majority of one ballot chooses its value."""
        # §2.3: "a learner must find out that a proposal has been accepted by a majority of
        # acceptors": a proposal is one ballot, so equal values of two ballots are not added up.
        votes = self.votes.setdefault(m.ballot, set())
        news = src not in votes
        votes.add(src)
        if news and self.has_quorum(votes):
            self.learn(Proposal(m.ballot, m.value))

    def has_quorum(self, votes: Collection[NodeId]) -> bool:
        """Whether these acceptors are enough to choose a value."""
        if self.quorums is not None:
            return self.quorums.phase_2.is_quorum(votes)
        return is_majority(votes, self.acceptors)

    def learn(self, proposal: Proposal) -> None:
        """A value is chosen; one that was chosen before must be the same."""
        if self.chosen is None or self.chosen.value != proposal.value:
            self.note("chosen", proposal)
        self.chosen = self.chosen or proposal

    def status(self) -> dict[str, Any]:
        """What was chosen."""
        if self.chosen is None:
            return {"role": "learner", "epoch": 0, "label": "nothing chosen"}
        epoch, value = self.chosen.ballot.round, self.chosen.value
        return {"role": "learner", "epoch": epoch, "label": f"chosen: {value}"}


class Proposer(Learner):
    """Gets a value chosen for its user: its own, or the one that may have been chosen before.

    Parameters
    ----------
    acceptors:
        All of them.
    retry_ms:
        After this long without success it tries a higher ballot; after a refusal likewise. Two
        proposers with one fixed time here may overtake each other for ever.
    back_off:
        Each further wait for the same wish is so many times as long as the one before.
    """

    retry_ms: Delay = (100, 300)
    back_off: int = 1

    # §2.5: "Each proposer remembers (in stable storage) the highest-numbered proposal it has tried
    # to issue and begins phase 1 with a higher proposal number than any it has already used."
    round: int = durable(0)

    ballot: Ballot | None = volatile(None)  # None: not in phase 1 or 2 of any
    promises: dict[NodeId, Proposal | None] = volatile({})
    proposed: Proposal | None = volatile(None)  # what was sent in phase 2 of this ballot
    tries: int = volatile(0)  # ballots begun for this wish
    wish: Propose | None = volatile(None)
    wishes: tuple[Message, ...] = volatile(())  # those that wait for their turn

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        """A user has a wish; one is seen to at a time."""
        self.wishes += (m.operation,)
        if self.wish is None:
            self.take_up_next()

    def take_up_next(self) -> None:
        """Begin with the next wish; once a value is chosen, they are all answered with it."""
        if self.wishes:
            wish, self.wishes = self.wishes[0], self.wishes[1:]
            assert type(wish).__name__ == "Propose", f"a proposer takes Propose(value), not {wish}"
            self.wish = cast(Propose, wish)
            self.tries = 0
            self.send(WORLD, Invoked(wish))
            if self.chosen is None:
                self.begin()
            else:
                self.answer()

    def begin(self) -> None:
        """Phase 1 (a): choose a higher number than ever before and ask for promises."""
        # §2.2: "A proposer selects a proposal number n and sends a prepare request with number n
        # to a majority of acceptors." Here to all: a majority will answer.
        self.ballot = self.next_ballot()
        self.promises, self.proposed = {}, None
        self.tries += 1
        self.set_timer(ProposalOverdue(), self.wait_ms())
        self.broadcast(Prepare(self.ballot), self.acceptors)

    def wait_ms(self) -> Delay:
        """How long it waits for success, or after a refusal."""
        factor: int = min(self.back_off ** max(0, self.tries - 1), LONGEST_WAIT)
        if isinstance(self.retry_ms, int):
            return self.retry_ms * factor
        low, high = self.retry_ms
        return low * factor, high * factor

    def next_ballot(self) -> Ballot:
        """A number that nobody has used."""
        self.round += 1
        return Ballot(self.round, self.id)

    def on_promise(self, src: NodeId, m: Promise) -> None:
        """Phase 2 (a): with a majority of promises, ask that a value be accepted, once a ballot."""
        if not self.is_current(m.ballot) or self.proposed is not None:
            return
        self.promises[src] = m.accepted
        if self.has_promises(self.promises):
            self.proposed = Proposal(m.ballot, self.pick_value())
            # §2.2: "This need not be the same set of acceptors that responded to the initial
            # requests."
            self.broadcast(Accept(m.ballot, self.proposed.value), self.acceptors)

    def has_promises(self, promised: Collection[NodeId]) -> bool:
        """Whether these acceptors are enough to propose a value."""
        if self.quorums is not None:
            return self.quorums.phase_1.is_quorum(promised)
        return self.has_quorum(promised)

    def is_current(self, ballot: Ballot) -> bool:
        """Whether an answer belongs to the ballot that is on; another says nothing about it."""
        return ballot == self.ballot

    def pick_value(self) -> Any:
        """The value that this ballot must carry."""
        # §2.2: "v is the value of the highest-numbered proposal among the responses, or is any
        # value if the responses reported no proposals"
        reported = [proposal for proposal in self.promises.values() if proposal is not None]
        if reported:
            return max(reported, key=lambda proposal: proposal.ballot).value
        return self.free_value()

    def free_value(self) -> Any:
        """What a ballot carries that may carry any value."""
        assert self.wish is not None
        return self.wish.value

    def on_nack(self, src: NodeId, m: Nack) -> None:
        """Somebody is ahead: abandon this ballot, wait a little, then go higher than theirs."""
        # §2.2: "It is probably a good idea to abandon a proposal if some proposer has begun trying
        # to issue a higher-numbered one."
        if self.is_current(m.ballot) and m.promised > m.ballot:
            self.round = max(self.round, m.promised.round)
            self.ballot = None
            self.set_timer(ProposalOverdue(), self.wait_ms())

    def on_proposal_overdue(self, t: ProposalOverdue) -> None:
        """Try again with a higher ballot, as long as nothing is known to be chosen."""
        if self.wish is not None:
            self.begin()

    def learn(self, proposal: Proposal) -> None:
        """The user waits for this."""
        super().learn(proposal)
        if self.wish is not None:
            self.answer()

    def answer(self) -> None:
        """Tell the user what was chosen, and see to the next wish."""
        assert self.chosen is not None
        self.wish = self.ballot = None
        self.cancel_timer(ProposalOverdue())
        self.send(WORLD, Returned("ok", self.chosen.value))
        self.take_up_next()

    def status(self) -> dict[str, Any]:
        """Which phase of which ballot."""
        label = "idle"
        if self.chosen is not None:
            label = f"chosen: {self.chosen.value}"
        elif self.ballot is not None:
            phase = "preparing" if self.proposed is None else "proposing"
            label = f"{phase} {self.ballot}"
        elif self.wish is not None:
            label = "waiting"
        return {"role": "proposer", "epoch": self.round, "label": label}


class Paxos(Acceptor, Proposer):
    """All three roles in one server, as in real systems.

    >>> [server.id for server in Paxos.group(3)]
    ['n1', 'n2', 'n3']
    """

    @classmethod
    def group(cls, size: int = 3, **options: Any) -> list[Self]:
        """The servers n1, n2, ...; each proposes, accepts and learns."""
        names = tuple(f"n{i}" for i in range(1, size + 1))
        return [cls(name, acceptors=names, learners=names, **options) for name in names]

    def status(self) -> dict[str, Any]:
        """A proposer while it proposes, else an acceptor."""
        if self.wish is not None or self.chosen is not None:
            role = "proposer" if self.wish is not None else "acceptor"
            return {**Proposer.status(self), "role": role, "epoch": self.promised.round}
        return Acceptor.status(self)


def roles(proposers: int = 2, acceptors: int = 3, learners: int = 1, **options: Any) -> list[Node]:
    """Separate nodes for each role: p1, p2, ..., a1, a2, ..., l1, ...; options for the proposers.

    >>> [node.id for node in roles()]
    ['p1', 'p2', 'a1', 'a2', 'a3', 'l1']
    """
    p, a, n = (
        tuple(f"{letter}{i}" for i in range(1, count + 1))
        for letter, count in (("p", proposers), ("a", acceptors), ("l", learners))
    )
    return [
        *(Proposer(name, acceptors=a, **options) for name in p),
        *(Acceptor(name, learners=p + n) for name in a),
        *(Learner(name, acceptors=a) for name in n),
    ]
