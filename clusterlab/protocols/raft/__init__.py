"""Raft: a replicated log under a strong leader.

Source: Diego Ongaro and John Ousterhout, "In Search of an Understandable Consensus Algorithm
(Extended Version)", 2014: Figures 2 and 3 in full, clients after section 8 and after chapter 6 of
Ongaro's dissertation (2014).

| what | where |
|---|---|
| the messages, the entries of a log, the timers | `messages` |
| the state of a server, its terms and roles (§5.1) | `state` |
| what is committed is applied (§5.3, §8) | `machine` |
| log replication and commitment (§5.3, §5.4.2) | `replication` |
| leader election and its restriction (§5.2, §5.4.1) | `election` |
| the server as clients meet it (§8) | `server` |

Each of them is a class that builds on the one before, and `Raft` is the last. What production adds
are further classes on top of it, from Ongaro's dissertation, to be combined at will:

| what | where |
|---|---|
| whether the leader was heard lately, and the promise that goes with it (§4.2.3) | `contact` |
| no term is spent on an election that cannot be won (§9.6) | `prevote` |
| a leader must hear its quorum, and is not deposed while it does (§6.2, §4.2.3) | `check_quorum` |
| a leader hands its office over (§3.10) | `transfer`, `administration` |
| reads without the log: ReadIndex (§6.4) and leases (§6.4.1) | `reads` |
| a configuration is an entry, and counts as soon as it is in the log (§4.1) | `configuration` |
| members change while the cluster goes on (§4.2, §4.3) | `membership` |
| a snapshot takes the place of old entries, and is sent to who lacks them (§5) | `snapshots` |
| what is remembered of clients has a bound (§6.3) | `sessions` |
| the disk writes while the server goes on (§10.2.1) | `async_disk` |
| most of it together | `production` |

A server that lost its disk must not come back under its old name, since it may have voted: here it
does, and stays behind until the next election.
"""

from clusterlab.protocols.raft.messages import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    AppendDue,
    AppendEntries,
    AppendReply,
    Command,
    ElectionTimeout,
    Entry,
    HeartbeatDue,
    RequestVote,
    VoteReply,
)
from clusterlab.protocols.raft.replication import OVERDUE
from clusterlab.protocols.raft.server import Raft

__all__ = [
    "CANDIDATE",
    "FOLLOWER",
    "LEADER",
    "OVERDUE",
    "AppendDue",
    "AppendEntries",
    "AppendReply",
    "Command",
    "ElectionTimeout",
    "Entry",
    "HeartbeatDue",
    "Raft",
    "RequestVote",
    "VoteReply",
]
