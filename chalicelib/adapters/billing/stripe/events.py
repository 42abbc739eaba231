"""From a delivery's bytes to a `ProviderEvent`: any bytes give an event or one of two errors.

Loads no SDK: intake is the one Stripe path whose cold start Stripe waits for. The event's shape:
https://docs.stripe.com/api/events/object.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from chalicelib.adapters.billing.stripe.signature import SignatureVerifier
from chalicelib.domain.billing import ProviderEvent
from chalicelib.domain.errors import MalformedEventError
from chalicelib.ports import Clock

MAX_BODY_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 64
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that datetime knows

# These become parts of database keys, so only characters that mean nothing there.
_EVENT_ID: Final = re.compile(r"evt_[A-Za-z0-9_]{1,251}")
_EVENT_TYPE: Final = re.compile(r"[a-z0-9_.]{1,255}")
_OBJECT_ID: Final = re.compile(r"[A-Za-z0-9_.:@+\-]{1,255}")
_API_VERSION: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

# Of events that can change a subscription, an invoice or the customer itself.
ABOUT_CUSTOMERS: Final = ("checkout.session.", "customer.", "invoice.", "charge.", "refund.")
# Of a connected account, when its owner ends the connection: https://docs.stripe.com/connect/webhooks.
DEAUTHORIZED: Final = "account.application.deauthorized"

# A string (brackets inside it do not nest; one left open runs to the end) or a bracket.
_NESTING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)


class StripeEventReader:
    """An `EventReader` for a webhook endpoint's secrets: one, or two while it is being rolled."""

    def __init__(self, secrets: Sequence[str], clock: Clock) -> None:
        """Raises ValueError for a blank secret."""
        self._verifier = SignatureVerifier(secrets)
        self._clock = clock

    def read(self, body: bytes, signature: str | None) -> ProviderEvent:
        """The event; raises `InvalidSignatureError` or `MalformedEventError`, and nothing else."""
        self._verifier.verify(body, signature, self._clock.now())
        return event_of(_parsed(body))


def _parsed(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES or _depth(body) > MAX_DEPTH:
        raise MalformedEventError("The event is too large or too deeply nested.")
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):  # not UTF-8 and not JSON are both ValueErrors
        raise MalformedEventError("The body is not strict JSON in UTF-8.") from None
    if not isinstance(value, dict):
        raise MalformedEventError("The body is no JSON object.")
    return value


def _depth(body: bytes) -> int:
    """How deep brackets nest, found without recursion and before the parser sees them."""
    depth = deepest = 0
    for match in _NESTING.finditer(body):
        token = match[0]
        if token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in b"]}":
            depth -= 1
    return deepest


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def event_of(value: Mapping[str, Any]) -> ProviderEvent:
    """The event that this JSON is; raises `MalformedEventError` if it is none."""
    data = value.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    live = value.get("livemode")
    created = value.get("created")
    api_version = value.get("api_version")
    account_id = value.get("account")
    if (
        value.get("object") != "event"
        or not isinstance(subject, dict)
        or not isinstance(live, bool)
        or not isinstance(created, int)
        or isinstance(created, bool)
        or not 0 <= created <= _LAST_SECOND
        or not (account_id is None or _is(_OBJECT_ID, account_id))
        or not (api_version is None or _is(_API_VERSION, api_version))
        or not _is(_EVENT_ID, value.get("id"))
        or not _is(_EVENT_TYPE, value.get("type"))
    ):
        raise MalformedEventError("The body is no Stripe event.")
    return ProviderEvent(
        id=value["id"],
        type=value["type"],
        created_at=datetime.fromtimestamp(created, UTC),
        live=live,
        api_version=api_version,
        object_id=_id_of(subject),
        customer_billing_id=_customer_of(subject),
        about_customer=value["type"].startswith(ABOUT_CUSTOMERS),
        account_id=account_id,
        ends_connection=value["type"] == DEAUTHORIZED,
    )


def _customer_of(subject: dict[str, Any]) -> str | None:
    """Whom it is about; subscriptions, invoices and checkout sessions name it in `customer`."""
    if subject.get("object") == "customer":
        return _id_of(subject)
    return _id_of(subject.get("customer"))


def _id_of(reference: object) -> str | None:
    """The id that this is or, expanded, carries; None if it is none that we could have stored."""
    found = reference.get("id") if isinstance(reference, dict) else reference
    return found if isinstance(found, str) and _OBJECT_ID.fullmatch(found) else None


def _is(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
