"""Public keys on the curve P-256, as anybody needs them to verify what we signed (RFC 7517, RFC 7638)."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from chalicelib.domain import jose

ALGORITHM: Final = "ES256"
CURVE: Final = "P-256"
_KEY_TYPE: Final = "EC"
COORDINATE_BYTES: Final = 32
# How every SubjectPublicKeyInfo of P-256 begins, up to its two coordinates: the algorithm, the curve, an uncompressed
# point (RFC 5480).
_SPKI_START: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point of the curve."""

    x: bytes
    y: bytes

    @property
    def kid(self) -> str:
        """The key's name, made of nothing but the key: its RFC 7638 thumbprint."""
        members = {
            "crv": CURVE,
            "kty": _KEY_TYPE,
            "x": jose.b64url(self.x),
            "y": jose.b64url(self.y),
        }
        text = json.dumps(members, separators=(",", ":"), sort_keys=True)
        return jose.b64url(sha256(text.encode()).digest())


def public_key_of(spki: bytes) -> PublicKey:
    """The key in this DER structure; ValueError if it is none of P-256."""
    start = len(_SPKI_START)
    if not spki.startswith(_SPKI_START) or len(spki) != start + 2 * COORDINATE_BYTES:
        raise ValueError("this is no public key of P-256")
    return PublicKey(spki[start : start + COORDINATE_BYTES], spki[start + COORDINATE_BYTES :])


def jose_signature(der: bytes) -> bytes:
    """The signature as JOSE has it, two numbers side by side; ValueError if the DER holds something else."""
    if len(der) < 2 or der[0] != _SEQUENCE or der[1] != len(der) - 2:  # noqa: PLR2004
        raise ValueError("this is no ECDSA signature")
    first, rest = _integer(der[2:])
    second, rest = _integer(rest)
    if rest:
        raise ValueError("this is no ECDSA signature")
    return first + second


def _integer(der: bytes) -> tuple[bytes, bytes]:
    """The number in the bytes of a coordinate, and what follows it."""
    if len(der) < 2 or der[0] != _INTEGER or not 1 <= der[1] <= len(der) - 2:  # noqa: PLR2004
        raise ValueError("this is no ECDSA signature")
    value, rest = der[2 : 2 + der[1]], der[2 + der[1] :]
    number = int.from_bytes(value, signed=True)
    if not 0 < number < 1 << (8 * COORDINATE_BYTES):
        raise ValueError("this is no ECDSA signature")
    return number.to_bytes(COORDINATE_BYTES), rest
