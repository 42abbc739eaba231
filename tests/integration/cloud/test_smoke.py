"""The smoke test: what counts as alive, over a server of our own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.deploy.errors import DeployError
from infra.deploy.smoke import smoke_test

HEALTHY = (200, {"status": "ok", "environment": "prod"})
REFUSED = (400, {"code": "invalid_signature"})


@contextmanager
def served(health: tuple[int, Any], webhook: tuple[int, Any] = REFUSED) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self, given: tuple[int, Any]) -> None:
            body = json.dumps(given[1]).encode()
            self.send_response(given[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer(health)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(webhook)

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


@pytest.mark.parametrize(
    "health", [(500, {}), (403, {"message": "Forbidden"}), (200, {"environment": "dev"})]
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
