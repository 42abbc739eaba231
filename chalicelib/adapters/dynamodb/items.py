"""Records as rows and back, with DynamoDB's limits on what an item may be."""

from collections.abc import Iterable
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any, Final, cast

from chalicelib.adapters.dynamodb.codec import decode, encode
from chalicelib.adapters.dynamodb.keys import parted
from chalicelib.adapters.dynamodb.layout import Key, index_key, is_gone
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.rows import Row, Wire
from chalicelib.domain.errors import InvalidError, invalid
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import R, Record

if TYPE_CHECKING:
    from chalicelib.domain.snapshots import Snapshot

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_MAX_ITEM_BYTES: Final = 400 * 1024
_MAX_TRANSACTION_BYTES: Final = 4 * 1024 * 1024


def key_of(record: Record) -> Key:
    """Where the record is in its table; raises `InvalidError` if its identity is too long for a key."""
    key = LAYOUTS[type(record)].key(record.identity)
    if not key.fits:
        raise too_large()
    return key


def to_row(record: Record) -> Row:
    """The row that holds the record; raises `InvalidError` if none can."""
    layout = LAYOUTS[type(record)]
    key = key_of(record)
    attributes: dict[str, Any] = {}
    if layout.is_snapshot:
        attributes["doc"] = cast("Snapshot", record).document
    else:
        attributes["body"] = encode(record)
    if layout.index is not None and layout.index.only(record):
        found = index_key(layout, layout.index, record)
        if not found.fits:
            raise too_large()
        attributes["gsi_pk"], attributes["gsi_sk"] = found
    expiry = layout.expires_at(record) if layout.expires_at is not None else None
    if expiry is not None:
        attributes["ttl"] = ttl_of(expiry)
    return Row(pk=key.pk, sk=key.sk, kind=layout.kind, rev=revision(record), **attributes)


def to_record(kind: type[R], row: Row) -> R:
    """The record that the row holds."""
    if LAYOUTS[kind].is_snapshot:
        snapshot = cast("type[Snapshot]", kind)(
            customer_id=CustomerId(parted(row.pk)[1]), version=row.rev, document=row.doc or ""
        )
        return cast("R", snapshot)
    return decode(kind, row.body or "")


def visible(kind: type[R], row: Row, now: datetime) -> R | None:
    """The record that the row holds, or None if it has expired: TTL deletes within days, not at once."""
    return None if is_gone(LAYOUTS[kind], row.ttl, now) else to_record(kind, row)


def ttl_of(expiry: datetime) -> int:
    """The second at which the item may be deleted: never before its expiry."""
    return ceil(expiry.timestamp())


def revision(record: Record) -> int:
    """What `AtRevision` compares; 0 for kinds that are never changed."""
    number: int = getattr(record, "revision", getattr(record, "version", 0))
    return number


def require_sizes(items: Iterable[Wire]) -> None:
    """DynamoDB takes each of the items and all of them in one transaction, or `InvalidError` is raised.

    Counted here, because DynamoDB says so only in the text of an error that it has for many other things.
    """
    sizes = [_size(item) for item in items]
    if any(size > _MAX_ITEM_BYTES for size in sizes) or sum(sizes) > _MAX_TRANSACTION_BYTES:
        raise too_large()


def too_large() -> InvalidError:
    """What is said of an object that can't be stored for its size."""
    return invalid("", "too_large", "The object is larger than the database can hold (400 KB).")


def _size(item: Wire) -> int:
    return sum(
        len(name) + len(text.encode()) for name, typed in item.items() for text in typed.values()
    )
