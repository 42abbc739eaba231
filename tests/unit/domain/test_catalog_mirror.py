"""The mirror: names that never collide, and steps that lead from anything to exactly what is wanted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.billing import (
    ArchivePrice,
    CatalogStep,
    CreatePrice,
    CreateProduct,
    MirrorPrice,
    MirrorProduct,
    ObservedPrice,
    ObservedProduct,
    SetDefaultPrice,
    UpdatePrice,
    UpdateProduct,
)
from chalicelib.domain.catalog_drift import package_differences
from chalicelib.domain.catalog_mirror import (
    is_billed,
    lookup_key,
    matching_prices,
    mirror_of,
    product_key,
    steps_between,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import PackageId
from chalicelib.domain.package_mirror import ObservedPackage, PackageMirror, package_steps
from chalicelib.domain.plans import PackageKind, PricingType
from chalicelib.domain.prices import Price
from tests.factories import a_package, a_price, a_seat_price, a_version

URL = "https://api.example.test"

# --- names ----------------------------------------------------------------------------------------------

chosen_ids = st.text("abz09._:@+-" + "_" * 3 + ":" * 3, min_size=1, max_size=12) | st.text(
    "ab:_", min_size=120, max_size=128
)
environments = st.sampled_from(("test", "dev", "prod-eu", "prod_eu", "x", "x_plan"))
slots = st.tuples(environments, st.sampled_from(PackageKind), chosen_ids, chosen_ids)
Slot = tuple[str, PackageKind, str, str]


@given(slots, slots)
def test_lookup_key_is_unique_and_short_enough(one: Slot, other: Slot) -> None:
    keys = [lookup_key(at[0], at[1], PackageId(at[2]), at[3]) for at in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
    assert all(len(key) <= 200 for key in keys)


def test_lookup_key_with_colons_in_ids_names_one_slot() -> None:
    one = lookup_key("test", PackageKind.PLAN, PackageId("a:b"), "c")
    other = lookup_key("test", PackageKind.PLAN, PackageId("a"), "b:c")
    assert one != other


@given(slots, slots)
def test_product_key_is_unique_and_a_legal_id(one: Slot, other: Slot) -> None:
    keys = [product_key(at[0], at[1], PackageId(at[2])) for at in (one, other)]
    assert (keys[0] == keys[1]) == (one[:3] == other[:3])
    assert all(len(key) <= 64 and key.replace("_", "a").isalnum() for key in keys)


def test_product_key_made_of_a_digest_cannot_be_chosen_as_an_id() -> None:
    digested = product_key("test", PackageKind.PLAN, PackageId("a-b"))
    spoofed = PackageId(digested.removeprefix("pg_test_plan_"))
    assert product_key("test", PackageKind.PLAN, spoofed) != digested


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("x_plan", "a"), ("x", "plan_a")),
        (("a-b", "c"), ("a_b", "c")),
    ],
)
def test_product_key_of_environments_with_like_names_differs(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert product_key(one[0], PackageKind.PLAN, PackageId(one[1])) != product_key(
        other[0], PackageKind.PLAN, PackageId(other[1])
    )


def test_names_of_ordinary_ids_are_readable() -> None:
    assert product_key("test", PackageKind.PLAN, PackageId("pro")) == "pg_test_plan_pro"
    key = lookup_key("test", PackageKind.PLAN, PackageId("pro"), "flat_fee-month-usd")
    assert key == "paygrade:test:plan:pro:flat_fee-month-usd"


# --- what is wanted -----------------------------------------------------------------------------------------


def mirrored(
    *prices: Price,
    status: Lifecycle = Lifecycle.ACTIVE,
    pricing_type: PricingType = PricingType.PAID,
    name: str = "Pro",
) -> MirrorProduct:
    version = a_version(prices=prices, pricing_type=pricing_type, name=name)
    return mirror_of(a_package(status=status), version, environment="test", public_url=URL)


def test_mirror_carries_the_way_back_to_us() -> None:
    desired = mirrored(a_price("m"))
    assert desired.metadata == {
        "paygrade_entity_id": "pro",
        "paygrade_entity_type": "plan",
        "paygrade_entity_url": f"{URL}/v1/plans/pro",
        "paygrade_environment": "test",
    }
    assert desired.prices[0].metadata["paygrade_entity_id"] == "m"
    assert desired.default_lookup_key == desired.prices[0].lookup_key


@pytest.mark.parametrize(
    "desired",
    [
        mirrored(a_price(), status=Lifecycle.ARCHIVED),
        mirrored(pricing_type=PricingType.FREE),
        mirrored(pricing_type=PricingType.CUSTOM),
    ],
)
def test_mirror_of_what_is_not_sold_is_inactive_and_without_prices(desired: MirrorProduct) -> None:
    assert (desired.active, desired.prices, desired.default_lookup_key) == (False, (), None)
    assert steps_between(desired, None) == ()


def test_is_billed_only_paid_versions_are() -> None:
    assert is_billed(a_version(prices=[a_price()]))
    assert not is_billed(a_version(pricing_type=PricingType.FREE))
    assert not is_billed(None)


# --- a provider in a few lines --------------------------------------------------------------------------------


@dataclass
class TinyProvider:
    """Does what a step says, and refuses what Stripe refuses."""

    product: ObservedProduct | None = None
    made: int = 0
    created_money: dict[str, str] = field(default_factory=dict)

    def do(self, step: CatalogStep) -> None:
        match step:
            case CreateProduct(product=wanted):
                assert self.product is None
                self.product = _observed(wanted)
            case UpdateProduct(product=wanted, unset_metadata=unset):
                held = self._held()
                metadata = {**held.metadata, **wanted.metadata}
                self.product = replace(
                    held,
                    name=wanted.name,
                    description=wanted.description,
                    active=wanted.active,
                    metadata={key: metadata[key] for key in metadata if key not in unset},
                )
            case CreatePrice(price=wanted):
                self.made += 1
                self._free(wanted.lookup_key)
                fresh = _observed_price(wanted, f"new_{self.made:03d}")
                self._set_prices((fresh, *self._held().prices))
            case UpdatePrice(billing_id=billing_id, price=wanted):
                self._free(wanted.lookup_key)
                self._edit(billing_id, lookup_key=wanted.lookup_key, metadata=wanted.metadata)
            case SetDefaultPrice(lookup_key=key):
                default = None if key is None else self._by_lookup(key)
                self.product = replace(self._held(), default_price=default)
            case ArchivePrice(billing_id=billing_id):
                assert self._held().default_price != billing_id
                self._archive(billing_id)

    def _held(self) -> ObservedProduct:
        assert self.product is not None
        return self.product

    def _set_prices(self, prices: tuple[ObservedPrice, ...]) -> None:
        self.product = replace(self._held(), prices=prices)

    def _by_lookup(self, key: str) -> str:
        return next(
            price.billing_id
            for price in self._held().prices
            if price.lookup_key == key and price.active
        )

    def _free(self, key: str) -> None:
        self._set_prices(
            tuple(
                replace(price, lookup_key=None) if price.lookup_key == key else price
                for price in self._held().prices
            )
        )

    def _edit(self, billing_id: str, *, lookup_key: str, metadata: Mapping[str, str]) -> None:
        self._set_prices(
            tuple(
                replace(
                    price,
                    active=True,
                    lookup_key=lookup_key,
                    metadata={**price.metadata, **metadata},
                )
                if price.billing_id == billing_id
                else price
                for price in self._held().prices
            )
        )

    def _archive(self, billing_id: str) -> None:
        self._set_prices(
            tuple(
                replace(price, active=False) if price.billing_id == billing_id else price
                for price in self._held().prices
            )
        )


def _observed(wanted: MirrorProduct) -> ObservedProduct:
    return ObservedProduct(
        billing_id=wanted.product_key,
        name=wanted.name,
        description=wanted.description,
        active=wanted.active,
        metadata=wanted.metadata,
        prices=(),
        default_price=None,
    )


def _observed_price(wanted: MirrorPrice, billing_id: str) -> ObservedPrice:
    return ObservedPrice(
        billing_id=billing_id,
        lookup_key=wanted.lookup_key,
        fingerprint=wanted.fingerprint,
        active=True,
        metadata=wanted.metadata,
    )


ALL = [
    a_price("m", 1000),
    a_price("m2", 1000, currency="eur"),
    a_price("y", 1000, interval_count=2),
    a_seat_price("s", 1000, interval_count=3),
    # The same money in two slots: one provider price may serve only one of them.
    a_price("twin", 1000, interval_count=4),
    a_seat_price("twin2", 1000, interval_count=4),
]


@st.composite
def wanted_products(draw: st.DrawFn) -> MirrorProduct:
    chosen = draw(st.lists(st.sampled_from(ALL), unique_by=lambda price: price.id, max_size=5))
    amounts = st.sampled_from((1000, 2000))
    prices = [replace(price, amount=draw(amounts)) for price in chosen]
    return mirrored(
        *prices,
        status=draw(st.sampled_from((Lifecycle.ACTIVE, Lifecycle.ACTIVE, Lifecycle.ARCHIVED))),
        pricing_type=PricingType.PAID if prices else PricingType.FREE,
        name=draw(st.sampled_from(("Pro", "Professional"))),
    )


@st.composite
def observed_prices(draw: st.DrawFn, billing_id: str, keys: list[str]) -> ObservedPrice:
    price = replace(draw(st.sampled_from(ALL)), amount=draw(st.sampled_from((1000, 2000))))
    base = mirrored(price).prices[0]
    held = draw(st.sampled_from([None, *keys])) if keys else None
    if held is not None:
        keys.remove(held)
    metadata = draw(
        st.sampled_from(
            [{}, base.metadata, {"paygrade_entity_id": "m"}, {"paygrade_entity_id": "twin"}]
        )
    )
    return replace(
        _observed_price(base, billing_id),
        lookup_key=held,
        active=draw(st.booleans()),
        metadata={**metadata, "theirs": "kept"},
    )


@st.composite
def observed_products(draw: st.DrawFn) -> ObservedProduct | None:
    if draw(st.integers(0, 4)) == 0:
        return None
    keys = [price.lookup_key for price in mirrored(*ALL).prices]
    prices = tuple(
        draw(observed_prices(f"old_{index}", keys)) for index in range(draw(st.integers(0, 6)))
    )
    defaults = [None, *(price.billing_id for price in prices if price.active)]
    return ObservedProduct(
        billing_id="pg_test_plan_pro",
        name=draw(st.sampled_from(("Pro", "Other"))),
        description=draw(st.sampled_from((None, "text"))),
        active=draw(st.booleans()),
        metadata={"theirs": "kept"},
        prices=prices,
        default_price=draw(st.sampled_from(defaults)),
    )


def assert_mirrors(held: ObservedProduct | None, desired: MirrorProduct) -> None:
    assert steps_between(desired, held) == ()
    if held is None:
        assert not desired.active
        return
    active = {(price.lookup_key, price.fingerprint) for price in held.prices if price.active}
    assert active == {(price.lookup_key, price.fingerprint) for price in desired.prices}
    assert sum(price.active for price in held.prices) == len(desired.prices)
    assert (held.name, held.active) == (desired.name, desired.active)
    kept = matching_prices(desired, held)
    default = kept[desired.default_lookup_key].billing_id if desired.default_lookup_key else None
    assert held.default_price == default


@given(wanted_products(), observed_products())
def test_steps_from_any_product_lead_to_exactly_the_mirror(
    desired: MirrorProduct, observed: ObservedProduct | None
) -> None:
    provider = TinyProvider(observed)
    for step in steps_between(desired, observed):
        provider.do(step)
    assert_mirrors(provider.product, desired)


@given(wanted_products(), observed_products())
def test_differences_are_told_exactly_when_there_are_steps(
    desired: MirrorProduct, observed: ObservedProduct | None
) -> None:
    wanted = PackageMirror(products=(desired,), meters=())
    products = {} if observed is None else {desired.product_key: observed}
    held = ObservedPackage(products=products, meters={})
    found = package_differences(wanted, held)
    assert bool(found) == bool(package_steps(wanted, held))
    assert all(one.ours != one.theirs for one in found)


@given(wanted_products(), observed_products(), st.data())
def test_steps_cut_off_anywhere_are_finished_by_a_rerun_without_anything_extra(
    desired: MirrorProduct, observed: ObservedProduct | None, data: st.DataObject
) -> None:
    steps = steps_between(desired, observed)
    whole = TinyProvider(observed)
    for step in steps:
        whole.do(step)
    cut = TinyProvider(observed)
    for step in steps[: data.draw(st.integers(0, len(steps)))]:
        cut.do(step)
    for step in steps_between(desired, cut.product):
        cut.do(step)
    assert_mirrors(cut.product, desired)
    assert cut.made <= whole.made


@given(wanted_products(), wanted_products())
def test_steps_back_to_an_earlier_mirror_create_nothing(
    one: MirrorProduct, other: MirrorProduct
) -> None:
    provider = TinyProvider()
    for desired in (one, other):
        for step in steps_between(desired, provider.product):
            provider.do(step)
    back = steps_between(one, provider.product)
    assert not [step for step in back if isinstance(step, CreatePrice | CreateProduct)]


@given(wanted_products(), observed_products())
def test_steps_never_leave_a_slot_without_price_that_had_one(
    desired: MirrorProduct, observed: ObservedProduct | None
) -> None:
    if observed is None or not desired.active:
        return

    def sold(held: ObservedProduct | None) -> set[str | None]:
        return {price.lookup_key for price in held.prices if price.active} if held else set()

    wanted = {price.lookup_key for price in desired.prices}
    before = sold(observed) & wanted
    provider = TinyProvider(observed)
    for step in steps_between(desired, observed):
        provider.do(step)
        assert before <= sold(provider.product)


@given(wanted_products(), observed_products())
def test_steps_leave_metadata_of_others_alone(
    desired: MirrorProduct, observed: ObservedProduct | None
) -> None:
    provider = TinyProvider(observed)
    for step in steps_between(desired, observed):
        provider.do(step)
    if observed is not None and provider.product is not None:
        assert provider.product.metadata["theirs"] == "kept"
        by_id = {price.billing_id: price for price in provider.product.prices}
        assert all(by_id[old.billing_id].metadata["theirs"] == "kept" for old in observed.prices)


def test_price_of_other_money_in_the_slot_is_replaced_not_edited() -> None:
    old = mirrored(a_price("m", 1000))
    observed = replace(_observed(old), prices=(_observed_price(old.prices[0], "price_1"),))
    desired = mirrored(a_price("m", 1200))
    assert [type(step) for step in steps_between(desired, observed)] == [
        CreatePrice,
        SetDefaultPrice,
        ArchivePrice,
    ]


def test_price_spelled_otherwise_but_of_the_same_money_is_left_alone() -> None:
    desired = mirrored(a_price("m", 1000))
    provider = TinyProvider()
    for step in steps_between(desired, None):
        provider.do(step)
    spelled = mirrored(a_price("m", None, amount_decimal=Decimal("1000.0")))
    assert steps_between(spelled, provider.product) == ()


def test_product_key_of_a_long_plain_id_is_shortened_and_stays_unique() -> None:
    one, other = (product_key("test", PackageKind.PLAN, PackageId("a" * 100 + end)) for end in "bc")
    assert one != other
    assert (len(one), len(other)) == (64, 64)
