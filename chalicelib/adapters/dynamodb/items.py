"""Records as items and back, with DynamoDB's limits on what an item may be."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import ceil
from typing import Any, Final, cast

from chalicelib.adapters.dynamodb.codec import decode, encode
from chalicelib.adapters.dynamodb.keys import Table, parted
from chalicelib.adapters.dynamodb.layout import Key, index_key
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.tables import Item
from chalicelib.domain.errors import InvalidError, invalid
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshots import Snapshot
from chalicelib.ports import R, Record

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_MAX_ITEM_BYTES: Final = 400 * 1024
_MAX_TRANSACTION_BYTES: Final = 4 * 1024 * 1024


def key_of(record: Record) -> Key:
    """Where the record is in its table; raises `InvalidError` if its identity is too long for a key."""
    key = LAYOUTS[type(record)].key(record.identity)
    if not key.fits:
        raise too_large()
    return key


def to_item(models: Mapping[Table, type[Item]], record: Record) -> Item:
    """The item that holds the record; raises `InvalidError` if none can."""
    layout = LAYOUTS[type(record)]
    item = models[layout.table](*key_of(record))
    item.kind = layout.kind
    item.rev = revision(record)
    if isinstance(record, Snapshot):
        # The hot path reads this attribute as it is: no JSON inside JSON.
        item.doc = record.document
    else:
        item.body = encode(record)
    if layout.index is not None and layout.index.only(record):
        found = index_key(layout, layout.index, record)
        if not found.fits:
            raise too_large()
        item.gsi_pk, item.gsi_sk = found
    expiry = layout.expires_at(record) if layout.expires_at is not None else None
    if expiry is not None:
        item.ttl = ttl_of(expiry)
    return item


def to_record(kind: type[R], item: Item) -> R:
    """The record that the item holds."""
    if kind is Snapshot:
        customer_id = CustomerId(parted(item.pk)[1])
        snapshot = Snapshot(customer_id=customer_id, version=int(item.rev), document=item.doc)
        return cast("R", snapshot)
    return decode(kind, item.body)


def ttl_of(expiry: datetime) -> int:
    """The second at which the item may be deleted: never before its expiry."""
    return ceil(expiry.timestamp())


def revision(record: Record) -> int:
    """What `AtRevision` compares; 0 for kinds that are never changed."""
    number: int = getattr(record, "revision", getattr(record, "version", 0))
    return number


def require_sizes(items: Iterable[Item]) -> None:
    """DynamoDB takes each of the items and all of them in one transaction, or `InvalidError` is raised.

    Counted here, because DynamoDB says so only in the text of an error that it has for many other things.
    """
    sizes = [_size(item) for item in items]
    if any(size > _MAX_ITEM_BYTES for size in sizes) or sum(sizes) > _MAX_TRANSACTION_BYTES:
        raise too_large()


def too_large() -> InvalidError:
    """What is said of an object that can't be stored for its size."""
    return invalid("", "too_large", "The object is larger than the database can hold (400 KB).")


def _size(item: Item) -> int:
    attributes: Mapping[str, Any] = item.attribute_values
    return sum(len(name) + len(str(value).encode()) for name, value in attributes.items())
