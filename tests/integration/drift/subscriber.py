"""A customer of the small catalog who has paid for it, and short ways to look at both sides."""

from collections.abc import Mapping
from typing import Any

from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.ids import CustomerId
from chalicelib.services.converge_customer import converge_customer
from tests.integration.drift.shop import CAUSE, Shop

ORDER = {"customer_id": "acme", "plan_id": "pro", "billing_period": "month", "currency": "usd"}
ADDON = {
    "id": "storage",
    "product_id": "app",
    "name": "Storage",
    "pricing_type": "paid",
    "prices": [{"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 500}],
}


class Subscriber:
    """Acme, who subscribed by a checkout; both sides agree, and no notification is delivered from now on."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.world = shop.world
        self.world.person("POST", "/_stand_in/deliveries", mode="drop")
        self.told("customers", {"id": "acme", "name": "Acme"})
        self.subscribe()
        [self.truth] = shop.all("subscriptions")
        self.billing_id: str = self.truth["id"]
        self.customer: str = self.truth["customer"]
        self.world.clock.advance(minutes=5)
        shop.reconcile()  # what happened until here is heard of

    def subscribe(self) -> None:
        """Acme orders the plan, and pays."""
        self.told("subscriptions", ORDER)
        [session] = self.world.store.all(CheckoutSession)
        self.world.person("POST", f"/_stand_in/checkout_sessions/{session.billing_id}/pay")
        converge_customer(self.world.ports, CAUSE, CustomerId("acme"), "stripe")

    def change(self, **fields: Any) -> Any:
        """Somebody changes the subscription at the dashboard."""
        return self.shop.edit(f"subscriptions/{self.billing_id}", **fields)

    def item(self, price_id: str) -> str:
        """The subscription's line of this price."""
        lines = self.theirs()["items"]["data"]
        return next(str(line["id"]) for line in lines if line["price"]["id"] == price_id)

    def schedule(self, price_id: str) -> None:
        """Somebody plans at the dashboard what the next period charges."""
        made = self.shop.edit("subscription_schedules", from_subscription=self.billing_id)
        phase = made["phases"][0]
        self.shop.edit(
            f"subscription_schedules/{made['id']}",
            **{
                "phases[0][start_date]": phase["start_date"],
                "phases[0][end_date]": phase["end_date"],
                "phases[0][items][0][price]": self.shop.month["id"],
                "phases[1][start_date]": phase["end_date"],
                "phases[1][items][0][price]": price_id,
            },
        )

    def addon(self) -> str:
        """An add-on is on sale, and known to Stripe; the id of its price there."""
        self.told("addons", ADDON)
        self.told("addons/storage/publish")
        self.shop.carry_over()
        return next(
            str(price["id"])
            for price in self.shop.all("prices")
            if price["lookup_key"] and ":addon:storage:" in price["lookup_key"]
        )

    def assert_nothing_ended_here_is_billed(self) -> None:
        """No subscription that has ended on our side lives at Stripe."""
        for ours in self.ours():
            [link] = ours["billing"]
            theirs = self.world.stand_in.account.find("subscription", link["billing_id"])
            if ours["status"] in ("canceled", "expired") and theirs is not None:
                assert theirs["status"] in ("canceled", "incomplete_expired"), ours

    def told(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """What our API answers to a request that succeeds."""
        answer = self.world.send(method, f"/v1/{path}", body)
        assert answer.status < 300, answer.body
        return answer.json

    def ours(self) -> list[dict[str, Any]]:
        """The customer's subscriptions as our API shows them."""
        data: list[dict[str, Any]] = self.told("subscriptions?customer_id=acme", method="GET")[
            "data"
        ]
        return data

    def theirs(self, billing_id: str | None = None) -> dict[str, Any]:
        """The subscription as Stripe shows it."""
        path = f"/v1/subscriptions/{billing_id or self.billing_id}"
        found: dict[str, Any] = self.world.person("GET", path)
        return found

    def subscribe_by_hand(self, metadata: Mapping[str, str] | None = None, **fields: Any) -> Any:
        """Somebody subscribes a customer at the dashboard."""
        marks = {f"metadata[{key}]": value for key, value in (metadata or {}).items()}
        fields.setdefault("customer", self.customer)
        fields.setdefault("items[0][price]", self.shop.month["id"])
        fields |= {"collection_method": "send_invoice", "days_until_due": 30}
        return self.shop.edit("subscriptions", **marks, **fields)

    def pay_in_another_tab(self) -> Any:
        """A second checkout of ours was open, and is paid, too; the subscription that it makes."""
        marks = {**self.truth["metadata"], "paygrade_entity_id": "subs_othertab"}
        fields = {f"subscription_data[metadata][{key}]": text for key, text in marks.items()}
        session = self.shop.edit(
            "checkout/sessions",
            mode="subscription",
            customer=self.customer,
            success_url="https://app.example.test/ok",
            **{"line_items[0][price]": self.shop.month["id"], "line_items[0][quantity]": 1},
            **fields,
        )
        paid = self.world.person("POST", f"/_stand_in/checkout_sessions/{session['id']}/pay")
        found = self.shop.all("subscriptions")
        assert paid
        return next(one for one in found if one["id"] != self.billing_id)

    def drifts(self, body: Any = None) -> list[tuple[str, str]]:
        """Kind and action of what a run finds, but for the notifications that never came."""
        run = self.shop.reconcile(body)
        return [
            (one["kind"], one["action"]) for one in run["drifts"] if one["kind"] != "event_missed"
        ]
