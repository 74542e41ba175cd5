"""The seeded simulator: a cluster in one thread and virtual time, repeatable to the letter."""

from clusterlab.sim.hand import InFlight, PendingTimer
from clusterlab.sim.simulation import Simulation

__all__ = ["InFlight", "PendingTimer", "Simulation"]
