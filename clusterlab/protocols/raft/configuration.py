"""Who belongs to the cluster, as its log says it (dissertation §4.1, §4.3).

Source: Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014. A configuration is an entry
of the log like any other, but a server goes by the newest that it has, committed or not, and goes
back to the one before when that entry is taken out of its log again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from clusterlab.core.node import Message, NodeId, volatile
from clusterlab.core.quorum import majority
from clusterlab.protocols.raft.messages import Command, Entry
from clusterlab.protocols.raft.server import Raft


class Configuration(Message):
    """Whose votes count, and who only receives the log.

    With `old` it is joint (§4.3): whatever is decided needs a majority of each of the two.

    >>> joint = Configuration(voters=("c", "d", "e"), old=("a", "b", "c"))
    >>> joint.is_quorum({"c", "d", "e"}), joint.is_quorum({"b", "c", "d"})
    (False, True)
    """

    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...] = ()
    old: tuple[NodeId, ...] = ()

    @property
    def groups(self) -> tuple[tuple[NodeId, ...], ...]:
        """Those of which a majority each is needed."""
        return (self.voters, self.old) if self.old else (self.voters,)

    @property
    def servers(self) -> tuple[NodeId, ...]:
        """Everybody, each once."""
        return tuple(dict.fromkeys((*self.voters, *self.old, *self.learners)))

    def is_voter(self, server: NodeId) -> bool:
        """Whether its vote counts in one of the groups."""
        return server in self.voters or server in self.old

    def is_quorum(self, servers: Collection[NodeId]) -> bool:
        """Whether a majority of each group is among them."""
        return all(
            sum(server in servers for server in group) >= majority(len(group))
            for group in self.groups
        )


def configuration_in(entry: Entry) -> Configuration | None:
    """The configuration that an entry holds, if it holds one."""
    operation = None if entry.command is None else entry.command.operation
    return operation if isinstance(operation, Configuration) else None


def _held_by_majority(group: tuple[NodeId, ...], held: Mapping[NodeId, int]) -> int:
    """The greatest index that a majority of the group has."""
    indices = sorted((held.get(server, 0) for server in group), reverse=True)
    return indices[majority(len(group)) - 1]


class Configurable(Raft):
    """A server that goes by the newest configuration in its log.

    Parameters
    ----------
    members:
        All servers that there are or may be; those outside the configuration wait to be added.
    voters:
        The first configuration; empty: all members.
    """

    voters: tuple[NodeId, ...] = ()

    settled: Configuration | None = volatile(None)  # the newest that is applied; None: the first

    config: Configuration = volatile(Configuration(()))
    config_index: int = volatile(0)  # the index of its entry; not in the log: that before the log

    def on_start(self) -> None:
        """Go by the newest configuration on disk."""
        unknown = sorted(set(self.voters) - set(self.members))
        assert not unknown, f"members={self.members} must name the voters {unknown} as well"
        super().on_start()
        self.configure()

    def configure(self) -> None:
        """Find the newest configuration."""
        # §4.1: a server goes by a configuration as soon as it is in its log, committed or not; and
        # when the entry goes, so does the configuration. What is applied never goes, so a snapshot
        # takes no configuration away that might still be taken back.
        self.config_index, self.config = self.offset, self.settled_config
        for index in range(self.last_log_index, self.offset, -1):
            found = configuration_in(self.entry(index))
            if found is not None:
                self.config_index, self.config = index, found
                return

    @property
    def settled_config(self) -> Configuration:
        """The newest configuration that is committed, as far as this server knows."""
        return self.settled or Configuration(self.voters or self.members)

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """That one, and those behind it: this server goes by the last of them."""
        behind = map(configuration_in, self.entries_after(self.last_applied))
        return (self.settled_config, *(found for found in behind if found is not None))

    # --- quorums -----------------------------------------------------------------------------

    @property
    def peers(self) -> tuple[NodeId, ...]:
        """The other servers of the configuration, learners among them."""
        return tuple(server for server in self.config.servers if server != self.id)

    def is_voter(self, server: NodeId) -> bool:
        """Whether its vote counts in the newest configuration."""
        return self.config.is_voter(server)

    def is_quorum(self, servers: Collection[NodeId]) -> bool:
        """Whether these servers can decide for all; learners and strangers do not count."""
        return self.config.is_quorum(servers)

    def is_majority_free(self) -> bool:
        """Whether enough followers could take entries at once to commit them."""
        free = set(self.config.servers) - self.unanswered.keys()
        return self.is_quorum(free)

    def held_by_quorum(self) -> int:
        """The greatest index up to which a majority of each group holds this leader's log."""
        # §4.2.2: a leader that removes itself leads a cluster to which it does not belong for a
        # while, and does not count itself in majorities.
        held = {**self.match_index, self.id: self.synced_index}
        return min(_held_by_majority(group, held) for group in self.config.groups)

    def campaign(self) -> None:
        """Ask for votes, unless this server only listens."""
        if self.may_campaign():
            super().campaign()
        else:
            self.leader_id = None  # or clients would be sent to who led long ago, again and again
            self.reset_election_timer()

    def may_campaign(self) -> bool:
        """Whether this server may be needed as leader."""
        # §4.2.2: a server that its newest configuration leaves out still begins elections, since
        # it may be needed until that entry is committed. Who is asked for a vote gives it, whatever
        # its own configuration says.
        return any(one.is_voter(self.id) for one in self.configurations)

    # --- the log -----------------------------------------------------------------------------

    def append(self, entries: tuple[Entry, ...]) -> None:
        """A configuration counts from the moment it is in the log, for its own entry too."""
        for index, entry in enumerate(entries, self.last_log_index + 1):
            found = configuration_in(entry)
            if found is not None:
                self.config_index, self.config = index, found
                self.meet_peers()
        super().append(entries)

    def meet_peers(self) -> None:
        """A leader begins to serve who came, and stops serving who went."""
        for peer in self.peers:
            self.next_index.setdefault(peer, self.last_log_index + 1)
            self.match_index.setdefault(peer, 0)
        for gone in self.next_index.keys() - set(self.peers):
            del self.next_index[gone], self.match_index[gone]
            self.unanswered.pop(gone, None)

    def replicate(self, peer: NodeId) -> None:
        """Send nothing to who went, nor after this leader itself had to go."""
        if peer in self.next_index:
            super().replicate(peer)

    def take_over(self, prev: int, entries: tuple[Entry, ...]) -> None:
        """What came or went may have been a configuration."""
        super().take_over(prev, entries)
        if self.config_index > prev or any(map(configuration_in, entries)):
            self.configure()

    def apply(self, command: Command) -> None:
        """A configuration is settled, and changes nothing in the application."""
        if isinstance(command.operation, Configuration):
            self.settled = command.operation
        else:
            super().apply(command)

    def applied_state(self) -> dict[str, Any]:
        """The paper's §7: a snapshot holds the configuration of the entries that it covers."""
        return {**super().applied_state(), "settled": self.settled}

    def take_state(self, applied: dict[str, Any]) -> None:
        """And who takes it over goes by that, or by a newer one that follows it."""
        super().take_state(applied)
        self.configure()
