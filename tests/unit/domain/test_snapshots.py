import random
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.entitlements import Behavior, Entitlement, ResetAnchor, ResetPeriod
from chalicelib.domain.features import FeatureType, Lifecycle
from chalicelib.domain.ids import FeatureId, PackageId
from chalicelib.domain.plans import PackageKind, PackageVersion
from chalicelib.domain.snapshot_documents import document_of, epoch_ms
from chalicelib.domain.snapshots import compile_snapshot
from chalicelib.domain.spans import VersionKey
from chalicelib.domain.subscriptions import (
    GIVING_ACCESS,
    ScheduledChange,
    SubscribedAddon,
    Subscription,
    SubscriptionStatus,
)
from tests.factories import (
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

FEATURES = features_by_id(
    a_feature("seats", FeatureType.METERED),
    a_feature("api", FeatureType.METERED),
    a_feature("sso", FeatureType.BOOLEAN),
    a_feature("projects", FeatureType.NUMERIC),
    a_feature("regions", FeatureType.ENUM, values=("eu", "us")),
)


def versions_of(*versions: PackageVersion) -> dict[VersionKey, PackageVersion]:
    return {(version.kind, version.id, version.number): version for version in versions}


def compiled(
    subscriptions: list[Subscription], *versions: PackageVersion, **customer: Any
) -> dict[str, Any]:
    snapshot = compile_snapshot(
        a_customer(**customer), subscriptions, versions_of(*versions), FEATURES, version=7
    )
    return cast("dict[str, Any]", document_of(snapshot.document))


PRO = a_version(
    entitlements=[a_limit("seats", 5), a_value("sso", True), a_value("projects", 3)],
)
STORAGE = a_version(
    "storage",
    kind=PackageKind.ADDON,
    entitlements=[a_limit("seats", 2, behavior=Behavior.INCREMENT)],
)


def test_snapshot_without_subscriptions_is_empty_but_knows_its_customer() -> None:
    snapshot = compile_snapshot(a_customer(), (), {}, {}, version=1)
    assert (snapshot.customer_id, snapshot.version) == ("acme", 1)
    assert document_of(snapshot.document) == {
        "version": 1,
        "customer_status": "active",
        "sources": [],
        "features": {},
    }


def test_snapshot_of_archived_customer_says_so() -> None:
    assert compiled([], status=Lifecycle.ARCHIVED)["customer_status"] == "archived"


@pytest.mark.parametrize("status", list(SubscriptionStatus))
def test_snapshot_has_sources_only_of_subscriptions_giving_access(
    status: SubscriptionStatus,
) -> None:
    document = compiled([a_subscription(status=status, provider="stripe")], PRO)
    assert bool(document["sources"]) == (status in GIVING_ACCESS)


def test_snapshot_of_past_due_ends_with_the_plans_grace_period() -> None:
    late = a_subscription(status=SubscriptionStatus.PAST_DUE, past_due_since=later(days=1))
    [source] = compiled([late], a_version(grace_period_days=2))["sources"]
    assert source["end"] == epoch_ms(later(days=3))


def test_snapshot_with_scheduled_change_has_both_and_counts_usage_from_the_same_day() -> None:
    change = ScheduledChange(
        at=later(days=3),
        plan_id=PackageId("basic"),
        plan_version=1,
        quantities={FeatureId("api"): 4},
    )
    document = compiled(
        [a_subscription(scheduled_change=change)], PRO, a_version("basic", entitlements=[])
    )
    now, then = document["sources"]
    assert (now["id"], now["end"], "anchor" in now) == ("pro", epoch_ms(later(days=3)), False)
    assert (then["id"], then["start"]) == ("basic", epoch_ms(later(days=3)))
    assert then["anchor"] == epoch_ms(START)
    assert document["features"]["api"]["shares"] == [{"source": 1, "limit": 4}]


def test_snapshot_source_says_what_it_is_and_for_how_long() -> None:
    held = a_subscription(
        cancel_at=later(days=3),
        addons=(SubscribedAddon(id=PackageId("storage"), version=1, quantity=4),),
    )
    document = compiled([held], PRO, STORAGE)
    start, end = epoch_ms(START), epoch_ms(later(days=3))
    common = {"subscription_id": "subs_1", "start": start, "end": end, "version": 1}
    assert document["sources"] == [
        {"type": "plan", "id": "pro", **common},
        {"type": "addon", "id": "storage", "quantity": 4, **common},
    ]
    assert document["features"]["seats"]["shares"] == [
        {"source": 0, "limit": 5},
        {"source": 1, "limit": 2, "increment": True},
    ]


def test_snapshot_share_leaves_out_what_is_false_or_none() -> None:
    version = a_version(
        entitlements=[
            a_limit("seats", None),
            a_limit(
                "api",
                3,
                has_soft_limit=True,
                reset_period=ResetPeriod.MONTH,
                reset_anchor=ResetAnchor.CALENDAR,
            ),
            a_value("sso", False),
            Entitlement(feature_id=FeatureId("regions"), values=("us", "eu")),
        ]
    )
    shares = {
        name: entry["shares"][0]
        for name, entry in compiled([a_subscription()], version)["features"].items()
    }
    assert shares == {
        "seats": {"source": 0, "unlimited": True},
        "api": {"source": 0, "limit": 3, "soft": True, "reset": "month", "calendar": True},
        "sso": {"source": 0, "value": False},
        "regions": {"source": 0, "values": ["eu", "us"]},
    }


@pytest.mark.parametrize("included", [a_limit("seats", 1), a_limit("seats", None), None])
def test_snapshot_bought_quantity_of_metered_feature_is_its_limit(
    included: Entitlement | None,
) -> None:
    version = a_version(entitlements=[included] if included else [])
    document = compiled([a_subscription(quantities={"seats": 12})], version)
    assert document["features"]["seats"]["shares"] == [{"source": 0, "limit": 12}]


def test_snapshot_bought_quantity_keeps_reset_and_softness_of_the_entitlement() -> None:
    included = a_limit("seats", 1, has_soft_limit=True, reset_period=ResetPeriod.DAY)
    document = compiled(
        [a_subscription(quantities={"seats": 12})], a_version(entitlements=[included])
    )
    assert document["features"]["seats"]["shares"] == [
        {"source": 0, "limit": 12, "soft": True, "reset": "day"}
    ]


def test_snapshot_bought_quantity_of_numeric_feature_is_its_value() -> None:
    document = compiled([a_subscription(quantities={"projects": 8})], PRO)
    assert document["features"]["projects"]["shares"] == [{"source": 0, "value": 8}]


def test_snapshot_bought_quantity_is_of_the_plan_and_not_of_its_addons() -> None:
    held = a_subscription(
        quantities={"seats": 12},
        addons=(SubscribedAddon(id=PackageId("storage"), version=1, quantity=1),),
    )
    document = compiled([held], PRO, STORAGE)
    assert [share["limit"] for share in document["features"]["seats"]["shares"]] == [12, 2]


@given(st.randoms(use_true_random=False))
def test_snapshot_of_same_inputs_in_any_order_is_the_same_text(dice: random.Random) -> None:
    def shuffled(items: list[Any]) -> list[Any]:
        return dice.sample(items, len(items))

    addons = [
        SubscribedAddon(id=PackageId(name), version=1, quantity=2) for name in ("storage", "extra")
    ]
    entitlements = [a_limit("seats", 5), a_value("sso", True), a_value("projects", 3)]
    pro = a_version(entitlements=shuffled(entitlements))
    extra = a_version("extra", kind=PackageKind.ADDON, entitlements=[a_limit("api", 1)])
    quantities = dict(shuffled([("seats", 2), ("projects", 4)]))
    subscriptions = [
        a_subscription(f"subs_{index}", quantities=quantities, addons=tuple(shuffled(addons)))
        for index in range(3)
    ]
    features = dict(shuffled(list(FEATURES.items())))
    versions = dict(shuffled(list(versions_of(pro, STORAGE, extra).items())))
    snapshot = compile_snapshot(
        a_customer(), shuffled(subscriptions), versions, features, version=1
    )
    assert snapshot.document == _REFERENCE


_REFERENCE = compile_snapshot(
    a_customer(),
    [
        a_subscription(
            f"subs_{index}",
            quantities={"projects": 4, "seats": 2},
            addons=(
                SubscribedAddon(id=PackageId("extra"), version=1, quantity=2),
                SubscribedAddon(id=PackageId("storage"), version=1, quantity=2),
            ),
        )
        for index in range(3)
    ],
    versions_of(
        PRO,
        STORAGE,
        a_version("extra", kind=PackageKind.ADDON, entitlements=[a_limit("api", 1)]),
    ),
    FEATURES,
    version=1,
).document


def test_epoch_ms_keeps_milliseconds_and_drops_finer() -> None:
    assert epoch_ms(START + timedelta(microseconds=1999)) - epoch_ms(START) == 1
