"""Multi-Paxos: a sequence of commands, each chosen by an instance of Paxos, under one leader.

Sources: Lamport 2001, "Paxos Made Simple", section 3 (quotations are from there); Chandra,
Griesemer and Redstone 2007, "Paxos Made Live"; van Renesse and Altinbuken 2015, "Paxos Made
Moderately Complex"; Howard and Mortier 2020, "Paxos vs Raft"; Howard, Malkhi and Spiegelman 2016,
"Flexible Paxos", for the quorums.

| what | where |
|---|---|
| the messages, what a slot holds, the timers | `messages` |
| slots: executed in order, snapshots, catching up | `replica` |
| the acceptor: one promise for all slots, the lease | `acceptor` |
| the leader: phase 1 once, phase 2 for each round | `leader` |
| the server as clients meet it | `server` |

Each of them is a class that builds on the one before, and `MultiPaxos` is the last.

Where it differs from Lamport's section 3:
- Acceptors answer the leader only, and the leader's next message says how far the slots are
  chosen; who cannot tell from that asks.
- Who is refused follows, and tries a higher ballot only when it hears nobody, as in Raft; leaders
  are elected by whose timer fires first.
- A leader repeats what is not answered at its heartbeats.

Left out: changes of the members. A replica that lost its disk must not come back under its own
name: what it promised is forgotten.
"""

from clusterlab.protocols.multi_paxos.messages import (
    CANDIDATE,
    CHOSEN,
    FOLLOWER,
    LEADER,
    Accept,
    Accepted,
    CatchUp,
    Command,
    ElectionTimeout,
    Heartbeat,
    HeartbeatDue,
    Learn,
    LeaseGranted,
    Nack,
    Prepare,
    Promise,
    ProposeDue,
    Snapshot,
    TakeSnapshot,
)
from clusterlab.protocols.multi_paxos.server import MultiPaxos

__all__ = [
    "CANDIDATE",
    "CHOSEN",
    "FOLLOWER",
    "LEADER",
    "Accept",
    "Accepted",
    "CatchUp",
    "Command",
    "ElectionTimeout",
    "Heartbeat",
    "HeartbeatDue",
    "Learn",
    "LeaseGranted",
    "MultiPaxos",
    "Nack",
    "Prepare",
    "Promise",
    "ProposeDue",
    "Snapshot",
    "TakeSnapshot",
]
