r"""A run as a log for ShiViz: who did what, with vector clocks.

Each event is two lines, `host {clock}` and what happened, as ShiViz's own pattern reads them:
`(?<host>\S*) (?<clock>{.*})\n(?<event>.*)`. ShiViz asks of the clocks that a host's own entry
starts at 1 and grows by one, and that each entry names a host of the log
(Beschastnikh, Wang, Brun and Ernst 2016, "Debugging Distributed Systems", CACM 59(8)).
Clocks are Fidge's and Mattern's: a delivery takes the maximum of both sides.
"""

from __future__ import annotations

import json
import re

from clusterlab.core.node import WORLD, NodeId
from clusterlab.core.trace import Trace, TraceEvent

SKIPPED = frozenset(("save", "set_timer", "cancel_timer", "duplicate", "drop"))
"""What a node does with itself, and what the network does, which is no host."""
NETWORK = "the-network"
"""The host of faults that strike no single node."""


def shiviz(trace: Trace) -> str:
    """The trace as a ShiViz log.

    What the network does to a message (a copy, a loss) has no host, so a copy that arrives is
    drawn from its sending; partitions and healing stand at a host `the-network` of their own.

    >>> trace = Trace()
    >>> sent = trace.append(0, "a", "send", {"dst": "b", "msg": "ping"})
    >>> _ = trace.append(5, "b", "deliver", {"src": "a", "msg": "ping"}, cause=sent)
    >>> print(shiviz(trace), end="")
    a {"a": 1}
    0.0 ms send a -> b 'ping'
    b {"b": 1, "a": 1}
    5.0 ms deliver a -> b 'ping'
    """
    clocks: dict[str, dict[str, int]] = {}
    known: dict[int, dict[str, int]] = {}  # the clock of each event that others may follow from
    lines: list[str] = []
    for event in trace:
        if event.kind == "duplicate":
            if event.cause in known:
                known[event.seq] = known[event.cause]
            continue
        if event.kind in SKIPPED or WORLD in (event.data.get("dst"), event.data.get("src")):
            continue
        host = _host(event.node)
        clock = clocks.setdefault(host, {host: 0})
        clock[host] += 1
        for other, count in known.get(-1 if event.cause is None else event.cause, {}).items():
            clock[other] = max(count, clock.get(other, 0))
        known[event.seq] = dict(clock)
        lines += [f"{host} {json.dumps(clock, ensure_ascii=False)}", _line(event)]
    return "".join(line + "\n" for line in lines)


def _host(node: NodeId | None) -> str:
    """The node's name without white space, which would end it."""
    return NETWORK if node is None else re.sub(r"\s", "_", node)


def _line(event: TraceEvent) -> str:
    return " ".join(f"{event.at_ms:.1f} ms {event.words()}".split())
