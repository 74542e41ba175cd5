"""Python's garbage collector rests while a trace grows."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """The collector looks for cycles in all that is young; a trace has none, but is millions long.

    It cost a third of the time of a traced simulation, and most of that of reading live journals.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
