"""Judge a history in a file, by any of the judges: what `clusterlab judge` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clusterlab.check.jepsen import MODELS, known_name, model_of, read_history
from clusterlab.check.linearizability import STATES_MAX, check_linearizability
from clusterlab.check.sequential import check_sequential
from clusterlab.check.sessions import check_sessions
from clusterlab.check.staleness import check_staleness
from clusterlab.check.tallies import check_counter, check_ids, check_set
from clusterlab.check.verdict import Verdict
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import History
from clusterlab.core.spec import Spec


class Check(NamedTuple):
    """A judge of histories."""

    question: str
    judge: Callable[[History], Verdict] | None
    """None: it is asked with the object and the limit."""
    models: tuple[str, ...]
    """What it can judge; the only one is taken if none is named."""


_OBJECTS = tuple(name for name, model in MODELS.items() if model.spec is not None)
_REGISTERS = ("register", "cas-register", "kv")

CHECKS: dict[str, Check] = {
    "linearizable": Check("does it look like one object in one place?", None, _OBJECTS),
    "sequential": Check("does one order explain all that the clients saw?", None, _OBJECTS),
    "sessions": Check("may each client count on what it did and saw?", check_sessions, _REGISTERS),
    "staleness": Check("how old is what was read?", check_staleness, _REGISTERS),
    "set": Check("was an element lost?", check_set, ("set",)),
    "ids": Check("was an id given twice?", check_ids, ("ids",)),
    "counter": Check("is what was read within bounds?", check_counter, ("counter",)),
}


def judge_file(
    path: str | Path,
    model: str | None = None,
    *,
    check: str = "linearizable",
    nil_is_unknown: bool = False,
    states_max: int | None = None,
    stale_ms: float | None = None,
    stale_versions: int | None = None,
) -> Verdict:
    """What a judge says of the history in a file.

    Parameters
    ----------
    path:
        EDN, JSON, JSON lines, Jepsen's log, or a trace of this project.
    model:
        One of MODELS; it may be left out where a check judges only one.
    check:
        One of CHECKS.
    nil_is_unknown:
        Reads of nil say nothing, as in Knossos; else they saw what was never written.
    states_max:
        As of `check_linearizability` and `check_sequential`.
    stale_ms, stale_versions:
        As of `check_staleness`.

    Raises ScenarioError if there is no such model or check, or they do not go together,
    TraceError if the file cannot be read.
    """
    wanted = CHECKS[known_name(check, CHECKS, "check")]
    if model is None and len(wanted.models) > 1:
        raise ScenarioError(
            f"the check {check} must know what the operations mean: "
            f"give --model, one of {', '.join(wanted.models)}."
        )
    name = wanted.models[0] if model is None else model
    spec = model_of(name).spec
    if name not in wanted.models:
        raise ScenarioError(
            f"the check {check} cannot judge {name}; it can judge {', '.join(wanted.models)}. "
            f"For {name} there is {_for(name)}."
        )
    if (stale_ms, stale_versions) != (None, None) and check != "staleness":
        raise ScenarioError("a bound in ms or versions is for the check staleness: choose that.")
    history = read_history(path, name, nil_is_unknown=nil_is_unknown)
    if check == "staleness":
        return check_staleness(history, ms=stale_ms, versions=stale_versions)
    if wanted.judge is not None:
        return wanted.judge(history)
    assert spec is not None
    return _searched(check, history, spec, states_max)


def _searched(check: str, history: History, spec: Spec, states_max: int | None) -> Verdict:
    if check == "linearizable":
        return check_linearizability(history, spec, states_max=states_max or STATES_MAX)
    limit = {} if states_max is None else {"states_max": states_max}
    return check_sequential(history, spec, **limit)


def _for(model: str) -> str:
    return " and ".join(f"--check {name}" for name, one in CHECKS.items() if model in one.models)
