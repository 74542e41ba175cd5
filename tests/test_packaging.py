"""What is installed: the lock agrees with pyproject, Binder with the lock, the wheel has it all."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import clusterlab

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
BINDER = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8")

RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [
    Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines
]

MACHINES = list(itertools.product(("3.11", "3.12", "3.13", "3.14"), ("linux", "darwin", "win32")))


def environment(python: str, system: str) -> dict[str, str]:
    """The values that markers are judged by on another machine."""
    return {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "os_name": "nt" if system == "win32" else "posix",
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def pins(text: str, python: str, system: str) -> dict[str, str]:
    """Version by name of all that a requirements file installs on a machine."""
    here = environment(python, system)
    found: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        requirement = Requirement(line.split(" --hash=")[0])
        if requirement.marker is not None and not requirement.marker.evaluate(here):
            continue
        [specifier] = requirement.specifier
        assert specifier.operator == "==", line
        name = canonicalize_name(requirement.name)
        assert name not in found, f"{name} is pinned twice for Python {python} on {system}"
        found[name] = specifier.version
    return found


@pytest.mark.parametrize(("python", "system"), MACHINES)
def test_the_lock_has_what_pyproject_asks_for(python: str, system: str) -> None:
    locked, here = pins(LOCK, python, system), environment(python, system)
    wanted = [r for r in RUNTIME + EXTRAS if r.marker is None or r.marker.evaluate(here)]
    assert len(wanted) > 15
    for requirement in wanted:
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not locked: run 'make lock'"
        assert requirement.specifier.contains(version), f"{requirement} got {version}: 'make lock'"


@pytest.mark.parametrize(("python", "system"), MACHINES)
def test_what_slows_ray_down_is_not_in_the_lock(python: str, system: str) -> None:
    locked = pins(LOCK, python, system)
    assert not {"rfc3987-syntax", "lark"} & locked.keys()
    assert tuple(map(int, locked["jsonschema"].split(".")[:2])) < (4, 25)


def test_every_pin_in_the_lock_has_a_hash() -> None:
    entries = re.findall(r"^[a-z0-9][^\n]*(?:\n {4}--hash=[^\n]+)*", LOCK, re.MULTILINE)
    assert len(entries) > 100
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("text", [LOCK, BINDER], ids=["requirements.lock", "binder"])
def test_no_address_is_in_a_requirements_file(text: str) -> None:
    # Whoever installs decides from where; pip is asked for nothing but names, versions and hashes.
    assert "://" not in text
    assert not re.search(
        r"^\s*-", re.sub(r"^ {4}--hash=", "", text, flags=re.MULTILINE), re.MULTILINE
    )


def test_binder_installs_the_runtime_part_of_the_lock() -> None:
    here, locked = pins(BINDER, "3.12", "linux"), pins(LOCK, "3.12", "linux")
    assert here.items() <= locked.items(), "run 'make lock'"
    missing = {canonicalize_name(r.name) for r in RUNTIME} - here.keys()
    assert not missing, f"run 'make lock': {missing}"
    only_for_developers = {canonicalize_name(r.name) for r in EXTRAS} - {"nbclient"}  # JupyterLab's
    assert not only_for_developers & here.keys()


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("clusterlab/")}
        entry_points = next(n for n in archive.namelist() if n.endswith("/entry_points.txt"))
        assert "clusterlab = clusterlab.cli:main" in archive.read(entry_points).decode()
    package = Path(clusterlab.__file__).parent
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "clusterlab/py.typed" in files
    assert files <= packed
