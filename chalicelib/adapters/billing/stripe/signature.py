"""Whether a delivery was signed with one of our secrets, lately; standard library only.

The scheme: https://docs.stripe.com/webhooks#verify-manually. The SDK's own check is not used: it
takes timestamps of the future, can be told to skip the age, and loading it would triple the
intake's cold start.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from chalicelib.domain.errors import InvalidSignatureError

TOLERANCE_SECONDS: Final = 300  # the SDK's default
MAX_HEADER_LENGTH: Final = 4096
MAX_CANDIDATES: Final = 50

_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")


class SignatureVerifier:
    """Checks `Stripe-Signature` headers against several secrets, as while one is being rolled."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Raises ValueError without a secret, or with a blank one: anybody can sign with that."""
        if isinstance(secrets, str) or not secrets:
            raise ValueError("At least one webhook secret is needed.")
        if not all(_is_usable(secret) for secret in secrets):
            raise ValueError("A webhook secret is blank, or has blanks around it.")
        self._keys = tuple(secret.encode() for secret in secrets)

    def verify(self, body: bytes, header: str | None, now: datetime) -> None:
        """These exact bytes were signed lately; else raises `InvalidSignatureError`."""
        timestamp, candidates = _parsed(header)
        # A forger learns nothing about clocks: the time counts only once the signature is right.
        if not self._is_signed(timestamp, body, candidates):
            raise InvalidSignatureError("The signature does not match the body.")
        age_seconds = now.timestamp() - int(timestamp)
        if age_seconds > TOLERANCE_SECONDS:
            raise InvalidSignatureError("The signature is too old.")
        if age_seconds < -TOLERANCE_SECONDS:
            raise InvalidSignatureError("The signature is from the future.")

    def _is_signed(self, timestamp: str, body: bytes, candidates: Sequence[bytes]) -> bool:
        signed = timestamp.encode() + b"." + body
        expected = [
            hmac.new(key, signed, hashlib.sha256).hexdigest().encode() for key in self._keys
        ]
        # No early end: how long this takes tells nothing about which secret or candidate matched.
        matches = [
            hmac.compare_digest(candidate, wanted)
            for candidate in candidates
            for wanted in expected
        ]
        return any(matches)


def _is_usable(secret: object) -> bool:
    """Settings may hand over None or a trailing newline where a secret should be."""
    return isinstance(secret, str) and secret != "" and secret == secret.strip()


def _parsed(header: str | None) -> tuple[str, tuple[bytes, ...]]:
    """The timestamp's own text and the v1 signatures; other schemes, v0 too, count for nothing."""
    if not header:
        raise InvalidSignatureError("The signature is missing.")
    if len(header) > MAX_HEADER_LENGTH:
        raise InvalidSignatureError("The signature is malformed.")
    timestamps: list[str] = []
    candidates: list[bytes] = []
    for name, value in _entries(header):
        if name == "t":
            timestamps.append(value)
        elif name == "v1" and _SHA256_HEX.fullmatch(value) and len(candidates) < MAX_CANDIDATES:
            candidates.append(value.encode())
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]):
        raise InvalidSignatureError("The signature is malformed.")
    return timestamps[0], tuple(candidates)


def _entries(header: str) -> Iterator[tuple[str, str]]:
    for entry in header.split(","):
        name, equals, value = entry.partition("=")
        if not equals:
            raise InvalidSignatureError("The signature is malformed.")
        yield name, value
