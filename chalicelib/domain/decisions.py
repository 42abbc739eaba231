"""The decision: may this customer use this feature now? A pure function of the snapshot, usage, question and time.

Imports nothing but the standard library and what describes usage and the document, so that it can run wherever the
snapshot can be taken. The rules stand, sentence by sentence, in infra/docs/entitlements.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal, Protocol

from chalicelib.domain.periods import usage_period
from chalicelib.domain.snapshot_documents import (
    FeatureDocument,
    ShareDocument,
    SnapshotDocument,
    SourceDocument,
)
from chalicelib.domain.usage_scopes import counted_by, counter_name


class DeniedReason(StrEnum):
    """Why the answer is no."""

    FEATURE_NOT_FOUND = "feature_not_found"
    CUSTOMER_NOT_FOUND = "customer_not_found"
    CUSTOMER_IS_ARCHIVED = "customer_is_archived"
    CUSTOMER_RESOURCE_NOT_FOUND = "customer_resource_not_found"
    NO_ACTIVE_SUBSCRIPTION = "no_active_subscription"
    NO_FEATURE_ENTITLEMENT = "no_feature_entitlement_in_subscription"
    REQUESTED_USAGE_EXCEEDING_LIMIT = "requested_usage_exceeding_limit"
    REQUESTED_VALUES_MISMATCH = "requested_values_mismatch"
    FEATURE_TYPE_MISMATCH = "feature_type_mismatch"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class Used(Protocol):
    """A usage counter: how much was used since the period that began then."""

    @property
    def used(self) -> int:
        """Units."""
        ...

    @property
    def period_start_ms(self) -> int:
        """0 where usage never resets."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked beyond the feature itself; `usage` None means 1 for metered features.

    With a `resource_id` what is held for that resource counts beside what is held for the whole customer.
    """

    usage: int | None = None
    values: tuple[str, ...] = ()
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. Times are milliseconds since the epoch; `valid_until_ms` is when time alone next changes it."""

    denied_reason: DeniedReason | None
    feature_type: str | None = None
    requested_usage: int | None = None
    current_usage: int | None = None
    usage_limit: int | None = None
    is_unlimited: bool = False
    has_soft_limit: bool = False
    value: bool | int | None = None
    values: tuple[str, ...] | None = None
    reset_period: str | None = None
    period_start_ms: int | None = None
    period_end_ms: int | None = None
    sources: tuple[SourceDocument, ...] = ()
    valid_until_ms: int | None = None

    @property
    def has_access(self) -> bool:
        """Whether the answer is yes."""
        return self.denied_reason is None

    @property
    def remaining(self) -> int | None:
        """Units left before the limit; None without one."""
        if self.usage_limit is None or self.current_usage is None:
            return None
        return max(0, self.usage_limit - self.current_usage)


def decide(
    document: SnapshotDocument,
    usage: Mapping[str, Used],
    feature_id: str,
    question: Question,
    now_ms: int,
) -> Decision:
    """The answer at this instant, and until when it holds if nothing but time passes."""
    decision = _evaluate(document, usage, feature_id, question, now_ms)
    moments = _moments(document, feature_id, decision, now_ms)
    if not moments:
        return decision
    end = decision.period_end_ms
    for moment in sorted(set(moments)):
        if end is not None and moment >= end:
            break
        if _differ(_evaluate(document, usage, feature_id, question, moment), decision):
            return replace(decision, valid_until_ms=moment)
    return decision


def _differ(one: Decision, other: Decision) -> bool:
    """Whether they answer differently; when their sources began and will end is no part of an answer."""
    if [*map(_name, one.sources)] != [*map(_name, other.sources)]:
        return True
    same = replace(one, sources=other.sources, valid_until_ms=other.valid_until_ms)
    return same != other


def _name(source: SourceDocument) -> tuple[object, ...]:
    return (
        source["type"],
        source["id"],
        source.get("version"),
        source.get("subscription_id"),
        source.get("quantity"),
    )


def _moments(
    document: SnapshotDocument, feature_id: str, decision: Decision, now_ms: int
) -> list[int]:
    """When, from now on, a source begins or ends that can matter: what is granted can only cease with its own."""
    sources = document["sources"]
    concerned: Iterable[SourceDocument] = sources
    if decision.sources:
        shares = document["features"][feature_id]["shares"]
        concerned = [sources[share["source"]] for share in shares]
    moments: list[int] = []
    for source in concerned:
        if source["start"] > now_ms:
            moments.append(source["start"])
        if "end" in source and source["end"] > now_ms:
            moments.append(source["end"])
    return moments


def counts(source: SourceDocument, resource_id: str | None, now_ms: int) -> bool:
    """Whether what the source gives is had at this instant, by this resource or else by the customer as a whole."""
    if now_ms < source["start"] or now_ms >= source.get("end", now_ms + 1):
        return False
    return "resource" not in source or source["resource"] == resource_id


_NOTHING: Final[FeatureDocument] = {"type": "", "shares": []}


def _evaluate(
    document: SnapshotDocument,
    usage: Mapping[str, Used],
    feature_id: str,
    question: Question,
    now_ms: int,
) -> Decision:
    """The answer at this instant; it holds until its usage period ends, unless a source begins or ends before."""
    if document["customer_status"] != "active":
        return Decision(DeniedReason.CUSTOMER_IS_ARCHIVED)
    resource_id = question.resource_id
    if resource_id is not None and not _is_known(document, usage, resource_id):
        return Decision(DeniedReason.CUSTOMER_RESOURCE_NOT_FOUND)
    entry = document["features"].get(feature_id, _NOTHING)
    kind = entry["type"]
    sources = document["sources"]
    shares = [
        share for share in entry["shares"] if counts(sources[share["source"]], resource_id, now_ms)
    ]
    if not shares:
        reason = _why_ungranted(document, feature_id, resource_id, now_ms)
        return Decision(reason, kind or None)
    if (question.values and kind != "enum") or (question.usage is not None and kind != "metered"):
        return Decision(DeniedReason.FEATURE_TYPE_MISMATCH, kind)
    if kind == "metered":
        counter = usage.get(counter_name(feature_id, resource_id))
        zone = document.get("timezone")
        return _metered(shares, sources, counter, question.usage, now_ms, zone)
    return _unmetered(kind, shares, sources, question)


def _is_known(document: SnapshotDocument, usage: Iterable[str], resource_id: str) -> bool:
    """Whether anything was ever held or used for the resource."""
    held = document.get("resources", ())
    return resource_id in held or any(counted_by(name)[1] == resource_id for name in usage)


def _why_ungranted(
    document: SnapshotDocument, feature_id: str, resource_id: str | None, now_ms: int
) -> DeniedReason:
    revoked = document.get("revoked")
    if revoked and {feature_id, counter_name(feature_id, resource_id)} & {*revoked}:
        return DeniedReason.REVOKED
    for source in document["sources"]:
        if "subscription_id" in source and counts(source, resource_id, now_ms):
            return DeniedReason.NO_FEATURE_ENTITLEMENT
    return DeniedReason.NO_ACTIVE_SUBSCRIPTION


def _unmetered(
    kind: str,
    shares: Sequence[ShareDocument],
    sources: Sequence[SourceDocument],
    question: Question,
) -> Decision:
    if kind == "boolean":
        yes = tuple(sources[share["source"]] for share in shares if share.get("value") is True)
        reason_no = None if yes else DeniedReason.NO_FEATURE_ENTITLEMENT
        return Decision(reason_no, kind, value=bool(yes), sources=yes)
    granting = tuple(sources[share["source"]] for share in shares)
    if kind == "numeric":
        return Decision(None, kind, value=_merged(shares, sources, "value"), sources=granting)
    allowed = {name for share in shares for name in share.get("values", ())}
    mismatch = not allowed.issuperset(question.values)
    return Decision(
        DeniedReason.REQUESTED_VALUES_MISMATCH if mismatch else None,
        kind,
        values=tuple(sorted(allowed)),
        sources=granting,
    )


def _merged(
    shares: Sequence[ShareDocument],
    sources: Sequence[SourceDocument],
    field: Literal["limit", "value"],
) -> int:
    """The highest override plus all increments, each times its source's quantity."""
    best = added = 0
    for share in shares:
        amount = share.get(field, 0)
        if "increment" in share:
            added += amount * sources[share["source"]].get("quantity", 1)
        elif amount > best:
            best = amount
    return best + added


# From the least generous: the shorter the period, the sooner usage is forgotten.
_RESETS: Final = (None, "year", "month", "week", "day", "hour")


def _anchor(source: SourceDocument) -> int:
    return source.get("anchor", source["start"])


def _generosity(
    share: ShareDocument, sources: Sequence[SourceDocument]
) -> tuple[bool, bool, int, int, bool, int]:
    """A key for `max`; it tells apart all shares that differ in more than their place in the document."""
    return (
        share.get("unlimited", False),
        share.get("soft", False),
        share.get("limit", 0),
        _RESETS.index(share.get("reset")),
        share.get("calendar", False),
        -_anchor(sources[share["source"]]),
    )


def winner_of(shares: Sequence[ShareDocument], sources: Sequence[SourceDocument]) -> ShareDocument:
    """The allowance that usage periods follow. An increment alone competes like an override."""
    if len(shares) == 1:
        return shares[0]
    overrides = [share for share in shares if not share.get("increment")]
    return max(overrides or shares, key=lambda share: _generosity(share, sources))


def _metered(
    shares: Sequence[ShareDocument],
    sources: Sequence[SourceDocument],
    counter: Used | None,
    requested: int | None,
    now_ms: int,
    zone: str | None,
) -> Decision:
    unlimited = soft = False
    for share in shares:
        unlimited = unlimited or "unlimited" in share
        soft = soft or "soft" in share
    limit = None if unlimited else _merged(shares, sources, "limit")
    winner = winner_of(shares, sources)
    reset = winner.get("reset")
    start = end = None
    if reset is not None:
        anchor = None if "calendar" in winner else _anchor(sources[winner["source"]])
        start, end = usage_period(reset, anchor, now_ms, zone)
    is_current = counter is not None and counter.period_start_ms == (start or 0)
    current = counter.used if is_current and counter is not None else 0
    asked = 1 if requested is None else requested
    fits = limit is None or soft or current + asked <= limit
    return Decision(
        None if fits else DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT,
        "metered",
        asked,
        current,
        limit,
        unlimited,
        soft,
        reset_period=reset,
        period_start_ms=start,
        period_end_ms=end,
        sources=tuple([sources[share["source"]] for share in shares]),
        valid_until_ms=end,
    )
