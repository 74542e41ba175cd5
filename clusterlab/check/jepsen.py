"""Histories that were recorded elsewhere, in the form that Jepsen gave them.

A history is a list of entries, each with a `type` (invoke, ok, fail, info), a `process`, an `f`
(what is done) and a `value`; a process has one operation at a time. It may be written as

- EDN: `{:process 0, :type :invoke, :f :write, :value 3}`, one after another or in a list or vector,
  also as `#jepsen.history.Op{...}`;
- JSON: `{"process": 0, "type": "invoke", "f": "write", "value": 3}`, an array or one a line;
- Jepsen's log: `0 :invoke :write 3`, one a line;
- or as a trace of this project, of which the client operations are taken.

Entries are in the order in which they happened; `time` (ns) is shown but never decides.

| model | operations |
|---|---|
| register | read, write v |
| cas-register | read, write v, cas [old new] |
| kv | get (read) and put (write), append, cas, with `key`, or with `[key v]` as the value |
| mutex | acquire, release; whoever holds it, as in Knossos |
| set | add v, remove v, read |
| counter | add n (none: 1), inc, dec, read |
| ids | generate, which returns one |

A read of nil is a read of what was never written; with `nil_is_unknown` it is one of which nobody
knows what it returned, as Knossos takes it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from clusterlab.check.edn import read_edn
from clusterlab.check.models import (
    AddElement,
    AppendText,
    GenerateId,
    ReadSet,
    RemoveElement,
    Set,
    TextStore,
)
from clusterlab.core.errors import ScenarioError, TraceError
from clusterlab.core.history import History, Operation, Outcome
from clusterlab.core.node import Message
from clusterlab.core.spec import (
    Acquire,
    Add,
    CompareAndSet,
    Counter,
    Get,
    Lock,
    Put,
    Read,
    Register,
    Release,
    Spec,
    Write,
)
from clusterlab.core.trace import Trace

NS_PER_MS = 1e6
HOLDER = "holder"
ONLY_KEY = "register"
SKIPPED = "nemesis"

_LOG = re.compile(r"(?:^|\s-\s)\s*(:?[\w-]+)\s+:(invoke|ok|fail|info)\s+:([\w-]+)(?:\s+(.*))?$")


class Model(NamedTuple):
    """How the operations of a kind of history are called here, and the object that they are on."""

    spec: Spec | None
    """None: no sequential object says what is right."""
    calls: Mapping[str, Callable[[Any], Message]]
    """From `f`, of the value of the invocation."""
    reads: frozenset[str]
    """Of which the value of the completion is what was returned."""
    keyed: bool = False


def _pair(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple):
        raise TypeError(value)  # a text of two letters is no pair
    first, second = value
    return first, second


def _key_value(make: Callable[..., Message]) -> Callable[[Any], Message]:
    return lambda value: make(*_pair(value))


_STORE: dict[str, Callable[[Any], Message]] = {
    "get": lambda value: Get(_pair(value)[0]),
    "put": _key_value(Put),
    "append": _key_value(AppendText),
    "cas": lambda value: CompareAndSet(_pair(value)[0], *_pair(_pair(value)[1])),
}

MODELS: dict[str, Model] = {
    "register": Model(Register(), {"read": lambda _: Read(), "write": Write}, frozenset({"read"})),
    "cas-register": Model(
        TextStore(),
        {
            "read": lambda _: Get(ONLY_KEY),
            "write": lambda value: Put(ONLY_KEY, value),
            "cas": lambda value: CompareAndSet(ONLY_KEY, *_pair(value)),
        },
        frozenset({"read"}),
    ),
    "kv": Model(
        TextStore(),
        {**_STORE, "read": _STORE["get"], "write": _STORE["put"]},
        frozenset({"get", "read"}),
        keyed=True,
    ),
    "mutex": Model(
        Lock(),
        {"acquire": lambda _: Acquire(HOLDER), "release": lambda _: Release(HOLDER)},
        frozenset(),
    ),
    "set": Model(
        Set(),
        {"add": AddElement, "remove": RemoveElement, "read": lambda _: ReadSet()},
        frozenset({"read"}),
    ),
    "counter": Model(
        Counter(),
        {
            "add": lambda value: Add(1 if value is None else value),
            "inc": lambda value: Add(1 if value is None else value),
            "dec": lambda value: Add(-1 if value is None else -value),
            "read": lambda _: Read(),
        },
        frozenset({"read"}),
    ),
    "ids": Model(None, {"generate": lambda _: GenerateId()}, frozenset({"generate"})),
}


def read_history(path: str | Path, model: str, *, nil_is_unknown: bool = False) -> History:
    """The operations that a file holds, in the words of a model; see `judging.judge_file`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"cannot read {path}: {error}; name a file with a history.") from error
    if text.startswith('{"clusterlab_trace"'):
        history = History.of(Trace.load(path))
    else:
        history = History(parse_history(text, model, name=str(path), nil_is_unknown=nil_is_unknown))
    if not history.operations:
        raise TraceError(f"{path} holds no operation of a client: record it again.")
    return history


def parse_history(
    text: str, model: str, *, name: str = "the history", nil_is_unknown: bool = False
) -> list[Operation]:
    """The operations that a text holds, in the words of a model; see `read_history`.

    >>> text = "{:process 0 :type :invoke :f :read :value nil} {:process 0 :type :ok :f :read}"
    >>> [str(operation) for operation in parse_history(text, "register")]
    ['0 Read() -> ok None [0.0, 1.0] ms']
    """
    kind = model_of(model)
    entries = [_entry(form, number, name) for number, form in enumerate(_forms(text, name), 1)]
    entries = [entry for entry in entries if entry["process"] != SKIPPED]
    times = [entry.get("time") for entry in entries]
    timed = all(isinstance(at, (int, float)) for at in times) and times == sorted(
        cast(list[float], times)
    )
    operations: list[Operation] = []
    pending: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for number, entry in enumerate(entries):
        process, type_ = str(entry["process"]), entry["type"]
        at_ms = entry["time"] / NS_PER_MS if timed else float(number)
        if type_ == "invoke":
            if process in pending:
                raise _wrong(name, entry, "begins while the last one of its process is still open")
            pending[process] = (len(operations), entry)
            call = _call(kind, entry, model, name)
            operations.append(Operation(process, call, at_ms, invoke_seq=number))
            continue
        if process not in pending:
            if type_ == "info":
                continue  # what a process says of itself
            raise _wrong(name, entry, "ends, but its process has begun none")
        place, begun = pending.pop(process)
        if begun["f"] != entry["f"]:
            raise _wrong(name, entry, f"ends a {begun['f']} of its process")
        outcome = cast(Outcome, type_)
        value = None
        if type_ == "ok":
            value = _returned(kind, entry, model)
            if value is None and nil_is_unknown and entry["f"] in kind.reads:
                outcome = "info"
        operations[place] = replace(
            operations[place], returned_ms=at_ms, outcome=outcome, value=value, return_seq=number
        )
    return operations


def model_of(name: str) -> Model:
    """The model of this name; ScenarioError, with the nearest, if there is none."""
    return MODELS[known_name(name, MODELS, "model")]


def known_name(name: str, known: Iterable[str], what: str) -> str:
    """The name itself; ScenarioError, with the nearest, if it is none of those."""
    known = list(known)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ScenarioError(f"there is no {what} {name!r}; there are {', '.join(known)}.{hint}")
    return name


# --- the forms of a text ----------------------------------------------------------------------


def _forms(text: str, name: str) -> list[Any]:
    """The entries of a text, whatever it is written in."""
    if re.match(r"\ufeff?\s*\[?\s*(\{\s*(\"|\})|$)", text):
        forms = list(_json(text.lstrip("\ufeff"), name))
    elif any(_LOG.search(line) for line in text.splitlines()[:20] if "{" not in line):
        forms = list(_log(text, name))
    else:
        forms = list(read_edn(text, name))
    if len(forms) == 1 and isinstance(forms[0], (list, tuple)):
        return list(forms[0])
    return forms


def _json(text: str, name: str) -> Iterable[Any]:
    """JSON values, one after another."""
    decoder, at = json.JSONDecoder(), 0
    while match := re.compile(r"[\s,]*(?=\S)").match(text, at):
        try:
            value, at = decoder.raw_decode(text, match.end())
        except (json.JSONDecodeError, RecursionError) as error:
            where = error.lineno if isinstance(error, json.JSONDecodeError) else 1
            raise TraceError(
                f"line {where} of {name} cannot be read as JSON ({error}): "
                "the file is cut off or is something else; record it again."
            ) from error
        yield value


def _log(text: str, name: str) -> Iterable[Any]:
    """Lines such as `INFO jepsen.util - 0 :invoke :write 3`; others are left out."""
    for number, line in enumerate(text.splitlines(), 1):
        found = _LOG.search(line)
        if found is None:
            continue
        process, type_, f, rest = found.groups()
        try:
            values = list(read_edn(rest or "nil", f"{name}, line {number}"))
        except TraceError:
            if type_ != "info":
                raise
            values = []  # an exception, in words
        yield {"process": process.lstrip(":"), "type": type_, "f": f, "value": (*values, None)[0]}


def _entry(form: Any, number: int, name: str) -> dict[str, Any]:
    """An entry with plain names; TraceError if it is none."""
    if not isinstance(form, dict):
        raise TraceError(
            f"entry {number} of {name} is {str(form)[:60]!r} and not a map with :type, :process "
            "and :f: this is no history in Jepsen's form; record it as one."
        )
    entry = {str(key).lstrip(":"): _plain(value) for key, value in form.items()}
    for key in ("type", "f", "process"):
        if isinstance(entry.get(key), str):
            entry[key] = entry[key].lstrip(":")
    entry["number"] = number
    missing = [key for key in ("type", "process", "f") if entry.get(key) is None]
    if missing:
        raise _wrong(name, entry, f"has no {' and no '.join(missing)}")
    if entry["type"] not in ("invoke", "ok", "fail", "info"):
        raise _wrong(
            name, entry, f"has the type {entry['type']!r}, which is none of invoke, ok, fail, info"
        )
    return entry


def _plain(value: Any) -> Any:
    """A value with a hash: lists are tuples, maps are sets of pairs."""
    if isinstance(value, (list, tuple)):
        return tuple(_plain(inner) for inner in value)
    if isinstance(value, dict):
        return frozenset((_plain(k), _plain(v)) for k, v in value.items())
    if isinstance(value, (set, frozenset)):
        return frozenset(_plain(inner) for inner in value)
    return str(value) if isinstance(value, str) else value


def _wrong(name: str, entry: Mapping[str, Any], what: str) -> TraceError:
    told = " ".join(str(entry.get(key)) for key in ("process", "type", "f"))
    return TraceError(
        f"entry {entry['number']} of {name} ({told}) {what}: "
        "the history is damaged or cut; record it again."
    )


# --- calls and results ------------------------------------------------------------------------


def _keyed_value(kind: Model, entry: Mapping[str, Any]) -> Any:
    value = entry.get("value")
    return (entry["key"], value) if kind.keyed and "key" in entry else value


def _call(kind: Model, entry: Mapping[str, Any], model: str, name: str) -> Message:
    make = kind.calls.get(entry["f"])
    if make is None:
        raise ScenarioError(
            f"entry {entry['number']} of {name} does {entry['f']}, which a {model} has not "
            f"(it has {', '.join(kind.calls)}): choose another model."
        )
    try:
        return make(_keyed_value(kind, entry))
    except (TypeError, ValueError):
        raise _wrong(
            name, entry, f"has the value {entry.get('value')!r}, which is none for a {model}"
        ) from None


def _returned(kind: Model, entry: Mapping[str, Any], model: str) -> Any:
    """What an operation that is ok returned, as the object returns it."""
    if entry["f"] in kind.reads:
        value = entry.get("value")
        if kind.keyed and "key" not in entry and isinstance(value, tuple) and len(value) == 2:
            value = value[1]
        if model == "set" and value is not None:
            return frozenset(value)
        return value
    return True if entry["f"] in ("cas", "acquire", "release") else None
