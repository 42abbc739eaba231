"""Deliveries as Stripe makes them, and the bytes and headers that others might send instead."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.adapters.billing.stripe.version import API_VERSION
from tests.fakes.system import START
from tests.integration.world import SECRET, WEBHOOK, Deployment
from tests.unit.api.world import Answer

NOW = int(START.timestamp())
CUSTOMER = "cus_acme"


def event(**fields: Any) -> dict[str, Any]:
    """A subscription event of a customer that is ours; `absent` names fields to leave out."""
    absent = fields.pop("absent", ())
    whole = {
        "id": "evt_1",
        "object": "event",
        "api_version": API_VERSION,
        "created": NOW,
        "data": {"object": {"id": "sub_1", "object": "subscription", "customer": CUSTOMER}},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "customer.subscription.updated",
        **fields,
    }
    return {name: value for name, value in whole.items() if name not in absent}


def encoded(document: object) -> bytes:
    return json.dumps(document, indent=2).encode()


def mark(body: bytes, secret: str = SECRET, timestamp: object = NOW) -> str:
    """The hexadecimal signature of these bytes at this time."""
    signed = str(timestamp).encode() + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def signature(body: bytes, *secrets: str, timestamp: object = NOW) -> str:
    """The header: one `v1` for each secret."""
    marks = [mark(body, secret, timestamp) for secret in secrets or (SECRET,)]
    return ",".join([f"t={timestamp}", *(f"v1={one}" for one in marks)])


GOOD = encoded(event())


@dataclass(frozen=True)
class Delivery:
    """One request to the webhook. Without a `header` it carries no signature; `sent` replaces the body's bytes."""

    body: bytes = GOOD
    header: str | None = None
    sent: str | bytes | None = None
    is_base64: bool = False
    header_name: str = "Stripe-Signature"
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"

    def to(self, deployment: Deployment) -> Answer:
        headers = {"Content-Type": "application/json; charset=utf-8", **self.headers}
        if self.header is not None:
            headers[self.header_name] = self.header
        return deployment.request(
            self.method,
            WEBHOOK,
            self.body if self.sent is None else self.sent,
            headers=headers,
            is_base64=self.is_base64,
        )


def signed(body: bytes | object, **fields: Any) -> Delivery:
    """A delivery of these bytes (or this document) with a right signature."""
    data = body if isinstance(body, bytes) else encoded(body)
    return Delivery(body=data, header=signature(data), **fields)
