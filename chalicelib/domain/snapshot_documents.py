"""The shape of a snapshot's document, and its text.

Times are integer milliseconds since the epoch: cheap to read and compare. The text is JSON with its two kinds of
quotation marks exchanged, `features` last. Inside another JSON text, as databases answer, it then needs next to no
escapes; and what a check does not ask about is found over in one search, never parsed.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NotRequired, TypedDict, cast


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

    `revoked` names the counters of what a grant gave and was taken back, `resources` what anything was ever held
    for; `timezone` is whose days and months usage periods follow, where it is not UTC. `charged` names
    the counters whose usage each billing provider charges; a feature's own stands for those of its resources, too.
    `shards` tells over how many shards the usage of a feature is counted, and over how many it ever was.
    """

    version: int
    customer_status: str
    timezone: NotRequired[str]
    sources: list[SourceDocument]
    revoked: NotRequired[list[str]]
    charged: NotRequired[dict[str, list[str]]]
    resources: NotRequired[list[str]]
    shards: NotRequired[dict[str, list[int]]]
    features: dict[str, FeatureDocument]


_EXCHANGED: Final = {ord('"'): "'", ord("'"): '"'}
_EXCHANGED_TEXT: Final = "{'"
_FEATURES: Final = ",'features':{"


def document_text(document: SnapshotDocument) -> str:
    """The document as it is stored; equal documents give equal text."""
    features = _json(document["features"])
    rest = _json({name: part for name, part in document.items() if name != "features"})
    return f'{rest[:-1]},"features":{features}}}'.translate(_EXCHANGED)


def document_of(text: str) -> SnapshotDocument:
    """The whole document."""
    return cast("SnapshotDocument", json.loads(_plain_json(text)))


def document_about(text: str, feature_id: str) -> SnapshotDocument:
    """The document without all other features.

    No quotation mark inside a text stands without a backslash before it, so what is looked for is found where it
    is a key and nowhere else.
    """
    if not text.startswith(_EXCHANGED_TEXT):  # written by an earlier release: plain JSON
        return document_of(text)
    features_at = text.index(_FEATURES)
    document: SnapshotDocument = json.loads(text[:features_at].translate(_EXCHANGED) + "}")
    document["features"] = {}
    is_an_id = "'" not in feature_id and "\\" not in feature_id
    begin = text.find(f"'{feature_id}':{{", features_at + len(_FEATURES)) if is_an_id else -1
    if begin >= 0:
        begin += len(feature_id) + 3
        end = text.index("'}", text.index(",'type':'", begin)) + 2
        document["features"][feature_id] = json.loads(text[begin:end].translate(_EXCHANGED))
    return document


def _plain_json(text: str) -> str:
    return text.translate(_EXCHANGED) if text.startswith(_EXCHANGED_TEXT) else text


def _json(part: Any) -> str:  # noqa: ANN401 -- any part of a document
    return json.dumps(part, separators=(",", ":"), sort_keys=True)


def epoch_ms(moment: datetime) -> int:
    """Whole milliseconds since the epoch."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
