"""Puts together what a search leaves out because it changes no verdict."""

from __future__ import annotations

from collections.abc import Callable

from clusterlab.check.account import Reductions
from clusterlab.check.judge import Judge
from clusterlab.check.locals import Clock, Locals
from clusterlab.check.orbits import Orbits
from clusterlab.check.postpone import Postponing
from clusterlab.check.properties import Ghost, Property
from clusterlab.check.symmetry import AlikeLocals, Groups, Renaming
from clusterlab.check.tables import Rules, Tables
from clusterlab.check.world import NodeView
from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Node


def local_tables(
    nodes: list[Node],
    rules: Rules,
    clock: Clock,
    bound: Callable[[NodeView], bool] | None,
    properties: tuple[Property, ...],
    symmetry: Groups,
) -> tuple[Locals, list[Ghost]]:
    """The single nodes and the ghosts; with symmetry both are tried with the names exchanged."""
    with_ghost = [(one, one.ghost) for one in properties if one.ghost is not None]
    if not symmetry:
        found = Locals(nodes, clock=clock, bound=bound, properties=properties)
        return found, [ghost for _, ghost in with_ghost]
    renaming = Renaming(nodes, symmetry)
    for group in renaming.groups:
        mortal = [name for name in group if name in rules.crashing]
        if rules.spare_crashes and mortal and len(mortal) < len(group):
            raise ScenarioError(
                f"crashing={tuple(rules.crashing)!r} lets only some of {', '.join(group)} die, and "
                "symmetry calls them interchangeable: name all of them or none."
            )
    network = rules.discipline
    alike = AlikeLocals(
        nodes,
        renaming=renaming,
        in_order=network.name == "fifo",
        last_deaths=network.keeps and not any(one.messages is not None for one in properties),
        clock=clock,
        bound=bound,
        properties=properties,
    )
    return alike, [renaming.checked(ghost, one.name) for one, ghost in with_ghost]


def reductions_of(tables: Tables, judge: Judge, partial_order: bool) -> Reductions:
    """What the search leaves out, and how the report says it."""
    alike = tables.locals if isinstance(tables.locals, AlikeLocals) else None
    orbits = None if alike is None else Orbits(tables, alike)
    postponing = Postponing(tables, judge) if partial_order else None
    tables.keep = None if postponing is None else postponing.keep
    blind = "partial_order" if partial_order else ""
    if alike is not None and alike.last_deaths and tables.rules.spare_crashes:
        blind = blind or "symmetry (with crashes)"

    def said() -> list[str]:
        sentences = []
        if alike is not None:
            sentences.append(f"states that differ only by who is who count once ({alike.renaming})")
            if alike.last_deaths and tables.rules.spare_crashes:
                sentences.append(
                    "nobody dies in the middle of a broadcast, but behind it, as letters may be "
                    "lost; a path may be one move longer for each death"
                )
        if postponing is not None:
            sentences.append(
                f"{postponing.put_off:,} kinds of moves were put off that nobody can notice"
            )
        return sentences

    return Reductions(orbits, blind, said)
