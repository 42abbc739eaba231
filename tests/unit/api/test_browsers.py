"""Which pages of other origins may call what."""

from dataclasses import replace

import pytest

import app
from chalicelib.api.operations import Operation
from tests.unit.api.world import BROWSER, Answer, World

CUSTOMER = "/v1/customers/acme"
CORS = "Access-Control-Allow-Origin"


def preflight(world: World, path: str, origin: str = BROWSER) -> Answer:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    return world.send("OPTIONS", path, token=None, headers=headers)


def test_answer_names_the_listed_origin_and_no_other(world: World) -> None:
    world.send("POST", "/v1/customers", {"id": "acme"})
    token = world.customer_token("acme")
    answer = world.send("GET", CUSTOMER, token=token, Origin=BROWSER)
    assert (answer.status, answer.headers[CORS]) == (200, BROWSER)
    assert "Origin" in answer.headers["Vary"]
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        f"{BROWSER}.evil.example",
        f"{BROWSER}/",
        BROWSER.upper(),
        BROWSER.replace("https", "http"),
        f"{BROWSER}:8443",
        f"{BROWSER}, https://evil.example",
        "null",
        "*",
        "",
    ],
)
def test_origin_that_is_not_listed_is_never_echoed(world: World, origin: str) -> None:
    for answer in (
        world.send("GET", CUSTOMER, headers={"Origin": origin}),
        preflight(world, CUSTOMER, origin),
    ):
        assert CORS not in answer.headers
        assert "Origin" in answer.headers["Vary"]


def test_refusals_are_readable_by_the_listed_origin(world: World) -> None:
    answer = world.send("GET", CUSTOMER, token="nothing", headers={"Origin": BROWSER})
    assert (answer.status, answer.headers[CORS]) == (401, BROWSER)


def test_preflight_allows_what_the_path_offers_to_browsers(world: World) -> None:
    answer = preflight(world, CUSTOMER)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers[CORS] == BROWSER
    # PATCH is for servers.
    assert answer.headers["Access-Control-Allow-Methods"] == "GET"
    allowed = answer.headers["Access-Control-Allow-Headers"]
    assert {"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"} == set(
        allowed.split(", ")
    )
    both = preflight(world, "/v1/subscriptions")
    assert both.headers["Access-Control-Allow-Methods"] == "GET, POST"


def test_environment_without_a_list_opens_nothing_to_pages(world: World) -> None:
    environment = replace(world.ports.environment, browser_origins=())
    world.ports = replace(world.ports, environment=environment)
    assert CORS not in preflight(world, CUSTOMER).headers


def test_answer_for_servers_alone_names_no_origin(world: World) -> None:
    answer = world.send("GET", "/v1/features", headers={"Origin": BROWSER})
    assert answer.status == 200
    assert CORS not in answer.headers


def test_every_path_for_browsers_and_no_other_has_a_preflight() -> None:
    for path, methods in app.app.routes.items():
        operations = [getattr(one.view_function, "operation", None) for one in methods.values()]
        expected = any(isinstance(one, Operation) and one.for_browsers for one in operations)
        assert ("OPTIONS" in methods) is expected, path
