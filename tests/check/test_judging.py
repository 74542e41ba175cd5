"""`clusterlab judge` with every judge: exit 0, 1 or 2, one sentence each, no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clusterlab import cli
from clusterlab.check import jepsen
from clusterlab.check.judging import CHECKS
from clusterlab.core.node import Message
from clusterlab.core.spec import Register


def edn(*rows: tuple[int, str, Any, Any]) -> str:
    """One operation after another: (process, f, what it is asked, what it returns)."""
    lines = []
    for process, f, asked, told in rows:
        for kind, value in (("invoke", asked), ("ok", told)):
            text = "nil" if value is None else str(value)
            lines.append(f"{{:process {process} :type :{kind} :f :{f} :value {text}}}")
    return "\n".join(lines)


STALE = edn((0, "write", 1, 1), (0, "write", 2, 2), (1, "read", None, 1))
OWN = edn((0, "write", 1, 1), (0, "read", None, None))
ADDED = edn((0, "add", 1, 1), (1, "read", None, "[1]"))
LOST = edn((0, "add", 1, 1), (1, "read", None, "[]"))
IDS = edn((0, "generate", None, 7), (1, "generate", None, 8))
TWICE = edn((0, "generate", None, 7), (1, "generate", None, 7))
COUNTED = edn((0, "add", 2, 2), (1, "read", None, 2))
MISCOUNTED = edn((0, "add", 2, 2), (1, "read", None, 3))
NOTHING = edn((0, "add", 1, 1))

JUDGED = [
    (STALE, "--model register", 1, "not linearizable: 1 Read() -> ok 1"),
    (STALE, "--model register --check sequential", 0, "sequentially consistent: one order of 3"),
    (OWN, "--model register --check sequential", 1, "not sequentially consistent"),
    (STALE, "--model register --check sessions", 0, "kept in 1 read of 2 sessions"),
    (OWN, "--model register --check sessions", 1, "read your writes broken: 0 wrote 1, then read"),
    (STALE, "--model register --check staleness", 1, "bounded staleness broken"),
    (STALE, "--model register --check staleness --versions 1", 0, "was 1 version behind"),
    (STALE, "--model register --check staleness --ms 0.5", 1, "and the bound is 0.5 ms"),
    (ADDED, "--check set", 0, "1 element added (1 acknowledged): 1 stable"),
    (LOST, "--check set", 1, "lost elements broken: 1 was added by 0"),
    (NOTHING, "--check set", 2, "no read tells that an element stays"),
    (IDS, "--check ids", 0, "unique ids: 2 ids, all different"),
    (TWICE, "--check ids", 1, "7 was given to 0 at 1.0 ms and to 1 at 3.0 ms"),
    (COUNTED, "--check counter", 0, "counter: 1 read, all within bounds"),
    (MISCOUNTED, "--check counter", 1, "when the counter was at least 2 and at most 2"),
    (NOTHING, "--check counter", 2, "there is no read to judge"),
]


def judge(text: str, options: str, tmp_path: Path) -> int:
    file = tmp_path / "history.edn"
    file.write_text(text, encoding="utf-8")
    return cli.main(["judge", str(file), *options.split()])


def said(text: str) -> str:
    """What was printed, however wide the terminal is."""
    return " ".join(text.split())


@pytest.mark.parametrize(("text", "options", "code", "words"), JUDGED)
def test_every_judge_has_its_say(
    text: str,
    options: str,
    code: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert judge(text, options, tmp_path) == code
    assert words in said(capsys.readouterr().out)


def test_every_judge_is_shown_a_good_and_a_bad_history() -> None:
    for name in CHECKS:
        codes = {
            code
            for _, options, code, _ in JUDGED
            if f"--check {name}" in options or (name == "linearizable" and "--check" not in options)
        }
        assert 1 in codes, name
        assert 0 in codes or name == "linearizable", name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--check sesions", "there is no check 'sesions'; there are linearizable, sequential"),
        ("--check sesions", "Did you mean sessions?"),
        ("--model registr", "Did you mean register?"),
        ("--check sessions", "must know what the operations mean: give --model, one of register"),
        ("--check set --model kv", "the check set cannot judge kv; it can judge set. For kv there"),
        ("--model ids", "For ids there is --check ids"),
        ("--model register --ms 3", "is for the check staleness: choose that"),
        ("--model register --check staleness --ms -3", "a bound is at least 0"),
        ("--model kv", "has the value 1, which is none for a kv"),
        ("--model set", "does write, which a set has not"),
    ],
)
def test_misuse_is_a_sentence_and_exit_2(
    options: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(STALE, options, tmp_path) == 2
    told = capsys.readouterr().err
    assert words in said(told)
    assert "Traceback" not in told


@pytest.mark.parametrize("check", ["linearizable", "sequential"])
def test_an_interrupted_judgement_keeps_what_it_found_and_exits_2(
    check: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Weary(Register):
        """Somebody presses Ctrl-C when the second write has been done."""

        def apply(self, state: Any, operation: Message) -> tuple[Any, Any]:
            if state == 2:
                raise KeyboardInterrupt
            return super().apply(state, operation)

    model = jepsen.MODELS["register"]._replace(spec=Weary())
    monkeypatch.setitem(jepsen.MODELS, "register", model)
    assert judge(STALE, f"--model register --check {check}", tmp_path) == 2
    told = said(capsys.readouterr().out)
    assert "unknown: the judgement was interrupted." in told
    assert "is explained up to 1 of 3 returns" in told
    assert "Give it more time" in told


@pytest.mark.parametrize("cut", [10, 60, 130])
def test_a_truncated_history_is_a_sentence_with_the_mend(
    cut: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(STALE[:cut], "--model register", tmp_path) == 2
    told = said(capsys.readouterr().err)
    assert "cannot be read as EDN" in told
    assert told.endswith("record it again.")


def test_the_picture_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "verdict.svg"
    assert judge(STALE, f"--model register --svg {picture}", tmp_path) == 1
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    assert "The picture is in" in capsys.readouterr().out
    assert judge(STALE, f"--model register --svg {tmp_path / 'no' / 'x.svg'}", tmp_path) == 2
