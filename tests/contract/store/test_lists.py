"""A list holds the records within an identity, all of them, in order, once."""

import pytest

from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.billing_events import BillingEvent
from chalicelib.domain.customers import Customer
from chalicelib.domain.features import Feature
from chalicelib.domain.plans import Package, PackageKind, PackageVersion
from chalicelib.domain.references import Reference
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Absent, Anyhow, Put, Record
from tests.contract.store.records import a_customer, a_feature, a_version, an_entry
from tests.contract.store.worlds import World, drain, ids

ALIKE = ["a", "a.b", "ab", "a-b", "A", "a:b", "a#b", "a%23b", "b", "é", "z"]


def put(world: World, *records: Record) -> None:
    for start in range(0, len(records), 100):
        world.store.commit(*(Put(record, Absent()) for record in records[start : start + 100]))


@pytest.mark.parametrize("package_id", ALIKE)
def test_list_within_an_id_leaves_out_ids_that_begin_with_it(world: World, package_id: str) -> None:
    put(world, *(a_version(one, number) for one in ALIKE for number in (1, 2)))
    put(world, *(a_version(one, 3, PackageKind.ADDON) for one in ALIKE))

    found = world.store.list_within(PackageVersion, "plan", package_id).items
    addons = world.store.list_within(PackageVersion, "addon", package_id).items

    assert found == (a_version(package_id, 1), a_version(package_id, 2))
    assert addons == (a_version(package_id, 3, PackageKind.ADDON),)


def test_list_is_in_the_order_of_its_ids_and_backwards_if_asked(world: World) -> None:
    names = sorted(["a", "a.b", "ab", "a-b", "A", "a:b", "b", "é", "z", "0", "~"])
    put(world, *(a_feature(name) for name in reversed(names)))
    assert ids(list(world.store.list_within(Feature).items)) == names
    backwards = world.store.list_within(Feature, newest_first=True).items
    assert ids(list(backwards)) == names[::-1]


def test_versions_are_in_the_order_of_their_numbers(world: World) -> None:
    numbers = [1, 2, 9, 10, 11, 99, 100, 1000]
    put(world, *(a_version(number=number) for number in numbers[::-1]))
    found = world.store.list_within(PackageVersion, "plan", "pro").items
    assert [version.number for version in found] == numbers
    [newest] = world.store.list_within(
        PackageVersion, "plan", "pro", limit=1, newest_first=True
    ).items
    assert newest.number == 1000


def test_list_of_one_kind_leaves_out_the_other_kinds_of_its_partition(world: World) -> None:
    put(world, a_customer(), a_version(), a_feature(), an_entry("customer:acme", "1"))
    assert world.store.list_within(Subscription, "acme").items == ()
    assert world.store.list_within(Package, "plan").items == ()


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 7, 12, 13, 100])
def test_pages_hold_everything_once_and_end_where_they_say(
    world: World, limit: int, newest_first: bool
) -> None:
    put(world, *(an_entry("plan:pro", f"{number:02}") for number in range(13)))
    put(world, an_entry("plan:pro2", "05"), an_entry("plan:p", "05"))

    found = drain(
        lambda **page: world.store.list_within(AuditEntry, "plan:pro", **page),
        limit=limit,
        newest_first=newest_first,
    )

    expected = [f"{number:02}" for number in range(13)]
    assert ids(found) == (expected[::-1] if newest_first else expected)


@pytest.mark.parametrize("newest_first", [False, True])
def test_page_that_is_just_full_is_the_last_one(world: World, newest_first: bool) -> None:
    put(world, *(a_feature(name) for name in "abc"))
    page = world.store.list_within(Feature, limit=3, newest_first=newest_first)
    assert (len(page.items), page.next_cursor) == (3, None)
    assert world.store.list_within(Feature, limit=2).next_cursor is not None


def test_record_written_or_deleted_between_two_pages_moves_no_other(world: World) -> None:
    put(world, *(a_feature(name) for name in "bcdf"))
    first = world.store.list_within(Feature, limit=2)
    put(world, a_feature("a"), a_feature("e"))
    world.store.commit(Put(a_feature("b", version=2), Anyhow()))
    second = world.store.list_within(Feature, limit=9, cursor=first.next_cursor)
    assert ids([*first.items, *second.items]) == ["b", "c", "d", "e", "f"]


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_list_of_customers_holds_all_of_them_once(world: World, limit: int) -> None:
    emails = [None, "same@example.test", "Ü@example.test", "a#b@example.test"]
    put(world, *(a_customer(f"c{n}", email=emails[n % 4]) for n in range(41)))
    found = drain(lambda **page: world.store.list_within(Customer, **page), limit=limit)
    assert sorted(ids(found)) == sorted(f"c{n}" for n in range(41))


def test_list_of_customers_is_empty_without_any(world: World) -> None:
    page = world.store.list_within(Customer)
    assert (page.items, page.next_cursor) == ((), None)


def test_list_within_what_can_not_be_an_id_is_empty(world: World) -> None:
    assert world.store.list_within(Subscription, "x" * 3000).items == ()
    assert world.store.list_within(Subscription, "\ud800").items == ()


@pytest.mark.parametrize(
    ("kind", "within"),
    [
        (BillingEvent, ()),  # no partition holds all of them
        (PackageVersion, ()),
        (PackageVersion, ("plan",)),
        (PackageVersion, ("plan", "pro", "0000000001")),  # a whole identity is a get
        (Customer, ("acme",)),
        (Reference, ("stripe_customer",)),
        (Subscription, ()),
    ],
)
def test_list_that_no_key_leads_to_is_refused_and_not_empty(
    world: World, kind: type[Record], within: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="no list of"):
        world.store.list_within(kind, *within)


@pytest.mark.parametrize("limit", [0, -1])
def test_page_of_no_items_is_refused(world: World, limit: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        world.store.list_within(Feature, limit=limit)
    with pytest.raises(ValueError, match="at least one"):
        world.store.find_by(Customer, "email", "a@example.test", limit=limit)
