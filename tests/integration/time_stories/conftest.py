"""Lives to tell stories of."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.integration.time_stories.life import Life


@pytest.fixture
def begin() -> Iterator[Callable[[str], Life]]:
    """An environment from that instant on; when the story is over, nothing is left undone."""
    with ExitStack() as open_lives:
        lives: list[Life] = []

        def start(moment: str) -> Life:
            life = open_lives.enter_context(Life.begun(moment))
            lives.append(life)
            return life

        yield start
        for life in lives:
            if not life.is_deaf:
                assert life.unprocessed() == []
