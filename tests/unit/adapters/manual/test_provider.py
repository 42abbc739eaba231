"""Invoicing by hand, beyond what every provider promises: its ids, pages, renewals, and how it keeps its records."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.adapters.billing.manual.provider import ManualProvider
from chalicelib.domain.billing import (
    CheckoutItem,
    CreatePrice,
    CreateProduct,
    ProviderSubscription,
    SubscriptionRequest,
)
from chalicelib.domain.catalog_mirror import mirror_of
from chalicelib.domain.errors import (
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
    StoreUnavailableError,
)
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.provider_records import ProviderRecord
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.ports import CheckoutProvider, DirectProvider, Write
from tests.factories import a_package, a_price, a_version
from tests.fakes.store import InMemoryStore
from tests.fakes.system import START, FakeClock

WEEKLY = a_price("w", 300, billing_period=BillingPeriod.WEEK)
PRODUCT = mirror_of(
    a_package("pro"),
    a_version("pro", 1, prices=(WEEKLY,)),
    environment="test",
    public_url="https://api.example.test",
)
ACME = {"paygrade_entity_url": "https://api.example.test/v1/customers/acme"}


class Desk:
    """The provider, what it keeps, and a customer with a weekly price to subscribe to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = InMemoryStore(self.clock)
        self.provider = ManualProvider(store=self.store, clock=self.clock)
        self.provider.apply(CreateProduct(product=PRODUCT), "product")
        self.step = CreatePrice(product_key=PRODUCT.product_key, price=PRODUCT.prices[0])
        self.price_id = self.provider.apply(self.step, "price")
        self.customer_id = self.provider.ensure_customer(ACME, "customer").billing_id

    def subscribe(self, key: str = "key") -> ProviderSubscription:
        item = CheckoutItem(price_billing_id=self.price_id, quantity=1)
        request = SubscriptionRequest(
            customer_billing_id=self.customer_id, items=(item,), metadata={}
        )
        return self.provider.create_subscription(request, key)

    def before_next_commit(self, work: Callable[[], object]) -> None:
        def once(writes: tuple[Write, ...]) -> None:
            self.store.before_commit = None
            work()

        self.store.before_commit = once


def test_provider_is_one_that_takes_no_payments() -> None:
    provider = Desk().provider
    assert isinstance(provider, DirectProvider)
    assert not isinstance(provider, CheckoutProvider)
    assert provider.name == "manual"


def test_ids_follow_from_the_keys() -> None:
    one, other = Desk(), Desk()
    assert one.price_id == other.price_id
    assert one.price_id.startswith("man_price_")
    assert one.customer_id == other.customer_id
    assert one.customer_id.startswith("man_cus_")
    assert one.subscribe().billing_id == other.subscribe().billing_id
    assert one.subscribe("other").billing_id != one.subscribe().billing_id


def test_pages_are_those_of_our_own_api() -> None:
    desk = Desk()
    plan = "https://api.example.test/v1/plans/pro"
    assert desk.provider.product_url(PRODUCT.product_key) == plan
    assert desk.provider.price_url(desk.price_id) == plan
    assert desk.provider.product_url("pg_test_plan_none") is None


def test_provider_keeps_nothing_but_records_of_its_own() -> None:
    desk = Desk()
    desk.subscribe()
    assert {kind for kind, _ in desk.store.records} == {ProviderRecord}
    assert {record.provider for record in desk.store.all(ProviderRecord)} == {"manual"}


def test_another_process_finds_everything() -> None:
    desk = Desk()
    made = desk.subscribe()
    later = ManualProvider(store=desk.store, clock=desk.clock)
    assert later.get_subscription(made.billing_id) == made
    assert later.observe_product(PRODUCT.product_key) == desk.provider.observe_product(
        PRODUCT.product_key
    )


def test_subscription_renews_itself_by_the_calendar() -> None:
    desk = Desk()
    made = desk.subscribe()
    assert (made.current_period_start, made.current_period_end) == (
        START,
        START + timedelta(weeks=1),
    )
    desk.clock.advance(days=15)
    held = desk.provider.get_subscription(made.billing_id)
    assert held is not None
    assert (held.started_at, held.current_period_start, held.current_period_end) == (
        START,
        START + timedelta(weeks=2),
        START + timedelta(weeks=3),
    )


def test_subscription_to_be_ended_is_over_at_its_date_and_renews_no_more() -> None:
    desk = Desk()
    made = desk.subscribe()
    end = START + timedelta(days=10)
    desk.provider.end_subscription(made.billing_id, at=end)
    desk.clock.advance(days=10)
    held = desk.provider.get_subscription(made.billing_id)
    assert held is not None
    assert (held.status, held.ended_at) == (SubscriptionStatus.CANCELED, end)
    desk.clock.advance(days=90)
    assert desk.provider.list_subscriptions(desk.customer_id) == (held,)
    assert desk.provider.end_subscription(made.billing_id) == held
    assert held.current_period_end == START + timedelta(weeks=2)


def test_subscription_to_be_ended_in_the_past_ends_now() -> None:
    desk = Desk()
    made = desk.subscribe()
    desk.clock.advance(days=1)
    ended = desk.provider.end_subscription(made.billing_id, at=START)
    assert ended.ended_at == START + timedelta(days=1)


def test_writer_that_was_overtaken_starts_again_from_what_the_other_wrote() -> None:
    desk = Desk()
    desk.before_next_commit(lambda: desk.subscribe("other"))
    desk.subscribe("key")
    assert len(desk.provider.list_subscriptions(desk.customer_id)) == 2


def test_same_request_overtaking_itself_makes_one() -> None:
    desk = Desk()
    desk.before_next_commit(desk.subscribe)
    made = desk.subscribe()
    assert desk.provider.list_subscriptions(desk.customer_id) == (made,)
    product = desk.provider.observe_product(PRODUCT.product_key)
    assert product is not None
    desk.before_next_commit(lambda: desk.provider.apply(desk.step, "again"))
    desk.provider.apply(desk.step, "again")
    found = desk.provider.observe_product(PRODUCT.product_key)
    assert found is not None
    assert len(found.prices) == len(product.prices) + 1


@pytest.mark.parametrize("error", [StoreConflictError("busy"), StoreUnavailableError("away")])
def test_trouble_with_the_database_is_the_providers_trouble(error: Exception) -> None:
    desk = Desk()

    def fail(writes: tuple[Write, ...]) -> None:
        raise error

    desk.store.before_commit = fail
    with pytest.raises(ProviderUnavailableError) as failed:
        desk.subscribe()
    assert not failed.value.definite


def test_what_no_record_can_hold_is_refused() -> None:
    desk = Desk()
    huge = replace(PRODUCT, metadata={"note": "x" * 500_000})
    with pytest.raises(ProviderRefusedError) as refused:
        desk.provider.apply(CreateProduct(product=huge), "huge")
    assert refused.value.provider_code == "too_large"
