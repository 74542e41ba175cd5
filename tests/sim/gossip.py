"""A run with all that could make it differ from itself; `python -m tests.sim.gossip SEED` runs it.

State is full of sets and dicts, the network loses, doubles and reorders, nodes die and come back.
"""

from __future__ import annotations

import sys

from clusterlab.core.faults import Kill, Restart
from clusterlab.core.network import Network
from clusterlab.core.node import Message, Node, NodeId, Timer, durable, volatile
from clusterlab.sim import Simulation

NAMES = ("ada", "bo", "cy", "dee", "eve")


class Rumours(Message):
    known: frozenset[str]


class Chat(Timer):
    pass


class Gossip(Node):
    known: set[str] = durable(set())
    heard: dict[NodeId, set[str]] = volatile({})
    round: int = volatile(0)

    def on_start(self) -> None:
        self.known.add(f"{self.id} is up")
        self.set_timer(Chat(), (20, 60))

    def on_chat(self, t: Chat) -> None:
        self.round += 1
        self.known.add(f"{self.id} said {self.round}")
        friends = {self.choose(NAMES), self.choose(NAMES)} - {self.id}
        self.broadcast(Rumours(frozenset(self.known)), friends)
        self.set_timer(t, (20, 60))

    def on_rumours(self, src: NodeId, m: Rumours) -> None:
        self.heard.setdefault(src, set()).update(m.known - self.known)
        self.known |= m.known


def gossip(seed: int) -> Simulation:
    sim = Simulation(
        [Gossip(name) for name in NAMES],
        network=Network(delay_ms=(1, 80), loss=0.1, duplicate=0.1, reorder=0.1),
        seed=seed,
    )
    for name in NAMES:
        sim.run(70)
        sim.apply(Kill(name, 1 if name == "cy" else None))
        sim.run(35)
        sim.apply(Restart(name, "lose" if name == "bo" else "keep"))
    sim.run(300)
    return sim


if __name__ == "__main__":
    sys.stdout.write(gossip(int(sys.argv[1])).trace.digest())
