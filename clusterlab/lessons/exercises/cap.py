"""The exercise of lab 12: a merge with which replicas that met are equal, and no write is gone."""

from __future__ import annotations

from typing import Any

from clusterlab.check.properties import Answer as Told
from clusterlab.check.properties import always, sometimes
from clusterlab.check.world import NodeView, World
from clusterlab.core.message import Message
from clusterlab.core.node import Deliver, Node, NodeId, restart
from clusterlab.core.spec import Put
from clusterlab.lessons.exercises.exercise import (
    Answer,
    Exercise,
    Try,
    afterwards,
    every_schedule,
    has,
)
from clusterlab.protocols.client import Client
from clusterlab.protocols.convergent import ConvergentStore, Registers, Rumour
from clusterlab.protocols.dynamo import Version


def _version(value: str, *vector: tuple[NodeId, int]) -> Version:
    return Version(value, (sum(count for _, count in vector), f"c{value}", 1), vector)


HERE, THERE = _version("1", ("n1", 1)), _version("2", ("n2", 1))
LATER = _version("3", ("n1", 1), ("n2", 2))
"""Whoever wrote this had seen both."""


def _x(*versions: Version) -> Registers:
    return (("x", versions),)


def _replica(payload: Registers = ()) -> Any:
    def make(answer: Answer) -> Any:
        node = answer("n1", members=("n1", "n2"))
        return restart(node, {"payload": payload, "written": len(payload)})

    return make


def _heard(registers: Registers) -> tuple[Deliver, ...]:
    return (Deliver("n2", Rumour(registers)),)


# --- the world -----------------------------------------------------------------------------------


def replicas_and_clients(answer: Answer) -> list[Node]:
    """Two replicas of the learner's class, and beside each a client."""
    clients = [Client(f"c{n}", servers=(f"n{n}",)) for n in (1, 2)]
    return [*answer.group(2), *clients]


def _stores(world: World) -> tuple[NodeView, ...]:
    return world.having("payload", "written")


def _converged(world: World) -> Told:
    if world.messages:
        return True
    one, other = _stores(world)
    return one.payload == other.payload or (
        f"nothing is on its way any more, and {one.id} holds {_values(one)}, "
        f"but {other.id} {_values(other)}"
    )


CONVERGED = always("ReplicasConverge", _converged)
"""Two replicas that have heard all that there is to hear are equal."""


def _kept(world: World) -> Told:
    for store in _stores(world):
        seen: dict[NodeId, int] = {}
        for _, versions in store.payload:
            for version in versions:
                if version.tag[0] != sum(count for _, count in version.vector):
                    return f"{store.id} holds a version that nobody wrote: {version.value!r}"
                for node, count in version.vector:
                    seen[node] = max(count, seen.get(node, 0))
        if seen.get(store.id, 0) < store.written:
            return (
                f"write {store.written} of {store.id} was acknowledged there; of all that it holds "
                f"({_values(store)}), nothing is that write, and nothing has seen it"
            )
    return True


KEPT = always("NoWriteIsLost", _kept)
"""Where a write was acknowledged, it stays, or a later one does that has seen it."""


def _overwritten(world: World) -> Told:
    for store in _stores(world):
        for key, versions in store.payload:
            for old in versions:
                for new in versions:
                    if old.vector != new.vector and _saw(new, old):
                        return (
                            f"{store.id} holds {old.value!r} at {key!r} beside {new.value!r}, "
                            "whose writer had seen it and replaced it"
                        )
    return True


def _saw(new: Version, old: Version) -> bool:
    seen = dict(new.vector)
    return all(seen.get(node, 0) >= count for node, count in old.vector)


NOTHING_COMES_BACK = always("NothingComesBack", _overwritten)
"""What somebody has seen and overwritten is not there beside what replaced it."""

SIBLINGS = sometimes(
    "both replicas hold what both clients wrote at once",
    lambda world: all(
        any(len(versions) > 1 for _, versions in store.payload) for store in _stores(world)
    ),
)


def _values(store: NodeView) -> str:
    held = {key: [version.value for version in versions] for key, versions in store.payload}
    return ", ".join(f"{key}={values}" for key, values in held.items()) or "nothing"


WRITES: tuple[tuple[NodeId, Message], ...] = (
    ("c1", Put("x", 1)),
    ("c2", Put("x", 2)),
    ("c2", Put("x", 3)),
)
WORLD: dict[str, Any] = {
    "properties": (CONVERGED, KEPT, NOTHING_COMES_BACK, SIBLINGS),
    "network": "multiset",
    "invoke": WRITES,
    "timers": dict.fromkeys(("AnswerOverdue", "GiveUp", "TryAgain", "GossipDue"), 0),
}

MERGE = Exercise(
    name="12/merge",
    base=ConvergentStore,
    writes=("merge",),
    source="Shapiro, Preguiça, Baquero and Zawirski 2011; DeCandia et al. 2007, section 4.4",
    tries=(
        Try(
            "a key of which it has nothing is taken over",
            _replica(),
            _heard(_x(THERE)),
            (has(payload=_x(THERE)),),
            "`one` and `other` are tuples of pairs: a key, and a tuple of its versions.",
        ),
        Try(
            "a key that the other side does not have stays",
            _replica(_x(HERE)),
            _heard((("y", (THERE,)),)),
            (has(payload=(("x", (HERE,)), ("y", (THERE,)))),),
            "The pairs are sorted by key, so that equal states look equal.",
        ),
    ),
    looks=(
        every_schedule(
            "every schedule of two replicas and three writes",
            replicas_and_clients,
            idle="What two clients wrote at once must be there twice, for somebody to merge.",
            **WORLD,
        ),
        afterwards(
            Try(
                "who has seen both replaces both",
                _replica(_x(HERE, THERE)),
                _heard(_x(LATER)),
                (has(payload=_x(LATER)),),
                "Its vector has counted all that theirs have.",
            )
        ),
    ),
)

EXERCISES = (MERGE,)
