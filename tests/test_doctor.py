"""The doctor's judgements of machines that are not this one, and that it looks without touching."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from clusterlab import doctor
from clusterlab.doctor import Finding, Machine, Process

SOUND = Machine(
    python=(3, 12, 4),
    packages={
        "ray": "2.60.0",
        "jupyterlab": "4.6.6",
        "ipykernel": "7.4.0",
        "ipywidgets": "8.1.9",
        "anywidget": "0.11.0",
        "plotly": "7.1.0",
        "jsonschema": "4.24.1",
        "rfc3987-syntax": None,
    },
    memory_free_mib=4096,
    shared_memory_free_mib=512,
    disk_free_mib=20_000,
    can_pause=True,
    browser="/usr/bin/chromium",
    processes=(),
)


def amiss(**changes: object) -> list[Finding]:
    """What the doctor objects to on a sound machine with these changes."""
    machine = dataclasses.replace(SOUND, **changes)
    return [finding for finding in doctor.diagnose(machine) if finding.status != "ok"]


def packages(**versions: str | None) -> dict[str, str | None]:
    return {**SOUND.packages, **{name.replace("_", "-"): v for name, v in versions.items()}}


def test_a_sound_machine_has_nothing_to_mend() -> None:
    findings = doctor.diagnose(SOUND)
    assert len(findings) == 11
    assert {finding.status for finding in findings} == {"ok"}
    assert not any(finding.mend for finding in findings)


@pytest.mark.parametrize(
    ("changes", "name", "status", "mend"),
    [
        ({"python": (3, 10, 13)}, "Python", "fail", "Install Python 3.11"),
        ({"python": (3, 15, 0)}, "Python", "fail", "Install Python 3.11"),
        ({"packages": packages(ray=None)}, "Ray", "fail", 'engine="sim"'),
        ({"memory_free_mib": 1023}, "Memory", "warn", 'engine="sim"'),
        ({"shared_memory_free_mib": 64}, "Shared memory", "warn", "--shm-size"),
        ({"disk_free_mib": 500}, "Disk", "warn", "Free some space"),
        ({"disk_free_mib": 50}, "Disk", "fail", "Free some space"),
        ({"packages": packages(jupyterlab=None)}, "JupyterLab", "fail", "clusterlab run"),
        ({"packages": packages(jupyterlab="4.5.2")}, "JupyterLab", "warn", "click waits"),
        ({"packages": packages(ipykernel="6.31.0")}, "JupyterLab", "warn", "click waits"),
        ({"packages": packages(anywidget=None)}, "Widgets", "fail", "pip install anywidget"),
        ({"packages": packages(rfc3987_syntax="1.1.0")}, "jsonschema", "warn", "pip uninstall"),
        ({"can_pause": False}, "Pausing a process", "warn", "WSL"),
        ({"browser": None}, "Browser", "warn", "clusterlab lab"),
    ],
)
def test_each_fault_is_the_one_finding_and_has_a_mend(
    changes: dict[str, object], name: str, status: str, mend: str
) -> None:
    [finding] = amiss(**changes)
    assert (finding.name, finding.status) == (name, status)
    assert mend in finding.mend
    assert finding.mend.endswith(".")


def test_a_system_without_shared_memory_is_in_order() -> None:
    assert amiss(shared_memory_free_mib=None) == []


# ---- left-over Ray processes ---------------------------------------------------------------------

INIT = Process(1, 0, "systemd", "/sbin/init")
LAB = Process(50, 1, "python", "python -m jupyterlab")
KERNEL = Process(60, 50, "python", "python -m ipykernel_launcher")


def raylet(parent: int) -> Process:
    return Process(70, parent, "raylet", "/x/raylet --node_ip_address=127.0.0.1")


def worker(parent: int) -> Process:
    return Process(80, parent, "python", "ray::NodeHost")


def test_a_ray_in_use_is_not_left_over() -> None:
    assert doctor.orphans([INIT, LAB, KERNEL, raylet(60), worker(70)]) == []


@pytest.mark.parametrize(
    "init",
    [
        INIT,
        Process(1, 0, "sleep", "sleep infinity"),
        Process(1, 0, "tini", "tini -- python -m jupyterlab"),
    ],
    ids=["systemd", "sleep", "tini"],
)
def test_a_ray_below_init_is_left_over_with_its_workers(init: Process) -> None:
    assert doctor.orphans([init, raylet(1), worker(70)]) == [70, 80]


def test_a_ray_below_the_systemd_of_a_user_is_left_over() -> None:
    of_user = Process(40, 1, "systemd", "/lib/systemd/systemd --user")
    assert doctor.orphans([INIT, of_user, raylet(40)]) == [70]


def test_a_ray_whose_parent_is_not_in_the_table_is_left_over() -> None:
    assert doctor.orphans([raylet(66)]) == [70]


def test_a_driver_that_is_process_1_of_a_container_uses_its_ray() -> None:
    driver = Process(1, 0, "python3", "python3 -m ipykernel_launcher")
    assert doctor.orphans([driver, raylet(1), worker(70)]) == []


def test_the_mend_names_the_pids() -> None:
    [finding] = amiss(processes=(INIT, raylet(1), worker(70)))
    assert finding.status == "warn"
    assert "kill 70 80" in finding.mend


# ---- memory of a container -----------------------------------------------------------------------


def test_the_limit_of_a_container_counts_without_its_cached_files(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 600\ninactive_file 300\n")
    assert doctor.container_headroom(tmp_path) == 400


def test_cgroups_of_the_first_version_are_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text("1000\n")
    (folder / "memory.usage_in_bytes").write_text("900\n")
    (folder / "memory.stat").write_text("inactive_file 7\ntotal_inactive_file 50\n")
    assert doctor.container_headroom(tmp_path) == 150


@pytest.mark.parametrize("limit", ["max\n", None], ids=["no limit", "no cgroups"])
def test_without_a_limit_the_machine_decides(tmp_path: Path, limit: str | None) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
        (tmp_path / "memory.current").write_text("900\n")
        (tmp_path / "memory.stat").write_text("inactive_file 300\n")
    assert doctor.container_headroom(tmp_path) is None
    assert doctor.memory_free_mib(tmp_path) > 0


def test_a_small_container_on_a_large_machine_is_small(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{450 * doctor.MIB}\n")
    (tmp_path / "memory.current").write_text(f"{440 * doctor.MIB}\n")
    (tmp_path / "memory.stat").write_text("inactive_file 0\n")
    assert doctor.memory_free_mib(tmp_path) == 10


# ---- this machine --------------------------------------------------------------------------------


def test_this_process_is_seen() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        table = {process.pid: process for process in doctor.own_processes()}
    finally:
        child.communicate()
    assert table[child.pid].parent == os.getpid()
    assert "input()" in table[child.pid].command


@pytest.mark.slow
def test_looking_imports_nothing_that_it_asks_about() -> None:
    code = (
        "import sys; from clusterlab.doctor import diagnose; diagnose();"
        "print({'ray', 'jupyterlab', 'ipykernel', 'plotly', 'anywidget'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---- the table -----------------------------------------------------------------------------------


def shown(findings: list[Finding], width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(doctor.render(findings))
    return out.getvalue()


def test_the_table_says_the_state_in_words_and_the_mends_below() -> None:
    text = shown(doctor.diagnose(dataclasses.replace(SOUND, memory_free_mib=300, browser=None)))
    assert "warn" in text
    assert "300 MiB free" in text
    closing = text[text.index("Everything works, but not as well as it could:") :].splitlines()[1:]
    assert [line.split(":")[0] for line in closing] == ["Memory", "Browser"]


def test_the_table_of_a_sound_machine_ends_in_one_sentence() -> None:
    assert shown(doctor.diagnose(SOUND)).rstrip().endswith("Everything is in order.")


def test_square_brackets_are_shown_as_they_are() -> None:
    assert "[red]" in shown([Finding("Browser", "ok", "/opt/[red]/chromium")])


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [([], "ok"), (["ok"], "ok"), (["warn", "ok"], "warn"), (["ok", "fail", "warn"], "fail")],
)
def test_the_worst_status_counts(statuses: list[doctor.Status], worst: str) -> None:
    assert doctor.worst(Finding("x", status, "") for status in statuses) == worst
