"""What a live process writes down of its steps, before it performs their effects.

Each process appends frames to a file of its own, one frame for each turn of its loop:
what is in the file survives the process. A frame whose saves have reached the disk is followed
by a mark; so is a frame without saves at once. The last frame of a dead process counts if it is
marked or if the disk says that its saves arrived; else none of its effects happened.

A frame is a list of records, one for each step, as small as the collector in the driver
can still make trace events of:

| record | fields |
|---|---|
| STEP | at_ms, node, trigger, outs |
| DROPPED | at_ms, node, name of the message, why |
| COPIED | at_ms, node, name of the message, name of its second copy, delay_ms |
| FAULT | at_ms, node, kind, data |
| LIFE | at_ms, life: the driver's mark that the process was started (again) |
| END | at_ms, life, nodes: the driver's mark that the process is dead |

A message is named by the life of the process that sent it (a number that no other process has)
and a count within it, so that a record of its arrival need not repeat it.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, TypeAlias

from clusterlab.live.wire import Wire

STEP, DROPPED, FAULT, LIFE, END, COPIED = range(6)
# What began a step (SILENT: something that the trace does not tell; ASKED: mail from WORLD).
STARTED, SILENT, DELIVERED, FIRED, ASKED = range(5)
# What came out of it.
SAVE, SEND, DUPLICATE, LOST, TO_WORLD, SET_TIMER, CANCEL_TIMER = range(7)
NOTE, STATE, INVOKED, RETURNED, KILLED, FAILED = range(7, 13)

Record: TypeAlias = tuple[Any, ...]
MessageName: TypeAlias = tuple[int, int]

_HEAD = struct.Struct("<cII")
_FRAME, _MARK = b"F", b"M"
READ_BYTES = 1 << 20


class Journal:
    """The file that one process appends its frames to."""

    def __init__(self, path: Path, wire: Wire) -> None:
        self._wire = wire
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.frame = 0

    def write(self, records: list[Record], *, marked: bool) -> int:
        """Append a frame, with its mark if nothing needs to be saved; returns its number."""
        self.frame += 1
        body = self._wire.dumps(records)
        data = _HEAD.pack(_FRAME, len(body), self.frame) + body
        if marked:
            data += _HEAD.pack(_MARK, 0, self.frame)
        os.write(self._file, data)
        return self.frame

    def mark(self) -> None:
        """The saves of the newest frame are on the disk."""
        os.write(self._file, _HEAD.pack(_MARK, 0, self.frame))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


class Frames:
    """Cuts the bytes of a journal into frames, up to the last whole and marked one."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._bytes = bytearray()
        self._unmarked: tuple[int, bytes] | None = None

    def feed(self, data: bytes) -> list[Record]:
        """The records of all frames that these bytes complete."""
        self._bytes += data
        records: list[Record] = []
        at = 0
        while len(self._bytes) - at >= _HEAD.size:
            kind, length, number = _HEAD.unpack_from(self._bytes, at)
            end = at + _HEAD.size + length
            if len(self._bytes) < end:
                break
            if kind == _FRAME:
                self._unmarked = (number, bytes(self._bytes[at + _HEAD.size : end]))
            elif self._unmarked is not None:
                records += self._wire.loads(self._unmarked[1])
                self._unmarked = None
            at = end
        del self._bytes[:at]
        return records

    def last(self, saved: int) -> list[Record]:
        """What the last frame of a dead process adds; `saved` is the newest that its disk has."""
        if self._unmarked is None or self._unmarked[0] > saved:
            return []
        records: list[Record] = self._wire.loads(self._unmarked[1])
        self._unmarked = None
        return records
