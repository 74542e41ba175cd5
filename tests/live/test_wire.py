"""Messages as bytes: every class finds its twin, by number, by name, or by travelling whole."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

from clusterlab.core.node import Message, Node, Timer, durable
from clusterlab.core.spec import Put
from clusterlab.live.wire import Wire, dumps_by_value, names_for, vocabulary

ROOT = Path(__file__).parents[2]


class Spot(NamedTuple):
    x: int
    y: str | None = None


class Move(Message):
    to: Spot
    by: tuple[int, ...] = ()


class Tick(Timer):
    pass


class Walker(Node):
    at: Spot = durable(Spot(0))

    def on_move(self, src: str, m: Move) -> None:
        self.at = m.to


def test_messages_and_named_tuples_come_back_as_what_they_were() -> None:
    wire = Wire(vocabulary([Walker("w")]))
    value = [Move(Spot(1, "a"), (1, 2)), Tick(), {Spot(2): {3, 4}}, ("x", None, 1.5)]
    back = wire.loads(wire.dumps(value))
    assert back == value
    assert type(back[0]) is Move
    assert type(back[0].to) is Spot
    assert hash(back[0]) == hash(value[0])


def test_two_ends_with_the_same_list_understand_each_other() -> None:
    classes = vocabulary([Walker("w")])
    assert Wire(classes).loads(Wire(classes).dumps(Move(Spot(1)))) == Move(Spot(1))


def test_a_class_is_a_number_on_the_wire() -> None:
    wire = Wire(vocabulary([Walker("w")]))
    data = wire.dumps(Move(Spot(1)))
    assert b"Move" not in data
    assert b"test_wire" not in data
    assert len(data) < 150


def test_the_vocabulary_holds_what_the_nodes_see_hold_and_what_is_registered() -> None:
    class Held(NamedTuple):
        number: int

    class Keeper(Node):
        held: tuple[Held, ...]

    classes = vocabulary([Keeper("k", held=(Held(1),))])
    assert {Held, Move, Put} <= set(classes)
    assert Spot in vocabulary([Walker("w")])


def test_a_class_of_the_same_name_and_fields_is_the_one_in_the_list() -> None:
    """After a cell was run again, the new class's messages are the old cluster's."""

    def cell() -> type[Message]:
        class Rerun(Message):
            number: int

        return Rerun

    first, again = cell(), cell()
    wire = Wire([first])
    back = wire.loads(wire.dumps(again(7)))
    assert type(back) is first
    assert back == first(7)


def test_a_class_that_nobody_listed_travels_whole() -> None:
    class Late(Message):
        number: int

    class Pair(NamedTuple):
        a: int
        b: int

    here, there = Wire(), Wire()
    back = there.loads(here.dumps([Late(1), Late(2), Pair(3, 4)]))
    assert [type(value).__name__ for value in back] == ["Late", "Late", "Pair"]
    assert back[0].number == 1
    assert type(back[0]) is type(back[1])
    assert back[2].b == 4


def test_a_class_of_the_same_name_with_other_fields_is_another() -> None:
    class Old(Message):
        a: int

    old = Old

    class Old(Message):  # type: ignore[no-redef]
        b: int

    back = Wire([old]).loads(Wire([old]).dumps(Old(5)))
    assert back.b == 5


def test_classes_that_came_later_are_appended_so_that_numbers_stay() -> None:
    class Later(Message):
        n: int

    here, there = Wire([Spot]), Wire([Spot])
    assert here.learn([Spot, Later]) == [Later]
    assert here.learn([Later]) == []
    there.learn([Later])
    assert there.loads(here.dumps((Spot(1), Later(2)))) == (Spot(1), Later(2))


def test_what_no_pickle_can_hold_is_an_error() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        Wire().dumps(lambda: None)


def test_on_a_name_that_two_classes_have_the_nodes_own_wins() -> None:
    class Other(NamedTuple):
        x: int

    Other.__name__ = "Spot"
    assert names_for([Walker("w")], [Spot, Other])["Spot"] is Spot


def test_dataclass_sentinels_survive_the_trip() -> None:
    """`dataclasses` compares them by identity; without that a subclass would get wrong defaults."""
    data = dumps_by_value(dataclasses.MISSING)
    assert pickle.loads(data) is dataclasses.MISSING  # noqa: S301 - written in the line above


NOTEBOOK = """
import pickle, subprocess, sys
from typing import NamedTuple
from clusterlab.core.node import *
from clusterlab.live.wire import Wire, dumps_by_value, vocabulary

class Pair(NamedTuple):
    a: int
    b: str = "b"

class Ask(Message):
    pair: Pair
    more: tuple[int, ...] = ()

class Wake(Timer):
    number: int = 3

class Base(Node):
    limit: int = 5
    seen: int = durable(0)
    friends: dict = volatile({})

    def on_wake(self, t):
        self.seen += t.number

class Derived(Base):
    name: str = "d"
    pairs: tuple = durable(())

    def on_ask(self, src, m):
        self.pairs += (m.pair,)
        self.set_timer(Wake(), (1, 2))
        self.send(src, Ask(Pair(self.limit), (1,)))

node = Derived("n1", limit=7)
wire = Wire(vocabulary([node]))
shipped = dumps_by_value((wire.classes, node))
other_side = '''
import pickle, sys
classes, node = pickle.loads(sys.stdin.buffer.read())
from clusterlab.core.node import *
from clusterlab.core.node import step, restart, Deliver, Fire
from clusterlab.live.wire import Wire
wire = Wire(classes)
names = wire.names
Ask, Pair, Wake = names["Ask"], names["Pair"], names["Wake"]
after, effects = step(node, Deliver("x", Ask(Pair(1))))
assert [f for f in after.state()] == ["seen", "pairs", "friends"], after.state()
assert after.pairs == (Pair(1, "b"),), after.pairs
print(effects)
after, effects = step(after, Fire(Wake()))
assert after.seen == 3
again = restart(after)
assert again.limit == 7 and again.name == "d" and again.seen == 3 and again.friends == {}
try:
    Ask(Pair(1)).more = 1
except Exception as error:
    print(type(error).__name__)
sys.stdout.flush()
sys.stdout.buffer.write(b"|" + wire.dumps(Ask(Pair(9))))
'''
done = subprocess.run([sys.executable, "-c", other_side], input=shipped, capture_output=True)
assert done.returncode == 0, done.stderr.decode()
text, data = done.stdout.split(b"|", 1)
print(text.decode().strip())
back = wire.loads(data)
assert type(back) is Ask and type(back.pair) is Pair, back
print(back)
"""


def test_classes_of_a_notebook_work_in_another_process(tmp_path: Path) -> None:
    script = tmp_path / "notebook.py"
    script.write_text(textwrap.dedent(NOTEBOOK))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Save(values={'pairs': Splice(keep=0, items=(Pair(a=1, b='b'),))})" in done.stdout
    assert "FrozenInstanceError" in done.stdout
    assert done.stdout.rstrip().endswith("Ask(pair=Pair(a=9, b='b'), more=())")
