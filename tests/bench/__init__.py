"""`make bench`: what clusterlab costs, measured beside its peers in one and the same run.

A figure alone says more about the machine, and about who else uses it, than about the program.
So ours and the peer take turns, several times over, and a ratio is that of neighbours in time.
Importing this starts nothing and needs no peer: what is missing is left out, and told.
"""
