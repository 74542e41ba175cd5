"""Answers to the exercises of lab 09, right and wrong, as learners write them."""

from __future__ import annotations

from clusterlab.protocols.primary_backup import Deposed, Granted, Witness
from clusterlab.protocols.shared_storage import Fenced, Storage


def disk_that(refuses):
    """A disk that refuses a write if `refuses(self, m)`."""

    class MyDisk(Storage):
        def on_write_block(self, src, m):
            if refuses(self, m):
                self.send(src, Fenced(self.newest))
                return
            self.newest = max(self.newest, m.token)
            self.write(src, m)

    return MyDisk


def fence():
    return disk_that(lambda self, m: m.token < self.newest)


def no_fence():
    return disk_that(lambda self, m: False)


def compares_with_its_blocks():
    """It looks at the epoch of what it writes over, and takes an old write beside a new one."""

    def overwrites(self, m):
        before = self.blocks[m.block] if m.block < len(self.blocks) else None
        return before is not None and m.token < before.epoch

    return disk_that(overwrites)


def witness_that(is_behind):
    class MyWitness(Witness):
        def on_claim(self, src, m):
            if m.epoch <= self.epoch:
                self.send(src, Deposed(self.epoch))
            elif not is_behind(self, m):
                self.epoch = m.epoch
                self.send(src, Granted(m.epoch))

    return MyWitness


def witness():
    return witness_that(lambda self, m: (m.last, m.length) < (self.last, self.length))


def grants_to_anybody():
    return witness_that(lambda self, m: False)


def grants_to_the_longer_log():
    return witness_that(lambda self, m: m.length < self.length)


RIGHT = {"09/fencing": fence, "09/witness": witness}

WRONG = [
    ("09/fencing", no_fence, "Fencing"),
    ("09/fencing", compares_with_its_blocks, "NothingCorrupted"),
    ("09/witness", grants_to_anybody, "NothingIsLost"),
    ("09/witness", grants_to_the_longer_log, "NothingIsLost"),
]
"""Each with the property that it breaks."""
