"""What the snapshots of Raft promise, as properties.

Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
Version)", 2014, section 7; Ongaro's dissertation (2014), chapters 5 and 6.

They read the fields that `raft_logs` reads, `last_applied`, `machine` and `sessions`, and of the
configuration `spec`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from clusterlab.check.invariants.raft_logs import (
    LOG,
    commit_index,
    entries,
    offset,
    servers,
)
from clusterlab.check.properties import Answer, Property, always, sometimes
from clusterlab.check.world import NodeView, World


class Reached(NamedTuple):
    """What a server says that the entries through `last` have come to."""

    last: int
    whose: str
    machine: Any
    sessions: Any


def _reached(server: NodeView, up: bool) -> list[Reached]:
    found = []
    if up:
        said = f"{server.id} has applied"
        found.append(Reached(server.last_applied, said, server.machine, server.sessions))
    if offset(server):
        said, held = f"the snapshot of {server.id} holds", server.snapshot.state()
        found.append(Reached(offset(server), said, held.get("machine"), held.get("sessions")))
    return found


def _state_is_fold(world: World) -> Answer:
    everyone = servers(world)
    reached = sorted(
        (one for s in everyone for one in _reached(s, s.id in world.up)), key=lambda one: one.last
    )
    log: dict[int, Any] = {}
    for s in everyone:
        known = commit_index(s) - offset(s)
        log.update(enumerate(entries(s)[:known], offset(s) + 1))
    spec = everyone[0].spec
    index, machine, sessions = 0, spec.initial(), dict[Any, Any]()
    for one in reached:
        while index < one.last and index + 1 in log:
            index += 1
            machine, sessions = _apply(spec, machine, sessions, log[index].command)
        if index < one.last:  # nobody has the entries before it any more: begin there
            index, machine, sessions = one.last, one.machine, one.sessions
        if (machine, sessions) != (one.machine, one.sessions):
            return (
                f"the entries through {index} come to {machine} with the sessions {sessions}, but "
                f"{one.whose} {one.machine} with the sessions {one.sessions}"
            )
    return True


def _apply(spec: Any, machine: Any, sessions: dict[Any, Any], command: Any) -> tuple[Any, Any]:
    """One entry, as §8 says; what is no operation of the application is for the servers."""
    if command is None or command.serial <= sessions.get(command.client, (0, None))[0]:
        return machine, sessions
    try:
        machine, result = spec.apply(machine, command.operation)
    except TypeError:
        return machine, sessions
    return machine, {**sessions, command.client: (command.serial, result)}


STATE_IS_FOLD = always(
    "StateIsFoldOfLog",
    _state_is_fold,
    reads=(*LOG, "commit_index", "last_applied", "machine", "sessions"),
)
"""What a server has applied, and what its snapshot holds, is what the entries come to when each is
carried out once. (As long as somebody has those entries; else servers are compared.)"""


def _log_is_bounded(world: World) -> Answer:
    for s in servers(world):
        applied = s.last_applied - offset(s)
        if s.id in world.up and applied >= s.snapshot_entries:
            return f"{s.id} keeps {applied} entries that it has applied"
    return True


LOG_IS_BOUNDED = always("LogIsBounded", _log_is_bounded, reads=(*LOG, "last_applied"))
"""A server never keeps more applied entries than its `snapshot_entries`."""

SNAPSHOT_TAKEN = sometimes(
    "a snapshot is taken", lambda world: any(offset(s) > 0 for s in servers(world)), reads=LOG
)

SNAPSHOT_SENT = sometimes(
    "a snapshot is sent",
    lambda world: any(s.transfers for s in servers(world)),
    reads=(*LOG, "transfers"),
)

SAFETY: tuple[Property, ...] = (STATE_IS_FOLD, LOG_IS_BOUNDED)
