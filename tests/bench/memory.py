"""Memory of a live cluster, beside Ray with as many empty actors."""

from __future__ import annotations

import tempfile
import time

import psutil

from tests.bench.bare_ray import DIRECTORY
from tests.bench.figures import Comparison, Measured, Section, Target
from tests.bench.machine import Plan, end, family, has_pss, is_installed, pss_mib, start, version

MIB_MAX = 750
REST_S = 2.0
"""Ray starts workers ahead of need; so long after the start it has."""

PARTS = DRIVER, ACTORS, DAEMONS = "driver", "nodes or actors", "Ray's own processes"
ACTOR_SIGNS = ("ray::NodeProcess", "ray::Empty")


def measure(plan: Plan) -> Section:
    """Start one, look, end it; then the other."""
    section = Section("Memory: five nodes, their client's process, Ray and the driver (PSS)")
    if not is_installed("ray"):
        section.skipped.append("everything: Ray is not installed: run `make setup`.")
        return section
    if not has_pss():
        section.skipped.append("everything: this system does not tell PSS (Linux does).")
        return section
    rounds = 1 if plan.quick else 2
    found: dict[str, list[dict[str, float]]] = {"ours": [], "ray": []}
    for number in range(1, rounds + 1):
        for kind, measured in found.items():
            what = "a live cluster" if kind == "ours" else "Ray and five empty actors"
            plan.say(f"memory, round {number} of {rounds}: {what}")
            measured.append(look(kind))
    ours, ray = found["ours"], found["ray"]
    section.lines.append(
        Comparison(
            "all processes",
            "MiB",
            Measured.of(sum(parts.values()) for parts in ours),
            f"Ray {version('ray')}, 5 empty actors",
            Measured.of(sum(parts.values()) for parts in ray),
            Target("ours", MIB_MAX, at_least=False),
        )
    )
    for part in PARTS:
        section.lines.append(
            Comparison(
                f"  {part}",
                "MiB",
                Measured.of(parts[part] for parts in ours),
                "likewise",
                Measured.of(parts[part] for parts in ray),
            )
        )
    section.notes.append(
        "Ours: five Raft nodes and the process of the clients, after an election and 20 writes."
    )
    return section


def look(kind: str) -> dict[str, float]:
    """MiB of each part."""
    with tempfile.TemporaryDirectory(prefix="bench-ray-", dir="/tmp") as folder:
        process = start("tests.bench.memory_probe", kind, env={DIRECTORY: folder})
        members = []
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"the process to be measured ({kind}) did not start")
            time.sleep(REST_S)
            members = family(process.pid)
            parts = dict.fromkeys(PARTS, 0.0)
            for member in members:
                parts[_part(member, process.pid)] += pss_mib(member.pid)
            return parts
        finally:
            end(process, 15.0)
            psutil.wait_procs(members, timeout=10)


def _part(process: psutil.Process, driver: int) -> str:
    if process.pid == driver:
        return DRIVER
    try:
        return ACTORS if process.cmdline()[0].startswith(ACTOR_SIGNS) else DAEMONS
    except (psutil.Error, IndexError):  # it has just ended
        return DAEMONS
