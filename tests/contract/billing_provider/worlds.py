"""The providers under contract, each with what people do there behind the port's back."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.domain.errors import ProviderUnavailableError
from chalicelib.ports import CheckoutProvider
from infra.local.stripe_stand_in.core import StandIn
from infra.local.stripe_stand_in.in_process import ADDRESS, TEST_KEY, InProcessClient
from infra.local.stripe_stand_in.wire import Request
from tests.fakes.billing import FakeBillingProvider, When

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

# The port's methods that take an idempotency key, as the requests that carry it.
_PATHS = {
    "apply": "/v1/prices",
    "ensure_customer": "/v1/customers",
    "open_checkout": "/v1/checkout/sessions",
}


class ManualClock:
    """Stands still but for sleeping."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class World(Protocol):
    """A provider and the people around it."""

    provider: CheckoutProvider
    clock: ManualClock

    def pay(self, checkout_id: str) -> None:
        """The customer pays the open checkout."""

    def decline(self, checkout_id: str) -> None:
        """The customer's card is refused."""

    def cancel(self, subscription_id: str) -> None:
        """The subscription ends now."""

    def cancel_later(self, subscription_id: str) -> None:
        """The subscription will end with its period."""

    def delete_customer(self, billing_id: str) -> None:
        """Somebody deletes the customer."""

    def archive_price(self, billing_id: str) -> None:
        """Somebody archives the price."""

    def rename_product(self, product_key: str, name: str) -> None:
        """Somebody renames the product."""

    def lose_answer(self, method: str) -> None:
        """The method's next call takes effect, and its answer never arrives."""

    def fail_after(self, method: str) -> None:
        """The method's next call takes effect, answers with a server error, and goes on to."""

    def customers(self) -> int:
        """How many living customers there are."""


class FakeWorld:
    """The provider of the service tests."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.fake = FakeBillingProvider(self.clock)
        self.provider: CheckoutProvider = self.fake

    def pay(self, checkout_id: str) -> None:
        self.fake.pay(checkout_id)

    def decline(self, checkout_id: str) -> None:
        self.fake.decline(checkout_id)

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


class StripeWorld:
    """The real adapter and SDK over the stand-in, in this process and without a socket."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.stand_in = StandIn(now=self._timestamp, seed="contract")
        self.provider: CheckoutProvider = StripeProvider(
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
