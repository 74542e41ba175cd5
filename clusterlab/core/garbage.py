"""Python's garbage collector rests while a trace grows."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection(*, keeps: bool = False) -> Iterator[None]:
    """The collector looks for cycles in all that is young; a trace has none, but is millions long.

    It cost a third of the time of a traced simulation, and most of that of reading live journals.

    Parameters
    ----------
    keeps:
        Nearly all that is made inside is kept, and this is entered again and again: what was young
        before is looked at first, and what is made inside counts as old at once.
        Otherwise the collector would catch up with it after each time.
    """
    was_on = gc.isenabled()
    keeps = keeps and was_on and not gc.get_freeze_count()  # what somebody froze stays so
    if keeps:
        gc.collect(1)
    gc.disable()
    try:
        yield
    finally:
        if keeps:
            gc.freeze()
            gc.unfreeze()  # all of it is in the oldest generation now
        if was_on:
            gc.enable()
