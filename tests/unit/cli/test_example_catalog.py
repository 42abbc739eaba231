"""The example catalog against the real API over ports in memory."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import app
from infra.cli.client import ApiClient
from infra.cli.paths import path
from infra.cli.seed import example_catalog, seed
from tests.unit.api.world import World, served

WORLD_URL = "https://world.test"


@pytest.fixture
def api() -> Iterator[ApiClient]:
    with served(World(app.app)) as world:

        def handle(request: httpx.Request) -> httpx.Response:
            answer = world.send(
                request.method,
                request.url.raw_path.decode(),
                raw=request.content or None,
                headers={
                    name: request.headers[name]
                    for name in ("Idempotency-Key",)
                    if name in request.headers
                },
            )
            return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

        yield ApiClient(WORLD_URL, "ignored", transport=httpx.MockTransport(handle))


def shown(api: ApiClient, kind: str, entity_id: str) -> dict[str, Any]:
    return api.get(path(kind, entity_id))


def test_api_takes_and_publishes_the_example(api: ApiClient) -> None:
    seed(api, example_catalog())
    plans = {one["id"]: one for one in api.items(path("plans"), 10)}
    assert {name: (plan["status"], plan["version"]) for name, plan in plans.items()} == {
        "free": ("published", 1),
        "pro": ("published", 1),
        "enterprise": ("published", 1),
    }
    slots = [
        (price["model"], price["billing_period"], price["currency"])
        for price in plans["pro"]["prices"]
    ]
    assert sorted(slots) == sorted(
        (model, period, currency)
        for model in ("flat_fee", "per_unit")
        for period in ("month", "year")
        for currency in ("usd", "eur")
    )
    assert plans["pro"]["compatible_addons"] == ["extra-api-calls"]
    assert shown(api, "addons", "extra-api-calls")["entitlements"][0]["behavior"] == "increment"
    types = {one["id"]: one["type"] for one in api.items(path("features"), 10)}
    assert types == {
        "sso": "boolean",
        "max-projects": "numeric",
        "support-level": "enum",
        "api-calls": "metered",
        "seats": "metered",
    }


def test_example_again_changes_nothing(api: ApiClient) -> None:
    seed(api, example_catalog())
    before = [list(api.items(path(kind), 100)) for kind in ("features", "addons", "plans")]
    seed(api, example_catalog())
    assert before == [list(api.items(path(kind), 100)) for kind in ("features", "addons", "plans")]


def test_what_the_user_changed_stays(api: ApiClient) -> None:
    seed(api, example_catalog())
    api._ask("PATCH", path("features", "sso"), json={"name": "Mine"})
    api._ask("PATCH", path("plans", "pro"), json={"name": "Mine"})
    seed(api, example_catalog())
    assert shown(api, "features", "sso")["name"] == "Mine"
    assert api.get(path("plans", "pro"), version="draft")["name"] == "Mine"
    assert shown(api, "plans", "pro")["name"] == "Pro"
