"""What tables, keys and attributes are called: the one spelling of each, without a library behind it.

The check's reader imports this and nothing of the store, so that a check loads neither pydantic nor PynamoDB.
"""

from enum import StrEnum
from typing import Final

# DynamoDB's limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_PARTITION_BYTES: Final = 2048
MAX_SORT_BYTES: Final = 1024

CUSTOMER_PARTITION: Final = "CUST"
# What a check reads of a customer's partition; nothing else's sort key may begin so.
HOT_PREFIX: Final = "HOT#"
SNAPSHOT_SORT: Final = f"{HOT_PREFIX}ENT"
USAGE_SORT: Final = f"{HOT_PREFIX}USE"
# The shards of spread counters, from 01 on.
SHARD_PREFIX: Final = f"{HOT_PREFIX}SHARD#"
# Attributes of the usage item: `u:<counter>` counts since `p:<counter>`, in milliseconds. `h:` of it is held by
# reservations, each of which is an `r:<id>`; `t:` is the time of the value, where the latest one counts.
USED_PREFIX: Final = "u:"
PERIOD_PREFIX: Final = "p:"
HELD_PREFIX: Final = "h:"
MOMENT_PREFIX: Final = "t:"
RESERVATION_PREFIX: Final = "r:"
# Of a shard: `b:` of its `u:` is from before the layout `a:`, the `k:`th; `v` is the snapshot's version.
BASE_PREFIX: Final = "b:"
LAYOUT_PREFIX: Final = "a:"
LAYOUT_NUMBER_PREFIX: Final = "k:"
SNAPSHOT_VERSION: Final = "v"
# An item for each counter and day: `n00` to `n23` are its hours.
DAY_PREFIX: Final = "USED"
HOUR_PREFIX: Final = "n"

# One partition, because keys are listed; requests read them through a cache.
API_KEY_PARTITION: Final = "API_KEYS"
API_KEY_SORT: Final = "K"


class Table(StrEnum):
    """The tables of an environment, by the last part of their names."""

    CATALOG = "catalog"
    CUSTOMERS = "customers"
    OPERATIONS = "operations"


def table_name(stage: str, table: Table) -> str:
    """What infra/template.yaml calls the table."""
    return f"paygrade-{stage}-{table}"


def joined(prefix: str, *parts: str) -> str:
    """The prefix and the parts as one key, from which they can be told apart again."""
    return "#".join((prefix, *map(escaped, parts)))


def shard_sort(shard: int) -> str:
    """Where a shard of the customer's counters is."""
    return f"{SHARD_PREFIX}{shard:02}"


def parted(key: str) -> tuple[str, ...]:
    """The prefix and the parts that `joined` made the key from."""
    return tuple(part.replace("%23", "#").replace("%25", "%") for part in key.split("#"))


def escaped(part: str) -> str:
    """The part without the `#` that separates parts."""
    return part.replace("%", "%25").replace("#", "%23")


def fits(key: str, max_bytes: int) -> bool:
    """Whether DynamoDB takes the text as a key of that size; what does not fit was never stored."""
    try:
        return len(key.encode()) <= max_bytes
    except UnicodeEncodeError:  # half of a surrogate pair is no text
        return False
