"""The spelling of API keys: `pg_<kind>_<environment>_<id>_<secret><checksum>`.

Kind and environment can be seen by people and secret scanners; the checksum tells a mistyped key from a wrong one
without a look at the database. The secret has 256 random bits, so a plain SHA-256 of the whole is safe to store.
"""

import hashlib
import zlib
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.api_keys import KeyKind

ID_PREFIX: Final = "key_"
SECRET_BYTES: Final = 32
_PREFIXES: Final = {KeyKind.SECRET: "pg_sk_", KeyKind.PUBLISHABLE: "pg_pk_"}
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH: Final = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_LENGTH: Final = 6  # 62 ** 6 > 2 ** 32
MAX_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """What a well-formed key claims to be."""

    key_id: str
    kind: KeyKind


def spell_token(kind: KeyKind, environment: str, key_id: str, entropy: bytes) -> str:
    """The whole key, as it is shown once."""
    secret = _base62(int.from_bytes(entropy), _SECRET_LENGTH)
    body = f"{_PREFIXES[kind]}{environment}_{key_id.removeprefix(ID_PREFIX)}_{secret}"
    return body + _checksum(body)


def parse_token(token: str, environment: str) -> ParsedToken | None:
    """Which key this claims to be; None if it is mistyped or of another environment."""
    if len(token) > MAX_LENGTH or not token.isascii():
        return None
    for kind, prefix in _PREFIXES.items():
        start = f"{prefix}{environment}_"
        body, checksum = token[:-_CHECKSUM_LENGTH], token[-_CHECKSUM_LENGTH:]
        if not token.startswith(start) or _checksum(body) != checksum:
            continue
        key_id, _, secret = body.removeprefix(start).rpartition("_")
        if key_id and len(secret) == _SECRET_LENGTH:
            return ParsedToken(ID_PREFIX + key_id, kind)
    return None


def token_digest(token: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
