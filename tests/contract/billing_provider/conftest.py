"""Every test here runs on each provider: what all pass is what services may rely on."""

import pytest

from tests.contract.billing_provider.worlds import FakeWorld, StripeWorld, World


@pytest.fixture(params=[FakeWorld, StripeWorld], ids=["fake", "stripe"])
def world(request: pytest.FixtureRequest) -> World:
    made: World = request.param()
    return made
