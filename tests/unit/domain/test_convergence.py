"""Convergence: whatever the provider holds, in whatever order it says so, there is one right state of ours."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.billing import PriceOwner, ProviderSubscription
from chalicelib.domain.convergence import (
    METADATA_ADDON_VERSIONS,
    METADATA_ENVIRONMENT,
    METADATA_TYPE,
    Convergence,
    converge,
    format_versions,
)
from chalicelib.domain.ids import PackageId, derived_id
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.reconciliations import DriftAction, DriftKind
from chalicelib.domain.subscriptions import (
    ENDED,
    SubscribedAddon,
    Subscription,
    SubscriptionStatus,
)
from tests.factories import (
    ACME,
    a_price,
    a_provider_subscription,
    a_seat_price,
    a_subscription,
    an_owner,
    later,
    our_metadata,
)
from tests.fakes.system import START

NOW = later(days=5)
STORAGE = an_owner("storage", a_price("s"), kind=PackageKind.ADDON, versions=(1, 2))
OWNERS: Mapping[str, PriceOwner] = {
    "price_pro": an_owner("pro", versions=(1, 2)),
    "price_seats": an_owner("pro", a_seat_price(), versions=(2, 3)),
    "price_basic": an_owner("basic", versions=(1, 2, 3)),
    "price_yearly": an_owner("pro", a_price("y", billing_period=BillingPeriod.YEAR)),
    "price_other": an_owner("gold", product_id="other"),
    "price_storage": STORAGE,
}


def converged(
    ours: Sequence[Subscription], *theirs: ProviderSubscription, now: Any = NOW
) -> Convergence:
    return converge(ACME, "stripe", "test", ours, theirs, OWNERS, now)


def kinds(result: Convergence) -> list[tuple[DriftKind, DriftAction]]:
    return [(drift.kind, drift.action) for drift in result.drifts]


def only(result: Convergence) -> Subscription:
    (held,) = result.subscriptions
    return held


# --- taking over ------------------------------------------------------------------------------------------


def test_subscription_of_ours_appears_under_the_id_we_gave_it() -> None:
    truth = a_provider_subscription(
        metadata=our_metadata("subs_mine"), cancel_at=later(days=9), url="https://b.example/sub_1"
    )
    result = converged([], truth)
    assert only(result) == a_subscription(
        "subs_mine",
        billing_period=BillingPeriod.MONTH,
        currency="usd",
        current_period_start=truth.current_period_start,
        current_period_end=truth.current_period_end,
        cancel_at=later(days=9),
        provider="stripe",
        billing_id="sub_1",
        billing_url="https://b.example/sub_1",
    )
    assert result.changed == ((None, only(result)),)
    assert kinds(result) == [(DriftKind.SUBSCRIPTION_MISSING, DriftAction.REPAIRED)]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        our_metadata("subs_x", customer_id="somebody-else"),
        our_metadata("subs_x") | {METADATA_ENVIRONMENT: "production"},
        our_metadata("subs_x") | {METADATA_TYPE: "customer"},
        our_metadata("sub_x"),
        our_metadata(""),
        our_metadata("subs_x#y"),
        our_metadata("subs_" + "x" * 200),
    ],
)
def test_subscription_without_trustworthy_id_gets_one_derived_from_the_providers(
    metadata: dict[str, str],
) -> None:
    result = converged([], a_provider_subscription(metadata=metadata))
    assert only(result).id == derived_id("subs_", "stripe", "sub_1")


def test_subscription_with_copied_metadata_never_takes_an_id_in_use() -> None:
    first = a_provider_subscription("sub_1", metadata=our_metadata("subs_x"))
    copy = a_provider_subscription(
        "sub_2", metadata=our_metadata("subs_x"), created_at=later(seconds=1)
    )
    for theirs in itertools.permutations((first, copy)):
        by_billing_id = {held.billing_id: held.id for held in converged([], *theirs).subscriptions}
        assert by_billing_id == {
            "sub_1": "subs_x",
            "sub_2": derived_id("subs_", "stripe", "sub_2"),
        }


def test_subscription_with_metadata_naming_a_free_subscription_of_ours_leaves_that_alone() -> None:
    free = a_subscription("subs_free", product_id="other")
    result = converged([free], a_provider_subscription(metadata=our_metadata("subs_free")))
    assert free in result.subscriptions
    assert len(result.subscriptions) == 2


def test_subscription_of_ours_brings_the_callers_metadata_along() -> None:
    truth = a_provider_subscription(metadata={**our_metadata(), "order": "42"})
    assert only(converged([], truth)).metadata == {"order": "42"}


def test_subscription_known_keeps_its_metadata_whatever_the_provider_shows() -> None:
    ours = only(converged([], a_provider_subscription(metadata=our_metadata())))
    ours = replace(ours, metadata={"order": "42"})
    truth = a_provider_subscription(metadata={**our_metadata(), "order": "43"})
    assert converged([ours], truth).changed == ()


@pytest.mark.parametrize("status", list(SubscriptionStatus))
def test_subscription_known_follows_every_status(status: SubscriptionStatus) -> None:
    ours = only(converged([], a_provider_subscription(metadata=our_metadata())))
    result = converged([ours], a_provider_subscription(metadata=our_metadata(), status=status))
    assert only(result).status is status
    assert only(result).version == (1 if status is SubscriptionStatus.ACTIVE else 2)


@pytest.mark.parametrize("status", sorted(ENDED))
def test_subscription_ended_before_we_heard_of_it_is_taken_over_only_if_ours(
    status: SubscriptionStatus,
) -> None:
    ended = a_provider_subscription(status=status, metadata=our_metadata("subs_x"))
    assert only(converged([], ended)).status is status
    assert converged([], replace(ended, metadata={})).subscriptions == ()


# --- versions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "stated", "expected"),
    [
        (["price_pro"], 1, 1),
        (["price_pro"], 2, 2),
        (["price_pro"], 9, 2),
        (["price_pro", "price_seats"], 1, 2),
        (["price_seats"], 2, 2),
        (["price_seats"], 1, 3),
    ],
)
def test_plan_version_is_the_stated_one_among_those_charging_these_prices(
    items: list[str], stated: int, expected: int
) -> None:
    truth = a_provider_subscription(
        items=items, metadata=our_metadata(plan_version=f"pro={stated}")
    )
    assert only(converged([], truth)).plan_version == expected


@pytest.mark.parametrize(
    "stated", ["", "x", "1", "pro", "pro=", "pro=x", "pro=-1", "basic=1", "=1"]
)
def test_plan_version_without_readable_statement_is_the_newest(stated: str) -> None:
    metadata = our_metadata() | {"paygrade_plan_version": stated}
    assert only(converged([], a_provider_subscription(metadata=metadata))).plan_version == 2


def test_plan_version_held_is_kept_when_a_newer_one_charges_the_same() -> None:
    before = only(
        converge(
            ACME,
            "stripe",
            "test",
            [],
            [a_provider_subscription()],
            {"price_pro": an_owner(versions=(1,))},
            NOW,
        )
    )
    assert before.plan_version == 1
    assert converged([before], a_provider_subscription()).changed == ()


def test_plan_changed_at_the_provider_takes_the_newest_version_not_the_old_plans_number() -> None:
    metadata = our_metadata(plan_version="pro=1")
    before = only(converged([], a_provider_subscription(metadata=metadata)))
    moved = a_provider_subscription(items=["price_basic"], metadata=metadata)
    result = converged([before], moved)
    assert (only(result).plan_id, only(result).plan_version) == ("basic", 3)
    assert kinds(result) == [(DriftKind.SUBSCRIPTION_PLAN, DriftAction.REPAIRED)]
    assert converged(result.subscriptions, moved).changed == ()


def test_addon_version_held_is_kept_when_a_newer_one_charges_the_same() -> None:
    truth = a_provider_subscription(items=["price_pro", "price_storage"])
    before = only(converged([], truth))
    before = replace(
        before, addons=(SubscribedAddon(id=PackageId("storage"), version=1, quantity=1),)
    )
    assert converged([before], truth).changed == ()


# --- items ----------------------------------------------------------------------------------------------------


def test_items_per_unit_are_quantities_and_addons_have_theirs() -> None:
    stated = {METADATA_ADDON_VERSIONS: "storage=1,junk,=,x=y"}
    truth = a_provider_subscription(
        items={"price_pro": 1, "price_seats": 7, "price_storage": 3, "price_unknown": 9},
        metadata=our_metadata(plan_version="pro=2") | stated,
    )
    held = only(converged([], truth))
    assert held.quantities == {"seats": 7}
    assert held.addons == (SubscribedAddon(id=PackageId("storage"), version=1, quantity=3),)


def test_items_without_quantity_count_once() -> None:
    truth = a_provider_subscription(items={"price_pro": None, "price_storage": None})
    assert only(converged([], truth)).addons[0].quantity == 1


def test_addon_item_of_quantity_zero_is_not_held() -> None:
    truth = a_provider_subscription(items={"price_pro": 1, "price_storage": 0})
    assert only(converged([], truth)).addons == ()


@pytest.mark.parametrize("items", list(itertools.permutations(["price_pro", "price_basic"])))
def test_items_of_two_plans_choose_one_in_any_order(items: list[str]) -> None:
    assert only(converged([], a_provider_subscription(items=items))).plan_id == "basic"


def test_versions_stated_name_whose_they_are() -> None:
    assert format_versions({PackageId("a:b@c"): 12, PackageId("d"): 1}) == "a:b@c=12,d=1"


def test_plan_version_stated_anew_is_followed_though_the_old_one_charges_the_same() -> None:
    before = only(converged([], a_provider_subscription(metadata=our_metadata())))
    migrated = a_provider_subscription(metadata=our_metadata(plan_version="pro=2"))
    assert only(converged([before], migrated)).plan_version == 2


# --- what is not ours, or gone -----------------------------------------------------------------------------------


def test_subscription_without_plan_of_ours_is_reported_and_nothing_else() -> None:
    result = converged([], a_provider_subscription(items=["price_unknown"]))
    assert (result.subscriptions, result.changed) == ((), ())
    assert kinds(result) == [(DriftKind.SUBSCRIPTION_UNMANAGED, DriftAction.REPORTED)]


def test_subscription_ended_without_plan_of_ours_is_not_worth_a_report() -> None:
    truth = a_provider_subscription(
        items=["price_unknown"], status=SubscriptionStatus.CANCELED, metadata=our_metadata()
    )
    assert converged([], truth).drifts == ()


@pytest.mark.parametrize("status", sorted(ENDED | {SubscriptionStatus.PAUSED}))
def test_subscription_moved_to_a_foreign_price_still_follows_its_status(
    status: SubscriptionStatus,
) -> None:
    before = only(converged([], a_provider_subscription(metadata=our_metadata())))
    foreign = a_provider_subscription(
        items=["price_unknown"], metadata=our_metadata(), status=status, ended_at=NOW
    )
    result = converged([before], foreign)
    assert (only(result).status, only(result).plan_id) == (status, "pro")
    assert only(result).ended_at == NOW
    assert converged(result.subscriptions, foreign).changed == ()


def test_subscription_vanished_at_the_provider_is_canceled() -> None:
    before = only(converged([], a_provider_subscription(metadata=our_metadata())))
    result = converged([before])
    assert (only(result).status, only(result).ended_at) == (SubscriptionStatus.CANCELED, NOW)
    assert only(result).version == 2
    assert kinds(result) == [(DriftKind.SUBSCRIPTION_VANISHED, DriftAction.REPAIRED)]
    assert converged(result.subscriptions).changed == ()


def test_subscriptions_of_nobody_or_another_provider_do_not_vanish() -> None:
    ours = [
        a_subscription("subs_free"),
        a_subscription("subs_manual", provider="manual", billing_id="x", product_id="b"),
        a_subscription("subs_unlinked", provider="stripe", product_id="c"),
    ]
    result = converged(ours)
    assert (result.changed, result.drifts) == ((), ())


def test_subscriptions_live_twice_for_a_product_are_reported_at_the_later() -> None:
    theirs = [
        a_provider_subscription("sub_2", started_at=later(seconds=9), created_at=later(seconds=9)),
        a_provider_subscription("sub_1"),
        a_provider_subscription("sub_3", items=["price_other"]),
    ]
    result = converged([], *theirs)
    (drift,) = [one for one in result.drifts if one.kind is DriftKind.SUBSCRIPTION_DUPLICATE]
    assert drift.entity == f"subscription:{derived_id('subs_', 'stripe', 'sub_2')}"
    assert drift.action is DriftAction.REPORTED
    assert drift.ours == {"product_id": "app", "also": derived_id("subs_", "stripe", "sub_1")}


# --- drift by name -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": SubscriptionStatus.PAST_DUE}, [DriftKind.SUBSCRIPTION_STATUS]),
        ({"cancel_at": later(days=9)}, [DriftKind.SUBSCRIPTION_CANCELLATION]),
        ({"current_period_end": later(days=62)}, [DriftKind.SUBSCRIPTION_PERIOD]),
        ({"currency": "eur"}, [DriftKind.SUBSCRIPTION_PLAN]),
        ({"url": "https://b.example/x"}, [DriftKind.SUBSCRIPTION_DETAILS]),
        (
            {"status": SubscriptionStatus.CANCELED, "cancel_at": later(days=1)},
            [DriftKind.SUBSCRIPTION_STATUS, DriftKind.SUBSCRIPTION_CANCELLATION],
        ),
    ],
)
def test_drift_is_named_by_what_differs(changes: dict[str, Any], expected: list[DriftKind]) -> None:
    truth = a_provider_subscription(metadata=our_metadata())
    before = only(converged([], truth))
    result = converged([before], replace(truth, **changes))
    assert [drift.kind for drift in result.drifts] == expected


def test_drift_of_quantity_tells_both_sides() -> None:
    metadata = our_metadata(plan_version="pro=2")
    before = only(
        converged([], a_provider_subscription(items={"price_seats": 2}, metadata=metadata))
    )
    after = a_provider_subscription(items={"price_seats": 3}, metadata=metadata)
    (drift,) = converged([before], after).drifts
    assert drift.kind is DriftKind.SUBSCRIPTION_QUANTITY
    assert (drift.ours, drift.theirs) == (
        {"quantities": {"seats": 2}, "addons": []},
        {"quantities": {"seats": 3}, "addons": []},
    )


# --- any truth, any order ------------------------------------------------------------------------------------------


@st.composite
def truths(draw: st.DrawFn) -> ProviderSubscription:
    number = draw(st.integers(1, 4))
    moments = st.sampled_from((START, later(seconds=1), later(seconds=2)))
    return a_provider_subscription(
        f"sub_{number}",
        items=draw(
            st.dictionaries(
                st.sampled_from([*OWNERS, "price_unknown"]),
                st.none() | st.integers(0, 3),
                min_size=1,
                max_size=3,
            )
        ),
        status=draw(st.sampled_from(SubscriptionStatus)),
        created_at=draw(moments),
        started_at=START,
        metadata=draw(
            st.sampled_from(
                [{}, our_metadata("subs_a"), our_metadata("subs_b", plan_version="pro=2")]
            )
        ),
    )


truth_lists = st.lists(truths(), max_size=4, unique_by=lambda held: held.billing_id)


@given(truth_lists, truth_lists, st.data())
def test_convergence_of_any_order_and_repetition_is_the_same(
    past: list[ProviderSubscription], present: list[ProviderSubscription], data: st.DataObject
) -> None:
    ours = converged([], *past).subscriptions
    expected = converged(ours, *present)
    repeated = present + (
        data.draw(st.lists(st.sampled_from(present), max_size=3)) if present else []
    )
    shuffled = data.draw(st.permutations(repeated))
    turned = [replace(held, items=tuple(reversed(held.items))) for held in shuffled]
    assert converged(list(reversed(ours)), *turned).subscriptions == expected.subscriptions


@given(truth_lists, truth_lists)
def test_convergence_of_its_own_result_changes_nothing(
    past: list[ProviderSubscription], present: list[ProviderSubscription]
) -> None:
    ours = converged([], *past).subscriptions
    first = converged(ours, *present)
    again = converged(first.subscriptions, *present, now=later(days=50))
    assert again.changed == ()
    assert again.subscriptions == first.subscriptions
    assert all(drift.action is DriftAction.REPORTED for drift in again.drifts)


@given(truth_lists, truth_lists)
def test_convergence_leaves_no_access_that_the_provider_has_ended(
    past: list[ProviderSubscription], present: list[ProviderSubscription]
) -> None:
    result = converged(converged([], *past).subscriptions, *present)
    statuses = {held.billing_id: held.status for held in present}
    for held in result.subscriptions:
        expected = statuses.get(held.billing_id or "")
        assert held.status is expected or (expected is None and not held.is_live)
    ids = [held.id for held in result.subscriptions]
    assert len(ids) == len(set(ids))


def test_list_read_while_a_subscription_ended_counts_it_as_ended() -> None:
    live = a_provider_subscription(metadata=our_metadata())
    ended = replace(live, status=SubscriptionStatus.CANCELED)
    for theirs in ((live, ended), (ended, live), (live, ended, live)):
        assert only(converged([], *theirs)).status is SubscriptionStatus.CANCELED
