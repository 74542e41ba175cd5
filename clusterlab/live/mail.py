"""Mail between the processes of one machine: batches of messages over Unix sockets.

A one-way Ray call costs about 1 ms of CPU, three quarters of all that a commit took, and blocks the
sender for half of it. The processes of a cluster share a machine, so their mail needs no
more than a socket; Ray makes, watches and ends the processes and carries everything else.

Each process listens at a path of its own life and opens one connection to each process that
it sends to, so each connection carries one way. A batch is its length (4 bytes) and its bytes.

- A sender never waits. What the kernel does not take (it holds some 200 kB for a process that is
  stopped or busy) stays here, and leaves when there is room.
- What the kernel took arrives, even if the sender dies at once: nothing that it reads comes
  over the same connection, so its end cannot throw away what is on the way.
- Who cannot be reached is dead. Batches to it vanish, until `meet` tells of its next life.

Batches are pickles: the folder of the sockets must be open to nobody else (0700), and its path
short (that of a Unix socket has some 100 bytes).
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import time
from collections.abc import Mapping

from clusterlab.live.hosted import HostName, Post

BACKLOG = 1024
READ_BYTES = 1 << 18
_LENGTH = struct.Struct("!I")


class _Line:
    """The connection to one process, and what could not leave yet."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.waiting = bytearray()
        try:
            self.socket.setblocking(False)
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise


class Mail(Post):
    """The sockets of one process.

    All methods but `wake` belong to the thread that receives.
    """

    def __init__(self, path: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._lines: dict[HostName, _Line] = {}
        self._peers: dict[HostName, tuple[str | None, int]] = {}
        self._arrived: dict[socket.socket, bytearray] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(BACKLOG)
        self._woken, self._waker = socket.socketpair()
        for end in (self._listener, self._woken):
            self._selector.register(end, selectors.EVENT_READ)
        for end in (self._listener, self._woken, self._waker):
            end.setblocking(False)

    # --- receiving ---

    def wake(self) -> None:
        """Let `receive` return; called from other threads."""
        with contextlib.suppress(OSError):  # full of wake-ups that nobody has seen yet, or closed
            self._waker.send(b"!")

    def receive(self, patience: float | None) -> list[bytes]:
        """Batches, as soon as there are any, after `patience` seconds at most (None: for ever)."""
        batches: list[bytes] = []
        for key, events in self._selector.select(patience):
            if isinstance(key.data, _Line):
                if events & selectors.EVENT_WRITE:
                    self._push(key.data)
            elif key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._woken:
                self._woken.recv(READ_BYTES)
            else:
                self._read(key.fileobj, batches)  # type: ignore[arg-type]
        return batches

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                sender, _ = self._listener.accept()
                sender.setblocking(False)
                self._arrived[sender] = bytearray()
                self._selector.register(sender, selectors.EVENT_READ)

    def _read(self, sender: socket.socket, batches: list[bytes]) -> None:
        try:
            data = sender.recv(READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:  # the sender is dead: what it did not finish, it did not send
            self._selector.unregister(sender)
            del self._arrived[sender]
            sender.close()
            return
        buffer = self._arrived[sender]
        buffer += data
        begin, size = 0, len(buffer)
        while size - begin >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, begin)
            end = begin + _LENGTH.size + length
            if end > size:
                break
            batches.append(bytes(buffer[begin + _LENGTH.size : end]))
            begin = end
        del buffer[:begin]

    # --- sending ---

    def meet(self, peers: Mapping[HostName, tuple[str | None, int]]) -> None:
        """Learn path (None: dead) and life of other processes."""
        for name, peer in peers.items():
            if self._peers.get(name) != peer:
                self._hang_up(name)
                self._peers[name] = peer

    def life(self, host: HostName) -> int:
        """The life that batches go to now."""
        return self._peers[host][1]

    def send(self, host: HostName, batch: bytes) -> None:
        """Hand a batch to a process, if it lives; never waits."""
        line = self._lines.get(host) or self._call(host)
        if line is None:
            return
        data = _LENGTH.pack(len(batch)) + batch
        if line.waiting:
            line.waiting += data
            return
        sent = self._write(line, data)
        if sent is None:
            self._lose(host)
        elif sent < len(data):
            line.waiting += data[sent:]
            self._selector.register(line.socket, selectors.EVENT_WRITE, line)

    def _call(self, host: HostName) -> _Line | None:
        path, _ = self._peers[host]
        if path is None:
            return None
        try:
            line = self._lines[host] = _Line(path)
        except OSError:
            self._lose(host)
            return None
        return line

    def _write(self, line: _Line, data: bytes | bytearray) -> int | None:
        """How many bytes the kernel took; None if nobody is there to read them."""
        try:
            return line.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return None

    def _push(self, line: _Line) -> None:
        """There is room for some of what waits."""
        sent = self._write(line, line.waiting)
        if sent is None:
            self._lose(next(name for name, one in self._lines.items() if one is line))
            return
        del line.waiting[:sent]
        if not line.waiting:
            self._selector.unregister(line.socket)

    def _lose(self, host: HostName) -> None:
        """Nobody is there any more; `meet` will tell of another life."""
        self._hang_up(host)
        self._peers[host] = (None, self._peers[host][1])

    def _hang_up(self, host: HostName) -> None:
        line = self._lines.pop(host, None)
        if line is not None:
            if line.waiting:
                self._selector.unregister(line.socket)
            line.socket.close()

    # --- ending ---

    def flush(self, limit_s: float) -> None:
        """Wait until the kernel has taken all: from there it arrives whatever becomes of us."""
        end = time.monotonic() + limit_s
        for line in list(self._lines.values()):
            left = end - time.monotonic()
            if line.waiting and left > 0:
                line.socket.settimeout(left)
                with contextlib.suppress(OSError):
                    line.socket.sendall(line.waiting)

    def close(self) -> None:
        """Let go of all sockets."""
        for host in list(self._lines):
            self._hang_up(host)
        for end in (self._listener, self._woken, self._waker, *self._arrived):
            end.close()
        self._selector.close()
