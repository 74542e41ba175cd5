"""A picture in JupyterLab, as eyes and hands find it there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.bench.notebook import write_notebook
from tests.labs.jupyter import add_cell, run_all, wait_until_idle

LIMIT_MS = 60_000
VIEW = """const roots = document.querySelectorAll(".clusterlab-view");
const view = roots[roots.length - 1]?.parentElement.clusterView;"""


def write_lab(folder: Path, code: str) -> Path:
    """A project folder whose only lab is a cell with this code."""
    write_notebook(folder, code)
    return folder


def open_notebook(page: Page, url: str) -> None:
    """Open JupyterLab on its notebook and run all cells."""
    page.goto(url)
    page.locator(".jp-Notebook").wait_for(timeout=LIMIT_MS)
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=LIMIT_MS)
    run_all(page)
    wait_until_idle(page)


def choose_theme(page: Page, scheme: str) -> None:
    """Settings > Theme > JupyterLab Light or JupyterLab Dark."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    for words in ("Theme", f"JupyterLab {scheme.title()}"):
        page.locator(".lm-Menu-item").filter(has_text=re.compile(f"^{words}$")).click()
    light = str(scheme == "light").lower()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", light, timeout=LIMIT_MS)


class Picture:
    """The newest picture in a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    def of(cls, page: Page, code: str) -> Picture:
        """Run a cell that shows a picture, and bring it before the eyes."""
        shown = add_cell(page, code).locator(".clusterlab-view .cl-node").first
        shown.wait_for(timeout=2 * LIMIT_MS)  # five processes start, perhaps among many
        picture = cls(page)
        picture.look()
        return picture

    def look(self) -> None:
        """Bring it before the eyes; a notebook draws only what is near the window."""
        self.root.scroll_into_view_if_needed(timeout=LIMIT_MS)
        self.wait_for("view.width > 0 && view.clock")

    @property
    def root(self) -> Locator:
        return self.page.locator(".clusterlab-view").last

    def __getitem__(self, selector: str) -> Locator:
        return self.root.locator(selector)

    def node(self, name: str) -> Locator:
        return self[f'.cl-node[data-node="{name}"]']

    def servers(self, **attributes: str) -> Locator:
        """The servers with these attributes: role, health."""
        having = "".join(f'[data-{name}="{value}"]' for name, value in attributes.items())
        return self[f".cl-node:not(.cl-client){having}"]

    def js(self, expression: str, given: Any = None) -> Any:
        """The value of an expression that may use `view` and `given`."""
        return self.page.evaluate(f"given => {{ {VIEW} return ({expression}); }}", given)

    def wait_for(self, condition: str, given: Any = None) -> Any:
        """Until an expression that may use `view` and `given` is true; returns its value."""
        script = f"given => {{ {VIEW} return view && ({condition}); }}"
        found = self.page.wait_for_function(script, arg=given, timeout=LIMIT_MS)
        return found.json_value()

    def press(self, action: str) -> None:
        """Press the button that does this."""
        self[f'[data-do="{action}"]:visible'].click()

    def cut_off(self, group: Iterable[str]) -> None:
        """Draw a line with the mouse between neighbours on the ring and all others."""
        self["[data-tool=cut]"].click()
        self.wait_for("view.stage.moves.size === 0")
        servers = self.js("view.model.servers")
        places = self.js("Object.fromEntries(view.stage.places)")
        inside = set(group)
        ring = itertools.pairwise([*servers, servers[0]])
        parted = [pair for pair in ring if len(inside.intersection(pair)) == 1]
        ends = [
            [(a + b) / 2 for a, b in zip(*map(places.get, pair), strict=True)] for pair in parted
        ]
        self[".cl-stage"].scroll_into_view_if_needed()
        box = self[".cl-stage"].bounding_box()
        assert box is not None
        assert len(ends) == 2, f"{inside} are neighbours"
        (start, end) = ((x + box["x"], y + box["y"]) for x, y in ends)
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=8)
        self.page.mouse.up()

    def click_event(self, seq: int) -> None:
        """Click on an event in the space-time diagram."""
        self[".cl-tape"].scroll_into_view_if_needed()
        place = "view.tape.placeOf(view.tape.view, view.timeline.find(given))"
        box = self[".cl-tapecanvas"].bounding_box()
        assert box is not None
        x, y = self.js(place, seq)
        self.page.mouse.click(box["x"] + x, box["y"] + y)
