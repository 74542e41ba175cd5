"""Answers to the exercises, right and wrong, as learners write them."""

from __future__ import annotations

from clusterlab import Acceptor, Proposer, Raft
from clusterlab.protocols.multi_paxos import MultiPaxos
from clusterlab.protocols.paxos import Accept, Accepted, Promise, Proposal
from clusterlab.protocols.raft import VoteReply
from tests.lessons.exercises import answers_cap, answers_split_brain

# The tests hand out classes made in functions: like those of a notebook's cells, no other process
# can import them.


def acceptor():
    class MyAcceptor(Acceptor):
        def on_prepare(self, src, m):
            if m.ballot > self.promised:
                self.promised = m.ballot
                self.send(src, Promise(m.ballot, self.accepted))

        def on_accept(self, src, m):
            if m.ballot >= self.promised:
                self.promised = m.ballot
                self.accepted = Proposal(m.ballot, m.value)
                self.broadcast(Accepted(m.ballot, m.value), self.learners)

    return MyAcceptor


def acceptor_that_accepts(body):
    """The right acceptor but for what it does with an Accept."""

    class MyAcceptor(acceptor()):
        on_accept = body

    return MyAcceptor


def ignores_its_promise():
    class Ignores(acceptor()):
        def on_accept(self, src, m):
            self.promised = max(self.promised, m.ballot)
            self.accepted = Proposal(m.ballot, m.value)
            self.broadcast(Accepted(m.ballot, m.value), self.learners)

    return Ignores


def compares_with_what_it_accepted():
    class Compares(acceptor()):
        def on_accept(self, src, m):
            if self.accepted is None or m.ballot >= self.accepted.ballot:
                self.promised = max(self.promised, m.ballot)
                self.accepted = Proposal(m.ballot, m.value)
                self.broadcast(Accepted(m.ballot, m.value), self.learners)

    return Compares


def does_not_raise_its_promise():
    class DoesNotRaise(acceptor()):
        def on_accept(self, src, m):
            if m.ballot >= self.promised:
                self.accepted = Proposal(m.ballot, m.value)
                self.broadcast(Accepted(m.ballot, m.value), self.learners)

    return DoesNotRaise


def proposer():
    class MyProposer(Proposer):
        def on_promise(self, src, m):
            if m.ballot != self.ballot or self.proposed is not None:
                return
            self.promises[src] = m.accepted
            if self.has_quorum(self.promises):
                reported = [p for p in self.promises.values() if p is not None]
                value = max(reported, key=lambda p: p.ballot).value if reported else self.wish.value
                self.proposed = Proposal(m.ballot, value)
                self.broadcast(Accept(m.ballot, value), self.acceptors)

    return MyProposer


def proposes_its_own_wish():
    class Own(Proposer):
        def on_promise(self, src, m):
            if m.ballot == self.ballot and self.proposed is None:
                self.promises[src] = m.accepted
                if self.has_quorum(self.promises):
                    self.proposed = Proposal(m.ballot, self.wish.value)
                    self.broadcast(Accept(m.ballot, self.wish.value), self.acceptors)

    return Own


def counts_promises_of_other_ballots():
    class Old(proposer()):
        def on_promise(self, src, m):
            if self.ballot is not None:
                super().on_promise(src, Promise(self.ballot, m.accepted))

    return Old


def takes_the_first_report():
    class First(Proposer):
        def on_promise(self, src, m):
            if m.ballot != self.ballot or self.proposed is not None:
                return
            self.promises[src] = m.accepted
            if self.has_quorum(self.promises):
                reported = [p.value for p in self.promises.values() if p is not None]
                value = min(reported) if reported else self.wish.value
                self.proposed = Proposal(m.ballot, value)
                self.broadcast(Accept(m.ballot, value), self.acceptors)

    return First


def slot_filler():
    class MyMultiPaxos(MultiPaxos):
        def pick_command(self, slot, reports):
            here = [one.accepted[slot - one.first :][:1] for one in reports if slot >= one.first]
            reported = [p for found in here for p in found if p is not None]
            return max(reported, key=lambda p: p.ballot).value if reported else None

    return MyMultiPaxos


def fills_all_with_no_ops():
    class NoOps(MultiPaxos):
        def pick_command(self, slot, reports):
            self.note("no-op", slot)

    return NoOps


def looks_into_its_own_log_only():
    class OwnLog(MultiPaxos):
        def pick_command(self, slot, reports):
            own = self.at(slot)
            return None if own is None else own.value

    return OwnLog


def voter():
    class MyRaft(Raft):
        def on_request_vote(self, src, m):
            granted = (
                m.term == self.current_term
                and self.voted_for in (None, src)
                and self.is_up_to_date(m)
            )
            if granted:
                self.voted_for = src
                self.reset_election_timer()
            self.send(src, VoteReply(self.current_term, granted))

    return MyRaft


def votes_for_all():
    class ForAll(Raft):
        def on_request_vote(self, src, m):
            granted = m.term == self.current_term and self.is_up_to_date(m)
            if granted:
                self.voted_for = src
                self.reset_election_timer()
            self.send(src, VoteReply(self.current_term, granted))

    return ForAll


def does_not_look_at_the_log():
    class NoLook(Raft):
        def on_request_vote(self, src, m):
            granted = m.term == self.current_term and self.voted_for in (None, src)
            if granted:
                self.voted_for = src
                self.reset_election_timer()
            self.send(src, VoteReply(self.current_term, granted))

    return NoLook


def restriction():
    class MyRaft(Raft):
        def is_up_to_date(self, m):
            last = self.last_log_index
            return (m.last_log_term, m.last_log_index) >= (self.term_at(last), last)

    return MyRaft


def always_up_to_date():
    class Always(Raft):
        def is_up_to_date(self, m):
            return True

    return Always


def compares_lengths():
    class Lengths(Raft):
        def is_up_to_date(self, m):
            return m.last_log_index >= self.last_log_index

    return Lengths


def compares_terms():
    class Terms(Raft):
        def is_up_to_date(self, m):
            return m.last_log_term >= self.term_at(self.last_log_index)

    return Terms


RIGHT = (
    answers_split_brain.RIGHT
    | answers_cap.RIGHT
    | {
        "14/acceptor": acceptor,
        "14/proposer": proposer,
        "14/slots": slot_filler,
        "15/request-vote": voter,
        "15/election-restriction": restriction,
    }
)

WRONG = [
    *answers_split_brain.WRONG,
    *answers_cap.WRONG,
    ("14/acceptor", ignores_its_promise, "Agreement"),
    ("14/acceptor", compares_with_what_it_accepted, "Agreement"),
    ("14/acceptor", does_not_raise_its_promise, "PromisedCoversAccepted"),
    ("14/proposer", proposes_its_own_wish, "Agreement"),
    ("14/proposer", counts_promises_of_other_ballots, "Agreement"),
    ("14/slots", fills_all_with_no_ops, "ChosenIsKept"),
    ("14/slots", looks_into_its_own_log_only, "ChosenIsKept"),
    ("15/request-vote", votes_for_all, "ElectionSafety"),
    ("15/request-vote", does_not_look_at_the_log, "LeaderCompleteness"),
    ("15/election-restriction", always_up_to_date, "LeaderCompleteness"),
    ("15/election-restriction", compares_lengths, "LeaderCompleteness"),
    ("15/election-restriction", compares_terms, "LeaderCompleteness"),
]
"""Each with the property that it breaks."""
