"""Compact JSON Web Signatures (RFC 7515): how they are spelled and taken apart, whatever they are signed with.

No JWT library: those choose an algorithm by what the token says and accept many, and what is left of one that knows a
single algorithm is this page. A library agrees with it in the tests.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Compact:
    """A token taken apart; nothing of it is verified. `signed` is what the signature is over."""

    header: Json
    payload: bytes
    signature: bytes
    signed: bytes


def b64url(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signing_input(header: Json, payload: Json) -> str:
    """What is signed: `header.payload`."""
    return ".".join(b64url(json_bytes(part)) for part in (header, payload))


def taken_apart(token: str, *, max_length: int) -> Compact | None:
    """The parts, or None if these are not exactly three of base64url in its one spelling with a JSON object first."""
    if len(token) > max_length or not token.isascii():
        return None
    parts = token.split(".")
    decoded = [_decoded(part) for part in parts]
    if len(parts) != 3 or any(part is None for part in decoded):  # noqa: PLR2004
        return None
    header, payload, signature = (part or b"" for part in decoded)
    fields = json_object(header)
    if fields is None:
        return None
    return Compact(fields, payload, signature, f"{parts[0]}.{parts[1]}".encode())


def json_bytes(document: Json) -> bytes:
    """The document without white space."""
    return json.dumps(document, separators=(",", ":")).encode()


def json_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object that these bytes are, if they are one that names no field twice."""
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is named twice")
    return found


def _decoded(part: str) -> bytes | None:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return None
    # Unused bits and foreign characters decode, too; one token has one spelling.
    return data if b64url(data) == part else None
