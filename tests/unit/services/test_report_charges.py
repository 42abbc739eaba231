from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    BillingKeyRejectedError,
    BillingNotConnectedError,
    DomainError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreUnavailableError,
)
from chalicelib.domain.features import Aggregation, FeatureType, Meter, UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.usage_charges import ChargeStatus, UsageCharge
from chalicelib.services.consume import Consumption
from chalicelib.services.record_event import UsageEvent, record_event
from chalicelib.services.report_charges import report_charges, retry_charge
from chalicelib.services.report_usage import UpdateBehavior
from chalicelib.services.reserve import commit_reservation, reserve
from tests.factories import ACME
from tests.fakes.billing import FakeProviders, When
from tests.fakes.crashes import KilledError, Steps, every_crash, every_fault
from tests.fakes.stripe_shop import StripeShop
from tests.fakes.system import START
from tests.fakes.using import a_payer, report, sell_usage, take, used
from tests.fakes.world import World

TURNED_AWAY = (
    BillingNotConnectedError("account_invalid"),
    BillingKeyRejectedError("invalid_api_key"),
)


def a_paying_shop() -> StripeShop:
    shop = StripeShop()
    sell_usage(shop)
    shop.pay()
    return shop


def told(world: World) -> list[int]:
    """The values the provider has, in the order in which it got them."""
    return [usage.value for usage in world.billing.metered.values()]


def charges(world: World) -> list[tuple[ChargeStatus, int]]:
    found = sorted(world.store.all(UsageCharge), key=lambda one: (one.created_at, one.id))
    return [(charge.status, charge.value) for charge in found]


def test_counted_usage_is_told_once_under_its_own_id() -> None:
    world = a_payer()
    report(world, 3, at=START - timedelta(days=1))
    take(world, 4)
    assert told(world) == []
    assert report_charges(world.ports) == 2
    assert report_charges(world.ports) == 0
    assert sorted(told(world)) == [3, 4]
    [first, _] = sorted(world.billing.metered.values(), key=lambda usage: usage.at)
    assert first.at == START - timedelta(days=1)
    assert first.customer_billing_id == world.stored_customer().billing_id("stripe")
    assert set(world.billing.meters) == {first.event_name}


def test_usage_that_nobody_charges_leaves_no_row() -> None:
    world = a_payer()
    world.customer("bob")
    report(world, 3, customer_id="bob")
    world.features(other=FeatureType.METERED)
    report(world, 3, "other")
    report(world, 0)
    assert world.store.all(UsageCharge) == []


def test_set_usage_is_told_as_the_difference() -> None:
    world = a_payer()
    report(world, 3)
    report(world, 10, behavior=UpdateBehavior.SET)
    report_charges(world.ports)
    assert sum(told(world)) == 10


def test_what_goes_up_and_down_is_told_as_it_is() -> None:
    world = a_payer("seats", usage_kind=UsageKind.FLUCTUATING)
    for value in (5, -2):
        report(world, value, "seats")
        world.clock.advance(seconds=1)
    report_charges(world.ports)
    assert sorted(told(world)) == [3, 5]
    assert max(world.billing.metered.values(), key=lambda one: one.at).value == 3


def test_reserved_usage_is_told_when_it_is_used() -> None:
    world = a_payer()
    wanted = Consumption(customer_id=CustomerId(ACME), feature_id="calls", amount=5, key="k")
    made = reserve(world.ports, wanted, 60).reservation
    assert made is not None
    assert world.store.all(UsageCharge) == []
    commit_reservation(world.ports, made.id, 4)
    report_charges(world.ports)
    assert told(world) == [4]


def test_reservation_of_seats_in_a_period_that_is_over_charges_no_more_than_is_used() -> None:
    world = a_payer("seats", usage_kind=UsageKind.FLUCTUATING)
    world.clock.advance(days=31 - START.day, hours=6)
    wanted = Consumption(customer_id=CustomerId(ACME), feature_id="seats", amount=5, key="k")
    made = reserve(world.ports, wanted, 24 * 3600).reservation
    assert made is not None
    world.clock.advance(hours=12)
    report(world, 2, "seats")
    commit_reservation(world.ports, made.id)
    assert used(world, "seats") == 2
    report_charges(world.ports)
    assert told(world) == [2]


def test_reserved_seats_are_told_with_those_in_use() -> None:
    world = a_payer("seats", usage_kind=UsageKind.FLUCTUATING)
    report(world, 2, "seats")
    wanted = Consumption(customer_id=CustomerId(ACME), feature_id="seats", amount=5, key="k")
    made = reserve(world.ports, wanted, 60).reservation
    assert made is not None
    commit_reservation(world.ports, made.id, 4)
    report_charges(world.ports)
    assert sorted(told(world)) == [2, 6]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [(Aggregation.SUM, [7, 9]), (Aggregation.COUNT, [1, 1]), (Aggregation.LATEST, [7, 9])],
)
def test_events_are_told_as_the_meter_adds_them_up(
    aggregation: Aggregation, expected: list[int]
) -> None:
    prop = None if aggregation is Aggregation.COUNT else "n"
    world = a_payer("m", meter=Meter(aggregation=aggregation, property=prop))
    for n in (7, 9):
        event = UsageEvent(customer_id=CustomerId(ACME), name="e", key=str(n), properties={"n": n})
        record_event(world.ports, event)
    report_charges(world.ports)
    assert sorted(told(world)) == expected


def a_day(world: World) -> None:
    """Usage of all kinds, and the sweep after it; may be lived through again after a crash."""
    report(world, 3, key="a")
    report(world, 4, key="b", at=START - timedelta(days=20))
    take(world, 5, key="c")
    report_charges(world.ports)


def next_sweeps(world: World) -> None:
    for _ in range(4):
        world.clock.advance(minutes=10)
        report_charges(world.ports)


def test_sum_at_the_provider_is_ours_whenever_the_process_dies() -> None:
    crashes = 0
    for world in every_crash(a_payer, a_day):
        a_day(world)
        next_sweeps(world)
        assert used(world) == 8
        assert sum(told(world)) == 12
        assert {status for status, _ in charges(world)} == {ChargeStatus.REPORTED}
        crashes += 1
    assert crashes >= 12


def test_sum_at_the_provider_is_ours_after_every_fault() -> None:
    for world, fault in every_fault(a_payer, a_day, methods=["report_usage"]):
        a_day(world)
        next_sweeps(world)
        assert sum(told(world)) == 12, fault
        assert {status for status, _ in charges(world)} == {ChargeStatus.REPORTED}, fault


@pytest.mark.parametrize("kind", ["429", "500_before", "500_after", "timeout_after", "reset"])
@pytest.mark.parametrize("times", [1, 3, 20])
def test_sum_at_stripe_is_ours_after_its_faults(kind: str, times: int) -> None:
    shop = a_paying_shop()
    for value in (3, 4, 5):
        report(shop, value)
    shop.send(
        "POST",
        "/_stand_in/faults",
        {"method": "POST", "path": "/v1/billing/meter_events", "kind": kind, "times": times},
    )
    for _ in range(30):
        report_charges(shop.ports)
        shop.clock.advance(minutes=10)
    events = shop.stand_in.account.store.scan("_meter_event")
    assert sum(int(event["_value"]) for event in events) == 12
    assert {charge.status for charge in shop.store.all(UsageCharge)} == {ChargeStatus.REPORTED}


@pytest.mark.parametrize("step", range(3))
def test_sum_at_stripe_is_ours_when_the_process_dies_in_a_sweep(step: int) -> None:
    shop = a_paying_shop()
    report(shop, 3)
    dying = Steps(shop, step)
    try:
        report_charges(shop.ports)
    except KilledError:
        dying.stop()
    dying.stop()
    shop.clock.advance(minutes=10)
    report_charges(shop.ports)
    events = list(shop.stand_in.account.store.scan("_meter_event"))
    assert [event["_value"] for event in events] == ["3"]


def test_provider_that_is_away_is_asked_once_a_sweep_and_later_told_all() -> None:
    world = a_payer()
    for _ in range(3):
        report(world, 1)
    world.billing.fail("report_usage", ProviderUnavailableError("away"))
    assert report_charges(world.ports) == 0
    assert sum(call.method == "report_usage" for call in world.billing.calls) == 1
    world.clock.advance(minutes=1)
    assert report_charges(world.ports) == 3


def test_refused_charge_is_seen_and_tried_again() -> None:
    world = a_payer()
    report(world, 3)
    refusal = ProviderRefusedError("There is no meter.")
    world.billing.fail("report_usage", refusal, times=2)
    report_charges(world.ports)
    [charge] = world.store.all(UsageCharge)
    assert (charge.status, charge.error) == (ChargeStatus.FAILED, "There is no meter.")
    assert len(world.monitor.named("usage_charge_failed")) == 1
    world.clock.advance(days=2)
    report_charges(world.ports)
    world.clock.advance(days=2)
    assert report_charges(world.ports) == 1
    assert told(world) == [3]


def test_charge_that_is_uncertain_for_a_day_is_left_to_people() -> None:
    world = a_payer()
    report(world, 3)
    lost = ProviderUnavailableError("lost")
    world.billing.fail("report_usage", lost, when=When.AFTER)
    report_charges(world.ports)
    world.clock.advance(hours=23)
    for _ in range(3):
        report_charges(world.ports)
        world.clock.advance(hours=5)
    [charge] = world.store.all(UsageCharge)
    assert charge.status is ChargeStatus.FAILED
    assert sum(call.method == "report_usage" for call in world.billing.calls) == 1
    assert retry_charge(world.ports, charge.id).status is ChargeStatus.REPORTED
    assert retry_charge(world.ports, charge.id).status is ChargeStatus.REPORTED


@pytest.mark.parametrize("is_first_try_lost", [False, True])
def test_refused_usage_says_so_when_nobody_tries_it_again_by_himself(
    is_first_try_lost: bool,
) -> None:
    """Whoever settles it by hand has to know that it can't be charged any more as well."""
    world = a_payer()
    report(world, 3)
    began = world.clock.now()
    if is_first_try_lost:
        world.billing.fail("report_usage", ProviderUnavailableError("Timed out."))
        report_charges(world.ports)
        world.clock.advance(minutes=1)
    world.billing.fail("report_usage", ProviderRefusedError("There is no meter."), times=999)
    report_charges(world.ports)
    [charge] = world.store.all(UsageCharge)
    assert charge.error == "There is no meter."
    while charge.error == "There is no meter.":
        world.clock.advance(hours=1)
        report_charges(world.ports)
        [charge] = world.store.all(UsageCharge)
    assert charge.error is not None
    assert charge.error.startswith("It is too late")
    # At the next try that is due after that.
    limit = timedelta(hours=23) if is_first_try_lost else timedelta(days=35)
    assert limit <= world.clock.now() - began <= limit + timedelta(hours=5)
    calls, alarms = len(world.billing.calls), len(world.monitor.named("usage_charge_failed"))
    world.clock.advance(days=1)
    report_charges(world.ports)
    assert len(world.billing.calls) == calls
    assert len(world.monitor.named("usage_charge_failed")) == alarms


def test_usage_too_old_for_the_provider_is_not_told() -> None:
    world = a_payer()
    report(world, 3)
    world.clock.advance(days=35)
    report_charges(world.ports)
    assert charges(world) == [(ChargeStatus.FAILED, 3)]
    assert told(world) == []


def test_two_sweeps_at_once_tell_each_charge_once() -> None:
    world = a_payer()
    report(world, 3)

    def another(_: object) -> None:
        world.store.before_commit = None
        report_charges(world.ports)

    world.store.before_commit = another
    report_charges(world.ports)
    assert sum(call.method == "report_usage" for call in world.billing.calls) == 1
    assert told(world) == [3]


def test_usage_waits_for_as_long_as_nobody_has_connected_an_account() -> None:
    """Nothing was told, so that even after days there is no doubt whether it is counted there."""
    world = a_payer()
    report(world, 3)
    connected = world.ports.providers
    world.ports = replace(
        world.ports, providers=FakeProviders([world.billing], unconnected=("stripe",))
    )
    for _ in range(12):
        assert report_charges(world.ports) == 0
        world.clock.advance(hours=6)
    assert charges(world) == [(ChargeStatus.PENDING, 3)]
    assert not world.monitor.named("usage_charge_failed")
    world.ports = replace(world.ports, providers=connected)
    assert report_charges(world.ports) == 1
    assert told(world) == [3]


@pytest.mark.parametrize("closed", TURNED_AWAY, ids=str)
def test_usage_that_was_turned_away_at_the_door_waits_for_weeks(closed: DomainError) -> None:
    """It was surely not taken, so that there is no doubt, however late somebody sees to it."""
    world = a_payer()
    report(world, 3)
    world.billing.fail("report_usage", closed, times=4)
    for _ in range(4):
        assert report_charges(world.ports) == 0
        world.clock.advance(hours=12)
    connected = world.ports.providers
    noticed = FakeProviders([world.billing], unconnected=("stripe",))
    world.ports = replace(world.ports, providers=noticed)
    for _ in range(30):
        report_charges(world.ports)
        world.clock.advance(days=1)
    assert charges(world) == [(ChargeStatus.PENDING, 3)]
    assert not world.monitor.named("usage_charge_failed")
    world.ports = replace(world.ports, providers=connected)
    assert report_charges(world.ports) == 1
    assert told(world) == [3]


@pytest.mark.parametrize("closed", TURNED_AWAY, ids=str)
def test_usage_is_in_doubt_from_the_first_try_that_nobody_answered(closed: DomainError) -> None:
    """A refusal before it leaves no doubt, one after it takes none away."""
    world = a_payer()
    report(world, 3)
    world.billing.fail("report_usage", closed)
    report_charges(world.ports)
    world.clock.advance(hours=20)
    world.billing.fail("report_usage", ProviderUnavailableError("Timed out."), when=When.AFTER)
    report_charges(world.ports)
    in_doubt = world.clock.now()
    world.billing.fail("report_usage", closed, times=99)
    while charges(world) == [(ChargeStatus.PENDING, 3)]:
        world.clock.advance(hours=1)
        report_charges(world.ports)
    assert charges(world) == [(ChargeStatus.FAILED, 3)]
    # At the next try that is due after a day less an hour.
    assert timedelta(hours=23) <= world.clock.now() - in_doubt <= timedelta(hours=28)


def test_server_error_that_is_final_under_its_key_leaves_the_doubt() -> None:
    world = a_payer()
    report(world, 3)
    failed = ProviderUnavailableError("Failed.", definite=True)
    world.billing.fail("report_usage", failed, when=When.STORED)
    report_charges(world.ports)
    assert told(world) == [3]
    world.clock.advance(hours=23)
    report_charges(world.ports)
    assert charges(world) == [(ChargeStatus.FAILED, 3)]


def test_try_that_never_came_to_the_provider_leaves_no_doubt() -> None:
    world = a_payer()
    report(world, 3)

    def unread(kind: type[object], _: object) -> None:
        if kind is Customer:
            raise StoreUnavailableError("away")

    world.store.on_get = unread
    with pytest.raises(StoreUnavailableError):
        report_charges(world.ports)
    world.store.on_get = None
    world.clock.advance(days=2)
    assert report_charges(world.ports) == 1


def test_refused_usage_is_tried_again_however_much_was_given_up_before_it() -> None:
    world = a_payer()
    report(world, 3)
    world.billing.fail("report_usage", ProviderRefusedError("There is no meter."))
    world.clock.advance(days=40)
    report_charges(world.ports)
    [over] = world.store.all(UsageCharge)
    assert over.status is ChargeStatus.FAILED
    for number in range(500):
        world.put(replace(over, id=f"chg_over_{number:03d}"))
    report(world, 4)
    report_charges(world.ports)
    world.clock.advance(hours=1)
    assert report_charges(world.ports) == 1
    assert told(world) == [4]


def test_refused_usage_is_tried_again_however_much_was_refused_after_it() -> None:
    world = a_payer()
    report(world, 3)
    world.billing.fail("report_usage", ProviderRefusedError("There is no meter."))
    report_charges(world.ports)
    [refused] = world.store.all(UsageCharge)
    world.clock.advance(minutes=1)
    now = world.clock.now()
    of_nobody = replace(refused, customer_id=CustomerId("nobody"), created_at=now, updated_at=now)
    for number in range(600):
        world.put(replace(of_nobody, id=f"chg_of_nobody_{number:03d}"))
    world.clock.advance(hours=5)
    sweeps = 0
    while not report_charges(world.ports):
        world.clock.advance(minutes=1)
        sweeps += 1
        assert sweeps < 5
    assert told(world) == [3]


def test_usage_that_was_perhaps_told_before_the_connection_ended_stays_in_doubt() -> None:
    world = a_payer()
    report(world, 3)
    world.billing.fail("report_usage", ProviderUnavailableError("Timed out."), when=When.AFTER)
    report_charges(world.ports)
    world.billing.fail("report_usage", BillingNotConnectedError("Ended there."), times=99)
    for _ in range(6):
        world.clock.advance(hours=6)
        report_charges(world.ports)
    assert charges(world) == [(ChargeStatus.FAILED, 3)]
