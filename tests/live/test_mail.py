"""Mail between processes: what arrives, what waits, and what is lost with its reader."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterlab.live.mail import Mail

BIG = 3_000_000
"""More bytes than the kernel holds for a reader that does not read."""

DIES_AT_ONCE = """
import os, signal, sys
from clusterlab.live.mail import Mail
mail = Mail(sys.argv[1])
mail.meet({"b": (sys.argv[2], 1)})
for number in range(100):
    mail.send("b", str(number).encode())
mail.flush(1.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Office:
    """Boxes that know each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boxes: list[Mail] = []

    def open(self, name: str) -> Mail:
        self.boxes.append(Mail(str(self.folder / name)))
        return self.boxes[-1]

    def pair(self) -> tuple[Mail, Mail]:
        a, b = self.open("a"), self.open("b")
        a.meet({"b": (str(self.folder / "b"), 2)})
        return a, b


@pytest.fixture
def office() -> Iterator[Office]:
    with tempfile.TemporaryDirectory() as folder:  # short, unlike tmp_path
        made = Office(Path(folder))
        yield made
        for box in made.boxes:
            box.close()


def read(box: Mail, count: int, *, pushing: Mail | None = None) -> list[bytes]:
    """Batches until there are `count`; `pushing` goes on sending what waits."""
    batches: list[bytes] = []
    end = time.monotonic() + 20
    while len(batches) < count:
        assert time.monotonic() < end, f"{len(batches)} of {count} batches came"
        if pushing is not None:
            pushing.receive(0.0)
        batches += box.receive(0.05)
    return batches


def test_batches_arrive_whole_and_in_order(office: Office) -> None:
    a, b = office.pair()
    sent = [bytes([number]) * number for number in range(200)]
    for batch in sent:
        a.send("b", batch)
    assert read(b, 200) == sent
    assert a.life("b") == 2


def test_a_box_waits_until_something_comes(office: Office) -> None:
    a, b = office.pair()
    assert b.receive(0.0) == []
    threading.Timer(0.1, lambda: a.send("b", b"late")).start()
    assert b.receive(10.0) == []  # the connection
    assert b.receive(10.0) == [b"late"]


def test_another_thread_can_wake_a_box(office: Office) -> None:
    box = office.open("a")
    threading.Timer(0.1, box.wake).start()
    assert box.receive(None) == []
    for _ in range(100_000):  # more than fit
        box.wake()
    assert box.receive(None) == []


def test_a_sender_never_waits_for_a_reader_that_does_not_read(office: Office) -> None:
    a, b = office.pair()
    sent = [b"first", b"x" * BIG, b"y" * BIG, b"last"]
    for batch in sent:
        a.send("b", batch)
    assert read(b, 4, pushing=a) == sent
    a.send("b", b"again")
    assert read(b, 1) == [b"again"]


def test_what_was_sent_arrives_although_its_sender_dies(office: Office) -> None:
    b = office.open("b")
    paths = [str(office.folder / name) for name in ("a", "b")]
    subprocess.run([sys.executable, "-c", DIES_AT_ONCE, *paths], check=False, timeout=60)
    assert read(b, 100) == [str(number).encode() for number in range(100)]


def test_mail_to_the_dead_vanishes_until_they_live_again(office: Office) -> None:
    a, b = office.pair()
    a.send("b", b"read")
    assert read(b, 1) == [b"read"]
    b.close()
    for _ in range(3):
        a.send("b", b"lost")
    again = office.open("b2")
    a.meet({"b": (str(office.folder / "b2"), 3)})
    a.send("b", b"found")
    assert read(again, 1) == [b"found"]
    assert a.life("b") == 3


def test_what_waits_for_a_reader_is_lost_with_it(office: Office) -> None:
    a, b = office.pair()
    a.send("b", b"x" * BIG)
    b.close()
    end = time.monotonic() + 20
    while a._lines:
        assert time.monotonic() < end
        a.receive(0.05)
    a.send("b", b"nobody is there")
    a.meet({"b": (None, 2)})
    a.send("b", b"nobody is there")


def test_what_a_sender_did_not_finish_was_not_sent(office: Office) -> None:
    a, b = office.pair()
    a.send("b", b"whole")
    a.send("b", b"x" * BIG)
    assert read(b, 1) == [b"whole"]
    a.close()
    assert b.receive(0.2) == []
    c = office.open("c")
    c.meet({"b": (str(office.folder / "b"), 2)})
    c.send("b", b"somebody else")
    assert read(b, 1) == [b"somebody else"]
