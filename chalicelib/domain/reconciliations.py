"""Reconciliations: comparisons of our state with a provider's, object by object, and what they found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.drift_policies import DriftPolicy as DriftPolicy  # noqa: PLC0414 -- readers find it here
from chalicelib.domain.drift_policies import DuplicatePolicy as DuplicatePolicy  # noqa: PLC0414


class DriftAction(StrEnum):
    """What was done about a difference."""

    REPAIRED = "repaired"
    REPORTED = "reported"


class DriftKind(StrEnum):
    """What differs. The name says which side is behind."""

    SUBSCRIPTION_MISSING = "subscription_missing"
    SUBSCRIPTION_STATUS = "subscription_status"
    SUBSCRIPTION_PERIOD = "subscription_period"
    SUBSCRIPTION_PLAN = "subscription_plan"
    SUBSCRIPTION_PRICE = "subscription_price"
    SUBSCRIPTION_QUANTITY = "subscription_quantity"
    SUBSCRIPTION_CANCELLATION = "subscription_cancellation"
    SUBSCRIPTION_SCHEDULE = "subscription_schedule"
    SUBSCRIPTION_COUPON = "subscription_coupon"
    SUBSCRIPTION_DETAILS = "subscription_details"
    SUBSCRIPTION_UNMANAGED = "subscription_unmanaged"
    SUBSCRIPTION_DUPLICATE = "subscription_duplicate"
    SUBSCRIPTION_VANISHED = "subscription_vanished"
    SUBSCRIPTION_METADATA = "subscription_metadata"
    SUBSCRIPTION_OF_ARCHIVED = "subscription_of_archived"
    SUBSCRIPTION_STRAY = "subscription_stray"
    CUSTOMER_DELETED = "customer_deleted"
    CUSTOMER_UNKNOWN = "customer_unknown"
    CUSTOMER_METADATA = "customer_metadata"
    LIVEMODE = "livemode"
    PRODUCT_MISSING = "product_missing"
    PRODUCT_CHANGED = "product_changed"
    PRODUCT_METADATA = "product_metadata"
    PRODUCT_ARCHIVED = "product_archived"
    PRODUCT_UNARCHIVED = "product_unarchived"
    PRICE_MISSING = "price_missing"
    PRICE_CHANGED = "price_changed"
    PRICE_ARCHIVED = "price_archived"
    PRICE_METADATA = "price_metadata"
    PRICE_LOOKUP_KEY = "price_lookup_key"
    PRICE_EXTRA = "price_extra"
    DEFAULT_PRICE_CHANGED = "default_price_changed"
    METER_MISSING = "meter_missing"
    METER_CHANGED = "meter_changed"
    METER_ARCHIVED = "meter_archived"
    COUPON_MISSING = "coupon_missing"
    COUPON_CHANGED = "coupon_changed"
    COUPON_TERMS = "coupon_terms"
    COUPON_EXTRA = "coupon_extra"
    COUPON_CODE = "coupon_code"
    SYNC_STUCK = "sync_stuck"
    EVENT_STUCK = "event_stuck"
    EVENT_MISSED = "event_missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs, before anybody decides what to do about it; None: that side has nothing there."""

    kind: DriftKind
    ours: Mapping[str, object] | None
    theirs: Mapping[str, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One difference: `entity` names our object, `ours` and `theirs` the differing values."""

    kind: DriftKind
    entity: str
    ours: Mapping[str, object] | None
    theirs: Mapping[str, object] | None
    action: DriftAction


class ReconciliationStatus(StrEnum):
    """Whether the comparison has ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Phase(StrEnum):
    """What a run compares, in this order."""

    OUTBOX = "outbox"
    CATALOG = "catalog"
    COUPONS = "coupons"
    CUSTOMERS = "customers"
    STRAYS = "strays"
    HISTORY = "history"
    EVENTS = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """One run, spread over as many invocations as it needs: `phase` and `cursor` say where the next one goes on.

    Notifications are looked for from `events_since` on. `drifts` are news; `standing` is what the run before has
    reported in the same words and nobody has acted on.
    """

    id: str
    status: ReconciliationStatus
    trigger: str
    policy: DriftPolicy = DriftPolicy.RESTORE
    phase: Phase = Phase.OUTBOX
    cursor: str | None = None
    events_since: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    drifts: tuple[Drift, ...] = ()
    standing: tuple[Drift, ...] = ()
    drifts_omitted: int = 0
    error: str | None = None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one run from another; ids sort by time."""
        return (self.id,)

    @property
    def left(self) -> tuple[Drift, ...]:
        """What this run leaves as it is."""
        told = (drift for drift in self.drifts if drift.action is DriftAction.REPORTED)
        return (*self.standing, *told)
