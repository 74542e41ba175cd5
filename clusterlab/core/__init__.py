"""The ground: the contract, faults, traces, histories, sequential objects. Standard library only."""
