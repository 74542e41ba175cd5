"""What of this machine is in order for clusterlab, and how to mend what is not.

`inspect_machine` looks (and is the only part that does), the `check_*` functions judge what was
seen, `render` shows the judgements as a table. Nothing is started, and nothing is imported that is
only asked about: importing Ray takes seconds, and a broken one should be a line in the table.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from rich.console import Group
from rich.table import Table
from rich.text import Text

Status = Literal["ok", "warn", "fail"]
MIB = 1024 * 1024

# A driver, Ray's own processes and five nodes take about 610 MB; the rest is room for the notebook.
LIVE_MEMORY_MIB = 1024
# Ray refuses an object store under 75 MiB, and puts it on the disk where shared memory is smaller.
SHARED_MEMORY_MIB = 80
DISK_WANTED_MIB, DISK_NEEDED_MIB = 1024, 100

PACKAGES = (
    "ray",
    "jupyterlab",
    "ipykernel",
    "ipywidgets",
    "anywidget",
    "plotly",
    "jsonschema",
    "rfc3987-syntax",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OTHER_BROWSERS = ("firefox", "microsoft-edge")
BROWSER_OF_SYSTEM = {"darwin": "Safari", "win32": "Microsoft Edge"}
MACOS_CHROME = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `fail` stops a part of the kit, `warn` makes it work less well."""

    name: str
    status: Status
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Process:
    """A line of the process table; `command` is the whole command line."""

    pid: int
    parent: int
    name: str
    command: str


@dataclass(frozen=True)
class Machine:
    """Everything that the checks judge.

    Args:
        python: version of the interpreter, as `sys.version_info[:3]`.
        packages: installed version by distribution, None where it is missing.
        memory_free_mib: what can still be used, with the limit of a container taken into account.
        shared_memory_free_mib: free space in /dev/shm, None where there is no such thing.
        disk_free_mib: free space where Ray and the nodes' disks write.
        can_pause: whether a process can be stopped and continued by signals.
        browser: a browser that can show JupyterLab, None if none was found.
        processes: this user's processes.
    """

    python: tuple[int, int, int]
    packages: Mapping[str, str | None]
    memory_free_mib: int
    shared_memory_free_mib: int | None
    disk_free_mib: int
    can_pause: bool
    browser: str | None
    processes: tuple[Process, ...]


# ---- looking -------------------------------------------------------------------------------------


def inspect_machine() -> Machine:
    """Look at this machine, without starting or importing what is asked about."""
    shared = Path("/dev/shm")
    return Machine(
        python=sys.version_info[:3],
        packages={name: installed_version(name) for name in PACKAGES},
        memory_free_mib=memory_free_mib(),
        shared_memory_free_mib=shutil.disk_usage(shared).free // MIB if shared.is_dir() else None,
        disk_free_mib=shutil.disk_usage(tempfile.gettempdir()).free // MIB,
        can_pause=hasattr(signal, "SIGSTOP"),
        browser=find_browser()
        or first_on_path(OTHER_BROWSERS)
        or BROWSER_OF_SYSTEM.get(sys.platform),
        processes=tuple(own_processes()),
    )


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def find_browser() -> str | None:
    """The path of a Chromium or Chrome, which tests and screenshots can drive, or None."""
    on_path = first_on_path(BROWSERS)
    return str(MACOS_CHROME) if on_path is None and MACOS_CHROME.exists() else on_path


def first_on_path(names: Iterable[str]) -> str | None:
    """The path of the first of these programs that is on PATH, or None."""
    return next(filter(None, map(shutil.which, names)), None)


def memory_free_mib(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that can still be used, in MiB, with the limit of a container taken into account."""
    free = psutil.virtual_memory().available
    headroom = container_headroom(cgroups)
    return (free if headroom is None else min(free, headroom)) // MIB


def container_headroom(cgroups: Path) -> int | None:
    """Bytes left under this container's memory limit (cgroups 2 or 1), or None without a limit.

    Cached pages of files count as used there, but the kernel drops them when memory is wanted, so
    they count as free here.
    """
    for folder, limit_file, usage_file, cache_key in (
        (cgroups, "memory.max", "memory.current", "inactive_file"),
        (
            cgroups / "memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        try:
            limit = int((folder / limit_file).read_text())
            used = int((folder / usage_file).read_text())
            cached = re.search(
                rf"^{cache_key} (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE
            )
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
        return max(0, limit - used + (int(cached[1]) if cached else 0))
    return None


def own_processes() -> Iterable[Process]:
    """The processes of this user that can be read."""
    me = os.getuid() if hasattr(os, "getuid") else None
    for process in psutil.process_iter(["pid", "ppid", "name", "cmdline", "uids"]):
        info = process.info
        if me is not None and info["uids"] is not None and info["uids"].real != me:
            continue
        yield Process(
            info["pid"], info["ppid"] or 0, info["name"] or "", " ".join(info["cmdline"] or [])
        )


# ---- judging -------------------------------------------------------------------------------------


def diagnose(machine: Machine | None = None) -> list[Finding]:
    """Judge a machine (this one by default), most important findings first."""
    seen = inspect_machine() if machine is None else machine
    return [
        check_python(seen.python),
        check_ray(seen.packages),
        check_memory(seen.memory_free_mib),
        check_shared_memory(seen.shared_memory_free_mib),
        check_disk(seen.disk_free_mib),
        check_jupyter(seen.packages),
        check_widgets(seen.packages),
        check_jsonschema(seen.packages),
        check_pause(seen.can_pause),
        check_left_over(seen.processes),
        check_browser(seen.browser),
    ]


def check_python(version: tuple[int, int, int]) -> Finding:
    """3.11 to 3.14: what Ray has wheels for and clusterlab is tested on."""
    found = ".".join(map(str, version))
    if (3, 11) <= version[:2] <= (3, 14):
        return Finding("Python", "ok", found)
    return Finding(
        "Python",
        "fail",
        found,
        "Install Python 3.11, 3.12, 3.13 or 3.14, and run 'make setup' again.",
    )


def check_ray(packages: Mapping[str, str | None]) -> Finding:
    """Without Ray there are no live clusters; simulator and checker do not need it."""
    version = packages.get("ray")
    if version is None:
        mend = "Run 'pip install ray'; until then use engine=\"sim\"."
        return Finding("Ray", "fail", "not installed, so no live clusters", mend)
    return Finding("Ray", "ok", version)


def check_memory(free_mib: int) -> Finding:
    """Five live nodes want 1 GiB; the simulator fits anywhere."""
    found = f"{free_mib} MiB free"
    if free_mib >= LIVE_MEMORY_MIB:
        return Finding("Memory", "ok", found)
    mend = f'Use engine="sim", or free memory: five live nodes want {LIVE_MEMORY_MIB} MiB.'
    return Finding("Memory", "warn", found, mend)


def check_shared_memory(free_mib: int | None) -> Finding:
    """Ray keeps its object store in /dev/shm; Docker gives a container 64 MB of it."""
    name = "Shared memory"
    if free_mib is None:
        return Finding(name, "ok", "not used on this system")
    if free_mib >= SHARED_MEMORY_MIB:
        return Finding(name, "ok", f"{free_mib} MiB free")
    mend = "Start the container with '--shm-size=256m'; until then Ray works from the disk."
    return Finding(name, "warn", f"{free_mib} MiB free", mend)


def check_disk(free_mib: int) -> Finding:
    """Ray's logs and the disks of live nodes are files."""
    found = f"{free_mib} MiB free in {tempfile.gettempdir()}"
    if free_mib >= DISK_WANTED_MIB:
        return Finding("Disk", "ok", found)
    mend = f"Free some space: Ray's logs and the nodes' disks want {DISK_WANTED_MIB} MiB."
    return Finding("Disk", "warn" if free_mib >= DISK_NEEDED_MIB else "fail", found, mend)


def check_jupyter(packages: Mapping[str, str | None]) -> Finding:
    """JupyterLab 4.6 with ipykernel 7 handles clicks while a cell is busy."""
    lab, kernel = packages.get("jupyterlab"), packages.get("ipykernel")
    found = f"{lab or 'not installed'}, ipykernel {kernel or 'not installed'}"
    install = 'Run \'pip install "jupyterlab>=4.6" "ipykernel>=7"\''
    if lab is None or kernel is None:
        mend = f"{install}; until then 'clusterlab run' works in the terminal."
        return Finding("JupyterLab", "fail", found, mend)
    if not (at_least(lab, (4, 6)) and at_least(kernel, (7,))):
        mend = f"{install}: with older ones a click waits until the cell has ended."
        return Finding("JupyterLab", "warn", found, mend)
    return Finding("JupyterLab", "ok", found)


def check_widgets(packages: Mapping[str, str | None]) -> Finding:
    """The pictures are anywidgets, with controls of ipywidgets and charts of plotly."""
    names = ("anywidget", "ipywidgets", "plotly")
    absent = [name for name in names if packages.get(name) is None]
    if absent:
        mend = f"Run 'pip install {' '.join(absent)}'."
        return Finding("Widgets", "fail", f"not installed: {', '.join(absent)}", mend)
    return Finding("Widgets", "ok", ", ".join(f"{name} {packages[name]}" for name in names))


def check_jsonschema(packages: Mapping[str, str | None]) -> Finding:
    """Where rfc3987-syntax is installed, every Ray process imports it and builds its grammar."""
    version = packages.get("jsonschema")
    if packages.get("rfc3987-syntax") is None:
        return Finding("jsonschema", "ok", version or "not installed")
    mend = "Run 'pip uninstall rfc3987-syntax lark' and 'pip install \"jsonschema<4.25\"'."
    return Finding(
        "jsonschema", "warn", f"{version} with rfc3987-syntax, so Ray starts twice as slowly", mend
    )


def check_pause(can_pause: bool) -> Finding:
    """`pause` on a live node is SIGSTOP, which Windows does not have."""
    if can_pause:
        return Finding("Pausing a process", "ok", "SIGSTOP and SIGCONT")
    mend = 'Use engine="sim" to pause a node, or run clusterlab in WSL.'
    return Finding("Pausing a process", "warn", "no SIGSTOP on this system", mend)


def check_left_over(processes: Iterable[Process]) -> Finding:
    """Ray processes that outlived whoever started them hold memory and ports."""
    pids = orphans(processes)
    if not pids:
        return Finding("Left-over Ray processes", "ok", "none")
    mend = (
        "If no Ray cluster of yours is meant to run here, end them with "
        f"'kill {' '.join(map(str, pids))}' ('ray stop' would end everybody's)."
    )
    return Finding("Left-over Ray processes", "warn", f"{len(pids)} without a parent", mend)


def check_browser(path: str | None) -> Finding:
    """Only a hint: JupyterLab can be opened from another machine as well."""
    if path is not None:
        return Finding("Browser", "ok", path)
    mend = "Install one, or open the address that 'clusterlab lab' prints in a browser elsewhere."
    return Finding("Browser", "warn", "none found", mend)


def at_least(version: str, wanted: tuple[int, ...]) -> bool:
    """Whether a version, by its leading numbers, is `wanted` or newer.

    >>> at_least("4.10.1", (4, 6)), at_least("7", (7,)), at_least("6.31.0rc1", (7,))
    (True, True, False)
    """
    return tuple(int(part) for part in re.findall(r"\d+", version)[: len(wanted)]) >= wanted


def orphans(processes: Iterable[Process]) -> list[int]:
    """Pids of Ray processes that nobody runs any more: above them there is only init.

    A process whose parent dies is handed to init, or to the user's systemd. In a container the
    driver itself may be process 1, and then its Ray is in use.
    """
    table = {process.pid: process for process in processes}

    def is_abandoned(process: Process) -> bool:
        above = table.get(process.parent)
        while above is not None and is_ray(above):
            above = table.get(above.parent)
        return above is None or is_init(above)

    return sorted(
        pid for pid, process in table.items() if is_ray(process) and is_abandoned(process)
    )


def is_ray(process: Process) -> bool:
    """Whether it is one of Ray's daemons or workers."""
    return process.name in ("raylet", "gcs_server") or process.command.startswith("ray::")


def is_init(process: Process) -> bool:
    """Whether it adopts orphans and runs nothing itself."""
    adopts = process.name in (
        "init",
        "systemd",
        "launchd",
        "tini",
        "dumb-init",
        "docker-init",
        "catatonit",
    )
    return adopts or (
        process.pid == 1 and re.search("python|jupyter|ipykernel", process.command) is None
    )


# ---- showing -------------------------------------------------------------------------------------

STYLES: dict[Status, str] = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}


def worst(findings: Iterable[Finding]) -> Status:
    """The worst status among them; `ok` when there are none."""
    return max((finding.status for finding in findings), key=list(STYLES).index, default="ok")


def render(findings: Iterable[Finding]) -> Group:
    """For `rich.print`: a table of what was looked at and its state, then the mends."""
    findings = list(findings)
    table = Table(title="clusterlab doctor", title_justify="left")
    for column in ("What", "State", "Found"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        state = Text(finding.status, style=STYLES[finding.status])
        # As Text, because a path or a version may hold brackets, which would be read as markup.
        table.add_row(Text(finding.name), state, Text(finding.found))
    amiss = [finding for finding in findings if finding.status != "ok"]
    mends = [Text(f"{finding.name}: {finding.mend}") for finding in amiss]
    closing = {
        "ok": "Everything is in order.",
        "warn": "Everything works, but not as well as it could:",
        "fail": "Something does not work yet:",
    }
    return Group(table, Text(closing[worst(findings)]), *mends)
