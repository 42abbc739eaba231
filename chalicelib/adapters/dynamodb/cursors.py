"""Cursors: where a list goes on. Opaque to clients, and worthless to forge.

A cursor holds no key that DynamoDB is handed as it is: it names a place in the one list that it was given out by,
and the keys are built anew from the list's own partition. A forged one finds nothing that its list does not hold.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from hashlib import sha256

from chalicelib.domain.errors import InvalidError, invalid


@dataclass(frozen=True, slots=True)
class Position:
    """In this part of the list, after the item with this sort key; None: at its beginning."""

    part: int
    after: str | None


START = Position(0, None)


def list_name(*what: str) -> str:
    """A short name of the list of all this."""
    return sha256(json.dumps(what).encode()).hexdigest()[:12]


def to_cursor(name: str, position: Position | None) -> str | None:
    """The position in that list as URL-safe text; None for None, the end."""
    if position is None:
        return None
    text = json.dumps([name, position.part, position.after], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(name: str, cursor: str | None) -> Position:
    """The position; the beginning without a cursor. Raises `InvalidError` for what that list never gave out."""
    if cursor is None:
        return START
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        given, part, after = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise malformed_cursor() from error
    if given != name or type(part) is not int or not isinstance(after, str | None):
        raise malformed_cursor()
    return Position(part, after)


def malformed_cursor() -> InvalidError:
    """What is said of a cursor that can't be one of this list's."""
    return invalid("cursor", "malformed", "The cursor is not one that this list gave out.")
