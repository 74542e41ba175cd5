from __future__ import annotations

from typing import Any

import pytest

from clusterlab.core.faults import Link
from clusterlab.core.node import WORLD
from clusterlab.core.trace import Trace
from clusterlab.views import state as state_module
from clusterlab.views.state import State, sentence
from tests.views.conftest import FIVE, Alarm, Hello, Story


def of(story: Story) -> State:
    return State.of(story.trace)


def test_a_node_is_what_it_showed_last(story: Story) -> None:
    story.shows("n1", "leader", 3, "busy")
    node = of(story).nodes["n1"]
    assert (node.role, node.epoch, node.label, node.health) == ("leader", 3, "busy", "up")


def test_the_dead_show_nothing_and_forget(story: Story) -> None:
    story.shows("n1", "leader", 3)
    story.add("n1", "set_timer", timer=Alarm(), after_ms=100.0)
    story.add("n1", "pause")
    story.add("n1", "kill", effects=None)
    node = of(story).nodes["n1"]
    assert (node.role, node.health, node.longest_timer()) == (None, "dead", None)
    story.add("n1", "restart", disk="keep")
    node = of(story).nodes["n1"]
    assert (node.role, node.health, node.timers) == (None, "up", {})


def test_an_error_kills(story: Story) -> None:
    story.add("n2", "error", error="x")
    assert of(story).nodes["n2"].health == "dead"


def test_pause_and_resume(story: Story) -> None:
    story.add("n1", "pause")
    assert of(story).nodes["n1"].health == "paused"
    story.add("n1", "resume")
    assert of(story).nodes["n1"].health == "up"


def test_heal_undoes_partition_isolation_and_links(story: Story) -> None:
    story.add(None, "partition", groups=(("n1",), ("n2", "n3", "n4", "n5")))
    story.add("n1", "isolate")
    story.add(None, "link", **Link("n1", "n2", block=True).data())
    state = of(story)
    assert state.groups
    assert state.nodes["n1"].isolated
    assert list(state.links) == [("n1", "n2")]
    story.add(None, "heal")
    state = of(story)
    assert (state.groups, state.nodes["n1"].isolated, state.links) == ((), None, {})


def test_a_link_without_a_fault_is_no_bad_link(story: Story) -> None:
    story.add(None, "link", **Link("n1", "n2", loss=0.5).data())
    story.add(None, "link", **Link("n1", "n2").data())
    assert of(story).links == {}


def test_messages_fly_until_they_arrive_or_are_lost(story: Story) -> None:
    first, second = story.send("n1", "n2", Hello()), story.send("n1", "n3", Hello())
    copy = story.add("n1", "duplicate", cause=second, dst="n3", msg=Hello(), delay_ms=3.0)
    story.send("n1", WORLD, Hello())
    assert list(of(story).flights) == [first, second, copy]
    story.deliver(first)
    story.drop(second, "lost")
    assert list(of(story).flights) == [copy]


def test_a_message_whose_end_is_never_told_is_forgotten(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "FLIGHTS_LIMIT", 3)
    sent = [story.send("n1", "n2", Hello()) for _ in range(5)]
    assert list(of(story).flights) == sent[-3:]


def test_the_longest_timer_counts_in_the_clock_of_its_owner(story: Story) -> None:
    story.at(10).add("n1", "skew", offset_ms=0, rate=2.0)
    story.add("n1", "set_timer", timer=Alarm(), after_ms=100.0)
    story.add("n1", "set_timer", timer=Hello("short"), after_ms=5.0)
    assert of(story).nodes["n1"].longest_timer() == (10, 60)
    story.add("n1", "cancel_timer", timer=Alarm())
    assert of(story).nodes["n1"].longest_timer() == (10, 12.5)
    story.add("n1", "fire", timer=Hello("short"))
    assert of(story).nodes["n1"].longest_timer() is None


def test_roles_and_types_keep_the_order_in_which_they_came() -> None:
    story = Story(clients=("c1",))
    for name, role in (("n1", "b"), ("n2", "a"), ("c1", "client"), ("n3", "b")):
        story.shows(name, role)
    for text in ("z", "y", "z"):
        story.send("n1", "n2", text)
    state = of(story)
    assert (state.roles, state.types) == (["b", "a"], ["z", "y"])


def test_who_is_not_a_server_is_a_client_if_the_servers_are_known() -> None:
    story = Story(("n1",))
    story.add("visitor", "start")
    assert of(story).clients == ["visitor"]
    by_hand = Trace()
    by_hand.append(0, "a", "send", {"dst": "b", "msg": "hello"})
    by_hand.append(1, "b", "deliver", {"src": "a", "msg": "hello"}, cause=0)
    assert State.of(by_hand).servers == ["a", "b"]


def test_the_base_tells_the_state_again() -> None:
    story = Story(clients=("c1",))
    story.at(5).shows("n1", "leader", 2)
    story.add("n1", "set_timer", timer=Alarm(), after_ms=50.0)
    story.add("n2", "kill", effects=None)
    story.add("n3", "pause")
    story.add("n4", "isolate")
    story.add("n5", "skew", offset_ms=0, rate=1.5)
    story.add(None, "partition", groups=(("n1",), ("n2", "n3", "n4", "n5")))
    story.add(None, "link", **Link("n1", "n2", block=True).data())
    story.add("c1", "invoke", operation=Hello())
    story.deliver(story.send("n1", "n3", Hello("gone")))
    story.send("n1", "n3", Hello("flying"))
    whole = of(story)
    base = whole.base()
    assert len(base) < len(story.events)
    assert [event.seq for event in base] == sorted({event.seq for event in base})
    again = State(FIVE, ("c1",)).add_all(base)
    assert picture_of(again) == picture_of(whole)


def picture_of(state: State) -> Any:
    nodes = [
        (n.name, n.health, n.role, n.isolated, n.longest_timer(), n.operation)
        for n in state.nodes.values()
    ]
    return nodes, state.flights, state.links, state.groups, sentence(state)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "Five nodes at 0 ms."),
        ([("n1", "a"), ("n2", "a"), ("n3", "b")], "Five nodes at 0 ms: 2 a, 1 b."),
        ([("n2", "leader")], "Five nodes at 0 ms: n2 leads in epoch 3."),
        ([("n2", "leader"), ("n2", "other")], "Five nodes at 0 ms: no node leads."),
    ],
)
def test_the_sentence_says_who_leads(
    story: Story, events: list[tuple[str, str]], words: str
) -> None:
    for name, role in events:
        story.shows(name, role, 3)
    assert sentence(of(story)) == words


def test_the_sentence_says_what_is_broken(story: Story) -> None:
    story.shows("n2", "leader", 3)
    story.at(1200).add("n4", "kill", effects=None)
    assert sentence(of(story)) == "Five nodes at 1,200 ms: n2 leads in epoch 3; n4 is dead."
    story.add("n5", "kill", effects=None)
    story.add("n1", "pause")
    story.add("n3", "isolate")
    story.add(None, "partition", groups=(("n1", "n2"), ("n3", "n4", "n5")))
    assert sentence(of(story)) == (
        "Five nodes at 1,200 ms: n2 leads in epoch 3; n4 and n5 are dead; n1 is paused; "
        "n3 is isolated; the network is cut: n1, n2 | n3, n4, n5."
    )


def test_one_node_and_many() -> None:
    assert sentence(of(Story(("a",)))) == "One node at 0 ms."
    many = Story([f"n{i}" for i in range(40)])
    assert sentence(of(many)) == "40 nodes at 0 ms."
