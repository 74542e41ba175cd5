"""The learner's desk: copies of the labs to work on, and JupyterLab opened on one of them.

`labs/` stays as it was released, so that an update never meets a learner's own work:
a lab is copied to `my-labs/` when it is first opened, and never overwritten after.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from clusterlab.core.errors import ScenarioError

DESK = "my-labs"


def labs_folder() -> Path:
    """The `labs` folder: in the current folder or one above it, else beside this package."""
    for folder in _candidates():
        if any((folder / "labs").glob("*/*.ipynb")):
            return folder / "labs"
    raise ScenarioError(
        "there are no labs here: "
        "run this in the clusterlab folder (the one with README.md and labs/)."
    )


def _candidates() -> Iterator[Path]:
    here = Path.cwd()
    yield here
    yield from here.parents
    yield Path(__file__).resolve().parents[2]


def find_lab(labs: Path, name: str) -> Path:
    """The notebook of the one lab whose name begins with `name`."""
    found = [path for path in sorted(labs.glob("*/*.ipynb")) if path.stem.startswith(name)]
    if len(found) != 1:
        names = ", ".join(path.stem for path in found or sorted(labs.glob("*/*.ipynb")))
        wrong = "several labs begin" if found else "no lab begins"
        raise ScenarioError(f"{wrong} with {name!r}: name one of {names}.")
    return found[0]


def lay_out(name: str, *, fresh: bool = False) -> Path:
    """The learner's copy of a lab, made if it is not there yet.

    With `fresh`, an existing copy is kept beside the new one, under a name with the time in it.
    """
    labs = labs_folder()
    lab = find_lab(labs, name)
    copy = labs.parent / DESK / lab.relative_to(labs)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        if fresh and copy.exists():
            copy.rename(copy.with_stem(f"{copy.stem}-{time.strftime('%Y-%m-%d-%H%M%S')}"))
        if not copy.exists():
            shutil.copyfile(lab, copy)
    except OSError as error:
        raise ScenarioError(
            f"cannot make your copy {copy}: {error.strerror}; "
            "free some space, or run this in a folder of your own."
        ) from error
    return copy


def jupyter_command(notebook: Path, *, port: int | None = None, browser: bool = True) -> list[str]:
    """The command that opens JupyterLab on `notebook`.

    Raises ScenarioError if JupyterLab is missing or the port that was asked for is taken.
    """
    if find_spec("jupyterlab") is None:
        raise ScenarioError(
            "JupyterLab is not installed: run `make setup`, or `pip install jupyterlab`."
        )
    desk = notebook.parents[1]
    command = [sys.executable, "-m", "jupyter", "lab", "--ServerApp.ip=127.0.0.1"]
    command += [
        f"--ServerApp.root_dir={desk}",
        f"--LabApp.default_url=/lab/tree/{quote(notebook.relative_to(desk).as_posix())}",
    ]
    command.append("--LabApp.extension_manager=readonly")  # the other one asks for a list online
    if port is not None:
        if not _is_free(port):
            raise ScenarioError(
                f"port {port} is taken by another program: "
                "leave --port out to let a free one be found."
            )
        command += [f"--port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        command.append("--no-browser")
    if _is_root():
        command.append("--allow-root")  # containers, such as Binder's and CI's, run as root
    return command


def jupyter_environment() -> dict[str, str]:
    """The environment for that command: JupyterLab asks for no news and checks for no update."""
    here = str(Path(__file__).parent / "jupyter")
    others = os.environ.get("JUPYTER_CONFIG_PATH")
    return {**os.environ, "JUPYTER_CONFIG_PATH": f"{here}{os.pathsep}{others}" if others else here}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OverflowError as error:
            raise ScenarioError(f"there is no port {port}: give one from 1024 to 65535.") from error
        except OSError:
            return False
    return True


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0  # there is no root on Windows
