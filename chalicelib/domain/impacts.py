"""What a draft would mean for those who subscribe to its package: entitlements, limits and money, added up.

Pure. Sums are exact fractions until they are shown, so that no order of adding changes them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Final

from chalicelib.domain.decisions import Decision, DeniedReason, Question, Used, decide
from chalicelib.domain.ids import CustomerId, PackageId
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.snapshot_documents import SnapshotDocument

SAMPLE: Final = 10


class Effect(StrEnum):
    """What becomes of one entitlement of one subscriber. `over_limit`: more is used today than the new limit."""

    GAINED = "gained"
    LOST = "lost"
    RAISED = "raised"
    LOWERED = "lowered"
    CHANGED = "changed"
    OVER_LIMIT = "over_limit"


class ImpactStatus(StrEnum):
    """Whether everybody was counted. `stale`: the package changed meanwhile."""

    NOT_STARTED = "not_started"
    RUNNING = "running"
    COMPLETE = "complete"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureImpact:
    """How many subscribers have each effect, and the first few of them."""

    counts: Mapping[Effect, int] = field(default_factory=dict)
    customers: Mapping[Effect, tuple[CustomerId, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What is charged a month in one currency, before and after: fractions of minor units, as text."""

    before: str = "0"
    after: str = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Everything counted so far. `unpriced`: paying subscribers whom the draft has no price for; they would stay."""

    by_version: Mapping[int, int] = field(default_factory=dict)
    features: Mapping[str, FeatureImpact] = field(default_factory=dict)
    money: Mapping[str, Money] = field(default_factory=dict)
    unpriced: int = 0

    @property
    def subscribers(self) -> int:
        """How many were counted."""
        return sum(self.by_version.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What the draft means for one subscriber; `money` None: it pays nothing that could change."""

    customer_id: CustomerId
    version: int
    effects: Mapping[str, frozenset[Effect]]
    currency: str | None = None
    before: Fraction = Fraction(0)
    after: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactRun:
    """A count over as many invocations as it takes, of one state of the package's draft."""

    kind: PackageKind
    package_id: PackageId
    package_revision: int
    status: ImpactStatus = ImpactStatus.RUNNING
    tally: Tally = field(default_factory=Tally)
    shard: int = 0
    cursor: str | None = None
    started_at: datetime
    updated_at: datetime
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """One for each package: the latest."""
        return (self.kind, self.package_id)


def effects_between(
    before: SnapshotDocument,
    after: SnapshotDocument,
    usage: Mapping[str, Used],
    now_ms: int,
    resource_id: str | None = None,
) -> dict[str, frozenset[Effect]]:
    """What differs for each feature at this instant, for the resource or else for the customer as a whole.

    Features without a difference are left out.
    """
    found: dict[str, frozenset[Effect]] = {}
    for feature_id in sorted({*before["features"], *after["features"]}):
        effects = frozenset(
            _effects(
                state_of(before, usage, feature_id, now_ms, resource_id),
                state_of(after, usage, feature_id, now_ms, resource_id),
            )
        )
        if effects:
            found[feature_id] = effects
    return found


def state_of(
    document: SnapshotDocument,
    usage: Mapping[str, Used],
    feature_id: str,
    now_ms: int,
    resource_id: str | None = None,
) -> Decision:
    """What the document says of the feature, nothing being asked for."""
    entry = document["features"].get(feature_id)
    metered = entry is not None and entry["type"] == "metered"
    question = Question(usage=0 if metered else None, resource_id=resource_id)
    return decide(document, usage, feature_id, question, now_ms)


def _effects(old: Decision, new: Decision) -> Iterable[Effect]:
    if _is_entitled(old) != _is_entitled(new):
        yield Effect.GAINED if _is_entitled(new) else Effect.LOST
    elif _is_entitled(new):
        yield from _compared(old, new)
    if _is_over(new) and not _is_over(old):
        yield Effect.OVER_LIMIT


def _is_entitled(decision: Decision) -> bool:
    return decision.denied_reason in (None, DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT)


def _is_over(decision: Decision) -> bool:
    return decision.denied_reason is DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT


def _compared(old: Decision, new: Decision) -> Iterable[Effect]:
    if new.feature_type == "enum":
        had, has = set(old.values or ()), set(new.values or ())
        if had != has:
            yield Effect.RAISED if had < has else Effect.LOWERED if has < had else Effect.CHANGED
        return
    had_much, has_much = _amount(old), _amount(new)
    if had_much != has_much:
        yield Effect.RAISED if had_much < has_much else Effect.LOWERED
    elif (old.reset_period, old.has_soft_limit) != (new.reset_period, new.has_soft_limit):
        yield Effect.CHANGED


def _amount(decision: Decision) -> tuple[bool, int]:
    if decision.is_unlimited:
        return (True, 0)
    limit = decision.usage_limit if decision.feature_type == "metered" else decision.value
    return (False, int(limit or 0))


def added(tally: Tally, consequence: Consequence) -> Tally:
    """The tally with one subscriber more."""
    by_version = dict(tally.by_version)
    by_version[consequence.version] = by_version.get(consequence.version, 0) + 1
    features = dict(tally.features)
    for feature_id, effects in consequence.effects.items():
        features[feature_id] = _with_effects(
            features.get(feature_id, FeatureImpact()), effects, consequence.customer_id
        )
    money, unpriced = dict(tally.money), tally.unpriced
    if consequence.currency is not None:
        held = money.get(consequence.currency, Money())
        after = consequence.before if consequence.after is None else consequence.after
        unpriced += consequence.after is None
        money[consequence.currency] = Money(
            before=str(Fraction(held.before) + consequence.before),
            after=str(Fraction(held.after) + after),
        )
    return replace(tally, by_version=by_version, features=features, money=money, unpriced=unpriced)


def _with_effects(
    impact: FeatureImpact, effects: frozenset[Effect], customer_id: CustomerId
) -> FeatureImpact:
    counts, customers = dict(impact.counts), dict(impact.customers)
    for effect in sorted(effects):
        counts[effect] = counts.get(effect, 0) + 1
        sample = customers.get(effect, ())
        if len(sample) < SAMPLE:
            customers[effect] = (*sample, customer_id)
    return FeatureImpact(counts=counts, customers=customers)


def whole_minor_units(amount: str) -> int:
    """The fraction as whole minor units, a half to the even one."""
    return round(Fraction(amount))
