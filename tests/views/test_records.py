from __future__ import annotations

import json

from clusterlab.core.history import Invoke
from clusterlab.core.node import WORLD
from clusterlab.core.spec import Put
from clusterlab.core.values import Splice
from clusterlab.views.records import TEXT_LIMIT, brief, call, record, records_json, type_of
from tests.views.conftest import Alarm, Hello, Story


def test_a_message_becomes_its_name_and_a_short_text(story: Story) -> None:
    story.send("n1", "n2", Hello("x" * 1000), 12.34567)
    slim = record(story.events[-1])
    assert slim is not None
    assert slim["data"]["type"] == "Hello"
    assert slim["data"]["delay_ms"] == 12.346
    assert len(slim["data"]["text"]) <= TEXT_LIMIT


def test_what_is_said_to_the_world_is_not_shown(story: Story) -> None:
    story.send("n1", WORLD, Hello())
    story.add("n1", "deliver", src=WORLD, msg=Invoke(Hello()))
    assert [record(event) for event in story.events[-2:]] == [None, None]


def test_what_is_saved_is_a_text_and_of_a_tuple_what_is_new(story: Story) -> None:
    story.add("n1", "save", values={"x": {"a": 1}, "log": Splice(2, (Put("x", 1),)), "old": (1, 2)})
    slim = record(story.events[-1])
    assert slim is not None
    assert slim["data"]["values"] == {
        "x": "{'a': 1}",
        "log": {"keep": 2, "items": ["Put(key='x', value=1)"]},
        "old": {"keep": 0, "items": ["1", "2"]},
    }


def test_every_other_kind_is_plain_json() -> None:
    story = Story(("n1", "n2"), ("c1",))
    story.deliver(story.send("n1", "n2", Hello()))
    story.drop(story.send("n1", "n2", Hello(), None), "lost")
    story.add("n1", "set_timer", timer=Alarm(), after_ms=5.0)
    story.add("n1", "cancel_timer", timer=Alarm())
    story.add("n1", "fire", timer=Alarm())
    story.add("n1", "note", name="x", data={"a": {1, 2}})
    story.shows("n1", "leader", 1)
    story.add("n1", "kill", effects=None)
    story.add("n1", "restart", disk="keep")
    story.add("n1", "skew", offset_ms=1, rate=2.0)
    story.add(None, "partition", groups=(("n1",), ("n2",)))
    story.add(None, "heal")
    story.add(None, "link", src="n1", dst="n2", block=True, loss=None, delay_ms=(1, 2))
    story.add("c1", "invoke", operation=Put("x", 1))
    story.add("c1", "return", outcome="ok", value=(1, 2))
    story.add("n1", "error", error="a sentence")
    read = json.loads(records_json(story.events))
    assert [r["seq"] for r in read] == list(range(len(story.events)))
    assert {r["kind"]: r["data"] for r in read}["return"] == {"outcome": "ok", "text": "(1, 2)"}


def test_texts() -> None:
    assert brief(Hello("a")) == "Hello(text='a')"
    assert brief(Alarm()) == "Alarm"
    assert brief(tuple(range(100))) == "(0, 1, 2, ...)"
    assert call(Put("x", 1)) == "Put('x', 1)"
    assert call("a text") == "a text"
    assert type_of("hello") == "hello"
    assert type_of(Hello()) == "Hello"
