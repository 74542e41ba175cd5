"""What stays of a live picture in the notebook's file: how it looked last, not how it began.

A notebook keeps what was shown when the cell ran, and pages that run no widgets, such as GitHub's
and printed ones, show that. So a live picture is shown under a name, and its still picture and its
sentence are shown anew under that name when the cluster has stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

Bundle: TypeAlias = tuple[dict[str, Any], dict[str, Any]]


class LastPicture:
    """The place in a notebook where something is shown.

    Args:
        bundle: what is shown now, by MIME type, and its metadata; None if nothing can be.
    """

    def __init__(self, bundle: Callable[[], Bundle | None]) -> None:
        self._bundle = bundle
        self._shown: list[Any] = []

    def show(self) -> None:
        """Show it in the output of the cell that runs."""
        from IPython import display  # noqa: PLC0415 - only notebooks get here

        bundle = self._bundle()
        if bundle is not None:
            data, metadata = bundle
            publish: Callable[..., Any] = display.display
            handle = publish(data, metadata=metadata, raw=True, display_id=True)
            if handle is not None:
                self._shown.append(handle)

    def refresh(self) -> None:
        """Show it anew wherever it was shown."""
        bundle = self._bundle() if self._shown else None
        if bundle is None:
            return
        data, metadata = bundle
        with suppress(Exception):  # the kernel may be ending, and no picture may hold up a stop
            for handle in self._shown:
                handle.update(data, metadata=metadata, raw=True)
