"""The whole API over a stocked shop in memory; each test finds it as it was."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.integration.api.shop import Shop
from tests.integration.world import Deployment
from tests.unit.api.world import served

settings.register_profile("thorough", max_examples=20_000)


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Nothing here needs a network."""


@pytest.fixture(scope="session")
def stocked() -> Shop:
    return Shop()


@pytest.fixture
def shop(stocked: Shop) -> Iterator[Shop]:
    with served(stocked.restock()):
        yield stocked


@pytest.fixture
def deployment(shop: Shop) -> Deployment:
    return shop.deployment
