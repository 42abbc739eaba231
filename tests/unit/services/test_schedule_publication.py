"""Drafts that are published when their time has come: exactly once, or with a visible reason why not."""

from datetime import timedelta

import pytest

from chalicelib.domain.due_publications import DuePublication
from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    NothingToPublishError,
    StoreUnavailableError,
)
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import Package, Rollout
from chalicelib.services.edit_package import delete_draft
from chalicelib.services.publish_package import publish_package
from chalicelib.services.schedule_publication import (
    cancel_scheduled_publication,
    publish_due,
    schedule_publication,
)
from tests.factories import a_feature, later
from tests.fakes.crashes import every_crash
from tests.fakes.migrating import EVERYBODY, FREE, PLAN, PRO, Shop
from tests.fakes.system import START
from tests.fakes.world import World, a_cause

TOMORROW = later(days=1)
NEW = Rollout()


def a_scheduled_shop(rollout: Rollout = NEW) -> Shop:
    shop = Shop()
    shop.subscribe_free("ann")
    shop.draft(FREE)
    schedule_publication(shop.ports, a_cause("s"), PLAN, FREE, TOMORROW, rollout)
    return shop


def package(shop: World, package_id: PackageId = FREE) -> Package:
    found = shop.store.get(Package, PLAN, package_id)
    assert found is not None
    return found


def test_draft_is_published_when_its_time_has_come_and_not_before() -> None:
    shop = a_scheduled_shop()
    shop.clock.advance(hours=23, minutes=59)
    assert publish_due(shop.ports) == 0
    assert package(shop).published_version == 1
    shop.clock.advance(minutes=1)
    assert publish_due(shop.ports) == 1
    assert package(shop).published_version == 2
    assert package(shop).scheduled is None
    assert not shop.store.all(DuePublication)


def test_publication_happens_once_however_often_it_is_looked_for() -> None:
    shop = a_scheduled_shop()
    shop.clock.advance(days=2)
    for _ in range(3):
        publish_due(shop.ports)
    assert package(shop).latest_version == 2
    published = [one for one in shop.audited("plan:free") if one.action == "plan.published"]
    assert len(published) == 1


def test_remainder_of_a_publication_that_happened_publishes_no_later_draft() -> None:
    shop = a_scheduled_shop()
    [due] = shop.store.all(DuePublication)
    shop.clock.advance(days=2)
    publish_due(shop.ports)
    shop.put(due)
    shop.draft(FREE, name="Later")
    publish_due(shop.ports)
    assert package(shop).latest_version == 2
    assert not shop.store.all(DuePublication)


def test_scheduled_publication_killed_at_any_step_happens_once() -> None:
    def make() -> World:
        shop = a_scheduled_shop(EVERYBODY)
        shop.clock.advance(days=2)
        return shop

    for world in every_crash(make, lambda world: publish_due(world.ports)):
        publish_due(world.ports)
        assert package(world).latest_version == 2
        assert isinstance(world, Shop)
        world.recover()
        assert world.versions("free") == {"ann": 2}


def test_scheduled_publication_migrates_as_it_was_told() -> None:
    shop = a_scheduled_shop(EVERYBODY)
    shop.clock.advance(days=2)
    publish_due(shop.ports)
    shop.work()
    assert shop.versions("free") == {"ann": 2}


def test_draft_edited_meanwhile_is_published_as_it_is_then() -> None:
    shop = a_scheduled_shop()
    shop.draft(FREE, name="Edited")
    shop.clock.advance(days=2)
    publish_due(shop.ports)
    assert shop.store.get(Package, PLAN, FREE) is not None
    assert package(shop).published_version == 2


def test_draft_that_became_invalid_is_told_on_the_plan_and_not_tried_again() -> None:
    shop = a_scheduled_shop()
    shop.put(a_feature("sso", status=Lifecycle.ARCHIVED))
    assert shop.store.get(Feature, "sso") is not None
    shop.clock.advance(days=2)
    publish_due(shop.ports)
    held = package(shop)
    assert held.published_version == 1
    assert held.scheduled is not None
    assert held.scheduled.error
    assert publish_due(shop.ports) == 0
    assert shop.audited("plan:free")[-1].action == "plan.scheduled_publication_failed"


def test_passing_failure_is_tried_again() -> None:
    shop = a_scheduled_shop()
    shop.clock.advance(days=2)

    def down(writes: object) -> None:
        raise StoreUnavailableError("down")

    shop.store.before_commit = down
    publish_due(shop.ports)
    shop.store.before_commit = None
    assert package(shop).published_version == 1
    publish_due(shop.ports)
    assert package(shop).published_version == 2


def test_canceled_publication_does_not_happen() -> None:
    shop = a_scheduled_shop()
    cancel_scheduled_publication(shop.ports, a_cause("c"), PLAN, FREE)
    shop.clock.advance(days=2)
    assert publish_due(shop.ports) == 0
    assert package(shop).draft is not None
    with pytest.raises(NotFoundError):
        cancel_scheduled_publication(shop.ports, a_cause("c"), PLAN, FREE)


def test_discarded_draft_is_scheduled_no_more() -> None:
    shop = a_scheduled_shop()
    delete_draft(shop.ports, a_cause("d"), PLAN, FREE)
    assert package(shop).scheduled is None
    assert not shop.store.all(DuePublication)


def test_publication_by_hand_takes_the_place_of_the_scheduled_one() -> None:
    shop = a_scheduled_shop()
    publish_package(shop.ports, a_cause("now"), PLAN, FREE)
    assert not shop.store.all(DuePublication)
    shop.draft(FREE, name="Next")
    shop.clock.advance(days=2)
    publish_due(shop.ports)
    assert package(shop).latest_version == 2


def test_scheduling_anew_replaces_the_time() -> None:
    shop = a_scheduled_shop()
    sooner = later(hours=2)
    schedule_publication(shop.ports, a_cause("t"), PLAN, FREE, sooner, NEW)
    [due] = shop.store.all(DuePublication)
    assert due.publish_at == sooner


@pytest.mark.parametrize("when", [START, START - timedelta(days=1), START + timedelta(days=400)])
def test_time_that_is_not_ahead_or_too_far_is_refused(when: object) -> None:
    shop = Shop()
    shop.draft(FREE)
    with pytest.raises(InvalidError) as caught:
        schedule_publication(shop.ports, a_cause(), PLAN, FREE, when, NEW)  # type: ignore[arg-type]
    assert caught.value.violations[0].param == "publish_at"


def test_invalid_draft_and_no_draft_can_not_be_scheduled() -> None:
    shop = Shop()
    with pytest.raises(NothingToPublishError):
        schedule_publication(shop.ports, a_cause(), PLAN, PRO, TOMORROW, NEW)
    shop.draft(PRO, prices=())
    with pytest.raises(InvalidError):
        schedule_publication(shop.ports, a_cause(), PLAN, PRO, TOMORROW, NEW)
