"""Stripe's subscriptions in three shapes of its API, and in every state."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.adapters.billing.stripe.subscriptions import status_of, subscription_of
from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.subscriptions import ENDED, GIVING_ACCESS, SubscriptionStatus

START = 1_790_000_000
END = START + 30 * 86_400


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def item(billing_id: str = "price_1", **fields: Any) -> dict[str, Any]:
    return {
        "id": f"si_{billing_id}",
        "object": "subscription_item",
        "price": {"id": billing_id, "object": "price"},
        "quantity": 1,
        **fields,
    }


def subscription(**fields: Any) -> dict[str, Any]:
    return {
        "id": "sub_1",
        "object": "subscription",
        "cancel_at": None,
        "cancel_at_period_end": False,
        "created": START - 5,
        "currency": "usd",
        "customer": "cus_1",
        "ended_at": None,
        "metadata": {"paygrade_entity_id": "subs_1"},
        "start_date": START,
        "status": "active",
        "trial_end": None,
        **fields,
    }


PERIOD: dict[str, Any] = {"current_period_start": START, "current_period_end": END}
SHAPES = {
    # Until 2025-03-30 the period stood on the subscription, and `plan` beside `price`.
    "acacia": (
        subscription(**PERIOD, plan={"id": "price_1"}),
        [item(plan={"id": "price_1"})],
    ),
    # Then it moved to the items.
    "basil": (subscription(), [item(**PERIOD)]),
    # Since then modes, schedules and decimal quantities came.
    "endive": (
        subscription(
            billing_mode={"type": "flexible"},
            billing_schedules=[],
            customer={"id": "cus_1", "object": "customer"},
        ),
        [item(**PERIOD, quantity_decimal="1", discounts=[])],
    ),
}


def mapped(value: dict[str, Any], *items: dict[str, Any]) -> ProviderSubscription:
    return subscription_of(value, items, None)


@pytest.mark.parametrize("shape", SHAPES)
def test_subscription_of_any_api_version_is_the_same(shape: str) -> None:
    value, items = SHAPES[shape]
    found = mapped(value, *items)
    assert found.billing_id == "sub_1"
    assert found.customer_billing_id == "cus_1"
    assert found.status is SubscriptionStatus.ACTIVE
    assert [(one.price_billing_id, one.quantity) for one in found.items] == [("price_1", 1)]
    assert (found.current_period_start, found.current_period_end) == (at(START), at(END))
    assert (found.started_at, found.created_at) == (at(START), at(START - 5))
    assert found.metadata == {"paygrade_entity_id": "subs_1"}


@pytest.mark.parametrize("shape", SHAPES)
def test_subscription_canceled_at_period_end_has_that_as_its_date(shape: str) -> None:
    value, items = SHAPES[shape]
    assert mapped({**value, "cancel_at_period_end": True}, *items).cancel_at == at(END)


def test_subscription_with_a_cancel_date_keeps_it() -> None:
    value = subscription(cancel_at=END + 7, cancel_at_period_end=True)
    assert mapped(value, item(**PERIOD)).cancel_at == at(END + 7)


def test_subscription_of_mixed_intervals_has_the_period_in_which_nothing_renews() -> None:
    yearly = item(
        "price_year",
        current_period_start=START - 40 * 86_400,
        current_period_end=START + 325 * 86_400,
    )
    found = mapped(subscription(), yearly, item(**PERIOD))
    assert (found.current_period_start, found.current_period_end) == (at(START), at(END))


def test_subscription_without_any_period_has_none() -> None:
    found = mapped(subscription(cancel_at_period_end=True))
    assert (found.current_period_start, found.current_period_end) == (None, None)
    assert found.cancel_at is None


def test_subscription_item_metered_has_no_quantity() -> None:
    metered = item("price_metered")
    del metered["quantity"]
    assert mapped(subscription(), metered).items[0].quantity is None


def test_subscription_item_of_the_plan_age_has_its_plans_id() -> None:
    old = {"id": "si_1", "plan": {"id": "gold"}, "quantity": 2}
    assert mapped(subscription(), old).items[0].price_billing_id == "gold"


def test_subscription_with_trial_and_end_has_both_dates() -> None:
    found = mapped(subscription(trial_end=END, ended_at=END + 1))
    assert (found.trial_end, found.ended_at) == (at(END), at(END + 1))


def test_subscription_with_paused_collection_stays_active() -> None:
    value = subscription(pause_collection={"behavior": "void", "resumes_at": None})
    assert mapped(value).status is SubscriptionStatus.ACTIVE


STATUSES = {
    "incomplete": "payment_pending",
    "incomplete_expired": "expired",
    "trialing": "in_trial",
    "active": "active",
    "past_due": "past_due",
    "unpaid": "payment_pending",
    "canceled": "canceled",
    "paused": "paused",
}


@pytest.mark.parametrize(("theirs", "ours"), STATUSES.items())
def test_status_of_stripe_is_ours(theirs: str, ours: str) -> None:
    assert status_of(theirs) == ours


@pytest.mark.parametrize("unknown", ["hibernating", "", None, 7])
def test_status_unknown_gives_no_access_and_has_not_ended(unknown: object) -> None:
    status = status_of(unknown)
    assert status not in GIVING_ACCESS
    assert status not in ENDED


@pytest.mark.parametrize(
    ("discounts", "coupons"),
    [
        (None, ()),
        (["di_1"], ()),  # not expanded: nothing is known
        (
            [{"source": {"coupon": "b", "type": "coupon"}}, {"source": {"coupon": {"id": "a"}}}],
            ("a", "b"),
        ),
        ([{"coupon": {"id": "older"}}], ("older",)),
        ([{"source": {"coupon": None, "type": "unknown"}}], ()),
    ],
)
def test_coupons_are_those_of_the_expanded_discounts(
    discounts: Any, coupons: tuple[str, ...]
) -> None:
    assert mapped(subscription(discounts=discounts)).coupons == coupons


@pytest.mark.parametrize("live", [True, False, None])
def test_mode_is_what_stripe_says_of_the_subscription(live: Any) -> None:
    assert mapped(subscription(livemode=live)).live is live
