"""How many subscribe to each version of a plan or add-on."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.subscribers import SHARDS, Subscriber, shard_key
from chalicelib.ports import Store

_PAGE: Final = 500
# What one request may read: about a second.
_AT_MOST: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberCounts:
    """By version. Not complete: there are at least so many."""

    by_version: Counter[int]
    is_complete: bool


def count_subscribers(
    store: Store, kind: PackageKind, package_id: PackageId, *, at_most: int = _AT_MOST
) -> SubscriberCounts:
    """The live subscriptions that hold each version, counted until there are too many to count at once."""
    found: Counter[int] = Counter()
    for one in subscribers(store, kind, package_id):
        if found.total() == at_most:
            return SubscriberCounts(by_version=found, is_complete=False)
        found[one.version] += 1
    return SubscriberCounts(by_version=found, is_complete=True)


def subscribers(store: Store, kind: PackageKind, package_id: PackageId) -> Iterator[Subscriber]:
    """Every live subscription that holds the package, shard by shard."""
    for shard in range(SHARDS):
        cursor: str | None = None
        while True:
            page = store.list_within(
                Subscriber, kind, package_id, shard_key(shard), limit=_PAGE, cursor=cursor
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                break
