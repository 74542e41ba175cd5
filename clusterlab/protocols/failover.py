"""A manager that watches the primary and names another one, with and without shooting the first.

Sources: Budhiraja, Marzullo, Schneider and Toueg, "The Primary-Backup Approach" (1993), for what a
failover must keep; Weimer, "October 21 post-incident analysis" (GitHub 2018), for a manager that
promoted a replica while the old primary, which it could not reach, had taken writes that nobody
else had; Robertson, "Resource fencing using STONITH" (2001), for the cure.

`FailoverManager` is the manager as it is often built. It stands outside, so the servers cannot
both promote themselves; but it, too, takes silence for death.

`Stonith` does not ask whether the other is dead: it makes sure ("shoot the other node in the
head"). It commands a `PowerSwitch`, and promotes nobody before the switch has confirmed. If the
switch cannot be reached nobody is promoted: that costs availability and never the data.

What cutting power means here. A message cannot kill: a process that hangs would not read it. So
the switch is a node that notes `power off`, and whoever has a hand on the machines (an experiment,
a learner; see `experiments.power`) carries it out as the fault Kill, a real death on real
processes, and hands the switch `IsOff`. In a search, where nobody has hands, states in which a
machine is up whose power is off are left out.

A packet may outlive its sender: what the dead server had sent to the disk may arrive after its
death. With a power switch alone one waits for longer than that takes; a fence at the disk does not
have to.
"""

from __future__ import annotations

from typing import Any

from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.node import WORLD, Message, Node, NodeId, Timer, durable, volatile
from clusterlab.protocols.records import Bystander
from clusterlab.protocols.shared_storage import DiskServer, Storage


class Serve(Message):
    """From the manager: you are the primary of this epoch. Said again and again: a heartbeat."""

    epoch: int


class Serving(Message):
    """To the manager: I hear you."""

    epoch: int


class StandBy(Message):
    """From the manager: another is the primary, of this epoch."""

    epoch: int


class SwitchOff(Message):
    """To the power switch: cut that node's power."""

    node: NodeId


class SwitchedOff(Message):
    """From the power switch: it is dead for certain."""

    node: NodeId


class IsOff(Message):
    """To the power switch, from the world: that machine has no power any more."""

    node: NodeId


class OrdersDue(Timer):
    """The servers are to hear who serves."""


class PrimarySilent(Timer):
    """Nothing was heard of the primary for too long."""


class Managed(DiskServer):
    """A server that has the disk when the manager says so.

    >>> [node.id for node in Managed.with_disk(Stonith("m"), PowerSwitch("pdu"))]
    ['n1', 'n2', 'disk', 'm', 'pdu']
    """

    @classmethod
    def with_disk(cls, *others: Node, storage: type[Storage] = Storage) -> list[Node]:
        """The pair n1 and n2, their disk, and whoever manages them."""
        return [cls("n1", partner="n2"), cls("n2", partner="n1"), storage("disk"), *others]

    def on_serve(self, src: NodeId, m: Serve) -> None:
        """Mount the disk, once an epoch and life."""
        if m.epoch >= self.epoch and m.epoch != self.image and not self.mounting:
            self.mount(m.epoch)
        self.send(src, Serving(m.epoch))

    def on_stand_by(self, src: NodeId, m: StandBy) -> None:
        """Another has been promoted."""
        if m.epoch > self.epoch:
            self.epoch = m.epoch
            self.unmount()


class FailoverManager(Bystander):
    """Names a primary, and another one when it hears nothing of it. It splits brains.

    Parameters
    ----------
    servers:
        Whom it manages; the first begins.
    patience_ms:
        How long it bears the silence of the primary.
    beat_ms:
        How often it tells the servers who serves.
    """

    servers: tuple[NodeId, ...] = ("n1", "n2")
    patience_ms: int = 200
    beat_ms: int = 50

    epoch: int = durable(0)
    active: NodeId | None = durable(None)

    def on_start(self) -> None:
        """Go on with whoever served."""
        if self.active is None:
            self.promote(self.servers[0])
        else:
            self.watch()

    def promote(self, node: NodeId) -> None:
        """That one serves, in a new epoch."""
        self.epoch += 1
        self.active = node
        self.note("promotes", node)
        self.watch()

    def watch(self) -> None:
        """Tell everybody, and wait for the primary to be heard."""
        self.tell()
        self.set_timer(PrimarySilent(), self.patience_ms)

    def tell(self) -> None:
        """Everybody hears who serves."""
        for node in self.servers:
            self.send(node, Serve(self.epoch) if node == self.active else StandBy(self.epoch))
        self.set_timer(OrdersDue(), self.beat_ms)

    def on_orders_due(self, t: OrdersDue) -> None:
        """Orders may be lost, so they are repeated."""
        self.tell()

    def on_serving(self, src: NodeId, m: Serving) -> None:
        """The primary is there."""
        if m.epoch == self.epoch:
            self.set_timer(PrimarySilent(), self.patience_ms)

    def on_primary_silent(self, t: PrimarySilent) -> None:
        """Dead, cut off or slow: nobody can tell."""
        self.replace()

    def replace(self) -> None:
        """The mistake: whoever is silent is taken for dead."""
        self.promote(self.successor())

    def successor(self) -> NodeId:
        """The next server in turn."""
        assert self.active is not None
        return self.servers[(self.servers.index(self.active) + 1) % len(self.servers)]

    def status(self) -> dict[str, Any]:
        """What views show."""
        return {"role": "manager", "epoch": self.epoch, "label": f"{self.active} serves"}


class Stonith(FailoverManager):
    """Promotes a server once the other has no power.

    Parameters
    ----------
    switch:
        The id of a PowerSwitch.
    """

    switch: NodeId = "pdu"

    def replace(self) -> None:
        """Ask for its power to be cut, until somebody says that it is."""
        assert self.active is not None
        self.send(self.switch, SwitchOff(self.active))
        self.set_timer(PrimarySilent(), self.patience_ms)

    def on_switched_off(self, src: NodeId, m: SwitchedOff) -> None:
        """Certainly dead."""
        if m.node == self.active:
            self.promote(self.successor())


class PowerSwitch(Bystander):
    """Cuts power on command, and says so when it is cut."""

    commanded: dict[NodeId, NodeId] = volatile({})  # node -> who wants it dead
    off: tuple[NodeId, ...] = volatile(())  # whose power was cut, the last at the end

    def on_switch_off(self, src: NodeId, m: SwitchOff) -> None:
        """The hand is on the switch: see the module's docstring."""
        if m.node not in self.commanded:
            self.commanded[m.node] = src
            self.note("power off", m.node)

    def on_invoke(self, src: NodeId, m: Invoke) -> None:
        """The world says that a machine is dead."""
        self.send(WORLD, Invoked(m.operation))
        match m.operation:
            case IsOff(node=node) if node in self.commanded:
                self.off = (*self.off, node)
                self.send(self.commanded.pop(node), SwitchedOff(node))
                self.send(WORLD, Returned("ok"))
            case _:
                self.send(WORLD, Returned("fail", "nobody commanded that"))

    def status(self) -> dict[str, Any]:
        """What views show."""
        return {"role": "power", "label": f"{self.off[-1]} is off" if self.off else "all on"}
