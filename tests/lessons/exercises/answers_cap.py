"""Answers to the exercise of lab 12, right and wrong, as learners write them."""

from __future__ import annotations

from clusterlab.protocols.convergent import ConvergentStore
from clusterlab.protocols.dynamo.versions import descends


def store_that(keeps):
    """A store that keeps of all versions of a key, sorted, `keeps(mine, theirs)`."""

    class MyStore(ConvergentStore):
        @staticmethod
        def merge(one, other):
            both = {key: (versions, ()) for key, versions in one}
            for key, theirs in other:
                both[key] = (both.get(key, ((), ()))[0], theirs)
            found = {}
            for key, (mine, theirs) in both.items():
                found[key] = keeps(mine, theirs)
            return tuple(sorted(found.items()))

    return MyStore


def _union(mine, theirs):
    return tuple(sorted({*mine, *theirs}, key=lambda version: version.tag))


def _maximal(mine, theirs):
    every = _union(mine, theirs)
    seen = {
        old for old in every for new in every if new != old and descends(new.vector, old.vector)
    }
    return tuple(version for version in every if version not in seen)


def merge():
    return store_that(_maximal)


def last_writer_wins():
    return store_that(lambda mine, theirs: _union(mine, theirs)[-1:])


def takes_theirs():
    return store_that(lambda mine, theirs: theirs or mine)


def keeps_everything():
    return store_that(_union)


def keeps_the_order_of_arrival():
    def appended(mine, theirs):
        left = _maximal(mine, theirs)
        return tuple(version for version in (*mine, *theirs) if version in left)

    return store_that(lambda mine, theirs: tuple(dict.fromkeys(appended(mine, theirs))))


RIGHT = {"12/merge": merge}

WRONG = [
    ("12/merge", last_writer_wins, "NoWriteIsLost"),
    ("12/merge", takes_theirs, "NoWriteIsLost"),
    ("12/merge", keeps_everything, "NothingComesBack"),
    ("12/merge", keeps_the_order_of_arrival, "ReplicasConverge"),
]
"""Each with the property that it breaks."""
