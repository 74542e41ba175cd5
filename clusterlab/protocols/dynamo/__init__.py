"""A store without a leader: whoever is asked coordinates; R + W > N is what holds it together.

Sources: Gifford, "Weighted Voting for Replicated Data", 1979; Attiya, Bar-Noy and Dolev, "Sharing
Memory Robustly in Message-Passing Systems", 1995; DeCandia et al., "Dynamo: Amazon's Highly
Available Key-value Store", 2007, section 4.

| what | where |
|---|---|
| versions: by clock, by counter, by vector; which one wins | `versions` |
| what replicas and coordinators say to each other | `messages` |
| a replica: keeps versions, hands hints on | `replica` |
| a coordinator: quorums, sloppy or strict, read repair | `store` |
"""

from clusterlab.protocols.dynamo.store import AtomicStore, QuorumStore
from clusterlab.protocols.dynamo.versions import Siblings, Version

__all__ = ["AtomicStore", "QuorumStore", "Siblings", "Version"]
