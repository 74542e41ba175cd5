from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import clusterlab.views
from clusterlab.core.errors import TraceError
from clusterlab.core.trace import Trace
from clusterlab.views import save_html
from clusterlab.views.page import page, recorded, script, style, widget_script
from clusterlab.views.state import State, sentence
from tests.views.conftest import FIVE, Alarm, Hello, Story

FOLDER = Path(clusterlab.views.__file__).parent


def data_of(text: str) -> dict[str, object]:
    inside = re.search(r'<script type="application/json" id="clusterlab-data">(.*?)</script>', text)
    assert inside is not None
    read = json.loads(inside[1])
    assert isinstance(read, dict)
    return read


def test_the_page_is_one_file_that_fetches_nothing(story: Story, tmp_path: Path) -> None:
    story.send("n1", "n2", Hello())
    text = save_html(story.trace, tmp_path / "run.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of SVG is no address to fetch"
    assert not re.search(r"<link|@import|\bimport\s*\(|src\s*=\s*[\"']|url\((?!#)", text)


def test_the_page_holds_the_run(story: Story, tmp_path: Path) -> None:
    story.at(7).send("n1", "n2", Hello("</script><b>"))
    text = save_html(story.trace, tmp_path / "run.html").read_text(encoding="utf-8")
    data = data_of(text)
    assert data["live"] is False
    assert len(json.loads(str(data["records"]))) == len(story.events)
    assert "</script><b>" not in text
    assert sentence(State.of(story.trace)) in text


def test_of_a_long_run_the_page_holds_the_newest_part_and_the_state_before(story: Story) -> None:
    story.shows("n1", "leader", 1)
    story.add("n1", "set_timer", timer=Alarm(), after_ms=1000.0)
    story.add("n5", "kill", effects=None)
    for time in range(100):
        story.deliver(story.at(time).send("n1", "n2", Hello()))
    data = recorded(story.trace, limit=20)
    assert data["left_out"] == len(story.events) - 20
    assert len(json.loads(data["records"])) == 20
    kinds = [r["kind"] for r in json.loads(data["base"])]
    assert sorted(kinds) == ["kill", "set_timer", "start", "start", "start", "start", "state"]
    assert (data["roles"], data["types"]) == (["leader"], ["Hello"])


def test_a_trace_by_hand_needs_no_list_of_servers() -> None:
    trace = Trace()
    first = trace.append(0, "a", "send", {"dst": "b", "msg": "hello", "delay_ms": 3})
    trace.append(3, "b", "deliver", {"src": "a", "msg": "hello"}, cause=first)
    data = recorded(trace)
    assert data["servers"] == ["a", "b"]


def test_a_page_that_cannot_be_written_says_why(story: Story, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="name a file in a folder"):
        save_html(story.trace, tmp_path / "missing" / "run.html")


def test_the_title_is_text(story: Story) -> None:
    assert "<title>&lt;b&gt;</title>" in page(recorded(story.trace), "<b>", "")


def test_the_view_knows_no_protocol() -> None:
    files = [p for p in FOLDER.rglob("*") if p.suffix in (".py", ".js", ".css")]
    assert len(files) > 15
    words = re.compile(r"(?i)raft|paxos|\bterms?\b|ballot|\bvotes?\b|voted|follower|candidate")
    found = [(p.name, m[0]) for p in files for m in words.finditer(p.read_text(encoding="utf-8"))]
    assert found == []


def test_text_of_a_trace_enters_the_page_as_text_only() -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", script()
    )


def test_the_module_gives_render_and_the_page_does_not() -> None:
    assert widget_script().rstrip().endswith("export default { render };")
    assert "export" not in re.sub(r"//.*", "", script())
    assert "prefers-reduced-motion" in style()
    assert ".cl-node" in style()


def test_the_five_are_five(story: Story) -> None:
    assert recorded(story.trace)["servers"] == list(FIVE)
