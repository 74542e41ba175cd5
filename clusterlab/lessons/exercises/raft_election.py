"""The exercises of lab 15: who gets a vote, and whose log is good enough."""

from __future__ import annotations

from typing import Any

from clusterlab.check.invariants import raft as promises
from clusterlab.core.node import Deliver, restart
from clusterlab.experiments.fuzz import Trial
from clusterlab.experiments.fuzz_subjects import SUBJECTS
from clusterlab.lessons.exercises.exercise import (
    Answer,
    Crash,
    Exercise,
    Try,
    every_schedule,
    has,
    sends,
    sets,
    storms,
)
from clusterlab.lessons.mutants.hunts import arrives
from clusterlab.lessons.mutants.raft_election import COMPLETE, R8_PREFIX, R9_PREFIX
from clusterlab.lessons.mutants.raft_worlds import (
    WRITE,
    elect,
    firing,
    servers,
    servers_and_a_client,
    up_to,
)
from clusterlab.protocols.raft import (
    AppendEntries,
    AppendReply,
    Entry,
    Raft,
    RequestVote,
    VoteReply,
)

ELECTIONS = (promises.ELECTION_SAFETY, promises.LEADER_ELECTED)
SEEDS = range(4)
IDLE = "A server that never votes is safe and of no use: to whom must it say yes?"


COMMITTED = (
    *elect("n1", "n2", 1),
    arrives("n1", "n2", AppendEntries(1, 0, 0, (Entry(1),), 0)),
    arrives("n2", "n1", AppendReply(1, True, 1)),
)
"""n1 leads term 1, and its blank entry is committed: n2 has it as well, n3 has heard nothing."""


def server(log: tuple[int, ...] = ()) -> Any:
    """Makes n1 of three, with entries of these terms, in the term of the last."""

    def make(answer: Answer) -> Any:
        disk = {"log": tuple(Entry(term) for term in log), "current_term": max(log, default=0)}
        return restart(answer.group(3)[0], disk)

    return make


def _storms(answer: Answer) -> Trial:
    return SUBJECTS["raft"].trials(answer, 3)[0]


LACKS_AN_ENTRY = every_schedule(
    "what may follow when a majority has an entry and one server has not",
    servers(3),
    partly=True,
    after=COMMITTED,
    properties=COMPLETE,
    bound=up_to(2, 2),
    timers=firing(1),
    states_max=10_000,
)

REQUEST_VOTE = Exercise(
    name="15/request-vote",
    base=Raft,
    writes=("on_request_vote",),
    hides=("grants_vote",),
    source="Ongaro and Ousterhout 2014, Figure 2 and section 5.2",
    tries=(
        Try(
            "who asks first gets the vote",
            server(),
            (Deliver("n2", RequestVote(1, 0, 0)),),
            (sends("n2", VoteReply(1, True)), has(voted_for="n2")),
            "Fig. 2: “If votedFor is null or candidateId, and candidate's log is at least as "
            "up-to-date as receiver's log, grant vote”.",
        ),
        Try(
            "who gives a vote waits a full timeout before it stands itself",
            server(),
            (Deliver("n2", RequestVote(1, 0, 0)),),
            (sets("ElectionTimeout"),),
            "Otherwise it would soon run against the one whom it has just elected: "
            "`self.reset_election_timer()`.",
        ),
        Try(
            "who asks again is answered again",
            server(),
            (Deliver("n2", RequestVote(1, 0, 0)), Deliver("n2", RequestVote(1, 0, 0))),
            (sends("n2", VoteReply(1, True)),),
            "§5.5: “Raft RPCs are idempotent”; the first answer may be lost.",
        ),
        Try(
            "a candidate of an earlier term is told the present one",
            server(log=(2,)),
            (Deliver("n2", RequestVote(1, 0, 0)),),
            (sends("n2", VoteReply(2, False)),),
            "Fig. 2: “Reply false if term < currentTerm”.",
        ),
        Try(
            "a restart does not take the vote back",
            server(),
            (Deliver("n2", RequestVote(1, 0, 0)), Crash()),
            (has(voted_for="n2", current_term=1),),
            "Fig. 2: votedFor is “updated on stable storage before responding to RPCs”.",
        ),
    ),
    looks=(
        every_schedule(
            "every schedule of two candidates in one term",
            servers(3),
            idle=IDLE,
            properties=ELECTIONS,
            bound=up_to(1, 1),
            timers=firing(2),
        ),
        every_schedule(
            "every schedule of two candidates with a crash and a return",
            servers(3),
            idle=IDLE,
            properties=ELECTIONS,
            bound=up_to(1, 1),
            timers=firing(2),
            crashes=1,
        ),
        LACKS_AN_ENTRY,
        storms("storms of faults over three servers and three clients", _storms, seeds=SEEDS),
    ),
)

RESTRICTION = Exercise(
    name="15/election-restriction",
    base=Raft,
    writes=("is_up_to_date",),
    source="Ongaro and Ousterhout 2014, section 5.4.1",
    tries=(
        Try(
            "of two empty logs neither is behind",
            server(),
            (Deliver("n2", RequestVote(1, 0, 0)),),
            (sends("n2", VoteReply(1, True)),),
            "“At least as up-to-date” includes equal: in a new cluster all logs are.",
        ),
        Try(
            "a candidate that has everything and more gets the vote",
            server(log=(1, 1)),
            (Deliver("n2", RequestVote(2, 3, 1)),),
            (sends("n2", VoteReply(2, True)),),
        ),
    ),
    looks=(
        LACKS_AN_ENTRY,
        every_schedule(
            "what may follow when the longest log is not the newest",
            servers_and_a_client,
            partly=True,
            after=R8_PREFIX,
            properties=COMPLETE,
            invoke=WRITE,
            bound=up_to(3, 3),
            timers=firing(1),
            states_max=40_000,
        ),
        every_schedule(
            "what may follow when two logs end in the same term",
            servers_and_a_client,
            partly=True,
            after=R9_PREFIX,
            properties=COMPLETE,
            invoke=WRITE,
            bound=up_to(2, 2),
            timers=firing(1),
            states_max=20_000,
        ),
    ),
)

EXERCISES = (REQUEST_VOTE, RESTRICTION)
