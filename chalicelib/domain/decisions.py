"""The decision: may this customer use this feature now? A pure function of the snapshot, usage, question and time.

Imports nothing but the standard library, `periods` and the document's shape, so that it can run wherever the
snapshot can be taken. Shares that are valid at the instant are merged so that the most generous wins; `increment`
shares add to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from chalicelib.domain.periods import usage_period
from chalicelib.domain.snapshot_documents import ShareDocument, SnapshotDocument, SourceDocument


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
    """What is asked beyond the feature itself; `usage` None means 1 for metered features."""

    usage: int | None = None
    values: tuple[str, ...] = ()


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
    end = decision.period_end_ms
    for boundary in _boundaries(document["sources"], now_ms):
        if end is not None and boundary >= end:
            break
        if _evaluate(document, usage, feature_id, question, boundary) != decision:
            end = boundary
            break
    return decision if end is None else replace(decision, valid_until_ms=end)


def _boundaries(sources: Sequence[SourceDocument], now_ms: int) -> list[int]:
    moments = {source["start"] for source in sources}
    moments.update(source["end"] for source in sources if "end" in source)
    return sorted(moment for moment in moments if moment > now_ms)


def _anchor(source: SourceDocument) -> int:
    return source.get("anchor", source["start"])


def _is_valid(source: SourceDocument, now_ms: int) -> bool:
    return source["start"] <= now_ms < source.get("end", now_ms + 1)


def _evaluate(
    document: SnapshotDocument,
    usage: Mapping[str, Used],
    feature_id: str,
    question: Question,
    now_ms: int,
) -> Decision:
    if document["customer_status"] != "active":
        return Decision(DeniedReason.CUSTOMER_IS_ARCHIVED)
    sources = document["sources"]
    entry = document["features"].get(feature_id)
    shares = (
        [share for share in entry["shares"] if _is_valid(sources[share["source"]], now_ms)]
        if entry is not None
        else []
    )
    if entry is None or not shares:
        is_revoked = feature_id in document.get("revoked", ())
        reason = DeniedReason.REVOKED if is_revoked else _why_ungranted(sources, now_ms)
        return Decision(reason, entry["type"] if entry else None)
    kind = entry["type"]
    if (question.values and kind != "enum") or (question.usage is not None and kind != "metered"):
        return Decision(DeniedReason.FEATURE_TYPE_MISMATCH, kind)
    if kind == "metered":
        return _metered(shares, sources, usage.get(feature_id), question, now_ms)
    return _unmetered(kind, shares, sources, question)


def _why_ungranted(sources: Sequence[SourceDocument], now_ms: int) -> DeniedReason:
    subscribed = any(
        "subscription_id" in source and _is_valid(source, now_ms) for source in sources
    )
    if subscribed:
        return DeniedReason.NO_FEATURE_ENTITLEMENT
    return DeniedReason.NO_ACTIVE_SUBSCRIPTION


def _unmetered(
    kind: str,
    shares: Sequence[ShareDocument],
    sources: Sequence[SourceDocument],
    question: Question,
) -> Decision:
    granting = tuple(sources[share["source"]] for share in shares)
    if kind == "boolean":
        yes = tuple(sources[share["source"]] for share in shares if share.get("value") is True)
        reason_no = None if yes else DeniedReason.NO_FEATURE_ENTITLEMENT
        return Decision(reason_no, kind, value=bool(yes), sources=yes)
    if kind == "numeric":
        return Decision(None, kind, value=_number(shares, sources, "value"), sources=granting)
    allowed = {name for share in shares for name in share.get("values", ())}
    mismatch = not allowed.issuperset(question.values)
    return Decision(
        DeniedReason.REQUESTED_VALUES_MISMATCH if mismatch else None,
        kind,
        values=tuple(sorted(allowed)),
        sources=granting,
    )


def _number(
    shares: Sequence[ShareDocument],
    sources: Sequence[SourceDocument],
    field: str,
) -> int:
    """The highest override plus all increments, each times its source's quantity."""
    best = 0
    added = 0
    for share in shares:
        amount = int(share.get(field, 0))  # type: ignore[call-overload]  # a literal key of the TypedDict
        if share.get("increment"):
            added += amount * sources[share["source"]].get("quantity", 1)
        else:
            best = max(best, amount)
    return best + added


# From the least generous: the shorter the period, the sooner usage is forgotten.
_RESETS: Final = (None, "year", "month", "week", "day", "hour")


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


def _metered(
    shares: Sequence[ShareDocument],
    sources: Sequence[SourceDocument],
    counter: Used | None,
    question: Question,
    now_ms: int,
) -> Decision:
    # The reset period belongs to the share that wins; an increment alone competes like an override.
    overrides = [share for share in shares if not share.get("increment")]
    winner = max(overrides or shares, key=lambda share: _generosity(share, sources))
    unlimited = any(share.get("unlimited", False) for share in shares)
    limit = None if unlimited else _number(shares, sources, "limit")
    reset = winner.get("reset")
    start: int | None = None
    end: int | None = None
    if reset is not None:
        anchor = None if winner.get("calendar") else _anchor(sources[winner["source"]])
        start, end = usage_period(reset, anchor, now_ms)
    current = counter.used if counter is not None and counter.period_start_ms == (start or 0) else 0
    soft = any(share.get("soft", False) for share in shares)
    requested = 1 if question.usage is None else question.usage
    fits = limit is None or soft or current + requested <= limit
    return Decision(
        None if fits else DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT,
        "metered",
        requested_usage=requested,
        current_usage=current,
        usage_limit=limit,
        is_unlimited=unlimited,
        has_soft_limit=soft,
        reset_period=reset,
        period_start_ms=start,
        period_end_ms=end,
        sources=tuple(sources[share["source"]] for share in shares),
    )
