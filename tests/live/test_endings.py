"""However a program ends, none of its processes is left, and its errors are sentences."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from clusterlab.live.machine import is_alive
from tests.processes import MARK, describe, end, started_by

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
GONE_LIMIT_S = 20.0

# Everything is defined in __main__, as in a notebook, and twice, as when a cell is run again.
PROGRAM = """
import signal, sys, time
from typing import NamedTuple
from clusterlab.core.history import Invoke, Invoked, Returned
from clusterlab.core.network import Network
from clusterlab.core.node import WORLD, Message, Node, Timer, durable, volatile
from clusterlab.live import LiveCluster

def cell(reply):
    global Pair, Ask, Tell, Nap, Echo
    exec('''
class Pair(NamedTuple):
    left: int
    right: str = "r"

class Ask(Message):
    pair: Pair

class Tell(Message):
    pair: Pair

class Nap(Timer):
    pair: Pair = Pair(9)

class Base(Node):
    naps: int = volatile(0)
    limit: int = 3

    def on_nap(self, t):
        self.naps += t.pair.left

class Echo(Base):
    friend: str
    seen: tuple = durable(())

    def on_start(self):
        self.set_timer(Nap(), 1)

    def on_invoke(self, src, m):
        self.send(WORLD, Invoked(m.operation))
        if m.operation.pair.left < 0:
            raise ValueError("negative")
        self.send(self.friend, m.operation)

    def on_ask(self, src, m):
        self.seen += (m.pair,)
        self.send(src, Tell(m.pair._replace(right=REPLY)))

    def on_tell(self, src, m):
        self.send(WORLD, Returned("ok", m.pair))
'''.replace("REPLY", repr(reply)), globals())

def make():
    cluster = LiveCluster(
        [Echo("a", friend="b"), Echo("b", friend="a")], network=Network(delay_ms=(0, 0))
    )
    answer = cluster.invoke("a", Ask(Pair(1)))
    assert type(answer) is Pair, answer
    print("answer", answer, flush=True)
    return cluster

"""

STORY = """
cell("first")
first = make()
cell("second")
second = make()
print("old", first.invoke("a", Ask(Pair(2))), flush=True)
first.kill("b")
assert [type(pair).__name__ for pair in first.state("b")["seen"]] == ["Pair", "Pair"]
first.restart("b")
print("again", first.invoke("a", Ask(Pair(3))), len(first.state("b")["seen"]), flush=True)
assert Ask(Pair(1)) in [event.data["msg"] for event in second.trace.of("deliver", node="b")]
second.run_until(lambda: second.state("b")["naps"] == 9)
print("ready", flush=True)
"""


class Program:
    """A driver in a process group of its own, as a terminal would start it."""

    def __init__(self, folder: Path, code: str, **environment: str) -> None:
        self.session = uuid.uuid4().hex
        script = folder / "program.py"
        script.write_text(textwrap.dedent(code))
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            cwd=ROOT,
            env={**os.environ, MARK: self.session, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, word: str) -> str:
        """What it printed, up to a line that begins with `word`."""
        assert self.process.stdout is not None
        read = ""
        for line in self.process.stdout:
            read += line
            if line.startswith(word):
                return read
        pytest.fail(f"{read}\n{self.process.stderr.read() if self.process.stderr else ''}")

    def ends(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def living(self) -> list[psutil.Process]:
        """Its processes, without those that only wait for their parent to notice their end."""
        return [p for p in started_by(self.session) if is_alive(p.pid)]

    def check_that_nothing_is_left(self) -> None:
        begun = time.monotonic()
        while self.living():
            assert time.monotonic() - begun < GONE_LIMIT_S, describe(self.living())
            time.sleep(0.05)


@pytest.fixture
def programs(request: pytest.FixtureRequest) -> Iterator[list[Program]]:
    made: list[Program] = []
    yield made
    for program in made:
        end(started_by(program.session))
        if program.process.poll() is None:
            program.process.kill()
        program.process.communicate()


def temporary(pid: int) -> list[Path]:
    return list(Path("/tmp").glob(f"clusterlab-{pid}-*"))


ONE = """
cell("one")
second = make()
print("ready", flush=True)
"""


def test_a_program_that_ends_by_itself_leaves_nothing_and_says_nothing(
    tmp_path: Path, programs: list[Program]
) -> None:
    program = Program(tmp_path, PROGRAM + STORY)
    programs.append(program)
    code, out, err = program.ends()
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "answer Pair(left=1, right='first')",
        "answer Pair(left=1, right='second')",
        "old Pair(left=2, right='first')",
        "again Pair(left=3, right='first') 3",
        "ready",
    ]
    program.check_that_nothing_is_left()
    assert temporary(program.process.pid) == []


def test_ctrl_c_in_the_middle_leaves_nothing(tmp_path: Path, programs: list[Program]) -> None:
    program = Program(tmp_path, PROGRAM + ONE + "second.run(60_000)\n")
    programs.append(program)
    program.wait_for("ready")
    os.killpg(program.process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    code, _, err = program.ends()
    assert code != 0
    assert err.rstrip().endswith("KeyboardInterrupt")
    program.check_that_nothing_is_left()
    assert temporary(program.process.pid) == []


def test_ctrl_c_during_the_start_leaves_nothing(tmp_path: Path, programs: list[Program]) -> None:
    code = (PROGRAM + ONE).replace(
        "LiveCluster(\n", "LiveCluster(progress=lambda t: print(t, flush=True), nodes=\n"
    )
    program = Program(tmp_path, code)
    programs.append(program)
    program.wait_for("starting Ray")
    time.sleep(0.7)  # somewhere in the middle of it; wherever that is, nothing may be left
    os.killpg(program.process.pid, signal.SIGINT)
    assert program.ends()[0] != 0
    program.check_that_nothing_is_left()
    assert temporary(program.process.pid) == []


def test_a_driver_that_is_killed_takes_everything_with_it(
    tmp_path: Path, programs: list[Program]
) -> None:
    program = Program(
        tmp_path, PROGRAM + ONE + "second.pause('a')\nprint('paused', flush=True)\ntime.sleep(60)\n"
    )
    programs.append(program)
    program.wait_for("paused")
    assert len(started_by(program.session)) > 4
    program.process.kill()
    program.process.wait()
    program.check_that_nothing_is_left()


def test_an_error_in_a_handler_ends_the_program_with_its_sentence(
    tmp_path: Path, programs: list[Program]
) -> None:
    program = Program(tmp_path, PROGRAM + ONE + "second.invoke('a', Ask(Pair(-1)))\n")
    programs.append(program)
    code, _, err = program.ends()
    assert code == 1
    assert "HandlerRaised: Echo a raised ValueError (negative) while handling" in err
    program.check_that_nothing_is_left()
    assert temporary(program.process.pid) == []


def test_a_start_that_fails_half_way_leaves_nothing(
    tmp_path: Path, programs: list[Program]
) -> None:
    code = """
    from clusterlab.core.errors import EngineUnavailable
    from clusterlab.core.node import Node
    from clusterlab.live import LiveCluster

    class Trap:
        def __reduce__(self):
            import operator
            return operator.truediv, (1, 0)

    class Caught(Node):
        trap: object = None

    try:
        LiveCluster([Caught("a", trap=Trap())])
    except BaseException as error:
        print(type(error).__name__, error)
    """
    program = Program(tmp_path, code)
    programs.append(program)
    _, out, _ = program.ends()
    assert out.startswith("EngineUnavailable a node's process could not start")
    assert "division by zero" in out
    program.check_that_nothing_is_left()
    assert temporary(program.process.pid) == []
