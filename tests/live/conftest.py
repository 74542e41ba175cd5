"""All live tests share one Ray, which ends with the session."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def ray_ends_with_the_session() -> Iterator[None]:
    yield
    if "clusterlab.live.session" in sys.modules:
        sys.modules["clusterlab.live.session"].disconnect()
