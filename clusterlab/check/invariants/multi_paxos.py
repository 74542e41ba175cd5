"""What Multi-Paxos promises, as properties: those of Paxos for each slot, and those of execution.

Sources: Lamport 2001, "Paxos Made Simple", sections 2.2 and 3; van Renesse and Altinbuken 2015,
"Paxos Made Moderately Complex", for the invariants of acceptors and replicas; Howard, Malkhi and
Spiegelman 2016, "Flexible Paxos", for the quorums.

They read `promised`, `log` (what was accepted in the slots behind the snapshot: proposals with a
`ballot` and a `value`, or None), `snapshot` (with a `slot`), `executed`, `learned` (slot ->
command), `machine`, `sessions`, `role`, and of the configuration `members`, `quorums` and `spec`.

A replica that is dead counts with what its disk holds: it has executed what is in its snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from clusterlab.check.properties import Answer, Property, always, always_step, sometimes
from clusterlab.check.world import NodeView, World
from clusterlab.core.packing import unpack
from clusterlab.core.quorum import Majority, Quorums

LEADER = "leader"
SLOTS = ("promised", "log", "snapshot")


def replicas(world: World) -> tuple[NodeView, ...]:
    """The nodes that are Multi-Paxos replicas."""
    return world.having(*SLOTS)


def proposals(replica: NodeView) -> Iterator[tuple[int, Any]]:
    """Each slot of the log, with what was accepted in it (None: nothing)."""
    log: tuple[Any, ...] = replica.log
    return enumerate(log, replica.snapshot.slot + 1)


def known(replica: NodeView) -> dict[int, Any]:
    """Slot -> command, of those slots that the replica takes for chosen and still has."""
    executed = replica.executed
    mine = {slot: one.value for slot, one in proposals(replica) if one and slot <= executed}
    return {**mine, **replica.learned}


def phase_1(replica: NodeView) -> Quorums:
    """Which replicas suffice to elect."""
    if replica.quorums is None:
        return Majority(replica.members)
    rule: Quorums = replica.quorums.phase_1
    return rule


# --- Paxos, slot by slot -----------------------------------------------------------------------


def _slots_agree(world: World) -> Answer:
    chosen = [(one.id, known(one), one.snapshot) for one in replicas(world)]
    for (a, mine, snapshot), (b, theirs, other) in combinations(chosen, 2):
        for slot in mine.keys() & theirs.keys():
            if mine[slot] != theirs[slot]:
                return f"{a} takes {mine[slot]} for slot {slot}, and {b} takes {theirs[slot]}"
        if snapshot.slot == other.slot and snapshot != other:
            return f"after slot {other.slot}, {a} has {snapshot} and {b} has {other}"
    return True


AGREEMENT = always(
    "SlotAgreement", _slots_agree, reads=("promised", "log", "snapshot", "executed", "learned")
)
"""Lamport §2.1, of each slot: "only a single value is chosen". Slots that are no longer kept are
compared by the snapshots that hold them, which are taken after the same slots everywhere."""


def _one_value_a_ballot(world: World) -> Answer:
    values: dict[tuple[int, Any], Any] = {}
    for replica in replicas(world):
        for slot, proposal in proposals(replica):
            if proposal is not None:
                value = values.setdefault((slot, proposal.ballot), proposal.value)
                if value != proposal.value:
                    return (
                        f"in slot {slot}, ballot {proposal.ballot} carries both {value} and "
                        f"{proposal.value}"
                    )
    return True


ONE_VALUE_PER_BALLOT = always("OneValuePerSlotAndBallot", _one_value_a_ballot, reads=SLOTS)
"""A ballot is one proposal in each slot."""


def _chosen_is_kept(world: World) -> Answer:
    everyone = replicas(world)
    held = {one.id: (one.snapshot.slot, dict(proposals(one))) for one in everyone}
    oldest = min((slot for slot, _ in held.values()), default=0)
    for replica in everyone:
        elect = phase_1(replica)
        for slot, command in known(replica).items():
            if slot <= oldest:
                continue
            lack = [name for name in held if not _holds(held[name], slot, command)]
            if elect.is_quorum(lack):
                return (
                    f"{replica.id} takes {command} for chosen in slot {slot}, but "
                    f"{' and '.join(lack)}, who suffice to elect a leader, do not hold it"
                )
    return True


def _holds(held: tuple[int, dict[int, Any]], slot: int, command: Any) -> bool:
    covered, log = held
    proposal = log.get(slot)
    return slot <= covered or (proposal is not None and proposal.value == command)


CHOSEN_IS_KEPT = always(
    "ChosenIsKept",
    _chosen_is_kept,
    reads=("promised", "log", "snapshot", "executed", "learned"),
)
"""Every quorum of phase 1 has a member that holds what anybody takes for chosen, in its log or in
its snapshot: the next leader will hear of it."""


def _promises_cover(world: World) -> Answer:
    for replica in replicas(world):
        for slot, one in proposals(replica):
            if (
                one is not None
                and one.ballot > replica.promised
                and one.ballot.proposer != "chosen"
            ):
                return f"{replica.id} accepted {one} in slot {slot}, above {replica.promised}"
    return True


PROMISED_COVERS_ACCEPTED = always("PromisedCoversSlots", _promises_cover, reads=SLOTS)
"""What an acceptor accepted is never above what it promised, but for what it knows is chosen."""


def _acceptor_moves_on(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "promised"):
        return True
    if after.promised < before.promised:
        return f"the promise of {after.id} falls from {before.promised} to {after.promised}"
    if after.snapshot.slot < before.snapshot.slot:
        return f"the snapshot of {after.id} falls back to slot {after.snapshot.slot}"
    if after.log is before.log:
        return True
    now = dict(proposals(after))
    for slot, was in proposals(before):
        if was is None or slot <= after.snapshot.slot:
            continue
        if now.get(slot) is None:
            return f"{after.id} has forgotten that it accepted {was} in slot {slot}"
        if now[slot].ballot < was.ballot:
            return f"in slot {slot}, {after.id} accepted {was} and then {now[slot]}"
    return True


ACCEPTOR_MONOTONIC = always_step("SlotsMonotonic", _acceptor_moves_on, across_crashes=True)
"""§2.2: neither a promise nor what was accepted in a slot is ever taken back, not by a crash."""


# --- execution ---------------------------------------------------------------------------------


def _no_holes(world: World) -> Answer:
    for replica in replicas(world):
        if replica.executed > replica.snapshot.slot + len(replica.log):
            return f"{replica.id} has executed slot {replica.executed}, which it does not have"
        for slot, proposal in proposals(replica):
            if slot <= replica.executed and proposal is None:
                return (
                    f"{replica.id} has executed the slots up to {replica.executed}, but nothing "
                    f"is in slot {slot}"
                )
    return True


NO_HOLES = always("ExecutedWithoutHoles", _no_holes, reads=(*SLOTS, "executed"))
"""§3: "it can't execute commands 138-140, which it also knows, because commands 136 and 137 have
yet to be chosen". """


def _executed_in_order(world: World) -> Answer:
    for replica in replicas(world):
        if replica.id not in world.up:
            continue  # the machine is in memory
        slot, machine, sessions = replica.snapshot
        machine = unpack(machine) if slot else replica.spec.initial()
        sessions = unpack(sessions) if slot else {}
        for number, proposal in proposals(replica):
            command = (
                proposal.value if proposal is not None and number <= replica.executed else None
            )
            if command is not None and command.serial > sessions.get(command.client, (0, None))[0]:
                machine, result = replica.spec.apply(machine, command.operation)
                sessions[command.client] = (command.serial, result)
        if (machine, sessions) != (replica.machine, replica.sessions):
            return (
                f"{replica.id} has executed the slots up to {replica.executed}, and its machine is "
                f"{replica.machine} with {replica.sessions}, not {machine} with {sessions}"
            )
    return True


EXECUTED_IN_ORDER = always(
    "ExecutedInOrderOnce", _executed_in_order, reads=(*SLOTS, "executed", "machine", "sessions")
)
"""A machine is what its snapshot and the slots behind it make of it, each command carried out once,
though it may have been chosen twice."""


def _never_back(before: NodeView, after: NodeView) -> Answer:
    if not hasattr(before, "executed"):
        return True
    if after.executed < before.executed:
        return f"{after.id} had executed {before.executed} slots, and now {after.executed}"
    return True


EXECUTED_MONOTONIC = always_step("ExecutedMonotonic", _never_back)
"""What was executed stays executed."""


# --- a check that sees nothing is worth nothing --------------------------------------------------

LEADER_ELECTED = sometimes(
    "somebody leads",
    lambda world: any(replica.role == LEADER for replica in replicas(world)),
    reads=(*SLOTS, "role"),
)

SLOT_EXECUTED = sometimes(
    "a slot is executed",
    lambda world: any(replica.executed > 0 for replica in replicas(world)),
    reads=(*SLOTS, "executed"),
)

SAFETY: tuple[Property, ...] = (
    *(AGREEMENT, ONE_VALUE_PER_BALLOT, CHOSEN_IS_KEPT, PROMISED_COVERS_ACCEPTED),
    *(ACCEPTOR_MONOTONIC, NO_HOLES, EXECUTED_IN_ORDER, EXECUTED_MONOTONIC),
)
"""Everything that must always hold."""
