"""The whole API, as `app.py` composes it, over ports in memory."""

from collections.abc import Iterator

import pytest

import app
from tests.unit.api.world import World, served


@pytest.fixture
def world() -> Iterator[World]:
    with served(World(app.app)) as made:
        yield made
