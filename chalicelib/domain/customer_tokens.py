"""Customer tokens: what a browser carries, for one customer and some minutes.

A JWT with HS256 and nothing else, whatever its header claims: signed with a secret of the environment, bound to the
environment, the issuer, this use and one customer. Nothing is stored of it, so it ends by itself or with its secret.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from chalicelib.domain import jose
from chalicelib.domain.ids import CustomerId, is_chosen_id

AUDIENCE: Final = "paygrade:customer"
ALGORITHM: Final = "HS256"
MIN_TTL_SECONDS: Final = 60
MAX_TTL_SECONDS: Final = 3600
DEFAULT_TTL_SECONDS: Final = 900
MAX_LENGTH: Final = 2048
# A process may be a little ahead of the one that looks at its token.
_SKEW: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class TokenSecret:
    """What tokens are signed with. Its name `kid` tells nothing of it."""

    value: bytes = field(repr=False)

    @property
    def kid(self) -> str:
        """Which of several secrets signed a token."""
        return hmac.new(self.value, b"paygrade customer token", sha256).hexdigest()[:16]

    def signature(self, signed: bytes) -> bytes:
        """The signature of these bytes."""
        return hmac.new(self.value, signed, sha256).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerToken:
    """A token that was found valid."""

    id: str
    customer_id: CustomerId
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """Where tokens are good: they say it, and are refused anywhere else."""

    issuer: str
    environment: str


def spell(secret: TokenSecret, realm: Realm, token: CustomerToken, now: datetime) -> str:
    """The token's text."""
    header = {"alg": ALGORITHM, "typ": "JWT", "kid": secret.kid}
    claims = {
        "iss": realm.issuer,
        "aud": AUDIENCE,
        "env": realm.environment,
        "sub": token.customer_id,
        "jti": token.id,
        "iat": int(now.timestamp()),
        "exp": int(token.expires_at.timestamp()),
    }
    signed = jose.signing_input(header, claims)
    return f"{signed}.{jose.b64url(secret.signature(signed.encode()))}"


def read(
    text: str, secrets: Iterable[TokenSecret], realm: Realm, now: datetime
) -> CustomerToken | None:
    """The token that this is, if it is valid now and here; why it is not is nobody's business."""
    parts = jose.taken_apart(text, max_length=MAX_LENGTH)
    if parts is None:
        return None
    # The whole header is known: no other algorithm, no key or criticality of the sender's choice.
    if {**parts.header, "kid": ""} != {"alg": ALGORITHM, "typ": "JWT", "kid": ""}:
        return None
    secret = next((one for one in secrets if one.kid == parts.header.get("kid")), None)
    if secret is None or not hmac.compare_digest(secret.signature(parts.signed), parts.signature):
        return None
    return _of_claims(jose.json_object(parts.payload) or {}, realm, now)


def _of_claims(claims: jose.Json, realm: Realm, now: datetime) -> CustomerToken | None:
    names = ("iss", "aud", "env", "sub", "jti", "iat", "exp")
    issuer, audience, environment, customer_id, token_id, issued, expires = map(claims.get, names)
    if (issuer, audience, environment) != (realm.issuer, AUDIENCE, realm.environment):
        return None
    if not isinstance(customer_id, str) or not is_chosen_id(customer_id):
        return None
    if not isinstance(token_id, str) or type(issued) is not int or type(expires) is not int:
        return None
    if not (issued < expires <= issued + MAX_TTL_SECONDS):
        return None
    if not (issued <= (now + _SKEW).timestamp() and now.timestamp() < expires):
        return None
    return CustomerToken(
        id=token_id,
        customer_id=CustomerId(customer_id),
        expires_at=datetime.fromtimestamp(expires, UTC),
    )
