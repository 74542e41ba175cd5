"""What a learner sees in a notebook when something is wrong: one sentence, no page of traceback."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

SETUP = """
from clusterlab import Cluster, Message, Node, Raft, Timer, durable, volatile

class Ping(Message):
    number: int

class Tick(Timer):
    pass

class Pong(Message):
    number: int
"""

CLUSTER = """
class Player(Node):
    friend: str
    count: int = volatile(0)

    def on_start(self):
        if self.id == "a":
            {start}

    def on_ping(self, src, m):
        {ping}

Cluster([Player("a", friend="b"), Player("b", friend="a")], engine="sim").run(100)
"""

CASES = {
    "an undeclared field": (
        CLUSTER.format(start="self.send(self.friend, Ping(1))", ping="self.total = 1"),
        (
            "UndeclaredField: Player assigns self.total, but declares no such field: "
            "add the line `total: int = durable(...)`"
        ),
    ),
    "a field that is read and undeclared": (
        CLUSTER.format(start="self.send(self.friend, Ping(1))", ping="self.cuont"),
        "Or did you mean `count`?",
    ),
    "a handler under a wrong name": (
        "class Player(Node):\n    def on_pinng(self, src, m): pass",
        (
            "DeclarationError: Player has a handler on_pinng, "
            "but there is no message or timer for it: did you mean `on_ping`?"
        ),
    ),
    "a handler that raises": (
        CLUSTER.format(start="self.send(self.friend, Ping(0))", ping="1 / m.number"),
        (
            "HandlerRaised: Player b raised ZeroDivisionError (division by zero) "
            "while handling Ping(number=0) from a in on_ping"
        ),
    ),
    "a message that nobody handles": (
        CLUSTER.format(start="self.send(self.friend, Pong(1))", ping="pass"),
        (
            "UnhandledMessage: Player b got Pong(number=1) from a but has no on_pong: "
            "add `def on_pong(self, src, m): ...` to Player"
        ),
    ),
    "an unknown node": (
        'Cluster(Raft.group(3), engine="sim").kill("n7")',
        "UnknownNode: there is no node 'n7'; there are n1, n2, n3.",
    ),
    "a partition that forgets a node": (
        'Cluster(Raft.group(3), engine="sim").partition(["n1"], ["n2"])',
        "BadFault: the partition forgets n3: every node stands in one group",
    ),
    "an unknown engine": (
        'Cluster(Raft.group(3), engine="real")',
        "ScenarioError: there is no engine 'real'",
    ),
    "too little memory": (
        (
            'import os\nos.environ["CLUSTERLAB_MEMORY_MIB"] = "99999999"\n'
            'Cluster(Raft.group(3), engine="live")'
        ),
        "close other notebooks and programs, or use engine='sim', which needs none",
    ),
    "Ray missing": (
        'import sys\nsys.modules["ray"] = None\nCluster(Raft.group(3), engine="live")',
        "EngineUnavailable: Ray is not installed",
    ),
}


@pytest.fixture(scope="module")
def client():
    """One kernel for all cases."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SETUP)])
    client = NotebookClient(notebook, timeout=60, kernel_name="python3")
    with client.setup_kernel():
        client.execute_cell(notebook.cells[0], 0)
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_an_error_is_one_sentence_with_the_mend(client, case):
    code, sentence = CASES[case]
    client.nb.cells.append(nbformat.v4.new_code_cell(code))
    cell = client.nb.cells[-1]
    with pytest.raises(CellExecutionError):
        client.execute_cell(cell, len(client.nb.cells) - 1)
    (error,) = [output for output in cell.outputs if output.output_type == "error"]
    shown = "\n".join(error.traceback)
    assert sentence in shown
    assert len(error.traceback) == 1, shown
    assert "Traceback" not in shown
    assert "\n" not in shown.strip()
