from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterlab.core.node import Message, Node, Timer
from clusterlab.sim import Simulation
from clusterlab.views import show, watch
from clusterlab.views.cluster_view import ClusterView
from tests.views.conftest import FakeCluster, Hello, Story

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def views() -> Iterator[list[ClusterView]]:
    made: list[ClusterView] = []
    yield made
    for view in made:
        view.close()
        assert not view.running


def hear(view: ClusterView, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(
        ClusterView, "send", lambda self, content, buffers=None: heard.append(content)
    )
    return heard


def test_a_view_has_a_picture_and_a_sentence_beside_the_widget(
    story: Story, views: list[ClusterView]
) -> None:
    story.shows("n2", "leader", 3)
    view = show(story.trace)
    views.append(view)
    bundle = view._repr_mimebundle_()
    assert bundle is not None
    assert set(bundle[0]) == {WIDGET, "image/svg+xml", "text/plain"}
    assert bundle[0]["text/plain"] == "Five nodes at 0 ms: n2 leads in epoch 3." == repr(view)
    assert bundle[0]["image/svg+xml"].startswith("<svg")
    story.add("n2", "kill", effects=None)
    assert "n2 is dead" in view.sentence(), "the picture is of now, not of when it was made"


def test_a_recorded_run_is_sent_when_a_picture_opens(
    story: Story, views: list[ClusterView], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = show(story.trace)
    views.append(view)
    heard = hear(view, monkeypatch)
    for name in ("v1", "v2"):
        view._handle_custom_msg({"do": "ready", "view": name}, [])
    view._handle_custom_msg({"do": "kill", "node": "n1"}, [])
    assert [(m["type"], m["to"], m["live"]) for m in heard] == [
        ("past", "v1", False),
        ("past", "v2", False),
    ]


def test_a_click_reaches_the_cluster(fake: FakeCluster, views: list[ClusterView]) -> None:
    view = watch(fake)
    views.append(view)
    view._handle_custom_msg({"do": "kill", "node": "n3"}, [])
    assert [fault.kind for fault in fake.told] == ["kill"]


def test_the_feed_runs_while_a_picture_is_shown(
    fake: FakeCluster, views: list[ClusterView]
) -> None:
    view = watch(fake)
    views.append(view)
    assert not view.running
    view._handle_custom_msg({"do": "ready", "view": "v"}, [])
    assert view.running
    view.close()
    assert not view.running


def test_a_view_saves_itself(story: Story, views: list[ClusterView], tmp_path: Path) -> None:
    view = show(story.trace)
    views.append(view)
    assert view.save_html(tmp_path / "x.html").stat().st_size > 10_000


class Tick(Timer):
    pass


class Metronome(Node):
    """Sets a timer for ever."""

    def on_start(self) -> None:
        self.set_timer(Tick(), 10)

    def on_tick(self, t: Message) -> None:
        self.set_timer(Tick(), 10)


def test_watching_a_simulation_lets_its_time_pass(views: list[ClusterView]) -> None:
    with Simulation([Metronome("a")]) as sim:
        view = watch(sim, speed=50)
        views.append(view)
        sim.run_until(lambda: sim.now_ms > 100)
        view._handle_custom_msg({"do": "speed", "speed": 100}, [])
        sim.run_until(lambda: sim.now_ms > 300)
        view._handle_custom_msg({"do": "pause", "node": "a"}, [])
        assert sim.health("a") == "paused"


def test_the_feed_of_a_simulation_ends_with_it(views: list[ClusterView]) -> None:
    sim = Simulation([Metronome("a")])
    view = watch(sim)
    views.append(view)
    view._handle_custom_msg({"do": "ready", "view": "v"}, [])
    assert view._feed is not None
    thread = view._feed._thread
    assert thread is not None
    sim.stop()
    thread.join(timeout=20)
    assert not view.running


def test_the_last_picture_takes_the_place_of_the_first_when_the_cluster_stops(
    views: list[ClusterView], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []

    class Place:
        def update(self, data: dict[str, Any], **how: Any) -> None:
            assert how["raw"]
            shown.append(data)

    def display(data: dict[str, Any], **how: Any) -> Place:
        assert how["display_id"]
        Place().update(data, **how)
        return Place()

    monkeypatch.setattr("IPython.display.display", display)
    sim = Simulation([Metronome("a")])
    view = ClusterView.watch(sim)
    views.append(view)
    view._ipython_display_()
    sim.run(500)
    sim.kill("a")
    sim.stop()
    sim.stop()
    first, last = shown
    assert first[WIDGET] == last[WIDGET]
    assert first["text/plain"] == "One node at 0 ms."
    assert last["text/plain"] == "One node at 500 ms: a is dead."
    assert first["image/svg+xml"] != last["image/svg+xml"]


def test_a_picture_that_nobody_was_shown_is_not_drawn_anew(views: list[ClusterView]) -> None:
    sim = Simulation([Metronome("a")])
    view = ClusterView.watch(sim)
    views.append(view)
    view.close()
    sim.stop()
    assert sim._at_stop == []


def test_a_message_in_a_still_picture(story: Story, views: list[ClusterView]) -> None:
    story.send("n1", "n2", Hello())
    view = show(story.trace)
    views.append(view)
    assert "n1 to n2: Hello" in view.svg()


def test_the_widget_libraries_load_when_a_view_is_made() -> None:
    script = (
        "import sys, clusterlab, clusterlab.views, clusterlab.views.page\n"
        "late = [n for n in ('anywidget', 'ipywidgets', 'traitlets') if n in sys.modules]\n"
        "sys.exit(f'loaded too early: {late}' if late else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
