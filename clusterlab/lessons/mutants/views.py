"""Wrong primaries and view services, and a store that merges nothing: B5, B6, B13 of the table."""

from __future__ import annotations

from typing import Any

from clusterlab.check.invariants.primary_backup import ACKED_IS_KEPT, ACKNOWLEDGED
from clusterlab.check.properties import Answer, always, sometimes
from clusterlab.check.world import NodeView, World
from clusterlab.core.node import Node, NodeId
from clusterlab.core.spec import Put, Read, Register, Write
from clusterlab.experiments.fuzz import LINEARIZABLE
from clusterlab.lessons.mutants import Mutant
from clusterlab.lessons.mutants.clients import ALL_ANSWERED, linearizable
from clusterlab.lessons.mutants.hunts import by_search
from clusterlab.protocols.active_active import ActiveActive, AddItem, Basket
from clusterlab.protocols.client import Client, Reply, Request
from clusterlab.protocols.records import PRIMARY
from clusterlab.protocols.view_service import ViewServer, ViewService

# --- wrong classes -------------------------------------------------------------------------------


class ReadsWithoutItsBackup(ViewServer):
    """B5. A primary answers reads by itself; it may have been replaced."""

    def on_request(self, src: NodeId, m: Request) -> None:
        """Only writes go to the backup."""
        if self.role == PRIMARY and self.ready and self.spec.is_read(m.operation):
            self.send(src, Reply(m.serial, self.spec.apply(self.machine, m.operation)[1]))
        else:
            super().on_request(src, m)


class GoesOnTooEarly(ViewService):
    """B6. Goes on to the next view before the primary has said that it knows this one."""

    def may_go_on(self) -> bool:
        """It does not wait; so a backup is promoted that has nothing yet."""
        return True


class KeepsTheLaterBasket(ActiveActive):
    """B13. The whole value with the later stamp replaces the other."""

    def merge(self, src: NodeId, m: Basket) -> tuple[str, ...]:
        """Last writer wins."""
        return m.items if (m.stamp, src) > (self.stamp, self.id) else self.items


# --- their worlds --------------------------------------------------------------------------------

ACKED = sometimes(
    "a write is acknowledged", lambda world: bool(world.ghost.acked), ghost=ACKNOWLEDGED, reads=()
)
CLIENT_RESTS = dict.fromkeys(("AnswerOverdue", "TryAgain", "GiveUp"), 0)


def _items_stay(world: World) -> Answer:
    there = {item for node in world.having("items") for item in node.items}
    for client, operation in sorted(world.ghost.acked, key=repr):
        if operation.item not in there:
            return f"{client} was told that {operation.item!r} is kept, and no server has it"
    return True


NOTHING_VANISHES = always("NothingVanishes", _items_stay, ghost=ACKNOWLEDGED, reads=("items",))
"""What was acknowledged is somewhere: without it the healing has thrown a side away in silence."""


def readers(server: type[ViewServer]) -> list[Node]:
    """Two servers of a class, and a client of each: c1 reads where c2 does not write."""
    clients = [Client(f"c{number}", servers=(f"n{number}",)) for number in (1, 2)]
    return [*server.group(2, spec=Register()), *clients]


def one_writer(service: type[ViewService]) -> list[Node]:
    """Two servers and a service of a class; a client of the first."""
    return [
        *[ViewServer(name) for name in ("n1", "n2")],
        service("v"),
        Client("c1", servers=("n1",)),
    ]


def two_baskets(server: type[ActiveActive]) -> list[Node]:
    """The pair, and a client of each."""
    return [*server.pair(), *(Client(f"c{n}", servers=(f"n{n}",)) for n in (1, 2))]


def views_up_to(number: int) -> Any:
    """A bound: no view above; clients keep to the servers that they know."""

    def bound(node: NodeView) -> bool:
        if hasattr(node, "servers") and hasattr(node, "server"):
            return node.server is None or node.server in node.servers
        return not hasattr(node, "view") or bool(node.view[0] <= number)

    return bound


def reads_too_early(world: World) -> bool:
    """Not followed: c1 asks before c2 was answered."""
    writer, reader = world["c2"], world["c1"]
    return bool(reader.reserved and (writer.operation is not None or not writer.reserved))


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "B5",
        "a primary reads without its backup",
        "DSLabs, lab 2",
        ReadsWithoutItsBackup,
        ViewServer,
        LINEARIZABLE,
        by_search(
            readers,
            properties=(linearizable(Register()), ALL_ANSWERED),
            network="fifo",
            invoke=(("c2", Write(1)), ("c1", Read())),
            timers={"ServerSilent": 1, "ViewPingDue": 2, **CLIENT_RESTS},
            bound=views_up_to(3),
            prune=reads_too_early,
        ),
    ),
    Mutant(
        "B6",
        "goes on before the view is known",
        "DSLabs, lab 2",
        GoesOnTooEarly,
        ViewService,
        ACKED_IS_KEPT.name,
        by_search(
            one_writer,
            properties=(ACKED_IS_KEPT, ACKED),
            network="fifo",
            invoke=(("c1", Put("x", 1)),),
            timers={"ServerSilent": 2, "ViewPingDue": 2, **CLIENT_RESTS},
            bound=views_up_to(3),
        ),
    ),
    Mutant(
        "B13",
        "the later basket replaces the other",
        "Jepsen, Hazelcast 3.8.3",
        KeepsTheLaterBasket,
        ActiveActive,
        NOTHING_VANISHES.name,
        by_search(
            two_baskets,
            properties=(NOTHING_VANISHES, ACKED),
            network="multiset",
            invoke=(("c1", AddItem("apple")), ("c2", AddItem("pear"))),
            timers={"ShareDue": 2, **CLIENT_RESTS},
        ),
    ),
)
