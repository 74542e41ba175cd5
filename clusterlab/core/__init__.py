"""The ground: contract, faults, traces, histories, sequential objects. Standard library only."""
