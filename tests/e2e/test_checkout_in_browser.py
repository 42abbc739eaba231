"""The checkout page in a real browser: a person is declined, pays, and comes back to a page that says so."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Stack
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


def fill_in_and_pay(page: Page, card: str) -> None:
    page.get_by_label("Card number").fill(card)
    page.get_by_label("Expiry").fill("12 / 34")
    page.get_by_label("Security code").fill("123")
    page.get_by_role("button", name="Subscribe").click()


def test_checkout_page_declined_card_then_good_card_gives_access(
    make_stack: Callable[..., Stack], browser: Browser
) -> None:
    stack = make_stack()
    with stack.api() as api:
        api.post("/customers", json={"id": "acme"}).raise_for_status()
        asked = api.post("/subscriptions", json={"customer_id": "acme", "plan_id": "pro"}).json()

        def has_access() -> bool:
            answer = api.get("/customers/acme/entitlements/sso").json()
            return bool(answer["has_access"])

        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.goto(asked["checkout_url"])
        fill_in_and_pay(page, "4000 0000 0000 0002")
        expect(page.get_by_role("alert")).to_contain_text("declined")
        assert not has_access()

        fill_in_and_pay(page, "4242 4242 4242 4242")
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        assert page.url.startswith(stack.info["api_url"])
        eventually(has_access)
        assert problems == []
