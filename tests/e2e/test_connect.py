"""A Stripe account connected by its owner, in a real browser, and everything sold in it from then on."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Stack
from tests.e2e.test_main_job import check, publish_team, subscribe

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


def make_catalog(api: httpx.Client) -> None:
    for path, body in (
        ("/products", {"id": "app", "name": "App"}),
        ("/features", {"id": "sso", "name": "SSO", "type": "boolean"}),
        ("/features", {"id": "api-calls", "name": "API calls", "type": "metered"}),
    ):
        assert api.post(path, json=body).status_code == 201


def status(api: httpx.Client) -> tuple[str, str | None]:
    found = api.get("/integrations/stripe").json()
    return found["status"], found["account_id"]


def test_owner_connects_an_account_and_it_is_sold_in(
    make_stack: Callable[..., Stack], browser: Browser
) -> None:
    stack = make_stack("--no-seed")
    with stack.api() as api, stack.stripe() as stripe:
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))

        page.goto(api.get("/integrations/stripe/connect").json()["url"])
        page.get_by_role("button", name="Decline").click()
        expect(page.get_by_text("declined at the provider")).to_be_visible()
        assert status(api) == ("connected", None)  # the stand-in's own, by the key
        assert len(problems) == 1  # the browser's own word on the page's status, 409
        problems.clear()

        page.goto(api.get("/integrations/stripe/connect").json()["url"])
        page.get_by_label("Account").select_option("new")
        page.get_by_role("button", name="Connect").click()
        expect(page.get_by_role("heading", name="Stripe is connected")).to_be_visible()
        assert page.url.startswith(stack.info["api_url"])
        assert problems == []
        connected, account_id = status(api)
        assert connected == "connected"
        assert account_id is not None
        assert re.fullmatch(r"acct_1\w+", account_id)

        page.reload()  # the code was spent, and nothing is lost by it
        expect(page.get_by_text("Begin connecting again")).to_be_visible()
        assert status(api) == ("connected", account_id)

        make_catalog(api)
        publish_team(api)
        subscribe(api, stripe, "acme")  # its webhook came by the endpoint for connected accounts
        assert check(api, "acme", "sso")["has_access"]
        assert stripe.get("/v1/subscriptions").json()["data"] == []
        theirs = stripe.get("/v1/subscriptions", headers={"Stripe-Account": account_id})
        assert len(theirs.json()["data"]) == 1

        assert api.delete("/integrations/stripe").json()["status"] == "disconnected"
        order = api.post("/subscriptions", json={"customer_id": "acme", "plan_id": "team"})
        assert order.status_code == 409
        refused = stripe.get("/v1/subscriptions", headers={"Stripe-Account": account_id})
        assert refused.status_code == 403


def test_stack_that_sells_already_is_connected_to_its_own_account(
    make_stack: Callable[..., Stack],
) -> None:
    """By programs alone, as in a pipeline; the seeded plans stay what they are."""
    stack = make_stack()
    with stack.api() as api, httpx.Client(timeout=30) as browser:
        way = api.get("/integrations/stripe/connect").json()
        asked = browser.post(way["url"], data={"action": "connect"})
        assert asked.status_code == 303
        back = browser.get(asked.headers["Location"])
        assert back.status_code == 200, back.text
        assert (back.json()["status"], back.json()["method"]) == ("connected", "oauth")
        assert api.get("/plans/pro").json()["sync_status"] == "synced"
        assert api.delete("/integrations/stripe").json()["status"] == "disconnected"
        with stack.stripe() as stripe:
            subscribe(api, stripe, "acme", "pro")
        assert check(api, "acme", "sso")["has_access"]
