"""A Raft server: terms, election, replication, and the clients that it serves (§8)."""

from __future__ import annotations

from typing import Any, Self

from clusterlab.core.node import Message, NodeId
from clusterlab.protocols.client import NotLeader, Refused, Reply, Request
from clusterlab.protocols.raft.election import Elections
from clusterlab.protocols.raft.messages import LEADER, AppendDue, Command, Entry


class Raft(Elections):
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

    def status(self) -> dict[str, Any]:
        """Role, term, and how much is committed."""
        return {
            "role": self.role,
            "epoch": self.current_term,
            "label": f"term {self.current_term} · {self.commit_index} committed",
        }

    def marks(self) -> dict[str, dict[str, int]]:
        """How far the log is committed and applied."""
        reached = {"committed": self.commit_index, "applied": self.last_applied}
        return {"log": {**reached, "start": self.offset}}

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
            start = max(self.offset, before.offset)
            old, new = before.entries_after(start), self.entries_after(start)
            kept = (*(a == b for a, b in zip(old, new, strict=False)), False).index(False)
            told = [(old[kept:], "loses"), (new[kept:], "appends")]
            return ", ".join(f"{verb} {_entries(start + kept, es)}" for es, verb in told if es)
        if name == "commit_index" and self.commit_index > before.commit_index:
            last = before.commit_index
            taken = self.entries_after(last, self.commit_index - last)
            return f"takes {_entries(last, taken)} for committed"
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
