"""The shape of a snapshot's document. Its times are integer milliseconds since the epoch: cheap to read and compare."""

from datetime import UTC, datetime, timedelta
from typing import Literal, NotRequired, TypedDict


class SourceDocument(TypedDict):
    """Where entitlements come from, and from when until when (half open) they count.

    Usage periods are counted from `anchor`, where that is not `start`. A source of one `resource` counts for it only.
    """

    type: Literal["plan", "addon", "grant"]
    id: str
    version: NotRequired[int]
    subscription_id: NotRequired[str]
    resource: NotRequired[str]
    quantity: NotRequired[int]
    start: int
    end: NotRequired[int]
    anchor: NotRequired[int]


class ShareDocument(TypedDict):
    """What one source (by its index) says of one feature; absent fields are false or none."""

    source: int
    value: NotRequired[bool | int]
    values: NotRequired[list[str]]
    limit: NotRequired[int]
    unlimited: NotRequired[bool]
    soft: NotRequired[bool]
    reset: NotRequired[str]
    calendar: NotRequired[bool]
    increment: NotRequired[bool]


class FeatureDocument(TypedDict):
    """All that is said of one feature."""

    type: str
    shares: list[ShareDocument]


class SnapshotDocument(TypedDict):
    """A customer's compiled entitlements.

    `revoked` names what a grant gave and was taken back, `resources` those that anything was ever held for.
    """

    version: int
    customer_status: str
    sources: list[SourceDocument]
    features: dict[str, FeatureDocument]
    revoked: NotRequired[list[str]]
    resources: NotRequired[list[str]]


def epoch_ms(moment: datetime) -> int:
    """Whole milliseconds since the epoch."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
