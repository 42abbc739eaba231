"""Cursors of lists: where to go on, opaque to clients and worthless to forge."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.errors import invalid


@dataclass(frozen=True, slots=True)
class Position:
    """After the item with this key, in this shard of the list."""

    shard: int
    key: dict[str, dict[str, str]] | None


def to_cursor(position: Position) -> str:
    """The position as URL-safe text."""
    text = json.dumps([position.shard, position.key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(cursor: str | None) -> Position:
    """The position; the beginning without a cursor. Raises `InvalidError` for what no list ever gave out."""
    if cursor is None:
        return Position(0, None)
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        shard, key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _malformed() from error
    if not isinstance(shard, int) or isinstance(shard, bool) or not 0 <= shard < 1000:  # noqa: PLR2004 - far above any number of shards
        raise _malformed()
    if key is not None and not _is_key(key):
        raise _malformed()
    return Position(shard, key)


def _is_key(key: Any) -> bool:  # noqa: ANN401 -- whatever JSON held
    return (
        isinstance(key, dict)
        and {"pk", "sk"} <= set(key) <= {"pk", "sk", "gsi_pk", "gsi_sk"}
        and all(
            isinstance(value, dict) and list(value) == ["S"] and isinstance(value["S"], str)
            for value in key.values()
        )
    )


def _malformed() -> Exception:
    return invalid("cursor", "malformed", "The cursor is not one that this list gave out.")
