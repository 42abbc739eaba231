"""Every test here runs on each provider that has the ability it is about: what all pass, services may rely on."""

import pytest

from tests.contract.billing_provider.worlds import (
    ChangingWorld,
    CheckoutWorld,
    DirectWorld,
    DiscountingWorld,
    EmbeddedWorld,
    FakeChangingWorld,
    FakeDirectWorld,
    FakeTellingWorld,
    FakeWorld,
    ManualWorld,
    PortalWorld,
    RemoteWorld,
    StripeWorld,
    World,
)


@pytest.fixture(
    params=[FakeWorld, FakeDirectWorld, StripeWorld, ManualWorld],
    ids=["fake", "fake_direct", "stripe", "manual"],
)
def world(request: pytest.FixtureRequest) -> World:
    made: World = request.param()
    return made


@pytest.fixture(
    params=[FakeWorld, FakeDirectWorld, StripeWorld], ids=["fake", "fake_direct", "stripe"]
)
def remote_world(request: pytest.FixtureRequest) -> RemoteWorld:
    made: RemoteWorld = request.param()
    return made


@pytest.fixture(params=[FakeTellingWorld, StripeWorld], ids=["fake", "stripe"])
def telling_world(request: pytest.FixtureRequest) -> RemoteWorld:
    made: RemoteWorld = request.param()
    return made


@pytest.fixture(params=[FakeWorld, StripeWorld], ids=["fake", "stripe"])
def checkout_world(request: pytest.FixtureRequest) -> CheckoutWorld:
    made: CheckoutWorld = request.param()
    return made


@pytest.fixture(params=[FakeWorld, StripeWorld], ids=["fake", "stripe"])
def portal_world(request: pytest.FixtureRequest) -> PortalWorld:
    made: PortalWorld = request.param()
    return made


@pytest.fixture(params=[FakeWorld, StripeWorld], ids=["fake", "stripe"])
def embedded_world(request: pytest.FixtureRequest) -> EmbeddedWorld:
    made: EmbeddedWorld = request.param()
    return made


@pytest.fixture(params=[FakeDirectWorld, ManualWorld], ids=["fake_direct", "manual"])
def direct_world(request: pytest.FixtureRequest) -> DirectWorld:
    made: DirectWorld = request.param()
    return made


@pytest.fixture(
    params=[FakeChangingWorld, StripeWorld, ManualWorld], ids=["fake", "stripe", "manual"]
)
def changing_world(request: pytest.FixtureRequest) -> ChangingWorld:
    made: ChangingWorld = request.param()
    return made


@pytest.fixture(params=[FakeChangingWorld, StripeWorld], ids=["fake", "stripe"])
def discounting_world(request: pytest.FixtureRequest) -> DiscountingWorld:
    made: DiscountingWorld = request.param()
    return made
