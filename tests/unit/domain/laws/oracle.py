"""A second answer to every check, found without a snapshot: slow, plain, and written apart from the real one.

It looks at each subscription and grant as it is at the instant, and merges what they give. It shares no code with
`snapshots`, `spans`, `decisions` or `periods`.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from chalicelib.domain.decisions import Question
from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.plans import PackageKind, PackageVersion
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Counter
from tests.unit.domain.laws.customers import FEATURES, Held

MS = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """All of an answer but until when it holds."""

    reason: str | None
    limit: int | None = None
    unlimited: bool = False
    soft: bool = False
    used: int | None = None
    value: bool | int | None = None
    values: tuple[str, ...] | None = None
    period: tuple[datetime, datetime] | None = None
    sources: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Gift:
    """What one source gives now of the feature."""

    source: tuple[str, str]
    entitlement: Entitlement
    times: int
    anchor: datetime


def answer(held: Held, feature_id: str, question: Question, now: datetime) -> Answer:
    if held.customer.status != "active":
        return Answer("customer_is_archived")
    if question.resource_id is not None and question.resource_id not in known(held):
        return Answer("customer_resource_not_found")
    scopes = (None, question.resource_id)
    alive = [
        one for one in held.subscriptions if one.resource_id in scopes and is_on(held, one, now)
    ]
    gifts = [gift for one in alive for gift in gifts_of(held, one, feature_id, now)]
    for grant in held.grants:
        over = grant.revoked_at is not None or (grant.expires_at and now >= grant.expires_at)
        is_asked = grant.entitlement.feature_id == feature_id
        if is_asked and grant.resource_id in scopes and grant.created_at <= now and not over:
            gifts.append(Gift(("grant", grant.id), grant.entitlement, 1, grant.created_at))
    if not gifts:
        taken = any(
            grant.revoked_at
            and grant.entitlement.feature_id == feature_id
            and grant.resource_id in scopes
            for grant in held.grants
        )
        if taken:
            return Answer("revoked")
        return Answer(
            "no_feature_entitlement_in_subscription" if alive else "no_active_subscription"
        )
    return merged(held, feature_id, question, gifts, now)


def known(held: Held) -> set[str | None]:
    found = {one.resource_id for one in held.subscriptions}
    found |= {grant.resource_id for grant in held.grants}
    return found | {name.split("/")[1] for name in held.usage if "/" in name}


def is_on(held: Held, one: Subscription, now: datetime) -> bool:
    """Whether the subscription gives anything at this instant."""
    if one.started_at > now or (one.cancel_at is not None and one.cancel_at <= now):
        return False
    unbilled = one.provider is None
    can_be_trial = unbilled and one.status in ("in_trial", "not_started")
    if can_be_trial and one.trial_end is not None and one.trial_end <= now:
        return False
    if one.status == "past_due":
        grace = held.versions[PackageKind.PLAN, one.plan_id, 1].content.grace_period_days
        late = one.past_due_since or one.current_period_start
        if grace is not None and late is not None and late + timedelta(days=grace) <= now:
            return False
    return one.status in ("in_trial", "active", "past_due") or (
        unbilled and one.status == "not_started"
    )


def gifts_of(held: Held, one: Subscription, feature_id: str, now: datetime) -> list[Gift]:
    plan_id, addons, units = one.plan_id, one.addons, one.quantities.get(FEATURES["seats"].id)  # type: ignore[index]
    change = one.scheduled_change
    if change is not None and change.at <= now:
        plan_id, addons = change.plan_id, change.addons
        units = change.quantities.get(FEATURES["seats"].id)  # type: ignore[index]
    plan = held.versions[PackageKind.PLAN, plan_id, 1]
    sellers = [held.versions[PackageKind.ADDON, addon.id, 1] for addon in addons]
    sellers = [seller for seller in sellers if seller.content.prices]
    found: list[Gift] = []
    for package, times, is_addon in [
        (plan, 1, False),
        *(
            (held.versions[PackageKind.ADDON, addon.id, 1], addon.quantity, True)
            for addon in addons
        ),
    ]:
        sells = package in sellers if is_addon else not sellers
        given = said(package, feature_id, units if sells else None, is_addon=is_addon)
        if given is not None:
            kind = "addon" if is_addon else "plan"
            found.append(Gift((kind, f"{one.id}:{package.id}"), given, times, one.started_at))
    return found


def said(
    package: PackageVersion, feature_id: str, units: int | None, *, is_addon: bool
) -> Entitlement | None:
    own = [one for one in package.entitlements if one.feature_id == feature_id]
    if feature_id != "seats" or units is None:
        return own[0] if own else None
    fields = (
        {name: getattr(own[0], name) for name in Entitlement.__slots__}
        if own
        else {
            "feature_id": feature_id,
            "behavior": "increment" if is_addon else "override",
        }
    )
    return Entitlement(**{**fields, "usage_limit": units, "is_unlimited": False})


def merged(
    held: Held, feature_id: str, question: Question, gifts: list[Gift], now: datetime
) -> Answer:
    kind = FEATURES[feature_id].type  # type: ignore[index]
    if (question.values and kind != "enum") or (question.usage is not None and kind != "metered"):
        return Answer("feature_type_mismatch")
    names = frozenset(gift.source for gift in gifts)
    if kind == "boolean":
        yes = frozenset(gift.source for gift in gifts if gift.entitlement.value)
        reason = None if yes else "no_feature_entitlement_in_subscription"
        return Answer(reason, value=bool(yes), sources=yes)
    if kind == "enum":
        allowed = {name for gift in gifts for name in gift.entitlement.values}
        reason = None if set(question.values) <= allowed else "requested_values_mismatch"
        return Answer(reason, values=tuple(sorted(allowed)), sources=names)
    if kind == "numeric":
        return Answer(None, value=total(gifts, "value"), sources=names)
    base = [gift for gift in gifts if gift.entitlement.behavior == "override"] or gifts
    best = max(base, key=generosity)
    unlimited = any(gift.entitlement.is_unlimited for gift in gifts)
    soft = any(gift.entitlement.has_soft_limit for gift in gifts)
    limit = None if unlimited else total(gifts, "usage_limit")
    period = period_of(best, held.customer.timezone, now)
    name = feature_id if question.resource_id is None else f"{feature_id}/{question.resource_id}"
    counter = held.usage.get(name, Counter(0, 0))
    begin = 0 if period is None else (period[0] - EPOCH) // MS
    used = counter.used if counter.period_start_ms == begin else 0
    asked = 1 if question.usage is None else question.usage
    fits = unlimited or soft or used + asked <= (limit or 0)
    return Answer(
        None if fits else "requested_usage_exceeding_limit",
        limit=limit,
        unlimited=unlimited,
        soft=soft,
        used=used,
        period=period,
        sources=names,
    )


def total(gifts: list[Gift], field: str) -> int:
    overrides, increments = [0], 0
    for gift in gifts:
        amount = getattr(gift.entitlement, field) or 0
        if gift.entitlement.behavior == "increment":
            increments += amount * gift.times
        else:
            overrides.append(amount)
    return max(overrides) + increments


LENGTHS = ("", "year", "month", "week", "day", "hour")


def generosity(gift: Gift) -> tuple[object, ...]:
    one = gift.entitlement
    in_calendar = one.reset_period is not None and one.reset_anchor == "calendar"
    return (
        one.is_unlimited,
        one.has_soft_limit,
        one.usage_limit or 0,
        LENGTHS.index(one.reset_period or ""),
        in_calendar,
        EPOCH - gift.anchor,
    )


def period_of(best: Gift, zone: str | None, now: datetime) -> tuple[datetime, datetime] | None:
    """The period by walking from boundary to boundary."""
    reset = best.entitlement.reset_period
    if reset is None:
        return None
    is_calendar = best.entitlement.reset_anchor == "calendar"
    if reset == "hour":
        anchor = EPOCH if is_calendar else best.anchor
        start = now - (now - anchor) % timedelta(hours=1)
        return start, start + timedelta(hours=1)
    place = ZoneInfo(zone or "UTC")
    monday = datetime.fromisoformat("2024-01-01T00:00:00")
    local = monday if is_calendar else best.anchor.astimezone(place).replace(tzinfo=None)
    number = -200 if reset in ("day", "week") else -40
    before = boundary(local, reset, number, place)
    while True:
        number += 1
        after = boundary(local, reset, number, place)
        if before <= now < after:
            return before, after
        before = after


def boundary(anchor: datetime, reset: str, number: int, place: ZoneInfo) -> datetime:
    if reset in ("day", "week"):
        local = anchor + timedelta(days=number * (7 if reset == "week" else 1))
    else:
        months = anchor.month - 1 + number * (12 if reset == "year" else 1)
        first = date(anchor.year + months // 12, months % 12 + 1, 1)
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        last = (following - timedelta(days=1)).day
        local = anchor.replace(year=first.year, month=first.month, day=min(anchor.day, last))
    return local.replace(tzinfo=place).astimezone(UTC)


def turning_points(
    held: Held, feature_id: str, question: Question, now: datetime
) -> list[datetime]:
    """Every instant at which the answer could become another one by time alone."""
    found: list[datetime | None] = []
    for one in held.subscriptions:
        change = one.scheduled_change
        found += [one.started_at, one.cancel_at, one.trial_end, change.at if change else None]
        late = one.past_due_since or one.current_period_start
        found += [late + timedelta(days=days) for days in (0, 1, 7) if late is not None]
    for grant in held.grants:
        found += [grant.created_at, grant.expires_at]
    period = answer(held, feature_id, question, now).period
    found.append(period[1] if period else None)
    return sorted({moment for moment in found if moment is not None and moment > now})


def valid_until(held: Held, feature_id: str, question: Question, now: datetime) -> datetime | None:
    """The first instant with another answer."""
    present = answer(held, feature_id, question, now)
    for moment in turning_points(held, feature_id, question, now):
        if answer(held, feature_id, question, moment) != present:
            return moment
    return None
