"""What Raft promises, as properties; the names are those of etcd's TLA+ specification.

Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
Version)", 2014, Figure 3 and section 5; `tla/etcdraft.tla` in etcd-io/raft, which states all of
these under the same names.

They read the fields `current_term`, `voted_for`, `log` (entries with a `term`), `commit_index`,
`last_applied`, `role`, `next_index` and `match_index`, and the notes `leader` (with the term) and
`commit` (with the index). "Committed" is what a server believes to be committed: its log through
its commit index.

A server that is dead counts with what its disk holds. How logs are compared of which a part is in a
snapshot says `raft_logs`; what snapshots promise says `raft_snapshots`.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

from clusterlab.check.invariants.raft_logs import (
    LOG,
    commit_index,
    differ_at,
    entries,
    lacks,
    last_index,
    last_term,
    offset,
    servers,
    told,
    told_committed,
)
from clusterlab.check.properties import Answer, Ghost, Property, always, always_step, sometimes
from clusterlab.check.world import NodeView, World
from clusterlab.core.node import NodeId
from clusterlab.core.quorum import majority

LEADER = "leader"


# --- elections ---------------------------------------------------------------------------------


class Leadership(NamedTuple):
    """Somebody became leader."""

    term: int
    leader: NodeId


def _remember_leaders(
    ghost: frozenset[Leadership], node: NodeId, name: str, data: Any
) -> frozenset[Leadership]:
    return ghost | {Leadership(data, node)} if name == "leader" else ghost


LEADERS = Ghost(frozenset(), _remember_leaders)
"""Who ever led in which term: a leader of the past is a leader too."""


def _one_leader_a_term(world: World) -> Answer:
    ever: frozenset[Leadership] = world.ghost
    if len({one.term for one in ever}) == len(ever):
        return True
    one, other = next((a, b) for a, b in combinations(sorted(ever), 2) if a.term == b.term)
    return f"{one.leader} and {other.leader} both became leader of term {one.term}"


ELECTION_SAFETY = always("ElectionSafety", _one_leader_a_term, ghost=LEADERS, reads=())
"""Figure 3: "at most one leader can be elected in a given term". """


def _one_leader_now(world: World) -> Answer:
    leaders = [s for s in servers(world) if s.role == LEADER]
    for a, b in combinations(leaders, 2):
        if a.current_term == b.current_term:
            return f"{a.id} and {b.id} both lead in term {a.current_term}"
    return True


MORE_THAN_ONE_LEADER = always(
    "MoreThanOneLeaderInv", _one_leader_now, reads=("role", "current_term", "log")
)
"""The same of the present only: it misses leaders of one term that never overlap."""


def _leader_has_most(world: World) -> Answer:
    everyone = servers(world)
    for leader in everyone:
        if leader.role != LEADER:
            continue
        term = leader.current_term
        own = _last_of_term(leader, term)
        for other in everyone:
            if _last_of_term(other, term) > own:
                return (
                    f"{leader.id} leads in term {term}, and {other.id} has an entry of that term "
                    f"at index {_last_of_term(other, term)}, where the leader has none"
                )
    return True


def _last_of_term(server: NodeView, term: int) -> int:
    log = enumerate(entries(server), offset(server) + 1)
    return max((index for index, entry in log if entry.term == term), default=offset(server))


ELECTION_SAFETY_INV = always("ElectionSafetyInv", _leader_has_most, reads=(*LOG, "role"))
"""A leader has the entries of its term up to the greatest index: nobody else makes such."""


def _messages_are_not_ahead(world: World) -> Answer:
    terms = {server.id: server.current_term for server in servers(world)}
    for src, dst, msg in world.messages:
        if src in terms and getattr(msg, "term", 0) > terms[src]:
            return f"{src} has sent {msg!r} to {dst}, and is itself in term {terms[src]}"
    return True


MESSAGE_TERMS = always(
    "MessageTermsLtCurrentTerm",
    _messages_are_not_ahead,
    reads=("current_term", "log"),
    messages=("RequestVote", "VoteReply", "AppendEntries", "AppendReply"),
)
"""No message is of a later term than the one that its sender is in, even after a crash."""


# --- logs --------------------------------------------------------------------------------------


def _logs_match(world: World) -> Answer:
    for a, b in combinations(servers(world), 2):
        first, last = max(offset(a), offset(b)), min(last_index(a), last_index(b))
        for k in range(last, first, -1):
            term = entries(a)[k - offset(a) - 1].term
            if entries(b)[k - offset(b) - 1].term == term:
                if differ_at(a, b, k) is not None:
                    return (
                        f"the logs of {a.id} and {b.id} have entries of term {term} at index {k}, "
                        f"but differ up to there: {told(a)} and {told(b)}"
                    )
                break  # what is equal up to k is equal below it
    return True


LOG_MATCHING = always("LogMatching", _logs_match, reads=LOG)
"""Figure 3: "if two logs contain an entry with the same index and term, then the logs are identical
in all entries up through the given index". """


def _leaders_are_complete(world: World) -> Answer:
    everyone = servers(world)
    for leader in everyone:
        if leader.role != LEADER:
            continue
        for other in everyone:
            # Whatever a server takes for committed was committed in its term at the latest; a
            # leader of that very term has it too, since it then committed it or began with it.
            if other.current_term <= leader.current_term and lacks(leader, other):
                return (
                    f"{leader.id} leads in term {leader.current_term} without what {other.id} "
                    f"took for committed in term {other.current_term}: its log is {told(leader)}, "
                    f"committed is {told_committed(other)}"
                )
    return True


LEADER_COMPLETENESS = always(
    "LeaderCompleteness",
    _leaders_are_complete,
    reads=(*LOG, "commit_index", "role"),
)
"""Figure 3: "if a log entry is committed in a given term, then that entry will be present in the
logs of the leaders for all higher-numbered terms". """


def _applied_alike(world: World) -> Answer:
    for a, b in combinations(servers(world), 2):
        at = differ_at(a, b, min(a.last_applied, b.last_applied))
        if at is not None:
            one, other = (entries(s)[at - offset(s) - 1] for s in (a, b))
            return f"{a.id} and {b.id} applied different entries at index {at}: {one} and {other}"
    return True


STATE_MACHINE_SAFETY = always("StateMachineSafety", _applied_alike, reads=(*LOG, "last_applied"))
"""Figure 3: "if a server has applied a log entry at a given index to its state machine, no other
server will ever apply a different log entry for the same index". """


def _committed_agree(world: World) -> Answer:
    for a, b in combinations(servers(world), 2):
        at = differ_at(a, b, min(commit_index(a), commit_index(b)))
        if at is not None:
            one, other = (entries(s)[at - offset(s) - 1] for s in (a, b))
            return f"at index {at}, {a.id} has committed {one} and {b.id} {other}"
    return True


LOG_INV = always("LogInv", _committed_agree, reads=(*LOG, "commit_index"))
"""Of two servers, what one has committed begins what the other has."""


def _quorums_hold_committed(world: World) -> Answer:
    everyone = servers(world)
    for server in everyone:
        lacking = [other.id for other in everyone if _lacks_on_disk(other, server)]
        # Some quorum lacks it entirely as soon as those that lack it are a quorum.
        if len(lacking) >= majority(len(everyone)):
            return (
                f"{server.id} takes {told_committed(server)} for committed, but "
                f"{' and '.join(lacking)}, who are a majority, do not hold it"
            )
    return True


def _lacks_on_disk(server: NodeView, other: NodeView) -> bool:
    return lacks(server, other) or offset(server) + len(server.log) < commit_index(other)


QUORUM_LOG_INV = always("QuorumLogInv", _quorums_hold_committed, reads=(*LOG, "commit_index"))
"""Every quorum has a member that holds on its disk what any server takes for committed."""


def _committed_is_on_disk(world: World) -> Answer:
    for server in servers(world):
        held = offset(server) + len(server.log)
        if server.commit_index > held:
            return f"{server.id} has committed {server.commit_index} entries and holds {held}"
    return True


COMMITTED_IS_DURABLE = always(
    "CommittedIsDurable", _committed_is_on_disk, reads=(*LOG, "commit_index")
)
"""No server has committed more than it has on its disk (after a step, the disk has its log)."""


def _better_logs_hold_committed(world: World) -> Answer:
    everyone = [(s, (last_term(s), last_index(s))) for s in servers(world)]
    for a, better in everyone:
        for b, than in everyone:
            if better >= than and lacks(a, b):
                return (
                    f"{a.id}'s log is at least as up-to-date as {b.id}'s, but lacks what {b.id} "
                    f"has committed: {told(a)} and {told_committed(b)}"
                )
    return True


MORE_UP_TO_DATE_CORRECT = always(
    "MoreUpToDateCorrect",
    _better_logs_hold_committed,
    reads=(*LOG, "commit_index"),
)
"""§5.4.1: a log that would win a vote against another holds what the other's server committed."""


def _indices_are_ordered(world: World) -> Answer:
    for s in servers(world):
        applied, last = max(s.last_applied, offset(s)), last_index(s)
        if not applied <= commit_index(s) <= last:
            return (
                f"{s.id} has applied {applied}, committed {commit_index(s)} and holds "
                f"{last} entries"
            )
        terms = [entry.term for entry in entries(s)]
        if offset(s):
            terms.insert(0, s.snapshot.last_term)
        if terms != sorted(terms):
            return f"the terms fall along the log of {s.id}: {told(s)}"
        for peer, match in s.match_index.items():
            if match > last or s.next_index[peer] <= match:
                return (
                    f"{s.id} believes that {peer} matches up to {match} and sends from "
                    f"{s.next_index[peer]}, with a log of {last}"
                )
    return True


INDICES_IN_ORDER = always(
    "IndicesInOrder",
    _indices_are_ordered,
    reads=(*LOG, "commit_index", "last_applied", "match_index", "next_index"),
)
"""applied <= commit <= last index; match <= last index; next > match; no term falls in a log."""


# --- steps -------------------------------------------------------------------------------------


def _append_only(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "current_term") or not before.role == after.role == LEADER:
        return True
    kept = last_index(after) >= last_index(before)
    if kept and differ_at(before, after, last_index(before)) is None:
        return True
    return f"{after.id} leads, and changes its log from {told(before)} to {told(after)}"


LEADER_APPEND_ONLY = always_step("LeaderAppendOnly", _append_only)
"""Figure 3: "a leader never overwrites or deletes entries in its log; it only appends". """


def _never_back(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "current_term"):
        return True
    for name in ("current_term", "commit_index", "last_applied"):
        old, new = getattr(before, name), getattr(after, name)
        if new < old:
            return f"{name} of {after.id} falls from {old} to {new}"
    same = before.role == after.role == LEADER and before.current_term == after.current_term
    for peer, match in before.match_index.items() if same else ():
        now = after.match_index.get(peer, match)  # who leaves the cluster is not served any more
        if now < match:
            return f"match_index of {after.id} for {peer} falls from {match} to {now}"
    return True


MONOTONIC = always_step("Monotonic", _never_back)
"""Terms, commit index and applied index never fall; match_index neither, within a term."""


def _disk_never_back(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "current_term"):
        return True
    if after.current_term < before.current_term:
        return f"the term of {after.id} falls from {before.current_term} to {after.current_term}"
    if offset(after) < offset(before):
        return f"the snapshot of {after.id} falls from {offset(before)} to {offset(after)}"
    if after.current_term == before.current_term and before.voted_for not in (
        None,
        after.voted_for,
    ):
        return (
            f"in term {after.current_term}, the vote of {after.id} changes from "
            f"{before.voted_for} to {after.voted_for}"
        )
    return True


MONOTONIC_ACROSS_RESTARTS = always_step(
    "MonotonicAcrossRestarts", _disk_never_back, across_crashes=True
)
"""§5.1, §5.2, §7: no term, no vote in it and no snapshot is taken back, not even by a crash."""


# --- a check that sees nothing is worth nothing --------------------------------------------------

LEADER_ELECTED = sometimes(
    "a leader is elected",
    lambda world: any(server.role == LEADER for server in servers(world)),
    reads=("current_term", "log", "role"),
)

ENTRY_COMMITTED = sometimes(
    "an entry is committed",
    lambda world: any(server.commit_index > 0 for server in servers(world)),
    reads=("current_term", "log", "commit_index"),
)

SAFETY: tuple[Property, ...] = (
    *(ELECTION_SAFETY, LOG_MATCHING, LEADER_COMPLETENESS, STATE_MACHINE_SAFETY, LOG_INV),
    *(QUORUM_LOG_INV, COMMITTED_IS_DURABLE, MORE_UP_TO_DATE_CORRECT, INDICES_IN_ORDER),
    *(LEADER_APPEND_ONLY, MONOTONIC, MONOTONIC_ACROSS_RESTARTS),
)
"""Everything that must always hold."""

ALL: tuple[Property, ...] = (*SAFETY, MORE_THAN_ONE_LEADER, ELECTION_SAFETY_INV, MESSAGE_TERMS)
"""The others of etcd's too. They look at messages, or see less than one of the above does."""
