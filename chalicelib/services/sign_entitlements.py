"""Signing what a customer is entitled to, for services that verify it without asking."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain import jose
from chalicelib.domain.entitlement_tokens import claims
from chalicelib.domain.errors import NotFoundError, SigningNotConfiguredError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.signing_keys import ALGORITHM, PublicKey
from chalicelib.domain.snapshot_documents import document_of, epoch_ms
from chalicelib.ports import Ports
from chalicelib.services.check_access import usage_of


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementToken:
    """A signed snapshot; `text` is the token."""

    text: str
    snapshot_version: int
    expires_at: datetime


def sign_entitlements(ports: Ports, customer_id: CustomerId, ttl_seconds: int) -> EntitlementToken:
    """The customer's snapshot and usage as they are stored now, signed.

    Raises:
        SigningNotConfiguredError: The environment has no key.
        NotFoundError: There is no such customer.
    """
    signer = ports.signer
    if signer is None:
        raise SigningNotConfiguredError("The environment has no PAYGRADE_SIGNING_KEYS.")
    hot = ports.snapshots.read(customer_id, consistent=True)
    if hot is None:
        raise NotFoundError("customer", customer_id)
    now = ports.clock.now().replace(microsecond=0)
    expires_at = now + timedelta(seconds=ttl_seconds)
    document = document_of(hot.document)
    header = {"alg": ALGORITHM, "typ": "JWT", "kid": signer.keys()[0].kid}
    signed = jose.signing_input(
        header,
        claims(
            issuer=ports.environment.public_url,
            environment=ports.environment.name,
            customer_id=customer_id,
            document=document,
            usage=usage_of(hot, epoch_ms(now)),
            now=now,
            expires_at=expires_at,
        ),
    )
    return EntitlementToken(
        text=f"{signed}.{jose.b64url(signer.sign(signed.encode()))}",
        snapshot_version=document["version"],
        expires_at=expires_at,
    )


def public_keys(ports: Ports) -> tuple[PublicKey, ...]:
    """Every key that a token in use may be signed with; none where nothing is signed."""
    return ports.signer.keys() if ports.signer is not None else ()
