"""`python -m tests.bench [--only sim,live,...] [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from rich.console import Console

from tests.bench import machine
from tests.bench.figures import Section, table
from tests.processes import describe, end, left_over, mark_session

PARTS = {
    "sim": "heartbeats",
    "memory": "memory",
    "live": "commits",
    "death": "failover",
    "kills": "kills",
    "lab": "lab",
    "pictures": "pictures",
    "check": "explore",
    "world": "world",
}
LONG = ("world", "kills")
"""Measured only if asked for."""
INTERRUPTED = 130
WIDTH = 130
"""Of what goes to a file or a pipe."""


def main(arguments: list[str] | None = None) -> int:
    """Measure what was chosen; returns 0 unless a part failed (a missed target is only told)."""
    options = _options(arguments)
    progress = Console(stderr=True, highlight=False)
    begun = time.monotonic()
    plan = machine.Plan(
        options.quick,
        lambda text: progress.print(f"[dim]{time.monotonic() - begun:4.0f} s  {text} ...[/]"),
    )
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    session = mark_session()
    try:
        return _measure(options, plan)
    except KeyboardInterrupt:
        progress.print("Interrupted.")
        return INTERRUPTED
    finally:
        _end_all(session, progress)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure clusterlab beside its peers."
    )
    parser.add_argument(
        "--only",
        default=",".join(part for part in PARTS if part not in LONG),
        help=f"some of {','.join(PARTS)} (default: all but {', '.join(LONG)}, which takes long)",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save all values as JSON")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    unknown = set(options.only) - PARTS.keys()
    if unknown:
        parser.error(f"--only knows {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    return options


def _measure(options: argparse.Namespace, plan: machine.Plan) -> int:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    here = machine.describe()
    load = ", ".join(f"{value:.2f}" for value in here["load_average"])
    console.print(
        f"{here['cores']} cores, load average {load}, {here['memory_mib']:,} MiB, "
        f"Python {here['python']}"
    )
    sections: list[Section] = []
    failed = False
    for part in [part for part in PARTS if part in options.only]:
        before = machine.load()
        try:
            section = importlib.import_module(f"tests.bench.{PARTS[part]}").measure(plan)
        except Exception as error:  # noqa: BLE001 - the other parts are worth having
            failed = True
            section = Section(part, skipped=[f"it failed: {type(error).__name__}: {error}"])
        section.load = (before, machine.load())
        sections.append(section)
        console.print(table(section))
        if options.json is not None:
            found = {
                "machine": here,
                "quick": options.quick,
                "sections": [one.as_json() for one in sections],
            }
            options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 1 if failed else 0


def _end_all(session: str, progress: Console) -> None:
    """End what we started: our Ray through its own door, and whatever is left by its pid."""
    if "clusterlab.live" in sys.modules:
        sys.modules["clusterlab.live"].disconnect()
    left = left_over(session, patience_s=10.0)
    if left:
        progress.print(f"Ended what was left:\n{describe(left)}", markup=False)
        end(left)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
