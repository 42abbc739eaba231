"""Webhook endpoints of the operator's application: where events go, what signs them, what became of each delivery."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chalicelib.domain.outbound_events import OutboundType

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 -- how secrets begin, none itself
SECRET_BYTES: Final = 32
# After a rotation the application has this long to take the new secret.
OLD_SECRET_VALID: Final = timedelta(hours=24)
MAX_SECRETS: Final = 5
MAX_ENDPOINTS: Final = 16
HINT_LENGTH: Final = 4

GIVE_UP_AFTER: Final = timedelta(days=3)
_FIRST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=6)
_KEPT_ATTEMPTS: Final = 20
_GONE: Final = 410


class EndpointStatus(StrEnum):
    """A disabled endpoint is sent nothing."""

    ENABLED = "enabled"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSecret:
    """A secret as Standard Webhooks spells it; `expires_at` is set when a newer one took its place."""

    value: str = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """An address of the operator's application. `secrets`: the newest first."""

    id: str
    url: str
    event_types: tuple[str, ...]
    description: str = ""
    status: EndpointStatus = EndpointStatus.ENABLED
    disabled_reason: str | None = None
    secrets: tuple[SigningSecret, ...]
    created_at: datetime
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one endpoint from another."""
        return (self.id,)


def spell_secret(entropy: bytes) -> str:
    """The secret that these random bytes are."""
    if len(entropy) != SECRET_BYTES:
        raise ValueError(f"a secret needs {SECRET_BYTES} random bytes")
    return SECRET_PREFIX + base64.b64encode(entropy).decode()


def valid_secrets(endpoint: WebhookEndpoint, now: datetime) -> tuple[SigningSecret, ...]:
    """Those that sign at this instant."""
    return tuple(one for one in endpoint.secrets if one.expires_at is None or now < one.expires_at)


def rotated(endpoint: WebhookEndpoint, secret: str, now: datetime) -> WebhookEndpoint:
    """The endpoint with this secret; the present one stays valid for a while, those before it as long as they were."""
    ending = now + OLD_SECRET_VALID
    kept = tuple(
        replace(one, expires_at=ending) if one.expires_at is None else one
        for one in valid_secrets(endpoint, now)
    )
    fresh = SigningSecret(value=secret, created_at=now)
    return replace(endpoint, secrets=(fresh, *kept)[:MAX_SECRETS], revision=endpoint.revision + 1)


def signature_headers(
    endpoint: WebhookEndpoint, message_id: str, body: bytes, now: datetime, sent_at: datetime
) -> dict[str, str]:
    """The headers of Standard Webhooks: one signature for each secret that is valid now.

    `sent_at` is the world's time, which receivers compare with theirs; `now` is the environment's.
    """
    timestamp = str(int(sent_at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            f"v1,{_signature(one.value, signed)}" for one in valid_secrets(endpoint, now)
        ),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


# --- Deliveries -----------------------------------------------------------------------------------------------


class DeliveryStatus(StrEnum):
    """Whether the endpoint has the event."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request. `response_status` None: there was no answer, and `error` says why. Bodies are not kept."""

    at: datetime
    duration_ms: int
    response_status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint. `log` has the latest attempts, `attempts` counts all of them.

    An attempt is counted, and the next one's time set, before it is made: whoever dies on the way leaves a
    delivery that is due again.
    """

    endpoint_id: str
    event_id: str
    event_type: OutboundType
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    log: tuple[Attempt, ...] = ()
    error: str | None = None
    created_at: datetime
    next_attempt_at: datetime
    give_up_at: datetime
    finished_at: datetime | None = None
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one delivery from another: by endpoint, in the order of events."""
        return (self.endpoint_id, self.event_id)

    @property
    def response_status(self) -> int | None:
        """Of the latest attempt."""
        return self.log[-1].response_status if self.log else None


def new_delivery(
    endpoint_id: str, event_id: str, event_type: OutboundType, now: datetime
) -> Delivery:
    """A delivery that is due at once."""
    return Delivery(
        endpoint_id=endpoint_id,
        event_id=event_id,
        event_type=event_type,
        created_at=now,
        next_attempt_at=now,
        give_up_at=now + GIVE_UP_AFTER,
    )


def replayed(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery from the beginning, with what is known of earlier attempts."""
    return replace(
        delivery,
        status=DeliveryStatus.PENDING,
        attempts=0,
        error=None,
        next_attempt_at=now,
        give_up_at=now + GIVE_UP_AFTER,
        finished_at=None,
        revision=delivery.revision + 1,
    )


def begun(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery with one more attempt under way."""
    return replace(
        delivery,
        attempts=delivery.attempts + 1,
        next_attempt_at=now + wait_after(delivery, delivery.attempts + 1),
        revision=delivery.revision + 1,
    )


def wait_after(delivery: Delivery, attempt: int) -> timedelta:
    """How long to wait after the attempt of this number: twice as long each time, less up to a half by chance.

    The chance is a digest's, so that a repetition waits as long: no two deliveries fall into step.
    """
    doublings: int = 2 ** min(attempt - 1, 16)
    longest = min(_FIRST_WAIT * doublings, _LONGEST_WAIT)
    digest = hashlib.sha256(f"{delivery.endpoint_id}:{delivery.event_id}:{attempt}".encode())
    share = int.from_bytes(digest.digest()[:4]) / 2**32
    return longest * (1 - share / 2)


def is_success(attempt: Attempt) -> bool:
    """Whether the endpoint has taken the event."""
    return attempt.response_status is not None and 200 <= attempt.response_status < 300  # noqa: PLR2004 -- HTTP's 2xx


def is_gone(attempt: Attempt) -> bool:
    """Whether the endpoint wants nothing any more (410)."""
    return attempt.response_status == _GONE


def concluded(delivery: Delivery, attempt: Attempt, now: datetime) -> Delivery:
    """The delivery after its attempt: done, given up, or due again."""
    after = replace(
        delivery,
        log=(*delivery.log, attempt)[-_KEPT_ATTEMPTS:],
        error=None if is_success(attempt) else attempt.error,
        revision=delivery.revision + 1,
    )
    if is_success(attempt):
        return replace(after, status=DeliveryStatus.SUCCEEDED, finished_at=now)
    if is_gone(attempt) or after.next_attempt_at >= delivery.give_up_at:
        return replace(after, status=DeliveryStatus.FAILED, finished_at=now)
    return after


def abandoned(delivery: Delivery, error: str, now: datetime) -> Delivery:
    """The delivery, which nobody will try again."""
    return replace(
        delivery,
        status=DeliveryStatus.FAILED,
        error=error,
        finished_at=now,
        revision=delivery.revision + 1,
    )
