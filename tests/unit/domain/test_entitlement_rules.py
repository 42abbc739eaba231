"""The page of rules, sentence by sentence: every sentence of infra/docs/entitlements.md has its test here."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from chalicelib.domain.customers import Customer
from chalicelib.domain.decisions import Decision, DeniedReason, Question, decide
from chalicelib.domain.entitlements import (
    Behavior,
    Entitlement,
    ResetAnchor,
    ResetPeriod,
    inherit,
)
from chalicelib.domain.features import FeatureType, Lifecycle
from chalicelib.domain.grants import Grant
from chalicelib.domain.ids import FeatureId, PackageId, ProductId
from chalicelib.domain.plans import PackageKind, PackageVersion
from chalicelib.domain.snapshot_documents import document_of, epoch_ms
from chalicelib.domain.snapshots import compile_snapshot
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
    a_subscription,
    a_value,
    a_version,
    features_by_id,
    later,
)
from tests.fakes.system import START

PAGE: Final = Path(__file__).parents[3] / "infra" / "docs" / "entitlements.md"
TESTED: Final[dict[str, str]] = {}
T = TypeVar("T", bound=Callable[[], None])


def rule(sentence: str) -> Callable[[T], T]:
    """The test is about this sentence of the page."""

    def register(test: T) -> T:
        assert sentence not in TESTED, sentence
        TESTED[sentence] = test.__name__
        return test

    return register


def sentences() -> list[str]:
    page = PAGE.read_text(encoding="utf-8")
    return [" ".join(one.split()) for one in re.findall(r"^- (.+(?:\n  .+)*)", page, re.MULTILINE)]


def test_page_and_tests_have_the_same_sentences() -> None:
    assert sorted(sentences()) == sorted(TESTED)


# --- a customer and its question ------------------------------------------------------------------------------

FEATURES: Final = features_by_id(
    a_feature("api"),
    a_feature("mail"),
    a_feature("sso", FeatureType.BOOLEAN),
    a_feature("size", FeatureType.NUMERIC),
    a_feature("region", FeatureType.ENUM, values=("eu", "us", "asia")),
)
EU: Final = Entitlement(feature_id=FeatureId("region"), values=("eu",))
US: Final = Entitlement(feature_id=FeatureId("region"), values=("us",))
NOW: Final = later(days=2)


class Holder:
    """A customer, and what it holds."""

    def __init__(self, customer: Customer | None = None) -> None:
        self.customer = customer or a_customer()
        self.subscriptions: list[Subscription] = []
        self.versions: list[PackageVersion] = []
        self.grants: list[Grant] = []
        self.usage: dict[str, Counter] = {}

    def plan(self, *entitlements: Entitlement, **fields: Any) -> "Holder":
        name = f"plan-{len(self.subscriptions)}"
        self.versions.append(a_version(name, entitlements=entitlements))
        fields.setdefault("product_id", ProductId(name))
        self.subscriptions.append(a_subscription(f"subs_{name}", name, **fields))
        return self

    def addon(self, quantity: int, *entitlements: Entitlement) -> "Holder":
        """Beside the plan that was added last."""
        name = PackageId(f"addon-{len(self.versions)}")
        self.versions.append(a_version(name, kind=PackageKind.ADDON, entitlements=entitlements))
        held = self.subscriptions.pop()
        addons = (*held.addons, SubscribedAddon(id=name, version=1, quantity=quantity))
        fields = {one: getattr(held, one) for one in held.__dataclass_fields__}
        self.subscriptions.append(Subscription(**{**fields, "addons": addons}))
        return self

    def grant(self, entitlement: Entitlement, **fields: Any) -> "Holder":
        fields.setdefault("created_at", START)
        grant_id = f"grant_{len(self.grants)}"
        self.grants.append(Grant(id=grant_id, customer_id=ACME, entitlement=entitlement, **fields))
        return self

    def used(self, name: str, units: int, since: datetime | None = None) -> "Holder":
        self.usage[name] = Counter(units, epoch_ms(since) if since else 0)
        return self

    def asks(
        self,
        feature_id: str = "api",
        usage: int | None = None,
        *,
        values: tuple[str, ...] = (),
        resource: str | None = None,
        at: datetime = NOW,
    ) -> Decision:
        versions = {(one.kind, one.id, one.number): one for one in self.versions}
        snapshot = compile_snapshot(
            self.customer, self.subscriptions, versions, FEATURES, version=1, grants=self.grants
        )
        document = document_of(snapshot.document)
        question = Question(usage, values, resource)
        return decide(document, self.usage, feature_id, question, epoch_ms(at))

    def has(self, feature_id: str = "api", **asked: Any) -> bool:
        return self.asks(feature_id, **asked).has_access


def limit_of(holder: Holder) -> int | None:
    return holder.asks("api", 0).usage_limit


def extra(limit: int, feature_id: str = "api") -> Entitlement:
    return a_limit(feature_id, limit, behavior=Behavior.INCREMENT)


def each_way(*entitlements: Entitlement) -> list[Holder]:
    """One plan and one grant, either way round."""
    first, second = entitlements
    return [Holder().plan(first).grant(second), Holder().plan(second).grant(first)]


# --- what counts --------------------------------------------------------------------------------------------------


@rule("A source counts from its beginning until just before its end.")
def test_source_counts_half_open() -> None:
    holder = Holder().plan(a_value("sso", True), started_at=later(days=1), cancel_at=later(days=3))
    almost = later(days=1, microseconds=-1000), later(days=3, microseconds=-1000)
    found = [
        holder.has("sso", at=at) for at in (almost[0], later(days=1), almost[1], later(days=3))
    ]
    assert found == [False, True, True, False]


@rule(
    "A subscription counts as its status says, see [subscription statuses](subscription-statuses.md)."
)
def test_subscription_counts_by_status() -> None:
    for status, counts in (("active", True), ("past_due", True), ("paused", False)):
        held = Holder().plan(a_value("sso", True), status=SubscriptionStatus(status))
        assert held.has("sso") is counts


@rule(
    "A plan counts with what its parent gives, unless it says something of its own about the feature."
)
def test_plan_inherits() -> None:
    parent, own = (a_value("sso", True), a_limit("api", 100)), (a_limit("api", 5),)
    holder = Holder().plan(*inherit(parent, own))
    assert holder.has("sso")
    assert limit_of(holder) == 5


@rule("An add-on counts as often as it is held.")
def test_addon_counts_times_quantity() -> None:
    assert limit_of(Holder().plan(a_limit("api", 5)).addon(3, extra(2))) == 11


@rule("A trial counts like what it is a trial of, until it ends.")
def test_trial_counts_until_its_end() -> None:
    trial = {"status": SubscriptionStatus.IN_TRIAL, "trial_end": later(days=3)}
    holder = Holder().plan(a_value("sso", True), **cast("dict[str, Any]", trial))
    assert holder.has("sso")
    assert not holder.has("sso", at=later(days=3))


@rule("A grant counts from when it is given until it expires or is revoked.")
def test_grant_counts_until_it_is_over() -> None:
    holder = Holder().grant(a_value("sso", True), created_at=START, expires_at=later(days=3))
    moments = (later(days=-1), START, NOW, later(days=3))
    assert [holder.has("sso", at=at) for at in moments] == [False, True, True, False]
    assert not Holder().grant(a_value("sso", True), revoked_at=NOW).has("sso")


@rule("Subscriptions of several products count beside each other.")
def test_products_count_together() -> None:
    holder = Holder().plan(a_value("sso", True)).plan(a_value("size", 3))
    assert holder.has("sso")
    assert holder.has("size")


@rule("Nothing counts for an archived customer.")
def test_archived_has_nothing() -> None:
    holder = Holder(a_customer(status=Lifecycle.ARCHIVED)).plan(a_value("sso", True))
    assert not holder.has("sso")


# --- one answer ---------------------------------------------------------------------------------------------------


@rule("The most generous source wins, in whatever order they came.")
def test_most_generous_wins_in_any_order() -> None:
    assert [limit_of(one) for one in each_way(a_limit("api", 5), a_limit("api", 9))] == [9, 9]


@rule("A boolean feature is had if any source says yes.")
def test_boolean_yes_wins() -> None:
    for holder in each_way(a_value("sso", True), a_value("sso", False)):
        assert holder.has("sso")
    assert not Holder().plan(a_value("sso", False)).has("sso")


@rule("A numeric feature has the highest value of its sources.")
def test_numeric_highest_wins() -> None:
    for holder in each_way(a_value("size", 3), a_value("size", 8)):
        assert holder.asks("size").value == 8


@rule("An enum feature has the values of all its sources together.")
def test_enum_values_are_united() -> None:
    for holder in each_way(EU, US):
        assert holder.asks("region").values == ("eu", "us")
        assert holder.has("region", values=("eu", "us"))


@rule("A metered feature has the highest limit of its sources.")
def test_metered_highest_limit_wins() -> None:
    holder = Holder().plan(a_limit("api", 4)).plan(a_limit("api", 7)).grant(a_limit("api", 6))
    assert limit_of(holder) == 7


@rule("Unlimited is more than any limit.")
def test_unlimited_wins() -> None:
    for holder in each_way(a_limit("api", 10**15), a_limit("api", None)):
        decision = holder.asks("api", 10**15 + 1)
        assert (decision.has_access, decision.is_unlimited) == (True, True)
        assert (decision.usage_limit, decision.remaining) == (None, None)


@rule("A soft limit of any source makes the limit soft.")
def test_soft_limit_of_any_source() -> None:
    for holder in each_way(a_limit("api", 9), a_limit("api", 5, has_soft_limit=True)):
        decision = holder.asks("api", 50)
        assert (decision.has_access, decision.has_soft_limit) == (True, True)
        assert decision.usage_limit == 9


@rule("An increment is added to the winner, times its quantity.")
def test_increment_adds_to_winner() -> None:
    holder = Holder().plan(a_limit("api", 5)).addon(2, extra(10)).grant(a_limit("api", 7))
    assert limit_of(holder) == 27
    numeric = a_value("size", 4, behavior=Behavior.INCREMENT)
    assert Holder().plan(a_value("size", 5)).addon(2, numeric).asks("size").value == 13


@rule("Increments of several sources are all added.")
def test_increments_add_up() -> None:
    holder = Holder().plan(a_limit("api", 1)).addon(1, extra(2)).grant(extra(3)).grant(extra(4))
    assert limit_of(holder) == 10


@rule("An increment without anything to add to stands for itself.")
def test_increment_alone() -> None:
    assert limit_of(Holder().grant(extra(4))) == 4


@rule(
    "Usage is counted in the periods of the most generous source, and of two equally generous ones in the shorter."
)
def test_periods_of_the_winner() -> None:
    day, month = (
        {"reset_period": one, "reset_anchor": ResetAnchor.CALENDAR}
        for one in (ResetPeriod.DAY, ResetPeriod.MONTH)
    )
    for holder in each_way(a_limit("api", 5, **day), a_limit("api", 9, **month)):
        assert holder.asks("api").reset_period == "month"
    for holder in each_way(a_limit("api", 9, **day), a_limit("api", 9, **month)):
        assert holder.asks("api").reset_period == "day"


# --- usage --------------------------------------------------------------------------------------------------------


@rule("A check of a metered feature asks for one unit unless it says how many.")
def test_default_request_is_one() -> None:
    holder = Holder().plan(a_limit("api", 5)).used("api", 4)
    assert holder.asks("api").requested_usage == 1
    assert holder.has("api")
    assert not holder.has("api", usage=2)


@rule(
    "A check that asks for no unit tells the state, and says yes as long as the limit is not exceeded."
)
def test_request_of_zero_is_the_state() -> None:
    for used, has in ((4, True), (5, True), (6, False)):
        decision = Holder().plan(a_limit("api", 5)).used("api", used).asks("api", 0)
        assert (decision.has_access, decision.current_usage) == (has, used)


@rule("Access is given if what is used and what is asked for are together at most the limit.")
def test_limit_is_inclusive() -> None:
    holder = Holder().plan(a_limit("api", 10)).used("api", 7)
    assert [holder.has("api", usage=asked) for asked in (2, 3, 4)] == [True, True, False]


@rule("Over an unlimited or a soft limit access is given, too.")
def test_over_soft_limit() -> None:
    for entitlement in (a_limit("api", None), a_limit("api", 1, has_soft_limit=True)):
        assert Holder().plan(entitlement).used("api", 50).has("api", usage=50)


@rule("What is left is the limit less what is used, and never less than nothing.")
def test_remaining() -> None:
    holder = Holder().plan(a_limit("api", 10))
    assert [holder.used("api", used).asks("api").remaining for used in (0, 4, 12)] == [10, 6, 0]


@rule("Usage of a period that is over counts for nothing.")
def test_usage_of_the_past() -> None:
    holder = Holder().plan(a_limit("api", 5, reset_period=ResetPeriod.DAY))
    assert holder.used("api", 5, since=later(days=1)).asks("api").current_usage == 0
    assert holder.used("api", 5, since=later(days=2)).asks("api").current_usage == 5


@rule(
    "A period of a subscription begins anew on the day and at the time at which the subscription began."
)
def test_period_is_anchored_at_the_subscription() -> None:
    began = datetime(2026, 1, 7, 18, 30, tzinfo=UTC)
    holder = Holder().plan(a_limit("api", 5, reset_period=ResetPeriod.MONTH), started_at=began)
    decision = holder.asks("api", at=datetime(2026, 3, 7, 18, 29, tzinfo=UTC))
    assert decision.period_start_ms == epoch_ms(datetime(2026, 2, 7, 18, 30, tzinfo=UTC))
    assert decision.period_end_ms == epoch_ms(datetime(2026, 3, 7, 18, 30, tzinfo=UTC))


@rule("A monthly period that began on the 31st begins on the last day of a shorter month.")
def test_period_at_the_end_of_months() -> None:
    began = datetime(2027, 12, 31, tzinfo=UTC)
    holder = Holder().plan(a_limit("api", 5, reset_period=ResetPeriod.MONTH), started_at=began)
    decision = holder.asks("api", at=datetime(2028, 3, 1, tzinfo=UTC))
    assert decision.period_start_ms == epoch_ms(datetime(2028, 2, 29, tzinfo=UTC))
    assert decision.period_end_ms == epoch_ms(datetime(2028, 3, 31, tzinfo=UTC))


@rule("A calendar period begins at midnight, a week on Monday.")
def test_calendar_period() -> None:
    begins = {ResetPeriod.DAY: 17, ResetPeriod.WEEK: 12, ResetPeriod.MONTH: 1, ResetPeriod.YEAR: 1}
    for reset, day in begins.items():
        entitlement = a_limit("api", 5, reset_period=reset, reset_anchor=ResetAnchor.CALENDAR)
        start = Holder().plan(entitlement).asks("api").period_start_ms
        assert start == epoch_ms(datetime(2026, 1, day, tzinfo=UTC)), reset


@rule("Days, weeks, months and years are those of the customer's time zone.")
def test_calendar_period_in_a_time_zone() -> None:
    daily = a_limit("api", 5, reset_period=ResetPeriod.DAY, reset_anchor=ResetAnchor.CALENDAR)
    holder = Holder(a_customer(timezone="America/New_York")).plan(daily)
    decision = holder.asks("api", at=datetime(2026, 3, 8, 12, tzinfo=UTC))  # clocks go forward
    assert decision.period_start_ms == epoch_ms(datetime(2026, 3, 8, 5, tzinfo=UTC))
    assert decision.period_end_ms == epoch_ms(datetime(2026, 3, 9, 4, tzinfo=UTC))


@rule("A change of plan in the middle of a period does not begin another one.")
def test_change_keeps_the_period() -> None:
    monthly = a_limit("api", 5, reset_period=ResetPeriod.MONTH)
    change = ScheduledChange(at=later(days=3), plan_id=PackageId("plan-1"), plan_version=1)
    holder = Holder().plan(monthly, scheduled_change=change)
    holder.versions.append(
        a_version("plan-1", entitlements=[a_limit("api", 9, reset_period=ResetPeriod.MONTH)])
    )
    before, after = (holder.asks("api", at=later(days=day)) for day in (2, 4))
    assert (before.usage_limit, after.usage_limit) == (5, 9)
    assert before.period_start_ms == after.period_start_ms == epoch_ms(START)


# --- resources ----------------------------------------------------------------------------------------------------


def a_scoped_holder() -> Holder:
    return (
        Holder()
        .plan(a_limit("api", 5))
        .plan(a_limit("api", 9), resource_id="ws-1")
        .grant(a_limit("api", 7), resource_id="ws-2")
    )


@rule("Without a resource only what the customer has as a whole counts.")
def test_without_resource() -> None:
    assert a_scoped_holder().asks("api").usage_limit == 5


@rule("With a resource what is held for it counts beside what the customer has as a whole.")
def test_with_resource() -> None:
    holder = a_scoped_holder().grant(a_value("sso", True))
    assert holder.asks("api", resource="ws-1").usage_limit == 9
    assert holder.has("sso", resource="ws-1")


@rule("What is held for another resource does not count.")
def test_other_resource() -> None:
    assert a_scoped_holder().asks("api", resource="ws-2").usage_limit == 7


@rule("Usage of a resource is counted apart.")
def test_usage_of_a_resource() -> None:
    holder = a_scoped_holder().used("api", 4).used("api/ws-1", 2)
    asked = (None, "ws-1", "ws-2")
    assert [holder.asks("api", resource=one).current_usage for one in asked] == [4, 2, 0]


@rule("A resource is known when anything was ever held for it or used by it.")
def test_known_resources() -> None:
    gone = (
        Holder()
        .plan(a_limit("api", 5))
        .plan(a_limit("api", 9), resource_id="ws-1", status=SubscriptionStatus.CANCELED)
    )
    assert gone.has("api", resource="ws-1")
    assert not gone.has("api", resource="ws-2")
    assert gone.used("mail/ws-2", 1).has("api", resource="ws-2")


# --- why not ------------------------------------------------------------------------------------------------------


@rule("`customer_is_archived` goes before every other reason.")
def test_archived_first() -> None:
    holder = Holder(a_customer(status=Lifecycle.ARCHIVED))
    for asked in ({"resource": "ws-9"}, {"values": ("x",)}, {"usage": 99}):
        decision = holder.asks("api", **cast("Mapping[str, Any]", asked))
        assert decision.denied_reason is DeniedReason.CUSTOMER_IS_ARCHIVED


@rule("`customer_resource_not_found` means that the resource is not known.")
def test_reason_resource() -> None:
    holder = Holder().plan(a_limit("api", 5))
    decision = holder.asks("api", resource="ws-9")
    assert decision.denied_reason is DeniedReason.CUSTOMER_RESOURCE_NOT_FOUND


@rule(
    "`feature_type_mismatch` means that values are asked of what is no enum, or usage of what is not metered."
)
def test_reason_type() -> None:
    holder = Holder().plan(a_value("sso", True), a_value("size", 1), EU, a_limit("api", 5))
    mismatch = DeniedReason.FEATURE_TYPE_MISMATCH
    for feature_id in ("sso", "size", "region"):
        assert holder.asks(feature_id, 1).denied_reason is mismatch
    for feature_id in ("sso", "size", "api"):
        assert holder.asks(feature_id, values=("eu",)).denied_reason is mismatch


@rule(
    "`no_active_subscription` means that no subscription of the customer counts now, nor any grant of the feature."
)
def test_reason_no_subscription() -> None:
    ended = Holder().plan(a_value("sso", True), cancel_at=later(days=1)).grant(a_value("size", 1))
    assert ended.asks("sso").denied_reason is DeniedReason.NO_ACTIVE_SUBSCRIPTION
    assert ended.asks("api").denied_reason is DeniedReason.NO_ACTIVE_SUBSCRIPTION
    assert ended.has("size")


@rule(
    "`no_feature_entitlement_in_subscription` means that a subscription counts, but says nothing of the feature, or no."
)
def test_reason_no_entitlement() -> None:
    holder = Holder().plan(a_value("sso", False))
    for feature_id in ("sso", "api"):
        assert holder.asks(feature_id).denied_reason is DeniedReason.NO_FEATURE_ENTITLEMENT


@rule(
    "`revoked` means that a grant gave the feature, was taken back, and that nothing else gives it."
)
def test_reason_revoked() -> None:
    revoked = {"revoked_at": later(days=1)}
    alone = Holder().grant(a_value("sso", True), **revoked)
    assert alone.asks("sso").denied_reason is DeniedReason.REVOKED
    assert alone.plan(a_value("sso", True)).has("sso")


@rule("`requested_usage_exceeding_limit` means that the limit is hard and would be exceeded.")
def test_reason_limit() -> None:
    decision = Holder().plan(a_limit("api", 5)).used("api", 5).asks("api")
    assert decision.denied_reason is DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT
    assert (decision.usage_limit, decision.current_usage, decision.requested_usage) == (5, 5, 1)


@rule("`requested_values_mismatch` means that not all values that are asked for are had.")
def test_reason_values() -> None:
    decision = Holder().plan(EU).asks("region", values=("eu", "us"))
    assert decision.denied_reason is DeniedReason.REQUESTED_VALUES_MISMATCH
    assert decision.values == ("eu",)


# --- until when ---------------------------------------------------------------------------------------------------


@rule("`valid_until` is the first instant at which time alone makes the answer another one.")
def test_valid_until_is_the_first() -> None:
    holder = (
        Holder()
        .grant(a_value("sso", True), expires_at=later(days=9))
        .plan(a_value("sso", True), cancel_at=later(days=5))
    )
    assert holder.asks("sso").valid_until_ms == epoch_ms(later(days=5))
    assert holder.asks("sso", at=later(days=6)).valid_until_ms == epoch_ms(later(days=9))
    coming = Holder().plan(a_value("sso", True), started_at=later(days=4))
    assert coming.asks("sso").valid_until_ms == epoch_ms(later(days=4))


@rule("`valid_until` is empty if time alone never does.")
def test_valid_until_never() -> None:
    assert Holder().plan(a_value("sso", True)).asks("sso").valid_until_ms is None
    assert Holder().asks("sso").valid_until_ms is None


@rule("The end of a usage period is such an instant.")
def test_valid_until_period_end() -> None:
    decision = Holder().plan(a_limit("api", 5, reset_period=ResetPeriod.DAY)).asks("api")
    assert decision.valid_until_ms == decision.period_end_ms == epoch_ms(later(days=3))


@rule("The beginning or end of a source is one only if the answer differs by it.")
def test_valid_until_ignores_what_changes_nothing() -> None:
    holder = (
        Holder()
        .plan(a_limit("api", 5))
        .grant(a_value("sso", True), expires_at=later(days=4))
        .grant(a_limit("mail", 1), created_at=later(days=3))
    )
    assert holder.asks("api").valid_until_ms is None
    assert holder.asks("size").valid_until_ms is None


def test_valid_until_ignores_a_change_to_the_same_plan() -> None:
    change = ScheduledChange(at=later(days=4), plan_id=PackageId("plan-0"), plan_version=1)
    holder = Holder().plan(a_limit("api", 5), scheduled_change=change)
    assert holder.asks("api").valid_until_ms is None
