"""The providers under contract, each with what people do there behind the port's back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from chalicelib.adapters.billing.manual.provider import ManualProvider
from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.domain.billing import (
    ArchivePrice,
    CheckoutDiscount,
    CheckoutItem,
    CheckoutRequest,
    MirrorProduct,
    SubscriptionRequest,
    UpdateProduct,
)
from chalicelib.domain.errors import ProviderUnavailableError, StoreUnavailableError
from chalicelib.domain.provider_records import ProviderRecord
from chalicelib.ports import (
    BillingProvider,
    CheckoutProvider,
    DirectProvider,
    EmbeddedCheckout,
    PortalProvider,
)
from infra.local.stripe_stand_in.core import StandIn
from infra.local.stripe_stand_in.in_process import ADDRESS, TEST_KEY, InProcessClient
from infra.local.stripe_stand_in.wire import Request
from tests.fakes.billing import FakeBillingProvider, FakeDirectProvider, FakeProvider, When
from tests.fakes.listing import SourceProvider
from tests.fakes.moving import MovingProvider
from tests.fakes.store import InMemoryStore

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

# The port's methods that take an idempotency key, as the requests that carry it.
_PATHS = {
    "apply": "/v1/prices",
    "ensure_customer": "/v1/customers",
    "open_checkout": "/v1/checkout/sessions",
    "report_usage": "/v1/billing/meter_events",
}


METADATA = {"paygrade_entity_id": "subs_1", "paygrade_entity_url": "https://api.example/subs_1"}


def checkout_request(customer_id: str, *items: CheckoutItem) -> CheckoutRequest:
    return CheckoutRequest(
        customer_billing_id=customer_id,
        reference="chk_1",
        items=items,
        success_url="https://app.example/ok?session_id={CHECKOUT_SESSION_ID}",
        cancel_url="https://app.example/back",
        expires_at=START + timedelta(hours=23),
        metadata=METADATA,
    )


def subscription_request(customer_id: str, *items: CheckoutItem) -> SubscriptionRequest:
    return SubscriptionRequest(customer_billing_id=customer_id, items=items, metadata=METADATA)


class ManualClock:
    """Stands still but for sleeping."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def wait_for_the_end(world: "World", subscription_id: str) -> None:
    """It is a second after the end of the running period."""
    held = world.provider.get_subscription(subscription_id)
    assert held is not None
    assert held.current_period_end is not None
    world.clock.sleep((held.current_period_end - world.clock.now()).total_seconds() + 1)


class World(Protocol):
    """A provider and the people around it."""

    @property
    def provider(self) -> BillingProvider:
        """The provider under contract."""

    @property
    def clock(self) -> ManualClock:
        """Its time."""

    def subscribe(self, customer_id: str, items: Sequence[CheckoutItem], key: str) -> str:
        """The customer is subscribed in the way that this provider has; returns the subscription's id."""

    def cancel(self, subscription_id: str) -> None:
        """The subscription ends now."""

    def cancel_later(self, subscription_id: str) -> None:
        """The subscription will end with its period."""

    def archive_price(self, billing_id: str) -> None:
        """Somebody archives the price."""

    def rename_product(self, product_key: str, name: str) -> None:
        """Somebody renames the product."""

    def lose_answer(self, method: str) -> None:
        """The method's next call takes effect, and its answer never arrives."""

    def customers(self) -> int:
        """How many living customers there are."""


class ChangingWorld(World, Protocol):
    """The provider changes running subscriptions."""

    def pass_period(self, subscription_id: str) -> None:
        """The running period is over, and the next invoice paid."""


class DiscountingWorld(ChangingWorld, Protocol):
    """The provider takes discounts off what a subscription costs."""

    def give_coupon(self, duration: str) -> CheckoutDiscount:
        """There is a coupon of 20 %; returns what it is called."""

    def give_code(self, duration: str) -> CheckoutDiscount:
        """There is a coupon of 20 % with a promotion code; returns what the code is called."""


class RemoteWorld(World, Protocol):
    """The provider is somebody else's server: it has failures of its own, and people who delete things there."""

    def fail_after(self, method: str) -> None:
        """The method's next call takes effect, answers with a server error, and goes on to."""

    def delete_customer(self, billing_id: str) -> None:
        """Somebody deletes the customer."""


class CheckoutWorld(RemoteWorld, Protocol):
    """The provider has a payment page."""

    @property
    def provider(self) -> CheckoutProvider: ...

    def pay(self, checkout_id: str) -> None:
        """The customer pays the open checkout."""

    def metered(self) -> dict[str, str]:
        """The values of all usage that counts, by id."""

    def decline(self, checkout_id: str) -> None:
        """The customer's card is refused."""


class SellsEmbedded(CheckoutProvider, EmbeddedCheckout, Protocol):
    """A provider with a payment page, and with parts of one for the application's own."""


class EmbeddedWorld(RemoteWorld, Protocol):
    """The provider takes payments inside the application's page."""

    @property
    def provider(self) -> SellsEmbedded: ...

    def pay(self, checkout_id: str) -> None:
        """The customer pays the open checkout."""


class PortalWorld(RemoteWorld, Protocol):
    """The provider has a page for customers."""

    @property
    def provider(self) -> PortalProvider: ...


class DirectWorld(World, Protocol):
    """The provider subscribes customers at our word."""

    @property
    def provider(self) -> DirectProvider: ...


@dataclass
class FakePeople:
    """What people do at a fake."""

    fake: FakeProvider

    def cancel(self, subscription_id: str) -> None:
        self.fake.cancel(subscription_id)

    def cancel_later(self, subscription_id: str) -> None:
        end = self.fake.subscriptions[subscription_id].current_period_end
        self.fake.cancel(subscription_id, at=end)

    def delete_customer(self, billing_id: str) -> None:
        self.fake.delete_customer(billing_id)

    def archive_price(self, billing_id: str) -> None:
        self.fake.edit_price(billing_id, active=False)

    def rename_product(self, product_key: str, name: str) -> None:
        self.fake.edit_product(product_key, name=name)

    def lose_answer(self, method: str) -> None:
        self.fake.fail(method, ProviderUnavailableError("lost"), when=When.AFTER)

    def fail_after(self, method: str) -> None:
        error = ProviderUnavailableError("failed", definite=True)
        self.fake.fail(method, error, when=When.STORED)

    def customers(self) -> int:
        return sum(not customer.deleted for customer in self.fake.customers.values())


class FakeWorld(FakePeople):
    """The provider of the service tests."""

    makes: type[FakeBillingProvider] = FakeBillingProvider

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.provider = self.makes(self.clock)
        super().__init__(self.provider)

    def subscribe(self, customer_id: str, items: Sequence[CheckoutItem], key: str) -> str:
        request = checkout_request(customer_id, *items)
        opened = self.provider.open_checkout(request, key)
        return self.provider.pay(opened.billing_id).billing_id

    def pay(self, checkout_id: str) -> None:
        self.provider.pay(checkout_id)

    def metered(self) -> dict[str, str]:
        return {usage.id: str(usage.value) for usage in self.provider.metered.values()}

    def decline(self, checkout_id: str) -> None:
        self.provider.decline(checkout_id)


class FakeTellingWorld(FakeWorld):
    """The provider of the service tests that tells of its customers."""

    makes = SourceProvider


class FakeChangingWorld(FakeWorld):
    """The provider of the service tests that changes running subscriptions."""

    makes = MovingProvider
    provider: MovingProvider

    def give_coupon(self, duration: str) -> CheckoutDiscount:
        return self.provider.give_coupon(is_once=duration == "once")

    def give_code(self, duration: str) -> CheckoutDiscount:
        return self.provider.give_code(is_once=duration == "once")

    def pass_period(self, subscription_id: str) -> None:
        wait_for_the_end(self, subscription_id)
        self.provider.renew(subscription_id)


class FakeDirectWorld(FakePeople):
    """The provider of the service tests that needs no payment."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.provider = FakeDirectProvider(self.clock)
        super().__init__(self.provider)

    def subscribe(self, customer_id: str, items: Sequence[CheckoutItem], key: str) -> str:
        return self.provider.create_subscription(
            subscription_request(customer_id, *items), key
        ).billing_id


class ManualWorld:
    """The real adapter over a store in memory. Whatever people do, they do through it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = InMemoryStore(self.clock)
        self.provider = ManualProvider(store=self.store, clock=self.clock)

    def subscribe(self, customer_id: str, items: Sequence[CheckoutItem], key: str) -> str:
        return self.provider.create_subscription(
            subscription_request(customer_id, *items), key
        ).billing_id

    def cancel(self, subscription_id: str) -> None:
        self.provider.end_subscription(subscription_id)

    def cancel_later(self, subscription_id: str) -> None:
        held = self.provider.get_subscription(subscription_id)
        assert held is not None
        self.provider.end_subscription(subscription_id, at=held.current_period_end)

    def archive_price(self, billing_id: str) -> None:
        self.provider.apply(ArchivePrice(billing_id=billing_id), "by hand")

    def rename_product(self, product_key: str, name: str) -> None:
        held = self.provider.observe_product(product_key)
        assert held is not None
        renamed = MirrorProduct(
            product_key=product_key,
            name=name,
            description=held.description,
            active=held.active,
            metadata={},
            prices=(),
            default_lookup_key=None,
        )
        self.provider.apply(UpdateProduct(product=renamed), "by hand")

    def lose_answer(self, method: str) -> None:
        def lose(writes: object) -> None:
            self.store.after_commit = None
            raise StoreUnavailableError("The database's answer was lost.")

        self.store.after_commit = lose

    def pass_period(self, subscription_id: str) -> None:
        wait_for_the_end(self, subscription_id)

    def customers(self) -> int:
        return len(self.store.list_within(ProviderRecord, "manual", "customer").items)


class StripeWorld:
    """The real adapter and SDK over the stand-in, in this process and without a socket."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.stand_in = StandIn(now=self._timestamp, seed="contract")
        self.provider = StripeProvider(
            api_key=TEST_KEY,
            api_base=ADDRESS,
            clock=self.clock,
            http_client=InProcessClient(self.stand_in),
        )

    def _timestamp(self) -> float:
        return self.clock.time.timestamp()

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        control = path.startswith("/_stand_in/")
        text = (
            json.dumps(body or {})
            if control
            else "&".join(f"{key}={value}" for key, value in (body or {}).items())
        )
        headers = {"Authorization": f"Bearer {TEST_KEY}"}
        answer = self.stand_in.handle(Request(method, path, "", headers, text.encode()))
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def subscribe(self, customer_id: str, items: Sequence[CheckoutItem], key: str) -> str:
        before = {one.billing_id for one in self.provider.list_subscriptions(customer_id)}
        request = checkout_request(customer_id, *items)
        self.pay(self.provider.open_checkout(request, key).billing_id)
        after = {one.billing_id for one in self.provider.list_subscriptions(customer_id)}
        (made,) = after - before
        return made

    def metered(self) -> dict[str, str]:
        events = self.stand_in.account.store.scan("_meter_event")
        return {event["identifier"]: event["_value"] for event in events}

    def pay(self, checkout_id: str) -> None:
        self._send("POST", f"/_stand_in/checkout_sessions/{checkout_id}/pay")

    def decline(self, checkout_id: str) -> None:
        body = {"outcome": "declined"}
        self._send("POST", f"/_stand_in/checkout_sessions/{checkout_id}/pay", body)

    def cancel(self, subscription_id: str) -> None:
        self._send("DELETE", f"/v1/subscriptions/{subscription_id}")

    def cancel_later(self, subscription_id: str) -> None:
        body = {"cancel_at_period_end": "true"}
        self._send("POST", f"/v1/subscriptions/{subscription_id}", body)

    def delete_customer(self, billing_id: str) -> None:
        self._send("DELETE", f"/v1/customers/{billing_id}")

    def archive_price(self, billing_id: str) -> None:
        self._send("POST", f"/v1/prices/{billing_id}", {"active": "false"})

    def rename_product(self, product_key: str, name: str) -> None:
        self._send("POST", f"/v1/products/{product_key}", {"name": name})

    def lose_answer(self, method: str) -> None:
        # Three times: the adapter asks again by itself, and shall not succeed at that either.
        self._fault(method, "timeout_after", times=3)

    def fail_after(self, method: str) -> None:
        self._fault(method, "500_after")

    def _fault(self, method: str, kind: str, times: int = 1) -> None:
        body = {"method": "POST", "path": _PATHS[method], "kind": kind, "times": times}
        self._send("POST", "/_stand_in/faults", body)

    def customers(self) -> int:
        return len(self.stand_in.account.all("customer"))

    def give_coupon(self, duration: str) -> CheckoutDiscount:
        made = self._send("POST", "/v1/coupons", {"percent_off": 20, "duration": duration})
        return CheckoutDiscount(coupon_billing_id=made["id"])

    def give_code(self, duration: str) -> CheckoutDiscount:
        coupon = self.give_coupon(duration).coupon_billing_id
        body = {"promotion[type]": "coupon", "promotion[coupon]": coupon}
        made = self._send("POST", "/v1/promotion_codes", body)
        return CheckoutDiscount(code_billing_id=made["id"])

    def pass_period(self, subscription_id: str) -> None:
        wait_for_the_end(self, subscription_id)
        self._send("POST", "/_stand_in/clock", {"advance_seconds": 0})
