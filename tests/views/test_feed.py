from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from clusterlab.core.errors import BadFault
from clusterlab.core.faults import Heal, Isolate, Kill, Partition, Pause, Restart, Resume
from clusterlab.views import feed as feed_module
from clusterlab.views.feed import Feed
from tests.views.conftest import FIVE, FakeCluster


class Ear:
    """What pictures hear, and a way to wait for it."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.changed = threading.Condition()

    def __call__(self, message: dict[str, Any]) -> None:
        json.dumps(message)  # what is sent must be JSON
        with self.changed:
            self.heard.append(message)
            self.changed.notify_all()

    def wait(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.of(kind)) >= count, timeout=20), (
                self.heard
            )
        return self.of(kind)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["type"] == kind]

    def seqs(self) -> list[int]:
        return [r["seq"] for m in self.of("records") for r in json.loads(m["records"])]


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def feed(fake: FakeCluster, ear: Ear) -> Iterator[Feed]:
    feed = Feed(fake, ear, 0.05)
    yield feed
    feed.stop()
    assert not feed.running


def note(fake: FakeCluster, count: int = 1) -> None:
    for _ in range(count):
        fake.trace.append(fake.time_ms, "n1", "note", {"name": "x", "data": None})


def test_nothing_is_sent_before_a_picture_opens(fake: FakeCluster, feed: Feed, ear: Ear) -> None:
    note(fake)
    assert not feed.running
    assert ear.heard == []


def test_a_picture_gets_the_past_and_then_the_rest(fake: FakeCluster, feed: Feed, ear: Ear) -> None:
    note(fake, 3)
    feed.open("v1")
    (past,) = ear.of("past")
    assert (past["to"], past["live"], past["servers"]) == ("v1", True, list(FIVE))
    assert len(json.loads(past["records"])) == 3
    note(fake, 2)
    fake.time_ms = 5.0
    ear.wait("records")
    assert ear.seqs() == [3, 4]
    assert ear.of("records")[0]["now_ms"] == 5.0


def test_a_picture_that_knocks_twice_is_answered_once(feed: Feed, ear: Ear) -> None:
    feed.open("v1")
    feed.open("v1")
    assert len(ear.of("past")) == 1


def test_a_second_picture_gets_a_past_of_its_own(fake: FakeCluster, feed: Feed, ear: Ear) -> None:
    feed.open("v1")
    note(fake, 2)
    ear.wait("records")
    feed.open("v2")
    assert [m["to"] for m in ear.of("past")] == ["v1", "v2"]
    assert len(json.loads(ear.of("past")[1]["records"])) == 2


def test_the_time_is_told_when_nothing_happens(fake: FakeCluster, feed: Feed, ear: Ear) -> None:
    feed.open("v1")
    fake.time_ms = 10.0
    (told, *_) = ear.wait("records")
    assert (told["records"], told["now_ms"]) == ("[]", 10.0)


def test_the_feed_ends_with_the_last_picture_and_begins_again(
    fake: FakeCluster, feed: Feed, ear: Ear
) -> None:
    feed.open("v1")
    thread = feed._thread
    assert thread is not None
    feed.leave("v1")
    thread.join(timeout=20)
    assert not feed.running
    note(fake)
    feed.open("v2")
    assert len(json.loads(ear.of("past")[1]["records"])) == 1
    assert feed.running


def test_the_feed_ends_when_the_cluster_has_stopped(
    fake: FakeCluster, feed: Feed, ear: Ear
) -> None:
    feed.open("v1")
    note(fake)
    fake.stopped = True  # type: ignore[attr-defined]
    assert ear.wait("said")[0]["text"] == "the cluster was stopped"
    assert ear.seqs() == [0], "what happened before is shown"
    assert feed._thread is not None
    feed._thread.join(timeout=20)
    assert not feed.running


def test_a_flood_is_cut_to_its_newest_part(
    fake: FakeCluster, feed: Feed, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "PAST_LIMIT", 10)
    feed.open("v1")
    with feed._lock:
        note(fake, 50)
    past = ear.wait("past", 2)[1]
    assert (past["to"], past["left_out"], len(json.loads(past["records"]))) == (None, 40, 10)


def test_an_exception_in_the_feed_is_said(
    fake: FakeCluster, feed: Feed, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.open("v1")
    monkeypatch.setattr(fake, "trace", None)
    (error,) = ear.wait("error")
    assert error["text"].startswith("the picture stopped: TypeError")
    assert error["text"].endswith("run the cell again.")


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ({"do": "kill", "node": "n1"}, Kill("n1")),
        ({"do": "restart", "node": "n1", "disk": "lose"}, Restart("n1", "lose")),
        ({"do": "restart", "node": "n1"}, Restart("n1")),
        ({"do": "pause", "node": "n1"}, Pause("n1")),
        ({"do": "resume", "node": "n1"}, Resume("n1")),
        ({"do": "isolate", "node": "n1"}, Isolate("n1")),
        (
            {"do": "partition", "groups": [["n1"], ["n2", "n3", "n4", "n5"]]},
            Partition((("n1",), ("n2", "n3", "n4", "n5"))),
        ),
        ({"do": "heal"}, Heal()),
    ],
)
def test_commands_are_faults(
    fake: FakeCluster, feed: Feed, ear: Ear, command: dict[str, Any], fault: Any
) -> None:
    feed.command(command)
    assert fake.told == [fault]
    assert ear.heard == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ({"do": "kill", "node": "n9"}, "there is no node 'n9'"),
        ({"do": "partition", "groups": [["n1"]]}, "the partition forgets n2"),
        ({"do": "explode"}, "there is no command 'explode'"),
        ({"do": "kill"}, "kill did not work"),
        ({"do": "speed", "speed": 1}, "this cluster runs at a speed of its own"),
    ],
)
def test_what_cannot_be_done_is_said(
    feed: Feed, ear: Ear, command: dict[str, Any], words: str
) -> None:
    feed.command(command)
    (error,) = ear.of("error")
    assert words in error["text"]


def test_a_failure_of_the_engine_is_said(fake: FakeCluster, feed: Feed, ear: Ear) -> None:
    fake.answer = BadFault("this cannot be: do that.")
    feed.command({"do": "heal"})
    fake.answer = OSError("no such process")
    feed.command({"do": "kill", "node": "n1"})
    assert [m["text"] for m in ear.of("error")] == [
        "this cannot be: do that.",
        "kill n1 did not work: OSError: no such process.",
    ]


def test_a_command_that_changed_nothing_says_so(fake: FakeCluster, feed: Feed, ear: Ear) -> None:
    fake.answer = False
    feed.command({"do": "kill", "node": "n1"})
    assert ear.of("said")[0]["text"] == "kill n1: nothing changed"
