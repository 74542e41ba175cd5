"""The seeded simulator: a whole cluster in one thread, in virtual time, repeatable to the last message."""

from clusterlab.sim.simulation import InFlight, PendingTimer, Simulation

__all__ = ["InFlight", "PendingTimer", "Simulation"]
