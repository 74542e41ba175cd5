"""Every schedule of a small world, the shortest first: an explicit-state model checker.

Breadth-first search over the states of a cluster, as in Clarke, Grumberg and Peled, "Model
Checking" (1999), and TLC (Yu, Manolios and Lamport, "Model Checking TLA+ Specifications", 1999).
The nodes are the very classes that the simulator and the live cluster run.

What makes it quick: the states of single nodes are few, so each step is computed once
(`locals.py`), and a state of the cluster is one integer to which a move adds a few others
(`tables.py`). What makes it exact: those integers are the states themselves, no fingerprints of
them; two states are never taken for one.

What a world contains
---------------------
- `network="set"`: what was sent may arrive at any time, any number of times, or never.
  `"multiset"`: it arrives at most once, in any order; `"fifo"`: each link keeps its order. In these
  two, loss and duplication cost a budget, and what arrives at a dead node is lost.
- A partition is nothing but loss, so a world with free loss contains every partition. In the others
  `partitions` is a budget: as long as the network is cut, what crosses is lost for nothing.
- `crashes`: a node dies between two steps, or within one after a prefix of its effects (rule 4).
- Timers: any pending timer may fire at any time. That is more than real clocks do (rule 5), so a
  safety property that holds here holds there; one that needs timing may fail here.
- `choose()` takes every option. `now_ms` needs `ticks`: a clock that all nodes share, whose ticks
  are moves.
- All nodes have started before the first move.

>>> from clusterlab.check.properties import always
>>> from clusterlab.core.node import volatile
>>> class Hello(Message):
...     pass
>>> class Greeter(Node):
...     friend: str
...     greeted: int = volatile(0)
...
...     def on_start(self):
...         self.send(self.friend, Hello())
...
...     def on_hello(self, src, m):
...         self.greeted += 1
>>> pair = [Greeter("a", friend="b"), Greeter("b", friend="a")]
>>> once = always("GreetedOnce", lambda world: all(n.greeted <= 1 for n in world.nodes))
>>> explore(pair, properties=once, network="multiset").states
4
>>> report = explore(pair, properties=once, network="set")
>>> print(report.property, len(report.path))
GreetedOnce 2
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import combinations
from typing import Literal, TypeAlias

from clusterlab.check.account import Limits, ProgressHook
from clusterlab.check.budgets import Budgets, Timers, timer_budgets
from clusterlab.check.crew import Crew, Processes, RayActors
from clusterlab.check.graph import GRAPH_MAX, graph_of
from clusterlab.check.hygiene import quick_hygiene
from clusterlab.check.inboxes import DISCIPLINES
from clusterlab.check.judge import Judge
from clusterlab.check.locals import Clock, Locals
from clusterlab.check.moves import Move
from clusterlab.check.properties import Property, check_properties
from clusterlab.check.reductions import local_tables, reductions_of
from clusterlab.check.report import Report
from clusterlab.check.search import Search
from clusterlab.check.spread import Spread
from clusterlab.check.symmetry import Groups
from clusterlab.check.tables import Restarts, Rules, Tables
from clusterlab.check.world import Envelope, NodeView, World
from clusterlab.core.errors import ScenarioError
from clusterlab.core.faults import check_name
from clusterlab.core.history import Invoke
from clusterlab.core.node import WORLD, Message, Node, NodeId

STATES_MAX = 5_000_000
PARTED_MAX = 8
"""So many nodes can be parted in 127 ways."""

NetworkName: TypeAlias = Literal["set", "multiset", "fifo"]


def explore(
    nodes: Iterable[Node],
    *,
    properties: Property | Iterable[Property] = (),
    network: NetworkName = "set",
    invoke: Iterable[tuple[NodeId, Message]] = (),
    crashes: int = 0,
    restarts: Restarts = "keep",
    crashing: Collection[NodeId] | None = None,
    losses: int | None = 0,
    duplicates: int | None = 0,
    partitions: int = 0,
    timers: Timers = None,
    ticks: int = 0,
    tick_ms: int = 50,
    bound: Callable[[NodeView], bool] | None = None,
    prune: Callable[[World], bool] | None = None,
    goal: Callable[[World], bool] | None = None,
    after: Report | Iterable[Move | str] = (),
    symmetry: Groups = (),
    partial_order: bool = False,
    workers: int | None = None,
    address: str | None = None,
    states_max: int = STATES_MAX,
    depth_max: int | None = None,
    seconds_max: float | None = None,
    progress: ProgressHook = None,
    hygiene: bool = True,
    keep_graph: bool = False,
) -> Report:
    """Look at every state that these nodes can reach, nearest first.

    Parameters
    ----------
    properties:
        What must hold. An exception in a handler is a violation by itself.
    invoke:
        Pairs (node, operation): each operation may be handed to its node once, at any time.
    crashes, restarts, crashing:
        How many deaths a run may have; whether the dead come back, "keep" (with their disk), "lose"
        (with an empty one), "either" or "never"; who may die (default: all).
    losses, duplicates:
        How many messages a run may lose or double; None: any number. A set network needs neither.
    partitions:
        How often the network may be cut into two groups, any two. Until it heals, which it may at
        any time, what arrives from the other side is lost, whatever `losses` says.
    timers:
        How many timers may fire in a run; or {class name: how many} (others without limit).
    ticks, tick_ms:
        How often the clock that `now_ms` reads may tick, and by how many ms each time.
    bound:
        Takes a node; a step that would lead beyond it does not happen. It keeps terms and ballots
        finite: `bound=lambda node: node.current_term <= 2`.
    prune, goal:
        Take the world. A state in which `prune` is true is checked but not followed any further;
        one in which `goal` is true ends the search, and the path leads there.
    after:
        Moves that come first, without cost: a report with a path, or moves as values or text.
    symmetry:
        The nodes that could change places without anyone noticing, such as ("a1", "a2", "a3"), or
        several groups of such: states that differ only in which of them is which count once. It is
        proved on the way, step by step; what tells them apart is an error that names it.
    partial_order:
        Put off what nobody can notice instead of trying it in every order (see `postpone.py`). The
        verdict and the length of the path stay, the counts do not. It pays where properties name
        what they read.
    workers, address:
        Over how many processes the search is spread, and the address of a Ray cluster on which
        they run (without one, on this machine; "auto" finds a cluster that runs here). The verdict
        and the length of the path stay. It divides the memory; it saves time only in worlds of
        millions of states, on cores that are idle.
    states_max, depth_max, seconds_max:
        Where to give up. A limit that is reached is told; it never looks like success.
    progress:
        Called with a Progress about once a second; True writes a line to stderr instead.
    hygiene:
        Look first whether the first steps of the nodes make them fit to be checked.
    keep_graph:
        Keep the states and the moves between them in `report.graph`, for a picture: of a world of
        some hundred states (GRAPH_MAX), searched by one process.

    Raises ScenarioError for a world that cannot be or a property that raises. An interrupt (Ctrl-C)
    ends the search, and the report says how far it came.
    """
    nodes = _check_nodes(nodes)
    found = _check_kinds(check_properties(properties))
    limits = {"crashes": crashes, **_network_budgets(network, losses, duplicates, partitions)}
    cuts = _cuts(len(nodes)) if partitions else ()
    budgets = Budgets({**limits, **timer_budgets(timers), "ticks": ticks}, len(cuts))
    who = _check_dying([node.id for node in nodes], crashing, restarts)
    rules = Rules(DISCIPLINES[network], timers, restarts, who, ticks, crashes > 0, cuts)
    clock = Clock(ticks, tick_ms)
    locals_, ghosts = local_tables(nodes, rules, clock, bound, found, symmetry)
    tables = Tables(locals_, rules, budgets, ghosts)
    judge = Judge(tables, found, prune, goal)
    reductions = reductions_of(tables, judge, partial_order)
    states_max = min(states_max, GRAPH_MAX) if keep_graph else states_max
    limits_ = Limits(states_max, depth_max, seconds_max)
    parts = (nodes, tables, judge, limits_, progress, reductions)
    crew = _crew(workers, address)
    if keep_graph and crew is not None:
        raise ScenarioError("keep_graph needs a search by one process: leave out workers.")
    search = Search(*parts) if crew is None else Spread(*parts, crew=crew)
    invoke = list(invoke)
    report = search.run(_wishes(locals_, invoke), after)
    report.hygiene = quick_hygiene(nodes, invoke) if hygiene else ()
    if keep_graph:
        report.graph = graph_of(search, report.path)
    return report


def _crew(workers: int | None, address: str | None) -> Callable[[], Crew] | None:
    if workers is not None and (type(workers) is not int or workers < 1):
        raise ScenarioError(f"workers={workers!r}: give a whole number of at least 1.")
    if address is not None:
        return lambda: RayActors(address, workers)
    if workers is None or workers == 1:
        return None
    return lambda: Processes(workers)


def _check_kinds(properties: tuple[Property, ...]) -> tuple[Property, ...]:
    for one in properties:
        if one.kind == "eventually":
            raise ScenarioError(
                f"{one.name} is a promise about whole runs (eventually), and explore looks at "
                "states: check it on seeded runs, or state what must always hold."
            )
    return properties


def _check_dying(
    names: Collection[NodeId], crashing: Collection[NodeId] | None, restarts: str
) -> frozenset[NodeId]:
    if restarts not in ("keep", "lose", "either", "never"):
        raise ScenarioError(
            f"restarts={restarts!r}: write 'keep', 'lose', 'either' or 'never' (of the disk)."
        )
    for name in crashing or ():
        check_name(name, names)
    return frozenset(names if crashing is None else crashing)


def _check_nodes(nodes: Iterable[Node]) -> list[Node]:
    nodes = list(nodes)
    names = [node.id for node in nodes]
    if not nodes:
        raise ScenarioError("there is no node to explore: give a list of nodes.")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ScenarioError(f"two nodes are called {', '.join(sorted(twice))}: rename one.")
    return nodes


def _network_budgets(
    network: str, losses: int | None, duplicates: int | None, partitions: int
) -> dict[str, int]:
    if network not in DISCIPLINES:
        raise ScenarioError(f"network={network!r}: write {', '.join(map(repr, DISCIPLINES))}.")
    if DISCIPLINES[network].keeps:
        if losses or duplicates or partitions:
            raise ScenarioError(
                "in a set network messages are lost and doubled for nothing, as in a partition: "
                "leave out losses, duplicates and partitions, or write network='multiset'."
            )
        return {}
    limits = {"losses": losses, "duplicates": duplicates, "partitions": partitions or None}
    return {kind: limit for kind, limit in limits.items() if limit is not None}


def _cuts(nodes: int) -> tuple[frozenset[int], ...]:
    """Every way to part some nodes from the first one."""
    if nodes > PARTED_MAX:
        raise ScenarioError(
            f"{nodes} nodes can be parted in {2 ** (nodes - 1) - 1:,} ways: leave out partitions, "
            f"or explore at most {PARTED_MAX} nodes."
        )
    ways = (combinations(range(1, nodes), size) for size in range(1, nodes))
    return tuple(frozenset(apart) for way in ways for apart in way)


def _wishes(locals_: Locals, invoke: Iterable[tuple[NodeId, Message]]) -> list[tuple[int, int]]:
    wishes = []
    for pair in invoke:
        try:
            name, operation = pair
        except (TypeError, ValueError):
            raise ScenarioError(
                f"invoke has {pair!r}: give pairs such as ('p1', Propose('red'))."
            ) from None
        check_name(name, locals_.ids)
        letter = locals_.letter(Envelope(WORLD, name, Invoke(operation)))
        wishes.append((locals_.index[name], letter))
    return sorted(wishes)
