"""What all tests share: golden files, a missing Ray or browser, and no process left behind."""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from clusterlab.doctor import find_browser
from tests.processes import describe, end, left_over, mark_session

# Other processes share the cores, so a time limit for one example says nothing. In CI the examples
# are the same in every run: what fails there fails here.
hypothesis.settings.register_profile("here", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


# What the bench runs in a notebook's kernel is a module of that kernel: imported here, for its
# doctests, its messages would be known under a name that no node's process can import.
collect_ignore = ["bench/chatter.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write golden files anew instead of comparing with them",
    )


# ---- golden files --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def rewrite(request: pytest.FixtureRequest) -> bool:
    """True when golden files are to be written anew."""
    return bool(request.config.getoption("--rewrite"))


@pytest.fixture
def golden(rewrite: bool) -> Callable[[Path, str], None]:
    """A function that compares a text with a golden file, or writes the file under --rewrite."""

    def compare(path: Path, actual: str) -> None:
        if rewrite:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(actual, encoding="utf-8")
            return
        if not path.exists():
            pytest.fail(
                f"{path} is missing: write it with 'make golden', and read it before you commit it."
            )
        expected = path.read_text(encoding="utf-8")
        if actual != expected:
            lines = difflib.unified_diff(
                expected.splitlines(), actual.splitlines(), "expected", "actual", lineterm="", n=5
            )
            pytest.fail(
                f"{path} differs; if the change is meant, run 'make golden' and read the diff.\n"
                + "\n".join(lines),
                pytrace=False,
            )

    return compare


# ---- a missing Ray or browser --------------------------------------------------------------------


@cache
def missing(mark: str) -> str | None:
    """Why tests with this mark cannot run here, with the mend, or None."""
    if mark == "ray" and importlib.util.find_spec("ray") is None:
        return "Ray is not installed: run 'make setup' (Ray has wheels for Python 3.11 to 3.14)."
    if mark == "browser":
        if importlib.util.find_spec("playwright") is None:
            return "playwright is not installed: run 'make setup'."
        if find_browser() is None:
            return "no Chromium or Chrome was found: install one (on Debian: apt install chromium)."
    return None


FILLS_A_MACHINE = ("tests/live/", "tests/labs/", "tests/test_cli_live.py")
"""What starts Ray: one worker has all of it, the others what else there is."""
SIMULATED = ("-sim]", "simulator", "test_errors", "test_a_lab_")
"""Of those, what does not."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Two Rays at once would be too much for a small machine, and slower than one after the other.

    By path, since xdist's own groups (3.8) go unnoticed by pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneRay(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            simulated = any(
                word in nodeid for word in ("-sim]", "simulator", "test_errors", "a_lab_")
            )
            return "ray" if nodeid.startswith(FILLS_A_MACHINE) and not simulated else nodeid

    return OneRay(config, log)


@pytest.hookimpl(tryfirst=True)  # before any fixture starts what is missing
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in ("ray", "browser"):
        reason = missing(mark) if item.get_closest_marker(mark) else None
        if reason and os.environ.get("CI"):
            pytest.fail(f"In CI nothing is skipped, and {reason}", pytrace=False)
        if reason:
            pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = [reason for mark in ("ray", "browser") if (reason := missing(mark))]
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for reason in reasons:
        count = sum(reason in text for text in skipped)
        if count:
            terminalreporter.section("Not everything was tested", yellow=True)
            counted = "1 test was" if count == 1 else f"{count} tests were"
            terminalreporter.line(f"{counted} skipped: {reason}")


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The Chromium or Chrome that tests drive."""
    path = find_browser()
    assert path is not None, missing("browser")
    return path


# ---- what tests start, they stop -----------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Fail the session when what it started outlives it: a raylet, a node, a server, a browser."""
    session = mark_session()
    yield
    # Ray's processes end a moment after the call that ends them has returned.
    left = left_over(session, patience_s=float(os.environ.get("CLUSTERLAB_TEST_PATIENCE_S", "15")))
    if left:
        text = describe(left)
        end(left)
        pytest.fail(f"The tests left these processes running (they are ended now):\n{text}")
