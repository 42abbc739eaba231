"""Coupons from their creation to a discounted subscription, over the real adapter and the stand-in."""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.coupons import AmountOff, Coupon, CouponDuration, CouponId
from chalicelib.domain.errors import AlreadyExistsError, InvalidError
from chalicelib.domain.sync import CatalogLink, SyncTask, SyncTaskStatus
from chalicelib.services.manage_coupons import (
    archive_coupon,
    create_coupon,
    edit_coupon,
    unarchive_coupon,
)
from chalicelib.services.sync_coupon import sync_coupon
from tests.factories import a_price
from tests.fakes.stripe_shop import StripeShop
from tests.fakes.system import START
from tests.fakes.world import a_cause

LAUNCH = CouponId("launch")


def a_coupon(coupon_id: str = LAUNCH, **fields: Any) -> Coupon:
    if "amounts_off" not in fields:
        fields.setdefault("percent_off", Decimal(20))
    return Coupon(id=CouponId(coupon_id), name="Launch", created_at=START, **fields)


@pytest.fixture
def shop() -> StripeShop:
    made = StripeShop()
    made.customer(email="a@acme.example")
    made.sell("pro", a_price(), a_price("eur", 900, currency="eur"))
    return made


def give(shop: StripeShop, coupon_id: str = LAUNCH, **fields: Any) -> Coupon:
    made, _ = create_coupon(shop.ports, a_cause(coupon_id), a_coupon(coupon_id, **fields))
    shop.sync()
    return made


def link(shop: StripeShop) -> CatalogLink:
    found = shop.store.get(CatalogLink, "coupon", LAUNCH, "stripe")
    assert found is not None
    return found


def refusal(shop: StripeShop, **order: Any) -> tuple[str, str]:
    with pytest.raises(InvalidError) as caught:
        shop.pay(**order)
    return caught.value.violations[0].param, caught.value.violations[0].code


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({}, {"percent_off": 20.0, "duration": "once"}),
        ({"percent_off": Decimal("12.5")}, {"percent_off": 12.5}),
        (
            {"duration": CouponDuration.REPEATING, "duration_months": 3},
            {"duration": "repeating", "duration_in_months": 3},
        ),
        ({"duration": CouponDuration.FOREVER}, {"duration": "forever"}),
        (
            {
                "amounts_off": (
                    AmountOff(amount=500, currency="usd"),
                    AmountOff(amount=450, currency="eur"),
                )
            },
            {"amount_off": 500, "currency": "usd"},
        ),
    ],
)
def test_coupon_reaches_stripe_and_is_taken_off(
    shop: StripeShop, fields: dict[str, Any], held: dict[str, Any]
) -> None:
    give(shop, **fields)
    (found,) = shop.objects("coupon")
    assert {key: found[key] for key in held} == held
    assert found["metadata"]["paygrade_entity_id"] == LAUNCH
    assert link(shop).billing_id == found["id"]
    assert sync_coupon(shop.ports, shop.stripe, LAUNCH) == 0
    shop.pay(coupon=LAUNCH)
    assert shop.objects("coupon")[0]["times_redeemed"] == 1
    (ours,) = shop.subscriptions()
    assert ours.coupon_id == LAUNCH


def test_promotion_code_leads_to_its_coupon_however_it_is_typed(shop: StripeShop) -> None:
    give(shop, promotion_code="LAUNCH20")
    (code,) = shop.objects("promotion_code")
    assert code["promotion"]["coupon"] == link(shop).billing_id
    shop.pay(promotion_code="launch20")
    assert shop.objects("promotion_code")[0]["times_redeemed"] == 1


def test_promotion_code_of_another_coupon_is_refused(shop: StripeShop) -> None:
    give(shop, promotion_code="LAUNCH20")
    with pytest.raises(AlreadyExistsError):
        give(shop, "other", promotion_code="launch20")
    assert shop.store.get(Coupon, "other") is None


def test_coupon_created_twice_is_one(shop: StripeShop) -> None:
    give(shop)
    assert create_coupon(shop.ports, a_cause(), a_coupon())[1] is False
    with pytest.raises(AlreadyExistsError):
        give(shop, percent_off=Decimal(30))


def test_coupon_renamed_is_renamed_at_stripe(shop: StripeShop) -> None:
    give(shop)
    edit_coupon(shop.ports, a_cause("op_2"), LAUNCH, {"name": "L" * 60})
    shop.sync()
    assert shop.objects("coupon")[0]["name"] == "L" * 40


def test_coupon_archived_is_deleted_at_stripe_and_comes_back_anew(shop: StripeShop) -> None:
    give(shop, promotion_code="LAUNCH20")
    archive_coupon(shop.ports, a_cause("op_2"), LAUNCH)
    shop.sync()
    assert shop.objects("coupon") == []
    assert [one["active"] for one in shop.objects("promotion_code")] == [False]
    assert refusal(shop, coupon=LAUNCH) == ("coupon", "archived")
    assert refusal(shop, promotion_code="LAUNCH20")[1] == "unknown_promotion_code"
    unarchive_coupon(shop.ports, a_cause("op_3"), LAUNCH)
    shop.sync()
    assert len(shop.objects("coupon")) == 1
    shop.pay(promotion_code="LAUNCH20")
    tasks = shop.store.all(SyncTask)
    assert all(task.status is SyncTaskStatus.SUCCEEDED for task in tasks)


def test_coupon_that_does_not_fit_the_order_is_refused(shop: StripeShop) -> None:
    give(shop, amounts_off=(AmountOff(amount=500, currency="usd"),), promotion_code="USD5")
    shop.sell("free")
    assert refusal(shop, coupon="ghost") == ("coupon", "unknown_coupon")
    assert refusal(shop, promotion_code="GHOST") == ("promotion_code", "unknown_promotion_code")
    assert refusal(shop, coupon=LAUNCH, currency="eur") == ("coupon", "no_such_currency")
    assert refusal(shop, plan_id="free", coupon=LAUNCH) == ("coupon", "nothing_to_pay")
    assert refusal(shop, coupon=LAUNCH, promotion_code="USD5")[1] == "not_allowed"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"percent_off": None}, ("percent_off", "required")),
        ({"percent_off": Decimal(0)}, ("percent_off", "out_of_range")),
        ({"percent_off": Decimal(101)}, ("percent_off", "out_of_range")),
        ({"percent_off": Decimal("1.005")}, ("percent_off", "out_of_range")),
        (
            {"percent_off": Decimal(1), "amounts_off": (AmountOff(amount=1, currency="usd"),)},
            ("percent_off", "required"),
        ),
        (
            {"amounts_off": (AmountOff(amount=1, currency="xyz"),)},
            ("amounts_off[0].currency", "unknown_currency"),
        ),
        (
            {"amounts_off": (AmountOff(amount=0, currency="usd"),)},
            ("amounts_off[0].amount", "out_of_range"),
        ),
        (
            {"amounts_off": (AmountOff(amount=1, currency="usd"),) * 2},
            ("amounts_off[1].currency", "duplicate"),
        ),
        ({"duration": CouponDuration.REPEATING}, ("duration_months", "required")),
        ({"duration_months": 3}, ("duration_months", "required")),
    ],
)
def test_coupon_that_contradicts_itself_is_refused_and_not_kept(
    shop: StripeShop, fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    with pytest.raises(InvalidError) as caught:
        create_coupon(shop.ports, a_cause(), a_coupon(**fields))
    found = caught.value.violations[0]
    assert (found.param, found.code) == expected
    assert shop.store.get(Coupon, LAUNCH) is None
