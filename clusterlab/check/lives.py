"""The states that the nodes of a recorded run were in, before and after each of its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clusterlab.check.agreement import STEPS
from clusterlab.check.replay import ScriptEnv, replay, shows
from clusterlab.core.errors import NodeError
from clusterlab.core.node import (
    Deliver,
    Event,
    Fire,
    Node,
    Save,
    Start,
    Step,
    restart,
    step,
    write,
)
from clusterlab.core.trace import Trace, TraceEvent


def lives_of(trace: Trace, nodes: Sequence[Node]) -> dict[int, tuple[Node, Node]]:
    """Each node before and after each of its inputs, by the seq of the event.

    The trace must replay.
    """
    if not nodes:
        return {}
    choices = replay(trace, nodes).choices
    lives: dict[int, tuple[Node, Node]] = {}
    for node in nodes:
        lives.update(_life(node, trace, choices))
    return lives


def _life(
    node: Node, trace: Trace, choices: Mapping[int, tuple[int, ...]]
) -> dict[int, tuple[Node, Node]]:
    life: dict[int, tuple[Node, Node]] = {}
    disk, skewed, born = node.saved(), (0.0, 1.0, 0.0), -1
    synced: dict[str, Any] | None = None  # of a disk that lies: what it really holds
    deaths = {e.cause: e.data["effects"] for e in trace.of("kill", node=node.id)}
    for event in trace.of(node=node.id):
        if event.kind == "skew":
            skewed = (event.data["offset_ms"], event.data["rate"], event.at_ms)
        elif event.kind == "disk_lies":
            synced = dict(disk) if event.data["lies"] else None
        elif event.kind == "kill" and event.cause is None:
            disk, synced = disk if synced is None else synced, None
            dead = restart(node, disk)
            life[event.seq] = (node, dead)
            node = dead
        elif event.kind == "restart":
            old, node = node, restart(node, disk if event.data["disk"] == "keep" else {})
            disk = node.saved()
            life[event.seq], born = (old, node), event.seq
        elif event.kind in STEPS:
            now_ms = event.data.get("now_ms", shows(event.at_ms, skewed))
            env = ScriptEnv(now_ms, choices.get(event.seq, ()))
            made = take(node, event, env)
            for effect in made.effects[: deaths.get(event.seq)]:
                if isinstance(effect, Save):
                    write(disk, effect)
            life[event.seq] = (node, made.node)
            if event.kind == "start" and event.cause == born:
                life[born] = (life[born][0], made.node)
            if event.seq in deaths:
                disk, synced = disk if synced is None else synced, None
            node = restart(node, disk) if event.seq in deaths else made.node
    return life


def take(node: Node, event: TraceEvent, env: ScriptEnv) -> Step:
    """One recorded step; of a node that fails, nothing."""
    what: Event = Start()
    if event.kind == "deliver":
        what = Deliver(event.data["src"], event.data["msg"])
    elif event.kind == "fire":
        what = Fire(event.data["timer"])
    try:
        return step(node, what, env)
    except NodeError:
        return Step(node, ())
