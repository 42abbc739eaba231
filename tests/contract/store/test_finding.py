"""Records are found by the one field that their kind is indexed by."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.customers import Customer
from chalicelib.domain.features import Feature
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.ports import Absent, AtRevision, Delete, Put
from tests.contract.store.records import a_claim, a_customer, a_task, an_event
from tests.contract.store.worlds import START, World, drain, ids

EMAIL = "a@example.test"


def test_customers_are_found_by_exactly_their_email(world: World) -> None:
    emails = [EMAIL, EMAIL, "A@example.test", "a@example.tes", "a@example.test2", "", None, "a#b@c"]
    for number, email in enumerate(emails):
        world.store.commit(Put(a_customer(f"c{number}", email=email), Absent()))

    def found(email: str) -> list[str]:
        return ids(list(world.store.find_by(Customer, "email", email).items))

    assert found(EMAIL) == ["c0", "c1"]
    assert found("A@example.test") == ["c2"]
    assert found("a#b@c") == ["c7"]
    assert found("a") == found("") == found("x" * 4000) == found("\ud800") == []


def test_customer_is_found_by_its_new_email_and_no_more_by_its_old_one(world: World) -> None:
    world.store.commit(Put(a_customer(email=EMAIL), Absent()))
    world.store.commit(Put(a_customer(email="b@example.test", version=2), AtRevision(number=1)))
    assert world.store.find_by(Customer, "email", EMAIL).items == ()
    [found] = world.store.find_by(Customer, "email", "b@example.test").items
    assert found.version == 2
    world.store.commit(Delete(found, AtRevision(number=2)))
    assert world.store.find_by(Customer, "email", "b@example.test").items == ()


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_tasks_are_found_by_status_in_the_order_of_their_making(
    world: World, limit: int, newest_first: bool
) -> None:
    # Ids that sort otherwise, a second's fractions, and two of the same instant.
    minutes = {"z": 0, "y": 0.0001, "x": 0.5, "w": 1, "v": 1, "u": 60 * 24 * 400}
    for task_id, minute in minutes.items():
        world.store.commit(Put(a_task(task_id, minute), Absent()))
    world.store.commit(Put(a_task("done", 0.7, status=SyncTaskStatus.SUCCEEDED), Absent()))

    found = drain(
        lambda **page: world.store.find_by(SyncTask, "status", SyncTaskStatus.PENDING, **page),
        limit=limit,
        newest_first=newest_first,
    )

    expected = ["z", "y", "x", "v", "w", "u"]
    assert ids(found) == (expected[::-1] if newest_first else expected)


def test_events_are_found_by_status_in_the_order_of_their_arrival(world: World) -> None:
    for event_id, minute in {"c": 1, "b": 2, "a": 3}.items():
        world.store.commit(Put(an_event(event_id, minute), Absent()))
    done = an_event("d", 4, status=BillingEventStatus.PROCESSED)
    world.store.commit(Put(done, Absent()))

    def found(status: BillingEventStatus) -> list[str]:
        return ids(list(world.store.find_by(BillingEvent, "status", status).items))

    assert found(BillingEventStatus.PENDING) == ["c", "b", "a"]
    assert found(BillingEventStatus.PROCESSED) == ["d"]
    assert found(BillingEventStatus.FAILED) == []


def test_work_that_leaves_the_list_while_it_is_paged_through_hides_no_other(world: World) -> None:
    for number in range(7):
        world.store.commit(Put(an_event(f"e{number}", number), Absent()))
    handled: list[str] = []
    cursor: str | None = None
    while True:
        page = world.store.find_by(
            BillingEvent, "status", BillingEventStatus.PENDING, limit=2, cursor=cursor
        )
        for event in page.items:
            done = replace(event, status=BillingEventStatus.PROCESSED, revision=2)
            world.store.commit(Put(done, AtRevision(number=1)))
            handled.append(event.id)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert handled == [f"e{number}" for number in range(7)]


@pytest.mark.parametrize(("kind", "by"), [(Feature, "name"), (Customer, "name"), (SyncTask, "id")])
def test_field_that_is_not_indexed_is_refused_and_not_empty(
    world: World, kind: type[Customer], by: str
) -> None:
    with pytest.raises(ValueError, match=f"not found by {by}"):
        world.store.find_by(kind, by, "x")


def test_expired_idempotency_record_is_there_for_nobody(world: World) -> None:
    kind = type(a_claim(START))
    claim = a_claim(START + timedelta(hours=24))
    world.store.commit(Put(claim, Absent()))
    world.clock.advance(hours=24, seconds=-1)
    assert world.store.get(kind, "k") == claim

    world.clock.advance(seconds=1)

    assert world.store.get(kind, "k") is None
    later = a_claim(START + timedelta(hours=48), revision=5)
    world.store.commit(Put(later, Absent()))
    assert world.store.get(kind, "k") == later


def test_expiry_within_a_second_counts_from_its_end_for_reads_and_writes_alike(
    world: World,
) -> None:
    claim = a_claim(START + timedelta(milliseconds=300))
    world.store.commit(Put(claim, Absent()))
    world.clock.advance(milliseconds=900)
    assert world.store.get(type(claim), "k") == claim
    world.clock.advance(milliseconds=100)
    assert world.store.get(type(claim), "k") is None
    world.store.commit(Put(claim, Absent()))


def test_record_that_is_merely_old_stays_until_it_is_swept(world: World) -> None:
    world.store.commit(
        Put(an_event("e"), Absent()), Put(a_task("t", status=SyncTaskStatus.SUCCEEDED), Absent())
    )
    world.clock.advance(days=365)
    assert world.store.get(BillingEvent, "e") is not None
    assert world.store.get(SyncTask, "t") is not None
