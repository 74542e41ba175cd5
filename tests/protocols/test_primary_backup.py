"""Active-passive: what the pair promises, where it breaks, and what a witness mends."""

from __future__ import annotations

from typing import Any

from clusterlab.check.explore import explore
from clusterlab.check.properties import always, sometimes
from clusterlab.core.network import Network
from clusterlab.core.node import NodeId, volatile
from clusterlab.core.spec import Add, Put
from clusterlab.protocols.client import Client, NotLeader, Refused, Reply, Request
from clusterlab.protocols.primary_backup import (
    PRIMARY,
    Claim,
    Copied,
    Copy,
    Deposed,
    Granted,
    PartnerSilent,
    PrimaryBackup,
    Record,
    Vouch,
    Vouched,
    Witness,
    Witnessed,
)
from clusterlab.sim import Simulation
from tests.protocols.bench import Bench


def servers(world: Any) -> list[Any]:
    return [node for node in world.nodes if hasattr(node, "committed")]


def complete(world: Any) -> bool | str:
    """What a primary acknowledged is in the log of every later one."""
    for later in servers(world):
        for earlier in servers(world):
            if later.role != PRIMARY or later.epoch <= earlier.epoch:
                continue
            if later.log[: earlier.committed] != earlier.log[: earlier.committed]:
                return f"{later.id} leads in {later.epoch} without what {earlier.id} acknowledged"
    return True


ONE_PRIMARY = always(
    "OnePrimaryAnEpoch",
    lambda world: (
        len(leads := [n.epoch for n in servers(world) if n.role == PRIMARY]) == len(set(leads))
    ),
)
COMPLETE = always("LeaderCompleteness", complete)
TWO_EPOCHS = sometimes(
    "a second epoch acknowledges", lambda w: any(n.epoch > 1 and n.committed for n in servers(w))
)
PROPERTIES = (ONE_PRIMARY, COMPLETE, TWO_EPOCHS)


def small(node: Any) -> bool:
    return bool(getattr(node, "epoch", 0) <= 2 and len(getattr(node, "log", ())) <= 3)


# --- the pair alone ---


def test_two_that_lose_patience_both_serve() -> None:
    report = explore(PrimaryBackup.pair(), properties=PROPERTIES, bound=small)
    assert (report.property, len(report.path)) == ("OnePrimaryAnEpoch", 2)


def test_a_dead_primary_is_replaced_and_nothing_is_lost() -> None:
    network = Network(delay_ms=(1, 5))
    cluster = Simulation(PrimaryBackup.pair(), network=network, seed=1, client=Client.for_servers)
    cluster.run_until_leader()
    for number in range(5):
        cluster.put("x", number)
    first = cluster.leader()
    assert first == "n1"
    cluster.kill(first)
    cluster.run_until(lambda: cluster.leader() == "n2")
    assert cluster.get("x") == 4
    cluster.restart(first)
    cluster.run(500)
    assert cluster.status(first)["role"] == "backup"
    assert cluster.state(first)["log"] == cluster.state("n2")["log"]


def test_two_primaries_of_one_epoch_settle_by_name() -> None:
    """Both took over at once; when they hear each other, the first by name stays."""
    one, two = (Bench(node).fire(PartnerSilent()) for node in PrimaryBackup.pair())
    assert one.node.role == two.node.role == PRIMARY
    assert two.receive("n1", Copy(1, 0, (Record(1),))).node.role == "backup"
    assert one.receive("n2", Copy(1, 0, (Record(1),))).node.role == PRIMARY


def test_an_operation_that_the_store_does_not_have_is_refused() -> None:
    primary = Bench(PrimaryBackup.pair()[0]).fire(PartnerSilent())
    length = len(primary.node.log)
    assert primary.receive("c", Request(1, Add(1))).only(Refused).serial == 1
    assert len(primary.node.log) == length


def test_a_request_that_comes_twice_is_carried_out_once() -> None:
    primary = Bench(PrimaryBackup.pair()[0]).fire(PartnerSilent())
    again = Request(1, Put("x", 1))
    assert primary.receive("c", again).only(Reply).serial == 1
    length = len(primary.node.log)
    assert primary.receive("c", again).only(Reply).serial == 1
    assert len(primary.node.log) == length


# --- with a witness ---


def test_with_a_witness_no_schedule_gives_an_epoch_two_primaries_or_loses_a_record() -> None:
    report = explore(Witnessed.trio(), properties=PROPERTIES, bound=small)
    assert report.ok, report
    assert report.states > 50_000


def test_a_primary_asks_the_witness_only_while_it_is_alone() -> None:
    primary = Bench(Witnessed.trio()[0]).receive("w", Granted(1))
    assert primary.only(Vouch) == Vouch(1, 1)
    primary.receive("n2", Copied(1, 1)).receive("c", Request(1, Put("x", 1)))
    assert primary.sent(Vouch) == []
    assert primary.receive("n2", Copied(1, 2)).only(Reply).serial == 1
    primary.fire(PartnerSilent())
    assert primary.only(Vouch) == Vouch(1, 2)


def test_a_witness_grants_an_epoch_once_and_not_to_who_is_behind() -> None:
    witness = Bench(Witness("w"))
    assert witness.receive("n1", Claim(1, 0, 0)).only(Granted).epoch == 1
    assert witness.receive("n2", Claim(1, 0, 0)).only(Deposed).epoch == 1
    assert witness.receive("n1", Vouch(1, 3)).only(Vouched).length == 3
    assert witness.receive("n2", Claim(2, 1, 2)).sent(Granted) == []
    assert witness.restart().receive("n2", Claim(2, 1, 3)).only(Granted).epoch == 2
    assert witness.receive("n1", Vouch(1, 4)).only(Deposed).epoch == 2
    assert witness.node.length == 3


def test_a_client_may_ask_anybody_even_the_witness() -> None:
    witness = Bench(Witness("w")).receive("c", Request(1, Put("x", 1)))
    assert witness.only(NotLeader).leader is None


# --- what the checker found, or would find ---


class ForgetsWhomItCopied(Witnessed):
    """After a restart it takes a copy that is late for the log of a primary it does not know."""

    copies: int = volatile(0)

    def on_copy(self, src: NodeId, m: Copy) -> None:
        super().on_copy(src, m)
        self.copies = m.epoch

    def follows(self, epoch: int) -> bool:
        return self.copies == epoch


class TrustsLength(Witness):
    """It grants an epoch to the longer log, whatever epoch its records are of."""

    def on_claim(self, src: NodeId, m: Claim) -> None:
        super().on_claim(src, Claim(m.epoch, self.last, m.length))


def test_a_backup_that_forgets_whom_it_copied_loses_what_it_confirmed() -> None:
    """The first version of this file did; the search found it in 13 moves."""
    first = Record(1)
    write = Record(1, "c", 1, Put("x", 1))
    for cls, kept in ((Witnessed, 2), (ForgetsWhomItCopied, 1)):
        backup = Bench(cls("n2", partner="n1", witness="w"))
        backup.receive("n1", Copy(1, 0, (first,)), Copy(1, 1, (write,)))
        assert backup.only(Copied).length == 2
        backup.restart().receive("n1", Copy(1, 0, (first,)))
        assert len(backup.node.log) == kept


def trio(witness: type[Witness]) -> list[Any]:
    return [*Witnessed.pair(witness="w"), witness("w")]


DISPUTED = (
    "n1 fires PartnerSilent()",
    "n2 fires PartnerSilent()",
    "n1 -> w Claim(epoch=1, last=0, length=0)",
    "w -> n1 Granted(epoch=1)",
    "n2 -> w Claim(epoch=1, last=0, length=0)",
    "w -> n2 Deposed(epoch=1)",
    "n2 fires PartnerSilent()",
    "n2 -> w Claim(epoch=2, last=0, length=0)",
    "w -> n2 Granted(epoch=2)",
)
"""Each server has a log of one record, of another epoch."""


def test_a_witness_that_trusts_length_lets_a_record_be_lost() -> None:
    def epochs(node: Any) -> bool:
        return bool(node.epoch <= 3 and len(getattr(node, "log", ())) <= 3)

    wrong, sound = (
        explore(trio(w), properties=COMPLETE, bound=epochs, after=DISPUTED, depth_max=16)
        for w in (TrustsLength, Witness)
    )
    assert (wrong.property, len(wrong.path)) == ("LeaderCompleteness", 16)
    assert sound.property is None
    assert sound.states > wrong.states
