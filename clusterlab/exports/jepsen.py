"""The clients' history as Jepsen writes it: EDN, one entry a line.

Processes are numbers, and a process whose operation ended with `:info` never comes back: what it
did next stands under a new number, as in Jepsen itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from clusterlab.core import spec
from clusterlab.core.history import History, Operation
from clusterlab.core.node import NodeId
from clusterlab.core.trace import Trace


def jepsen(trace: Trace) -> str:
    """The history of a trace as EDN, which `clusterlab judge` reads as well.

    >>> trace = Trace()
    >>> _ = trace.append(1, "c", "invoke", {"operation": spec.Put("x", 1)})
    >>> _ = trace.append(3, "c", "return", {"outcome": "ok", "value": None})
    >>> print(jepsen(trace), end="")
    {:process 0, :type :invoke, :f :write, :value ["x" 1], :time 1000000}
    {:process 0, :type :ok, :f :write, :value ["x" 1], :time 3000000}
    """
    entries: list[tuple[int, str]] = []
    processes: dict[NodeId, int] = {}
    used = 0
    for operation in History.of(trace):
        if operation.client not in processes:
            processes[operation.client], used = used, used + 1
        process = processes[operation.client]
        entries += _entries(process, operation)
        if operation.outcome == "info":
            del processes[operation.client]
    return "".join(line + "\n" for _, line in sorted(entries, key=lambda entry: entry[0]))


def _entries(process: int, operation: Operation) -> list[tuple[int, str]]:
    """The entries of one operation, each with the seq of its event."""
    name, asked, told = _called(operation)
    begun = _entry(process, "invoke", name, asked, operation.invoked_ms)
    if operation.return_seq is None or operation.returned_ms is None:
        return [(operation.invoke_seq, begun)]
    outcome = operation.outcome
    if isinstance(operation.call, spec.CompareAndSet) and operation.value is False:
        outcome = "fail"  # so Jepsen tells of a compare that found something else
    value = told if outcome == "ok" else asked
    ended = _entry(process, outcome, name, value, operation.returned_ms)
    return [(operation.invoke_seq, begun), (operation.return_seq, ended)]


def _called(operation: Operation) -> tuple[str, Any, Any]:
    """What Jepsen calls it: `:f`, `:value` when it is invoked, `:value` when it is ok."""
    call, value = operation.call, operation.value
    match call:
        case spec.Put(key=key, value=written):
            return "write", (key, written), (key, written)
        case spec.Get(key=key):
            return "read", (key, None), (key, value)
        case spec.CompareAndSet(key=key, expected=old, new=new):
            return "cas", (key, (old, new)), (key, (old, new))
        case spec.Write(value=written):
            return "write", written, written
        case spec.Read():
            return "read", None, value
        case spec.Add(amount=amount):
            return "add", amount, amount
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(call).__name__).lower()
    return name, call, value


def _entry(process: int, kind: str, name: str, value: Any, at_ms: float) -> str:
    return (
        f"{{:process {process}, :type :{kind}, :f :{name}, :value {_edn(value)}, "
        f":time {round(at_ms * 1e6)}}}"
    )


def _edn(value: Any) -> str:
    """A value as EDN; a message or NamedTuple is a map of its fields."""
    if value is None:
        return "nil"
    if isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_edn(k)} {_edn(v)}" for k, v in value.items()) + "}"
    if isinstance(value, set | frozenset):
        return "#{" + " ".join(sorted(map(_edn, value))) + "}"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(_edn, value)) + "]"
    return json.dumps(str(value), ensure_ascii=False)
