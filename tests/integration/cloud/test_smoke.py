"""The smoke test: what counts as alive, over a server of our own."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chalicelib.adapters.billing.stripe.signature import SignatureVerifier
from chalicelib.domain.errors import InvalidSignatureError
from infra.deploy.errors import DeployError
from infra.deploy.smoke import address_answers, smoke_test

HEALTHY = (200, {"status": "ok", "environment": "prod"})
REFUSED = (400, {"code": "invalid_signature"})
NO_EVENT = (400, {"code": "malformed_event"})
SECRET = "whsec_of_the_endpoint"


@contextmanager
def served(
    health: tuple[int, Any],
    webhook: tuple[int, Any] = REFUSED,
    signed: tuple[int, Any] = NO_EVENT,
) -> Iterator[str]:
    verifier = SignatureVerifier([SECRET])

    class Handler(BaseHTTPRequestHandler):
        def answer(self, given: tuple[int, Any]) -> None:
            body = given[1] if isinstance(given[1], bytes) else json.dumps(given[1]).encode()
            self.send_response(given[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer(health)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                verifier.verify(body, self.headers["Stripe-Signature"], datetime.now(UTC))
            except InvalidSignatureError:
                self.answer(webhook)
            else:
                self.answer(signed)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_api_that_is_healthy_and_refuses_what_is_unsigned_is_alive() -> None:
    with served(HEALTHY) as url:
        assert len(smoke_test(url, "prod", webhook=True, patience_seconds=0)) == 2
        assert len(smoke_test(url, "prod", webhook=False, patience_seconds=0)) == 1
        assert len(smoke_test(url, "prod", webhook=True, secret=SECRET, patience_seconds=0)) == 3
        assert address_answers(url, "prod", patience_seconds=0)
        assert not address_answers(url, "dev", patience_seconds=0)


@pytest.mark.parametrize(
    "health",
    [
        (500, {}),
        (403, {"message": "Forbidden"}),
        (200, {"environment": "dev"}),
        (200, b"<html>A proxy's page</html>"),
        (200, b"\xff[1]"),
    ],
)
def test_api_that_fails_or_is_another_stage_is_not_and_the_message_says_where_to_look(
    health: tuple[int, Any],
) -> None:
    with served(health) as url, pytest.raises(DeployError, match="aws logs tail"):
        smoke_test(url, "prod", webhook=False, patience_seconds=0)


@pytest.mark.parametrize("webhook", [(200, {}), (409, {"code": "billing_not_configured"})])
def test_api_that_takes_unsigned_deliveries_or_has_no_secret_is_not(
    webhook: tuple[int, Any],
) -> None:
    with served(HEALTHY, webhook) as url, pytest.raises(DeployError, match="unsigned delivery"):
        smoke_test(url, "prod", webhook=True, patience_seconds=0)


@pytest.mark.parametrize(
    ("secret", "signed"),
    [("whsec_of_another_endpoint", NO_EVENT), (SECRET, (503, {"code": "store_unavailable"}))],
)
def test_api_that_does_not_know_what_stripe_signs_with_is_not(
    secret: str, signed: tuple[int, Any]
) -> None:
    with (
        served(HEALTHY, signed=signed) as url,
        pytest.raises(DeployError, match="signed with the endpoint's secret"),
    ):
        smoke_test(url, "prod", webhook=True, secret=secret, patience_seconds=0)


def test_connection_closed_without_an_answer_is_told_as_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(DeployError, match=r"answered nothing: \w+"):
            smoke_test(url, "prod", webhook=False, patience_seconds=0)
        assert not address_answers(url, "prod", patience_seconds=0)
        server.shutdown(socket.SHUT_RDWR)
