"""Seeds shared among processes, or among the machines of a Ray cluster; verdicts in their order.

A seed depends on nothing but its number, so who runs it makes no difference. What is handed out is
one seed at a time, which keeps everybody busy to the end, and what comes back is a verdict without
its trace: who wants the trace runs the seed again.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from clusterlab.check.properties import Property
from clusterlab.core.errors import ClusterlabError, ScenarioError
from clusterlab.experiments.fuzz_report import SeedVerdict
from clusterlab.live.session import load_ray, session

if TYPE_CHECKING:
    from clusterlab.experiments.fuzz import Trial

AHEAD = 2
"""So many seeds wait at each worker, that it need not wait for us."""
GOODBYE_S = 5.0


def one_by_one(trials: Sequence[Trial], seeds: Sequence[int]) -> Generator[SeedVerdict]:
    """In this process."""
    for seed in seeds:
        yield trial_of(trials, seed).run(seed).verdict()


def trial_of(trials: Sequence[Trial], seed: int) -> Trial:
    """Trials take turns."""
    return trials[seed % len(trials)]


# --- what is handed out --------------------------------------------------------------------------


def pack(trials: Sequence[Trial]) -> bytes:
    """The trials as bytes that another process understands.

    Raises ScenarioError for what cannot leave this process.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer).dump(tuple(trials))
        packed = buffer.getvalue()
        if b"__main__" not in packed:
            return packed
    except (pickle.PicklingError, AttributeError, TypeError):
        pass  # a lambda, or a class that was made in a function
    # A notebook's classes exist in its kernel only, so their code has to travel.
    load_ray()
    cloudpickle = importlib.import_module("ray.cloudpickle")
    try:
        return bytes(cloudpickle.dumps(tuple(trials)))
    except Exception as error:
        raise ScenarioError(
            f"these nodes or properties cannot be handed to another process ({error}): "
            "use workers=1, or let them stand in a module, without open files or locks."
        ) from error


def unpack(packed: bytes) -> tuple[Trial, ...]:
    """The trials that `pack` packed."""
    found: tuple[Trial, ...] = _Unpickler(io.BytesIO(packed)).load()
    return found


class _Pickler(pickle.Pickler):
    """A property that stands in a module goes by its name: its lambdas need not travel."""

    def persistent_id(self, obj: Any) -> tuple[str, str] | None:
        if isinstance(obj, Property):
            module = getattr(obj.predicate, "__module__", "")
            names = vars(sys.modules.get(module, object))
            name = next((name for name, value in list(names.items()) if value is obj), None)
            if name is not None and module != "__main__":
                return module, name
        return None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: tuple[str, str]) -> Any:
        module, name = pid
        return getattr(importlib.import_module(module), name)


# --- processes -----------------------------------------------------------------------------------


def by_processes(
    trials: Sequence[Trial], seeds: Sequence[int], workers: int
) -> Generator[SeedVerdict]:
    """By so many processes, which end with this generator, however it ends."""
    packed = pack(trials)
    pool = _Pool(packed, min(workers, len(seeds)))
    try:
        yield from _in_order(seeds, pool.results(seeds))
    finally:
        pool.end()


def _in_order(
    seeds: Sequence[int], results: Iterator[tuple[int, SeedVerdict]]
) -> Generator[SeedVerdict]:
    """The verdicts in the order of the seeds, each as soon as all before it are there."""
    early: dict[int, SeedVerdict] = {}
    next_ = 0
    for place, verdict in results:
        early[place] = verdict
        while next_ in early:
            yield early.pop(next_)
            next_ += 1
    assert next_ == len(seeds)


class _Pool:
    """Processes that each read (place, seed) from a pipe and write (place, verdict) to it."""

    def __init__(self, packed: bytes, size: int) -> None:
        self._workers: dict[Connection, BaseProcess] = {}
        context = get_context("spawn")  # a fork would copy the threads of Ray or of a notebook
        try:
            with _deaf_to_ctrl_c():
                for _ in range(size):
                    ours, theirs = context.Pipe()
                    process = context.Process(target=_work, args=(packed, theirs), daemon=True)
                    self._workers[ours] = process
                    process.start()
                    theirs.close()
        except BaseException:
            self.end()
            raise

    def results(self, seeds: Sequence[int]) -> Iterator[tuple[int, SeedVerdict]]:
        """The verdicts as they come in, each with the place of its seed."""
        todo = deque(enumerate(seeds))
        open_ = len(todo)
        for _ in range(AHEAD):
            for pipe in self._workers:
                self._hand_out(pipe, todo)
        while open_:
            ready = wait(list(self._workers))
            for pipe in [pipe for pipe in self._workers if pipe in ready]:
                try:
                    answer = pipe.recv()
                except (EOFError, OSError):
                    self._mourn(pipe)
                if isinstance(answer, BaseException):
                    raise answer
                open_ -= 1
                yield answer
                self._hand_out(pipe, todo)

    def _hand_out(self, pipe: Connection, todo: deque[tuple[int, int]]) -> None:
        if todo:
            try:
                pipe.send(todo.popleft())
            except OSError:
                self._mourn(pipe)

    def _mourn(self, pipe: Connection) -> None:
        process = self._workers[pipe]
        process.join(GOODBYE_S)
        raise ScenarioError(
            f"a worker process died (exit code {process.exitcode}): if this is a script, call fuzz "
            "below `if __name__ == '__main__':`; else give it less to do at a time (workers=1)."
        )

    def end(self) -> None:
        """No process is left."""
        for process in self._workers.values():
            if process.pid is not None:
                process.terminate()
        for pipe, process in self._workers.items():
            if process.pid is not None:
                process.join(GOODBYE_S)
                if process.is_alive():
                    process.kill()
                    process.join()
            pipe.close()
        self._workers.clear()


def _work(packed: bytes, pipe: Connection) -> None:
    """A worker: ends when its pipe does, which it does when whoever started it is gone."""
    with contextlib.suppress(EOFError, OSError):
        try:
            trials = unpack(packed)
            while True:
                place, seed = pipe.recv()
                pipe.send((place, trial_of(trials, seed).run(seed).verdict()))
        except (EOFError, OSError):
            raise
        except ClusterlabError as error:
            pipe.send(error)
        except Exception as error:  # noqa: BLE001 - it is told where the seeds come from
            pipe.send(ScenarioError(f"a worker process failed: {type(error).__name__}: {error}."))


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that start in here ignore Ctrl-C: it is for the one who started them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# --- Ray -----------------------------------------------------------------------------------------

TASK_SEEDS = 8
"""A call costs about a millisecond, a seed tens of them."""


class _User:
    """Keeps Ray up while it is used."""

    def stop(self) -> None:
        """Nothing of ours runs on."""


def by_ray(
    trials: Sequence[Trial],
    seeds: Sequence[int],
    address: str,
    say: Callable[[str], None],
) -> Generator[SeedVerdict]:
    """By the machines of a Ray cluster; one that was started for it ends with this process.

    Raises EngineUnavailable if there is none.
    """
    user = _User()
    session.join(user, None if address == "local" else address, say)
    ray = load_ray()
    refs: dict[Any, list[tuple[int, int]]] = {}
    try:
        packed = ray.put(pack(trials))
        task = ray.remote(num_cpus=1)(_run_some)
        chunks = deque(_chunks(list(enumerate(seeds)), TASK_SEEDS))
        room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))

        def results() -> Iterator[tuple[int, SeedVerdict]]:
            while chunks or refs:
                while chunks and len(refs) < room:
                    chunk = chunks.popleft()
                    refs[task.remote(packed, chunk)] = chunk
                (ready,), _ = ray.wait(list(refs), num_returns=1)
                del refs[ready]
                yield from _got(ray, ready)

        yield from _in_order(seeds, results())
    finally:
        for ref in refs:
            with contextlib.suppress(Exception):
                ray.cancel(ref, force=True)
        session.leave(user)


def _got(ray: Any, ref: Any) -> list[tuple[int, SeedVerdict]]:
    try:
        found: list[tuple[int, SeedVerdict]] = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ClusterlabError):
            raise error.cause from None
        raise ScenarioError(
            f"a Ray worker could not run its seeds ({error.cause}): the same clusterlab, and the "
            "module of your class, must be installed on every machine of the cluster."
        ) from error
    return found


def _chunks(items: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def _run_some(packed: bytes, chunk: list[tuple[int, int]]) -> list[tuple[int, SeedVerdict]]:
    trials = unpack(packed)
    return [(place, trial_of(trials, seed).run(seed).verdict()) for place, seed in chunk]
