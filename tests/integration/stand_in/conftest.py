"""A listening stand-in, and a shop's webhook endpoint that keeps what it is sent."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import stripe

from infra.local.stripe_stand_in import StandIn
from infra.local.stripe_stand_in.server import StandInServer

stripe.enable_telemetry = False


class Shop:
    """Keeps the events it gets; refuses as many as it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.signatures: list[tuple[bytes, str]] = []
        self.refusals = 0
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = shop.refusals > 0
                if refused:
                    shop.refusals -= 1
                else:
                    shop.signatures.append((body, self.headers["Stripe-Signature"]))
                    shop.events.append(json.loads(body))
                self.send_response(503 if refused else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def wait_for(self, event_type: str, seconds: float = 10.0) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for event in self.events:
                if event["type"] == event_type:
                    return event
            time.sleep(0.02)
        raise AssertionError(f"{event_type} did not come; came: {self.types}")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def shop() -> Iterator[Shop]:
    running = Shop()
    yield running
    running.close()


@pytest.fixture
def stand_in(shop: Shop) -> Iterator[StandIn]:
    made = StandIn(webhook_url=shop.url)
    yield made
    made.close()


@pytest.fixture
def server(stand_in: StandIn) -> Iterator[StandInServer]:
    with StandInServer(stand_in) as running:
        yield running


@pytest.fixture
def api(server: StandInServer) -> Any:
    client = stripe.StripeClient(
        "sk_test_integration",
        base_addresses={"api": server.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=3),
    )
    return client.v1


@pytest.fixture
def http(server: StandInServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=15) as client:
        yield client


@pytest.fixture
def session(api: Any) -> Any:
    """An open checkout session of a monthly price."""
    product = api.products.create({"name": "Pro"})
    price = api.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 1000,
            "recurring": {"interval": "month"},
        }
    )
    return api.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": "http://127.0.0.1:9/done?s={CHECKOUT_SESSION_ID}",
        }
    )
