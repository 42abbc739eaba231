"""The quick way to answer a plain check says what the ordinary way says, to the byte."""

import json
from dataclasses import replace
from typing import Any

import pytest
from chalice.app import Chalice

import app
from chalicelib.api import quick_check
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.features import FeatureType
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshots import Snapshot
from chalicelib.ports import Anyhow, HotRead, Put
from tests.factories import a_feature
from tests.integration.gateway import gateway_event
from tests.unit.api.world import World

DAY_MS = 24 * 3600 * 1000


def document(now_ms: int, status: str = "active") -> dict[str, Any]:
    plan = {
        "type": "plan",
        "id": "pro",
        "version": 3,
        "subscription_id": "subs_1",
        "start": now_ms - 40 * DAY_MS,
        "end": now_ms + 7 * DAY_MS + 402,
    }
    addon = {"type": "addon", "id": "more", "version": 1, "quantity": 2, "start": now_ms - DAY_MS}
    return {
        "version": 7,
        "customer_status": status,
        "sources": [plan, addon],
        "features": {
            "sso": {"type": "boolean", "shares": [{"source": 0, "value": True}]},
            "seats": {
                "type": "numeric",
                "shares": [{"source": 0, "value": 5}, {"source": 1, "value": 3}],
            },
            "regions": {"type": "enum", "shares": [{"source": 0, "values": ["eu", "üs"]}]},
            "calls": {
                "type": "metered",
                "shares": [{"source": 0, "limit": 100, "reset": "month"}],
            },
            "storage": {"type": "metered", "shares": [{"source": 1, "unlimited": True}]},
        },
    }


@pytest.fixture
def shop(world: World) -> World:
    now_ms = int(world.clock.now().timestamp() * 1000)
    for customer, status in (("acme", "active"), ("gone", "archived")):
        text = json.dumps(document(now_ms, status))
        snapshot = Snapshot(customer_id=CustomerId(customer), version=7, document=text)
        world.store.commit(Put(snapshot, Anyhow()))
    world.store.commit(Put(a_feature("other", FeatureType.BOOLEAN), Anyhow()))
    return world


def both(world: World, path: str, **headers: str) -> tuple[Any, Any]:
    """What the app answers, and what it would answer without the quick way; request ids are the same."""
    sent = {"Authorization": f"Bearer {world.token}"} | headers
    event = gateway_event(app.app, "GET", path, headers=sent)
    return app.app(event, None), Chalice.__call__(app.app, event, None)


PATHS = [
    f"/v1/customers/{customer}/entitlements/{feature}{query}"
    for customer in ("acme", "gone", "nobody")
    for feature in ("sso", "seats", "regions", "calls", "storage", "other", "unknown")
    for query in (
        "",
        "?consistent=true",
        "?requested_usage=0",
        "?requested_usage=101&consistent=false",
        "?requested_usage=007",
        "?requested_usage=x",
        "?requested_usage=1&requested_usage=2",
        "?consistent=yes",
        "?requested_values=eu&requested_values=xx",
        "?explain=true",
        "?resource_id=ws-1",
        "?nonsense=1",
    )
]


def test_every_answer_is_the_ordinary_one(shop: World) -> None:
    quick, before = [], 0
    for path in PATHS:
        mine, ordinary = both(shop, path)
        assert mine == ordinary, path
        logged = shop.monitor.named("api_request")[before:]
        before += len(logged)
        first, second = ({**one, "duration_ms": 0} for one in logged)
        assert first == second, path
        quick.append(mine["statusCode"])
    assert set(quick) == {200, 422}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://shop.example.test"},
        {"Authorization": "Bearer pg_sk_wrong"},
        {"Authorization": "Basic x"},
        {"Authorization": ""},
    ],
)
def test_request_with_something_else_gets_the_ordinary_answer(
    shop: World, headers: dict[str, str]
) -> None:
    mine, ordinary = both(shop, PATHS[0], **headers)
    assert mine == ordinary


def test_key_that_may_not_check_gets_the_ordinary_refusal(shop: World) -> None:
    token = shop.new_token(Scope.CATALOG_READ)
    mine, ordinary = both(shop, PATHS[0], Authorization=f"Bearer {token}")
    assert mine == ordinary
    assert mine["statusCode"] == 403


def test_plain_check_is_answered_the_quick_way_with_one_read(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the ordinary way was taken")

    monkeypatch.setattr(Chalice, "__call__", never)
    event = gateway_event(
        app.app, "GET", PATHS[0], headers={"Authorization": f"Bearer {shop.token}"}
    )
    assert json.loads(app.app(event, None)["body"])["has_access"] is True


class FailingReader:
    def __init__(self) -> None:
        self.reads = 0

    def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
        self.reads += 1
        raise StoreUnavailableError("The database did not answer.")


def test_failing_read_is_told_and_not_tried_again(shop: World) -> None:
    reader = FailingReader()
    shop.ports = replace(shop.ports, snapshots=reader)
    event = gateway_event(
        app.app, "GET", PATHS[0], headers={"Authorization": f"Bearer {shop.token}"}
    )
    answer = app.app(event, None)
    assert (answer["statusCode"], reader.reads) == (503, 1)
    assert json.loads(answer["body"])["code"] == StoreUnavailableError.code


def test_route_is_the_one_that_is_served() -> None:
    assert "GET" in app.app.routes[quick_check.ROUTE]
