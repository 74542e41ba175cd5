"""Takes the picture of lab 00 for the README: `make pictures`. Live, in a real JupyterLab."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from clusterlab.doctor import find_browser
from tests.labs.jupyter import (
    ROOT,
    browser_page,
    lab_server,
    run_all,
    scroll_to,
    take_copy,
    wait_until_idle,
)

TARGET = ROOT / ".github" / "lab-00.png"


def main() -> int:
    """Write the picture; exit 1 without a browser."""
    browser = find_browser()
    if browser is None:
        sys.stderr.write("no Chromium or Chrome was found: install one.\n")
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        lab_server(take_copy(Path(folder), "00", "live")) as (url, _),
        browser_page(browser) as page,
    ):
        page.goto(url)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        run_all(page)
        wait_until_idle(page)
        scroll_to(page, 0)
        view = page.locator(".clusterlab-view").first
        view.scroll_into_view_if_needed()
        page.locator('.clusterlab-view [data-do="partition"][data-side="minority"]').click()
        page.locator('.clusterlab-view [data-role="leader"]').nth(1).wait_for(timeout=60_000)
        page.wait_for_timeout(700)  # until there is something to see after the election
        TARGET.parent.mkdir(exist_ok=True)
        view.screenshot(path=TARGET)
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
