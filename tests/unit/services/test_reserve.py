from dataclasses import replace

import pytest

from chalicelib.domain.decisions import DeniedReason
from chalicelib.domain.entitlements import ResetAnchor, ResetPeriod
from chalicelib.domain.errors import (
    IdempotencyKeyReusedError,
    InUseError,
    InvalidError,
    NotFoundError,
    ReservationExpiredError,
    ReservationSettledError,
    StoreUnavailableError,
)
from chalicelib.domain.features import UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.usage import Counter
from chalicelib.domain.usage_records import Reservation, ReservationStatus
from chalicelib.services.consume import Consumption
from chalicelib.services.reserve import (
    MAX_OPEN,
    Reserved,
    commit_reservation,
    release_reservation,
    reserve,
)
from tests.factories import ACME, a_limit
from tests.fakes.system import START
from tests.fakes.using import a_user, report, take, used
from tests.fakes.world import World

OVER = DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT


def book(
    world: World,
    amount: int = 4,
    feature_id: str = "calls",
    *,
    seconds: int = 60,
    key: str | None = None,
    customer_id: str = ACME,
) -> Reserved:
    wanted = Consumption(
        customer_id=CustomerId(customer_id),
        feature_id=feature_id,
        amount=amount,
        key=key or world.ids.new("key_"),
    )
    return reserve(world.ports, wanted, seconds)


def booked(world: World, amount: int = 4, feature_id: str = "calls", seconds: int = 60) -> str:
    made = book(world, amount, feature_id, seconds=seconds).reservation
    assert made is not None
    return made.id


def hours(world: World, feature_id: str = "calls") -> dict[int, int]:
    return dict(world.ports.usage.hours(ACME, feature_id, 0, epoch_ms(START) * 2))


def test_reservation_counts_against_the_limit_and_is_no_usage_yet() -> None:
    world = a_user()
    made = book(world, 4)
    assert made.checked.decision.has_access
    assert made.checked.decision.remaining == 6
    assert used(world) == 4
    assert take(world, 7).decision.denied_reason is OVER
    assert take(world, 6).decision.has_access
    assert hours(world) == {epoch_ms(START): 6}


def test_reservation_over_the_limit_is_denied_and_leaves_nothing() -> None:
    world = a_user()
    denied = book(world, 11)
    assert denied.checked.decision.denied_reason is OVER
    assert denied.reservation is None
    assert world.store.all(Reservation) == []
    stranger = book(world, 1, customer_id="nobody").checked.decision
    assert stranger.denied_reason is DeniedReason.CUSTOMER_NOT_FOUND


def test_commit_uses_it_and_gives_the_rest_back() -> None:
    world = a_user()
    reservation_id = booked(world, 4)
    done = commit_reservation(world.ports, reservation_id, 3)
    assert (done.status, done.committed) == (ReservationStatus.COMMITTED, 3)
    assert used(world) == 3
    assert hours(world) == {epoch_ms(START): 3}
    world.clock.advance(hours=1)
    assert used(world) == 3


@pytest.mark.parametrize(("amount", "after"), [(None, 4), (0, 0)])
def test_commit_takes_all_or_nothing_too(amount: int | None, after: int) -> None:
    world = a_user()
    commit_reservation(world.ports, booked(world), amount)
    assert used(world) == after


def test_commit_of_more_than_was_reserved_is_refused() -> None:
    world = a_user()
    reservation_id = booked(world, 4)
    with pytest.raises(InvalidError):
        commit_reservation(world.ports, reservation_id, 5)
    assert used(world) == 4


def test_commit_repeated_changes_nothing_and_with_another_amount_is_refused() -> None:
    world = a_user()
    reservation_id = booked(world)
    first = commit_reservation(world.ports, reservation_id, 3)
    world.clock.advance(days=30)
    assert commit_reservation(world.ports, reservation_id, 3) == first
    with pytest.raises(ReservationSettledError):
        commit_reservation(world.ports, reservation_id, 2)
    with pytest.raises(ReservationSettledError):
        release_reservation(world.ports, reservation_id)
    assert used(world) == 3


def test_release_gives_all_of_it_back_once() -> None:
    world = a_user()
    reservation_id = booked(world)
    first = release_reservation(world.ports, reservation_id)
    assert first.status is ReservationStatus.RELEASED
    assert release_reservation(world.ports, reservation_id) == first
    assert used(world) == 0
    with pytest.raises(ReservationSettledError):
        commit_reservation(world.ports, reservation_id)


def test_reservation_that_ends_is_free_at_that_instant_without_a_job() -> None:
    world = a_user()
    reservation_id = booked(world, 10, seconds=60)
    ends = epoch_ms(START) + 60_000
    assert world.check("calls").decision.valid_until_ms == ends
    world.clock.advance(seconds=59)
    assert take(world).decision.denied_reason is OVER
    world.clock.advance(seconds=1)
    assert used(world) == 0
    with pytest.raises(ReservationExpiredError):
        commit_reservation(world.ports, reservation_id)
    assert take(world, 10).decision.has_access
    assert world.reader.usage[ACME]["calls"] == Counter(10, 0)
    assert world.reader.ledger.holds[ACME] == {}
    with pytest.raises(ReservationExpiredError):
        commit_reservation(world.ports, reservation_id)
    assert release_reservation(world.ports, reservation_id).status is ReservationStatus.RELEASED
    assert used(world) == 10


def test_ended_reservations_are_struck_out_by_whoever_counts_next() -> None:
    world = a_user()
    for amount in (1, 2, 3):
        booked(world, amount, seconds=amount * 10)
    world.clock.advance(seconds=25)
    report(world, 5)
    assert used(world) == 8
    [left] = world.reader.ledger.holds[ACME].values()
    assert left.amount == 3
    assert world.reader.usage[ACME]["calls"] == Counter(8, 0, held=3)


def test_reservation_can_be_released_after_its_end_too() -> None:
    world = a_user()
    reservation_id = booked(world)
    world.clock.advance(hours=1)
    release_reservation(world.ports, reservation_id)
    assert world.reader.usage[ACME]["calls"] == Counter(0, 0)


def test_reservation_of_a_period_that_is_over_changes_no_counter() -> None:
    limit = a_limit("calls", 10, reset_period=ResetPeriod.HOUR, reset_anchor=ResetAnchor.CALENDAR)
    world = a_user(limit)
    first, second = booked(world, 4, seconds=7200), booked(world, 5, seconds=7200)
    world.clock.advance(hours=1)
    assert used(world) == 0
    take(world, 9)
    commit_reservation(world.ports, first)
    release_reservation(world.ports, second)
    assert used(world) == 9
    assert hours(world) == {epoch_ms(START): 4, epoch_ms(START) + 3_600_000: 9}
    assert world.reader.ledger.holds[ACME] == {}


def test_key_reserves_once() -> None:
    world = a_user()
    first = book(world, 4, key="k")
    assert book(world, 4, key="k") == first
    assert used(world) == 4
    with pytest.raises(IdempotencyKeyReusedError):
        book(world, 5, key="k")
    with pytest.raises(IdempotencyKeyReusedError):
        take(world, 4, key="k")


def test_what_is_set_does_not_touch_what_is_reserved() -> None:
    world = a_user(a_limit("seats", 10), seats=UsageKind.FLUCTUATING)
    reservation_id = booked(world, 3, "seats")
    report(world, 2, "seats")
    assert used(world, "seats") == 5
    report(world, -2, "seats")
    with pytest.raises(InvalidError):
        report(world, -1, "seats")
    commit_reservation(world.ports, reservation_id, 2)
    assert used(world, "seats") == 2
    assert hours(world, "seats") == {epoch_ms(START): 2}


def test_customer_has_so_many_reservations_and_no_more() -> None:
    world = a_user(a_limit("calls", None))
    for _ in range(MAX_OPEN):
        booked(world, 1)
    with pytest.raises(InUseError):
        booked(world, 1)
    world.clock.advance(hours=1)
    booked(world, 1)
    assert len(world.reader.ledger.holds[ACME]) == 1


def test_unknown_reservation_is_not_found() -> None:
    world = a_user()
    for settle in (commit_reservation, release_reservation):
        with pytest.raises(NotFoundError):
            settle(world.ports, "resv_none")


def test_reservation_that_ends_while_it_is_committed_is_refused() -> None:
    world = a_user()
    reservation_id = booked(world, 10, seconds=60)

    def end(_: object) -> None:
        world.store.before_commit = None
        world.clock.advance(seconds=60)
        take(world, 10)

    world.store.before_commit = end
    with pytest.raises(ReservationExpiredError):
        commit_reservation(world.ports, reservation_id)
    assert used(world) == 10


def test_release_that_others_always_overtake_is_unavailable_and_changes_nothing() -> None:
    world = a_user()
    reservation_id = booked(world, 4)

    def overtake(_: object) -> None:
        held = world.store.get(Reservation, reservation_id)
        assert held is not None
        key = (Reservation, (reservation_id,))
        world.store.records[key] = replace(held, revision=held.revision + 1)

    world.store.before_commit = overtake
    with pytest.raises(StoreUnavailableError):
        release_reservation(world.ports, reservation_id)
    world.store.before_commit = None
    assert used(world) == 4
    assert release_reservation(world.ports, reservation_id).status is ReservationStatus.RELEASED
