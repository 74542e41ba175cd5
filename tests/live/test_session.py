"""Connecting to Ray: what is ours we end, what is borrowed we leave; failures have mends."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from clusterlab.core.errors import EngineUnavailable
from clusterlab.live import machine
from clusterlab.live import session as module
from clusterlab.live.machine import MEMORY_VARIABLE, available_mib, check_memory
from clusterlab.live.session import Session, explain, load_ray


class User:
    """A cluster, as far as a session knows."""

    def __init__(self) -> None:
        self.stopped = 0

    def stop(self) -> None:
        self.stopped += 1


class FakeRay(types.ModuleType):
    """A Ray whose start does what a test says."""

    def __init__(self, init: Callable[..., None] = lambda **options: None) -> None:
        super().__init__("ray")
        self.options: list[dict[str, Any]] = []
        self.threads: list[threading.Thread] = []
        self.up = False
        self.ended = 0
        self._init = init
        self._private: Any = types.SimpleNamespace(
            ray_constants=types.SimpleNamespace(ENABLE_RAY_CLUSTER=True),
            worker=types.SimpleNamespace(),
            services=types.SimpleNamespace(canonicalize_bootstrap_address=lambda address: address),
        )

    def init(self, **options: Any) -> None:
        self.options.append(
            {**options, "loopback": not self._private.ray_constants.ENABLE_RAY_CLUSTER}
        )
        self.threads.append(threading.current_thread())
        self._init(**options)
        self.up = True

    def is_initialized(self) -> bool:
        return self.up

    def shutdown(self) -> None:
        self.up = False
        self.ended += 1

    def get_runtime_context(self) -> Any:
        return types.SimpleNamespace(gcs_address="127.0.0.1:1")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(module.atexit, "register", lambda function: None)
    monkeypatch.setattr(machine, "available_mib", lambda: 10_000)
    monkeypatch.setattr(module, "check_memory", lambda: check_memory(lambda: 10_000))
    return ray


def quiet(_: str) -> None:
    pass


def fails(error: Exception) -> Callable[..., None]:
    def init(**options: Any) -> None:
        raise error

    return init


# --- ours ---


def test_without_an_address_ray_is_started_here_and_ended_by_us(fake: FakeRay) -> None:
    session, user, said = Session(), User(), list[str]()
    session.join(user, None, said.append)
    options = fake.options[0]
    assert options["address"] == "local"
    assert (options["include_dashboard"], options["log_to_driver"]) == (False, False)
    assert options["loopback"]
    assert fake._private.ray_constants.ENABLE_RAY_CLUSTER is True  # as it was
    assert said == ["starting Ray on this machine (a few seconds) ..."]
    directory = session.directory
    assert directory is not None
    assert directory.is_dir()
    assert len(str(directory)) < 40  # the path of a socket in it may have 107 characters
    session.end()
    assert user.stopped == 1
    assert fake.ended == 1
    assert not directory.exists()


def test_it_is_started_by_a_thread_that_lives_on(fake: FakeRay) -> None:
    """The kernel ends Ray's daemons with the thread that started them."""
    session = Session()
    caller = threading.Thread(target=session.join, args=(User(), None, quiet))
    caller.start()
    caller.join()
    assert fake.threads[0].is_alive()
    assert fake.threads[0] is not threading.main_thread()
    session.end()


def test_it_stays_warm_for_a_while_after_the_last_cluster(
    fake: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, first, second = Session(), User(), User()
    session.join(first, None, quiet)
    session.leave(first)
    session.join(second, "local", quiet)
    assert len(fake.options) == 1
    assert session._linger is None
    monkeypatch.setattr(module, "LINGER_S", 0.01)
    session.leave(second)
    end = time.monotonic() + 5
    while not fake.ended and time.monotonic() < end:
        time.sleep(0.005)
    assert fake.ended == 1


def test_what_killed_drivers_left_in_the_temporary_directory_is_swept(fake: FakeRay) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, mine = (
        Path(f"/tmp/clusterlab-{gone.pid}-abc"),
        Path(f"/tmp/clusterlab-{psutil.Process().pid}-abc"),
    )
    left.mkdir()
    mine.mkdir()
    session = Session()
    session.join(User(), None, quiet)
    assert not left.exists()
    assert mine.exists()
    mine.rmdir()
    session.end()


# --- borrowed ---


def test_a_ray_that_this_process_has_is_borrowed(fake: FakeRay) -> None:
    fake.up = True
    session, user = Session(), User()
    session.join(user, None, quiet)
    session.leave(user)
    session.end()
    assert (fake.options, fake.ended) == ([], 0)


@pytest.fixture
def listener() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_an_address_is_borrowed(fake: FakeRay, listener: str) -> None:
    session, user = Session(), User()
    session.join(user, listener, quiet)
    assert fake.options[0]["address"] == listener
    assert "object_store_memory" not in fake.options[0]
    assert not fake.options[0]["loopback"]
    session.leave(user)
    session.end()
    assert fake.ended == 0


def test_one_that_listens_on_loopback_only_is_found_there(fake: FakeRay, listener: str) -> None:
    """Ray makes the machine's outside address of 127.0.0.1."""
    port = listener.rpartition(":")[2]
    fake._private.services.canonicalize_bootstrap_address = lambda _: f"127.0.0.2:{port}"
    session = Session()
    session.join(User(), "auto", quiet)
    assert fake.options[0]["address"] == listener
    assert fake.options[0]["loopback"]


def test_where_nobody_listens_ray_is_not_even_asked(fake: FakeRay) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    begun = time.monotonic()
    with pytest.raises(EngineUnavailable, match=f"no Ray cluster answers at '127.0.0.1:{port}'"):
        Session().join(User(), f"127.0.0.1:{port}", quiet)
    assert time.monotonic() - begun < 10
    assert fake.options == []


# --- failures ---


@pytest.mark.parametrize(
    ("error", "address", "sentence"),
    [
        (ConnectionError("no such cluster"), "ray://there:1", "no Ray cluster answers at 'ray:"),
        (OSError("[Errno 98] Address already in use"), None, "another program holds them"),
        (ValueError("Failed to bind socket"), None, "another program holds them"),
        (RuntimeError("not enough shm"), None, "could not get the memory"),
        (RuntimeError("something else"), None, "run `clusterlab doctor`"),
    ],
)  # fmt: skip
def test_a_start_that_fails_is_one_sentence(
    fake: FakeRay, error: Exception, address: str | None, sentence: str
) -> None:
    fake._init = fails(error)
    session = Session()
    with pytest.raises(EngineUnavailable) as caught:
        session.join(User(), address, quiet)
    assert sentence in str(caught.value)
    assert str(error) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert session.directory is None
    assert not session.ours


def test_a_start_that_takes_too_long_is_given_up_and_cleaned_up_later(
    fake: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    fake._init = lambda **options: bool(go_on.wait(10)) and None
    monkeypatch.setattr(module, "START_LIMIT_S", 0.05)
    session = Session()
    with pytest.raises(EngineUnavailable, match="did not start within 0 s"):
        session.join(User(), None, quiet)
    monkeypatch.setattr(module, "START_LIMIT_S", 10)
    go_on.set()
    said: list[str] = []
    session.join(User(), None, said.append)  # waits for the abandoned one to be ended
    assert said[0].startswith("waiting for the start that was interrupted")
    assert fake.ended == 1
    assert len(fake.options) == 2
    session.end()


def test_an_interrupted_start_is_ended(fake: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "_on_keeper", interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.join(User(), None, quiet)
    assert session.directory is None
    assert session._abandoned


def test_missing_ray_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineUnavailable, match=r"pip install ray.*engine='sim'"):
        load_ray()


def test_the_explanation_of_anything_is_bounded() -> None:
    assert len(explain(RuntimeError("x" * 10_000), None)) < 500


# --- memory ---


def test_too_little_memory_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        EngineUnavailable, match="wants about 700 MiB of memory and 450 MiB are free"
    ):
        check_memory(lambda: 450)
    check_memory(lambda: 701)
    monkeypatch.setenv(MEMORY_VARIABLE, "400")
    check_memory(lambda: 450)
    monkeypatch.setenv(MEMORY_VARIABLE, "lots")
    with pytest.raises(EngineUnavailable, match="'lots' is not a number"):
        check_memory(lambda: 450)


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    mib = 1 << 20
    whole = available_mib(tmp_path)
    assert whole == pytest.approx(psutil.virtual_memory().available // mib, rel=0.2)
    (tmp_path / "memory.max").write_text(f"{512 * mib}\n")
    (tmp_path / "memory.current").write_text(f"{300 * mib}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {50 * mib}\n")
    assert available_mib(tmp_path) == 262
    (tmp_path / "memory.max").write_text("max\n")
    assert available_mib(tmp_path) == pytest.approx(whole, rel=0.2)
    old = tmp_path / "memory"
    old.mkdir()
    (old / "memory.limit_in_bytes").write_text(str(400 * mib))
    (old / "memory.usage_in_bytes").write_text(str(100 * mib))
    (old / "memory.stat").write_text("total_inactive_file 0\n")
    assert available_mib(tmp_path) == 300


# --- for real ---

BORROWER = """
import sys, ray
from tests.live.nodes import Add, counters
from clusterlab.live import LiveCluster
with LiveCluster(counters(1, wait_for=0), address=sys.argv[1]) as cluster:
    print(cluster.invoke("n1", Add(5)), flush=True)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_running_ray_is_borrowed_for_real_and_listens_on_loopback_only(tmp_path: Path) -> None:
    import ray

    from clusterlab.live import disconnect
    from tests.live.nodes import Add, counters

    module.connect()
    try:
        address = ray.get_runtime_context().gcs_address
        me = psutil.Process()
        for process in [me, *me.children(recursive=True)]:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip.removeprefix("::ffff:") == "127.0.0.1", process
        done = subprocess.run(
            [sys.executable, "-c", BORROWER, address],
            capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")
        from clusterlab.live import LiveCluster

        with LiveCluster(counters(1, wait_for=0), progress=quiet) as cluster:  # it still serves
            assert cluster.invoke("n1", Add(1)) == 1
    finally:
        disconnect()
    assert not ray.is_initialized()


@pytest.mark.ray
@pytest.mark.slow
def test_importing_the_live_engine_does_not_import_ray() -> None:
    code = "import sys, clusterlab, clusterlab.live; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
