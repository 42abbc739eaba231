import pytest

from chalicelib.domain.features import FeatureType
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import (
    PackageContent,
    PackageKind,
    PricingType,
    Trial,
    TrialUnit,
    version_key,
)
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.publication import publication_violations
from tests.factories import (
    a_content,
    a_feature,
    a_limit,
    a_package,
    a_price,
    a_seat_price,
    a_version,
    features_by_id,
)

FEATURES = features_by_id(a_feature("seats", FeatureType.METERED))
ADDONS = {
    package.id: package
    for package in (
        a_package("storage", kind=PackageKind.ADDON),
        a_package("unpublished", kind=PackageKind.ADDON, published_version=None),
        a_package("foreign", kind=PackageKind.ADDON, product_id="other"),
    )
}


def faults(content: PackageContent, kind: PackageKind = PackageKind.PLAN) -> list[tuple[str, str]]:
    package = a_package("pro", kind=kind)
    return [
        (found.param, found.code)
        for found in publication_violations(package, content, FEATURES, ADDONS)
    ]


def addons(*ids: str) -> tuple[PackageId, ...]:
    return tuple(PackageId(one) for one in ids)


def test_plan_that_can_be_published_has_no_violation() -> None:
    content = a_content(
        prices=[a_price(), a_seat_price()],
        entitlements=[a_limit("seats")],
        compatible_addons=addons("storage"),
        parent_plan_id=PackageId("basic"),
    )
    assert not faults(content)
    assert not faults(a_content(pricing_type=PricingType.FREE))
    assert not faults(a_content(pricing_type=PricingType.CUSTOM))
    assert not faults(a_content(prices=[a_price()], max_quantity=5), PackageKind.ADDON)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (a_content(pricing_type=PricingType.PAID), ("prices", "required")),
        (
            a_content(prices=[a_price()], pricing_type=PricingType.FREE),
            ("prices", "not_allowed"),
        ),
        (
            a_content(prices=[a_price()], pricing_type=PricingType.CUSTOM),
            ("prices", "not_allowed"),
        ),
        (a_content(trial=Trial(duration=14, unit=TrialUnit.DAY)), ("trial", "not_allowed")),
        (a_content(compatible_addons=addons("ghost")), ("compatible_addons[0]", "unknown_addon")),
        (
            a_content(compatible_addons=addons("storage", "unpublished")),
            ("compatible_addons[1]", "unknown_addon"),
        ),
        (a_content(compatible_addons=addons("foreign")), ("compatible_addons[0]", "other_product")),
        (a_content(max_quantity=3), ("max_quantity", "not_allowed")),
        (
            a_content(entitlements=[a_limit("ghost")]),
            ("entitlements[0].feature_id", "unknown_feature"),
        ),
        (a_content(prices=[a_price(currency="xyz")]), ("prices[0].currency", "unknown_currency")),
    ],
)
def test_plan_that_cannot_be_published_is_refused_by_field(
    content: PackageContent, expected: tuple[str, str]
) -> None:
    assert faults(content) == [expected]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (a_content(compatible_addons=addons("storage")), ("compatible_addons[0]", "not_allowed")),
        (a_content(parent_plan_id=PackageId("basic")), ("parent_plan_id", "not_allowed")),
        (
            a_content(prices=[a_seat_price()], max_quantity=2),
            ("max_quantity", "not_allowed"),
        ),
    ],
)
def test_addon_that_cannot_be_published_is_refused_by_field(
    content: PackageContent, expected: tuple[str, str]
) -> None:
    assert faults(content, PackageKind.ADDON) == [expected]


def test_version_finds_its_prices_by_id_and_by_terms() -> None:
    monthly, euros = a_price("m"), a_price("e", currency="eur")
    yearly = a_price("y", billing_period=BillingPeriod.YEAR)
    seats = a_seat_price("s")
    version = a_version(prices=[monthly, euros, yearly, seats])
    assert version.price("y") is yearly
    assert version.price("ghost") is None
    assert version.prices_for(BillingPeriod.MONTH, 1, "usd") == (monthly, seats)
    assert version.prices_for(BillingPeriod.MONTH, 2, "usd") == ()


def test_version_key_sorts_as_text_like_the_numbers() -> None:
    numbers = [1, 2, 9, 10, 99, 100, 12345]
    assert sorted(numbers, key=version_key) == numbers
