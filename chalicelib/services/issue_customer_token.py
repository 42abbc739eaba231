"""Giving a browser a token for its customer, as the application's server asks."""

from datetime import timedelta

from chalicelib.domain.customer_tokens import CustomerToken, spell
from chalicelib.domain.errors import ArchivedError, SigningNotConfiguredError
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Ports
from chalicelib.services.manage_customers import get_customer
from chalicelib.services.token_realm import realm


def issue_customer_token(
    ports: Ports, customer_id: CustomerId, ttl_seconds: int
) -> tuple[CustomerToken, str]:
    """The token and its text, which is stored nowhere. Nothing changes, so nothing is audited."""
    secrets = ports.token_secrets()
    if not secrets:
        raise SigningNotConfiguredError("The environment has no PAYGRADE_TOKEN_SECRETS.")
    if get_customer(ports, customer_id).status is Lifecycle.ARCHIVED:
        raise ArchivedError("The customer is archived.", param="customer_id")
    now = ports.clock.now().replace(microsecond=0)
    token = CustomerToken(
        id=ports.ids.new("ctok_"),
        customer_id=customer_id,
        expires_at=now + timedelta(seconds=ttl_seconds),
    )
    return token, spell(secrets[0], realm(ports), token, now)
