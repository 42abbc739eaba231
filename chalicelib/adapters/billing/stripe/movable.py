"""Stripe where its clock can be moved: a stand-in that speaks Stripe's API and has a control route beside it.

Stripe's own test clocks belong to single customers and are made before them, so they can't move an environment.
"""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.domain.errors import ProviderUnavailableError

_ROUTE: Final = "/_stand_in/clock"
# Years of renewals are made one after the other before it answers.
_SECONDS: Final = 25.0


class MovableStripe(StripeProvider):
    """A `ProviderClock`, too."""

    def advance_clock(self, to: datetime) -> None:
        """See `ProviderClock`."""
        now = datetime.fromtimestamp(self._ask({})["now"], UTC)
        ahead = round((to - now).total_seconds())
        if ahead > 0:
            self._ask({"advance_seconds": ahead})

    def _ask(self, body: dict[str, int]) -> dict[str, Any]:
        base = urlsplit(self.api_base)
        connect = HTTPSConnection if base.scheme == "https" else HTTPConnection
        connection = connect(base.netloc, timeout=_SECONDS)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", _ROUTE, json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            raise ProviderUnavailableError("The stand-in's clock could not be moved.") from error
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            raise ProviderUnavailableError(f"The stand-in's clock answers {answer.status}.")
        found: dict[str, Any] = json.loads(text)
        return found
