"""The operations on a running subscription over HTTP: shapes, refusals, repetition."""

from collections.abc import Iterator
from typing import Any

import pytest

import app
from chalicelib.domain.api_keys import Scope
from tests.fakes.changing import ChangeShop
from tests.unit.api.world import Answer, World, served


class Shopfront:
    """The API over a shop."""

    def __init__(self) -> None:
        self.shop = ChangeShop()
        self.world = World(app.app)
        self.world.store, self.world.ports = self.shop.store, self.shop.ports
        self.world.token = self.world.new_token(*Scope)

    def post(self, what: str, body: Any = None, method: str = "POST", key: str = "") -> Answer:
        path = f"/v1/subscriptions/{self.shop.subscriptions()[0].id}/{what}"
        headers = {"Idempotency-Key": key} if key else {}
        return self.world.send(
            method, path.rstrip("/"), {} if body is None else body, headers=headers
        )


@pytest.fixture
def front() -> Iterator[Shopfront]:
    made = Shopfront()
    with served(made.world):
        yield made


def test_cancel_shows_the_subscription_as_it_ended(front: Shopfront) -> None:
    front.shop.begin("pro")
    answer = front.post("cancel", {"effective": "immediate"})
    assert answer.status == 200
    assert (answer.json["object"], answer.json["status"]) == ("subscription", "canceled")
    assert answer.json["ended_at"]


def test_cancel_with_the_period_then_resume(front: Shopfront) -> None:
    front.shop.begin("pro")
    answer = front.post("cancel", {"effective": "end_of_period"})
    assert answer.json["cancel_at"] == answer.json["current_period_end"]
    assert front.post("resume").json["cancel_at"] is None


def test_cancel_repeated_under_its_key_is_replayed(front: Shopfront) -> None:
    front.shop.begin("pro")
    first = front.post("cancel", {"effective": "immediate"}, key="k1")
    again = front.post("cancel", {"effective": "immediate"}, key="k1")
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "effective"),
        ({"effective": "soon"}, "effective"),
        ({"effective": "date"}, "at"),
        ({"effective": "date", "at": "2020-01-01T00:00:00Z"}, "at"),
        ({"effective": "date", "at": "2031-01-01"}, "at"),
        ({"effective": "immediate", "why": "x"}, "why"),
    ],
)
def test_cancel_badly_told_is_invalid(front: Shopfront, body: Any, param: str) -> None:
    front.shop.begin("pro")
    answer = front.post("cancel", body)
    assert (answer.status, answer.json["param"]) == (422, param)


def test_operations_on_what_has_ended_are_conflicts(front: Shopfront) -> None:
    front.shop.begin("free")
    front.post("cancel", {"effective": "immediate"})
    for what, body, method in (
        ("cancel", {"effective": "immediate"}, "POST"),
        ("resume", {}, "POST"),
        ("pause", {}, "POST"),
        ("extend_trial", {"trial_end": "2031-01-01T00:00:00Z"}, "POST"),
        ("scheduled_change", None, "DELETE"),
    ):
        answer = front.post(what, body, method)
        assert (answer.status, answer.json["code"]) == (409, "subscription_ended"), what
        assert answer.json["subscription_id"]


def test_operations_on_another_version_are_conflicts(front: Shopfront) -> None:
    front.shop.begin("free")
    answer = front.post("pause", {"expected_version": 7})
    assert (answer.status, answer.json["code"]) == (409, "version_conflict")
    assert front.post("pause", {"expected_version": 1}).json["status"] == "paused"


def test_operations_on_nothing_are_not_found(front: Shopfront) -> None:
    answer = front.world.send("POST", "/v1/subscriptions/subs_none/pause", {})
    assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_change_shows_the_subscription_as_it_is_now(front: Shopfront) -> None:
    front.shop.begin("pro")
    body = {"plan_id": "team", "quantities": {"seats": 3}, "proration": "invoice_now"}
    answer = front.post("", body, "PATCH")
    assert answer.status == 200
    assert (answer.json["object"], answer.json["plan_id"]) == ("subscription", "team")
    assert answer.json["quantities"] == {"seats": 3}


def test_change_with_the_period_is_shown_as_scheduled_and_dropped(front: Shopfront) -> None:
    front.shop.begin("pro")
    for plan_id in ("team", "free"):
        body = {"plan_id": plan_id, "effective": "end_of_period"}
        answer = front.post("", body, "PATCH")
        assert answer.json["scheduled_change"]["plan_id"] == plan_id
        assert answer.json["scheduled_change"]["at"] == answer.json["current_period_end"]
    assert front.post("scheduled_change", None, "DELETE").json["scheduled_change"] is None


def test_change_from_free_to_paid_is_a_provisioning(front: Shopfront) -> None:
    front.shop.begin("free")
    answer = front.post("", {"plan_id": "pro"}, "PATCH")
    assert answer.status == 200
    assert (answer.json["object"], answer.json["status"]) == ("provisioning", "payment_required")
    assert answer.json["checkout_url"]
    assert answer.json["subscription"] is None


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"effective": "never"}, 422, "unknown_value"),
        ({"proration": "some"}, 422, "unknown_value"),
        ({"currency": "eur"}, 422, "unknown_field"),
        ({"plan_id": "none"}, 404, "not_found"),
        ({"promotion_code": "NONE"}, 422, "unknown_promotion_code"),
        ({"promotion_code": "no code"}, 422, "bad_format"),
        ({"coupon": "ten", "promotion_code": "TEN"}, 422, "not_allowed"),
        ({"expected_version": 9}, 409, "version_conflict"),
    ],
)
def test_change_badly_told_is_refused(front: Shopfront, body: Any, status: int, code: str) -> None:
    front.shop.begin("pro")
    answer = front.post("", body, "PATCH")
    faults = answer.json.get("errors", [{"code": answer.json["code"]}])
    assert (answer.status, faults[0]["code"]) == (status, code)


def test_migrate_and_transfer_show_the_subscription(front: Shopfront) -> None:
    front.shop.begin("free")
    front.shop.publish("free")
    assert front.post("migrate").json["plan_version"] == 2
    front.shop.customer("bob")
    answer = front.post("transfer", {"customer_id": "bob"})
    assert answer.json["customer_id"] == "bob"


def test_transfer_what_is_billed_is_not_supported(front: Shopfront) -> None:
    front.shop.begin("pro")
    front.shop.customer("bob")
    answer = front.post("transfer", {"customer_id": "bob"})
    assert (answer.status, answer.json["code"]) == (422, "not_supported")


def test_preview_of_an_order_tells_what_it_costs_and_gives(front: Shopfront) -> None:
    body = {"customer_id": "acme", "plan_id": "pro"}
    answer = front.world.send("POST", "/v1/subscriptions/preview", body)
    assert answer.status == 200
    told = answer.json
    assert (told["object"], told["amount_due_now"]) == ("subscription_preview", 1000)
    assert told["requires_payment"] is True
    assert told["next_invoice"]["amount_due"] == 1000
    assert told["entitlements_gained"] == [{"feature_id": "calls", "effect": "gained"}]
    assert len(told["lines"]) == 1


def test_preview_of_a_change_tells_what_it_settles(front: Shopfront) -> None:
    held = front.shop.begin("pro")
    body = {"subscription_id": held.id, "plan_id": "team", "proration": "invoice_now"}
    told = front.world.send("POST", "/v1/subscriptions/preview", body).json
    assert told["amount_due_now"] == told["proration"] == 1000
    assert told["is_downgrade"] is False
    assert front.shop.live() == held


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "customer_id"),
        ({"customer_id": "acme"}, "plan_id"),
        ({"customer_id": "acme", "plan_id": "pro", "effective": "immediate"}, "effective"),
        ({"subscription_id": "subs_x", "customer_id": "acme"}, "customer_id"),
        ({"subscription_id": "subs_x", "trial": True}, "trial"),
    ],
)
def test_preview_of_both_or_neither_is_invalid(front: Shopfront, body: Any, param: str) -> None:
    answer = front.world.send("POST", "/v1/subscriptions/preview", body)
    faults = answer.json["errors"]
    assert (answer.status, faults[0]["param"]) == (422, param)


def test_customer_import_tells_what_would_be(front: Shopfront) -> None:
    front.shop.begin("pro")
    answer = front.world.send("POST", "/v1/customers/import", {})
    assert answer.status == 200
    told = answer.json
    assert (told["object"], told["dry_run"], told["next_cursor"]) == ("customer_import", True, None)
    assert told["counts"]["known"] == told["counts"]["subscriptions"] == 1
    assert told["customers"][0]["customer_id"] == "acme"
