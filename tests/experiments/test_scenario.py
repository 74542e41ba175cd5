"""A run that was written down is played again, event by event."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterlab.check.explore import explore
from clusterlab.check.invariants import raft
from clusterlab.check.moves import Move
from clusterlab.check.replay import replay
from clusterlab.check.world import World
from clusterlab.core.errors import ScenarioError, UnknownNode
from clusterlab.core.node import Message, Node, NodeId, Timer, durable, volatile
from clusterlab.core.spec import Put
from clusterlab.experiments.scenario import play_scenario, read_message, scenario_text
from clusterlab.protocols.client import Client
from clusterlab.protocols.raft import Raft, RequestVote
from clusterlab.views.page import save
from clusterlab.views.picture import picture
from clusterlab.views.state import State
from tests.protocols.scenario import Scenario as Golden

ELECTION = """
# n1 is elected by n2, which dies when it has answered the first heartbeat.
nodes n1 n2 n3
fire n1 ElectionTimeout
copy n1 n2 RequestVote
deliver n2 n1 VoteReply
deliver n1 n2 RequestVote       # the copy
kill n2 1
deliver n1 n2 AppendEntries
fire n1 HeartbeatDue
deliver n1 n3 AppendEntries 2   # the heartbeat overtakes the entry
deliver n1 n3 AppendEntries
restart n2 lose
"""


class Roll(Message):
    sides: int


class Again(Timer):
    number: int


class Player(Node):
    """Rolls two dice at a time that it looks up."""

    friend: NodeId
    rolled: int = durable(0)
    at_ms: int = volatile(-1)

    def on_start(self) -> None:
        self.set_timer(Again(1), 10)
        self.set_timer(Again(2), 20)

    def on_again(self, t: Again) -> None:
        self.send(self.friend, Roll(t.number))

    def on_roll(self, src: NodeId, m: Roll) -> None:
        self.rolled = self.choose([1, 2, 3]) * 10 + self.choose([1, 2, 3])
        self.at_ms = self.now_ms


PLAYERS = [Player("a", friend="b"), Player("b", friend="a")]
DICE = """
nodes a b
fire a Again(number=2)
clock 1500
choose 3 2
deliver a b Roll
"""


def test_what_is_told_happens_and_nothing_else() -> None:
    played = play_scenario(ELECTION, Raft.group(3))
    trace = played.trace
    assert [move.kind for move in played.path] == [
        *("fire", "deliver", "deliver", "deliver", "deliver", "fire", "deliver", "deliver"),
        "restart",
    ]
    assert [e.data["data"] for e in trace.notes("leader")] == [1]
    assert [(e.data["effects"], trace[e.cause or 0].kind) for e in trace.of("kill")] == [
        (1, "deliver")
    ]
    assert [e.data["disk"] for e in trace.of("restart")] == ["lose"]
    assert len(trace.of("duplicate")) == 1
    sizes = [len(e.data["msg"].entries) for e in trace.of("deliver", node="n3")]
    assert sizes == [0, 1]
    found = replay(trace, Raft.group(3))
    assert not found, str(found)


def test_a_played_scenario_opens_in_the_player(tmp_path: Path) -> None:
    trace = play_scenario(ELECTION, Raft.group(3)).trace
    assert picture(State.of(trace)).startswith("<svg")
    page = save(trace, tmp_path / "election.html").read_text(encoding="utf-8")
    assert "AppendEntries" in page


@pytest.mark.parametrize(("text", "nodes"), [(ELECTION, Raft.group(3)), (DICE, PLAYERS)])
def test_a_run_that_is_written_down_again_is_the_same_run(text: str, nodes: list[Node]) -> None:
    played = play_scenario(text, nodes)
    clocks = [step.clock_ms for step in played.steps]
    again = scenario_text(nodes, played.path, clocks=clocks, remarks=["A remark.", ""])
    assert again.startswith("# A remark.\n#\n\nnodes ")
    assert play_scenario(again, nodes).trace.digest() == played.trace.digest()
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    told = again.split("\n\n")[1].strip().splitlines()
    assert told == [line for line in lines if line]


def test_choices_and_clocks_are_as_told() -> None:
    played = play_scenario(DICE, PLAYERS)
    (saved,) = played.trace.of("save")
    assert saved.data["values"] == {"rolled": 32}
    assert played.trace.of("deliver")[0].data["now_ms"] == 1500
    assert not replay(played.trace, PLAYERS)


def test_a_plain_scenario_is_in_the_language_of_the_golden_ones() -> None:
    text = """
    nodes n1 n2 n3
    fire n1 ElectionTimeout
    deliver n1 n2 RequestVote
    deliver n2 n1 VoteReply
    kill n2
    restart n2
    """
    played = play_scenario(text, Raft.group(3))
    golden = Golden()
    golden.run("raft 3", *(line.strip() for line in text.strip().splitlines()[1:]))
    assert [n.data for n in golden.sim.trace.notes("leader")] == [
        n.data for n in played.trace.notes("leader")
    ]
    assert [(e.kind, e.node) for e in golden.sim.trace if e.kind in ("save", "send", "state")] == [
        (e.kind, e.node) for e in played.trace if e.kind in ("save", "send", "state")
    ]


def test_a_mended_class_plays_the_scenario_of_a_broken_one() -> None:
    class VotesForAll(Raft):
        def grants_vote(self, candidate: NodeId, m: object) -> bool:
            return True

    text = """
    nodes n1 n2 n3
    fire n1 ElectionTimeout
    fire n3 ElectionTimeout
    deliver n1 n2 RequestVote
    deliver n2 n1 VoteReply
    deliver n3 n2 RequestVote
    deliver n2 n3 VoteReply
    """
    broken = play_scenario(text, VotesForAll.group(3), raft.ELECTION_SAFETY)
    assert broken.violation is not None
    assert broken.violation.property == "ElectionSafety"
    assert play_scenario(text, Raft.group(3), raft.ELECTION_SAFETY).violation is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("fire n1 HeartbeatDue", r"line 3 of the scenario: .*n1 waits for ElectionTimeout\(\)"),
        ("deliver n1 n2 VoteReply", "there are 0 such messages on their way from n1 to n2"),
        ("deliver n1 n2 RequestVote 2", "there are 1 such messages"),
        ("restart n2", "`restart n2` cannot happen now: n2 is up"),
        ("explode n2", "there are nodes, deliver, copy, fire"),
        ("fire", "cannot be understood"),
        ("kill n2 soon", "cannot be understood"),
        ("invoke n1 Import('os')", "there is no message class Import"),
        ("invoke n1 Put('#', ' #", "cannot be understood"),
        ("invoke n1 Put(1)", "missing 1 required positional argument"),
        ("restart n2 keeps", "write `restart n2` or `restart n2 lose`"),
    ],
)
def test_a_wrong_line_is_named(line: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        play_scenario(f"nodes n1 n2 n3\nfire n1 ElectionTimeout\n{line}", Raft.group(3))


def test_misuse_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="it begins with `nodes`"):
        play_scenario("fire n1", Raft.group(3))
    with pytest.raises(ScenarioError, match="it begins with `nodes`"):
        play_scenario("", Raft.group(3))
    with pytest.raises(UnknownNode, match="no node 'n4'"):
        play_scenario("nodes n1 n4", Raft.group(3))
    with pytest.raises(UnknownNode, match="no node 'm1'"):
        play_scenario("nodes n1 n2 n3\nkill m1", Raft.group(3))
    with pytest.raises(ScenarioError, match=r"cannot read gone\.txt"):
        play_scenario(tmp_path / "gone.txt", Raft.group(3))
    played = play_scenario(ELECTION, Raft.group(3))
    with pytest.raises(ScenarioError, match="give the nodes of that run"):
        scenario_text(Raft.group(3), played.path[3:])


def test_a_text_keeps_its_spaces_and_signs() -> None:
    servers = Raft.group(1)
    client = Client("c1", servers=("n1",))
    text = """nodes n1 c1
    fire n1 ElectionTimeout
    invoke c1 Put('a  # b', "it's")   # a remark
    """
    played = play_scenario(text, [*servers, client])
    (asked,) = played.trace.of("invoke")
    assert asked.data["operation"] == Put("a  # b", "it's")
    again = scenario_text([*servers, client], played.path)
    assert play_scenario(again, [*servers, client]).path == played.path


def test_what_a_search_found_is_written_down_without_what_was_lost() -> None:
    def alone(world: World) -> bool:
        return any(node.current_term == 2 for node in world.nodes)

    report = explore(
        Raft.group(2),
        goal=alone,
        network="multiset",
        losses=1,
        after=["n1 fires ElectionTimeout()"],
    )
    lost = Move("drop", "n2", "n1", RequestVote(1, 0, 0))
    path = [report.path[0], lost, *report.path[1:]]
    played = play_scenario(scenario_text(Raft.group(2), path), Raft.group(2))
    assert played.path == report.path


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dice.txt"
    path.write_text(DICE, encoding="utf-8")
    assert play_scenario(path, PLAYERS).violation is None


def test_an_operation_is_read_and_never_evaluated() -> None:
    assert read_message("Put(key='x', value=('a', 1))") == Put("x", ("a", 1))
    with pytest.raises(ValueError, match="is no message"):
        read_message("Put('x', open('y').read())")
    with pytest.raises(ValueError, match="is no message"):
        read_message("'x'")
