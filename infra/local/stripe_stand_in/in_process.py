"""The `stripe` SDK against a stand-in in the same process, with no socket in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import stripe

from infra.local.stripe_stand_in.core import StandIn
from infra.local.stripe_stand_in.wire import Request

TEST_KEY = "sk_test_stand_in"
ADDRESS = "http://stripe-stand-in.invalid"


class InProcessClient(stripe.HTTPClient):
    """An HTTP client of the SDK that asks the stand-in directly."""

    name = "stand-in"

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__()
        self.stand_in = stand_in

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Body, status and headers; a lost answer is the SDK's own connection error."""
        parts = urlsplit(url)
        body = post_data.encode() if isinstance(post_data, str) else (post_data or b"")
        request = Request(method.upper(), parts.path, parts.query, dict(headers or {}), body)
        answer = self.stand_in.handle(request)
        if answer.delivery != "send":
            message = f"The stand-in lost the answer ({answer.delivery})."
            raise stripe.APIConnectionError(  # type: ignore[no-untyped-call]
                message, should_retry=True
            )
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        return answer.body.decode(), answer.status, lowered

    def _sleep_time_seconds(self, _num_retries: int) -> float:
        """Retries of the SDK do not wait: nothing in process gets better by waiting."""
        return 0.0

    def close(self) -> None:
        """Nothing is open."""


def client_for(
    stand_in: StandIn, *, api_key: str = TEST_KEY, max_network_retries: int = 0
) -> stripe.StripeClient:
    """A StripeClient whose every call is answered by the stand-in in this process."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": ADDRESS},
        max_network_retries=max_network_retries,
        http_client=InProcessClient(stand_in),
    )
