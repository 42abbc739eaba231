"""Stripe's page for what a customer has: https://docs.stripe.com/api/customer_portal/sessions."""

from typing import Final

from chalicelib.adapters.billing.stripe.connection import Connection
from chalicelib.adapters.billing.stripe.errors import Effect

_SESSIONS: Final = "billing_portal.sessions"


class StripePortal:
    """The portal of one account, as it is configured there."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    def open(self, customer_billing_id: str, return_url: str) -> str:
        """The address of a session that ends by itself; what the customer may do there the account's settings say."""
        made = self._at.run(
            _SESSIONS,
            Effect.SET,  # a second session does no harm, and there is nothing to find the first by
            lambda: self._at.v1.billing_portal.sessions.create(
                {"customer": customer_billing_id, "return_url": return_url}
            ),
        )
        return made.url
