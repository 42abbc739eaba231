from functools import partial
from typing import Any

import pytest

from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.customers import Customer
from chalicelib.domain.decisions import DeniedReason
from chalicelib.domain.errors import (
    AlreadyExistsError,
    NotFoundError,
    StoreConflictError,
    VersionConflictError,
)
from chalicelib.domain.features import FeatureType, Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import document_of
from chalicelib.domain.snapshots import Snapshot
from chalicelib.services.link_customer import link_customer
from chalicelib.services.manage_customers import (
    CustomerDetails,
    create_customer,
    get_customer,
    set_customer_status,
    update_customer,
)
from tests.factories import ACME, a_price, a_value
from tests.fakes.crashes import Interleaving, every_crash, overtakings, schedules
from tests.fakes.world import World, a_cause

ARCHIVED, ACTIVE = Lifecycle.ARCHIVED, Lifecycle.ACTIVE
GHOST = CustomerId("ghost")


def create(world: World, **fields: Any) -> tuple[Customer, bool]:
    fields.setdefault("metadata", {})
    return create_customer(world.ports, a_cause(), ACME, CustomerDetails(**fields))


def update(world: World, version: int | None = None, **changes: Any) -> Customer:
    return update_customer(world.ports, a_cause(), ACME, changes, version)


def set_status(world: World, status: Lifecycle) -> Customer:
    return set_customer_status(world.ports, a_cause(), ACME, status)


# --- creating ---------------------------------------------------------------------------------------------


def test_create_customer_is_known_to_checks_at_once() -> None:
    world = World()
    customer, is_new = create(world, email="a@example.test", name="A", metadata={"k": "v"})
    assert is_new
    assert get_customer(world.ports, ACME) == customer
    assert world.snapshot().version == 1
    world.features(sso=FeatureType.BOOLEAN)
    assert world.check("sso").decision.denied_reason is DeniedReason.NO_ACTIVE_SUBSCRIPTION


def test_create_customer_again_with_the_same_details_returns_it() -> None:
    world = World()
    first, _ = create(world, email="a@example.test")
    assert create(world, email="a@example.test") == (first, False)
    assert len(world.audited("customer:acme")) == 1


@pytest.mark.parametrize(
    "fields", [{"email": "b@example.test"}, {"name": "B"}, {"metadata": {"k": "v"}}]
)
def test_create_customer_again_with_other_details_is_refused(fields: dict[str, Any]) -> None:
    world = World()
    create(world, email="a@example.test")
    with pytest.raises(AlreadyExistsError):
        create(world, **{"email": "a@example.test", **fields})


def test_create_customer_keeps_personal_data_out_of_the_audit_log() -> None:
    world = World()
    create(world, email="a@example.test", name="Secret Name", country="DE", currency="eur")
    update(world, email="b@example.test", name="Other Name")
    assert "Name" not in repr(world.audited("customer:acme"))
    assert "@" not in repr(world.audited("customer:acme"))
    assert world.audited("customer:acme")[0].after == {
        "status": "active",
        "country": "DE",
        "currency": "eur",
        "timezone": None,
        "metadata": {},
        "has_email": True,
        "has_name": True,
    }


def test_create_customer_killed_anywhere_is_finished_by_a_retry() -> None:
    for world in every_crash(World, create):
        create(world)
        assert world.snapshot().version == 1


def test_get_customer_unknown_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        get_customer(World().ports, GHOST)


# --- changing ---------------------------------------------------------------------------------------------


def test_update_customer_raises_its_version_and_tells_what_changed() -> None:
    world = World()
    create(world, country="DE")
    after = update(world, country="FR")
    assert (after.country, after.version) == ("FR", 2)
    entry = world.audited("customer:acme")[-1]
    assert (entry.before, entry.after) == ({"country": "DE"}, {"country": "FR"})


def test_update_customer_to_what_it_is_writes_nothing() -> None:
    world = World()
    before, _ = create(world, name="A")
    commits = len(world.store.commits)
    assert update(world, name="A") == before
    assert len(world.store.commits) == commits


def test_update_customer_seen_at_another_version_is_refused() -> None:
    world = World()
    create(world)
    update(world, name="A")
    with pytest.raises(VersionConflictError):
        update(world, 1, name="B")
    assert update(world, 2, name="B").version == 3


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": "B"}, SyncStatus.PENDING),
        ({"email": "b@example.test"}, SyncStatus.PENDING),
        ({"country": "DE"}, SyncStatus.SYNCED),
        ({"metadata": {"k": "v"}}, SyncStatus.SYNCED),
    ],
)
def test_update_customer_marks_links_only_for_what_providers_show(
    changes: dict[str, Any], status: SyncStatus
) -> None:
    world = World()
    customer, _ = create(world)
    link_customer(world.ports, customer, world.billing)
    assert update(world, **changes).links[0].sync_status is status


def test_update_customers_by_two_at_once_lose_nothing() -> None:
    for schedule in (*overtakings(12), *schedules(3, 3)):
        world = World()
        create(world)
        race = Interleaving(
            world, [partial(update, world, name="A"), partial(update, world, country="DE")]
        )
        race.run(schedule)
        assert race.errors == [None, None], schedule
        assert (world.stored_customer().name, world.stored_customer().country) == ("A", "DE")


def test_update_of_the_time_zone_beside_a_convergence_keeps_both_in_any_order() -> None:
    for schedule in (*overtakings(12), *schedules(3, 3)):
        world = World()
        world.sell("pro", a_price(), entitlements=[a_value("sso", True)])
        world.customer()
        world.buy()
        race = Interleaving(
            world, [partial(update, world, timezone="Europe/Berlin"), world.converge]
        )
        race.run(schedule)
        assert race.errors == [None, None], schedule
        assert document_of(world.snapshot().document)["timezone"] == "Europe/Berlin"
        assert world.check("sso").decision.has_access, schedule


def test_update_customer_seen_at_a_version_that_is_overtaken_is_refused() -> None:
    world = World()
    create(world)

    def overtake(_: object) -> None:
        world.store.before_commit = None
        update(world, country="DE")

    world.store.before_commit = overtake
    with pytest.raises(VersionConflictError):
        update(world, 1, name="A")
    assert world.stored_customer().name is None


def test_update_customer_that_always_loses_is_a_version_conflict() -> None:
    world = World()
    create(world)

    def lose(_: object) -> None:
        raise StoreConflictError("Another writer was first.")

    world.store.before_commit = lose
    with pytest.raises(VersionConflictError):
        update(world, name="A")


# --- archiving --------------------------------------------------------------------------------------------


def a_subscriber() -> World:
    world = World()
    world.sell("pro", a_price(), entitlements=[a_value("sso", True)])
    world.customer()
    world.buy()
    world.converge()
    return world


def test_archive_customer_denies_every_check_and_unarchive_restores_them() -> None:
    world = a_subscriber()
    subscriptions = world.subscriptions()
    version = world.snapshot().version
    set_status(world, ARCHIVED)
    assert world.check("sso").decision.denied_reason is DeniedReason.CUSTOMER_IS_ARCHIVED
    assert world.snapshot().version == version + 1
    set_status(world, ACTIVE)
    assert world.check("sso").decision.has_access
    assert world.subscriptions() == subscriptions
    actions = [entry.action for entry in world.audited("customer:acme")]
    assert actions[-2:] == ["customer.archived", "customer.unarchived"]


def test_archive_customer_archived_already_writes_nothing() -> None:
    world = a_subscriber()
    archived = set_status(world, ARCHIVED)
    commits = len(world.store.commits)
    assert set_status(world, ARCHIVED) == archived
    assert len(world.store.commits) == commits


def test_archive_customer_beside_an_update_keeps_both_in_any_order() -> None:
    for schedule in (*overtakings(12), *schedules(3, 3)):
        world = a_subscriber()
        race = Interleaving(
            world, [partial(set_status, world, ARCHIVED), partial(update, world, name="A")]
        )
        race.run(schedule)
        assert race.errors == [None, None], schedule
        held = world.stored_customer()
        assert (held.name, held.status) == ("A", ARCHIVED)


@pytest.mark.parametrize("missing", [Customer, Snapshot])
def test_archive_customer_unknown_is_not_found(missing: type[Any]) -> None:
    world = World()
    create(world)
    world.store.records.pop((missing, (ACME,)))
    with pytest.raises(NotFoundError):
        set_status(world, ARCHIVED)


def test_archive_customer_killed_anywhere_is_finished_by_a_retry() -> None:
    for world in every_crash(a_subscriber, partial(set_status, status=ARCHIVED)):
        set_status(world, ARCHIVED)
        assert not world.check("sso").decision.has_access
