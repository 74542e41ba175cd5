"""What learners' code does by accident: each ends in one sentence, and nothing is left running."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from clusterlab import check_exercise, volatile
from clusterlab.core.errors import ScenarioError
from clusterlab.lessons.exercises.limits import LINES_MAX, Printed
from clusterlab.protocols.paxos import Promise
from tests.lessons.exercises.answers import acceptor, acceptor_that_accepts


def loops(self, src, m):
    while True:
        pass


def prints_and_loops(self, src, m):
    while True:
        print("accepting", m.value)  # noqa: T201 - learners print


def waits(self, src, m):
    time.sleep(1000)


def grows(self, src, m):
    everything = [m]
    while True:
        everything += everything


def exits(self, src, m):
    raise SystemExit


def ends_the_process(self, src, m):
    os._exit(3)


def is_not_written(self, src, m):
    raise NotImplementedError


def assigns_what_is_not_declared(self, src, m):
    self.value = m.value


def divides(self, src, m):
    return 1 / 0


def asks_the_user(self, src, m):
    input("accept? ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (loops, "A handler does not come to an end: loops, line "),
        (prints_and_loops, "prints_and_loops, line "),
        (waits, "`time.sleep(1000)`. A handler does one thing and returns"),
        (grows, "more than the 1 GB of memory that a check may have"),
        (exits, "Your code calls exit()"),
        (ends_the_process, "Your code ended the process that checked it (exit code 3)"),
        (is_not_written, "on_accept is not written yet"),
        (assigns_what_is_not_declared, "declares no such field: add the line `value: str ="),
        (divides, "raised ZeroDivisionError (division by zero) while handling Accept("),
        (asks_the_user, "raised EOFError"),
    ],
)
def test_an_accident_ends_in_one_sentence(body, sentence):
    feedback = check_exercise("14/acceptor", acceptor_that_accepts(body))
    assert not feedback
    assert sentence in feedback.sentence, feedback.sentence
    assert "\n" not in feedback.sentence
    assert "Traceback" not in str(feedback)
    if body is prints_and_loops:
        assert feedback.printed[0] == "accepting red"
        assert len(feedback.printed) == LINES_MAX + 1
        assert feedback.printed[-1].endswith("more lines")


@pytest.mark.slow
def test_a_handler_that_returns_its_answer_is_told_to_send_it():
    class Returns(acceptor()):
        def on_prepare(self, src, m):
            return Promise(m.ballot, self.accepted)

    assert "a handler answers with self.send(src, ...)" in sentence_for(Returns)


@pytest.mark.slow
def test_a_state_that_never_settles_is_named():
    class Counts(acceptor()):
        seen: int = volatile(0)

        def on_prepare(self, src, m):
            self.seen += 1
            super().on_prepare(src, m)

    assert "`seen` changes each time the same Prepare arrives again" in sentence_for(Counts)


@pytest.mark.slow
def test_calling_what_one_is_to_write_is_told():
    class Calls(acceptor()):
        def on_accept(self, src, m):
            if self.may_accept(m.ballot):
                self.accepted = m

    assert "may_accept of Acceptor is a part of what this exercise asks" in sentence_for(Calls)


def sentence_for(answer):
    feedback = check_exercise("14/acceptor", answer)
    assert not feedback
    return feedback.sentence


def test_a_class_that_uses_a_part_of_the_notebook_is_told_which():
    held = threading.Lock()

    def uses_a_lock(self, src, m):
        with held:
            pass

    with pytest.raises(ScenarioError, match="cannot be sent to the process"):
        check_exercise("14/acceptor", acceptor_that_accepts(uses_a_lock))


def test_the_first_lines_are_kept_and_the_others_counted():
    printed = Printed()
    for number in range(5000):
        printed.write(f"line {number}\n")
    assert printed.told()[0] == "line 0"
    assert printed.told()[LINES_MAX:] == ["… and 4,980 more lines"]


@pytest.mark.slow
def test_an_interrupt_ends_the_check_and_leaves_nothing_running(tmp_path: Path):
    def writes_its_number(self, src, m):
        Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
        while True:
            pass

    noted = tmp_path / "pid"
    os.environ["PID_FILE"] = str(noted)

    def interrupt() -> None:
        while not noted.exists() or not noted.read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        feedback = check_exercise("14/acceptor", acceptor_that_accepts(writes_its_number))
    finally:
        del os.environ["PID_FILE"]
    assert feedback.interrupted
    assert "You stopped the check" in feedback.sentence
    assert not psutil.pid_exists(int(noted.read_text()))
