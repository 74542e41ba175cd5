"""Raft: a replicated log under a strong leader.

Source: Diego Ongaro and John Ousterhout, "In Search of an Understandable Consensus Algorithm
(Extended Version)", 2014: Figures 2 and 3 in full, clients after section 8 and after chapter 6 of
Ongaro's dissertation (2014). Quotations are from the paper; "Fig. 2" is its summary.

Where it differs from Figure 2:
- `candidateId` and `leaderId` are the sender of the message.
- Replies are messages of their own. `AppendReply` says how far the logs agree, because it may
  arrive late, twice or out of order; a refusal says where they may still agree (§5.3, at its end).
- A new leader's first AppendEntries carries its no-op (§8), and so is not empty.
- A follower that owes an answer to entries gets no more of them, and while most followers owe one,
  what clients ask for waits for the next round: the busier the cluster, the fuller the messages.
  Heartbeats go on, empty. Entries count as lost if two heartbeats later a heartbeat is answered
  and they are not.
- A lost RequestVote is not sent again: the next election does that.

Left out, for later: snapshots (§7), membership changes (§6), pre-vote, reads without the log,
expiry of sessions. A server that lost its disk must not come back under its old name, since it
may have voted: here it does, and stays behind until the next election.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from clusterlab.core.node import Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.quorum import majority
from clusterlab.core.spec import KeyValue, Spec
from clusterlab.protocols.client import NotLeader, Refused, Reply, Request

FOLLOWER, CANDIDATE, LEADER = "follower", "candidate", "leader"

OVERDUE = 2
"""Entries still unanswered after so many heartbeats may be lost."""


class Command(NamedTuple):
    """What a client wants done; `serial` tells a repetition from a new wish."""

    client: NodeId
    serial: int
    operation: Message


class Entry(NamedTuple):
    """One place in the log: the term in which a leader received it, and a command.

    The no-op of a new leader has none.
    """

    term: int
    command: Command | None = None


class RequestVote(Message):
    """Candidate to all: vote for me."""

    term: int
    last_log_index: int
    last_log_term: int


class VoteReply(Message):
    """The answer to RequestVote."""

    term: int
    granted: bool


class AppendEntries(Message):
    """Leader to follower: what follows after an entry that you have; if empty, a heartbeat."""

    term: int
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int


class AppendReply(Message):
    """The answer to AppendEntries.

    If it succeeded, the logs agree up to `match_index`; if not, they certainly differ behind it.
    """

    term: int
    success: bool
    match_index: int


class ElectionTimeout(Timer):
    """No leader was heard of for a while."""


class HeartbeatDue(Timer):
    """Time for a leader to be heard."""


class AppendDue(Timer):
    """Requests were gathered; only with `gather_ms`."""


class Raft(Node):
    """A server.

    Parameters
    ----------
    members:
        The ids of all servers of the cluster, this one included.
    election_timeout_ms:
        The range from which each wait for a leader is drawn; well above `heartbeat_ms`.
    heartbeat_ms:
        How often a leader is heard.
    spec:
        The replicated application: an object with `initial()` and a pure `apply(state, operation)`.
    entries_max:
        The most entries that one AppendEntries carries.
    gather_ms:
        How long a request waits for others to share its round; 0 for those that arrive together.
        None starts a round with the first of them: fewer steps to follow, and half the throughput
        with many clients.

    >>> [server.id for server in Raft.group(3)]
    ['n1', 'n2', 'n3']
    """

    members: tuple[NodeId, ...]
    election_timeout_ms: tuple[int, int] = (150, 300)
    heartbeat_ms: int = 50
    spec: Spec = KeyValue()
    entries_max: int = 256
    gather_ms: int | None = None

    # Fig. 2: "Persistent state on all servers: (Updated on stable storage before responding to
    # RPCs)"
    current_term: int = durable(0)
    voted_for: NodeId | None = durable(None)
    log: tuple[Entry, ...] = durable(())  # the paper counts from 1: log[0] is entry 1

    # Fig. 2: "Volatile state on all servers"
    commit_index: int = volatile(0)
    last_applied: int = volatile(0)
    role: str = volatile(FOLLOWER)
    leader_id: NodeId | None = volatile(None)
    machine: Any = volatile(None)  # the state of the replicated application
    sessions: dict[NodeId, tuple[int, Any]] = volatile({})  # client -> newest serial and its result

    # On candidates
    votes: set[NodeId] = volatile(set())

    # Fig. 2: "Volatile state on leaders: (Reinitialized after election)"
    next_index: dict[NodeId, int] = volatile({})
    match_index: dict[NodeId, int] = volatile({})
    unanswered: dict[NodeId, int] = volatile({})  # follower that owes an answer -> heartbeats since
    received: tuple[Command, ...] = volatile(())  # what waits for the next round
    waiting: dict[NodeId, int] = volatile({})  # client that waits -> its newest serial

    @classmethod
    def group(cls, size: int = 5, **options: Any) -> list[Self]:
        """The servers n1, n2, ... of one cluster, all configured alike."""
        members = tuple(f"n{i}" for i in range(1, size + 1))
        return [cls(name, members=members, **options) for name in members]

    # --- all servers -------------------------------------------------------------------------

    def on_start(self) -> None:
        """Begin as a follower, with an application that has seen nothing yet."""
        assert self.id in self.members, f"members={self.members} must name {self.id} as well"
        self.machine = self.spec.initial()
        # §5.2: "When servers start up, they begin as followers."
        self.reset_election_timer()

    def on_message(self, src: NodeId, m: Message) -> None:
        """Look at the term first, whatever the message is."""
        # Fig. 2: "If RPC request or response contains term T > currentTerm:
        # set currentTerm = T, convert to follower (§5.1)"
        term = getattr(m, "term", 0)
        if term > self.current_term:
            self.see_higher_term(term)
        super().on_message(src, m)

    def see_higher_term(self, term: int) -> None:
        """A newer term began: whatever this server was in the old one, it follows in this."""
        assert term > self.current_term, "terms only grow"
        self.current_term = term
        self.voted_for = None
        self.leader_id = None
        self.become_follower()

    def become_follower(self) -> None:
        """Step down, or go on following."""
        if self.role == FOLLOWER:
            return
        if self.role == LEADER:
            self.cancel_timer(HeartbeatDue())
            self.reset_election_timer()
            self.forget_leadership()
        self.role = FOLLOWER
        self.votes = set()

    def reset_election_timer(self) -> None:
        """Wait for a leader, anew."""
        # §5.2: "election timeouts are chosen randomly from a fixed interval (e.g., 150-300ms)"
        self.set_timer(ElectionTimeout(), self.election_timeout_ms)

    @property
    def peers(self) -> tuple[NodeId, ...]:
        """The other servers."""
        return tuple(member for member in self.members if member != self.id)

    @property
    def quorum(self) -> int:
        """How many servers are a majority of the cluster."""
        return majority(len(self.members))

    @property
    def last_log_index(self) -> int:
        """The index of the last entry; 0 if the log is empty."""
        return len(self.log)

    def term_at(self, index: int) -> int:
        """The term of the entry at `index`; 0 before the first."""
        return self.log[index - 1].term if index > 0 else 0

    # --- leader election (§5.2) ----------------------------------------------------------------

    def on_election_timeout(self, t: ElectionTimeout) -> None:
        """Nobody leads, as far as this server can tell."""
        # Fig. 2: "If election timeout elapses without receiving AppendEntries RPC from current
        # leader or granting vote to candidate: convert to candidate", and for candidates "start new
        # election".
        if self.role != LEADER:
            self.become_candidate()

    def become_candidate(self) -> None:
        """Ask for the votes of a new term."""
        # Fig. 2: "On conversion to candidate, start election: Increment currentTerm, Vote for self,
        # Reset election timer, Send RequestVote RPCs to all other servers"
        self.role = CANDIDATE
        self.leader_id = None
        self.current_term += 1
        self.voted_for = self.id
        self.votes = {self.id}
        self.reset_election_timer()
        last = self.last_log_index
        self.broadcast(RequestVote(self.current_term, last, self.term_at(last)), self.peers)
        self.count_votes()

    def on_request_vote(self, src: NodeId, m: RequestVote) -> None:
        """Vote, or say no."""
        granted = self.grants_vote(src, m)
        if granted:
            self.voted_for = src
            self.reset_election_timer()
        self.send(src, VoteReply(self.current_term, granted))

    def grants_vote(self, candidate: NodeId, m: RequestVote) -> bool:
        """Whether this server votes for `candidate`."""
        # Fig. 2: "Reply false if term < currentTerm (§5.1)"
        if m.term < self.current_term:
            return False
        # Fig. 2: "If votedFor is null or candidateId, and candidate's log is at least as up-to-date
        # as receiver's log, grant vote (§5.2, §5.4)"
        return self.voted_for in (None, candidate) and self.is_up_to_date(m)

    def is_up_to_date(self, m: RequestVote) -> bool:
        """Whether the candidate's log is at least as up-to-date as this server's."""
        # §5.4.1: "If the logs have last entries with different terms, then the log with the later
        # term is more up-to-date. If the logs end with the same term, then whichever log is longer
        # is more up-to-date."
        last = self.last_log_index
        return (m.last_log_term, m.last_log_index) >= (self.term_at(last), last)

    def on_vote_reply(self, src: NodeId, m: VoteReply) -> None:
        """Count it, if it is of this election."""
        if m.granted and self.is_current(m.term) and self.role == CANDIDATE:
            self.votes.add(src)
            self.count_votes()

    def is_current(self, term: int) -> bool:
        """Whether a reply belongs to the present term; an old one says nothing about it."""
        return term == self.current_term

    def count_votes(self) -> None:
        """Lead, once a majority agrees."""
        # Fig. 2: "If votes received from majority of servers: become leader"
        if len(self.votes) >= self.quorum:
            self.become_leader()

    def become_leader(self) -> None:
        """Take up the term's work."""
        self.role = LEADER
        self.leader_id = self.id
        self.votes = set()
        self.forget_leadership()
        # Fig. 2: nextIndex[] is "initialized to leader last log index + 1" and matchIndex[] is
        # "initialized to 0, increases monotonically".
        self.next_index = dict.fromkeys(self.peers, self.last_log_index + 1)
        self.match_index = dict.fromkeys(self.peers, 0)
        self.note("leader", self.current_term)
        self.cancel_timer(ElectionTimeout())
        self.set_timer(HeartbeatDue(), self.heartbeat_ms)
        # §8: "Raft handles this by having each leader commit a blank no-op entry into the log at
        # the start of its term." It also serves as the first heartbeat.
        self.append((Entry(self.current_term),))

    def forget_leadership(self) -> None:
        """What a leader knew of others says nothing in another term."""
        self.next_index, self.match_index, self.unanswered = {}, {}, {}
        self.received, self.waiting = (), {}

    # --- log replication (§5.3): the leader ----------------------------------------------------

    def on_request(self, src: NodeId, m: Request) -> None:
        """A client's operation: reads go through the log as writes do, and so are never stale."""
        if self.role != LEADER:
            # §8: "that server will reject the client's request and supply information about the
            # most recent leader it has heard from"
            self.send(src, NotLeader(m.serial, self.leader_id))
            return
        serial, result = self.sessions.get(src, (0, None))
        if m.serial == serial:
            # §8: "If it receives a command whose serial number has already been executed, it
            # responds immediately without re-executing the request."
            self.send(src, Reply(serial, result))
        elif m.serial > max(serial, self.waiting.get(src, 0)):
            reason = self.refusal(m.operation)
            if reason is not None:
                self.send(src, Refused(m.serial, reason))
                return
            self.waiting[src] = m.serial
            self.received += (Command(src, m.serial, m.operation),)
            if self.gather_ms is None:
                if self.is_majority_free():
                    self.append_received()
            elif len(self.received) == 1:
                self.set_timer(AppendDue(), self.gather_ms)

    def on_append_due(self, t: AppendDue) -> None:
        """What arrived together goes into one round (dissertation §10.2.2, batching)."""
        if self.role == LEADER and self.is_majority_free():
            self.append_received()

    def refusal(self, operation: Message) -> str | None:
        """Why the application cannot do that; once in the log it would stop every server."""
        try:
            self.spec.apply(self.spec.initial(), operation)
        except TypeError as error:
            return str(error)
        return None

    def is_majority_free(self) -> bool:
        """Whether enough followers could take entries at once to commit them."""
        return len(self.members) - len(self.unanswered) >= self.quorum

    def append_received(self) -> None:
        """Append what clients asked for."""
        # Fig. 2: "If command received from client: append entry to local log, respond after entry
        # applied to state machine (§5.3)"
        if self.received:
            entries = tuple(Entry(self.current_term, command) for command in self.received)
            self.received = ()
            self.append(entries)

    def append(self, entries: tuple[Entry, ...]) -> None:
        """Append to this leader's log, and send to all who are free."""
        assert self.role == LEADER, "only a leader appends"
        self.log += entries
        for peer in self.peers:
            self.replicate(peer)
        self.advance_commit_index()  # a cluster of one is a majority by itself

    def replicate(self, peer: NodeId) -> None:
        """Send the entries that `peer` lacks, unless it owes an answer to some already."""
        # Fig. 2: "If last log index >= nextIndex for a follower: send AppendEntries RPC with log
        # entries starting at nextIndex"
        if self.last_log_index >= self.next_index[peer] and peer not in self.unanswered:
            self.unanswered[peer] = 0
            self.send_append(peer, self.entries_max)

    def send_append(self, peer: NodeId, entries_max: int) -> None:
        """Send at most `entries_max` entries from `next_index` on."""
        prev = self.next_index[peer] - 1
        entries = self.log[prev : prev + entries_max]
        self.send(
            peer,
            AppendEntries(self.current_term, prev, self.term_at(prev), entries, self.commit_index),
        )

    def on_heartbeat_due(self, t: HeartbeatDue) -> None:
        """Be heard."""
        # Fig. 2: "repeat during idle periods to prevent election timeouts (§5.2)"
        if self.role == LEADER:
            for peer, beats in self.unanswered.items():
                self.unanswered[peer] = min(beats + 1, OVERDUE)
            for peer in self.peers:
                self.send_append(peer, 0)
            self.append_received()
            self.set_timer(HeartbeatDue(), self.heartbeat_ms)

    def on_append_reply(self, src: NodeId, m: AppendReply) -> None:
        """A follower has what it was sent, or could not place it."""
        if not self.is_current(m.term) or self.role != LEADER:
            return
        # §5.3: "If followers crash or run slowly, or if network packets are lost, the leader
        # retries AppendEntries RPCs indefinitely". It sends no entries to one that is silent.
        if self.unanswered.get(src) == OVERDUE:
            del self.unanswered[src]
        if m.success:
            self.record_match(src, m.match_index)
        else:
            self.back_up(src, m.match_index)
        if self.is_majority_free():
            if self.gather_ms is None:
                self.append_received()
            elif self.received:
                self.set_timer(AppendDue(), self.gather_ms)
        self.replicate(src)

    def record_match(self, peer: NodeId, index: int) -> None:
        """`peer` holds this leader's log up to `index`."""
        # Fig. 2: "If successful: update nextIndex and matchIndex for follower (§5.3)".
        # An answer that comes late or twice says less than is known already.
        if index > self.match_index[peer]:
            assert index <= self.last_log_index, f"{peer} has entries that were never sent"
            self.match_index[peer] = index
            self.next_index[peer] = index + 1
            self.unanswered.pop(peer, None)
            self.advance_commit_index()

    def back_up(self, peer: NodeId, hint: int) -> None:
        """`peer` lacks the entry before those it was sent: try where the logs may still agree."""
        # Fig. 2: "If AppendEntries fails because of log inconsistency: decrement nextIndex and
        # retry (§5.3)". A refusal that comes late or twice takes nothing away again, and never what
        # is known to match.
        index = max(hint, self.match_index[peer]) + 1
        if index < self.next_index[peer]:
            self.next_index[peer] = index
            self.unanswered.pop(peer, None)

    def advance_commit_index(self) -> None:
        """Commit what a majority holds."""
        # Fig. 2: "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N,
        # and log[N].term == currentTerm: set commitIndex = N (§5.3, §5.4)". The greatest N will do:
        # terms never fall along a log, so behind an older term there is only older.
        held = sorted((self.last_log_index, *self.match_index.values()), reverse=True)
        index = held[self.quorum - 1]
        if index > self.commit_index and self.may_commit(index):
            self.commit(index)

    def may_commit(self, index: int) -> bool:
        """Whether a majority that holds entry `index` makes it committed."""
        # §5.4.2: "Only log entries from the leader's current term are committed by counting
        # replicas"; Figure 8 shows what happens otherwise.
        return self.term_at(index) == self.current_term

    # --- log replication (§5.3): followers -----------------------------------------------------

    def on_append_entries(self, src: NodeId, m: AppendEntries) -> None:
        """Hear the leader, and take over what it sends."""
        # Fig. 2: "Reply false if term < currentTerm (§5.1)". The term in the reply makes that
        # leader step down.
        if m.term < self.current_term:
            self.send(src, AppendReply(self.current_term, False, 0))
            return
        assert self.role != LEADER, f"{self.id} and {src} both lead in term {m.term}"
        # Fig. 2: "If AppendEntries RPC received from new leader: convert to follower"
        self.become_follower()
        self.leader_id = src
        self.reset_election_timer()
        # Fig. 2: "Reply false if log doesn't contain an entry at prevLogIndex whose term matches
        # prevLogTerm (§5.3)"
        if not self.has_entry(m.prev_log_index, m.prev_log_term):
            self.send(src, AppendReply(self.current_term, False, self.match_hint(m)))
            return
        self.take_over(m.prev_log_index, m.entries)
        last_new = m.prev_log_index + len(m.entries)
        self.follow_commit(m.leader_commit, last_new)
        self.acknowledge(src, last_new)

    def follow_commit(self, leader_commit: int, last_new: int) -> None:
        """Commit what the leader has committed, as far as this message reaches."""
        # Fig. 2: "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last
        # new entry)". What stands behind the last new entry may be left from an earlier term.
        index = min(leader_commit, last_new)
        if index > self.commit_index:
            self.commit(index)

    def acknowledge(self, leader: NodeId, last_new: int) -> None:
        """Tell the leader what it may count on; not this log's last index, for the same reason."""
        self.send(leader, AppendReply(self.current_term, True, last_new))

    def has_entry(self, index: int, term: int) -> bool:
        """Whether the log has an entry of this term at `index`; before the first all logs agree."""
        return index == 0 or (index <= self.last_log_index and self.term_at(index) == term)

    def match_hint(self, m: AppendEntries) -> int:
        """The greatest index at which the logs may still agree."""
        # §5.3: "the leader can decrement nextIndex to bypass all of the conflicting entries in that
        # term"
        hint = min(m.prev_log_index - 1, self.last_log_index)
        if m.prev_log_index <= self.last_log_index:
            conflicting = self.term_at(m.prev_log_index)
            while hint > self.commit_index and self.term_at(hint) == conflicting:
                hint -= 1
        return hint

    def take_over(self, prev: int, entries: tuple[Entry, ...]) -> None:
        """Make the log agree with the leader's from `prev` through the last of `entries`."""
        for i, entry in enumerate(entries):
            index = prev + 1 + i
            if index > self.last_log_index or self.term_at(index) != entry.term:
                # Fig. 2: "If an existing entry conflicts with a new one (same index but different
                # terms), delete the existing entry and all that follow it (§5.3)"
                self.truncate(index - 1)
                # Fig. 2: "Append any new entries not already in the log"
                self.log += entries[i:]
                return
        # All were there: a repetition, or older than what came since. What follows stays.

    def truncate(self, last: int) -> None:
        """Keep the entries through `last`."""
        if last < self.last_log_index:
            assert last >= self.commit_index, f"entry {last + 1} is committed and must stay"
            self.note("truncate", last)
            self.log = self.log[:last]

    # --- the replicated application (§5.3, §8) --------------------------------------------------

    def commit(self, index: int) -> None:
        """Entries through `index` are committed; apply them."""
        assert self.commit_index < index <= self.last_log_index
        self.commit_index = index
        self.note("commit", index)
        # Fig. 2: "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to
        # state machine (§5.3)"
        while self.last_applied < self.commit_index:
            self.last_applied += 1
            command = self.log[self.last_applied - 1].command
            if command is not None:
                self.apply(command)

    def apply(self, command: Command) -> None:
        """Carry out a committed command, once; the leader answers whoever waits for it."""
        if self.is_new(command):
            self.machine, result = self.spec.apply(self.machine, command.operation)
            self.sessions[command.client] = (command.serial, result)
        serial, result = self.sessions[command.client]
        if self.waiting.get(command.client) == command.serial == serial:
            del self.waiting[command.client]
            self.send(command.client, Reply(serial, result))

    def is_new(self, command: Command) -> bool:
        """Whether the command was not carried out before."""
        # §8: "the state machine tracks the latest serial number processed for each client, along
        # with the associated response"
        return command.serial > self.sessions.get(command.client, (0, None))[0]

    def status(self) -> dict[str, Any]:
        """Role, term, and how much is committed."""
        return {
            "role": self.role,
            "epoch": self.current_term,
            "label": f"term {self.current_term} · {self.commit_index} committed",
        }

    def in_words(self, name: str, before: Self) -> str:
        """What elections and commitment are made of; all else is bookkeeping."""
        vote, old_vote = ((one.current_term, one.voted_for) for one in (self, before))
        if name == "current_term" and self.voted_for is None and vote != old_vote:
            return f"moves on to term {self.current_term}"
        if name == "voted_for" and self.voted_for is not None and vote != old_vote:
            whom = "itself" if self.voted_for == self.id else self.voted_for
            again = old_vote[0] == vote[0] and old_vote[1] is not None
            though = f", although it voted for {old_vote[1]} in that term" if again else ""
            return f"votes for {whom} in term {self.current_term}{though}"
        if name == "log":
            same = [a == b for a, b in zip(before.log, self.log, strict=False)]
            kept = (*same, False).index(False)
            lost, added = before.log[kept:], self.log[kept:]
            told = [(lost, "loses"), (added, "appends")]
            return ", ".join(f"{verb} {_entries(kept, which)}" for which, verb in told if which)
        if name == "commit_index" and self.commit_index > before.commit_index:
            last = before.commit_index
            return f"takes {_entries(last, self.log[last : self.commit_index])} for committed"
        if name == "role" and self.role == LEADER != before.role:
            return f"leads in term {self.current_term}"
        return ""


def _entries(before: int, entries: tuple[Entry, ...]) -> str:
    """`entry 3 of term 2 (a no-op)`: entries that stand behind so many others."""
    told = []
    for index, entry in enumerate(entries, before + 1):
        what = "a no-op" if entry.command is None else repr(entry.command.operation)
        told.append(f"entry {index} of term {entry.term} ({what})")
    return " and ".join(told)
