import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infra.cli import seed
from infra.cli.client import ApiClient
from infra.cli.errors import ApiError
from infra.cli.seed import NotSyncedError, wait_until_synced
from tests.unit.cli.conftest import API_URL

CATALOG: seed.Catalog = {
    "features": [{"id": "sso"}],
    "products": [{"id": "app"}],
    "addons": [{"id": "extra"}],
    "plans": [{"id": "free"}, {"id": "pro"}],
}


class CatalogApi:
    """As much of the API as seeding sees; `others` are taken by something of the user's."""

    def __init__(self, *others: str) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.others = others
        self.published: list[str] = []
        self.status: dict[str, Iterator[str]] = {}
        self.error: str | None = None

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1/")
        if path.endswith("/publish"):
            name = path.removesuffix("/publish")
            self.published.append(name)
            self.stored[name]["version"] = 1
            return httpx.Response(200, json=self.stored[name])
        if request.method == "GET":
            link = {"error": self.error}
            status = next(self.status.get(path, itertools.repeat("synced")))
            shown = {"status": "published", "sync_status": status}
            return httpx.Response(200, json={**shown, "billing": [link], "prices": []})
        name = f"{path}/{json.loads(request.content)['id']}"
        if name in self.others:
            return self.refusal(409, "already_exists")
        found = name in self.stored
        self.stored.setdefault(name, {"id": name, "version": None})
        return httpx.Response(200 if found else 201, json=self.stored[name])

    def refusal(self, status: int, code: str) -> httpx.Response:
        return httpx.Response(status, json={"status": status, "code": code, "detail": "no"})

    def client(self) -> ApiClient:
        return ApiClient(API_URL, "k", transport=httpx.MockTransport(self.handle))


def test_everything_is_created_in_order_and_packages_are_published() -> None:
    api, told = CatalogApi(), list[str]()
    seed.seed(api.client(), CATALOG, told.append)
    assert list(api.stored) == [text.replace(" ", "/") for text in told]
    assert api.published == ["addons/extra", "plans/free", "plans/pro"]


def test_seeding_twice_publishes_once() -> None:
    api = CatalogApi()
    seed.seed(api.client(), CATALOG)
    seed.seed(api.client(), CATALOG)
    assert api.published == ["addons/extra", "plans/free", "plans/pro"]


def test_seeding_that_was_cut_short_is_finished() -> None:
    api = CatalogApi()
    seed.seed(api.client(), CATALOG)
    api.published.clear()
    api.stored["plans/free"]["version"] = None
    del api.stored["plans/pro"]
    seed.seed(api.client(), CATALOG)
    assert api.published == ["plans/free", "plans/pro"]


def test_what_the_user_has_under_an_id_is_left_alone() -> None:
    api = CatalogApi("features/sso", "plans/pro")
    seed.seed(api.client(), CATALOG)
    assert "plans/pro" not in api.stored
    assert api.published == ["addons/extra", "plans/free"]


def test_other_refusals_end_the_seeding() -> None:
    api = CatalogApi()
    refusing = httpx.MockTransport(lambda _: api.refusal(403, "forbidden"))
    with pytest.raises(ApiError, match="no"):
        seed.seed(ApiClient(API_URL, "k", transport=refusing), CATALOG)


def test_wait_ends_when_all_is_synced_or_needs_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed, "POLL_SECONDS", 0)
    api, told = CatalogApi(), list[str]()
    api.status = {
        "plans/free": itertools.repeat("not_required"),
        "plans/pro": iter(["pending", "pending", "synced"]),
    }
    wait_until_synced(api.client(), CATALOG, told.append)
    assert told == ["plans pro", "plans pro"]


def test_wait_names_what_is_missing_when_the_time_is_up() -> None:
    api = CatalogApi()
    api.status = {"plans/pro": itertools.repeat("pending")}
    with pytest.raises(NotSyncedError, match=r"After 0 s.*plans pro.*background") as caught:
        wait_until_synced(api.client(), CATALOG, timeout_seconds=0)
    assert caught.value.code == "sync_pending"


def test_wait_gives_the_reason_of_arefusal() -> None:
    api = CatalogApi()
    api.status = {"plans/pro": itertools.repeat("error")}
    api.error = "No such currency"
    with pytest.raises(NotSyncedError, match="plans pro: No such currency"):
        wait_until_synced(api.client(), CATALOG)
