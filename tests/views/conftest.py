"""Traces written by hand, a cluster without an engine, and a browser without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterlab.core.cluster import Cluster
from clusterlab.core.faults import Fault
from clusterlab.core.history import Returned
from clusterlab.core.node import Message, Node, Timer
from clusterlab.core.trace import Trace, TraceEvent
from clusterlab.views.finding import Finding
from clusterlab.views.page import page as page_of
from clusterlab.views.page import recorded

FIVE = ("n1", "n2", "n3", "n4", "n5")
CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Hello(Message):
    text: str = "hi"


class Bye(Message):
    pass


class Alarm(Timer):
    pass


class Still(Node):
    """A node that does nothing."""


class FakeCluster(Cluster):
    """A cluster without an engine: the test writes its trace; it remembers what it was told."""

    engine = "fake"

    def __init__(self, names: Iterable[str] = FIVE) -> None:
        super().__init__([Still(name) for name in names])
        self.told: list[Fault] = []
        self.answer: bool | Exception = True
        self.time_ms = 0.0

    def _apply(self, fault: Fault) -> bool:
        self.told.append(fault)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def _add_client(self, node: Node) -> None: ...

    def _invoke(self, node: str, operation: Message, limit_ms: float) -> Returned | None: ...

    def state(self, node: str) -> dict[str, Any]:
        return {}

    def health(self, node: str) -> Any:
        return "up"

    @property
    def now_ms(self) -> float:
        return self.time_ms

    def _run_to(self, until_ms: float) -> None:
        self.time_ms = until_ms

    def run_until(
        self, condition: Callable[[], bool], limit_ms: float = 60_000, what: str = ""
    ) -> None: ...

    def stop(self) -> None: ...


class Story:
    """A trace in the making: `story.at(10).send("n1", "n2", Hello())`."""

    def __init__(self, servers: Iterable[str] = FIVE, clients: Iterable[str] = ()) -> None:
        self.trace = Trace(servers=list(servers), clients=list(clients))
        self.time_ms = 0.0
        for name in [*servers, *clients]:
            self.add(name, "start")

    def at(self, time_ms: float) -> Story:
        self.time_ms = time_ms
        return self

    def add(self, node: str | None, kind: str, cause: int | None = None, **data: Any) -> int:
        return self.trace.append(self.time_ms, node, kind, data, cause)

    def shows(self, node: str, role: str, epoch: int | None = None, label: str = "") -> int:
        return self.add(node, "state", role=role, epoch=epoch, label=label)

    def send(self, src: str, dst: str, msg: Any, delay_ms: float | None = 10.0) -> int:
        return self.add(src, "send", dst=dst, msg=msg, delay_ms=delay_ms)

    def deliver(self, sent: int) -> int:
        event = self.trace[sent]
        return self.add(
            event.data["dst"], "deliver", cause=sent, src=event.node, msg=event.data["msg"]
        )

    def drop(self, sent: int, why: str) -> int:
        event = self.trace[sent]
        data = {"src": event.node, "msg": event.data["msg"], "why": why}
        return self.add(event.data["dst"], "drop", cause=sent, **data)

    @property
    def events(self) -> list[TraceEvent]:
        return self.trace.events


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def fake() -> FakeCluster:
    return FakeCluster()


def a_run() -> Story:
    """A leader, a dead node, a message on its way, one that is lost."""
    story = Story(clients=("c1",))
    for name in FIVE:
        story.shows(name, "follower", 1)
        story.add(name, "set_timer", timer=Alarm(), after_ms=200.0)
    story.at(20).shows("n2", "leader", 3, "2 done")
    story.at(30).add("n4", "kill", effects=None)
    story.at(40).deliver(story.send("n2", "n1", Hello()))
    story.at(50).send("n2", "n3", Hello(), 20.0)
    story.drop(story.send("n2", "n5", Bye(), None), "lost")
    story.at(60).add("n1", "note", name="half", data=None)
    return story


# ---- a browser -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium(browser_path: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=CHROMIUM)
        yield browser
        browser.close()


class Screen:
    """A page in the browser, its time in the hand of the test."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.troubles: list[str] = []
        page.on("request", lambda r: self.requests.append(r.url))
        page.on("pageerror", lambda e: self.troubles.append(str(e)))
        page.on("dialog", lambda d: (self.troubles.append(f"dialog {d.message}"), d.dismiss()))
        page.on(
            "console",
            lambda m: self.troubles.append(m.text) if m.type in ("error", "warning") else None,
        )

    def wait(self, ms: int = 1000) -> None:
        """Let so much of the page's time pass, frame by frame."""
        self.page.clock.run_for(ms)

    def js(self, script: str, given: Any = None) -> Any:
        """The value of an expression that may use `view` (the view) and `given`."""
        view = "const view = document.getElementById('clusterlab').clusterView;"
        return self.page.evaluate(f"given => {{ {view} return ({script}); }}", given)

    def node(self, name: str) -> Any:
        return self.page.locator(f'.cl-node[data-node="{name}"]')

    def button(self, action: str) -> Any:
        return self.page.locator(f'[data-do="{action}"]:visible')

    @property
    def status(self) -> str:
        return str(self.page.locator(".cl-status").inner_text())

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The commands that went to the kernel, and none twice."""
        sent = self.js("window.clusterlab.channel.sent.splice(0)")
        return [message for message in sent if message["do"] not in ("ready", "bye")]

    def tell(self, message: dict[str, Any]) -> None:
        """A message from the kernel."""
        self.js("window.clusterlab.channel.tell(given)", message)

    def tell_events(self, events: Iterable[TraceEvent], now_ms: float) -> None:
        """A batch from the kernel, and time enough to show it."""
        from clusterlab.views.records import records_json

        message = {"type": "records", "records": records_json(events), "clients": []}
        self.tell({**message, "now_ms": now_ms})
        self.wait(4000)


@pytest.fixture
def show_page(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Screen]]:
    """A function that opens a page for a trace; afterwards nothing may have gone wrong in it."""
    screens: list[Screen] = []

    def open_page(
        trace: Trace,
        *,
        live: bool = False,
        start: str = "end",
        values: dict[str, Any] | None = None,
        run: str | None = None,
        finding: Finding | None = None,
        **options: Any,
    ) -> Screen:
        shown = recorded(trace, finding=finding)
        data = {**shown, "start": start, "values": values, "run": run}
        if live:
            now_ms = max((event.at_ms for event in trace), default=0.0)
            data |= {"live": True, "now_ms": now_ms, "can_pace": True, "speed": 0.05}
        target = tmp_path / f"page{len(screens)}.html"
        target.write_text(page_of(data, "A test", ""), encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": 1000, "height": 900}, offline=True, **options
        )
        page = context.new_page()
        page.clock.install(time=0)
        page.clock.pause_at(1000)
        screen = Screen(page)
        screens.append(screen)
        page.goto(target.as_uri())
        screen.wait(200)
        return screen

    yield open_page
    for screen in screens:
        screen.page.context.close()
        assert screen.troubles == []
        assert all(url.startswith("file:") for url in screen.requests)
