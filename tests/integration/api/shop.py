"""A shop with one of everything, so that a request can be wrong in just one way."""

from copy import copy
from typing import Any, Final

import app
from chalicelib.domain.api_keys import KeyKind, Scope
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.ports import QueueName
from chalicelib.services.run_sync_task import run_sync_task
from tests.integration.world import Deployment
from tests.unit.api.world import served

MONTHLY: Final = {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 1900}
PLAN: Final[dict[str, Any]] = {
    "id": "pro",
    "product_id": "app",
    "name": "Pro",
    "pricing_type": "paid",
    "entitlements": [{"feature_id": "sso", "value": True}],
    "prices": [MONTHLY],
    "compatible_addons": ["storage"],
}
ADDON: Final[dict[str, Any]] = {
    "id": "storage",
    "product_id": "app",
    "name": "Storage",
    "pricing_type": "paid",
    "entitlements": [{"feature_id": "calls", "usage_limit": 100, "behavior": "increment"}],
    "prices": [{**MONTHLY, "amount": 500}],
    "max_quantity": 5,
}
FREE: Final = {"pricing_type": "free", "prices": [], "compatible_addons": []}

_STOCK: Final[list[tuple[str, Any]]] = [
    ("products", {"id": "app", "name": "App"}),
    ("products", {"id": "other", "name": "Other"}),
    ("products", {"id": "attic", "name": "Attic"}),
    ("products/attic/archive", None),
    ("features", {"id": "sso", "name": "SSO", "type": "boolean"}),
    ("features", {"id": "calls", "name": "Calls", "type": "metered"}),
    ("features", {"id": "size", "name": "Size", "type": "numeric"}),
    ("features", {"id": "region", "name": "Region", "type": "enum", "values": ["eu", "us"]}),
    ("features", {"id": "old", "name": "Old", "type": "boolean"}),
    ("features/old/archive", None),
    ("addons", ADDON),
    ("addons/storage/publish", None),
    ("addons", {**ADDON, "id": "foreign", "product_id": "other"}),
    ("addons/foreign/publish", None),
    ("addons", {**ADDON, "id": "addon-sketch"}),
    ("plans", PLAN),
    ("plans/pro/publish", None),
    ("plans", {**PLAN, **FREE, "id": "free"}),
    ("plans/free/publish", None),
    ("plans", {**PLAN, **FREE, "id": "elsewhere", "product_id": "other"}),
    ("plans/elsewhere/publish", None),
    ("plans", {**PLAN, "id": "elsewhere-paid", "product_id": "other", "compatible_addons": []}),
    ("plans/elsewhere-paid/publish", None),
    ("plans", {**PLAN, "id": "sketch"}),
    ("plans", {**PLAN, "id": "retired"}),
    ("plans/retired/publish", None),
    ("plans/retired/archive", None),
    ("customers", {"id": "acme", "email": "ops@acme.example"}),
    ("customers", {"id": "new"}),
    ("customers", {"id": "gone"}),
    ("customers/gone/archive", None),
    ("subscriptions", {"customer_id": "acme", "plan_id": "free"}),
    ("reconciliations", None),
    ("webhook_endpoints", {"url": "https://hooks.example.com/paygrade"}),
]


def stock(deployment: Deployment) -> None:
    """One of everything is there."""
    for path, body in _STOCK:
        answer = deployment.send("POST", f"/v1/{path}", body)
        assert answer.status < 300, (path, answer.body)


class Shop:
    """The deployment, and its way back to how it was stocked."""

    def __init__(self) -> None:
        self.deployment = Deployment(app.app)
        with served(self.deployment):
            stock(self.deployment)
            ports = self.deployment.ports
            self.deployment.queue.drain(
                QueueName.SYNC, lambda message: run_sync_task(ports, message.body["task_id"])
            )
            self.scoped = {scope: self.deployment.new_token(scope) for scope in Scope}
            self.without = {
                scope: self.deployment.new_token(*(one for one in Scope if one is not scope))
                for scope in Scope
            }
            self.publishable = self.deployment.new_token(
                Scope.PAYWALL_READ, kind=KeyKind.PUBLISHABLE
            )
            holding = self.deployment.send("GET", "/v1/subscriptions?customer_id=acme").json["data"]
            self.subscription_id = holding[0]["id"]
            self.session_id = self._open_checkout()
            self.revoked = self.deployment.new_token(*Scope)
            keys = self.deployment.send("GET", "/v1/api_keys?limit=100").json["data"]
            [key] = [one for one in keys if one["hint"] == self.revoked[-4:]]
            assert self.deployment.send("DELETE", f"/v1/api_keys/{key['id']}").status == 200
        self._provider = self._held_by_provider()
        self._records = {
            key: record
            for key, record in self.deployment.store.records.items()
            if key[0] is not IdempotencyRecord
        }

    def _open_checkout(self) -> str:
        """A session of acme's, for a product that it does not hold yet."""
        order = {"customer_id": "acme", "plan_id": "elsewhere-paid"}
        session_id: str = self.deployment.send("POST", "/v1/checkout_sessions", order).json["id"]
        return session_id

    def _held_by_provider(self) -> dict[str, Any]:
        fake = self.deployment.fake
        return {
            name: copy(getattr(fake, name))
            for name in fake.__slots__
            if name not in ("clock", "on_call")
        }

    def restock(self) -> Deployment:
        """Whatever was done to the shop is undone."""
        self.deployment.store.records = dict(self._records)
        self.deployment.reader.ledger.forget()
        for name, held in self._provider.items():
            setattr(self.deployment.fake, name, copy(held))
        self.deployment.store.commits.clear()
        self.deployment.queue.messages.clear()
        self.deployment.monitor.events.clear()
        self.deployment.fake.calls.clear()
        return self.deployment
