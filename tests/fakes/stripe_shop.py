"""The services over the real Stripe adapter and SDK, with the stand-in in this process behind them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.domain.prices import Price
from chalicelib.ports import Providers
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.start_checkout import start_checkout
from chalicelib.services.sync_catalog import sync_package
from infra.local.stripe_stand_in.core import StandIn
from infra.local.stripe_stand_in.in_process import ADDRESS, TEST_KEY, InProcessClient
from infra.local.stripe_stand_in.wire import Request
from tests.factories import ACME
from tests.fakes.billing import FakeProviders
from tests.fakes.world import World, a_cause, an_order

Json = dict[str, Any]


@dataclass
class StripeShop(World):
    """`stripe` is the provider; `objects` and `send` look at what the stand-in holds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stand_in = StandIn(now=lambda: self.clock.now().timestamp(), seed="shop")
        self.stripe = StripeProvider(
            api_key=TEST_KEY,
            api_base=ADDRESS,
            clock=self.clock,
            http_client=InProcessClient(self.stand_in),
        )
        self.ports = replace(self.ports, providers=cast("Providers", FakeProviders([self.stripe])))

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """The stand-in's answer to one request, as a person or the dashboard makes it."""
        control = path.startswith("/_stand_in/")
        text = "&".join(f"{key}={value}" for key, value in (body or {}).items())
        data = json.dumps(body or {}) if control else text
        headers = {"Authorization": f"Bearer {TEST_KEY}"}
        answer = self.stand_in.handle(Request(method, path, "", headers, data.encode()))
        assert answer.status == 200, answer.body
        found: Json = json.loads(answer.body)
        return found

    def objects(self, kind: str) -> list[Json]:
        """Everything of the kind that the stand-in holds, the oldest first."""
        return sorted(self.stand_in.account.all(kind), key=lambda one: (one["created"], one["id"]))

    def steps_left(self, kind: str = "plan", package_id: str = "pro") -> int:
        """How many steps a further propagation takes: none, when Stripe holds what is sold."""
        return sync_package(self.ports, self.stripe, kind, package_id)

    def pay(self, *prices: Price, **order: Any) -> Json:
        """The customer paid the checkout of this order, and we have looked; Stripe's subscription."""
        session = start_checkout(self.ports, a_cause(), an_order(**order))
        self.send("POST", f"/_stand_in/checkout_sessions/{session.billing_id}/pay")
        converge_customer(self.ports, a_cause(), ACME, "stripe")
        return self.objects("subscription")[-1]
