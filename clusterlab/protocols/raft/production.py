"""All of it together: Raft as it is run in production."""

from __future__ import annotations

from clusterlab.protocols.raft.async_disk import AsyncDisk
from clusterlab.protocols.raft.check_quorum import CheckQuorum
from clusterlab.protocols.raft.membership import Membership
from clusterlab.protocols.raft.prevote import PreVote
from clusterlab.protocols.raft.reads import LeaseReads, ReadIndex
from clusterlab.protocols.raft.snapshots import Snapshots
from clusterlab.protocols.raft.transfer import LeadershipTransfer


class ProductionRaft(Membership, LeadershipTransfer, ReadIndex, PreVote, CheckQuorum, Snapshots):
    """Changes of members, leadership transfer, ReadIndex, pre-vote, CheckQuorum and snapshots."""


class AsyncProductionRaft(AsyncDisk, ProductionRaft):
    """The same with a disk that writes while the server goes on."""


class LeasedRaft(LeaseReads, ProductionRaft):
    """The same with lease reads, for those who know a bound on the rates of their clocks."""
