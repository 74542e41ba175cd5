import json
import os
import socket
import sys
from pathlib import Path

import pytest

from clusterlab.core.errors import ScenarioError
from clusterlab.lessons import desk


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("00_start_here", "01_how", "09_split"):
        (tmp_path / "labs" / name).mkdir(parents=True)
        (tmp_path / "labs" / name / f"{name}.ipynb").write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_lab_is_copied_once_and_never_overwritten(project):
    copy = desk.lay_out("00")
    assert copy == project / "my-labs" / "00_start_here" / "00_start_here.ipynb"
    copy.write_text("my own work")
    assert desk.lay_out("00") == copy
    assert copy.read_text() == "my own work"
    assert (
        project / "labs" / "00_start_here" / "00_start_here.ipynb"
    ).read_text() == "00_start_here"


def test_fresh_keeps_the_old_copy_beside_the_new(project):
    copy = desk.lay_out("00")
    copy.write_text("my own work")
    desk.lay_out("00", fresh=True)
    texts = sorted(path.read_text() for path in copy.parent.glob("*.ipynb"))
    assert texts == ["00_start_here", "my own work"]


def test_labs_are_found_from_a_folder_below(project, monkeypatch):
    monkeypatch.chdir(project / "labs" / "01_how")
    assert desk.labs_folder() == project / "labs"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("77", "no lab begins with '77': name one of 00_start_here, 01_how, 09_split"),
        ("0", "several labs begin with '0'"),
    ],
)
def test_a_name_that_fits_no_lab_or_several_is_a_sentence(project, name, sentence):
    with pytest.raises(ScenarioError, match=sentence):
        desk.lay_out(name)


def test_a_taken_port_is_a_sentence(project):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ScenarioError, match=f"port {port} is taken by another program"):
            desk.jupyter_command(desk.lay_out("00"), port=port)


def test_a_port_that_cannot_be_is_a_sentence(project):
    with pytest.raises(ScenarioError, match="there is no port 70000"):
        desk.jupyter_command(desk.lay_out("00"), port=70000)


def test_jupyter_is_bound_to_this_machine_and_keeps_its_token(project):
    command = desk.jupyter_command(desk.lay_out("00"), browser=False)
    assert command[0] == sys.executable
    assert "--ServerApp.ip=127.0.0.1" in command
    assert "--no-browser" in command
    assert not any("token" in word for word in command)


def test_jupyterlab_asks_for_no_news_and_keeps_its_other_configuration(monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "elsewhere")
    first, *others = desk.jupyter_environment()["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    config = json.loads((Path(first) / "labconfig" / "page_config.json").read_text())
    assert config["disabledExtensions"]["@jupyterlab/apputils-extension:announcements"]
    assert others == ["elsewhere"]


def test_a_missing_jupyterlab_is_a_sentence(project, monkeypatch):
    monkeypatch.setattr(desk, "find_spec", lambda name: None)
    with pytest.raises(ScenarioError, match="JupyterLab is not installed: run `make setup`"):
        desk.jupyter_command(desk.lay_out("00"))


def test_without_labs_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(desk, "_candidates", lambda: iter([tmp_path]))
    with pytest.raises(ScenarioError, match="run this in the clusterlab folder"):
        desk.lay_out("00")
