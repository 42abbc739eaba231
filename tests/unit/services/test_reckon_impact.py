"""What a draft would mean for those who subscribe: counted exactly, a few at once and many in slices."""

from typing import Any

import pytest

from chalicelib.domain.errors import NothingToPublishError
from chalicelib.domain.impacts import Effect, ImpactRun, ImpactStatus, Tally, whole_minor_units
from chalicelib.domain.prices import BillingPeriod
from chalicelib.ports import Counter, QueueName
from chalicelib.services import reckon_impact as module
from chalicelib.services.diff_package import PackageDiff, diff_package
from chalicelib.services.edit_package import edit_package
from chalicelib.services.publish_package import publish_package
from chalicelib.services.reckon_impact import continue_impact, start_impact
from tests.factories import a_limit, a_price, a_value
from tests.fakes.crashes import every_crash
from tests.fakes.migrating import EVERYBODY, FREE, PLAN, PRO, Countdown, Shop
from tests.fakes.world import World, a_cause

NAMES = ("ann", "bob", "eve")


def diff(shop: World, package_id: Any = PRO) -> PackageDiff:
    return diff_package(shop.ports, PLAN, package_id)


def count(tally: Tally, feature_id: str, effect: Effect) -> int:
    return tally.features[feature_id].counts.get(effect, 0) if feature_id in tally.features else 0


def money(tally: Tally) -> dict[str, tuple[int, int]]:
    return {
        currency: (whole_minor_units(held.before), whole_minor_units(held.after))
        for currency, held in tally.money.items()
    }


def test_impact_counts_who_gains_loses_and_has_less() -> None:
    shop = Shop()
    shop.subscribe_pro(*NAMES)
    shop.draft()
    tally = diff(shop).impact.tally
    assert tally.by_version == {1: 3}
    assert count(tally, "sso", Effect.GAINED) == 3
    assert count(tally, "calls", Effect.LOWERED) == 3
    assert sorted(tally.features["sso"].customers[Effect.GAINED]) == list(NAMES)
    shop.draft(entitlements=())
    assert count(diff(shop).impact.tally, "calls", Effect.LOST) == 3
    shop.draft(entitlements=(a_limit("calls", None),))
    assert count(diff(shop).impact.tally, "calls", Effect.RAISED) == 3


def test_impact_counts_those_who_use_more_than_the_new_limit_today() -> None:
    shop = Shop()
    shop.subscribe_free(*NAMES)
    shop.reader.usage = {
        "ann": {"calls": Counter(50, 0)},
        "bob": {"calls": Counter(51, 0)},
        "eve": {"calls": Counter(500, 0)},
    }
    shop.draft(FREE)
    tally = diff(shop, FREE).impact.tally
    # eve is over the present limit already.
    assert count(tally, "calls", Effect.OVER_LIMIT) == 1
    assert tally.features["calls"].customers[Effect.OVER_LIMIT] == ("bob",)


def test_impact_leaves_out_what_another_source_makes_up_for() -> None:
    shop = Shop()
    shop.subscribe_free("ann")
    shop.subscribe_pro("bob")
    shop.draft()
    tally = diff(shop).impact.tally
    assert tally.by_version == {1: 1}


def test_impact_adds_up_monthly_money_of_those_who_pay() -> None:
    shop = Shop()
    shop.subscribe_pro(*NAMES)
    shop.draft(prices=(a_price("monthly", 1234),))
    tally = diff(shop).impact.tally
    assert money(tally) == {"usd": (3000, 3702)}
    assert tally.unpriced == 0


def test_impact_counts_those_for_whom_there_is_no_price() -> None:
    shop = Shop()
    shop.subscribe_pro(*NAMES)
    shop.draft(prices=(a_price("yearly", 1, billing_period=BillingPeriod.YEAR),))
    tally = diff(shop).impact.tally
    assert (tally.unpriced, money(tally)) == (3, {"usd": (3000, 3000)})


def test_impact_counts_subscribers_of_every_version() -> None:
    shop = Shop()
    shop.subscribe_free("ann")
    shop.draft(FREE, entitlements=(a_limit("calls", 70),))
    publish_package(shop.ports, a_cause("2"), PLAN, FREE)
    shop.subscribe_free("bob")
    shop.draft(FREE, entitlements=(a_limit("calls", 80),))
    tally = diff(shop, FREE).impact.tally
    assert tally.by_version == {1: 1, 2: 1}
    assert count(tally, "calls", Effect.LOWERED) == 1
    assert count(tally, "calls", Effect.RAISED) == 1


def test_diff_without_a_draft_is_refused() -> None:
    shop = Shop()
    with pytest.raises(NothingToPublishError):
        diff(shop)
    with pytest.raises(NothingToPublishError):
        start_impact(shop.ports, PLAN, PRO)


def test_diff_of_a_draft_that_can_not_be_published_is_shown_all_the_same() -> None:
    shop = Shop()
    shop.subscribe_pro("ann")
    edit_package(
        shop.ports, a_cause(), PLAN, PRO, {"entitlements": (a_value("no-such-feature", True),)}
    )
    found = diff(shop)
    assert found.impact.tally.subscribers == 1


def many(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> Shop:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(module, "_SLICE", 1)
    shop.subscribe_free(*NAMES)
    shop.draft(FREE)
    return shop


def work(world: World, seconds: float = 60, costs: float = 0) -> None:
    while any(one.queue is QueueName.MIGRATE for one in world.queue.messages):
        world.queue.drain(
            QueueName.MIGRATE,
            lambda message: continue_impact(world.ports, PLAN, FREE, Countdown(seconds, costs)),
        )


def test_many_subscribers_are_counted_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = many(monkeypatch, Shop())
    assert diff(shop, FREE).impact.status is ImpactStatus.NOT_STARTED
    assert start_impact(shop.ports, PLAN, FREE).status is ImpactStatus.RUNNING
    continue_impact(shop.ports, PLAN, FREE, Countdown(60, costs=10))
    assert diff(shop, FREE).impact.status is ImpactStatus.RUNNING
    work(shop, costs=10)
    impact = diff(shop, FREE).impact
    assert impact.status is ImpactStatus.COMPLETE
    assert impact.tally.by_version == {1: 3}
    assert count(impact.tally, "calls", Effect.LOWERED) == 3


def test_count_killed_at_any_step_counts_everybody_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Shop:
        shop = many(monkeypatch, Shop())
        start_impact(shop.ports, PLAN, FREE)
        return shop

    for world in every_crash(make, work):
        start_impact(world.ports, PLAN, FREE)
        work(world)
        [run] = world.store.all(ImpactRun)
        assert (run.status, run.tally.by_version) == (ImpactStatus.COMPLETE, {1: 3})


def test_count_of_a_draft_that_changed_meanwhile_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = many(monkeypatch, Shop())
    start_impact(shop.ports, PLAN, FREE)
    shop.draft(FREE, name="Other")
    work(shop)
    assert shop.store.all(ImpactRun)[0].status is ImpactStatus.STALE
    assert diff(shop, FREE).impact.status is ImpactStatus.NOT_STARTED
    start_impact(shop.ports, PLAN, FREE)
    work(shop)
    assert diff(shop, FREE).impact.status is ImpactStatus.COMPLETE


def test_impact_tells_what_the_migration_then_does() -> None:
    shop = Shop()
    shop.subscribe_pro(*NAMES)
    shop.draft(prices=(a_price("monthly", 1500),))
    expected = diff(shop).impact.tally
    before = {name: shop.check("sso", customer_id=name).decision.has_access for name in NAMES}
    shop.roll_out(rollout=EVERYBODY)
    shop.work()
    after = {name: shop.check("sso", customer_id=name).decision.has_access for name in NAMES}
    gained = [name for name in NAMES if after[name] and not before[name]]
    assert tuple(gained) == tuple(sorted(expected.features["sso"].customers[Effect.GAINED]))
