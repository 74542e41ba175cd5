"""The situations in which MIT's course 6.5840 puts every Raft, each with its limit as a number.

The titles are those of its labs; the scenarios, and what they limit, are our own. Virtual time
makes them exact: a limit is a count of messages, of rounds or of ms on the simulated network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from clusterlab.core.errors import OperationUnknown
from clusterlab.core.network import Network
from clusterlab.core.node import Message, NodeId
from clusterlab.core.spec import Put
from clusterlab.experiments.nemesis import make_whole
from clusterlab.experiments.raft_failover import (
    committed_logs_agree,
    linearizable,
    one_leader_a_term,
)
from clusterlab.protocols.client import Client, counting_writes, mixed_workload
from clusterlab.protocols.raft import AppendEntries, AppendReply, Raft, RequestVote
from clusterlab.protocols.raft.production import ProductionRaft
from clusterlab.sim import Simulation

pytestmark = pytest.mark.slow

HEARTBEAT_MS, ELECTION_MS = 50, 300
RAFTS = pytest.mark.parametrize("raft", [Raft, ProductionRaft])
HOP_MS = 15
"""The longest time that a message takes."""


class Lab(Simulation):
    """A cluster with a few more questions."""

    def __init__(self, raft: type[Raft], size: int, seed: int = 1, network: Network | None = None):
        super().__init__(raft.group(size), client=Client.for_servers, seed=seed, network=network)
        self.mark = 0

    def sent(self, *kinds: type[Message]) -> list[tuple[NodeId, NodeId, Message]]:
        """What servers sent to servers since `mark`; of these classes, if any are named."""
        return [
            (event.node or "", event.data["dst"], event.data["msg"])
            for event in self.trace.events[self.mark :]
            if event.kind == "send" and {event.node, event.data["dst"]} <= set(self.servers)
            if not kinds or isinstance(event.data["msg"], kinds)
        ]

    def from_now_on(self) -> None:
        self.mark = len(self.trace)

    def logs(self) -> dict[NodeId, tuple[object, ...]]:
        return {name: self.state(name)["log"] for name in self.servers}

    def committed(self, name: NodeId) -> int:
        return int(self.state(name).get("commit_index", 0))

    def lead(self) -> NodeId:
        """The leader, once its no-op is committed everywhere."""
        leader = self.run_until_leader()
        self.run_until(lambda: all(self.committed(n) >= 1 for n in self.servers))
        return leader

    def others(self, *names: NodeId) -> list[NodeId]:
        return [name for name in self.servers if name not in names]

    def put_fails(self, client: NodeId, value: object, limit_ms: float) -> bool:
        try:
            self.invoke(client, Put("x", value), limit_ms)
        except OperationUnknown:
            return True
        return False


def entries_of(messages: list[tuple[NodeId, NodeId, Message]]) -> Iterator[tuple[NodeId, int]]:
    """Each entry that was sent: to whom, and its index."""
    for _, dst, m in messages:
        assert isinstance(m, AppendEntries)
        yield from ((dst, m.prev_log_index + k) for k in range(1, len(m.entries) + 1))


# --- agreement ---------------------------------------------------------------------------------


@RAFTS
def test_basic_agreement(raft: type[Raft]) -> None:
    """A write costs each follower one message and one answer, and four hops of the network."""
    lab = Lab(raft, 5)
    lab.lead()
    lab.put("x", 0)
    for number in range(1, 4):
        lab.run(2 * HEARTBEAT_MS)
        lab.from_now_on()
        lab.put("x", number)
        with_entries = [one for one in lab.sent(AppendEntries) if one[2].entries]  # type: ignore[attr-defined]
        assert len(with_entries) == 4
        assert (lab.history.operations[-1].latency_ms or 0) <= 4 * HOP_MS


@RAFTS
def test_rpc_byte_counts(raft: type[Raft]) -> None:
    """Each command travels to each follower once: 20 of 5 kB to 4 followers are 400 kB."""
    lab = Lab(raft, 5)
    lab.lead()
    lab.from_now_on()
    for number in range(20):
        lab.put("x", str(number) * 5_000)
    assert set(Counter(entries_of(lab.sent(AppendEntries))).values()) == {1}
    values = [f"{number}" * 5_000 for number in range(20)]
    text = sum(len(repr(m)) for _, _, m in lab.sent())
    assert text < 1.2 * 4 * sum(map(len, values))


@RAFTS
def test_fail_agreement(raft: type[Raft]) -> None:
    """One of three is cut off: nobody waits for it, and it catches up within two heartbeats."""
    lab = Lab(raft, 3)
    leader = lab.lead()
    lone = lab.others(leader)[0]
    lab.put("x", 0)
    lab.isolate(lone)
    for number in range(1, 6):
        lab.put("x", number)
        assert (lab.history.operations[-1].latency_ms or 0) <= 4 * HOP_MS + HEARTBEAT_MS
    if raft is Raft:  # it comes back with a higher term, and brings an election with it
        lab.run(50)
    lab.heal()
    healed = lab.now_ms
    lab.run_until(lambda: lab.committed(lone) >= 7)
    limit = 2 * HEARTBEAT_MS + 4 * HOP_MS
    assert lab.now_ms - healed <= limit + (raft is Raft) * 2 * ELECTION_MS


@RAFTS
def test_no_agreement_without_a_majority(raft: type[Raft]) -> None:
    """Three of five are cut off: nothing is committed in two seconds, nothing is lost after."""
    lab = Lab(raft, 5)
    leader = lab.lead()
    lab.put("x", 0)
    lab.run(2 * HEARTBEAT_MS)
    before = lab.committed(leader)
    for name in lab.others(leader)[:3]:
        lab.isolate(name)
    assert lab.put_fails("c2", "unsure", 2_000)
    assert max(lab.committed(name) for name in lab.servers) == before
    lab.heal()
    healed = lab.now_ms
    lab.invoke("c3", Put("y", 1))
    assert lab.now_ms - healed < 4 * ELECTION_MS


@RAFTS
def test_concurrent_starts(raft: type[Raft]) -> None:
    """Twenty clients ask at once: they share two rounds."""
    lab = Lab(raft, 5)
    leader = lab.lead()
    for number in range(20):
        lab.add_client(Client(f"c{number}", servers=(leader,)))
    lab.from_now_on()
    for number in range(20):
        lab.submit(f"c{number}", Put("x", number))
    lab.run_until(lambda: len(lab.history.ok()) == 20)
    with_entries = [one for one in lab.sent(AppendEntries) if one[2].entries]  # type: ignore[attr-defined]
    assert len(with_entries) <= 4 * 3
    assert len({entry.term for entry in lab.logs()[leader]}) == 1  # type: ignore[attr-defined]


@RAFTS
def test_rejoin_of_a_partitioned_leader(raft: type[Raft]) -> None:
    """What it took for itself alone is overwritten by one truncation, and its client is served."""
    lab = Lab(raft, 3)
    old = lab.lead()
    lab.put("x", 0)
    lab.add_client(Client("alone", servers=(old,), give_up_ms=60_000))
    lab.partition([old, "alone"], [*lab.others(old), "c1"])
    for number in range(3):
        lab.submit("alone", Put("y", number))
    lab.put("x", 1)
    lab.heal()
    lab.run(4 * ELECTION_MS)
    assert len([note for note in lab.trace.notes("truncate") if note.node == old]) == 1
    assert len(set(lab.logs().values())) == 1
    assert len(lab.history.ok()) == 5


@RAFTS
def test_fast_back_up(raft: type[Raft]) -> None:
    """Logs that differ in forty entries of one term agree again after three refusals."""
    lab = Lab(raft, 5)
    old = lab.lead()
    friend, *rest = lab.others(old)
    for number in range(40):
        lab.add_client(Client(f"w{number}", servers=(old,), give_up_ms=60_000))
    lab.partition([old, friend, *lab.clients], rest)
    for number in range(40):
        lab.submit(f"w{number}", Put("x", number))
    lab.run(300)
    assert len(lab.logs()[friend]) > 40
    lab.run(ELECTION_MS)
    for number in range(40):
        lab.invoke("other", Put("y", number))
    # Its successor supposes that the others have as much as itself, and has to go back.
    leading = lab.leader()
    assert leading in rest
    lab.kill(leading)
    lab.from_now_on()
    lab.heal()
    healed = lab.now_ms
    lab.run_until(lambda: min(map(lab.committed, (old, friend))) > 40)
    assert lab.now_ms - healed <= 4 * ELECTION_MS
    refusals = [src for src, _, m in lab.sent(AppendReply) if not m.success]  # type: ignore[attr-defined]
    assert refusals
    assert max(Counter(refusals).values()) <= 3


@RAFTS
def test_rpc_counts(raft: type[Raft]) -> None:
    """An election, ten writes, and a second of rest."""
    lab = Lab(raft, 3)
    lab.run_until_leader()
    rounds = 2 if raft is ProductionRaft else 1
    candidates = len({src for src, _, m in lab.sent(RequestVote)})
    assert len(lab.sent()) <= 12 * rounds * candidates
    lab.lead()
    lab.put("x", 0)

    lab.run(2 * HEARTBEAT_MS)
    lab.from_now_on()
    begun = lab.now_ms
    for number in range(10):
        lab.put("x", number)
    beats = (lab.now_ms - begun) / HEARTBEAT_MS + 1
    assert len(lab.sent()) <= 4 * 10 + 4 * beats

    lab.run(2 * HEARTBEAT_MS)
    lab.from_now_on()
    lab.run(1_000)
    assert len(lab.sent()) <= 4 * 1_000 / HEARTBEAT_MS + 4  # 80 a second: beats and answers


# --- persistence -------------------------------------------------------------------------------


@RAFTS
def test_persist_1_all_die_and_come_back(raft: type[Raft]) -> None:
    """Everything that was acknowledged is there, and is served within two election timeouts."""
    lab = Lab(raft, 3)
    lab.lead()
    for number in range(5):
        lab.put("x", number)
        for name in lab.servers:
            lab.kill(name)
        make_whole(lab)
        begun = lab.now_ms
        lab.run_until_leader()
        assert lab.now_ms - begun <= 4 * ELECTION_MS
        assert lab.get("x") == number
    writes = Counter(e.node for e in lab.trace.of("save") if "log" in e.data["values"])
    assert max(writes[name] for name in lab.servers) <= 5 + 6 + (raft is Raft) * 5


@RAFTS
def test_persist_2_two_of_five_are_always_dead(raft: type[Raft]) -> None:
    """Others each time: ten rounds, and each write is acknowledged within a second."""
    lab = Lab(raft, 5)
    lab.lead()
    for number in range(10):
        names = [lab.servers[(number + k) % 5] for k in range(2)]
        for name in names:
            lab.kill(name)
        lab.put("x", number)
        assert (lab.history.operations[-1].latency_ms or 0) <= 1_500
        make_whole(lab)
    assert lab.get("x") == 9
    assert committed_logs_agree(lab).holds


@RAFTS
def test_persist_3_a_partitioned_leader_and_a_follower_crash(raft: type[Raft]) -> None:
    """The follower that has everything must win, or the write would be gone."""
    lab = Lab(raft, 3)
    leader = lab.lead()
    behind, ahead = lab.others(leader)
    lab.isolate(behind)
    lab.put("x", "precious")
    lab.kill(leader)
    lab.kill(ahead)
    lab.heal()
    lab.restart(ahead)
    lab.run_until(lambda: lab.leader() == ahead, 10 * ELECTION_MS)
    assert lab.get("x") == "precious"


# --- trouble -----------------------------------------------------------------------------------

BAD = Network(delay_ms=(5.0, 30.0), loss=0.1, duplicate=0.05, reorder=0.3)


def comes_to_rest(lab: Lab, limit_ms: float) -> None:
    """All is whole again: a write is acknowledged in time, and the logs are one."""
    make_whole(lab)
    lab.invoke("auditor", Put("last", "write"), limit_ms)
    lab.run(limit_ms)
    for check in (one_leader_a_term(lab.trace), committed_logs_agree(lab), linearizable(lab)):
        assert check.holds, check.explanation


@RAFTS
@pytest.mark.parametrize("network", [Network(), BAD], ids=["reliable", "unreliable"])
def test_figure_8(raft: type[Raft], network: Network) -> None:
    """Leaders die as soon as they have something; at the end it takes two seconds to agree."""
    lab = Lab(raft, 5, network=network)
    random = Random(8)
    for number in range(4):
        work = counting_writes(f"c{number}")
        lab.add_client(Client(f"c{number}", servers=lab.servers, workload=work, retry_ms=100))
    for _ in range(40):
        leader = lab.leader()
        lab.run(random.uniform(0, HEARTBEAT_MS if random.random() < 0.8 else ELECTION_MS))
        if leader is not None:
            lab.kill(leader)
        dead = [name for name in lab.servers if lab.health(name) == "dead"]
        if len(dead) > 2:
            lab.restart(random.choice(dead))
        lab.run(random.uniform(0, ELECTION_MS))
    comes_to_rest(lab, 2_000)
    assert len(list(lab.trace.notes("leader"))) >= 8


@RAFTS
@pytest.mark.parametrize("network", [Network(), BAD], ids=["reliable", "unreliable"])
def test_churn(raft: type[Raft], network: Network) -> None:
    """Servers come and go while three clients work: each write once, and many of them."""
    lab = Lab(raft, 5, network=network)
    random = Random(9)
    for number in range(3):
        work = mixed_workload(f"c{number}", seed=number)
        client = Client(f"c{number}", servers=lab.servers, workload=work, retry_ms=150)
        lab.add_client(client)
    for _ in range(25):
        for name in random.sample(lab.servers, 2):  # a majority is well at any time
            if random.random() < 0.5:
                lab.isolate(name)
            else:
                lab.kill(name)
        lab.run(random.uniform(0, 1.5 * ELECTION_MS))
        make_whole(lab)
        lab.run(random.uniform(0, ELECTION_MS))
    comes_to_rest(lab, 2_000)
    assert len(lab.history.ok()) >= (200 if network is not BAD else 40)


# --- clients -----------------------------------------------------------------------------------


@RAFTS
def test_a_leader_in_a_minority_must_not_commit(raft: type[Raft]) -> None:
    """Its client waits until the network heals, and is served within a second then."""
    lab = Lab(raft, 5)
    old = lab.lead()
    lab.put("x", 0)
    friend, *rest = lab.others(old)
    for name, side in (("few", (old, friend)), ("many", tuple(rest))):
        lab.add_client(Client(name, servers=side, give_up_ms=60_000))
    lab.partition([old, friend, "few"], [*rest, "many"])
    before = lab.committed(old)
    assert lab.put_fails("few", "from the few", 1_500)
    assert lab.committed(old) == before
    assert not lab.put_fails("many", "from the many", 1_000)
    lab.heal()
    healed = lab.now_ms
    lab.run_until(lambda: len(lab.history.ok()) == 3)
    assert lab.now_ms - healed <= 1_500
    assert linearizable(lab).holds


@RAFTS
def test_speed(raft: type[Raft]) -> None:
    """Five hundred writes one after the other on a quick network: each takes four hops, not a beat.

    A server that waits for its next heartbeat to send would need 50 ms for each.
    """
    lab = Lab(raft, 3, network=Network(delay_ms=(0.5, 1.0)))
    lab.lead()
    work = counting_writes()
    lab.add_client(Client("c1", servers=lab.servers, workload=work, operations=500))
    begun = lab.now_ms
    lab.run(500 * 4 * 1.0)
    assert len(lab.history.ok()) == 500
    assert lab.history.operations[-1].returned_ms - begun < 500 * HEARTBEAT_MS / 10
