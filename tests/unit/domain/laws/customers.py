"""Customers of any kind: with any subscriptions, add-ons, trials, changes to come, grants and usage."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from chalicelib.domain.customers import Customer
from chalicelib.domain.decisions import Question
from chalicelib.domain.entitlements import Behavior, Entitlement, ResetAnchor, ResetPeriod
from chalicelib.domain.features import FeatureType, Lifecycle
from chalicelib.domain.grants import Grant
from chalicelib.domain.ids import FeatureId, PackageId, ProductId
from chalicelib.domain.plans import PackageKind, PackageVersion
from chalicelib.domain.snapshot_documents import SnapshotDocument, document_of
from chalicelib.domain.snapshots import compile_snapshot
from chalicelib.domain.spans import VersionKey
from chalicelib.domain.subscriptions import (
    ScheduledChange,
    SubscribedAddon,
    Subscription,
    SubscriptionStatus,
)
from chalicelib.ports import Counter
from tests.factories import (
    ACME,
    a_customer,
    a_feature,
    a_limit,
    a_seat_price,
    a_subscription,
    a_value,
    a_version,
    features_by_id,
)

NOW: Final = datetime.fromisoformat(
    "2026-03-28T22:30:00+00:00"
)  # clocks in Europe go forward in three hours
ZONES: Final = (None, "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
FEATURES: Final = features_by_id(
    a_feature("api"),
    a_feature("seats"),
    a_feature("sso", FeatureType.BOOLEAN),
    a_feature("size", FeatureType.NUMERIC),
    a_feature("region", FeatureType.ENUM, values=("eu", "us", "asia")),
)
RESOURCES: Final = st.sampled_from((None, None, "ws-1", "ws-2"))


@dataclass(frozen=True)
class Held:
    """A customer and all that an answer can depend on."""

    customer: Customer
    subscriptions: tuple[Subscription, ...]
    versions: Mapping[VersionKey, PackageVersion]
    grants: tuple[Grant, ...]
    usage: Mapping[str, Counter]

    @property
    def document(self) -> SnapshotDocument:
        compiled = compile_snapshot(
            self.customer,
            self.subscriptions,
            self.versions,
            FEATURES,
            version=1,
            grants=self.grants,
        )
        return document_of(compiled.document)

    def with_grant(self, grant: Grant) -> "Held":
        return replace(self, grants=(*self.grants, grant))


@st.composite
def moments(draw: st.DrawFn) -> datetime:
    """Near enough to each other to meet, on a grid and a millisecond beside it."""
    hours = draw(st.integers(-6, 6) | st.sampled_from((-24 * 31, -24 * 7, 24, 24 * 31)))
    return NOW + timedelta(hours=hours, milliseconds=draw(st.sampled_from((-1, 0, 0, 1))))


@st.composite
def metered(draw: st.DrawFn, feature_id: str, *, resets: bool) -> Entitlement:
    fields: dict[str, Any] = {"has_soft_limit": draw(st.integers(0, 7)) == 0}
    if resets:
        fields["reset_period"] = draw(st.none() | st.sampled_from(ResetPeriod))
        fields["reset_anchor"] = draw(st.sampled_from(ResetAnchor))
    if draw(st.integers(0, 2)) == 0:
        fields["behavior"] = Behavior.INCREMENT
    limit = draw(st.sampled_from((0, 3, 5, 5, 9)))
    if draw(st.integers(0, 7)) == 0:
        return a_limit(feature_id, None, **{**fields, "has_soft_limit": False})
    return a_limit(feature_id, limit, **fields)


@st.composite
def entitlements(draw: st.DrawFn, *, resets: bool = True) -> Entitlement:
    """Any that may stand in a plan."""
    feature_id = draw(st.sampled_from(("api", "api", "seats", "sso", "size", "region")))
    if feature_id in ("api", "seats"):
        return draw(metered(feature_id, resets=resets))
    if feature_id == "sso":
        return a_value("sso", draw(st.booleans()))
    behavior = draw(st.sampled_from((Behavior.OVERRIDE, Behavior.OVERRIDE, Behavior.INCREMENT)))
    if feature_id == "size":
        return a_value("size", draw(st.integers(0, 9)), behavior=behavior)
    values = draw(st.lists(st.sampled_from(("eu", "us", "asia")), min_size=1, unique=True))
    return Entitlement(feature_id=FeatureId("region"), values=tuple(values), behavior=behavior)


@st.composite
def catalogs(draw: st.DrawFn, *, resets: bool = True) -> dict[VersionKey, PackageVersion]:
    """Plans `p0` and `p1`, add-ons `a0` and `a1`: any of them may sell seats."""
    found: dict[VersionKey, PackageVersion] = {}
    for package_id in ("p0", "p1", "a0", "a1"):
        kind = PackageKind.PLAN if package_id[0] == "p" else PackageKind.ADDON
        given = draw(st.lists(entitlements(resets=resets), max_size=4))
        by_feature = {one.feature_id: one for one in given}
        sells = draw(st.booleans()) and package_id in ("p0", "a0")
        grace = draw(st.none() | st.sampled_from((0, 1, 7))) if package_id[0] == "p" else None
        version = a_version(
            package_id,
            kind=kind,
            entitlements=by_feature.values(),
            prices=[a_seat_price()] if sells else [],
            grace_period_days=grace,
        )
        found[kind, version.id, 1] = version
    return found


@st.composite
def holdings(draw: st.DrawFn) -> tuple[tuple[SubscribedAddon, ...], dict[FeatureId, int]]:
    names = draw(st.lists(st.sampled_from(("a0", "a1")), unique=True))
    addons = tuple(
        SubscribedAddon(id=PackageId(name), version=1, quantity=draw(st.integers(1, 3)))
        for name in names
    )
    return addons, draw(st.just({}) | st.just({FeatureId("seats"): 4}))


@st.composite
def subscriptions(draw: st.DrawFn, number: int) -> Subscription:
    addons, quantities = draw(holdings())
    change: ScheduledChange | None = None
    if draw(st.booleans()):
        next_addons, next_quantities = draw(holdings())
        change = ScheduledChange(
            at=draw(moments()),
            plan_id=PackageId(draw(st.sampled_from(("p0", "p1")))),
            plan_version=1,
            addons=next_addons,
            quantities=next_quantities,
        )
    status = draw(st.sampled_from(SubscriptionStatus) | st.just(SubscriptionStatus.ACTIVE))
    is_late = status is SubscriptionStatus.PAST_DUE
    return a_subscription(
        f"subs_{number}",
        draw(st.sampled_from(("p0", "p1"))),
        product_id=ProductId(f"product-{number}"),
        resource_id=draw(RESOURCES),
        addons=addons,
        quantities=quantities,
        status=status,
        started_at=draw(moments()),
        current_period_start=draw(st.none() | moments()) if is_late else None,
        past_due_since=draw(st.none() | moments()) if is_late else None,
        trial_end=draw(st.none() | moments()),
        cancel_at=draw(st.none() | moments()),
        scheduled_change=change,
        provider=draw(st.sampled_from((None, "stripe"))),
    )


@st.composite
def grants(draw: st.DrawFn, number: int, *, resets: bool = True) -> Grant:
    created = draw(moments())
    return Grant(
        id=f"grant_{number}",
        customer_id=ACME,
        entitlement=draw(entitlements(resets=resets)),
        resource_id=draw(RESOURCES),
        created_at=created,
        expires_at=draw(st.none() | moments()),
        revoked_at=draw(moments()) if draw(st.integers(0, 4)) == 0 else None,
    )


COUNTERS: Final = st.builds(
    Counter,
    st.integers(0, 12),
    st.sampled_from((0, int((NOW - timedelta(days=31)).timestamp() * 1000))),
)


@st.composite
def held(draw: st.DrawFn, *, resets: bool = True) -> Held:
    """Any customer."""
    names = st.sampled_from(("api", "seats", "api/ws-1", "api/ws-2"))
    return Held(
        customer=a_customer(
            status=draw(st.sampled_from((Lifecycle.ACTIVE,) * 5 + (Lifecycle.ARCHIVED,))),
            timezone=draw(st.sampled_from(ZONES)),
        ),
        subscriptions=tuple(draw(subscriptions(one)) for one in range(draw(st.integers(0, 3)))),
        versions=draw(catalogs(resets=resets)),
        grants=tuple(draw(grants(one, resets=resets)) for one in range(draw(st.integers(0, 3)))),
        usage=draw(st.dictionaries(names, COUNTERS)),
    )


QUESTIONS: Final = st.builds(
    Question,
    usage=st.none() | st.integers(0, 5),
    values=st.just(()) | st.lists(st.sampled_from(("eu", "us", "mars")), max_size=2).map(tuple),
    resource_id=RESOURCES,
)
ASKED: Final = st.sampled_from((*FEATURES, "ghost"))
