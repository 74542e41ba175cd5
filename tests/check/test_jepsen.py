"""Histories that were recorded elsewhere: EDN, JSON, logs; their verdicts are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusterlab import cli
from clusterlab.check.edn import read_edn
from clusterlab.check.jepsen import MODELS, parse_history
from clusterlab.check.judging import judge_file
from clusterlab.core.errors import ScenarioError, TraceError
from clusterlab.core.spec import CompareAndSet, Put
from clusterlab.protocols.client import Client, mixed_workload
from clusterlab.protocols.raft import Raft
from clusterlab.sim import Simulation

Row = tuple[Any, str, str, Any]


def edn(value: Any) -> str:
    """A value in EDN, with lists as vectors."""
    match value:
        case None:
            return "nil"
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value)
        case list():
            return f"[{' '.join(map(edn, value))}]"
        case tuple():
            return f"({' '.join(map(edn, value))})"
    return repr(value)


def as_edn(rows: list[Row]) -> str:
    """One map a line, with comments."""
    return "; recorded by hand\n" + "\n".join(
        f"{{:process {p}, :type :{t}, :f :{f}, :value {edn(v)}}} ; {i}"
        for i, (p, t, f, v) in enumerate(rows)
    )


def as_records(rows: list[Row]) -> str:
    """As newer versions write it: a vector of tagged records with times."""
    inside = "\n ".join(
        f"#jepsen.history.Op{{:index {i}, :time {i * 1000}, :type :{t}, :process {p}, "
        f":f :{f}, :value {edn(v)}}}"
        for i, (p, t, f, v) in enumerate(rows)
    )
    return f"[{inside}]"


def as_list(rows: list[Row]) -> str:
    """A list, in which pairs are lists as well."""
    lists = [(p, t, f, tuple(v) if isinstance(v, list) else v) for p, t, f, v in rows]
    return f"({as_edn(lists)}\n)"


def as_json(rows: list[Row]) -> str:
    entries = [{"process": p, "type": t, "f": f, "value": v} for p, t, f, v in rows]
    return json.dumps(entries, indent=1)


def as_lines(rows: list[Row]) -> str:
    return "\n".join(
        json.dumps({"process": p, "type": f":{t}", "f": f":{f}", "value": v}) for p, t, f, v in rows
    )


def as_log(rows: list[Row]) -> str:
    return "INFO  jepsen.core - Run complete\n" + "\n".join(
        f"INFO  jepsen.util - {p}\t:{t}\t:{f}\t{edn(v)}" for p, t, f, v in rows
    )


FORMS = [as_edn, as_records, as_list, as_json, as_lines, as_log]


def done(process: Any, f: str, value: Any, result: Any = None) -> list[Row]:
    """An operation with nothing in between."""
    return [(process, "invoke", f, value), (process, "ok", f, value if result is None else result)]


KNOWN: dict[str, tuple[str, bool, list[Row]]] = {
    "a register that is read back": (
        "register",
        True,
        [*done(0, "read", None), *done(0, "write", 1), *done(1, "read", None, 1)],
    ),
    "a stale read": (
        "register",
        False,
        [*done(0, "write", 1), *done(0, "write", 2), *done(1, "read", None, 1)],
    ),
    "an unknown write that is seen later": (
        "register",
        True,
        [
            (0, "invoke", "write", 1),
            (0, "info", "write", 1),
            *done(1, "read", None),
            *done(1, "read", None, 1),
        ],
    ),
    "a failed write that is seen": (
        "register",
        False,
        [(0, "invoke", "write", 1), (0, "fail", "write", 1), *done(1, "read", None, 1)],
    ),
    "overlapping writes, read in either order": (
        "register",
        True,
        [
            (0, "invoke", "write", 1),
            (1, "invoke", "write", 2),
            *done(2, "read", None, 2),
            *done(2, "read", None, 1),
            (1, "ok", "write", 2),
            (0, "ok", "write", 1),
        ],
    ),
    "compare and set": (
        "cas-register",
        True,
        [
            *done(0, "write", 1),
            *done(1, "cas", [1, 2]),
            (0, "invoke", "cas", [1, 3]),
            (0, "fail", "cas", [1, 3]),
            *done(0, "read", None, 2),
            ("nemesis", "info", "start", None),
        ],
    ),
    "two that set from one value": (
        "cas-register",
        False,
        [*done(0, "write", 1), *done(1, "cas", [1, 2]), *done(2, "cas", [1, 3])],
    ),
    "keys apart": (
        "kv",
        True,
        [
            *done(0, "put", ["x", 1]),
            *done(1, "put", ["y", 2]),
            *done(0, "get", ["x", None], ["x", 1]),
        ],
    ),
    "a key that forgot": ("kv", False, [*done(0, "put", ["x", 1]), *done(0, "get", ["x", None])]),
    "texts that grow": (
        "kv",
        True,
        [
            *done(0, "append", ["x", "a"]),
            *done(1, "append", ["x", "b"]),
            *done(0, "get", ["x", None], ["x", "ab"]),
        ],
    ),
    "a lock in turns": (
        "mutex",
        True,
        [*done(0, "acquire", None), *done(0, "release", None), *done(1, "acquire", None)],
    ),
    "a lock held twice": ("mutex", False, [*done(0, "acquire", None), *done(1, "acquire", None)]),
    "a set with all": (
        "set",
        True,
        [*done(0, "add", 1), *done(1, "add", 2), *done(0, "read", None, [2, 1])],
    ),
    "a set that lost one": (
        "set",
        False,
        [*done(0, "add", 1), *done(1, "add", 2), *done(0, "read", None, [2])],
    ),
    "a counter": (
        "counter",
        True,
        [*done(0, "add", 2), *done(1, "inc", None), *done(1, "dec", 1), *done(0, "read", None, 2)],
    ),
    "a counter that skipped": ("counter", False, [*done(0, "add", 2), *done(0, "read", None, 1)]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", KNOWN)
def test_known_verdicts_in_every_form(name: str, form: Any, tmp_path: Path) -> None:
    model, valid, rows = KNOWN[name]
    file = tmp_path / "history"
    file.write_text(form(rows), encoding="utf-8")
    verdict = judge_file(file, model)
    assert verdict.valid is valid, str(verdict)
    assert verdict.judged > 0


def test_every_model_has_a_valid_and_a_wrong_history() -> None:
    for verdict in (True, False):
        known = {model for model, valid, _ in KNOWN.values() if valid is verdict}
        assert known == {name for name, model in MODELS.items() if model.spec is not None}


def test_keys_may_stand_beside_the_value() -> None:
    text = (
        '{:process 0 :type :invoke :f :put :key "x" :value 1}'
        '{:process 0 :type :ok :f :put :key "x"}'
        '{:process 0 :type :invoke :f :cas :key "x" :value (1 2)}'
        '{:process 0 :type :ok :f :cas :key "x" :value (1 2)}'
    )
    put, cas = parse_history(text, "kv")
    assert (put.call, put.outcome) == (Put("x", 1), "ok")
    assert (cas.call, cas.value) == (CompareAndSet("x", 1, 2), True)


def test_a_read_of_nil_may_be_taken_as_unknown(tmp_path: Path) -> None:
    file = tmp_path / "history.edn"
    file.write_text(as_edn([*done(0, "write", 1), *done(1, "read", None)]))
    assert judge_file(file, "register").valid is False
    assert judge_file(file, "register", nil_is_unknown=True).valid is True


def test_a_trace_of_a_run_can_be_judged(tmp_path: Path) -> None:
    sim = Simulation(Raft.group(3), seed=2)
    sim.run_until_leader()
    sim.add_client(Client("c1", servers=("n1", "n2", "n3"), workload=mixed_workload("c1")))
    sim.run(300)
    verdict = judge_file(sim.trace.save(tmp_path / "run.jsonl"), "kv")
    assert verdict.valid
    assert verdict.judged > 5


# ---- EDN -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        ("-12N", -12),
        ("1.5e3M", 1500.0),
        (r'"a\n\"b\" é é"', 'a\n"b" é é'),
        (r"\space", " "),
        (r"\x", "x"),
        (":a/b", "a/b"),
        ("(1 [2 #{3}])", (1, (2, frozenset({3})))),
        ("{:a 1, :b nil}", {"a": 1, "b": None}),
        ("#a.b/C{:x 1}", {"x": 1}),
        ('#inst "2026-01-01"', "2026-01-01"),
        ("[1 #_ 2 3] ; and so on", (1, 3)),
        (r"\u0041", "A"),
        ("; nothing but\n , -", "-"),
    ],
)
def test_edn_is_read(text: str, value: Any) -> None:
    (read,) = read_edn(text)
    assert read == value
    assert type(read) in (type(value), *type(value).__subclasses__()) or isinstance(read, str)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1\n {:a 2", "line 2 of h.edn cannot be read as EDN, since it ends before a }"),
        ("[1 2)", "there is a ) that closes nothing"),
        ("]", "there is a ] that closes nothing"),
        ("{:a}", "a map has a key without a value"),
        ('"abc', "is no form"),
        ("12ab", "12ab is no number"),
        ("#_", "a form is missing after a #"),
        ("{{:a 1} 2}", "a map is a key or in a set"),
        ("[" * 100_000, "it is nested too deep"),
    ],
)
def test_what_is_no_edn_is_told_with_its_line(text: str, why: str) -> None:
    with pytest.raises(TraceError) as told:
        list(read_edn(text, "h.edn"))
    assert why in str(told.value)


# ---- damage, and the command ---------------------------------------------------------------------

GOOD = as_edn(KNOWN["compare and set"][2])


@pytest.mark.parametrize(
    ("text", "model", "why"),
    [
        ("", "register", "holds no operation"),
        ("hello", "register", "is 'hello' and not a map"),
        (GOOD[:-30], "cas-register", "cannot be read as EDN"),
        ('[{"process": 0,', "register", "line 1 of"),
        ('{"process": 0, "type": "invoke"}', "register", "has no f"),
        ("{:process 0 :type :begin :f :read}", "register", "has the type 'begin'"),
        ("{:process 0 :type :ok :f :read}", "register", "its process has begun none"),
        ("{:process 0 :type :invoke :f :read}" * 2, "register", "still open"),
        (
            "{:process 0 :type :invoke :f :read}{:process 0 :type :ok :f :write}",
            "register",
            "ends a read of its process",
        ),
        ("{:process 0 :type :invoke :f :cas :value 1}", "cas-register", "which is none for a"),
        (GOOD, "register", "does cas, which a register has not (it has read, write)"),
        (GOOD, "regster", "no model 'regster'; there are register, cas-register"),
    ],
)
def test_damage_is_one_sentence_and_exit_2(
    text: str, model: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history"
    file.write_text(text)
    with pytest.raises(ScenarioError) as told:
        judge_file(file, model)
    assert why in str(told.value)
    assert cli.main(["judge", str(file), "--model", model]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_that_is_not_there_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["judge", "nowhere.edn", "--model", "kv"]) == 2
    assert "cannot read nowhere.edn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "options", "code", "words"),
    [
        ("compare and set", [], 0, "linearizable: 3 operations have a legal order"),
        ("two that set from one value", [], 1, "not linearizable"),
        ("overlapping writes, read in either order", ["--states", "1"], 2, "unknown"),
        ("a register that is read back", ["--nil-unknown"], 0, "linearizable"),
    ],
)
def test_the_command_exits_with_the_verdict(
    name: str,
    options: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, _, rows = KNOWN[name]
    file = tmp_path / "history.edn"
    file.write_text(as_edn(rows))
    assert cli.main(["judge", str(file), "--model", model, *options]) == code
    assert words in capsys.readouterr().out
