"""How many hold a plan or add-on, where that is soon said."""

from typing import Final

from chalicelib.domain.plans import PackageKind
from chalicelib.domain.subscribers import SHARDS, Subscriber, shard_key
from chalicelib.ports import Store

COUNTED_AT_MOST: Final = 1000


def count_subscribers(store: Store, kind: PackageKind, package_id: str) -> int | None:
    """The number of live subscriptions that hold it, in any version; None if there are more than are counted."""
    count = 0
    for shard in range(SHARDS):
        cursor: str | None = None
        while True:
            page = store.list_within(Subscriber, kind, package_id, shard_key(shard), cursor=cursor)
            count += len(page.items)
            cursor = page.next_cursor
            if count > COUNTED_AT_MOST:
                return None
            if cursor is None:
                break
    return count
