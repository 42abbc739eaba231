"""Differences between contents."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.diffs import ChangeKind, diff_contents
from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.ids import FeatureId, PackageId
from chalicelib.domain.plans import PackageContent
from chalicelib.domain.prices import PriceModel, Tier, TiersMode
from tests.factories import a_content, a_limit, a_price, a_seat_price, a_value

BASE = a_content(
    prices=[a_price("monthly", 1000), a_seat_price("seats", 500)],
    entitlements=[a_value("sso", True), a_limit("api", 100)],
)


def test_diff_of_a_content_with_itself_is_empty() -> None:
    assert diff_contents(BASE, BASE).is_empty


def test_diff_of_reordered_parts_is_empty() -> None:
    enum = Entitlement(feature_id=FeatureId("regions"), values=("eu", "us"))
    turned = replace(enum, values=("us", "eu"))
    first = replace(BASE, entitlements=(*BASE.entitlements, enum))
    second = replace(
        BASE,
        entitlements=(turned, *reversed(BASE.entitlements)),
        prices=tuple(reversed(BASE.prices)),
    )
    assert diff_contents(first, second).is_empty


def test_diff_of_reordered_addons_is_empty() -> None:
    one, two = PackageId("one"), PackageId("two")
    first = replace(BASE, compatible_addons=(one, two))
    assert diff_contents(first, replace(BASE, compatible_addons=(two, one))).is_empty


def test_diff_names_added_removed_and_changed_entitlements_by_feature() -> None:
    after = replace(
        BASE, entitlements=(a_limit("api", 50, has_soft_limit=True), a_value("audit", True))
    )
    added_first = diff_contents(BASE, after).entitlements
    assert [(one.id, one.change) for one in added_first] == [
        ("api", ChangeKind.CHANGED),
        ("audit", ChangeKind.ADDED),
        ("sso", ChangeKind.REMOVED),
    ]
    assert added_first[0].before == {"has_soft_limit": False, "usage_limit": 100}
    assert added_first[0].after == {"has_soft_limit": True, "usage_limit": 50}
    assert added_first[1].before is None
    assert added_first[2].after is None


def test_diff_names_prices_by_id_with_the_money_that_differs() -> None:
    after = replace(BASE, prices=(a_price("monthly", 1200), a_price("extra", 1)))
    found = diff_contents(BASE, after).prices
    assert [(one.id, one.change) for one in found] == [
        ("extra", ChangeKind.ADDED),
        ("monthly", ChangeKind.CHANGED),
        ("seats", ChangeKind.REMOVED),
    ]
    assert (found[1].before, found[1].after) == ({"amount": 1000}, {"amount": 1200})


def test_diff_shows_tiers_that_changed() -> None:
    def tiered(up_to: int) -> PackageContent:
        tiers = (Tier(up_to=up_to, unit_amount=5), Tier(up_to=None, unit_amount=3))
        price = a_price(
            "t", None, model=PriceModel.USAGE_BASED, tiers_mode=TiersMode.VOLUME, tiers=tiers
        )
        return a_content(prices=[price])

    [changed] = diff_contents(tiered(10), tiered(20)).prices
    assert changed.before is not None
    assert list(changed.before) == ["tiers"]


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("name", "Pro 2", "Pro 2"),
        ("description", "new", "new"),
        ("metadata", {"a": "b"}, {"a": "b"}),
        ("max_quantity", 3, 3),
    ],
)
def test_diff_shows_other_fields(field: str, value: Any, shown: object) -> None:
    [changed] = diff_contents(BASE, replace(BASE, **{field: value})).fields
    assert (changed.field, changed.after) == (field, shown)


def test_diff_from_nothing_is_everything() -> None:
    found = diff_contents(None, BASE)
    assert [one.id for one in found.entitlements] == ["api", "sso"]
    assert [one.id for one in found.prices] == ["monthly", "seats"]
    assert [one.field for one in found.fields] == ["name", "pricing_type"]
    assert not found.is_empty
