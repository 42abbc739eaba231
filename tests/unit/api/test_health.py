"""How the API says that it is well: in a word to anybody, closely to who may look."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

import app
from chalicelib.domain.api_keys import KeyKind, Scope
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.ids import CustomerId, FeatureId
from chalicelib.domain.usage_charges import UsageCharge
from chalicelib.ports import Absent, Put, QueueName
from tests.unit.api.world import World, served


@pytest.fixture
def world() -> Iterator[World]:
    with served(World(app.app)) as serving:
        yield serving


def test_anybody_is_told_that_it_is_up_and_nothing_else_is_asked(world: World) -> None:
    world.gets.clear()
    answer = world.send("GET", "/v1/health", token=None)
    assert answer.json["status"] == "ok"
    assert answer.json["details"] is None
    assert world.gets == []


@pytest.mark.parametrize("token", [None, "pg_sk_test_nonsense"])
def test_looking_closely_needs_a_key(world: World, token: str | None) -> None:
    assert world.send("GET", "/v1/health?depth=full", token=token).status == 401


def test_looking_closely_needs_the_scope(world: World) -> None:
    for token in (
        world.new_token(Scope.CATALOG_READ),
        world.new_token(Scope.PAYWALL_READ, kind=KeyKind.PUBLISHABLE),
    ):
        assert world.send("GET", "/v1/health?depth=full", token=token).status == 403


def test_close_look_at_a_well_environment_finds_everything_reached_and_empty(world: World) -> None:
    shown = world.send("GET", "/v1/health?depth=full").json
    assert shown["status"] == "ok"
    assert shown["details"] == {
        "tables": {"catalog": True, "customers": True, "operations": True},
        "queues": {queue: {"waiting": 0, "dead": 0} for queue in QueueName},
        "oldest_pending_seconds": None,
    }


def test_close_look_tells_how_long_the_oldest_work_waits(world: World) -> None:
    now = world.clock.now()
    for number, minutes in enumerate((3, 7)):
        event = BillingEvent(
            id=f"evt_{number}",
            provider="stripe",
            type="invoice.paid",
            status=BillingEventStatus.PENDING,
            live=False,
            api_version=None,
            object_id=None,
            customer_billing_id=None,
            created_at=now,
            received_at=now - timedelta(minutes=minutes),
        )
        world.store.commit(Put(event, Absent()))
    shown = world.send("GET", "/v1/health?depth=full").json
    assert shown["details"]["oldest_pending_seconds"] == 7 * 60
    charge = UsageCharge(
        id="charge_1",
        provider="stripe",
        customer_id=CustomerId("acme"),
        feature_id=FeatureId("calls"),
        event_name="calls",
        value=1,
        at=now,
        created_at=now - timedelta(minutes=9),
        updated_at=now,
    )
    world.store.commit(Put(charge, Absent()))
    shown = world.send("GET", "/v1/health?depth=full").json
    assert shown["details"]["oldest_pending_seconds"] == 9 * 60


def test_dead_letters_are_degraded(world: World) -> None:
    world.queue.dead[QueueName.SYNC] = 1
    shown = world.send("GET", "/v1/health?depth=full").json
    assert shown["status"] == "degraded"
    assert shown["details"]["queues"]["sync"] == {"waiting": 0, "dead": 1}


def test_what_is_not_reached_is_told_and_the_rest_is_looked_at(world: World) -> None:
    assert world.send("GET", "/v1/health?depth=full").json["status"] == "ok"
    world.queue.down = True

    def refuse(kind: type[object], identity: tuple[str, ...]) -> None:
        if kind.__name__ == "Customer":
            raise StoreUnavailableError("The table did not answer.")

    world.store.on_get = refuse
    shown = world.send("GET", "/v1/health?depth=full").json
    assert shown["status"] == "degraded"
    assert shown["details"]["queues"] is None
    assert shown["details"]["tables"] == {"catalog": True, "customers": False, "operations": True}
