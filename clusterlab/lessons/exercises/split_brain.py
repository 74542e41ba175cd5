"""The exercises of lab 09: a fence at the disk, and a witness with a vote and no data."""

from __future__ import annotations

from typing import Any

from clusterlab.check.invariants.primary_backup import (
    FENCING,
    ONE_WRITER_PER_EPOCH,
    TERMS_OF_OFFICE,
)
from clusterlab.check.properties import Answer as Told
from clusterlab.check.properties import always, sometimes
from clusterlab.check.world import NodeView, World
from clusterlab.core.node import Deliver, Node, restart
from clusterlab.lessons.exercises.exercise import (
    Answer,
    Crash,
    Exercise,
    Try,
    afterwards,
    every_schedule,
    has,
    sends,
)
from clusterlab.lessons.mutants.primary_backup import (
    LEASES,
    NOTHING_CORRUPTED,
    TWO_SERVED,
    holders,
)
from clusterlab.protocols.primary_backup import (
    Claim,
    Deposed,
    Granted,
    Vouch,
    Witness,
    Witnessed,
)
from clusterlab.protocols.records import PRIMARY, Record
from clusterlab.protocols.shared_storage import BlockWritten, Fenced, Storage, WriteBlock

# --- the fence -----------------------------------------------------------------------------------

ONE, TWO = Record(1, "c1", 1), Record(2, "c2", 1)


def _disk(answer: Answer) -> Any:
    return answer("disk")


def _seen(newest: int) -> Any:
    """Makes a disk that has been mounted with a token."""

    def make(answer: Answer) -> Any:
        return restart(answer("disk"), {"newest": newest, "owner": "n2"})

    return make


FENCE = Exercise(
    name="09/fencing",
    base=Storage,
    writes=("on_write_block",),
    source="Kleppmann 2016; Burrows 2006, section 2.4",
    tries=(
        Try(
            "a write with the newest token is carried out",
            _seen(1),
            (Deliver("n1", WriteBlock(0, ONE, 1)),),
            (has(blocks=(ONE,)), sends("n1", BlockWritten(0, 1))),
            "Nobody newer was here: `self.write(src, m)` does all that a write needs.",
        ),
        Try(
            "a higher token than any before is welcome",
            _disk,
            (Deliver("n2", WriteBlock(0, TWO, 2)),),
            (has(blocks=(TWO,)), sends("n2", BlockWritten(0, 2))),
            "Tokens grow with each grant, and `self.newest` is the highest that the disk has seen.",
        ),
    ),
    looks=(
        every_schedule(
            "every schedule of two holders, a lease that ends, and messages that are late",
            holders,
            idle="A disk that writes nothing is safe and of no use: whom must it serve?",
            properties=(FENCING, NOTHING_CORRUPTED, TWO_SERVED),
            **LEASES,
        ),
        afterwards(
            Try(
                "whoever is refused is told why",
                _seen(2),
                (Deliver("n1", WriteBlock(0, ONE, 1)),),
                (sends("n1", Fenced(2)),),
                "Otherwise it would go on believing that it has the lock.",
            )
        ),
    ),
)

# --- the witness ---------------------------------------------------------------------------------


def _servers(world: World) -> list[NodeView]:
    return [node for node in world.nodes if hasattr(node, "vouched")]


def _complete(world: World) -> Told:
    for later in _servers(world):
        for earlier in _servers(world):
            if later.role != PRIMARY or later.epoch <= earlier.epoch:
                continue
            if later.log[: earlier.committed] != earlier.log[: earlier.committed]:
                return f"{later.id} serves in {later.epoch} without what {earlier.id} acknowledged"
    return True


COMPLETE = always(
    "NothingIsLost", _complete, reads=("role", "epoch", "log", "committed", "vouched")
)
"""What a primary acknowledged is in the log of every later one."""


def trio(answer: Answer) -> list[Node]:
    """The pair, and a witness of the learner's class."""
    return [*Witnessed.pair(witness="w"), answer("w")]


def up_to(epoch: int) -> Any:
    """A bound: no epoch above, and no log longer than that many."""

    def bound(node: NodeView) -> bool:
        return bool(getattr(node, "epoch", 0) <= epoch and len(getattr(node, "log", ())) <= epoch)

    return bound


DISPUTED = (
    "n1 fires PartnerSilent()",
    "n2 fires PartnerSilent()",
    "n1 -> w Claim(epoch=1, last=0, length=0)",
    "w -> n1 Granted(epoch=1)",
    "n2 -> w Claim(epoch=1, last=0, length=0)",
    "w -> n2 Deposed(epoch=1)",
    "n2 fires PartnerSilent()",
    "n2 -> w Claim(epoch=2, last=0, length=0)",
    "w -> n2 Granted(epoch=2)",
)
"""Each server has a log of one record, of another epoch."""


def _witness(**disk: int) -> Any:
    def make(answer: Answer) -> Any:
        return restart(answer("w"), disk)

    return make


WITNESS = Exercise(
    name="09/witness",
    base=Witness,
    writes=("on_claim",),
    source="Paris 1986; Ongaro and Ousterhout 2014, section 5.4.1",
    tries=(
        Try(
            "who asks first for an epoch gets it",
            _witness(),
            (Deliver("n1", Claim(1, 0, 0)),),
            (sends("n1", Granted(1)), has(epoch=1)),
            "The witness and one server are two of three.",
        ),
        Try(
            "who comes too late is told so",
            _witness(epoch=2),
            (Deliver("n1", Claim(2, 1, 1)),),
            (sends("n1", Deposed(2)),),
            "It would otherwise ask for the same epoch for ever.",
        ),
        Try(
            "a restart does not take the grant back",
            _witness(),
            (Deliver("n1", Claim(1, 0, 0)), Crash()),
            (has(epoch=1),),
            "A vote that is forgotten can be given twice.",
        ),
        Try(
            "a server that has all that was vouched for may take over",
            _witness(epoch=1),
            (Deliver("n1", Vouch(1, 3)), Deliver("n2", Claim(2, 1, 3))),
            (sends("n2", Granted(2)),),
            "Equal is not behind.",
        ),
    ),
    looks=(
        every_schedule(
            "every schedule of two epochs",
            trio,
            idle="A witness that grants nothing keeps everybody out: to whom must it say yes?",
            properties=(
                COMPLETE,
                ONE_WRITER_PER_EPOCH,
                sometimes(
                    "a second epoch begins", lambda w: len(w.ghost) > 1, ghost=TERMS_OF_OFFICE
                ),
            ),
            bound=up_to(2),
        ),
        every_schedule(
            "what may follow when the two logs are of different epochs",
            trio,
            partly=True,
            after=DISPUTED,
            properties=(COMPLETE,),
            bound=up_to(3),
            states_max=60_000,
        ),
    ),
)

EXERCISES = (FENCE, WITNESS)
